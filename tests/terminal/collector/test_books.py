"""Books kept up step by step are the books made from all records at once, whatever came in which order."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import DataCommand, tmi, transaction_mac_value
from terminal.canteen.ledger import Ledger
from terminal.codes import Admission
from terminal.collector import portions
from terminal.collector.alarms import AlarmKind
from terminal.collector.books import BOOKS_FILE, Books
from terminal.collector.days import By, CountState, ServiceCalendar, totals_of
from terminal.collector.proof import check_proof, not_stated
from terminal.collector.reconcile import ends, reconcile
from terminal.collector.registry import CardRegistry, CardSecret
from terminal.collector.store import CollectorStore, connect
from terminal.errors import CollectorError
from terminal.journal.canteen_records import Annulment, BuffetSale, MealLine, MealServed, SaleLine, ServedBy
from terminal.journal.chain import Head, genesis, link
from terminal.journal.console_records import SaleCancelled
from terminal.journal.records import (
    CashSale,
    Committed,
    Intent,
    NotCommitted,
    SettledBy,
    Started,
    Unresolved,
    UnresolvedCause,
    build_record,
    parse_record,
)
from terminal.journal.taps import End
from terminal.sync import wire
from tests.properties import examples
from tests.terminal.journal.samples import committed, fitting, intent, refused

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
TERMINALS, CARDS = (1, 2, 3), (b"card-a", b"card-b", b"card-c")
PERSON_OF = {b"card-a": b"person-1", b"card-b": b"person-1", b"card-c": b"person-2"}
# card-c is card-b under the reference of another purpose, and so is its person
REGISTRY = CardRegistry(
    {
        b"card-b": CardSecret(bytes(6) + b"b", AesKey(bytes(16))),
        b"card-c": CardSecret(bytes(6) + b"b", AesKey(bytes(16))),
    }
)
DAY_MS = 24 * 3600 * 1000
START_MS = 1_770_000_000_000
CURRENCIES = ("RUB", "RUB", "JPY")
CALENDAR = ServiceCalendar(ZoneInfo("Europe/Moscow"), 3)


class Town:
    """Terminals as lists of row bodies, made up at random but told as terminals tell."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.rows: dict[int, list[bytes]] = {number: [] for number in TERMINALS}
        self.on_card = dict.fromkeys(CARDS, (900, 1))
        self.tmc: Counter[bytes] = Counter()
        self.calm = False

    def add(self, terminal: int, record) -> int:
        self.rows[terminal].append(build_record(record))
        return len(self.rows[terminal])

    def at_ms(self) -> int:
        return START_MS + self.rng.randrange(3) * DAY_MS + self.rng.randrange(5) * 3_600_000

    def meal(self) -> MealLine:
        sources = {"parents": self.rng.choice([0, 4_500]), "regional": self.rng.randrange(9_000)}
        kind, school = self.rng.choice(["breakfast", "lunch"]), self.rng.choice(["12", "34"])
        return MealLine(school, "5a", kind, self.rng.choice(["2026-02-02", "2026-02-03"]), sources, "region")

    def tap(self) -> None:
        rng, terminal, card = self.rng, self.rng.choice(TERMINALS), self.rng.choice(CARDS)
        start = self.on_card[card]
        if rng.random() < 0.1:  # a rolled-back card, a clone, or a liar
            start = rng.choice([(900, 1), (rng.choice(TERMINALS), rng.randint(1, 30))])
        meal = self.meal() if rng.random() < 0.4 else None
        made = intent(
            at_ms=self.at_ms(),
            card_ref=card,
            person_ref=PERSON_OF[card] if meal else None,
            prev_terminal=start[0],
            prev_sequence=start[1],
            charge_minor=rng.randrange(10_000),
            route=rng.choice([7, 8]),
            meal=meal,
            currency=rng.choice(CURRENCIES),
        )
        row = (terminal, len(self.rows[terminal]) + 1)
        sequence = self.add(terminal, self.false(made, row))
        taken = rng.random() < 0.7
        if taken:
            self.on_card[card] = (terminal, sequence)
            self.tmc[card] += rng.choice([1] * 18 + [0, 2])
        told = rng.choice(["at once", "at once", "later", "never", "wrong"])
        if told == "wrong":
            taken = not taken
        if told in ("at once", "wrong"):
            self.end(terminal, sequence, taken, card)
        elif told == "later":
            self.tap_or_other()
            self.end(terminal, sequence, taken, card)
        else:
            self.add(terminal, Unresolved(at_ms=1, intent=sequence, cause=UnresolvedCause.CARD_GONE))

    def false(self, made: Intent, row: tuple[int, int]) -> Intent:
        """The row as it should be, or as a thief would have it."""
        fits = fitting(made, *row)
        match self.rng.choice(["true"] * 8 + ["no commands", "sum", "row", "found"]):
            case "no commands":
                return msgspec.structs.replace(fits, proof=())
            case "sum":
                return msgspec.structs.replace(fits, charge_minor=self.rng.randrange(10_000))
            case "row":
                return fitting(made, row[0], row[1] + 7)
            case "found":
                return msgspec.structs.replace(fits, prev_sequence=made.prev_sequence + 1)
            case _:
                return fits

    def proof_of(self, terminal: int, sequence: int, tmc: int | None) -> bytes:
        """The card's own, or another one."""
        made = parse_record(self.rows[terminal][sequence - 1])
        assert isinstance(made, Intent)
        secret = REGISTRY.card(made.card_ref)
        if tmc is None or secret is None or self.rng.random() < 0.1:
            return bytes(8)
        commands = (DataCommand(*command) for command in made.proof)
        return transaction_mac_value(secret.key, secret.uid, tmc, tmi(commands))

    def end(self, terminal: int, sequence: int, taken: bool, card: bytes) -> None:
        how = self.rng.choice([SettledBy.ANSWERED, SettledBy.RECOVERED])
        for _ in range(self.rng.choice([1, 1, 1, 2])):
            if taken:
                tmc = self.rng.choice([None, self.tmc[card]])
                tmv = self.proof_of(terminal, sequence, tmc)
                self.add(terminal, committed(sequence, tmc=tmc, tmv=tmv, how=how))
            else:
                self.add(terminal, NotCommitted(at_ms=1, intent=sequence, how=how))
            taken = self.rng.choice([taken, not taken])

    def other(self) -> None:
        rng, terminal = self.rng, self.rng.choice(TERMINALS)
        row = rng.randint(1, len(self.rows[terminal]) + 3)
        card = rng.choice(CARDS)
        pupil = PERSON_OF[card]
        record = rng.choice(
            [
                Started(at_ms=1, software="test"),
                CashSale(self.at_ms(), 1, 1, 7, 0, 2, rng.randrange(9_000), "demo:1", currency=rng.choice(CURRENCIES)),
                MealServed(self.at_ms(), pupil, 1, ServedBy.CLASS_LIST, "17", self.meal(), "demo:1",
                    currency=rng.choice(CURRENCIES)),
                BuffetSale(
                    self.at_ms(), pupil, 1, "17", "12", "5a", "2026-02-02",
                    (SaleLine("bun", 1, rng.randrange(5_000)),), "demo:1",
                    currency=rng.choice(CURRENCIES),
                ),
                Annulment(self.at_ms(), pupil, row, "2026-02-02", "17", 1, 0),
                SaleCancelled(self.at_ms(), 1, row, 0, "RUB", "17"),
                refused(
                    card_ref=rng.choice([None, card]),
                    prev_terminal=self.on_card[card][0],
                    prev_sequence=self.on_card[card][1],
                    message=rng.choice(["no_funds", "already_paid"]),
                    admission=rng.choice(list(Admission)),
                ),
            ]
        )  # fmt: skip
        self.add(terminal, record)

    def ordinary_ride(self) -> None:
        """As nearly all are: the next event of its card, proven, and on record at once."""
        terminal, card = self.rng.choice(TERMINALS), self.rng.choice(CARDS)
        row, start = (terminal, len(self.rows[terminal]) + 1), self.on_card[card]
        made = intent(
            at_ms=self.at_ms(),
            card_ref=card,
            prev_terminal=start[0],
            prev_sequence=start[1],
            charge_minor=self.rng.choice([0, 3_400, 5_000]),
            route=self.rng.choice([7, 8]),
            currency=self.rng.choice(CURRENCIES),
        )
        sequence = self.add(terminal, fitting(made, *row))
        self.on_card[card], self.tmc[card] = row, self.tmc[card] + 1
        commands = tmi(DataCommand(*command) for command in parse_record(self.rows[terminal][-1]).proof)
        secret = REGISTRY.card(card)
        tmv = transaction_mac_value(secret.key, secret.uid, self.tmc[card], commands) if secret else bytes(8)
        how = self.rng.choice([SettledBy.ANSWERED] * 3 + [SettledBy.RECOVERED])
        self.add(terminal, committed(sequence, tmc=self.tmc[card], tmv=tmv, how=how))

    def tap_or_other(self) -> None:
        if self.calm and self.rng.random() < 0.8:
            self.ordinary_ride()
        elif self.rng.random() < 0.6:
            self.tap()
        else:
            self.other()

    def batch(self, terminal: int, first: int, last: int) -> tuple[wire.Batch, list[bytes]]:
        bodies = self.rows[terminal]
        heads = [genesis(terminal)]
        for body in bodies[:last]:
            heads.append(Head(heads[-1].sequence + 1, link(heads[-1].hash, body)))
        part = tuple(bodies[first - 1 : last])
        made = wire.build_batch(terminal, heads[first - 1], part, heads[last], START_MS, KEY)
        return made, wire.row_hashes(made)


