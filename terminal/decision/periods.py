"""The day whose periods the counters on a card belong to, whatever clocks wrote it (O-05, T-14).

A card states the service day of its newest event and, as a distance from it, its period day: the day whose week, month
and year the counters have been counted in. Only a clock that is not suspect moves the period day:

- it opens a later period, with the counters that begin anew there at 0;
- where its time was signed and the card is more than a day ahead, it lowers the period day to its own day and keeps
  every counter: nothing says which of them a clock that was ahead has already begun anew;
- in every other case the period day stays, and the distance to it is written.

A distance has six bits. At either end it says "that far or further": the period day is not known. A clock that is not
suspect takes the possible day that is nearest to its own, so a count is kept and never given anew; a suspect one
leaves it unknown (docs/adr/0026-periods-and-clocks.md).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cardproto.resident.records.event import MOST_DAYS_AHEAD, MOST_DAYS_BACK, Event, EventKind
from terminal.trip.facts import ClockState

LARGEST_LEAD_DAYS: Final = 1
"""A card this far ahead is ordinary: it has met the next service day a little early."""


class PeriodDays(Struct, frozen=True, gc=False):
    """The period day of one tap and what it comes from: this terminal's service day `today`, the card's period day
    before this tap (`card_day`) and after it (`day`).

    `meals_day` is the day of the meals on the card, `newest_day` the latest day the card has seen; None where that is
    not known.
    """

    today: date
    card_day: date
    day: date
    meals_day: date | None
    newest_day: date | None
    trusted: bool

    @property
    def known_day(self) -> date | None:
        """The period day after this tap; None where `day` is only the nearest one it may be."""
        return self.day if self.trusted or self.newest_day is not None else None

    @property
    def lifted(self) -> bool:
        """Whether this tap opens a later period day than the card's."""
        return self.day > self.card_day

    @property
    def lowered(self) -> bool:
        """Whether signed time has put the card's period day back."""
        return self.day < self.card_day

    @property
    def lead_days(self) -> int:
        """How many days the card was ahead of this terminal; negative when behind."""
        return (self.card_day - self.today).days

    @property
    def too_far_ahead(self) -> bool:
        """Whether a clock that is not suspect met a period day that it cannot have, and could not lower it."""
        return self.trusted and not self.lowered and self.lead_days > LARGEST_LEAD_DAYS

    @property
    def written(self) -> int:
        """The distance from `today` to `day` as the card can state it."""
        if self.day == self.today:
            return 0
        return min(max((self.day - self.today).days, -MOST_DAYS_BACK), MOST_DAYS_AHEAD)

    def kept(self) -> PeriodDays:
        """The same tap when it opens no period: the end of a ride belongs to the day it began on."""
        return replace(self, day=min(self.day, self.card_day))


def period_days(event: Event, event_day: date, today: date, clock: ClockState, *, stated: bool) -> PeriodDays:
    """The period day of a tap on service day `today`; `stated`: the terminal's time is one a card can state at all."""
    trusted = stated and not clock.suspect
    if not event.period_ahead:  # the card's period day is the event's, as on nearly every card
        day = _day(event_day, today, clock, trusted=trusted)
        return PeriodDays(today, event_day, day, event_day, event_day, trusted)
    card_day, open_ended = _card_day(event, event_day, today, trusted=trusted)
    day = _day(card_day, today, clock, trusted=trusted)
    newest_day = None if open_ended else max(event_day, card_day)
    return PeriodDays(today, card_day, day, _meals_day(event, event_day), newest_day, trusted)


def _card_day(event: Event, event_day: date, today: date, *, trusted: bool) -> tuple[date, bool]:
    """The card's period day, and whether it may as well be a later one."""
    ahead = event.period_ahead
    day = event_day + timedelta(days=ahead)
    if -MOST_DAYS_BACK < ahead < MOST_DAYS_AHEAD:
        return day, False
    if trusted:
        return (max(day, today), True) if ahead > 0 else (min(day, today), False)
    if ahead < 0 and event_day <= today:
        return day, False  # from here it is that far or further as well
    return today + timedelta(days=MOST_DAYS_AHEAD), True


def _day(card_day: date, today: date, clock: ClockState, *, trusted: bool) -> date:
    if not trusted or today == card_day:
        return card_day
    if today > card_day:
        return today
    lowers = clock.authenticated and (card_day - today).days > LARGEST_LEAD_DAYS
    return today if lowers else card_day


def _meals_day(event: Event, event_day: date) -> date | None:
    """The day of the meals: a canteen serves on its own, whatever the card's period; all others carry the period's.

    Which one these were, a distance at either end does not say.
    """
    if event.kind is EventKind.MEAL:
        return event_day
    exact = -MOST_DAYS_BACK < event.period_ahead < MOST_DAYS_AHEAD
    return event_day + timedelta(days=event.period_ahead) if exact else None
