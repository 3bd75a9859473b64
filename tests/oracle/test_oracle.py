"""The product against the independent oracle: random lives of cards, and mistakes planted to be noticed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.oracle import card, rules, tariff
from tests.oracle.life import DOCUMENTS, World, run
from tests.oracle.planted import NOTICED, Mistake, mistakes, noticed

SLICE = 3_000
"""Taps of each document: some 20 s in all. `python -m tests.oracle` takes as many as one likes."""
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
    tally = run(World(path), SLICE, seed=1)
    assert not tally.differences, "\n".join(map(str, tally.differences[:3]))
    met = tally.outcomes + Counter({name.removeprefix("flag:"): n for name, n in tally.outcomes.items()})
    assert {name: met[name] for name in MET[path.stem] if met[name] < 10} == {}


def test_the_oracle_is_short() -> None:
    """So many lines, blank ones apart, can be read beside the documents; more would be a second product."""
    texts = [Path(module.__file__ or "").read_text(encoding="utf-8") for module in (tariff, card, rules)]
    assert sum(bool(line.strip()) for text in texts for line in text.splitlines()) <= 930


@pytest.mark.parametrize("mistake", mistakes()[::3], ids=lambda mistake: mistake.name)
def test_a_planted_mistake_is_noticed(mistake: Mistake) -> None:
    """Every third here; `python -m tests.oracle.planted` tries all."""
    done = noticed(mistake)
    assert done.returncode == NOTICED, done.stdout + done.stderr
