"""What a region document must satisfy beyond its types. Each problem says where it is and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from terminal.policy.meal_checks import meal_problems
from terminal.policy.problem import Problem, unique, unknown
from terminal.policy.schema import (
    COUNTER_BITS,
    Medium,
    Period,
    Profile,
    RegionDocument,
    Right,
)

CURRENCIES: Final = ("RUB",)
LANGUAGES: Final = ("ru", "en")
CONTRACT_SLOTS: Final = 2
CONTRACT_TRIP_BITS: Final = 8
PASSBACK_RIGHTS: Final = (Right.PASS, Right.PACK, Right.CONCESSION)


def problems(document: RegionDocument) -> Iterator[Problem]:
    """Everything wrong with `document`, in reading order; nothing when it can be used."""
    yield from _header(document)
    yield from _messages(document)
    yield from _profiles(document)
    yield from _transfer(document)
    yield from _guards(document)
    yield from _counters(document)
    yield from _concessions(document)
    yield from _products(document)
    yield from meal_problems(document)
    if document.ages.stale_h < document.ages.fresh_h:
        yield Problem(
            "ages.stale_h", "data would be too old before it is stale", "Make it at least `fresh_h`."
        )


def _header(document: RegionDocument) -> Iterator[Problem]:
    header = document.header
    if header.valid_from >= header.valid_to:
        yield Problem("header.valid_to", "the document is never valid", "Put it after `valid_from`.")
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
        yield from _takes_the_resident_card(name, profile)
    if bus.rights[-1:] != (Right.PURSE,):
        yield Problem(
            "profiles.bus.rights",
            "does not end with `purse`",
            "Put `purse` last: it is what is left when no other right covers the ride.",
        )
    if canteen.rights != (Right.CONCESSION,):
        yield Problem("profiles.canteen.rights", "a canteen serves by concession", 'Use ["concession"].')


def _takes_the_resident_card(name: str, profile: Profile) -> Iterator[Problem]:
    if profile.media != (Medium.TRANSPORT_CARD,):
        yield Problem(
            f"profiles.{name}.media",
            "this terminal decides on transport cards only",
            'Use ["transport_card"].',
        )


def _transfer(document: RegionDocument) -> Iterator[Problem]:
    transfer = document.transfer
    if transfer is None:
        if Right.TRANSFER in document.profiles.bus.rights:
            yield Problem(
                "profiles.bus.rights",
                "names `transfer` but the document has no [transfer]",
                "Add a [transfer] table or take `transfer` out.",
            )
        return
    yield from unique("transfer.media", transfer.media)
    if not transfer.media:
        yield Problem("transfer.media", "no medium may transfer", "Name a medium or remove [transfer].")
    if Right.TRANSFER not in document.profiles.bus.rights:
        yield Problem(
            "transfer",
            "no profile uses it, so it can never apply",
            "Name `transfer` in profiles.bus.rights or remove [transfer].",
        )


def _guards(document: RegionDocument) -> Iterator[Problem]:
    yield from unique("guards.passback_rights", document.guards.passback_rights)
    for index, right in enumerate(document.guards.passback_rights):
        if right not in PASSBACK_RIGHTS:
            yield Problem(
                f"guards.passback_rights[{index}]",
                f"`{right}` cannot be passed back",
                f"Use {', '.join(PASSBACK_RIGHTS)}; a purse may pay for companions (T-34).",
            )


def _counters(document: RegionDocument) -> Iterator[Problem]:
    counters = document.counters
    yield from unique("counters.slots", (slot.name for slot in counters.slots), key="name")
    used = sum(slot.bits for slot in counters.slots)
    if used > COUNTER_BITS:
        yield Problem(
            "counters.slots",
            f"the counters need {used} bits, the card has {COUNTER_BITS}",
            f"Take {used - COUNTER_BITS} bits away.",
        )
    if len(counters.contracts) != CONTRACT_SLOTS:
        yield Problem(
            "counters.contracts",
            f"{len(counters.contracts)} names for {CONTRACT_SLOTS} contract slots on the card",
            f"Name {CONTRACT_SLOTS} counters, for slot A and slot B.",
        )
    yield from unique("counters.contracts", counters.contracts)
    known = {slot.name: slot for slot in counters.slots}
    for index, name in enumerate(counters.contracts):
        path, slot = f"counters.contracts[{index}]", known.get(name)
        if slot is None:
            yield unknown(path, "counter", name, known)
        elif slot.period is not Period.CONTRACT:
            yield Problem(path, f"`{name}` counts per {slot.period}", 'Give it period = "contract".')
        elif slot.bits < CONTRACT_TRIP_BITS:
            yield Problem(
                path,
                f"`{name}` has {slot.bits} bits but a contract may hold 255 trips",
                f"Give it {CONTRACT_TRIP_BITS} bits.",
            )


def _concessions(document: RegionDocument) -> Iterator[Problem]:
    yield from unique("concessions", (c.code for c in document.concessions), key="code")
    slots = {slot.name: slot for slot in document.counters.slots}
    for index, concession in enumerate(document.concessions):
        limit, path = concession.limit, f"concessions[{index}].limit"
        if limit is None:
            continue
        slot = slots.get(limit.counter)
        if concession.fare is None:
            yield Problem(path, "limits a concession without a fare", "Add `fare` or remove `limit`.")
        if slot is None:
            yield unknown(f"{path}.counter", "counter", limit.counter, slots)
            continue
        if slot.period is not Period.SERVICE_MONTH:
            yield Problem(
                f"{path}.counter", f"`{slot.name}` counts per {slot.period}", "Use a service_month counter."
            )
        if limit.trips >= 1 << slot.bits:
            yield Problem(
                f"{path}.trips",
                f"{limit.trips} does not fit the {slot.bits} bits of `{slot.name}`",
                f"Use at most {(1 << slot.bits) - 1} or give the counter more bits.",
            )


def _products(document: RegionDocument) -> Iterator[Problem]:
    yield from unique("products", (product.id for product in document.products), key="id")
