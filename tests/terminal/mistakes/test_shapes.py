"""Every type mistake is found: what is called wrong is what msgspec refuses, and what is mended it takes."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from terminal.canteen.documents import RosterDocument
from terminal.mistakes.shapes import mend
from terminal.mistakes.values import ShapeMistake, Surroundings
from terminal.money import DECIMALS
from terminal.policy.document.schema import RegionDocument
from terminal.policy.load import REGIONS
from terminal.policy.routes import RoutesDocument
from terminal.scenario.load import SCENARIOS
from terminal.scenario.schema import ScenarioFile
from tests.terminal.canteen.school import child, roster_document

ROUTES = tomllib.loads(
    """
[header]
id = "lines"
version = 3
region = 31
issued_at = 2026-11-29T00:00:00+03:00
[zones]
"2203" = 4
[[routes]]
number = 15
name = "x"
mode = "tram"
lines = ["15"]
[[routes.directions]]
name = "y"
stops = [{ number = 1, name = "a", zone = 1, lat = 50.6, lon = 36 }, { number = 2, name = "b", mark_m = 4 }]
shape = [[50.6, 36.6], [50.7, 36.7]]
"""
)
FILES: list[tuple[Path, type]] = [(path, RegionDocument) for path in sorted(REGIONS.glob("*.toml"))]
FILES += [(path, ScenarioFile) for path in sorted(SCENARIOS.glob("*.toml"))[:2]]
ROSTER = json.loads(msgspec.json.encode(roster_document(child(1, 10), child(2, 11))))
DOCUMENTS: list[tuple[type, Any]] = [
    *((shape, tomllib.loads(path.read_text("utf-8"))) for path, shape in FILES),
    (RoutesDocument, ROUTES),
    (RosterDocument, ROSTER),
]
NAMES = [*(f"{path.parent.name}/{path.stem}" for path, _ in FILES), "routes", "roster"]
OTHERS: list[Any] = [
    *(
        0,
        -1,
        7,
        10**7,
        1 << 70,
        35.0,
        12.5,
        "x",
        "",
        "Ä",
        "7",
        "35,00",
        "2026-09-01",
        "a" * 200,
        True,
        [],
        {},
    ),
    *([1], {"kind": "x"}, {"y": []}, date(2026, 9, 1), datetime(2026, 9, 1), time(7), float("nan")),  # noqa: DTZ001
    datetime(2026, 9, 1, tzinfo=UTC),
]


def holders(value: Any) -> Iterator[Any]:
    """Every table and list in a document."""
    if isinstance(value, dict | list):
        yield value
        for one in value.values() if isinstance(value, dict) else value:
            yield from holders(one)


def spoiled(raw: Any, rng: random.Random) -> Any:
    """`raw` with a few things changed, taken away, added or misspelt."""
    raw = deepcopy(raw)
    for _ in range(rng.randint(0, 4)):
        holder = rng.choice([one for one in holders(raw) if one] or [raw])
        key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
        match rng.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[f"{key}x"] = holder.pop(key)
            case 2 if isinstance(holder, dict):
                holder["surplus"] = rng.choice(OTHERS)
            case _:
                holder[key] = rng.choice(OTHERS)
    return raw


@pytest.mark.parametrize(("shape", "raw"), DOCUMENTS, ids=NAMES)
def test_what_is_called_wrong_is_what_cannot_be_read_and_what_is_mended_can(shape: type, raw: Any) -> None:
    rng = random.Random(len(str(raw)))
    for _ in range(40):
        document = spoiled(raw, rng)
        try:
            msgspec.convert(document, shape)
            sound = True
        except msgspec.ValidationError:
            sound = False
        found, mended = mend(document, shape, Surroundings.of(document, DECIMALS))
        assert sound == (not found.mistakes), (found.mistakes, document)
        msgspec.convert(mended, shape)


class Price(msgspec.Struct):
    price_minor: int


@pytest.mark.parametrize(
    ("header", "given", "code", "values"),
    [
        ({}, 35.0, ShapeMistake.MONEY, {"amount_minor": 3500}),
        ({}, 12.50, ShapeMistake.MONEY, {"amount_minor": 1250}),
        ({}, "12,5", ShapeMistake.MONEY, {"amount_minor": 1250}),
        ({"currency": "EUR"}, 2.5, ShapeMistake.MONEY_OF, {"currency": "EUR", "amount_minor": 250}),
        ({"currency": "JPY"}, 250.0, ShapeMistake.MONEY_OF, {"currency": "JPY", "amount_minor": 250}),
        ({"currency": "TND"}, 2.5, ShapeMistake.MONEY_OF, {"currency": "TND", "amount_minor": 2500}),
        ({}, 0.001, ShapeMistake.MONEY_TOO_FINE, {"currency": "RUB", "decimals": 2}),
        ({}, "3500", ShapeMistake.NEEDS_NUMBER, {}),
        ({}, True, ShapeMistake.NEEDS_NUMBER, {}),
    ],
)
def test_money_with_decimals_is_said_as_the_whole_number_to_write(
    header: dict[str, str], given: object, code: ShapeMistake, values: dict[str, int | str]
) -> None:
    around = Surroundings.of({"header": header}, DECIMALS)
    found, _ = mend({"price_minor": given}, Price, around)
    (mistake,) = found.mistakes
    assert (mistake.path, mistake.code) == ("price_minor", code)
    assert values.items() <= mistake.values.items()


class Moments(msgspec.Struct):
    day: date = date(2026, 1, 1)
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    aware: msgspec.UnsetType | datetime = msgspec.UNSET


def test_a_date_where_a_moment_is_needed_gets_an_example_in_the_documents_zone_and_the_reverse() -> None:
    around = Surroundings.of({"header": {"time_zone": "Asia/Sakhalin"}}, DECIMALS)
    found, _ = mend({"day": datetime(2026, 9, 2, 8, tzinfo=UTC), "at": date(2026, 9, 2)}, Moments, around)
    at, day = sorted(found.mistakes, key=lambda mistake: mistake.path)
    assert (at.code, at.values["example"]) == (ShapeMistake.NEEDS_MOMENT, "2026-09-02T00:00:00+11:00")
    assert (day.code, day.values["example"]) == (ShapeMistake.NEEDS_DATE, "2026-09-02")


def test_nothing_of_a_private_file_is_shown() -> None:
    document = json.loads(msgspec.json.encode(roster_document(child(1, 10, name="Тестов"))))
    document["pupils"][0] |= {"grade": "Тестов", "Тестов": 1, "hot_minor": 12.5, "shift": "Тестов 1"}
    found, _ = mend(document, RosterDocument, Surroundings.of(document, DECIMALS, private=True))
    assert len(found.mistakes) == 4
    assert "Тестов" not in repr([dict(mistake.values) for mistake in found.mistakes])
    assert "12" not in repr([mistake.values.get("given") for mistake in found.mistakes])
