"""When a terminal's clock is in doubt and when it is not (O-05), over a real journal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from terminal.clock import from_unix_ms, unix_ms
from terminal.codes import Admission, ClockFault, Trouble
from terminal.errors import ClockRefused, JournalError
from terminal.journal.journal import Journal
from terminal.journal.operation_records import ClockAccepted, ClockAuthenticated, ClockConfirmed
from terminal.journal.records import AnyRecord, Fault, Started, Unwritten
from terminal.journal.verify import verify
from terminal.trip.clock_watch import ClockWatch
from terminal.trip.facts import ClockState

MADE = datetime(2026, 9, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 2, 7, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
TRUSTED = ClockState()
SUSPECT = ClockState(suspect=True)
CONFIRMED = ClockState(suspect=True, confirmed=True)
SIGNED = ClockState(authenticated=True)


class TwoHands:
    """The wall clock and the running clock; only `run` moves both."""

    def __init__(self, at: datetime) -> None:
        self.at, self.seconds = at, 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def run(self, by: timedelta) -> None:
        self.at += by
        self.seconds += by.total_seconds()


class Watching:
    """A terminal's journal and clock, and the watch over them; `start` is a new process."""

    def __init__(self, folder: Path, at: datetime) -> None:
        self.path = folder / "journal.db"
        self.clock = TwoHands(at)
        self.journal = Journal.open(self.path, 7)
        self.watch = ClockWatch(self.journal, self.clock, 30, MADE)

    def start(self, at: datetime | None = None, *, noted: bool = True) -> None:
        """Stop and start, at `at` by the clock of the machine; `noted`: in good order."""
        if noted:
            self.journal.close()
        else:
            self.journal.abandon()
        self.clock = TwoHands(self.clock.at if at is None else at)
        self.journal = Journal.open(self.path, 7)
        self.watch = ClockWatch(self.journal, self.clock, 30, MADE)

    def tap(self) -> ClockState:
        """What a tap finds, with the row it leaves."""
        state = self.watch.look()
        tap = Unwritten(unix_ms(self.clock.at), None, "bus", 0, "read_again", Admission.REFUSED, "", (), 0, 0)
        self.journal.append(tap)
        return state

    def hear(self, at: datetime) -> ClockState:
        """The collector signs that it is `at`; what the next look says."""
        self.watch.hear(unix_ms(at))
        return self.watch.look()

    @property
    def right(self) -> bool:
        return self.watch.look() == TRUSTED

    def rows(self, *kinds: type) -> list[AnyRecord]:
        return [row.record for row in self.journal.rows(limit=1000) if isinstance(row.record, kinds)]

    def faults(self) -> list[str]:
        return [record.code for record in self.rows(Fault) if isinstance(record, Fault)]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Watching]:
    made = Watching(tmp_path, NOW)
    yield made
    made.journal.close()
    found = verify(made.path)
    assert found.problem is None, found


@pytest.mark.parametrize(
    ("jump", "suspect"),
    [
        (5 * MINUTE, False),
        (5 * MINUTE + MINUTE / 60, True),
        (-5 * MINUTE, False),
        (-3 * DAY, True),
        (40 * DAY, True),
    ],
)
def test_a_jump_of_more_than_five_minutes_is_noticed_by_the_next_tap(
    at: Watching, jump: timedelta, suspect: bool
) -> None:
    assert at.tap() == TRUSTED
    at.clock.run(10 * MINUTE)
    at.clock.at += jump
    assert at.tap() == ClockState(suspect=suspect)
    at.clock.run(MINUTE)
    assert at.tap() == ClockState(suspect=suspect)
    jumped = [
        Fault(unix_ms(NOW + 10 * MINUTE + jump), "clock:jumped", {"jump_s": round(jump.total_seconds())})
    ]
    assert at.rows(Fault) == (jumped if suspect else [])


def test_small_steps_in_one_day_add_up_and_over_days_do_not(at: Watching) -> None:
    for _ in range(20):
        at.clock.run(DAY + MINUTE)
        at.clock.at += 4 * MINUTE
        assert at.tap() == TRUSTED
    at.clock.run(MINUTE)
    at.clock.at += 2 * MINUTE
    assert at.tap() == TRUSTED
    at.clock.at += 4 * MINUTE
    assert at.tap() == SUSPECT
    assert at.watch.doubt == Trouble(ClockFault.JUMPED, {"jump_s": 360})


def test_a_clock_back_where_it_was_is_in_no_doubt(at: Watching) -> None:
    at.tap()
    at.clock.at += 40 * DAY
    assert at.tap() == SUSPECT
    at.clock.run(MINUTE)
    at.clock.at -= 39 * DAY
    assert at.tap() == SUSPECT
    at.clock.at -= DAY
    assert at.tap() == TRUSTED
    assert at.faults() == ["clock:jumped", "clock:jumped", "clock:works"]
    assert at.watch.floor_ms == unix_ms(NOW + MINUTE), "what was written in doubt does not count"


