"""What one would test of any terminal: the good case, every tear, other people's cards, and what it costs."""

from __future__ import annotations

import pytest
from balance_checker import balance_of

from cardproto import CardGone, StatusError
from sim import tear_after, tear_before


@pytest.mark.parametrize(("resident", "balance"), [("adult_purse", "500.00"), ("empty_purse", "0.00")])
def test_balance(resident_card, tap, resident, balance):
    assert tap(resident_card(resident), balance_of).result == balance


@pytest.mark.parametrize("tear", [tear_before, tear_after])
@pytest.mark.parametrize("exchange", range(1, 5))
def test_a_card_that_leaves_is_said_to_have_left(resident_card, tap, tear, exchange):
    done = tap(resident_card("adult_purse"), balance_of, tear(exchange), raises=False)
    assert isinstance(done.error, CardGone)


def test_somebody_else_s_card_is_refused(resident_card, tap):
    with pytest.raises(StatusError):
        tap(resident_card("foreign_desfire"), balance_of)


def test_it_is_quick(resident_card, tap, sim_clock):
    before = sim_clock.monotonic()
    done = tap(resident_card("adult_purse"), balance_of)
    assert done.exchanges == 4
    assert done.air_ms < 40
    assert sim_clock.monotonic() - before == pytest.approx(done.air_ms / 1000)


def test_reading_changes_nothing(resident_card, tap):
    card = resident_card("adult_purse")
    before = card.image()
    tap(card, balance_of)
    assert card.image() == before
