"""What a region document must satisfy beyond its types. Each problem says where it is and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from terminal.errors import Mistake
from terminal.money import DECIMALS
from terminal.policy.base import FareMedium, Right, moment_problems, unique
from terminal.policy.counters.checks import counters_problems
from terminal.policy.document.counters import COUNTER_BITS
from terminal.policy.document.fares import FareSource
from terminal.policy.document.schema import Profile, Receipts, ReceiptWay, RegionDocument
from terminal.policy.fares.checks import fare_problems
from terminal.policy.gtfs.section import Destination
from terminal.policy.gtfs.section_checks import section_problems
from terminal.policy.journeys.checks import journey_problems
from terminal.policy.meals.checks import meal_problems
from terminal.policy.mistakes import RuleMistake
from terminal.policy.rights.checks import right_problems
from terminal.texts import languages

LANGUAGES: Final = languages()


def problems(document: RegionDocument) -> Iterator[Mistake]:
    """Everything wrong with `document`, in reading order; nothing when it can be used."""
    yield from _header(document)
    yield from _messages(document)
    yield from _profiles(document)
    yield from fare_problems(document)
    yield from _feed(document)
    yield from right_problems(document)
    yield from journey_problems(document)
    yield from counters_problems(document)
    yield from meal_problems(document)
    yield from receipt_problems(document)
    if document.ages.stale_h < document.ages.fresh_h:
        yield Mistake("ages.stale_h", RuleMistake.STALE_BEFORE_FRESH)


def _header(document: RegionDocument) -> Iterator[Mistake]:
    header = document.header
    moments = {"valid_from": header.valid_from, "valid_to": header.valid_to, "issued_at": header.issued_at}
    yield from moment_problems({f"header.{key}": moment for key, moment in moments.items()})
    if header.valid_from >= header.valid_to:
        yield Mistake("header.valid_to", RuleMistake.NEVER_VALID)
    if header.issued_at is not None and header.issued_at > header.valid_to:
        yield Mistake("header.issued_at", RuleMistake.ISSUED_TOO_LATE)
    if header.currency not in DECIMALS:
        yield Mistake("header.currency", RuleMistake.UNKNOWN_CURRENCY, _currency(header.currency))
    try:
        ZoneInfo(header.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Mistake("header.time_zone", RuleMistake.UNKNOWN_TIME_ZONE, _zone(header.time_zone))


def _currency(written: str) -> dict[str, int | str]:
    code = written.upper()
    return {"currency": written, "near": code if code in DECIMALS else "RUB, EUR or KZT"}


def _zone(written: str) -> dict[str, int | str]:
    """With the zone of the city that is written alone."""
    city = f"/{written.rpartition('/')[2].strip().replace(' ', '_')}".casefold()
    near = min((name for name in available_timezones() if name.casefold().endswith(city)), default="")
    return {"zone": written, "near": near or "Europe/Volgograd"}


def _messages(document: RegionDocument) -> Iterator[Mistake]:
    languages = document.messages.languages
    if not languages:
        yield Mistake("messages.languages", RuleMistake.NO_LANGUAGE, {"known": ", ".join(LANGUAGES)})
    for index, language in enumerate(languages):
        if language not in LANGUAGES:
            path = f"messages.languages[{index}]"
            yield Mistake(
                path, RuleMistake.UNKNOWN_LANGUAGE, {"language": language, "known": ", ".join(LANGUAGES)}
            )
    yield from unique("messages.languages", languages)


def _profiles(document: RegionDocument) -> Iterator[Mistake]:
    bus, canteen = document.profiles.bus, document.profiles.canteen
    for name, profile in (("bus", bus), ("canteen", canteen)):
        yield from unique(f"profiles.{name}.media", profile.media)
        yield from unique(f"profiles.{name}.rights", profile.rights)
        yield from unique(f"profiles.{name}.passenger_asks", profile.passenger_asks)
        yield from _media(name, profile)
    if bus.rights[-1:] != (Right.PURSE,):
        yield Mistake("profiles.bus.rights", RuleMistake.PURSE_NOT_LAST)
    if canteen.rights != (Right.CONCESSION,):
        yield Mistake("profiles.canteen.rights", RuleMistake.CANTEEN_RIGHTS)
    if canteen.passenger_asks:
        yield Mistake("profiles.canteen.passenger_asks", RuleMistake.CANTEEN_ASKS)


def _feed(document: RegionDocument) -> Iterator[Mistake]:
    section, fares = document.gtfs, document.fares
    if section is None:
        if fares.source is FareSource.GTFS:
            yield Mistake("fares.source", RuleMistake.NO_FEED)
        return
    if fares.source is not FareSource.GTFS:
        yield Mistake("gtfs", RuleMistake.FEED_NOT_USED)
    if fares.by_medium or fares.rules or fares.steps or document.transfers or document.returns:
        yield Mistake("fares", RuleMistake.FEED_AND_FARES)
    if section.destination is Destination.DEAREST and document.checkin is None:
        yield Mistake("gtfs.destination", RuleMistake.FEED_WITHOUT_CHECK_IN)
    header = document.header
    free_bits = COUNTER_BITS - sum(slot.bits for slot in document.counters.slots)
    yield from section_problems(section, header.currency, header.time_zone, free_bits)


def _media(name: str, profile: Profile) -> Iterator[Mistake]:
    if FareMedium.TRANSPORT_CARD not in profile.media:
        yield Mistake(f"profiles.{name}.media", RuleMistake.NO_TRANSPORT_CARD)
    elif name == "canteen" and profile.media != (FareMedium.TRANSPORT_CARD,):
        yield Mistake("profiles.canteen.media", RuleMistake.CANTEEN_MEDIA)


def receipt_problems(document: RegionDocument) -> Iterator[Mistake]:
    """Everything wrong with the section; nothing when there is none."""
    receipts = document.receipts
    if receipts is None:
        return
    yield from _fiscal(receipts, document.header.currency)
    yield from unique("receipts.ways", receipts.ways)
    controlled = ReceiptWay.CONTROL_TICKET in receipts.ways
    if controlled and receipts.site is None:
        yield Mistake("receipts.site", RuleMistake.TICKET_WITHOUT_SITE)
    if controlled and receipts.ways[-1] is not ReceiptWay.CONTROL_TICKET:
        yield Mistake("receipts.ways", RuleMistake.TICKET_NOT_LAST)


FISCAL_CURRENCY: Final = "RUB"
"""Of the receipts of 54-FZ."""


def _fiscal(receipts: Receipts, currency: str) -> Iterator[Mistake]:
    """T-50: receipts of 54-FZ where sums are roubles, and there always."""
    for name, stated in (("vat", receipts.vat is not None), ("ways", bool(receipts.ways))):
        if currency == FISCAL_CURRENCY and not stated:
            yield Mistake(f"receipts.{name}", RuleMistake.FISCAL_MISSING)
        elif currency in DECIMALS and currency != FISCAL_CURRENCY and stated:
            values = {"fiscal": FISCAL_CURRENCY, "currency": currency}
            yield Mistake(f"receipts.{name}", RuleMistake.FISCAL_ELSEWHERE, values)
