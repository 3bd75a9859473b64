"""Did anything get lost? Asked of the cards' memories and of the collector's records, never of a terminal's beliefs.

Terminals contribute one thing only: which records they reported as durable, because that is a promise to be kept.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from terminal.collector.books import BOOKS_FILE
from terminal.collector.days import CountState, What
from terminal.collector.proof import Proof
from terminal.collector.reconcile import Reconciliation, reconcile
from terminal.collector.store import Alarm, AlarmKind, SeenAlarm, read_only
from terminal.journal.console_records import SaleCancelled
from terminal.journal.operation_records import NumbersSkipped, Restored
from terminal.journal.records import (
    AnyRecord,
    CashSale,
    Committed,
    Intent,
    NotCommitted,
    SettledBy,
    Unwritten,
    parse_record,
)
from terminal.lab.stress.checkers.digest import Digest
from terminal.lab.stress.faults.plan import Kind
from terminal.lab.stress.forging import made_up, provable
from terminal.lab.stress.world import StormTown
from terminal.lab.world import purse_minor

TapId = tuple[int, int]
FORGERIES: Final = frozenset((AlarmKind.PROOF_DIFFERS, AlarmKind.NO_PROOF, AlarmKind.TMV_MISMATCH))
FORKS: Final = frozenset((AlarmKind.OTHER_HASH, AlarmKind.CUT_TAIL))
LOSES: Final = frozenset((Kind.LYING_DISK, Kind.BIT_ROT))
"""Faults after which rows may be gone, if the terminal says so."""
_IN_CASH: Final = "SELECT coalesce(sum(sum_minor), 0) FROM cell WHERE what = ? AND state = ?"
EXPECTED_ALARMS: Final = {
    # A batch held up on its way looks like a clock that is behind.
    AlarmKind.CLOCK: frozenset((Kind.CLOCK_FORWARD, Kind.CLOCK_BACK, Kind.DELAYED)),
    # A card remembers the meals of one day: a counter whose clock is another day makes it forget.
    AlarmKind.DUPLICATE_ENTITLEMENT: frozenset(
        (Kind.CLOCK_FORWARD, Kind.CLOCK_BACK, Kind.CLASS_LIST, Kind.CLONED, Kind.ROLLED_BACK)
    ),
    AlarmKind.GAP: frozenset[Kind](),
    AlarmKind.PROOF_DIFFERS: frozenset((Kind.FALSE_ROWS,)),
    AlarmKind.NO_PROOF: frozenset((Kind.FALSE_ROWS,)),
    AlarmKind.ROWS_LOST: LOSES,
    AlarmKind.OTHER_HASH: frozenset((Kind.TWIN,)),
    AlarmKind.CUT_TAIL: frozenset((Kind.TWIN,)),
    AlarmKind.TMC_TWICE: frozenset((Kind.CLONED, Kind.ROLLED_BACK)),
}
"""Alarms that the storm may raise, each after one of these faults; without faults at any time."""


@dataclass(slots=True)
class Findings:
    """Totals of one town or of many. `problems` says what each count is about."""

    taps: int = 0
    granted: int = 0
    restarts: int = 0
    records: int = 0
    rides: int = 0
    lost: int = 0
    lost_and_named: int = 0
    """Rows that a disk lost and their terminal reported."""
    duplicated: int = 0
    money_mismatch_minor: int = 0
    misjudged: int = 0
    """Taps that came to something else than the oracle says of the true world."""
    unnoticed: int = 0
    """What was done to a terminal, a card or the collector, and was not shown by what has to show it."""
    decided: int = 0
    unresolved_open: int = 0
    unresolved_settled: int = 0
    charged_minor: int = 0
    cpu_s: float = 0.0
    """Processor time of this process, of its threads as well."""
    faults_injected: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    digests: list[tuple[int, Digest]] = field(default_factory=list)
    """Of each town, with its seed, where one was asked for."""

    @property
    def sound(self) -> bool:
        wrong = self.lost, self.duplicated, self.money_mismatch_minor, self.misjudged, self.unnoticed
        return not (self.problems or any(wrong) or self.unresolved_open)

    def add(self, other: Findings) -> None:
        for name in self.__slots__:
            ours, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, ours + theirs)


def check(town: StormTown) -> Findings:
    """After `settle_down`: compare every card with the collector, and every promise with what it holds."""
    found = Findings(
        taps=town.count.taps,
        granted=town.count.granted,
        restarts=town.count.restarts,
        faults_injected=Counter({str(kind): n for kind, n in town.count.faults.items()}),
    )
    held = {(row.terminal, row.sequence): parse_record(row.body) for row in town.store.records()}
    found.records = len(held)
    books = reconcile(town.store.records(), town.registry)
    named = _named(held)
    _promises(town, held, named, found)
    _rides(town, held, named, found)
    unshown = _unshown(town, held, named)
    _money(town, books, named | unshown, found)
    _books(town, books, found)
    _alarms(town, books, len(unshown), found)
    _fares(town, held, named, found)
    _tickets(town, held, named, found)
    _twins(town, found)
    _copies(town, books, found)
    _forged(town, held, books, found)
    return found


def _forged(town: StormTown, held: dict[TapId, AnyRecord], books: Reconciliation, found: Findings) -> None:
    """What a stolen terminal states falsely of a tap has to be an alarm, and later what it makes up altogether.

    Where it says that the card had gone on before the end was known, a proof that it left out looks like one that was
    replaced (docs/security.md): such a tap has to stand among those.
    """
    seen = {(alarm.terminal, alarm.sequence) for alarm in books.findings if alarm.kind in FORGERIES}
    ends: dict[TapId, Committed | NotCommitted] = {}
    for (number, _), record in held.items():
        if isinstance(record, Committed | NotCommitted):
            ends.setdefault((number, record.intent), record)
    unseen = {
        tap: end
        for tap, end in ends.items()
        if isinstance(end, Committed) and tap in held and provable(town, held[tap]) and tap not in seen
    }
    replaced = {tap for tap, end in unseen.items() if end.tmc is None and end.how is SettledBy.RECOVERED}
    for tap in town.count.forged & unseen.keys():
        intent = held[tap]
        if (
            tap in replaced
            and isinstance(intent, Intent)
            and intent.charge_minor == town.truth.charges.get(tap)
        ):
            continue
        found.unnoticed += 1
        found.problems.append(f"row {tap} states something false, and no alarm says so")
    for number, totals in books.terminals.items():
        stated = sum(tap[0] == number for tap in replaced)
        if totals.proven(Proof.REPLACED) != stated:
            found.unnoticed += 1
            found.problems.append(
                f"terminal {number} says of {stated} proofs that they were replaced,"
                f" {totals.proven(Proof.REPLACED)} are counted"
            )
    if town.count.forged:
        unnoticed = made_up(town, held)
        found.unnoticed += len(unnoticed)
        found.problems += [f"{what}: no alarm says so" for what in unnoticed]


def _twins(town: StormTown, found: Findings) -> None:
    """A machine that goes on under the number of another, or takes its place, has to be an alarm about that number."""
    seen = {alarm.terminal for alarm in town.store.alarms() if AlarmKind(alarm.kind) in FORKS}
    named = {alarm.terminal for alarm in town.store.alarms() if alarm.kind == AlarmKind.GAP}
    for number in town.count.replaced - named:
        found.unnoticed += 1
        found.problems.append(f"terminal {number} is new hardware, and nothing says so")
    for twin in town.twins:
        if twin.number not in seen:
            found.unnoticed += 1
            found.problems.append(f"two machines are terminal {twin.number}, and no alarm says so")


def _copies(town: StormTown, books: Reconciliation, found: Findings) -> None:
    """Each card that was used in two states has to be an alarm, where the card can prove what it did."""
    seen = {(alarm.terminal, alarm.sequence) for alarm in books.findings if alarm.kind == AlarmKind.TMC_TWICE}
    held = {(row.terminal, row.sequence): parse_record(row.body) for row in town.store.records()}
    proven = {
        (terminal, record.intent)
        for (terminal, _), record in held.items()
        if isinstance(record, Committed) and record.tmc is not None
    }
    for pair in town.count.copied:
        if set(pair) <= proven and len(set(pair)) > 1 and not seen & set(pair):
            found.unnoticed += 1
            found.problems.append(f"the taps {pair} of one card in two states raised no alarm")


def _fares(town: StormTown, held: dict[TapId, AnyRecord], named: set[TapId], found: Findings) -> None:
    """Every tap against the oracle, and what is on record of it."""
    for tap, charge_minor in town.truth.charges.items():
        intent = held.get(tap)
        if (
            isinstance(intent, Intent)
            and intent.charge_minor != charge_minor
            and tap not in town.count.forged
        ):
            found.money_mismatch_minor += abs(intent.charge_minor - charge_minor)
            found.problems.append(f"row {tap} says {intent.charge_minor}, the rules {charge_minor}")
    for tap, meal in town.truth.meals.items():
        if tap in named:
            continue
        intent = held.get(tap)
        said = intent.meal if isinstance(intent, Intent) else None
        if said is None or (said.kind, said.sources) != (meal.kind, meal.sources):
            found.misjudged += 1
            found.problems.append(f"the meal of row {tap} is {said}, by the rules {meal}")
    found.decided = town.truth.decided
    found.misjudged += len(town.truth.found)
    found.money_mismatch_minor += sum(one.off_minor for one in town.truth.found)
    found.problems += [one.what for one in town.truth.found]


def _tickets(town: StormTown, held: dict[TapId, AnyRecord], named: set[TapId], found: Findings) -> None:
    """Every sale for cash with its sum, and in the books those that were not taken back (T-53, T-54)."""
    taken_back = {
        (terminal, record.sale): record.sum_minor
        for (terminal, _), record in held.items()
        if isinstance(record, SaleCancelled)
    }
    sums = {
        row: record.sum_minor
        for row, record in held.items()
        if isinstance(record, CashSale) and row not in taken_back
    }
    for row, ticket in town.truth.tickets.items():
        said = taken_back.get(row) if ticket.cancelled else sums.get(row)
        if row not in named and said != ticket.sum_minor:
            found.money_mismatch_minor += ticket.sum_minor
            found.problems.append(f"a ticket in row {row} for {ticket.sum_minor} is on record with {said}")
    with closing(read_only(town.collector_folder / BOOKS_FILE)) as books:
        (booked,) = books.execute(_IN_CASH, (What.CASH, CountState.COUNTED)).fetchone()
    if booked != sum(sums.values()):
        found.money_mismatch_minor += abs(booked - sum(sums.values()))
        found.problems.append(f"the books have {booked} in cash, the rows {sum(sums.values())}")


def _skips(held: dict[TapId, AnyRecord]) -> list[tuple[int, NumbersSkipped]]:
    return [
        (terminal, record) for (terminal, _), record in held.items() if isinstance(record, NumbersSkipped)
    ]


def _named(held: dict[TapId, AnyRecord]) -> set[TapId]:
    """Rows that were reported as stored and that their terminals say they have lost (T-63)."""
    skips = _skips(held)
    return {
        (terminal, n) for terminal, skip in skips for n in range(skip.first, skip.stored + 1)
    } - held.keys()


def _promises(town: StormTown, held: dict[TapId, AnyRecord], named: set[TapId], found: Findings) -> None:
    skips = _skips(held)
    for post in town.posts:
        for sequence, record in post.journal.promised.items():
            tap = post.number, sequence
            if tap in named and town.count.faults.keys() & LOSES:
                found.lost_and_named += 1
            elif held.get(tap) != record:
                found.lost += 1
                found.problems.append(f"row {sequence} of terminal {post.number} was durable and is not held")
        found.duplicated += post.journal.reused
        if post.journal.reused:
            found.problems.append(f"terminal {post.number} used a sequence number twice")
        count = post.journal.head.sequence
        known = _known(post.number, held, skips)
        if known != count:
            found.lost += 1
            found.problems.append(f"terminal {post.number}: {count} rows, {known} held or passed over")


def _known(number: int, held: dict[TapId, AnyRecord], skips: list[tuple[int, NumbersSkipped]]) -> int:
    """How many numbers of a terminal are held, or passed over by a row that says so."""
    gaps = [range(skip.first, skip.last + 1) for terminal, skip in skips if terminal == number]
    gaps += [
        range(record.after + 1, sequence)
        for (terminal, sequence), record in held.items()
        if terminal == number and isinstance(record, Restored)
    ]
    outside = sum(
        terminal == number and not any(sequence in gap for gap in gaps) for terminal, sequence in held
    )
    return outside + sum(map(len, gaps))


def _rides(town: StormTown, held: dict[TapId, AnyRecord], named: set[TapId], found: Findings) -> None:
    on_cards: Counter[TapId] = Counter(tap for rider in town.riders for tap in rider.events)
    found.rides = len(on_cards)
    for tap, times in on_cards.items():
        if times > 1:
            found.duplicated += 1
            found.problems.append(f"two cards carry tap {tap}")
        if not isinstance(held.get(tap), Intent) and tap not in named:
            found.lost += 1
            found.problems.append(f"a card carries tap {tap}, of which there is no record")
    for rider in town.riders:
        found.duplicated += len(rider.doubled)
        found.problems += [f"two events of one card carry number {tap}" for tap in rider.doubled]
    for tap in town.count.let_in - on_cards.keys():
        found.lost += 1
        found.problems.append(f"tap {tap} was let in and never charged")
    for (terminal, sequence), record in held.items():
        if isinstance(record, Committed) and (terminal, record.intent) not in on_cards:
            found.duplicated += 1
            found.problems.append(f"row {sequence} of {terminal} claims a ride no card holds")
        if isinstance(record, NotCommitted) and (terminal, record.intent) in on_cards:
            found.lost += 1
            found.problems.append(f"row {sequence} of {terminal} denies a ride a card holds")
    found.duplicated += len(town.count.charged_twice)
    found.problems += town.count.charged_twice


def _unshown(town: StormTown, held: dict[TapId, AnyRecord], named: set[TapId]) -> set[TapId]:
    """Taps of unknown end that only a row showed which is lost and named: the card's next tap, which found their event.
    When the card comes back it no longer has that, and such a tap stays open, for people to see.
    """
    ended = {
        (terminal, record.intent)
        for (terminal, _), record in held.items()
        if isinstance(record, Committed | NotCommitted)
    }
    found_by = {
        (record.prev_terminal, record.prev_sequence)
        for record in held.values()
        if isinstance(record, Intent | Unwritten)
    }
    return {
        tap
        for rider in town.riders
        for tap, after in pairwise(rider.events)
        if after in named and isinstance(held.get(tap), Intent) and tap not in ended | found_by
    }


def _money(town: StormTown, books: Reconciliation, named: set[TapId], found: Findings) -> None:
    """Purses before and after against the collector's sums, and what is known to be lost: in all, and by terminal."""
    spent_minor = sum(rider.start_minor - purse_minor(rider.card) for rider in town.riders)
    lost = {tap for rider in town.riders for tap in rider.events.keys() & named}
    spent_minor -= sum(rider.events[tap] for rider in town.riders for tap in rider.events.keys() & named)
    currency = town.policy.currency
    charged_minor = books.total.charged_in(currency)
    found.charged_minor = charged_minor
    found.money_mismatch_minor = abs(spent_minor - charged_minor)
    by_terminal: Counter[int] = Counter()
    for rider in town.riders:
        for tap, amount_minor in rider.events.items():
            by_terminal[tap[0]] += 0 if tap in named else amount_minor
    apart = sum(
        abs(by_terminal[post.number] - books.terminals[post.number].charged_in(currency))
        for post in town.posts
        if post.number in books.terminals
    )
    found.money_mismatch_minor = max(found.money_mismatch_minor, apart)
    if found.money_mismatch_minor:
        found.problems.append(f"purses lost {spent_minor}, the collector sums {charged_minor}")
    counted = books.total.proven(*Proof)
    rides = found.rides - len(lost)
    if counted != rides:
        found.lost += max(0, rides - counted)
        found.duplicated += max(0, counted - rides)
        found.problems.append(f"the cards hold {rides} rides, the collector counts {counted}")


