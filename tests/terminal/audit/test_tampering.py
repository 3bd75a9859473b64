"""A dossier that was changed is noticed: by its signature, or by its evidence where the collector signs it anew."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from terminal.audit.dossier import (
    DossierBatch,
    DossierEnd,
    DossierStatement,
    DossierTerminal,
    DossierWriter,
    Frame,
    read_dossier,
)
from terminal.audit.statement import (
    SignedStatement,
    build_statement,
    parse_statement,
    sign_statement,
)
from terminal.audit.verifying import verify_dossier
from terminal.errors import AuditError
from terminal.journal.records import Committed, Intent, parse_record
from tests.properties import examples
from tests.terminal.audit.test_day import audit, enrolled
from tests.terminal.collector.test_books import KEY, Office, Town, deliver

PUBLIC = KEY.public_key().public_bytes_raw()
DAY = "2026-02-02"


@cache
def dossier() -> bytes:
    """A day of three terminals; several batches each."""
    rng = random.Random(15)
    town = Town(rng)
    for _ in range(120):
        town.tap_or_other()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        office = Office(folder)
        deliver(office, town, rng)
        office.close()
        enrolled(folder)
        audit(folder, DAY, dossier=folder / "dossier")
        return (folder / "dossier").read_bytes()


def frames() -> list[Frame]:
    with tempfile.TemporaryFile() as file:
        file.write(dossier())
        file.seek(0)
        return list(read_dossier(file))


def written(path: Path, parts: list[Frame]) -> Path:
    """A dossier of these parts, signed as the collector signs."""
    with path.open("wb") as file:
        writer = DossierWriter(file)
        for part in parts:
            if not isinstance(part, DossierEnd):
                writer.write(part)
        writer.end(KEY)
    return path


def noticed(path: Path) -> bool:
    try:
        return bool(verify_dossier(path, PUBLIC).differences)
    except AuditError:
        return True


def test_an_untouched_dossier_written_anew_is_equal(tmp_path: Path) -> None:
    path = written(tmp_path / "dossier", frames())
    assert path.read_bytes() == dossier()
    assert not noticed(path)


def test_a_dossier_of_another_collector_is_not_taken_for_the_one_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "dossier", frames())
    assert not verify_dossier(path).differences
    for other in (bytes(32), PUBLIC[:-1] + bytes(1), b""):
        with pytest.raises(AuditError, match="not by the one given"):
            verify_dossier(path, other)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@examples(60)
def test_every_changed_bit_is_noticed(place: float, bit: int) -> None:
    changed = bytearray(dossier())
    changed[int(place * len(changed))] ^= 1 << bit
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dossier").write_bytes(changed)
        with pytest.raises(AuditError):
            verify_dossier(Path(folder) / "dossier", PUBLIC)


@given(end=st.floats(0, 1, exclude_max=True))
@examples(20)
def test_every_cut_and_every_tail_is_noticed(end: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dossier"
        for content in (dossier()[: int(end * len(dossier()))], dossier() + b"\x00"):
            path.write_bytes(content)
            with pytest.raises(AuditError):
                verify_dossier(path)


# A collector that signs what it changed

Change = Callable[[list[Frame], random.Random], None]


def batches(parts: list[Frame]) -> list[int]:
    return [place for place, part in enumerate(parts) if isinstance(part, DossierBatch)]


def a_row_changed(parts: list[Frame], rng: random.Random) -> None:
    place = rng.choice(batches(parts))
    part = parts[place]
    bodies = list(part.bodies)
    body = bytearray(bodies[0])
    body[-1] ^= 1
    parts[place] = replace(part, bodies=(bytes(body), *bodies[1:]))


def a_row_left_out(parts: list[Frame], rng: random.Random) -> None:
    place = rng.choice([place for place in batches(parts) if len(parts[place].bodies) > 1])
    parts[place] = replace(parts[place], bodies=parts[place].bodies[:-1])


def rows_in_another_order(parts: list[Frame], rng: random.Random) -> None:
    place = rng.choice([place for place in batches(parts) if len(set(parts[place].bodies)) > 1])
    parts[place] = replace(parts[place], bodies=parts[place].bodies[::-1])


def a_batch_left_out(parts: list[Frame], rng: random.Random) -> None:
    """One that has rows of the day in it: the terminal's part still says that they are there."""
    stretches = {part.terminal: part.stretches for part in parts if isinstance(part, DossierTerminal)}

    def needed(part: Any) -> bool:
        first = msgspec.msgpack.decode(part.envelope)[2]
        rows = range(first, first + len(part.bodies))
        return any(begin in rows or end in rows for begin, end in stretches[part.terminal])

    parts.pop(rng.choice([place for place in batches(parts) if needed(parts[place])]))


