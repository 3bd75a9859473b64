"""Who lives in a stress run's town, and by which ways its buses run: drawn from the region's own document.

In the laboratory's region they are the residents that come with the simulator; elsewhere their rights are drawn from
what the document sells and grants, dates before, on and after the day included.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from sim.profile import (
    CardProfile,
    CardSection,
    ConcessionSection,
    ContractSection,
    Description,
    load_profile,
)
from terminal.lab.oracle.tariff import OracleSpot, Tariff
from terminal.lab.stress.faults.plan import Kind
from terminal.lab.stress.truth import TrueWay

LABORATORY: Final = "demo"
RICH_MINOR: Final = 1_500_000
RIDERS: Final = (
    "adult_purse", "adult_purse", "month_pass", "social_pack_45", "student_half_price", "adult_purse",
    "free_pensioner", "empty_purse",
)  # fmt: skip
PUPILS: Final = ("pupil_grade3", "pupil_two_meals", "pupil_large_family")
EV1_EVERY: Final = 6
RANDOM_UID_EVERY: Final = 9
SECOND_SHIFT_EVERY: Final = 4
NOTHING_SAID: Final = Description(ru="житель", en="resident")
FIRST_ROUTE: Final = 10
METRES: Final = (0, 0, 4_100, 12_300, 29_900, 40_000, 48_000)
FIRST_STOP: Final = 100
STOPS_OF_A_WAY: Final = 5


def residents(
    tariff: Tariff, rng: random.Random, riders: int, pupils: int, kinds: frozenset[Kind]
) -> list[CardProfile]:
    """The riders, then the pupils, some of them with cards of the `kinds` asked for."""
    doc = tariff.doc
    if doc["header"]["id"] == LABORATORY:
        names = [RIDERS[n % len(RIDERS)] for n in range(riders)] + [
            PUPILS[n % len(PUPILS)] for n in range(pupils)
        ]
        found = [load_profile(name) for name in names]
        found[: riders // 4] = [
            _drawn(tariff, rng) if n % 2 else one for n, one in enumerate(found[: riders // 4])
        ]
    else:
        found = [_drawn(tariff, rng) for _ in range(riders)]
        found += [_pupil(tariff, rng) for _ in range(pupils)]
    found[riders:] = [
        _second_shift(one) if n % SECOND_SHIFT_EVERY == 2 else one for n, one in enumerate(found[riders:])
    ]
    return [_on_card(_rich(one), n, kinds) for n, one in enumerate(found)]


def _second_shift(profile: CardProfile) -> CardProfile:
    grounds = [
        msgspec.structs.replace(one, parameter=2 << 4 | one.parameter % 16) if one.parameter else one
        for one in profile.concessions
    ]
    return msgspec.structs.replace(profile, concessions=tuple(grounds))


def _rich(profile: CardProfile) -> CardProfile:
    """With money for the whole run, where the card has any."""
    if not profile.card.purse_minor or profile.name == "":
        return profile
    richer = msgspec.structs.replace(profile.card, purse_minor=RICH_MINOR)
    return msgspec.structs.replace(profile, card=richer)


def _on_card(profile: CardProfile, number: int, kinds: frozenset[Kind]) -> CardProfile:
    card = profile.card
    if Kind.EV1_CARD in kinds and number % EV1_EVERY == 1:
        card = msgspec.structs.replace(card, generation="EV1")
    if Kind.RANDOM_UID in kinds and number % RANDOM_UID_EVERY == 2:
        card = msgspec.structs.replace(card, random_uid=True)
    return msgspec.structs.replace(profile, card=card)


def special(profile: CardProfile, kinds: frozenset[Kind]) -> tuple[str, ...]:
    """Which of the `kinds` of cards this one is."""
    found = {Kind.EV1_CARD: profile.card.generation == "EV1", Kind.RANDOM_UID: profile.card.random_uid}
    return tuple(kind for kind, it_is in found.items() if it_is and kind in kinds)


def _drawn(tariff: Tariff, rng: random.Random) -> CardProfile:
    """Someone with rights the document knows, or none."""
    codes = sorted(code for code, row in tariff.concessions.items() if "fare" in row)
    products = sorted(tariff.products)
    grants = rng.choice((0, 0, 1, 1, 2)) if codes else 0
    bought = rng.choice((0, 0, 1, 1, 2)) if products else 0
    return CardProfile(
        description=NOTHING_SAID,
        card=CardSection(purse_minor=rng.choice((0, 5_000, 60_000, *[RICH_MINOR] * 5))),
        concessions=tuple(_concession(rng, rng.choice(codes)) for _ in range(grants)),
        contracts=tuple(_contract(tariff, rng, rng.choice(products)) for _ in range(bought)),
    )


def _concession(rng: random.Random, code: int, parameter: int = 0) -> ConcessionSection:
    first, last = rng.choice(("-200d", "-30d", "+0d", "+1d")), rng.choice(("+0d", "+2d", "+60d", "+300d"))
    return ConcessionSection(code=code, valid_from=first, valid_to=last, parameter=parameter)


def _contract(tariff: Tariff, rng: random.Random, product: int) -> ContractSection:
    trips = rng.choice((2, 10, 45)) if tariff.products[product]["kind"] == "trip_pack" else 0
    first, last = (
        rng.choice(("month_start", "-5d", "+0d", "+1d")),
        rng.choice(("+0d", "+3d", "month_end", "+90d")),
    )
    return ContractSection(product=product, valid_from=first, valid_to=last, trips=trips)


def _pupil(tariff: Tariff, rng: random.Random) -> CardProfile:
    """A child with a ground for meals, where the document has any; else one who may ride."""
    codes = sorted({row["code"] for row in tariff.doc.get("meals", {}).get("entitlements", [])})
    if not codes:
        return _drawn(tariff, rng)
    parameter = rng.choice((1, 1, 2)) << 4 | rng.choice((1, 3, 4, 7, 9))
    chosen = rng.sample(codes, min(len(codes), rng.choice((1, 1, 2))))
    grounds = tuple(
        ConcessionSection(code=code, valid_from="-60d", valid_to="+300d", parameter=parameter)
        for code in chosen
    )
    return CardProfile(description=NOTHING_SAID, card=CardSection(purse_minor=15_000), concessions=grounds)


# Ways


def ways(tariff: Tariff, rng: random.Random, places: int) -> list[TrueWay]:
    """The route of each place: every mode and route that prices depend on, then ordinary ones."""
    doc, found = tariff.doc, []
    modes = sorted(_named(doc, "modes") | {"bus"})
    listed = sorted(_named(doc, "routes"))
    for place in range(places):
        number = listed[place // 2] if place % 2 == 0 and place // 2 < len(listed) else FIRST_ROUTE + place
        mode = "bus" if number in listed else modes[place % len(modes)]
        found.append(TrueWay(number, mode, _stops(tariff, rng)))
    return found


def _stops(tariff: Tariff, rng: random.Random) -> tuple[OracleSpot, ...]:
    zones = sorted(tariff.zones) or [0]
    marks = sorted(rng.choice(METRES) for _ in range(STOPS_OF_A_WAY))
    return tuple(OracleSpot(zones[n * len(zones) // STOPS_OF_A_WAY], marks[n]) for n in range(STOPS_OF_A_WAY))


def routes_document(tariff: Tariff, found: Sequence[TrueWay], issued_at: datetime) -> str:
    """The ways as the routes document that terminals load."""
    region = tariff.doc["header"]["region"]
    lines = ["[header]", 'id = "storm_routes"', "version = 1", f"region = {region}"]
    lines.append(f"issued_at = {issued_at.isoformat()}")
    for way in found:
        lines += ["[[routes]]", f"number = {way.route}", f'name = "{way.route}"', f'mode = "{way.mode}"']
        lines += ["[[routes.directions]]", 'name = "out"', "stops = ["]
        for number, spot in enumerate(way.stops):
            lines.append(
                f'  {{ number = {FIRST_STOP * way.route + number}, name = "{number}",'
                f" zone = {spot.zone}, mark_m = {spot.mark_m} }},"
            )
        lines.append("]")
    return "\n".join(lines) + "\n"


def _named(table: Any, key: str) -> set[Any]:
    """Every value listed under `key`, at any depth."""
    if isinstance(table, dict):
        own = set(table[key]) if isinstance(table.get(key), list) else set()
        return own.union(*(_named(value, key) for value in table.values()))
    if isinstance(table, list):
        return set[Any]().union(*(_named(value, key) for value in table))
    return set()
