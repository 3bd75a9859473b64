"""What scopes, seasons and references to counters must satisfy, wherever in a document they stand."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from terminal.policy.document.counters import CounterSlot, Period
from terminal.policy.document.rights import Scope, Season
from terminal.policy.document.schema import RegionDocument
from terminal.policy.problem import Problem, unique, unknown
from terminal.policy.scopes import YearlySeason

DATED: Final = (
    Period.SERVICE_DAY,
    Period.SERVICE_WEEK,
    Period.SERVICE_MONTH,
    Period.HALF_YEAR,
    Period.YEAR,
)
LEAP_YEAR: Final = 2024
DAYS_OF_A_YEAR: Final = 366


def scope_problems(path: str, scope: tuple[Scope, ...], document: RegionDocument) -> Iterator[Problem]:
    """Everything wrong with a scope at `path`."""
    known = [zone.name for zone in document.zones]
    for index, one in enumerate(scope):
        at = f"{path}[{index}]"
        if one == Scope():
            yield Problem(
                at, "names nothing, so it is every ride", "Name modes, routes or zones, or remove it."
            )
        for key, names in (("zones", one.zones), ("touching", one.touching)):
            yield from unique(f"{at}.{key}", names)
            for number, name in enumerate(names):
                if name not in known:
                    yield unknown(f"{at}.{key}[{number}]", "zone", name, known)
        yield from unique(f"{at}.modes", one.modes)
        yield from unique(f"{at}.routes", one.routes)


def season_problems(path: str, season: Season | None, document: RegionDocument) -> Iterator[Problem]:
    """Days that no year has, and a season the document never sees."""
    if season is None:
        return
    wrong = list(_no_such_days(path, season))
    yield from wrong
    first, end = document.header.valid_from.date(), document.header.valid_to.date()
    if not wrong and not _sees(document, YearlySeason.of(season)):
        what = f"no day from {first} to {end} is in it, so it never holds"
        yield Problem(path, what, "Correct the season, or the dates of the document.")


def _no_such_days(path: str, season: Season) -> Iterator[Problem]:
    for key, day in (("first", season.first), ("last", season.last)):
        month, number = map(int, day.split("-"))
        last = monthrange(LEAP_YEAR, month)[1]
        if number > last:
            advice = f"Use {month:02d}-{last} at the latest."
            yield Problem(f"{path}.{key}", f"no year has a day {day}", advice)


def _sees(document: RegionDocument, season: YearlySeason) -> bool:
    """Whether some day of the document is in `season`; of leap days only those it really has."""
    first, end = document.header.valid_from.date(), document.header.valid_to.date()
    days = (end - first).days
    near = range(min(days, DAYS_OF_A_YEAR) + 1)
    if any(season.holds(first + timedelta(days=n)) for n in near):
        return True
    return days > DAYS_OF_A_YEAR and any(season.holds(first + timedelta(days=n)) for n in range(days + 1))


def slots_of(document: RegionDocument) -> Mapping[str, CounterSlot]:
    """The counters on the card by name."""
    return {slot.name: slot for slot in document.counters.slots}


def counter_problems(
    path: str,
    name: str,
    document: RegionDocument,
    periods: tuple[Period, ...],
    most: int,
    *,
    server: bool = False,
) -> Iterator[Problem]:
    """Whether `name` is a counter of one of `periods` that can count to `most`; `server`: or one of the server."""
    slots = slots_of(document)
    kept_by_server = {counter.name: counter for counter in document.counters.server} if server else {}
    slot = slots.get(name) or kept_by_server.get(name)
    if slot is None:
        yield unknown(path, "counter", name, [*slots, *kept_by_server])
        return
    if slot.period not in periods:
        wanted = " or ".join(periods)
        yield Problem(path, f"`{name}` counts per {slot.period}", f"Use a counter of period {wanted}.")
    if isinstance(slot, CounterSlot) and most >= 1 << slot.bits:
        yield Problem(
            path,
            f"{most} does not fit the {slot.bits} bits of `{name}`",
            f"Count to at most {(1 << slot.bits) - 1}, or give the counter {most.bit_length()} bits.",
        )
