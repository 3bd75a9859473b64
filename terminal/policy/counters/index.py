"""The counters of a region document, placed in the 56 bits of an event and grouped by when they begin again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import reduce
from operator import and_
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec import field as struct_field

from terminal.policy.base import Weekday
from terminal.policy.document.counters import COUNTER_BITS, Counters, Period

_BY_DATE = (
    Period.SERVICE_DAY,
    Period.SERVICE_WEEK,
    Period.SERVICE_MONTH,
    Period.HALF_YEAR,
    Period.YEAR,
)


EVERY_BIT: Final = (1 << COUNTER_BITS) - 1
REMEMBERED_DAYS: Final = 1024
"""Of how many pairs of days it is remembered what begins anew between them."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter inside the 56 bits of an event."""

    name: str
    shift: int
    mask: int
    period: Period
    unit_minor: int = 1
    kept: int = field(init=False)
    """The bits of all others."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kept", EVERY_BIT & ~(self.mask << self.shift))

    def read(self, counters: int) -> int:
        """Its value in `counters`."""
        return counters >> self.shift & self.mask

    def write(self, counters: int, value: int) -> int:
        """`counters` with this one set to `value`, which stays at the largest that fits."""
        fits = value if value < self.mask else self.mask
        return counters & self.kept | fits << self.shift


class CardCounters(Struct, frozen=True):
    """All counters of one layout."""

    layout: int
    by_name: Mapping[str, Counter]
    contracts: tuple[Counter, ...]
    journey: Counter | None
    kept_by_period: Mapping[Period, int]
    """For each period that begins anew with a date: the bits of all *other* counters."""
    kept_by_journey: int
    """The bits that stay when no journey is open."""
    kept_without_contracts: int
    """The bits that stay on a card with nothing in its contract slots."""
    week_offset: int
    _kept: dict[tuple[date, date], int] = struct_field(default_factory=dict)

    @classmethod
    def of(cls, counters: Counters) -> CardCounters:
        """Place the slots from the most significant bit downwards."""
        placed: dict[str, Counter] = {}
        free = COUNTER_BITS
        for slot in counters.slots:
            free -= slot.bits
            placed[slot.name] = Counter(slot.name, free, (1 << slot.bits) - 1, slot.period, slot.unit_minor)
        used = {slot.period for slot in counters.slots}
        return cls(
            layout=counters.layout,
            by_name=MappingProxyType(placed),
            contracts=tuple(placed[name] for name in counters.contracts),
            journey=None if counters.journey is None else placed[counters.journey],
            kept_by_period=MappingProxyType(
                {period: _others(placed, period) for period in _BY_DATE if period in used}
            ),
            kept_by_journey=_others(placed, Period.JOURNEY),
            kept_without_contracts=reduce(
                and_, (placed[name].kept for name in counters.contracts), EVERY_BIT
            ),
            week_offset=tuple(Weekday).index(counters.week_starts),
        )

    def carried_over(self, counters: int, then: date, today: date) -> int:
        """`counters` of a tap on service day `then` as they stand on `today`, which is not earlier."""
        if then == today:
            return counters
        kept = self._kept.get((then, today))
        return counters & (self._kept_from(then, today) if kept is None else kept)

    def begins(self, period: Period, day: date) -> date | None:
        """The first service day of the period that `day` is in; None for one that begins with no date."""
        if period is Period.SERVICE_DAY:
            return day
        if period is Period.SERVICE_WEEK:
            return day - timedelta((day.weekday() - self.week_offset) % 7)
        if period is Period.SERVICE_MONTH:
            return day.replace(day=1)
        if period is Period.HALF_YEAR:
            return date(day.year, 7 if day.month > 6 else 1, 1)
        return date(day.year, 1, 1) if period is Period.YEAR else None

    def _kept_from(self, then: date, today: date) -> int:
        """The bits whose period has not begun anew since `then`; remembered, as cards are tapped on few days."""
        kept_bits = EVERY_BIT
        for period, kept in self.kept_by_period.items():
            if self.begins(period, then) != self.begins(period, today):
                kept_bits &= kept
        if len(self._kept) == REMEMBERED_DAYS:
            self._kept.clear()
        self._kept[then, today] = kept_bits
        return kept_bits


def _others(placed: Mapping[str, Counter], period: Period) -> int:
    return EVERY_BIT & ~sum(c.mask << c.shift for c in placed.values() if c.period is period)
