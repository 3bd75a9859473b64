"""The reload point serves every kind of resident card."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from sim.card.virtual import VirtualCard
from sim.issuing import ReloadPoint, issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from tests.sim.bench import SERVICE_DAY, Counting

AT = datetime(2026, 9, 15, 9, tzinfo=UTC)


@pytest.mark.parametrize("name", ["adult_purse", "adult_purse_ev1", "adult_purse_random_uid"])
def test_money_and_rights_at_the_reload_point(name: str) -> None:
    masters, rng = load_lab_keys(), Counting()
    card = issue(load_profile(name), masters, 34, date(2026, 9, 15), rng)
    assert isinstance(card, VirtualCard)
    point = ReloadPoint(card, masters.for_card(card.uid, 34), rng, SERVICE_DAY)
    point.set_purse(71_000, AT)
    point.set_purse(60_000, AT)
    point.set_rights(lambda rights: replace(rights, blocked=True), AT)
    view = point.read()
    assert (view.purse_minor, view.event.balance_after_minor) == (60_000, 60_000)
    assert view.rights.blocked
    assert view.rights.revision == 2
