"""What a region document must satisfy beyond its types. Each problem says where it is and what to change."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from terminal.policy.schema import (
    COUNTER_BITS,
    MealEntitlement,
    Meals,
    Medium,
    Period,
    Profile,
    RegionDocument,
    Replace,
    Right,
)

CURRENCIES: Final = ("RUB",)
LANGUAGES: Final = ("ru", "en")
CONTRACT_SLOTS: Final = 2
CONTRACT_TRIP_BITS: Final = 8
PASSBACK_RIGHTS: Final = (Right.PASS, Right.PACK, Right.CONCESSION)


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` inside the document ("meals.kinds[1].bit"), what is wrong there, and what to change."""

    path: str
    what: str
    advice: str


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
    yield from _meal_kinds(document.meals)
    yield from _entitlements(document)
    yield from _combinations(document.meals)
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
    yield from _unique("messages.languages", languages)


def _profiles(document: RegionDocument) -> Iterator[Problem]:
    bus, canteen = document.profiles.bus, document.profiles.canteen
    for name, profile in (("bus", bus), ("canteen", canteen)):
        yield from _unique(f"profiles.{name}.media", profile.media)
        yield from _unique(f"profiles.{name}.rights", profile.rights)
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
    yield from _unique("transfer.media", transfer.media)
    if not transfer.media:
        yield Problem("transfer.media", "no medium may transfer", "Name a medium or remove [transfer].")
    if Right.TRANSFER not in document.profiles.bus.rights:
        yield Problem(
            "transfer",
            "no profile uses it, so it can never apply",
            "Name `transfer` in profiles.bus.rights or remove [transfer].",
        )


def _guards(document: RegionDocument) -> Iterator[Problem]:
    yield from _unique("guards.passback_rights", document.guards.passback_rights)
    for index, right in enumerate(document.guards.passback_rights):
        if right not in PASSBACK_RIGHTS:
            yield Problem(
                f"guards.passback_rights[{index}]",
                f"`{right}` cannot be passed back",
                f"Use {', '.join(PASSBACK_RIGHTS)}; a purse may pay for companions (T-34).",
            )


def _counters(document: RegionDocument) -> Iterator[Problem]:
    counters = document.counters
    yield from _unique("counters.slots", (slot.name for slot in counters.slots), key="name")
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
    yield from _unique("counters.contracts", counters.contracts)
    known = {slot.name: slot for slot in counters.slots}
    for index, name in enumerate(counters.contracts):
        path, slot = f"counters.contracts[{index}]", known.get(name)
        if slot is None:
            yield _unknown(path, "counter", name, known)
        elif slot.period is not Period.CONTRACT:
            yield Problem(path, f"`{name}` counts per {slot.period}", 'Give it period = "contract".')
        elif slot.bits < CONTRACT_TRIP_BITS:
            yield Problem(
                path,
                f"`{name}` has {slot.bits} bits but a contract may hold 255 trips",
                f"Give it {CONTRACT_TRIP_BITS} bits.",
            )


def _concessions(document: RegionDocument) -> Iterator[Problem]:
    yield from _unique("concessions", (c.code for c in document.concessions), key="code")
    slots = {slot.name: slot for slot in document.counters.slots}
    for index, concession in enumerate(document.concessions):
        limit, path = concession.limit, f"concessions[{index}].limit"
        if limit is None:
            continue
        slot = slots.get(limit.counter)
        if concession.fare is None:
            yield Problem(path, "limits a concession without a fare", "Add `fare` or remove `limit`.")
        if slot is None:
            yield _unknown(f"{path}.counter", "counter", limit.counter, slots)
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
    yield from _unique("products", (product.id for product in document.products), key="id")


def _meal_kinds(meals: Meals) -> Iterator[Problem]:
    yield from _unique("meals.kinds", (kind.id for kind in meals.kinds), key="id")
    yield from _unique("meals.kinds", (kind.bit for kind in meals.kinds), key="bit")
    for index, kind in enumerate(meals.kinds):
        if kind.served_from.tzinfo is not None or kind.served_until.tzinfo is not None:
            yield Problem(
                f"meals.kinds[{index}]", "times with an offset", "Write local times such as 07:30:00."
            )
            return
        if kind.served_from >= kind.served_until:
            yield Problem(
                f"meals.kinds[{index}].served_until",
                f"the serving window of `{kind.id}` is empty",
                "Put it after `served_from` on the same day.",
            )
    for (_, one), (index, other) in combinations(enumerate(meals.kinds), 2):
        if one.served_from < other.served_until and other.served_from < one.served_until:
            yield Problem(
                f"meals.kinds[{index}].served_from",
                f"the windows of `{one.id}` and `{other.id}` overlap",
                f"End one before the other begins (`{one.id}` is {one.served_from} to {one.served_until}).",
            )


