"""The audit of a day is the day as the books have it, and its dossier comes to the same again."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from terminal.audit.embedded import folder_source
from terminal.audit.making import AuditOrder, make_audit
from terminal.audit.statement import AuditStatement, Subject, statement_bytes
from terminal.audit.verifying import verify_dossier
from terminal.collector.days import By
from terminal.collector.enrolment import Enrolment
from terminal.recompute.documents import DocumentFolder
from tests.properties import examples
from tests.terminal.collector.test_books import KEY, REGISTRY, TERMINALS, Office, Town, deliver

NOW_MS = 1_780_000_000_000


def enrolled(folder: Path) -> None:
    for number in TERMINALS:
        Enrolment(folder / "terminals").enrol(number, KEY.public_key())


def audit(folder: Path, day: str, **order: object) -> AuditStatement:
    with folder_source(folder) as source:
        documents = DocumentFolder(folder / "documents")
        signed = make_audit(source, AuditOrder(day, **order), documents, REGISTRY, KEY, NOW_MS)
    return signed.statement


def money_by_terminal(statement: AuditStatement) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for line in statement.lines:
        if line.sold is not Subject.UNWRITTEN:
            found[str(line.terminal), line.currency, line.state] += line.sum_minor
            found[str(line.terminal), line.currency, "overstated"] += line.overstated_minor
            found[str(line.terminal), line.currency, "understated"] += line.understated_minor
    return +found


def booked(office: Office, day: str) -> Counter[tuple[str, str, str]]:
    states = ("counted", "open", "not_committed", "annulled", "duplicate", "overstated", "understated")
    return +Counter(
        {
            (line.name, line.currency, state): getattr(line, f"{state}_minor")
            for line in office.books.day(day, By.TERMINAL)
            for state in states
        }
    )


def settled(sums: Counter[tuple[str, str, str]]) -> Counter[tuple[str, str, str]]:
    """What counts, or was counted and taken back; of the rest an audit says only that nothing is known of it."""
    return Counter(
        {place: money for place, money in sums.items() if place[2] not in ("open", "not_committed")}
    )


@given(seed=st.integers(0, 2**32), size=st.integers(1, 60))
@examples(25)
def test_an_audit_is_the_day_as_booked_and_its_dossier_says_so_again(seed: int, size: int) -> None:
    rng = random.Random(seed)
    town = Town(rng)
    for _ in range(size):
        town.tap_or_other()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        office = Office(folder)
        try:
            deliver(office, town, rng)
            enrolled(folder)
            for day in office.books.days():
                statement = audit(folder, day, dossier=folder / "dossier")
                found = money_by_terminal(statement)
                assert settled(found) == settled(booked(office, day)), day
                assert sum(found.values()) == sum(booked(office, day).values())
                for line in statement.lines:
                    for tallies in (line.proof, line.decision):
                        assert sum(one.facts for one in tallies.values()) == line.facts
                        assert sum(one.sum_minor for one in tallies.values()) == line.sum_minor
                again = verify_dossier(folder / "dossier", KEY.public_key().public_bytes_raw())
                assert not again.differences
                assert statement_bytes(again.found) == statement_bytes(statement)
        finally:
            office.close()


def test_an_audit_finds_its_day_by_indexes_however_much_is_held(tmp_path: Path) -> None:
    """Every statement it runs is explained by SQLite: nothing that grows with the years is gone through."""
    rng = random.Random(1)
    town = Town(rng)
    for _ in range(60):
        town.tap_or_other()
    office = Office(tmp_path)
    try:
        deliver(office, town, rng)
        enrolled(tmp_path)
        day, asked = office.books.days()[0], set[str]()
        with folder_source(tmp_path) as source:
            for connection in (source._records, source._books):
                connection.set_trace_callback(asked.add)
            documents = DocumentFolder(tmp_path / "documents")
            make_audit(source, AuditOrder(day), documents, REGISTRY, KEY, NOW_MS)
            for connection in (source._records, source._books):
                connection.set_trace_callback(None)
            steps = {
                step[3]
                for statement in asked
                for connection in (source._records, source._books)
                for step in _plan_of(connection, statement)
            }
    finally:
        office.close()
    assert {"record", "receipt", "day_rows", "day_late", "day_shown"} <= {
        name for step in steps for name in step.split()
    }
    assert {step for step in steps if step.startswith("SCAN")} <= {"SCAN terminal"}, "one line a terminal"


def _plan_of(connection: sqlite3.Connection, statement: str) -> list[tuple[int, int, int, str]]:
    """How SQLite finds what the statement asks for; nothing where its tables are in the other database."""
    try:
        return connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    except sqlite3.OperationalError:
        return []
