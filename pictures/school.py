"""The school in the pictures: made-up pupils, the same ones each time."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from terminal.canteen.documents import (
    MealOrder,
    PriceListDocument,
    PriceListHeader,
    RosterDocument,
    RosterGrant,
    RosterHeader,
    RosterPupil,
)
from terminal.canteen.price_list import PriceList
from terminal.lab.school import PRODUCTS, pupil_name

SCHOOL: Final = "school_12"
CLASSES: Final = (("2а", 2, 1), ("3а", 3, 1), ("3б", 3, 1), ("5а", 5, 1), ("7б", 7, 1))
"""Class, grade and shift."""
PUPILS: Final = 24


def roster_document(
    day: date, now: datetime, cards: Mapping[tuple[str, int], bytes], seed: int = 12
) -> RosterDocument:
    """The roster of `day`. `cards` gives the references of pupils who have a card to tap: class and place in it."""
    rng = random.Random(seed)  # noqa: S311 the same school each time
    pupils = [
        _pupil(rng, day, class_id, grade, shift, place, cards.get((class_id, place)))
        for class_id, grade, shift in CLASSES
        for place in range(PUPILS)
    ]
    header = RosterHeader(
        kind="roster",
        schema=1,
        school=SCHOOL,
        region=34,
        sequence=7,
        issued_at=now,
        valid_from=now - timedelta(days=1),
        valid_to=now + timedelta(days=300),
        grades_on=date(day.year, 9, 1),
    )
    return RosterDocument(header=header, pupils=tuple(pupils))


def price_list(now: datetime) -> PriceList:
    """What the buffet sells."""
    header = PriceListHeader(
        kind="price_list",
        schema=1,
        school=SCHOOL,
        region=34,
        sequence=1,
        issued_at=now,
        valid_from=now - timedelta(days=1),
        valid_to=now + timedelta(days=300),
    )
    return PriceList.of(PriceListDocument(header=header, products=PRODUCTS))


def _pupil(
    rng: random.Random, day: date, class_id: str, grade: int, shift: int, place: int, card: bytes | None
) -> RosterPupil:
    ref = rng.randbytes(8)
    fields: dict[str, Any] = {
        "hot_minor": rng.randrange(0, 90_000, 50) if rng.random() > 0.1 else -rng.randrange(1000, 7000, 50),
        "buffet_minor": rng.randrange(5_000, 60_000, 100),
        "day_limit_minor": 30_000,
        "buffet_limit_minor": rng.choice((10_000, 15_000, 20_000)),
    }
    if rng.random() < 0.15:
        fields["forbidden"] = (rng.choice(("nuts", "milk", "citrus", "gluten")),)
    if grade > 4 and rng.random() < 0.6:
        eve = datetime.combine(day - timedelta(days=1), datetime.min.time()).replace(hour=17)
        fields["orders"] = tuple(
            MealOrder(day=day, kind=kind, placed_at=eve) for kind in ("breakfast", "lunch")
        )
    return RosterPupil(
        ref=(card or ref).hex(),
        name=pupil_name(rng, place),
        class_id=class_id,
        grade=grade,
        shift=shift,
        grants=_grants(rng, grade, day),
        **fields,
    )


def _grants(rng: random.Random, grade: int, day: date) -> tuple[RosterGrant, ...]:
    codes = [10] if grade <= 4 else []
    chance = rng.random()
    if chance < 0.12:
        codes.append(11)
    elif chance < 0.3:
        codes.append(12)
    first = date(day.year, 9, 1)
    last = date(day.year + 1, 5, 31)
    return tuple(RosterGrant(code=code, valid_from=first, valid_to=last, issued_on=first) for code in codes)
