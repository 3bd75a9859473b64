"""What concessions, products, trip calendars and grace must satisfy beyond their types."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from terminal.errors import Mistake
from terminal.policy.base import Right, Thing, unique, unknown
from terminal.policy.document.counters import Period
from terminal.policy.document.rights import (
    AmountOff,
    CalendarLimit,
    ConcessionRule,
    Limit,
    Pass,
    Plan,
    Product,
    SaleWindow,
    TimedPass,
    TripCalendar,
    TripPack,
)
from terminal.policy.document.schema import RegionDocument
from terminal.policy.fares.checks import tables
from terminal.policy.mistakes import RuleMistake
from terminal.policy.rights.prices import lowest_fare
from terminal.policy.scopes import DATED, counter_problems, scope_problems, season_problems

RIGHT_OF: Final = {Pass: Right.PASS, TimedPass: Right.PASS, TripPack: Right.PACK, Plan: Right.PLAN}


def right_problems(document: RegionDocument) -> Iterator[Mistake]:
    """Everything wrong with what covers a ride, in reading order."""
    yield from _calendars(document)
    yield from unique("concessions", (c.code for c in document.concessions), key="code")
    for index, concession in enumerate(document.concessions):
        yield from _concession(f"concessions[{index}]", concession, document)
    yield from unique("products", (product.id for product in document.products), key="id")
    for index, product in enumerate(document.products):
        yield from _product(f"products[{index}]", product, document)
    yield from _grace(document)


def _calendars(document: RegionDocument) -> Iterator[Mistake]:
    yield from unique("trip_calendars", (calendar.id for calendar in document.trip_calendars), key="id")
    used = {limit.calendar for limit in _limits(document) if isinstance(limit, CalendarLimit)}
    for index, calendar in enumerate(document.trip_calendars):
        path = f"trip_calendars[{index}]"
        if calendar.id not in used:
            yield Mistake(path, RuleMistake.CALENDAR_NOT_USED, {"calendar": calendar.id})
        yield from _months(f"{path}.months", calendar, document)


def _limits(document: RegionDocument) -> Iterator[Limit]:
    for concession in document.concessions:
        yield from concession.limits
    for product in document.products:
        if isinstance(product, Pass | TimedPass):
            yield from product.limits


def _months(path: str, calendar: TripCalendar, document: RegionDocument) -> Iterator[Mistake]:
    """A hole would be a month without concession: every month of the document has to be there."""
    header = document.header
    try:
        zone = ZoneInfo(header.time_zone)
    except (KeyError, ValueError, OSError):  # reported as a problem of the header
        return
    end_hour = timedelta(hours=header.service_day_end_hour)
    first = (header.valid_from.astimezone(zone) - end_hour).date()
    last = (header.valid_to.astimezone(zone) - end_hour - timedelta(microseconds=1)).date()
    known = {entry.month: entry.days for entry in calendar.months}
    yield from unique(path, (entry.month for entry in calendar.months), key="month")
    month = first.replace(day=1)
    while month <= last:
        if f"{month:%Y-%m}" not in known:
            yield Mistake(
                path,
                RuleMistake.MONTH_MISSING,
                {"calendar": calendar.id, "month": f"{month:%Y-%m}", "first": str(first), "last": str(last)},
            )
            return
        month = _next_month(month)
    for index, entry in enumerate(calendar.months):
        begins = date.fromisoformat(f"{entry.month}-01")
        length = (_next_month(begins) - begins).days
        if entry.days > length:
            at = f"{path}[{index}].days"
            yield Mistake(
                at, RuleMistake.TOO_MANY_DAYS, {"days": entry.days, "month": entry.month, "length": length}
            )


def _next_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


def _concession(path: str, concession: ConcessionRule, document: RegionDocument) -> Iterator[Mistake]:
    ride_only = {
        "limits": concession.limits,
        "season": concession.season,
        "scope": concession.scope,
        "companions": concession.companions,
    }
    if concession.fare is None:
        for key, value in ride_only.items():
            if value:
                yield Mistake(f"{path}.{key}", RuleMistake.KEY_WITHOUT_FARE, {"key": key})
        return
    if Right.CONCESSION not in document.profiles.bus.rights:
        yield Mistake(f"{path}.fare", RuleMistake.CONCESSION_NOT_ASKED)
    if isinstance(concession.fare, AmountOff):
        yield from _amount_off(f"{path}.fare.amount_minor", concession.fare, document)
    yield from season_problems(f"{path}.season", concession.season, document)
    yield from scope_problems(f"{path}.scope", concession.scope, document)
    yield from _limit_problems(f"{path}.limits", concession.limits, document)
    if concession.companions is not None:
        periods = (Period.SERVICE_DAY, Period.KEPT)
        at, companions = f"{path}.companions.counter", concession.companions
        yield from counter_problems(at, companions.counter, document, periods, companions.most)


def _amount_off(path: str, fare: AmountOff, document: RegionDocument) -> Iterator[Mistake]:
    for where, table in tables(document):
        lowest = lowest_fare(table)
        if lowest is not None and fare.amount_minor >= lowest:
            yield Mistake(
                path,
                RuleMistake.TAKES_TOO_MUCH,
                {"amount_minor": fare.amount_minor, "lowest_minor": lowest, "table": where},
            )


def _limit_problems(path: str, limits: tuple[Limit, ...], document: RegionDocument) -> Iterator[Mistake]:
    yield from unique(path, (limit.counter for limit in limits), key="counter")
    calendars = {calendar.id: calendar for calendar in document.trip_calendars}
    for index, limit in enumerate(limits):
        at = f"{path}[{index}]"
        if isinstance(limit, CalendarLimit):
            periods: tuple[Period, ...] = (Period.SERVICE_MONTH,)
            calendar = calendars.get(limit.calendar)
            if calendar is None:
                yield unknown(f"{at}.calendar", Thing.TRIP_CALENDAR, limit.calendar, calendars)
                continue
            most = max((entry.days for entry in calendar.months), default=0) * limit.trips_per_day
        else:
            periods, most = DATED, limit.trips
        yield from counter_problems(f"{at}.counter", limit.counter, document, periods, most)
        yield from scope_problems(f"{at}.scope", limit.scope, document)


def _product(path: str, product: Product, document: RegionDocument) -> Iterator[Mistake]:
    right = RIGHT_OF[type(product)]
    if right not in document.profiles.bus.rights:
        yield Mistake(path, RuleMistake.PRODUCT_NOT_ASKED, {"right": right})
    yield from scope_problems(f"{path}.scope", product.scope, document)
    if product.sold is not None:
        yield from _sale(f"{path}.sold", product.sold)
    if isinstance(product, Pass | TimedPass):
        yield from _limit_problems(f"{path}.limits", product.limits, document)
    if (
        isinstance(product, TripPack)
        and product.most_trips is not None
        and product.most_trips < product.trips
    ):
        yield Mistake(
            f"{path}.most_trips",
            RuleMistake.LESS_THAN_A_PACK,
            {"most": product.most_trips, "trips": product.trips},
        )
    if isinstance(product, Plan) and product.transfer is not None:
        transfers = [transfer.id for transfer in document.transfers]
        if product.transfer not in transfers:
            yield unknown(f"{path}.transfer", Thing.TRANSFER, product.transfer, transfers)


def _sale(path: str, sold: SaleWindow) -> Iterator[Mistake]:
    if not sold.month_before and sold.opens_day > sold.closes_day:
        yield Mistake(f"{path}.closes_day", RuleMistake.SALE_CLOSES_FIRST)


def _grace(document: RegionDocument) -> Iterator[Mistake]:
    grace = document.grace
    if grace is None:
        return
    with_fare = [c.code for c in document.concessions if c.fare is not None]
    yield from unique("grace.concessions", grace.concessions)
    for index, code in enumerate(grace.concessions):
        if code not in with_fare:
            yield unknown(f"grace.concessions[{index}]", Thing.CONCESSION_WITH_FARE, code, with_fare)
    if not grace.concessions:
        yield Mistake("grace.concessions", RuleMistake.GRACE_FOR_NONE)
    yield from season_problems("grace.season", grace.season, document)
    yield from scope_problems("grace.scope", grace.scope, document)
    yield from counter_problems("grace.counter", grace.counter, document, (Period.KEPT,), grace.trips)