class Office:
    """A store with its books in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = CollectorStore(folder / "collector.db")
        self.books = self.open_books()

    def open_books(self) -> Books:
        return Books(self.folder / BOOKS_FILE, self.store, REGISTRY)

    def close(self) -> None:
        self.books.close()
        self.store.close()

    def catch_up(self) -> None:
        while self.books.catch_up():
            pass


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path)
    yield made
    made.close()


def deliver(office: Office, town: Town, rng: random.Random) -> None:
    """Every row in batches of any size, terminals mixed, some twice; booked now and then; killed now and then."""
    reached = dict.fromkeys(TERMINALS, 0)
    while any(reached[number] < len(rows) for number, rows in town.rows.items()):
        number = rng.choice([n for n in TERMINALS if reached[n] < len(town.rows[n])])
        first = rng.randint(max(1, reached[number] - 2), reached[number] + 1)
        last = min(len(town.rows[number]), reached[number] + rng.choice([1, 2, 5, 40]))
        batch, hashes = town.batch(number, first, last)
        office.store.receive(batch, hashes, START_MS + len(hashes))
        reached[number] = last
        for _ in range(rng.choice([0, 0, 1, 2])):
            office.books.catch_up(rng.choice([1, 3, 100]))
        if rng.random() < 0.1:
            office.books.close()
            office.books = office.open_books()
    office.catch_up()


def check_against_recomputing(office: Office) -> None:
    expected = reconcile(office.store.records(), REGISTRY)
    assert office.books.totals() == expected.terminals
    alarms = {(alarm.kind, alarm.terminal, alarm.sequence) for alarm in office.store.alarms(100_000)}
    assert {finding[:3] for finding in expected.findings} == {
        alarm for alarm in alarms if alarm[0] not in (AlarmKind.CLOCK, AlarmKind.DUPLICATE_ENTITLEMENT)
    }
    open_ends = {tap for tap, end in ends(office.store.records(), REGISTRY).items() if end is End.UNRESOLVED}
    assert {tap[:2] for tap in office.books.open_taps(limit=100_000)} == open_ends


def naive_sums(office: Office, by: By) -> dict[str, Counter[tuple[str, str, str]]]:
    """Money by day, name and currency straight from the records: the canteen's ledger says what stands of the meals."""
    end_of = ends(office.store.records(), REGISTRY)
    ledger, found = Ledger(), defaultdict(Counter)
    records = {(r.terminal, r.sequence): parse_record(r.body) for r in office.store.records()}
    undone = {(row[0], r.of) for row, r in records.items() if isinstance(r, Annulment)}
    cancelled = {(row[0], r.sale) for row, r in records.items() if isinstance(r, SaleCancelled)}
    for row, record in records.items():
        if isinstance(record, Intent) and record.meal and end_of[row] is End.COMMITTED:
            ledger.apply(row, record)
            ledger.apply(row, Committed(1, row[1], None, b"", SettledBy.ANSWERED))
        elif isinstance(record, MealServed | Annulment):
            ledger.apply(row, record)
    twice = ledger.duplicates(ledger.meals.values())

    first_word = {}
    for row, record in records.items():
        if isinstance(record, Committed | NotCommitted) and (row[0], record.intent) in end_of:
            first_word.setdefault((row[0], record.intent), record)

    def put(day: str, row, route: int, school: str, state: str, funder: str, amount: int) -> None:
        name = {By.TERMINAL: row[0], By.ROUTE: route, By.SCHOOL: school, By.FUNDER: funder}[by]
        found[day][str(name), records[row].currency, state] += amount

    for row, record in records.items():
        match record:
            case Intent(meal=None):
                state = {
                    End.COMMITTED: "counted",
                    End.UNRESOLVED: "open",
                    End.NOT_COMMITTED: "not_committed",
                }[end_of[row]]
                day, word = CALENDAR.day_of(record.at_ms), first_word.get(row)
                amount_minor = record.charge_minor
                if end_of[row] is End.COMMITTED:
                    stated = isinstance(word, Committed)
                    checked = check_proof(row, record, word, REGISTRY) if stated else not_stated(row, record)
                    amount_minor = checked.counted_minor
                    put(day, row, record.route, "", "overstated", "purse", checked.overstated_minor)
                    put(day, row, record.route, "", "understated", "purse", checked.understated_minor)
                put(day, row, record.route, "", state, "purse", amount_minor)
            case Intent(meal=meal) | MealServed(meal=meal):
                end = end_of.get(row, End.COMMITTED)
                state = "open" if end is End.UNRESOLVED else "not_committed"
                if end is End.COMMITTED:
                    state = "annulled" if row in undone else "duplicate" if row in twice else "counted"
                for funder, amount in meal.sources.items():
                    put(meal.day, row, 0, meal.school, state, funder, amount)
            case CashSale():
                day = CALENDAR.day_of(record.at_ms)
                state = "annulled" if row in cancelled else "counted"
                put(day, row, record.route, "", state, "cash", record.sum_minor)
            case BuffetSale():
                state = "annulled" if row in undone else "counted"
                put(record.day, row, 0, record.school, state, "buffet", record.sum_minor)
    return found


