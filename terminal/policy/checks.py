"""What a region document must satisfy beyond its types. Each problem says where it is and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from terminal.policy.base import FareMedium, Problem, Right, moment_problems, unique
from terminal.policy.counters.checks import counters_problems
from terminal.policy.document.counters import COUNTER_BITS
from terminal.policy.document.fares import FareSource
from terminal.policy.document.schema import Profile, ReceiptWay, RegionDocument
from terminal.policy.fares.checks import fare_problems
from terminal.policy.gtfs.section import Destination
from terminal.policy.gtfs.section_checks import section_problems
from terminal.policy.journeys.checks import journey_problems
from terminal.policy.meals.checks import meal_problems
from terminal.policy.rights.checks import right_problems
from terminal.texts import languages

CURRENCIES: Final = ("RUB",)
LANGUAGES: Final = languages()


def problems(document: RegionDocument) -> Iterator[Problem]:
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
        yield Problem(
            "ages.stale_h", "data would be too old before it is stale", "Make it at least `fresh_h`."
        )


def _header(document: RegionDocument) -> Iterator[Problem]:
    header = document.header
    moments = {"valid_from": header.valid_from, "valid_to": header.valid_to, "issued_at": header.issued_at}
    yield from moment_problems({f"header.{key}": moment for key, moment in moments.items()})
    if header.valid_from >= header.valid_to:
        yield Problem("header.valid_to", "the document is never valid", "Put it after `valid_from`.")
    if header.issued_at is not None and header.issued_at > header.valid_to:
        yield Problem("header.issued_at", "issued when it has ended already", "Put it before `valid_to`.")
    if header.currency not in CURRENCIES:
        yield Problem(
            "header.currency",
            f"unknown currency {header.currency!r}",
            f"Use {' or '.join(CURRENCIES)}: the purse on the card counts its hundredths.",
        )
    try:
        ZoneInfo(header.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Problem(
            "header.time_zone",
            f"unknown time zone {header.time_zone!r}",
            "Use a name of the IANA database such as Europe/Volgograd.",
        )


def _messages(document: RegionDocument) -> Iterator[Problem]:
    languages = document.messages.languages
    if not languages:
        yield Problem("messages.languages", "no language", f"Name at least one of {', '.join(LANGUAGES)}.")
    for index, language in enumerate(languages):
        if language not in LANGUAGES:
            path = f"messages.languages[{index}]"
            yield Problem(path, f"no texts in {language!r}", f"Use {', '.join(LANGUAGES)}.")
    yield from unique("messages.languages", languages)


def _profiles(document: RegionDocument) -> Iterator[Problem]:
    bus, canteen = document.profiles.bus, document.profiles.canteen
    for name, profile in (("bus", bus), ("canteen", canteen)):
        yield from unique(f"profiles.{name}.media", profile.media)
        yield from unique(f"profiles.{name}.rights", profile.rights)
        yield from unique(f"profiles.{name}.passenger_asks", profile.passenger_asks)
        yield from _media(name, profile)
    if bus.rights[-1:] != (Right.PURSE,):
        yield Problem(
            "profiles.bus.rights",
            "does not end with `purse`",
            "Put `purse` last: it is what is left when no other right covers the ride.",
        )
    if canteen.rights != (Right.CONCESSION,):
        yield Problem("profiles.canteen.rights", "a canteen serves by concession", 'Use ["concession"].')
    if canteen.passenger_asks:
        what = "a pupil takes no companions and goes nowhere"
        yield Problem("profiles.canteen.passenger_asks", what, "Leave it out.")


def _feed(document: RegionDocument) -> Iterator[Problem]:
    section, fares = document.gtfs, document.fares
    if section is None:
        if fares.source is FareSource.GTFS:
            yield Problem("fares.source", "the document has no [gtfs]", "Import a feed, or state fares here.")
        return
    if fares.source is not FareSource.GTFS:
        yield Problem("gtfs", "no fare is looked up in it", 'Write source = "gtfs" in [fares].')
    if fares.by_medium or fares.rules or fares.steps or document.transfers or document.returns:
        what = "the feed and the document both state fares or transfers"
        yield Problem(
            "fares", what, "Leave `by_medium`, `rules`, `steps`, [[transfers]] and [[returns]] out."
        )
    if section.destination is Destination.DEAREST and document.checkin is None:
        what = "riders tap off, but nothing keeps what is held for them"
        yield Problem("gtfs.destination", what, "Add [checkin] (T-07).")
    header = document.header
    free_bits = COUNTER_BITS - sum(slot.bits for slot in document.counters.slots)
    yield from section_problems(section, header.currency, header.time_zone, free_bits)


def _media(name: str, profile: Profile) -> Iterator[Problem]:
    if FareMedium.TRANSPORT_CARD not in profile.media:
        what, advice = "the resident card is not taken", "Name `transport_card` among them."
        yield Problem(f"profiles.{name}.media", what, advice)
    elif name == "canteen" and profile.media != (FareMedium.TRANSPORT_CARD,):
        what = "a canteen knows pupils by their resident card only"
        yield Problem("profiles.canteen.media", what, 'Use ["transport_card"].')


def receipt_problems(document: RegionDocument) -> Iterator[Problem]:
    """Everything wrong with the section; nothing when there is none."""
    receipts = document.receipts
    if receipts is None:
        return
    yield from unique("receipts.ways", receipts.ways)
    controlled = ReceiptWay.CONTROL_TICKET in receipts.ways
    if controlled and receipts.site is None:
        yield Problem(
            "receipts.site",
            "a control ticket must say where the receipt is found",
            "Add `site`, or take `control_ticket` out of `ways`.",
        )
    if controlled and receipts.ways[-1] is not ReceiptWay.CONTROL_TICKET:
        yield Problem(
            "receipts.ways",
            "no way after `control_ticket` can ever be taken",
            "Put `control_ticket` last: every terminal can do that.",
        )
