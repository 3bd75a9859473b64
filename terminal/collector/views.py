"""What an operator is shown, as values: the same for the page, the commands and programs. Nothing personal in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from terminal.collector.books_reader import BooksReader
from terminal.collector.days import By, DaySum, totals_of
from terminal.collector.enrolment import Enrolment, EnrolmentState
from terminal.collector.issuing_orders import issuing_orders
from terminal.collector.order_sums import OrderSum, order_sums
from terminal.collector.proof import Proof
from terminal.collector.recompute.ledger import LEDGER_FILE, LedgerReader, lag_of
from terminal.collector.store import CollectorStore, SeenAlarm
from terminal.collector.strangers import StrangerCount
from terminal.collector.terminal_states import CLOCK, IN_FORCE, PLACE
from terminal.collector.totals import Totals, total_of
from terminal.recompute.rows import VerdictKind

SHOWN_ALARMS = 1_000


@dataclass(frozen=True, slots=True)
class TerminalView:
    """One terminal as the collector knows it. Ages are in seconds.

    `proven`, `unproven` and `differing` count its committed taps by what the cards say (`terminal.collector.proof`).
    `held` is how many of its rows are here, `unsent` how many it said it still had; the oldest of these is at most
    `oldest_unsent_s` old (None when it had none). What it has recorded since `last_batch_at_ms` is not known here.
    """

    terminal: int
    enrolment: EnrolmentState
    held: int
    unsent: int
    oldest_unsent_s: int | None
    last_batch_at_ms: int | None
    silent_s: int | None
    booked: int
    reader: str
    open_alarms: int
    proven: int
    unproven: int
    differing: int
    clock: str
    """The code of the doubt about its clock, empty for none."""
    place: str
    """Who said where the vehicle was at the newest tap: `vehicle`, `hand`, or empty."""
    in_force: dict[str, str]
    """What decisions are made from, by kind: id and version."""


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """Everything on one screen."""

    at_ms: int
    terminals: int
    silent: int
    records: int
    behind: int
    unresolved: int
    open_alarms: int
    strange_attempts: int
    newest_day: str | None
    recomputed: int
    """Decisions made again to the same bytes."""
    decided_otherwise: int
    undecided: int
    """Decisions that could not be made again: `terminal collector verdicts` says why."""
    not_recomputed: int
    """Rows held that the follower has not come to."""
    not_recomputed_s: int
    """Since the oldest of them arrived, in seconds."""
    proven: int
    """Taps whose card proved them."""
    unproven: int
    """Taps that no card's proof stands behind."""
    differing: int
    """Taps of which the card's proof says something else than their row."""


@dataclass(frozen=True, slots=True)
class DayView:
    """A service day by something, and all of it together, for each currency by itself. Money is in minor units."""

    day: str
    by: str
    behind: int
    lines: list[DaySum]
    totals: list[DaySum]
    orders: list[OrderSum]
    """Orders for cards that were done on that day: no ride, so in none of the lines."""


@dataclass(frozen=True, slots=True)
class ReportView:
    """Counts and money of all terminals and of each, and the alarms. `behind` rows are held and not yet counted."""

    total: Totals
    terminals: dict[int, Totals]
    alarms: list[SeenAlarm]
    behind: int
    orders: list[OrderSum]


