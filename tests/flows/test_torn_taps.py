"""K-03, recovery: a card pulled at any exchange is charged once, and its ride is on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sim.faults import FaultPlan, corrupt, silence, tear_after, tear_before
from terminal.app.station import journal_key
from terminal.journal.records import Committed, Intent, NotCommitted, Unresolved, Unwritten, parse_record
from terminal.journal.taps import End
from terminal.lab.town import TerminalSite, Town
from terminal.lab.world import purse_minor
from tests.flows.conftest import COUNTER_A, COUNTER_B, FRONT, REAR, OpenTown


@dataclass(frozen=True)
class Writer:
    """A resident whose tap writes the card, and what one tap must take from the purse."""

    resident: str
    first: TerminalSite
    other: TerminalSite
    exchanges: int
    charge_minor: int

    @property
    def stops(self) -> tuple[TerminalSite, TerminalSite]:
        return self.first, self.other


WRITERS = (
    Writer("adult_purse", FRONT, REAR, 8, 2400),
    Writer("month_pass", FRONT, REAR, 7, 0),
    Writer("social_pack_45", FRONT, REAR, 7, 0),
    Writer("free_pensioner", FRONT, REAR, 7, 0),
    Writer("student_half_price", FRONT, REAR, 8, 2000),
    Writer("pupil_grade3", COUNTER_A, COUNTER_B, 7, 0),
    Writer("pupil_two_meals", COUNTER_A, COUNTER_B, 7, 0),
)


def tears(writer: Writer) -> list[FaultPlan]:
    return [tear(n) for n in range(1, writer.exchanges + 1) for tear in (tear_before, tear_after)]


CASES = [
    pytest.param(writer, plan, moved, id=f"{writer.resident}-{plan.faults[0]}-{'moved' if moved else 'same'}")
    for writer in WRITERS
    for plan in tears(writer)
    for moved in (False, True)
]


@dataclass(frozen=True)
class Ledger:
    """What the journals of all terminals say of taps: every intent must have found its end or be open."""

    intents: dict[tuple[int, int], Intent]
    committed: set[tuple[int, int]]
    not_committed: set[tuple[int, int]]
    unresolved: set[tuple[int, int]]
    refused: list[Unwritten]

    @classmethod
    def of(cls, town: Town) -> Ledger:
        ledger = cls({}, set(), set(), set(), [])
        for number, terminal in town.terminals.items():
            for row in terminal.journal.rows(0, 10_000):
                ledger._take(number, row.sequence, parse_record(row.body))
        return ledger

    def _take(self, number: int, sequence: int, record: object) -> None:
        match record:
            case Intent():
                self.intents[number, sequence] = record
            case Committed(intent=intent):
                assert (number, intent) not in self.committed, "one end for each intent"
                self.committed.add((number, intent))
            case NotCommitted(intent=intent):
                self.not_committed.add((number, intent))
            case Unresolved(intent=intent):
                self.unresolved.add((number, intent))
            case Unwritten():
                self.refused.append(record)
            case _:
                pass

    @property
    def written(self) -> set[tuple[int, int]]:
        """Intents whose event the card holds, told by the journals alone: committed, or seen by a later tap."""
        taps: list[Intent | Unwritten] = [*self.refused, *self.intents.values()]
        seen = {(tap.prev_terminal, tap.prev_sequence) for tap in taps}
        return self.committed | (seen & set(self.intents))


@pytest.mark.parametrize(("writer", "plan", "moved"), CASES)
def test_torn_tap_is_charged_once_and_recorded(
    town_of: OpenTown, writer: Writer, plan: FaultPlan, moved: bool
) -> None:
    with town_of(writer.resident, stops=writer.stops) as town:
        before_minor = town.purses_minor()
        torn = town.tap(writer.first.number, writer.resident, plan).report
        assert torn.end in (End.NOTHING_WRITTEN, End.NOT_COMMITTED, End.UNRESOLVED)
        assert not torn.outcome.accepted
        town.clock.advance(5)
        again = town.tap((writer.other if moved else writer.first).number, writer.resident).report
        spent_minor = before_minor - town.purses_minor()
        ledger = Ledger.of(town)
        assert spent_minor == writer.charge_minor, "charged exactly once"
        assert sum(ledger.intents[tap].charge_minor for tap in ledger.written) == spent_minor
        assert len(ledger.written) == 1, "exactly one ride or meal stands on record"
        served_elsewhere = moved and torn.end is End.UNRESOLVED and again.end is End.NOTHING_WRITTEN
        assert again.outcome.accepted or (served_elsewhere and again.outcome.message == "meal_already")


LUGOVOE = str(Path(__file__).parents[2] / "docs" / "examples" / "tariffs" / "lugovoe.toml")
TOWN_BUS = TerminalSite(71001, "bus", "town bus", route=1)
OUT = TerminalSite(71011, "bus", "suburban bus, front door", route=101)
OUT_REAR = TerminalSite(71012, "bus", "suburban bus, rear door", route=101)
BACK = TerminalSite(71021, "bus", "suburban bus back, front door", route=101, direction=1)
BACK_REAR = TerminalSite(71022, "bus", "suburban bus back, rear door", route=101, direction=1)
SUBURBAN = (TOWN_BUS, OUT, OUT_REAR, BACK, BACK_REAR)


@dataclass(frozen=True)
class Remembered:
    """A ride that costs less for what the card remembers: the ride before it, the time between, its price at either
    door, and another ride so much later that shows what is remembered then.
    """

    before: TerminalSite
    gap_s: int
    first: TerminalSite
    other: TerminalSite
    charge_minor: int
    later_s: int
    later: TerminalSite
    later_minor: int


REMEMBERED = {
    "dearer": Remembered(TOWN_BUS, 600, OUT, OUT_REAR, 3600, 600, TOWN_BUS, 0),
    "way back": Remembered(OUT, 7200, BACK, BACK_REAR, 3000, 5500, BACK, 6000),
    "outward": Remembered(BACK, 15000, OUT, OUT_REAR, 6000, 14300, BACK, 3000),
}


@pytest.mark.parametrize("moved", [False, True], ids=["same", "moved"])
@pytest.mark.parametrize("tear", [tear_before, tear_after])
@pytest.mark.parametrize("ride", REMEMBERED)
def test_a_torn_ride_leaves_what_the_card_remembers_once(
    town_of: OpenTown, ride: str, tear: Callable[[int], FaultPlan], moved: bool
) -> None:
    """T-38, T-39: torn where the card is written and tapped again, it costs the difference or the way back once, and
    later rides find the dearest price and the outward ride as one ride leaves them.
    """
    case = REMEMBERED[ride]
    for exchange in range(6, 9):  # the last of those that read, and the two that write
        with town_of("adult_purse", folder=f"{exchange}", stops=SUBURBAN, region=LUGOVOE) as town:
            assert town.tap(case.before.number, "adult_purse").report.outcome.accepted
            town.clock.advance(case.gap_s)
            before_minor = town.purses_minor()
            torn = town.tap(case.first.number, "adult_purse", tear(exchange)).report
            assert not torn.outcome.accepted
            town.clock.advance(5)
            again = town.tap((case.other if moved else case.first).number, "adult_purse").report
            assert again.outcome.accepted
            assert before_minor - town.purses_minor() == case.charge_minor
            town.clock.advance(case.later_s)
            before_minor = town.purses_minor()
            assert town.tap(case.later.number, "adult_purse").report.outcome.accepted
            assert before_minor - town.purses_minor() == case.later_minor


def test_a_settled_tap_lets_nobody_in_after_the_card_went_on_elsewhere(town_of: OpenTown) -> None:
    """It was written, and its rider has boarded another bus since: who comes now rides by a decision of its own."""
    elsewhere = TerminalSite(70003, "bus", "another bus", route=2)
    with town_of("adult_purse", stops=(FRONT, elsewhere)) as town:
        before_minor = town.purses_minor()
        assert town.tap(FRONT.number, "adult_purse", tear_after(8)).report.end is End.UNRESOLVED
        town.clock.advance(3)
        assert town.tap(elsewhere.number, "adult_purse").report.end is End.COMMITTED
        town.clock.advance(3)
        again = town.tap(FRONT.number, "adult_purse").report
        assert again.end is End.COMMITTED
        assert not town.terminals[FRONT.number].journal.open_intents()
        assert before_minor - town.purses_minor() >= 2 * 2400


@pytest.mark.parametrize("writer", WRITERS, ids=lambda w: w.resident)
def test_unresolved_tap_survives_a_restart(town_of: OpenTown, writer: Writer) -> None:
    with town_of(writer.resident, stops=writer.stops) as town:
        town.tap(writer.first.number, writer.resident, tear_after(writer.exchanges))
        journal = town.terminals[writer.first.number].journal
        (open_sequence, intent), *more = journal.open_intents()
        assert not more
        assert intent.charge_minor == writer.charge_minor
        journal.close()
        reopened = type(journal).open(journal.path, journal.terminal, key=journal_key(journal.path))
        town.terminals[writer.first.number].journal = reopened
        town.clock.advance(5)
        again = town.tap(writer.first.number, writer.resident).report
        assert again.end is End.RECOVERED
        assert again.sequence == open_sequence
        assert again.outcome.accepted
        assert not reopened.open_intents()
        reopened.close()


@pytest.mark.parametrize("writer", WRITERS, ids=lambda w: w.resident)
def test_corrupted_commit_answer_is_settled_while_the_card_is_there(
    town_of: OpenTown, writer: Writer
) -> None:
    """The commit ran but its answer does not verify: the card is asked at once what it did."""
    with town_of(writer.resident, stops=writer.stops) as town:
        report = town.tap(writer.first.number, writer.resident, corrupt(writer.exchanges, 3)).report
        assert report.end is End.COMMITTED
        assert report.outcome.accepted
        assert len(Ledger.of(town).committed) == 1


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
@pytest.mark.parametrize("exchange", range(1, 9))
def test_silence_at_any_exchange(town_of: OpenTown, exchange: int, executed: bool) -> None:
    with town_of("adult_purse") as town:
        before_minor = town.purses_minor()
        silent = town.tap(
            FRONT.number, "adult_purse", silence(exchange, lasts_s=1.5, executed=executed)
        ).report
        assert not silent.outcome.accepted
        town.clock.advance(5)
        again = town.tap(FRONT.number, "adult_purse").report
        assert again.outcome.accepted
        assert before_minor - town.purses_minor() == 2400


def test_tears_in_a_row_never_add_up(town_of: OpenTown) -> None:
    """Torn again while being settled, at every exchange: still one charge in the end."""
    for second in range(1, 7):
        for tear in (tear_before, tear_after):
            with town_of("adult_purse", folder=f"{tear.__name__}{second}") as town:
                before_minor = town.purses_minor()
                town.tap(FRONT.number, "adult_purse", tear_after(8))
                town.clock.advance(4)
                town.tap(FRONT.number, "adult_purse", tear(second))
                town.clock.advance(4)
                last = town.tap(FRONT.number, "adult_purse").report
                assert last.outcome.accepted
                assert before_minor - town.purses_minor() == 2400
                assert purse_minor(town.cards["adult_purse"]) == last.balance_before_minor  # type: ignore[arg-type]


def test_settled_late_is_a_new_ride(town_of: OpenTown) -> None:
    """Back after the retap window: the first ride stands and is settled, the new one is paid."""
    with town_of("adult_purse") as town:
        before_minor = town.purses_minor()
        town.tap(FRONT.number, "adult_purse", tear_after(8))
        town.clock.advance(3 * 3600)
        report = town.tap(FRONT.number, "adult_purse").report
        assert report.end is End.COMMITTED
        ledger = Ledger.of(town)
        assert len(ledger.committed) == 2
        assert before_minor - town.purses_minor() == 4800


def test_card_that_moved_on_settles_from_older_events(town_of: OpenTown) -> None:
    """Torn here, used elsewhere, back here: the older events the card keeps tell what the torn tap did."""
    for tear, ends in ((tear_after, "committed"), (tear_before, "not_committed")):
        with town_of("adult_purse", folder=ends) as town:
            town.tap(FRONT.number, "adult_purse", tear(8))
            town.clock.advance(2 * 3600)
            assert town.tap(REAR.number, "adult_purse").report.end is End.COMMITTED
            town.clock.advance(2 * 3600)
            assert town.tap(FRONT.number, "adult_purse").report.end is End.COMMITTED
            assert not town.terminals[FRONT.number].journal.open_intents()
            assert len(getattr(Ledger.of(town), ends)) >= 1


class Died(BaseException):
    """The terminal's process is gone."""


def test_terminal_dies_while_it_settles(town_of: OpenTown) -> None:
    """At any of its own steps: whoever has not heard "go" is not charged a second time."""
    for step in ("signal", "append"):
        with town_of("adult_purse", folder=step) as town:
            before_minor = town.purses_minor()
            terminal = town.terminals[FRONT.number]
            town.tap(FRONT.number, "adult_purse", tear_after(8))
            town.clock.advance(4)
            owner = terminal if step == "signal" else terminal.journal
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(owner, step, _dies_after(getattr(owner, step)))
                with pytest.raises(Died):
                    town.tap(FRONT.number, "adult_purse")
            town.clock.advance(20)
            assert town.tap(FRONT.number, "adult_purse").report.outcome.accepted
            heard_go = step == "append"
            assert before_minor - town.purses_minor() == (4800 if heard_go else 2400)


def _dies_after(work: Callable[[Any], object]) -> Callable[[Any], object]:
    def last(argument: Any) -> object:
        work(argument)
        raise Died

    return last