def _books(town: StormTown, whole: Reconciliation, found: Findings) -> None:
    """What the collector booked step by step, through its own crashes, is what all records add up to at once."""
    while town.book(1_000):
        pass
    assert town.books is not None
    booked = town.books.totals()
    for terminal, totals in whole.terminals.items():
        if booked.get(terminal) != totals:
            minor = booked[terminal].charged_in(town.policy.currency) if terminal in booked else 0
            found.money_mismatch_minor += abs(minor - totals.charged_in(town.policy.currency))
            found.problems.append(f"the books of terminal {terminal} are not what its records add up to")


def _alarms(town: StormTown, books: Reconciliation, unshown: int, found: Findings) -> None:
    found.unresolved_open = books.total.unresolved_open - unshown
    found.unresolved_settled = books.total.unresolved_settled
    if found.unresolved_open:
        found.problems.append(f"{found.unresolved_open} taps stay unresolved although their cards came back")
    alarms: list[Alarm | SeenAlarm] = [*books.findings, *town.store.alarms()]
    for alarm in alarms:
        causes = EXPECTED_ALARMS.get(AlarmKind(alarm.kind))
        if causes is None or (causes and not causes & town.count.faults.keys()):
            found.problems.append(
                f"alarm {alarm.kind} at row {alarm.sequence} of {alarm.terminal}: {alarm.detail}"
            )
    found.problems += [
        f"{count.kind} of terminal {count.terminal}: {count.detail}"
        for count in town.intake.strangers.take()
        if count.kind != AlarmKind.BAD_SIGNATURE  # a batch whose bytes were changed on its way
    ]