class OperatorViews:
    """Answers an operator's questions from store, books and keys. Raises `CollectorError` only."""

    def __init__(
        self,
        store: CollectorStore,
        books: BooksReader,
        enrolment: Enrolment,
        silent_ms: int,
        write_strangers: Callable[[], None] = lambda: None,
    ) -> None:
        """`write_strangers` has what a running collector counted of strangers written down first."""
        self._write_strangers = write_strangers
        self.store = store
        self.books = books
        self.enrolment = enrolment
        self._silent_ms = silent_ms
        self.ledger = LedgerReader(store.path.with_name(LEDGER_FILE))

    def terminals(self, now_ms: int) -> list[TerminalView]:
        """Every terminal that is enrolled or was ever heard of, by number."""
        totals = self.books.totals()
        marks, states = self.books.marks(), {state.terminal: state for state in self.store.terminals()}
        of_terminals = self.books.states()
        alarms: dict[int, int] = {}
        for alarm in self.store.alarms(SHOWN_ALARMS, only_open=True):
            alarms[alarm.terminal] = alarms.get(alarm.terminal, 0) + 1
        enrolled = set(self.enrolment.numbers())
        views = []
        for number in sorted(enrolled | states.keys()):
            state, mark = states.get(number), marks.get(number)
            counted = totals.get(number) or Totals()
            unsent = state.unsent if state else 0
            newest_ms = mark.at_ms if mark else 0
            state_of = of_terminals.get(number, {})
            views.append(
                TerminalView(
                    terminal=number,
                    enrolment=self.enrolment.state_of(number),
                    held=state.rows if state else 0,
                    unsent=unsent,
                    oldest_unsent_s=max(0, now_ms - newest_ms) // 1000 if unsent and newest_ms else None,
                    last_batch_at_ms=state.received_at_ms if state else None,
                    silent_s=max(0, now_ms - state.received_at_ms) // 1000 if state else None,
                    booked=mark.sequence if mark else 0,
                    reader=mark.reader if mark else "",
                    open_alarms=alarms.get(number, 0),
                    proven=counted.proven(Proof.PROVEN),
                    unproven=counted.unproven,
                    differing=counted.proven(Proof.DIFFERING),
                    clock=state_of.get(CLOCK, ""),
                    place=state_of.get(PLACE, ""),
                    in_force={
                        what.removeprefix(IN_FORCE): value
                        for what, value in state_of.items()
                        if what.startswith(IN_FORCE)
                    },
                )
            )
        return views

    def status(self, now_ms: int) -> CollectorStatus:
        """The whole in a few numbers."""
        states, total = self.store.terminals(), total_of(self.books.totals().values())
        verdicts = self.ledger.totals()
        held = {state.terminal: state.sequence for state in states}
        lag_rows, lag_s = lag_of(self.ledger, held, self.store.received_at_ms, now_ms)
        return CollectorStatus(
            at_ms=now_ms,
            terminals=len(states),
            silent=sum(now_ms - state.received_at_ms > self._silent_ms for state in states),
            records=sum(state.rows for state in states),
            behind=self.books.behind(),
            unresolved=total.unresolved_open,
            open_alarms=self.store.open_alarms(),
            strange_attempts=sum(count.times for count in self.strangers()),
            newest_day=self.books.newest_day(now_ms),
            recomputed=verdicts.get(VerdictKind.RECOMPUTED, 0),
            decided_otherwise=verdicts.get(VerdictKind.DIFFERING, 0),
            undecided=verdicts.get(VerdictKind.UNPROVEN, 0),
            not_recomputed=lag_rows,
            not_recomputed_s=lag_s,
            proven=total.proven(Proof.PROVEN),
            unproven=total.unproven,
            differing=total.proven(Proof.DIFFERING),
        )

    def strangers(self) -> list[StrangerCount]:
        """What was tried without a good signature, the newest first; a fixed number of lines at most."""
        self._write_strangers()
        return self.store.strangers()

    def day(self, day: str, by: By) -> DayView:
        """The reconciliation of one service day."""
        lines = self.books.day(day, by)
        return DayView(day, by, self.books.behind(), lines, totals_of(lines), self.orders_of(day))

    def orders_of(self, day: str = "") -> list[OrderSum]:
        """Orders for cards that were done on a service day, or in a month; without one every order."""
        with self.store.changing() as connection:
            orders = issuing_orders(connection).values()
        return order_sums(orders, self.books.calendar().day_of, day) if day else order_sums(orders)

    def report(self) -> ReportView:
        """Everything since the beginning."""
        terminals = self.books.totals()
        total = total_of(terminals.values())
        return ReportView(total, terminals, self.store.alarms(), self.books.behind(), self.orders_of())
