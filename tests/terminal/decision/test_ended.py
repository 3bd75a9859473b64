"""O-01: a document that has ended without a successor, and the ages of what a terminal goes by (O-03)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from terminal.codes import Admission
from terminal.decision.bus.cash import decide_cash
from terminal.decision.outcome import Decision
from terminal.errors import RegionDocumentError
from terminal.policy.deny_list import AllDenied
from terminal.policy.grants import GrantTable
from terminal.policy.load import parse_region, require_in_force
from terminal.policy.policy import Policy
from terminal.trip.ages import freshness_of
from terminal.trip.facts import ClockState, Freshness
from tests.terminal.canteen.school import child, open_canteen, ref
from tests.terminal.decision.region import text_of
from tests.terminal.decision.rider import PENSIONER, Rider, demo_with, local, trip_at

NOW = local("08:00")
DAY = timedelta(days=1)
FREE = '[[concessions]]\ncode = 1\nname = "free"\nfare = { kind = "free" }\n'
DAY_S = 24 * 3600


def ended(ago: timedelta, *parts: str, go_on_days: int = 3) -> Policy:
    """The small region, whose document ended so long before `NOW`."""
    text = text_of(FREE, *parts, f"\n[ended]\ngo_on_days = {go_on_days}\n")
    end = (NOW - ago).isoformat()
    return Policy.of(parse_region(text.replace("2030-01-01T03:00:00+03:00", end), "ended.toml"))


def seen(decision: Decision) -> tuple[str, tuple[str, ...]]:
    return decision.outcome.message.value, decision.flags


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ago", "go_on_days", "expected"),
    [
        (-SECOND, 0, ("ok_benefit_unlimited", ())),
        (0 * DAY, 0, ("out_of_order", ("document_ended",))),
        (0 * DAY, 3, ("ok_benefit_unlimited", ("document_ended",))),
        (3 * DAY - SECOND, 3, ("ok_benefit_unlimited", ("document_ended",))),
        (3 * DAY, 3, ("out_of_order", ("document_ended",))),
    ],
)
def test_a_bus_goes_on_for_as_long_as_the_document_says(
    ago: timedelta, go_on_days: int, expected: tuple[str, tuple[str, ...]]
) -> None:
    decision = Rider(concessions=(PENSIONER,), policy=ended(ago, go_on_days=go_on_days)).tap(NOW)
    assert seen(decision) == expected
    trail = [(reason.code, dict(reason.inputs)) for reason in decision.facts if reason.rule == "O-01"]
    effects = {
        "out_of_order": "o-01:document_ended",
        "ok_benefit_unlimited": "o-01:document_goes_on",
    }
    assert trail == ([(effects[expected[0]], {"days": ago.days})] if expected[1] else [])


def test_a_suspect_clock_ends_no_document() -> None:
    rider = Rider(policy=ended(100 * DAY))
    assert seen(rider.tap(NOW, clock_suspect=True, clock_confirmed=True)) == ("ok_paid", ("clock_suspect",))


def test_an_inspector_may_still_ask() -> None:
    decision = Rider(policy=ended(100 * DAY)).tap(NOW, inspection=True)
    assert seen(decision) == ("inspection_unpaid", ("document_ended",))


def test_cash_is_taken_as_long_as_cards_are() -> None:
    trip = trip_at("bus", 7, 1, route=5)
    for ago, sum_minor, message in ((2 * DAY, 4000, "ok_paid"), (3 * DAY, None, "out_of_order")):
        sold = decide_cash(ended(ago), trip, 1, NOW)
        assert (sold.sum_minor, sold.message.value, sold.flags) == (sum_minor, message, ("document_ended",))


def test_a_canteen_serves_the_entitled_and_sells_nothing() -> None:
    policy = demo_with(("valid_to = 2036-01-01T00:00:00+03:00", f"valid_to = {NOW.isoformat()}"))
    pupil = Rider(concessions=(replace(PENSIONER, code=10, parameter=0x13),), policy=policy)
    meal = pupil.eat(NOW.replace(hour=9), serving="breakfast")
    assert (meal.outcome.admission, meal.flags[0]) == (Admission.LET_IN, "document_ended")


def test_a_canteen_s_lists_and_buffet_follow(tmp_path: Path) -> None:
    pupils = child(1, 10, grade=3), child(2, hot_minor=50_000, buffet_minor=20_000)
    with open_canteen(tmp_path, *pupils) as school:
        at = school.at("09:00")
        school.canteen.policy = _over(school.canteen.policy, at)
        (free,), (paid,) = (school.give(number, serving="breakfast") for number in (1, 2))
        assert free.meal is not None
        assert (free.outcome.message.value, free.meal.flags[0]) == ("meal_ok", "document_ended")
        assert (paid.outcome.message.value, paid.facts[-1].code) == ("selling_stopped", "o-01:nothing_sold")
        sale = school.sell(2, at="09:01", bun=1).decision
        assert (sale.outcome.message.value, sale.facts[-1].code) == ("selling_stopped", "o-01:nothing_sold")
        context = school.canteen.context(ref(1), ref(1), at)
        assert not context.paid_stopped, "the journal takes records"


def _over(policy: Policy, now: datetime) -> Policy:
    header = structs.replace(policy.document.header, valid_to=now - timedelta(days=1))
    return structs.replace(
        policy, document=structs.replace(policy.document, header=header), ends_at=header.valid_to
    )


def test_a_terminal_starts_with_a_document_that_goes_on() -> None:
    document = ended(2 * DAY).document
    require_in_force(document, NOW)
    with pytest.raises(RegionDocumentError, match=r"ended on .* the 3 days are over"):
        require_in_force(document, NOW + DAY)
    require_in_force(document, NOW + DAY, canteen=True)
    with pytest.raises(RegionDocumentError, match="not valid before"):
        require_in_force(document, document.header.valid_from - DAY, canteen=True)


def test_a_document_issued_after_its_end_is_refused() -> None:
    text = text_of().replace('currency = "RUB"', 'currency = "RUB"\nissued_at = 2031-01-01T00:00:00+03:00')
    with pytest.raises(RegionDocumentError, match=r"header\.issued_at: issued when it has ended"):
        parse_region(text, "small.toml")


# ages: O-03


def aged(document_days: int | None = 30, **lists_h: int) -> Policy:
    """The small region with lists so many hours old at `NOW`; what is left out is not configured."""
    stale = "" if document_days is None else f"\n[ages]\ndocument_stale_days = {document_days}\n"
    grants = GrantTable([])
    grants.issued_at = NOW - timedelta(hours=lists_h["grants"]) if "grants" in lists_h else None
    denied = AllDenied("7:x", frozenset(), 7, 34, NOW - timedelta(hours=lists_h.get("deny", 0)))
    issued = (NOW - 40 * DAY).isoformat()
    text = text_of(stale).replace('currency = "RUB"', f'currency = "RUB"\nissued_at = {issued}')
    policy = Policy.of(parse_region(text, "aged.toml"), grants=grants)
    return structs.replace(policy, deny_list=denied) if "deny" in lists_h else policy


def test_ages_are_those_of_what_is_in_force() -> None:
    certain = ClockState()
    assert freshness_of(aged(deny=30, grants=5), NOW, certain) == Freshness(30 * 3600, 5 * 3600, 40 * DAY_S)
    assert freshness_of(aged(None), NOW, certain) == Freshness(), "nothing is configured, nothing judged"
    assert freshness_of(aged(None, deny=-9), NOW.astimezone(UTC), certain) == Freshness(), "never negative"
    assert freshness_of(aged(deny=9000), NOW, ClockState(suspect=True)) == Freshness()


def test_without_a_time_of_issue_a_document_is_as_old_as_it_holds() -> None:
    policy = Policy.of(parse_region(text_of("\n[ages]\ndocument_stale_days = 30\n"), "small.toml"))
    since = NOW - policy.document.header.valid_from
    assert freshness_of(policy, NOW, ClockState()).document_age_s == since.total_seconds()