def a_batch_under_another_terminal(parts: list[Frame], rng: random.Random) -> None:
    place = rng.choice(batches(parts))
    parts[place] = replace(parts[place], terminal=parts[place].terminal % 3 + 1)


def a_batch_twice(parts: list[Frame], rng: random.Random) -> None:
    """Rows are counted once; what is stated of the batches is not what is there."""
    place = rng.choice(batches(parts))
    parts.insert(place, parts[place])


def another_signature(parts: list[Frame], rng: random.Random) -> None:
    place = rng.choice(batches(parts))
    envelope = bytearray(parts[place].envelope)
    at = bytes(envelope).index(b"\xc4\x40") + 2  # 64 bytes follow: the signature
    envelope[at + rng.randrange(64)] ^= 1
    parts[place] = replace(parts[place], envelope=bytes(envelope))


def a_key_taken_away(parts: list[Frame], rng: random.Random) -> None:
    place = next(place for place, part in enumerate(parts) if isinstance(part, DossierTerminal) and part.keys)
    parts[place] = replace(parts[place], keys=())


def session_keys_taken_away(parts: list[Frame], rng: random.Random) -> None:
    """All: one may be that of a row that differs whatever its card says."""
    for place in batches(parts):
        parts[place] = replace(parts[place], session_keys={})


def a_card_that_cannot_prove(parts: list[Frame], rng: random.Random) -> None:
    """The word that a card is an EV1 one where it gave no proof and should have."""
    for place in batches(parts):
        part = parts[place]
        records = {place: parse_record(body) for place, body in enumerate(part.bodies)}
        if part.session_keys and any(isinstance(one, Committed | Intent) for one in records.values()):
            parts[place] = replace(part, unable=tuple(part.session_keys))


def stated(parts: list[Frame], change: Callable[[dict[str, Any]], None]) -> None:
    place = next(place for place, part in enumerate(parts) if isinstance(part, DossierStatement))
    plain = msgspec.to_builtins(parse_statement(parts[place].content))
    change(plain["statement"])
    whole = msgspec.convert(plain, SignedStatement)
    signed = sign_statement(whole.statement, whole.made_at_ms, KEY, PUBLIC)
    parts[place] = DossierStatement(build_statement(signed))


def a_kopeck_more(parts: list[Frame], rng: random.Random) -> None:
    def more(statement: dict[str, Any]) -> None:
        rng.choice(statement["totals"])["sum_minor"] += 1

    stated(parts, more)


def a_fact_less(parts: list[Frame], rng: random.Random) -> None:
    def less(statement: dict[str, Any]) -> None:
        lines = statement["lines"]
        gone = rng.randrange(len(lines))
        statement["lines"] = lines[:gone] + lines[gone + 1 :]

    stated(parts, less)


def said_to_be_proven(parts: list[Frame], rng: random.Random) -> None:
    def proven(statement: dict[str, Any]) -> None:
        line = rng.choice([line for line in statement["lines"] if line["proof"].keys() != {"proven"}])
        line["proof"] = {"proven": {"facts": line["facts"], "sum_minor": line["sum_minor"]}}

    stated(parts, proven)


def another_chain_head(parts: list[Frame], rng: random.Random) -> None:
    def other(statement: dict[str, Any]) -> None:
        rng.choice(statement["terminals"])["runs"][0]["last_hash"] = "00" * 32

    stated(parts, other)


def said_to_be_complete(parts: list[Frame], rng: random.Random) -> None:
    def complete(statement: dict[str, Any]) -> None:
        statement["complete"] = not statement["complete"]

    stated(parts, complete)


CHANGES: list[Change] = [
    a_row_changed,
    a_row_left_out,
    rows_in_another_order,
    a_batch_left_out,
    a_batch_under_another_terminal,
    a_batch_twice,
    another_signature,
    a_key_taken_away,
    session_keys_taken_away,
    a_card_that_cannot_prove,
    a_kopeck_more,
    a_fact_less,
    said_to_be_proven,
    another_chain_head,
    said_to_be_complete,
]


def seeds() -> Iterator[int]:
    yield from range(4)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_a_collector_changes_and_signs_is_noticed(tmp_path: Path, change: Change) -> None:
    for seed in seeds():
        parts = frames()
        change(parts, random.Random(seed))
        assert noticed(written(tmp_path / "dossier", parts)), seed
