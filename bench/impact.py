"""Replaying recorded days under two documents: taps a second and memory, over journals of many terminals and cards.

The journals are made by the product's own parts: every tap is decided by `decide`, its rows are built, chained and
sealed as a terminal does it, and cards go from terminal to terminal. BENCH_IMPACT_TAPS sets how many taps there are;
the goal is stated for 1 000 000 of 100 000 cards. The replay runs as a process of its own, as a user starts it.
"""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from bench.result import Result, at_least, at_most
from cardproto.desfire.commands import INS_READ_DATA, INS_READ_RECORDS
from cardproto.resident.layout import FILE_EVENTS, FILE_RIGHTS
from cardproto.resident.records.event import Event, EventKind, PaidBy, build_event
from cardproto.resident.records.rights import Concession, Contract, Rights, build_rights
from cardproto.resident.snapshot import CardSnapshot
from sim.issuing import RELOAD_POINT, later
from terminal.app.simulated import laboratory_keys
from terminal.clock import unix_ms
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.journal.chain import Head, link
from terminal.journal.database import transaction
from terminal.journal.journal import Journal
from terminal.journal.key_file import load_or_create_key
from terminal.journal.records import AnyRecord, Committed, Intent, SettledBy, Unwritten, build_record
from terminal.journal.sealed import Contents, JournalKey
from terminal.journal.stored import Row, insert_row, read_state, write_state
from terminal.keys.file import load_file_keys
from terminal.policy.load import DEMO_REGION, load_region
from terminal.policy.policy import Policy
from terminal.trail import recorded
from terminal.trip.facts import Freshness, Place, PlaceSource, Trip
from terminal.trip.stated import stated

TAPS: Final = int(os.environ.get("BENCH_IMPACT_TAPS", "20000"))
TAPS_OF_A_CARD: Final = 10
TERMINALS: Final = 100
FIRST: Final = datetime(2026, 9, 1, 3, tzinfo=UTC)
DAYS: Final = 20
GOAL_TAPS_S: Final = 1_000_000 / 150
GOAL_MB: Final = 500
ROWS_AT_ONCE: Final = 2_000
RELOAD_MINOR: Final = 50_000


@dataclass(slots=True)
class Resident:
    """One card of the world."""

    ref: bytes
    rights: Rights
    event: Event


class Journalled(Protocol):
    """What a tap of the generated days needs of a terminal."""

    number: int
    head: Head

    def append(self, record: AnyRecord) -> None: ...


@dataclass(slots=True)
class Bus:
    """One terminal's journal on its way to the disk."""

    number: int
    path: Path
    key: JournalKey
    head: Head
    waiting: list[Row] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, number: int) -> Bus:
        path = folder / str(number) / "journal.db"
        path.parent.mkdir()
        key = load_or_create_key(path, load_file_keys(laboratory_keys()).sealer)
        journal = Journal.open(path, number, key=key)
        head = journal.head
        journal.close()
        return cls(number, path, key, head)

    def append(self, record: AnyRecord) -> None:
        body = build_record(record)
        row = Row(self.head.sequence + 1, body, link(self.head.hash, body))
        self.head = Head(row.sequence, row.hash)
        self.waiting.append(row)
        if len(self.waiting) >= ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        contents = Contents(self.number, self.key)
        connection = sqlite3.connect(self.path, isolation_level=None)
        with transaction(connection):
            for row in self.waiting:
                insert_row(connection, contents, row)
            state = read_state(connection, contents)
            write_state(connection, contents, state._replace(noted=self.head))
        connection.close()
        self.waiting.clear()


