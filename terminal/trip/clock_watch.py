"""Whether the terminal's clock can be trusted (O-05): the one place that decides it, asked at every tap and between.

What it goes by, besides the clock itself:

    the floor    the clock cannot be before it: when the software was made, the newest time the collector signed, and
                 the newest row written while the clock was in no doubt (since an operator last accepted it)
    the anchor   where the clock stood against the one that only runs forward, when it was last in no doubt
    the signed   the collector's acknowledgement says what time it is, and the running clock carries it on for a day

A doubt is a row (`ClockFault`), so it survives a restart. It ends when a signed time agrees, when the clock is back
where it was before it jumped, or when an operator accepts it. A service card ends no doubt: it confirms the time, and a
bus sells until the next doubt begins or the terminal starts again. Why the limits are what they are: ADR 26.
"""

from __future__ import annotations

from datetime import datetime
from queue import SimpleQueue
from typing import Final

from msgspec import Struct

from terminal.clock import Clock, unix_ms
from terminal.codes import ClockFault, Trouble
from terminal.errors import ClockRefused, JournalError
from terminal.journal.clock_ledger import ClockRows
from terminal.journal.journal import Journal
from terminal.journal.operation_records import (
    CLOCK_TOLERANCE_MS,
    ClockAccepted,
    ClockAuthenticated,
    ClockConfirmed,
)
from terminal.journal.records import Fault
from terminal.trip.facts import ClockState

DAY_MS: Final = 24 * 3_600_000
SIGNED_FOR_MS: Final = DAY_MS
"""How long the running clock carries a signed time on. A quartz loses some seconds in a day; the limit is minutes."""
KEEP_SIGNED_MS: Final = 6 * 3_600_000
"""Between two rows that keep the newest signed time for the next start: four rows a day, whatever the traffic."""


class Reading(Struct, frozen=True):
    """Wall clock and the clock that only runs forward, in milliseconds, taken together."""

    wall_ms: int
    monotonic_ms: int

    @property
    def offset_ms(self) -> int:
        return self.wall_ms - self.monotonic_ms


