"""What the card counts in its 56 bits, and when each begins again."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from terminal.policy.base import Fare, Name, Section, Weekday

COUNTER_BITS: Final = 56


class Period(StrEnum):
    """How long a counter counts before it starts at 0 again. Days, weeks and months are those of service days."""

    SERVICE_DAY = "service_day"
    SERVICE_WEEK = "service_week"
    SERVICE_MONTH = "service_month"
    HALF_YEAR = "half_year"
    YEAR = "year"
    CONTRACT = "contract"
    JOURNEY = "journey"
    KEPT = "kept"
    """Until a rule or a reload point sets it."""


class CounterSlot(Section, frozen=True, kw_only=True):
    """One counter in the event's 56 bits; slots follow each other from the most significant bit.

    A counter of money counts in units of `unit_minor`, which every price has to be a multiple of.
    """

    name: Name
    bits: Annotated[int, Meta(ge=1, le=16)]
    period: Period
    unit_minor: Fare = 1


class Counters(Section, frozen=True, kw_only=True):
    """How `Event.counters` is split. `contracts` names the counter of each contract slot, A then B: none where nothing
    that is sold counts (no pack, no pass from the first ride).

    `journey` remembers which transfer an open journey follows, where a document has more than one.
    """

    layout: Annotated[int, Meta(ge=1, le=15)]
    slots: tuple[CounterSlot, ...]
    contracts: tuple[Name, ...] = ()
    journey: Name | None = None
    week_starts: Weekday = Weekday.MONDAY
