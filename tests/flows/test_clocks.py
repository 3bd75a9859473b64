"""Terminals with clocks and journals of their own, one card: what a wrong clock does to the card's counts, live."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from sim.air import AirModel, VirtualClock
from sim.card.port import SimCard
from sim.reader import SimReader
from terminal.app.simulated import issue_residents
from terminal.app.station import journal_reader
from terminal.clock import unix_ms
from terminal.journal.records import Intent, parse_record
from terminal.lab.world import World, open_world
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.tap import Terminal, take_tap
from terminal.tap_report import TapReport
from terminal.trip.shifts import open_shift
from tests.terminal.cli.inside import Run, runner
from tests.terminal.decision.region import text_of
from tests.terminal.decision.test_periods import CAP, TWO_ROUBLES

OCT_31, NOV_1, NOV_2 = date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)
RIGHT, WRONG, CANTEEN = 70001, 70002, 80001
NO = timedelta(0)


@dataclass
class OwnClock:
    """The true time and how far this clock is off; it may be set while the terminal runs."""

    true: VirtualClock
    off: timedelta = NO

    def now(self) -> datetime:
        return self.true.now() + self.off

    def monotonic(self) -> float:
        return self.true.monotonic()


@dataclass
class Street:
    """Terminals by number, each with a clock and a journal of its own, and one card."""

    true: VirtualClock
    world: World
    card: SimCard
    terminals: dict[int, Terminal] = field(default_factory=dict)
    clocks: dict[int, OwnClock] = field(default_factory=dict)
    routes: int = 0

    def at(self, day: date, clock: str) -> None:
        moment = datetime.combine(day, time.fromisoformat(clock), self.world.policy.zone)
        self.true.advance((moment - self.true.now()).total_seconds())

    def tap(self, number: int) -> TapReport:
        """Hold the card to a terminal at a reader of its own, an hour and a half after the tap before."""
        reader = SimReader("reader", self.true, AirModel())
        reader.present(self.card)
        connection = reader.wait_for_card(0)
        assert connection is not None
        report = take_tap(connection, self.terminals[number])
        reader.release()
        reader.remove()
        self.true.advance(5400)
        return report

    def intents(self, number: int) -> list[Intent]:
        with journal_reader(self.world.folder / str(number)) as reader:
            records = [parse_record(row.body) for row in reader.all_rows()]
        return [record for record in records if isinstance(record, Intent)]


@contextmanager
def street(
    folder: Path, resident: str, day: date, region: str = "demo", **off: timedelta
) -> Iterator[Street]:
    """`off`: how far the clocks of the wrong bus and the canteen are off when they start."""
    folder.mkdir(parents=True)
    rng = random.Random(12)
    document = load_region(region)
    policy = Policy.of(document)
    true = VirtualClock(datetime.combine(day, time(6), policy.zone).astimezone(UTC))
    world = open_world(folder, region, policy, rng.randbytes)
    (card,) = issue_residents([resident], document.header.region, day, rng=rng.randbytes)
    made = Street(true, world, card)
    with ExitStack() as opened:
        for number, profile in ((RIGHT, "bus"), (WRONG, "bus"), (CANTEEN, "canteen")):
            clock = made.clocks[number] = OwnClock(true, off.get(f"of_{number}", NO))
            terminal = opened.enter_context(world.open_terminal(world.station(number, profile), clock))
            open_shift(terminal.journal, clock.now(), "demo", profile, route=number % 10, direction=0)
            made.terminals[number] = terminal
        yield made


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


def used(report: TapReport) -> int | str:
    return next(reason.inputs["used"] for reason in report.reasons if "used" in reason.inputs)


def follow(run: Run, folder: Path, region: str = "demo") -> None:
    """Every row of every terminal can be decided again, to the same bytes."""
    for number in (RIGHT, WRONG, CANTEEN):
        told = run("journal", "recompute", "--state", folder / str(number), "--region", region, "--json")
        assert told.returncode == 0, told.stdout + told.stderr
        assert json.loads(told.stdout)["differ"] == 0


def confirmed(terminal: Terminal) -> None:
    terminal.clock_watch.look()
    assert terminal.clock_watch.confirm("4711")


def test_o_05_a_bus_that_believes_it_is_yesterday_opens_no_month_again(tmp_path: Path, run: Run) -> None:
    with street(tmp_path / "s", "student_half_price", NOV_1, of_70002=timedelta(days=-1)) as town:
        town.at(NOV_1, "08:00")
        assert [used(town.tap(number)) for number in (RIGHT, WRONG, RIGHT)] == [7, 8, 9]
        wrong, *_ = town.intents(WRONG)
        assert "clock_suspect" not in wrong.flags
    follow(run, tmp_path / "s")


def test_o_05_the_days_cap_is_one_over_three_clocks(tmp_path: Path, run: Run) -> None:
    region = tmp_path / "capped.toml"
    region.write_text(text_of(CAP, **TWO_ROUBLES), encoding="utf-8")
    with street(tmp_path / "s", "adult_purse", NOV_2, str(region), of_70002=timedelta(days=-1)) as town:
        town.at(NOV_2, "06:30")
        charged = [town.tap(number).outcome.charge_minor for number in (RIGHT, RIGHT, WRONG, RIGHT, RIGHT)]
    assert charged == [200, 200, 200, 0, 0]
    follow(run, tmp_path / "s", str(region))


@pytest.mark.parametrize("jump", [timedelta(days=40), timedelta(days=-40), timedelta(days=400)])
def test_o_05_a_full_month_stays_full_after_a_bus_whose_clock_jumped(
    tmp_path: Path, run: Run, jump: timedelta
) -> None:
    with street(tmp_path / "s", "student_limit_used", NOV_2) as town:
        town.at(NOV_2, "08:00")
        assert town.tap(RIGHT).outcome.message == "limit_reached"
        town.clocks[WRONG].off = jump
        assert town.tap(WRONG).outcome.message == "clock_unconfirmed"
        confirmed(town.terminals[WRONG])
        assert town.tap(WRONG).outcome.accepted
        (wrong,) = town.intents(WRONG)
        assert "clock_suspect" in wrong.flags
        for number in (RIGHT, RIGHT):
            assert town.tap(number).outcome.message == "limit_reached"
        town.at(date(2026, 12, 1), "08:00")
        assert used(town.tap(RIGHT)) == 0
    follow(run, tmp_path / "s")


def test_o_05_signed_time_puts_a_card_back_that_an_unsuspected_clock_put_ahead(
    tmp_path: Path, run: Run
) -> None:
    with street(tmp_path / "s", "student_half_price", date(2026, 11, 27), of_70002=timedelta(days=6)) as town:
        town.at(date(2026, 11, 27), "08:00")
        assert [used(town.tap(number)) for number in (RIGHT, WRONG, RIGHT)] == [7, 0, 1]
        town.terminals[RIGHT].clock_watch.hear(unix_ms(town.true.now()))
        assert used(town.tap(RIGHT)) == 2, "the counts are kept"
        _, met, lowered = town.intents(RIGHT)
        (wrong,) = town.intents(WRONG)
        assert (met.flags, lowered.flags) == (("period_ahead",), ("period_lowered",))
        assert (met.prev_terminal, lowered.prev_terminal) == (WRONG, RIGHT)
        assert wrong.flags == ()
        town.at(date(2026, 12, 1), "08:00")
        assert used(town.tap(RIGHT)) == 0
    follow(run, tmp_path / "s")


@pytest.mark.parametrize(
    "off", [timedelta(days=-1), timedelta(days=40), timedelta(days=-40), timedelta(days=-20_700)]
)
def test_m_37_a_canteens_clock_turns_no_child_away_and_one_till_feeds_it_once(
    tmp_path: Path, run: Run, off: timedelta
) -> None:
    with street(tmp_path / "s", "pupil_grade3", NOV_2) as town:
        town.clocks[CANTEEN].off = off
        for day in (NOV_2, NOV_2 + timedelta(days=1), NOV_2 + timedelta(days=2)):
            town.at(day, "07:45")
            fed = [town.tap(CANTEEN).outcome.message, town.tap(CANTEEN).outcome.message]
            assert fed == ["meal_ok", "meal_already"]
            assert town.tap(RIGHT).outcome.accepted
    follow(run, tmp_path / "s")