def check_days(office: Office) -> None:
    for by in set(By) - {By.PROOF}:
        expected = naive_sums(office, by)
        for day in office.books.days():
            sums = office.books.day(day, by)
            got = Counter(
                {
                    (line.name, line.currency, state): getattr(line, f"{state}_minor")
                    for line in sums
                    for state in CountState
                }
            )
            assert +got == +expected[day], (day, by)
            for total in totals_of(sums):
                theirs = [
                    -money if state == "understated" else money
                    for (_, currency, state), money in expected[day].items()
                    if currency == total.currency
                ]
                assert total.records_minor == sum(theirs)
        assert {day for day, sums in expected.items() if sums} <= set(office.books.days())


def check_proofs(office: Office) -> None:
    """What proves the taps of a day: each committed tap once, and with what it states apart all that its row says."""
    end_of = ends(office.store.records(), REGISTRY)
    records = {(r.terminal, r.sequence): parse_record(r.body) for r in office.store.records()}
    expected: Counter[tuple[str, str]] = Counter()
    taps: Counter[tuple[str, str]] = Counter()
    for row, end in end_of.items():
        record = records[row]
        if end is End.COMMITTED and isinstance(record, Intent):
            place = (record.meal.day if record.meal else CALENDAR.day_of(record.at_ms), record.currency)
            taps[place] += 1
            expected[place] += record.charge_minor
    got: Counter[tuple[str, str]] = Counter()
    counted: Counter[tuple[str, str]] = Counter()
    for day in office.books.days():
        for line in office.books.day(day, By.PROOF):
            counted[day, line.currency] += line.rides + line.meals
            got[day, line.currency] += line.records_minor
    assert (counted, +got) == (taps, +expected)


