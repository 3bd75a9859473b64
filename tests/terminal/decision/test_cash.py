"""Cash on the driver's terminal: T-01's third price, T-53's sale, T-60's shift; and never a ride for nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from terminal.decision.bus.cash import decide_cash
from terminal.decision.outcome import Message
from terminal.decision.recompute import RecordedCash, recompute_cash
from terminal.trail import recorded
from terminal.trip.facts import Freshness, Place, PlaceSource, Trip
from terminal.trip.stated import stated
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import DEMO, demo_with, local

NOW = local("08:00")
HERE = Trip("bus", 7, 1, shift=1, route=5)
BY_HAND = Place(source=PlaceSource.HAND)


@pytest.mark.parametrize("persons", [1, 2, 7])
def test_t_01_everybody_pays_the_cash_fare(persons: int) -> None:
    decision = decide_cash(DEMO, HERE, persons, NOW)
    assert (decision.sum_minor, decision.message) == (3200 * persons, Message.OK_PAID)


@pytest.mark.parametrize(
    ("clock", "sum_minor"), [("20:00:00", 3000), ("20:00:00.999999", 3000), ("20:00:01", 2500)]
)
def test_a_cash_ticket_is_priced_by_the_whole_second(clock: str, sum_minor: int) -> None:
    """As taps are: the record carries milliseconds, and the price has to follow from it."""
    at_peak = """
[[timeframes]]
id = "peak"
windows = [
  { days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], starts = 17:00:00, ends = 20:00:00, end_included = true },
]
[fares]
base_minor = 2500
"""
    prices = ("2500", "3000")
    rules = "".join(
        f'[[fares.rules]]\nid = "r{number}"\nkind = "flat"\n{when}by_medium = {{ transport_card = {price}, '
        f"bank_card = {price}, cash = {price} }}\n"
        for number, (when, price) in enumerate(
            zip(('except_when = "peak"\n', 'when = "peak"\n'), prices, strict=True)
        )
    )
    policy = small(fares=at_peak + rules)
    assert decide_cash(policy, HERE, 1, local(clock)).sum_minor == sum_minor


def test_t_60_nothing_is_sold_without_a_shift() -> None:
    decision = decide_cash(DEMO, replace(HERE, shift=0), 1, NOW)
    assert (decision.sum_minor, decision.message) == (None, Message.SHIFT_CLOSED)


def test_t_64_nothing_is_sold_by_a_terminal_that_is_out_of_order() -> None:
    decision = decide_cash(DEMO, replace(HERE, reader_ok=False), 1, NOW)
    assert (decision.sum_minor, decision.message) == (None, Message.OUT_OF_ORDER)


def test_t_61_a_place_entered_by_hand_marks_the_sale() -> None:
    assert decide_cash(DEMO, replace(HERE, place=BY_HAND), 1, NOW).flags == ("position_manual",)
    assert decide_cash(DEMO, HERE, 1, NOW).flags == ()


def test_a_cash_sale_follows_from_its_record() -> None:
    trip = replace(HERE, place=BY_HAND)
    decision = decide_cash(DEMO, trip, 3, NOW)
    assert decision.sum_minor is not None
    sale = RecordedCash(
        NOW, HERE, stated(trip), 3, decision.sum_minor, recorded(decision.facts), decision.flags
    )
    assert recompute_cash(sale, DEMO) == []
    assert [one.what for one in recompute_cash(replace(sale, sum_minor=9500), DEMO)] == ["sum_minor"]
    dearer = demo_with(("cash = 3200", "cash = 3300"))
    assert [one.what for one in recompute_cash(sale, dearer)] == ["sum_minor", "reasons"]


@pytest.mark.parametrize(
    ("age_days", "over_s", "stop", "sum_minor", "message", "flags"),
    [
        (14, 0, "", 4000, Message.OK_PAID, ()),
        (14, 1, "", 4000, Message.OK_PAID, ("old_bundles",)),
        (365, 0, "", 4000, Message.OK_PAID, ("old_bundles",)),
        (20, 0, "bundles_stop_days = 20\n", 4000, Message.OK_PAID, ("old_bundles",)),
        (20, 1, "bundles_stop_days = 20\n", None, Message.OUT_OF_ORDER, ("old_bundles",)),
    ],
)
def test_o_14_cash_is_taken_until_the_region_s_last_day(
    age_days: int, over_s: int, stop: str, sum_minor: int | None, message: Message, flags: tuple[str, ...]
) -> None:
    """It is paid at once, so old lists limit nothing; a bus that sells nothing sells nothing for cash either."""
    here = replace(HERE, freshness=Freshness(bundles_age_s=age_days * 24 * 3600 + over_s))
    decision = decide_cash(small("[ages]\n" + stop), here, 1, NOW)
    assert (decision.sum_minor, decision.message, decision.flags) == (sum_minor, message, flags)
    stopped = [fact.code for fact in decision.facts if fact.code == "o-14:bundles_stop"]
    assert bool(stopped) is (message is Message.OUT_OF_ORDER)