def _entitlements(document: RegionDocument) -> Iterator[Problem]:
    codes = {concession.code for concession in document.concessions}
    kinds = {kind.id for kind in document.meals.kinds}
    for index, entitlement in enumerate(document.meals.entitlements):
        path = f"meals.entitlements[{index}]"
        if entitlement.code not in codes:
            yield _unknown(f"{path}.code", "concession code", entitlement.code, sorted(codes))
        if entitlement.grades is not None and entitlement.grades.first > entitlement.grades.last:
            yield Problem(f"{path}.grades", "no grade is included", "Put `first` before `last`.")
        yield from _portions(path, entitlement, kinds)
    for (one, first), (other, second) in combinations(enumerate(document.meals.entitlements), 2):
        if first.code == second.code and _same_pupil(first, second):
            yield Problem(
                f"meals.entitlements[{other}]",
                f"a pupil of code {first.code} may fall under this one and under [{one}]",
                "Keep their `grades` or `shift` apart.",
            )


def _portions(path: str, entitlement: MealEntitlement, kinds: set[str]) -> Iterator[Problem]:
    yield from _unique(f"{path}.portions", (portion.kind for portion in entitlement.portions), key="kind")
    for index, portion in enumerate(entitlement.portions):
        at, funded = f"{path}.portions[{index}]", sum(funder.sum_minor for funder in portion.funders)
        if portion.kind not in kinds:
            yield _unknown(f"{at}.kind", "meal kind", portion.kind, sorted(kinds))
        yield from _unique(f"{at}.funders", (funder.source for funder in portion.funders), key="source")
        if funded != portion.sum_minor:
            yield Problem(
                f"{at}.funders",
                f"the funders give {funded}, the portion costs {portion.sum_minor}",
                f"Correct a share by {portion.sum_minor - funded:+d} kopecks or change `sum_minor`.",
            )
    total = sum(portion.sum_minor for portion in entitlement.portions)
    if total != entitlement.day_sum_minor:
        yield Problem(
            f"{path}.day_sum_minor",
            f"the portions cost {total} a day, not {entitlement.day_sum_minor}",
            f"Write {total} or correct the portions.",
        )


def _same_pupil(one: MealEntitlement, other: MealEntitlement) -> bool:
    apart_by_shift = None not in (one.shift, other.shift) and one.shift != other.shift
    if apart_by_shift or one.grades is None or other.grades is None:
        return not apart_by_shift
    return one.grades.first <= other.grades.last and other.grades.first <= one.grades.last


def _combinations(meals: Meals) -> Iterator[Problem]:
    codes = {entitlement.code for entitlement in meals.entitlements}
    seen: set[frozenset[int]] = set()
    losers: dict[int, set[int]] = {}
    for index, rule in enumerate(meals.combine):
        path = f"meals.combine[{index}]"
        pair = (rule.winner, rule.loser) if isinstance(rule, Replace) else rule.codes
        for code in pair:
            if code not in codes:
                yield _unknown(path, "code with a meal entitlement", code, sorted(codes))
        if pair[0] == pair[1]:
            yield Problem(path, f"pairs code {pair[0]} with itself", "Name two different codes.")
        if frozenset(pair) in seen:
            yield Problem(path, f"a second rule for the codes {pair[0]} and {pair[1]}", "Keep one of them.")
        seen.add(frozenset(pair))
        if isinstance(rule, Replace):
            losers.setdefault(rule.winner, set()).add(rule.loser)
    if any(_reaches(losers, code, code) for code in losers):
        yield Problem("meals.combine", "the codes replace each other in a circle", "Let one of them win.")


def _reaches(edges: dict[int, set[int]], start: int, goal: int) -> bool:
    todo, seen = list(edges.get(start, ())), set[int]()
    while todo:
        code = todo.pop()
        if code == goal:
            return True
        if code not in seen:
            seen.add(code)
            todo += edges.get(code, ())
    return False


def _unique(path: str, values: Iterable[Hashable], key: str = "") -> Iterator[Problem]:
    seen: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if value in seen:
            at = f"{path}[{index}].{key}" if key else f"{path}[{index}]"
            yield Problem(at, f"{value!s} is already used by [{seen[value]}]", "Give each its own.")
        seen.setdefault(value, index)


def _unknown(path: str, what: str, value: object, known: Iterable[object]) -> Problem:
    names = ", ".join(str(name) for name in known) or "none in this document"
    return Problem(path, f"unknown {what} {value!r}", f"Known: {names}.")