_STILL_EARLY = (
    "SELECT * FROM seen_early JOIN mark USING (terminal) WHERE seen_early.sequence <= mark.sequence"
)
"""Events noted as not come yet, of rows that have come."""


@given(seed=st.integers(0, 2**32), size=st.integers(1, 60))
@examples(150)
def test_step_by_step_is_all_at_once(seed: int, size: int) -> None:
    rng = random.Random(seed)
    town = Town(rng)
    town.calm = rng.random() < 0.5
    if town.calm:
        town.on_card = dict.fromkeys(CARDS, (0, 1))
    for _ in range(size):
        town.tap_or_other()
    with tempfile.TemporaryDirectory() as folder:
        office = Office(Path(folder))
        try:
            deliver(office, town, rng)
            check_against_recomputing(office)
            check_days(office)
            check_proofs(office)
            assert not office.books._connection.execute(_STILL_EARLY).fetchall()
        finally:
            office.close()


def test_books_that_cannot_be_opened_let_go_of_their_file(office, tmp_path, monkeypatch) -> None:
    """A connection left behind writes to the file after its next owner has opened it."""
    opened = []

    def noted(path):
        opened.append(connect(path))
        return opened[-1]

    monkeypatch.setattr("terminal.collector.books.connect", noted)
    foreign = tmp_path / "foreign.db"
    foreign.write_bytes(b"no database " * 1_000)
    with pytest.raises(CollectorError):
        Books(foreign, office.store, REGISTRY)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


def test_what_a_batch_asks_at_once_is_found_by_indexes(tmp_path: Path) -> None:
    """Of the tables that grow nothing is gone through, whatever the statistics of SQLite would say."""
    office = Office(tmp_path)
    try:
        for query, tables in (
            (portions._ARE_WATCHED, {"watched"}),
            (portions._ARE_STARTED, {"watched"}),
            (portions._HISTORIES, {"history"}),
        ):
            asked = query.format("(1, 2, 3), (4, 5, 6)" if "c)" in query else "(1, 2), (3, 4)")
            plan = office.books._connection.execute(f"EXPLAIN QUERY PLAN {asked}").fetchall()
            steps = [step[3] for step in plan]
            assert {step.split()[1] for step in steps if step.startswith("SEARCH")} == tables
            assert not [step for step in steps if step.startswith("SCAN") and step.split()[1] in tables]
    finally:
        office.close()