def replaying() -> Iterator[Result]:
    """`terminal policy impact` over the generated days."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_days(folder / "journals", TAPS)
        dearer = folder / "dearer.toml"
        text = DEMO_REGION.read_text(encoding="utf-8")
        text = text.replace("\nversion = 1", "\nversion = 2").replace(
            "transport_card = 2400", "transport_card = 2600"
        )
        dearer.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "terminal.cli.app", "policy", "impact", "demo", str(dearer)]
        # as pip installs it: without this a start compiles every module, which costs as much as 10 000 taps
        compiled = {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
        env = os.environ | compiled
        subprocess.run([*command[:-2], "--help"], check=True, capture_output=True, env=env)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [*command, "--journal", str(folder / "journals"), "--json"],
            check=True,
            capture_output=True,
            env=env,
        )
        wall_s = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    load = os.getloadavg()[0]
    cards = TAPS // TAPS_OF_A_CARD
    note = f"{TAPS} taps of {cards} cards at {TERMINALS} terminals; {cpu_s:.0f} s CPU, {wall_s:.0f} s, load {load:.1f}"
    yield at_least("replay of recorded days", TAPS / cpu_s, "taps/s CPU", GOAL_TAPS_S, note)
    yield at_most("memory of a replay", after.ru_maxrss / 1024, "MB", GOAL_MB, f"{cards} cards")


def make_days(folder: Path, taps: int) -> None:
    """Journals of `TERMINALS` terminals with that many taps, evenly over `DAYS` days."""
    rng = random.Random(14)
    folder.mkdir(parents=True)
    policy = Policy.of(load_region(DEMO_REGION))
    buses = [Bus.of(folder, 70_001 + index) for index in range(TERMINALS)]
    residents = [resident_of(rng, policy) for _ in range(max(1, taps // TAPS_OF_A_CARD))]
    step_s = DAYS * 16 * 3600 / taps
    for number in range(taps):
        day, second = divmod(number * step_s, 16 * 3600)
        at = FIRST + timedelta(days=int(day), seconds=int(second))
        tap_of_day(rng.choice(residents), rng.choice(buses), policy, at)
    for bus in buses:
        bus.flush()


def resident_of(rng: random.Random, policy: Policy) -> Resident:
    first, last = date(2026, 1, 1), date(2029, 12, 31)
    codes, products = sorted(policy.concessions), sorted(policy.products)
    kind = rng.random()
    codes = [rng.choice(codes)] if kind < 0.3 else []
    products = [rng.choice(products)] if kind > 0.8 else []
    rights = Rights(
        region=policy.document.header.region,
        pseudonym=rng.randbytes(8),
        valid_from=first,
        valid_to=last,
        issued_on=first + timedelta(days=rng.randrange(200)),
        revision=1,
        concessions=(*(Concession(code, 0, first, last) for code in codes), None, None, None)[:3],
        contracts=(*(Contract(one, date(2026, 9, 1), last, 0) for one in products), None, None)[:2],
    )
    balance_minor = rng.randrange(10_000, 100_000)
    issued = Event(EventKind.ISSUE, datetime(2026, 8, 1, tzinfo=UTC), 0, 1, balance_minor, 0)
    return Resident(rng.randbytes(8), rights, issued)


def tap_of_day(resident: Resident, bus: Journalled, policy: Policy, at: datetime) -> None:
    if resident.event.balance_after_minor < 5_000:
        _reload(resident, policy, at - timedelta(seconds=60))
    place = Place(
        source=PlaceSource.VEHICLE, stop=1 + at.minute, zone=1 + at.minute // 30, age_s=at.second % 20
    )
    trip = Trip(
        "bus",
        bus.number,
        bus.head.sequence + 1,
        shift=1,
        turn=1,
        route=1 + bus.number % 40,
        direction=at.hour % 2,
        place=place,
        freshness=Freshness(deny_list_age_s=at.hour * 3600 + at.second, document_age_s=at.hour * 3600),
    )
    decision = decide(CardSnapshot(bytes(7), resident.rights, resident.event), policy, trip, at)
    for record in _rows(resident, decision, trip, policy, at):
        bus.append(record)
    if decision.write_plan is not None:
        resident.event = decision.write_plan.event


def _reload(resident: Resident, policy: Policy, at: datetime) -> None:
    before = resident.event
    resident.event = later(
        before, at, lambda moment: policy.service_date(moment.astimezone(policy.zone))
    )._replace(
        kind=EventKind.RELOAD,
        terminal=RELOAD_POINT,
        sequence=before.sequence + 1,
        balance_after_minor=before.balance_after_minor + RELOAD_MINOR,
        amount_minor=RELOAD_MINOR,
        paid_by=PaidBy.NOTHING,
    )


def _rows(
    resident: Resident, decision: Decision, trip: Trip, policy: Policy, at: datetime
) -> Iterator[AnyRecord]:
    """What the terminal records of the tap."""
    rights, before = build_rights(resident.rights), build_event(resident.event)
    outcome, plan, last = decision.outcome, decision.write_plan, resident.event
    if plan is None:
        yield Unwritten(
            unix_ms(at),
            resident.ref,
            trip.profile,
            trip.shift,
            str(outcome.message),
            outcome.admission,
            policy.tariff,
            recorded(decision.facts),
            last.terminal,
            last.sequence,
            decision.flags,
            trip.turn,
            trip.route,
            trip.direction,
            (rights, before),
            stated(trip),
        )
        return
    event = build_event(plan.event)
    proof = (
        (INS_READ_DATA, bytes((FILE_RIGHTS, 0, 0, 0, 64, 0, 0)), rights),
        (INS_READ_RECORDS, bytes((FILE_EVENTS, 0, 0, 0, 1, 0, 0)), before),
        (0xDC, bytes((3,)) + outcome.charge_minor.to_bytes(4, "little"), b""),
        (0x8B, bytes((FILE_EVENTS, 0, 0, 0, 32, 0, 0)), event),
    )
    yield Intent(
        unix_ms(at),
        resident.ref,
        trip.profile,
        trip.shift,
        trip.turn,
        trip.route,
        trip.direction,
        str(outcome.message),
        outcome.charge_minor,
        last.balance_after_minor,
        plan.event.balance_after_minor,
        int(plan.paid_by),
        policy.tariff,
        recorded(decision.facts),
        last.terminal,
        last.sequence,
        event,
        proof,
        dict(outcome.values),
        trip=stated(trip),
        flags=decision.flags,
        key_version=1,
        currency=policy.currency,
    )
    yield Committed(unix_ms(at) + 90, trip.sequence, trip.sequence, bytes(8), SettledBy.ANSWERED)