class ClockWatch:
    """One per terminal. All on the terminal's own thread except `hear`, and the properties, which may be read anywhere.

    `ahead_days`: how far the clock may run on without a signed or accepted time. `made_at`: when the software was.
    """

    def __init__(self, journal: Journal, clock: Clock, ahead_days: int, made_at: datetime) -> None:
        self._journal = journal
        self._clock = clock
        self.ahead_days = ahead_days
        """Changes with the region document."""
        self._made_ms = unix_ms(made_at)
        rows = journal.clock
        self._doubt = rows.doubt
        self._confirmed = False
        self._seen = self._read()
        self._anchor = None if rows.doubt else self._seen
        self._heard: SimpleQueue[tuple[int, Reading]] = SimpleQueue()
        self._signed: Reading | None = None
        self._agrees = False
        self._unwritten: list[Fault | ClockAuthenticated] = []
        self.jumps = 0
        """How often it was found to have jumped since the start."""

    # What is known

    @property
    def state(self) -> ClockState:
        """As of the last `look`."""
        return ClockState(
            suspect=self._doubt is not None,
            confirmed=self._confirmed,
            authenticated=self._agrees,
        )

    @property
    def doubt(self) -> Trouble | None:
        """Why the clock cannot be trusted at present; None when it can."""
        doubt = self._doubt
        return None if doubt is None else Trouble(ClockFault(doubt.code), doubt.inputs)

    @property
    def floor_ms(self) -> int:
        """The clock cannot be before this moment."""
        return floor_ms(self._journal.clock, self._made_ms)

    @property
    def off_s(self) -> int | None:
        """By how much the clock differs from the signed time, in seconds; None without one."""
        off_ms = self._off_ms(self._seen)
        return None if off_ms is None else round(off_ms / 1000)

    # What happens

    def hear(self, signed_ms: int) -> None:
        """The collector has signed that it is `signed_ms` now. Any thread; it counts from the next look."""
        self._heard.put((signed_ms, self._read()))

    def look(self) -> ClockState:
        """Compare the clock with all that is known of it now, and record what has changed."""
        now = self._read()
        while not self._heard.empty():
            signed_ms, at = self._heard.get()
            self._signed = Reading(signed_ms, at.monotonic_ms)
        off_ms = self._off_ms(now)
        self._agrees = off_ms is not None and abs(off_ms) <= CLOCK_TOLERANCE_MS
        if off_ms is not None and self._agrees:
            self._settle(now, now.wall_ms - off_ms)
        else:
            self._judge(now, off_ms)
        self._seen = now
        self._write()
        return self.state

    def confirm(self, operator_ref: str) -> bool:
        """A service card stands by the time as it is; whether that was asked for. Raises `JournalError`."""
        if not self.state.suspect or self.state.confirmed:
            return False
        self._journal.append(ClockConfirmed(self._read().wall_ms, operator_ref))
        self._confirmed = True
        return True

    def accept(self, operator_ref: str) -> None:
        """As `accept_clock`, while the terminal runs."""
        now = self._read()
        accept_clock(self._journal, now.wall_ms, operator_ref, self._made_ms)
        self._doubt, self._confirmed, self._signed = None, False, None
        self._unwritten.clear()
        self._anchor = self._seen = now

    # How it is judged

    def _read(self) -> Reading:
        return Reading(unix_ms(self._clock.now()), round(self._clock.monotonic() * 1000))

    def _off_ms(self, now: Reading) -> int | None:
        signed = self._signed
        if signed is None or now.monotonic_ms - signed.monotonic_ms > SIGNED_FOR_MS:
            return None
        return now.offset_ms - signed.offset_ms

    def _settle(self, now: Reading, signed_ms: int) -> None:
        """A signed time agrees: no doubt is left; now and then a row keeps the time for the next start."""
        self._anchor = now
        kept = self._journal.clock.authenticated
        if self._doubt is not None or kept is None or abs(signed_ms - kept.stated_ms) >= KEEP_SIGNED_MS:
            self._doubt, self._confirmed = None, False
            self._due(ClockAuthenticated(now.wall_ms, signed_ms))

    def _judge(self, now: Reading, off_ms: int | None) -> None:
        anchor = self._anchor
        moved_ms = 0 if anchor is None else now.offset_ms - anchor.offset_ms
        jumped_ms = now.offset_ms - self._seen.offset_ms
        in_place = anchor is not None and abs(moved_ms) <= CLOCK_TOLERANCE_MS
        if self._doubt is None:
            found = self._disagrees(off_ms) or self._jumped(moved_ms) or self._out_of_bounds(now)
            if found is None:
                self._renew(now)
            else:
                self._begin(now, found, off_ms, keep_anchor=not in_place)
        elif in_place and not self._disagrees(off_ms) and not self._out_of_bounds(now):
            self._doubt, self._confirmed = None, False
            self._due(Fault(now.wall_ms, ClockFault.WORKS))
        else:
            known = self._doubt.code == ClockFault.DISAGREES
            found = (None if known else self._disagrees(off_ms)) or self._jumped(jumped_ms)
            if found is not None:
                self._begin(now, found, off_ms, keep_anchor=True)

    def _begin(self, now: Reading, found: Trouble, off_ms: int | None, *, keep_anchor: bool) -> None:
        """A new doubt. One that no jump explains says that the clock was wrong before: there is no place to go back."""
        self.jumps += found.code is ClockFault.JUMPED
        self._doubt, self._confirmed = Fault(now.wall_ms, found.code, dict(found.inputs)), False
        self._anchor = self._anchor if keep_anchor else None
        self._due(self._doubt)
        if off_ms is not None and found.code is ClockFault.DISAGREES:
            self._due(ClockAuthenticated(now.wall_ms, now.wall_ms - off_ms))

    def _renew(self, now: Reading) -> None:
        """Once a day the anchor moves along: a clock that is kept right in small steps does not jump."""
        if self._anchor is None or now.monotonic_ms - self._anchor.monotonic_ms > SIGNED_FOR_MS:
            self._anchor = now

    @staticmethod
    def _disagrees(off_ms: int | None) -> Trouble | None:
        if off_ms is None or abs(off_ms) <= DAY_MS:
            return None
        return Trouble(ClockFault.DISAGREES, {"off_s": round(off_ms / 1000)})

    @staticmethod
    def _jumped(by_ms: int) -> Trouble | None:
        if abs(by_ms) <= CLOCK_TOLERANCE_MS:
            return None
        return Trouble(ClockFault.JUMPED, {"jump_s": round(by_ms / 1000)})

    def _out_of_bounds(self, now: Reading) -> Trouble | None:
        behind = behind_floor(self.floor_ms, now.wall_ms)
        if behind is not None:
            return behind
        known_ms = vouched_ms(self._journal.clock)
        ahead_ms = 0 if known_ms is None else now.wall_ms - known_ms
        if ahead_ms > self.ahead_days * DAY_MS:
            return Trouble(ClockFault.AHEAD, {"ahead_days": ahead_ms // DAY_MS})
        return None

    # What is recorded

    def _due(self, row: Fault | ClockAuthenticated) -> None:
        self._unwritten.append(row)

    def _write(self) -> None:
        """A journal that takes no row now says so at the tap itself, and a canteen goes on without one (O-06): what it
        did not take is offered again with the next look."""
        while self._unwritten:
            try:
                self._journal.append(self._unwritten[0])
            except JournalError:
                return
            del self._unwritten[0]


def accept_clock(journal: Journal, now_ms: int, operator_ref: str, made_ms: int) -> None:
    """Record that `operator_ref` answers for the clock as it stands at `now_ms`; no doubt is left, and older rows no
    longer say how late it must be.

    Raises `ClockRefused` for a moment before what was signed or before the software was made, which no person can
    answer for, or `JournalError`.
    """
    rows = journal.clock
    behind_ms = lowest_ms(rows, made_ms) - now_ms
    if behind_ms > CLOCK_TOLERANCE_MS:
        signed = rows.authenticated is not None and rows.authenticated.stated_ms > made_ms
        since = "the time the collector last signed" if signed else "the making of this software"
        raise ClockRefused(
            f"the clock is {behind_ms // 1000} s before {since}", "Set it first, then accept it."
        )
    journal.append(ClockAccepted(now_ms, operator_ref, "" if rows.doubt is None else rows.doubt.code))


def lowest_ms(rows: ClockRows, made_ms: int) -> int:
    """The part of the floor that no operator can lower."""
    return max(made_ms, rows.authenticated.stated_ms if rows.authenticated else 0)


def floor_ms(rows: ClockRows, made_ms: int) -> int:
    """The moment a clock cannot be before."""
    return max(lowest_ms(rows, made_ms), rows.newest_ms)


def behind_floor(floor: int, now_ms: int) -> Trouble | None:
    """The doubt of a clock at `now_ms` that is before the floor by more than clocks differ."""
    behind_ms = floor - now_ms
    if behind_ms <= CLOCK_TOLERANCE_MS:
        return None
    return Trouble(ClockFault.BEHIND, {"behind_s": round(behind_ms / 1000)})


def vouched_ms(rows: ClockRows) -> int | None:
    """The latest moment that was signed, or accepted since; None when there is none."""
    known = [rows.authenticated.stated_ms] if rows.authenticated else []
    known += [rows.accepted.at_ms] if rows.accepted else []
    return max(known, default=None)


def nearest_ms(rows: ClockRows, now_ms: int, made_ms: int, ahead_days: int) -> int:
    """The moment nearest to `now_ms` that nothing speaks against: not before the floor, not further on than a clock may
    run by itself. A doubt on record leaves the floor, the last moment that is known.
    """
    floor, known_ms = floor_ms(rows, made_ms), vouched_ms(rows)
    if rows.doubt is not None:
        return floor
    return max(floor, now_ms if known_ms is None else min(now_ms, known_ms + ahead_days * DAY_MS))


def is_suspect(rows: ClockRows, now_ms: int, made_ms: int, ahead_days: int) -> bool:
    """What a terminal that starts at `now_ms` would say of its clock."""
    off_ms = abs(now_ms - nearest_ms(rows, now_ms, made_ms, ahead_days))
    return rows.doubt is not None or off_ms > CLOCK_TOLERANCE_MS