@pytest.mark.parametrize("noted", [True, False])
def test_a_clock_that_starts_behind_the_newest_tap_is_in_doubt_until_it_is_accepted(
    at: Watching, noted: bool
) -> None:
    at.tap()
    at.start(NOW - 3 * DAY, noted=noted)
    assert at.tap() == SUSPECT
    assert at.watch.doubt == Trouble(ClockFault.BEHIND, {"behind_s": 3 * 86_400})
    at.clock.run(4 * DAY)
    assert at.tap() == SUSPECT, "it was wrong, and no time that passes makes it right"
    at.watch.accept("17")
    assert at.tap() == TRUSTED
    assert at.rows(ClockAccepted) == [ClockAccepted(unix_ms(NOW + DAY), "17", "clock:behind")]


def test_a_start_a_little_behind_is_what_any_clock_may_be(at: Watching) -> None:
    at.tap()
    at.start(NOW - 5 * MINUTE)
    assert at.tap() == TRUSTED


def test_a_clock_before_the_software_was_made_is_in_doubt_and_cannot_be_accepted(at: Watching) -> None:
    at.start(MADE - DAY)
    assert at.tap() == SUSPECT
    with pytest.raises(ClockRefused, match="before the making of this software"):
        at.watch.accept("17")
    assert at.tap() == SUSPECT


def test_other_rows_than_taps_do_not_say_how_late_it_is(at: Watching) -> None:
    """The clock is looked at before a tap; a start in 2028 writes its row before anybody looks."""
    at.journal.append(Started(unix_ms(NOW + 500 * DAY), "a program"))
    at.start(NOW)
    assert at.tap() == TRUSTED


def test_taps_in_a_year_to_come_and_the_way_back(at: Watching) -> None:
    """Nothing says that the first start is in 2028; back in 2026 a record ends the doubt and lowers the floor."""
    at.start(NOW + 425 * DAY)
    assert [at.tap() for _ in range(4)] == [TRUSTED] * 4
    at.start(NOW)
    assert at.tap() == SUSPECT
    at.watch.accept("17")
    assert at.tap() == TRUSTED
    for _ in range(2):
        at.start()
        assert (at.tap(), at.watch.floor_ms) == (TRUSTED, unix_ms(NOW))


@pytest.mark.parametrize(
    ("off", "state"),
    [
        (timedelta(), SIGNED),
        (5 * MINUTE, SIGNED),
        (-5 * MINUTE, SIGNED),
        (6 * MINUTE, TRUSTED),
        (DAY, TRUSTED),
        (DAY + MINUTE, SUSPECT),
        (-DAY - MINUTE, SUSPECT),
    ],
)
def test_a_signed_time_is_believed_more_than_the_clock(
    at: Watching, off: timedelta, state: ClockState
) -> None:
    at.tap()
    assert at.hear(NOW - off) == state
    assert at.watch.off_s == off.total_seconds()
    if state.suspect:
        assert at.watch.doubt == Trouble(ClockFault.DISAGREES, {"off_s": round(off.total_seconds())})


def test_a_signed_time_holds_a_day_and_ends_with_a_jump(at: Watching) -> None:
    assert at.hear(NOW) == SIGNED
    at.clock.run(DAY)
    assert at.tap() == SIGNED
    at.clock.run(MINUTE)
    assert at.tap() == TRUSTED
    at.hear(at.clock.at)
    at.clock.at += 6 * MINUTE
    assert at.tap() == SUSPECT
    at.clock.at -= 6 * MINUTE
    assert at.tap() == SIGNED


def test_a_signed_time_that_agrees_ends_a_doubt_and_lowers_the_floor(at: Watching) -> None:
    at.start(NOW + 425 * DAY)
    at.tap()
    at.start(NOW)
    assert at.tap() == SUSPECT
    assert at.hear(NOW + MINUTE) == SIGNED
    at.start()
    assert at.tap() == TRUSTED
    assert at.rows(ClockAuthenticated) == [ClockAuthenticated(unix_ms(NOW), unix_ms(NOW + MINUTE))]


def test_a_clock_put_right_after_the_collector_objected_needs_nobody(at: Watching) -> None:
    at.start(NOW + 40 * DAY)
    assert at.tap() == TRUSTED
    assert at.hear(NOW) == SUSPECT
    at.clock.run(60 * MINUTE)
    at.clock.at -= 40 * DAY
    assert at.tap() == SIGNED


