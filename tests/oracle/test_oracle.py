"""The product against the independent oracle: random lives of cards, and mistakes planted to be noticed."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pytest

from cardproto.resident.records.rights import Concession
from terminal.lab.oracle import rules
from terminal.lab.oracle.card import OracleCard, OracleRight, OracleTap
from terminal.lab.oracle.tariff import OracleRide, Tariff
from terminal.policy.load import parse_region
from terminal.policy.policy import Policy
from tests.oracle.life import DOCUMENTS, World, run
from tests.oracle.planted import NOTICED, mistakes, noticed
from tests.planted import Mistake
from tests.terminal.decision.rider import Rider

SLICE = 3_000
FEWER = 900
"""Taps of each document: some 20 s in all. `python -m tests.oracle` takes as many as one likes."""
ORACLE = Path(rules.__file__ or "").parent
PLACES = ("place:fresh", "place:stale", "place:estimated", "place:missing", "place:contradicted")
DATA = ("stale_data", "expired_data", "stale_document", "razzia")
ENDS = ("document_ended:let_in", "document_ended:out_of_order")
MET = {
    "demo": ("ok_paid", "ok_pass", "ok_pack", "ok_transfer", "ok_benefit", "meal_ok", "period_ahead"),
    "volgograd": ("ok_paid", "ok_pass", "ok_pack", "ok_transfer", "ok_benefit", "meal_ok", "already_paid"),
    "belgorod": ("ok_checkin", "ok_checkout", "checkin:forgotten", "companions", "too_many_persons", *PLACES),
    "city": (
        "ok_paid",
        "ok_transfer",
        "limit_reached",
        "fare_unknown",
        "benefit_out_of_season",
        *DATA,
        *ENDS,
    ),
    "suburb": (
        "ok_checkin",
        "ok_checkout",
        "checkin:forgotten",
        "companions",
        "too_many_persons",
        *PLACES,
        *ENDS,
    ),
    "journeys": (
        "ok_pass",
        "limit_reached",
        "t-38:top_up:boarding",
        "t-38:free_transfer:boarding",
        "t-39:way_back:boarding",
    ),
    "commuter": (
        "checkin:forgotten",
        "t-38:top_up:boarding",
        "t-38:free_transfer:boarding",
        "t-39:way_back:boarding",
        "event:check_out",
    ),
}
"""What a slice has to meet, each at least ten times, to say anything."""


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_random_taps_come_to_what_the_documents_say(path: Path) -> None:
    met_here = MET.get(path.stem, ())
    tally = run(World(path), SLICE if met_here else FEWER, seed=1)
    assert not tally.differences, "\n".join(map(str, tally.differences[:3]))
    met = tally.outcomes + Counter({name.removeprefix("flag:"): n for name, n in tally.outcomes.items()})
    assert {name: met[name] for name in met_here if met[name] < 10} == {}


@pytest.mark.parametrize("module", sorted(ORACLE.glob("*.py")), ids=lambda path: path.stem)
def test_the_oracle_needs_the_standard_library_alone(module: Path) -> None:
    """Whatever part of the product it used, a mistake there would be on both sides."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        others = [name for name in names if name.partition(".")[0] not in sys.stdlib_module_names]
        assert all(name.startswith("terminal.lab.oracle") for name in others), others
        assert not isinstance(node, ast.ImportFrom) or node.level == 0


def test_the_oracle_is_short() -> None:
    """So many lines, blank ones apart, can be read beside the documents; more would be a second product.

    What the cashier is asked (`meals.ask`) came with twenty: without them every till of a storm would ask nothing.
    Tickets for cash and breaks came with twenty more: without them a storm's crews would sell none.
    """
    texts = [module.read_text(encoding="utf-8") for module in ORACLE.glob("*.py")]
    assert sum(bool(line.strip()) for text in texts for line in text.splitlines()) <= 1300


@pytest.mark.parametrize("mistake", mistakes()[::3], ids=lambda mistake: mistake.name)
def test_a_planted_mistake_is_noticed(mistake: Mistake) -> None:
    """Every third here; `python -m tests.oracle.planted` tries all."""
    done = noticed(mistake)
    assert done.returncode == NOTICED, done.stdout + done.stderr


@pytest.mark.parametrize("codes", [(12, 15), (15, 12)])
def test_of_grounds_worth_the_same_the_smaller_code_holds(codes):
    """M-16: in Volgograd both give one meal of 90.00, paid by others."""
    path = next(one for one in DOCUMENTS if one.stem == "volgograd")
    tariff, day = Tariff(path), date(2026, 9, 15)
    at = datetime(2026, 9, 15, 9, 40, tzinfo=tariff.zone)
    rights = tuple(OracleRight(code, date(2026, 9, 1), date(2027, 5, 31), 0x17) for code in codes)
    card = OracleCard(34, date(2025, 1, 1), date(2030, 12, 31), at, day, (*rights, None))
    answer = rules.decide(tariff, card, OracleTap(7, OracleRide(at, "", 0, 0), canteen=True))
    child = Rider(
        concessions=tuple(Concession(right.code, 0x17, right.first, right.last) for right in rights),
        balance_minor=0,
        policy=Policy.of(parse_region(path.read_text("utf-8"), path.name)),
    )
    meal = child.eat(at).meal
    assert answer.meal is not None
    assert meal is not None
    assert meal.sources == answer.meal.sources == {"regional": 6000, "municipal": 3000}