def test_a_signed_time_is_kept_for_the_next_start_a_few_times_a_day(at: Watching) -> None:
    for _ in range(4 * 24 * 2):
        at.clock.run(15 * MINUTE)
        assert at.hear(at.clock.at) == SIGNED
    assert len(at.rows(ClockAuthenticated)) == 8
    newest = at.clock.at
    at.start(newest + 31 * DAY)
    assert at.tap() == SUSPECT
    assert at.watch.doubt == Trouble(ClockFault.AHEAD, {"ahead_days": 31})
    at.watch.accept("17")
    at.clock.run(29 * DAY)
    assert at.tap() == TRUSTED
    at.clock.run(2 * DAY)
    assert at.tap() == SUSPECT, "31 days without a signed or accepted time"


def test_no_operator_can_accept_a_clock_before_a_signed_time(at: Watching) -> None:
    at.hear(NOW)
    at.start(NOW - 6 * MINUTE)
    assert at.tap() == SUSPECT
    with pytest.raises(ClockRefused, match="360 s before the time the collector last signed"):
        at.watch.accept("17")
    at.start(NOW - 5 * MINUTE)
    at.watch.accept("17")
    assert at.tap() == TRUSTED


def test_the_newest_signed_time_counts_even_when_it_is_earlier(at: Watching) -> None:
    """A collector whose own clock was a year ahead for a day does not leave terminals in doubt for a year."""
    assert at.hear(NOW + 365 * DAY) == SUSPECT
    at.clock.run(MINUTE)
    assert at.hear(NOW + MINUTE) == SIGNED
    at.start()
    assert at.tap() == TRUSTED


def test_a_doubt_survives_restarts_and_a_confirmation_does_not(at: Watching) -> None:
    """Between two runs nothing measures how far the clock has gone."""
    at.tap()
    at.clock.at += 40 * DAY
    assert at.tap() == SUSPECT
    assert at.watch.confirm("17")
    assert at.tap() == CONFIRMED
    assert not at.watch.confirm("17"), "once is enough"
    for noted in (True, False):
        at.start(noted=noted)
        assert at.tap() == SUSPECT
    assert at.rows(ClockConfirmed) == [ClockConfirmed(unix_ms(NOW + 40 * DAY), "17")]
    assert at.faults() == ["clock:jumped"]


def test_each_new_doubt_asks_for_a_service_card_again(at: Watching) -> None:
    at.tap()
    at.clock.at -= 3 * DAY
    at.tap()
    at.watch.confirm("17")
    at.clock.run(MINUTE)
    at.clock.at -= 10 * MINUTE
    assert at.tap() == SUSPECT
    at.watch.confirm("17")
    assert at.hear(NOW) == SUSPECT, "the collector objects"
    at.watch.confirm("17")
    at.clock.run(MINUTE)
    assert at.hear(NOW + MINUTE) == CONFIRMED, "as it did before"
    assert at.faults() == ["clock:jumped", "clock:jumped", "clock:disagrees"]


def test_a_clock_in_no_doubt_is_not_confirmed(at: Watching) -> None:
    assert not at.watch.confirm("17")
    assert (at.rows(ClockConfirmed), at.right) == ([], True)


class Refusing:
    """A journal that takes nothing for a while."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.broken = journal, True

    @property
    def clock(self) -> object:
        return self.journal.clock

    def append(self, record: AnyRecord) -> int:
        if self.broken:
            raise JournalError("no room", "Free some.")
        return self.journal.append(record)


def test_a_doubt_that_cannot_be_recorded_holds_and_is_recorded_later(at: Watching) -> None:
    refusing = Refusing(at.journal)
    watch = ClockWatch(refusing, at.clock, 30, MADE)  # type: ignore[arg-type]  # a journal as far as it is used
    at.clock.at -= DAY
    assert watch.look() == SUSPECT
    with pytest.raises(JournalError):
        watch.confirm("17")
    assert watch.look() == SUSPECT
    refusing.broken = False
    assert watch.look() == SUSPECT
    assert at.faults() == ["clock:jumped"]


def test_what_the_rows_say_of_the_clock_outlives_the_rows(at: Watching) -> None:
    """Rows that left after their retention have said what they had to say."""
    at.tap()
    at.hear(NOW)
    at.clock.at += 40 * DAY
    at.tap()
    before = at.journal.clock
    at.journal.checkpoint()
    head = at.journal.head
    at.journal.acknowledge(head.sequence, head.hash, unix_ms(NOW))
    assert at.journal.purge(0, unix_ms(NOW + DAY)) > 0
    at.start()
    assert at.journal.rows() == []
    assert at.journal.clock == before
    assert before.doubt is not None
    assert from_unix_ms(before.newest_ms) == NOW
