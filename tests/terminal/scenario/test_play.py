"""Playing scenarios: the card goes on from tap to tap as a real one would, and so do issuing points, lists, pupils."""

from __future__ import annotations

import pytest

from cardproto.resident.records.event import EventKind, build_event
from terminal.decision.canteen.effects import AccountEffect
from terminal.decision.decide import decide
from terminal.errors import ScenarioFileError
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.scenario.compare import counters_of
from terminal.scenario.load import card_of, parse_scenarios
from terminal.scenario.play import Played, play
from tests.terminal.scenario.story import DEMO, HEADER, PAID, STUDENT, played, result

VOLGOGRAD = Policy.of(load_region("volgograd"))
COUNTED = "last = { at = 2026-09-14T08:00:00, counters = { concession_month = 49 } }"
ANY = "expect = { message = 'ok_paid', charge_minor = 2400 }"


def test_each_tap_finds_the_card_the_tap_before_left() -> None:
    first, second = played(PAID, f"after_s = 4000, route = 9, {ANY}")
    assert second.before == first.after
    assert [tap.after.event.balance_after_minor for tap in (first, second)] == [7600, 5200]
    assert [tap.trip.sequence for tap in (first, second)] == [1, 2]
    assert decide(second.before, DEMO, second.trip, second.at) == second.decision


def test_the_same_file_gives_the_same_bytes() -> None:
    taps = (PAID, f"after_s = 30, route = 9, {ANY}", f"after_s = 9999, {ANY}")
    once, again = played(*taps), played(*taps)
    assert [build_event(tap.after.event) for tap in once] == [build_event(tap.after.event) for tap in again]


def test_a_refusal_leaves_the_card_as_it_was() -> None:
    (tap,) = played("at = 2026-09-15T08:00:00, expect = { message = 'no_funds' }", card="card = {}")
    assert tap.after == tap.before
    assert tap.decision.write_plan is None


def test_the_terminal_of_the_scenario_holds_for_its_taps_and_a_tap_may_say_otherwise() -> None:
    taps = played(
        f"at = 2026-09-15T08:00:00, {ANY}",
        f"after_s = 5, mode = 'tram', route = 3, {ANY}",
        more="terminal = { route = 15, direction = 1, mode = 'bus', terminal = 77 }",
    )
    assert [(t.trip.route, t.trip.direction, t.trip.mode, t.trip.terminal) for t in taps] == [
        (15, 1, "bus", 77),
        (3, 1, "tram", 77),
    ]


def test_a_repeated_tap_follows_clock_and_weekdays_from_its_own_moment() -> None:
    taps = played(
        "at = 2026-09-18T17:30:00, repeat = { times = 4, clock = [17:30:00, 07:30:00], weekdays = ['mon', 'fri'] }, "
        "expect = { message = 'ok_benefit', charge_minor = 2000 }",
        card=STUDENT,
    )
    assert [f"{tap.at:%d %H:%M}" for tap in taps] == ["18 17:30", "21 07:30", "21 17:30", "25 07:30"]
    assert [(tap.tap, tap.turn) for tap in taps] == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert counters_of(taps[-1], DEMO)["concession_month"] == 4


def test_the_last_event_states_what_the_card_has_counted() -> None:
    (tap,) = played(
        "at = 2026-09-15T08:00:00, expect = { message = 'ok_benefit' }",
        card=STUDENT.replace("balance_minor", f"{COUNTED}, balance_minor"),
    )
    assert tap.decision.outcome.values["n"] == 0
    assert counters_of(tap, DEMO)["concession_month"] == 50


def test_an_open_journey_may_stand_on_the_card() -> None:
    last = "last = { at = 2026-09-15T07:50:00, route = 4, paid_by = 'purse', journey_age_s = 600, transfers = 0 }"
    (tap,) = played(PAID, card=f"card = {{ balance_minor = 100, {last} }}")
    assert tap.decision.outcome.message == "ok_transfer"
    assert tap.after.event.journey_age_s == 1200


def test_meals_of_the_day_may_stand_on_the_card() -> None:
    pupil = "concessions = [{ code = 11, grade = 3, valid_from = 2026-09-01, valid_to = 2027-05-31 }]"
    told = result(
        "at = 2026-09-15T09:40:00, expect = { message = 'meal_already', meals = ['breakfast'] }",
        "at = 2026-09-15T12:40:00, expect = { message = 'meal_ok', meals = ['breakfast', 'lunch'] }",
        card=f"card = {{ {pupil}, last = {{ at = 2026-09-15T08:40:00, event = 'meal', meals = ['breakfast'] }} }}",
        more="terminal = { profile = 'canteen' }",
    )
    assert told.ok, told.misses


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("blocked = true", "blocked"),
        ("inactive = true", "medium_inactive"),
        ("deny_listed = 'card'", "blocked"),
        ("deny_listed = 'person'", "deny_list"),
    ],
)
def test_a_card_may_be_out_of_use(flag: str, message: str) -> None:
    (tap,) = played(PAID, card=f"card = {{ {flag} }}")
    assert tap.decision.outcome.message == message


def test_the_reload_point_reloads_and_the_running_state_goes_on() -> None:
    first, second = played(
        "at = 2026-09-15T08:00:00, route = 1, expect = { message = 'ok_benefit' }",
        "at = 2026-09-15T08:30:00, route = 2, expect = { message = 'ok_transfer' }, "
        "issuing_point = { at = 2026-09-15T08:10:00, reload_minor = 5000 }",
        card=STUDENT,
    )
    reload = second.before.event
    assert (reload.kind, reload.amount_minor) == (EventKind.RELOAD, 5000)
    assert reload.balance_after_minor == first.after.event.balance_after_minor + 5000
    assert reload.journey_age_s == 600
    assert second.decision.outcome.message == "ok_transfer"
    assert counters_of(second, DEMO)["concession_month"] == 1


PACK = "{ product = 145, valid_from = 2026-09-01, valid_to = 2026-12-31, trips = 2 }"


@pytest.mark.parametrize(
    ("sold", "left"),
    [
        (PACK.replace("trips = 2", "trips = 5"), 3),  # more trips on the same contract: goes on counting
        (PACK.replace("2026-09-01", "2026-09-15"), 1),  # a contract of its own: begins at 0
    ],
)
def test_the_reload_point_sells_a_contract(sold: str, left: int) -> None:
    first, second = played(
        "at = 2026-09-15T08:00:00, expect = { message = 'ok_benefit' }",
        "at = 2026-09-15T09:30:00, expect = { message = 'ok_benefit' }, "
        f"issuing_point = {{ at = 2026-09-15T09:00:00, contracts = [{sold}] }}",
        card=f"card = {{ contracts = [{PACK}] }}",
    )
    assert first.decision.outcome.values["n"] == 1
    assert second.decision.outcome.values["n"] == left


def test_the_issuing_point_blocks_and_unblocks() -> None:
    told = result(
        "at = 2026-09-15T08:00:00, expect = { message = 'blocked' }, "
        "issuing_point = { at = 2026-09-15T07:00:00, blocked = true }",
        "after_s = 60, expect = { message = 'blocked' }, "
        "issuing_point = { at = 2026-09-15T08:00:30, blocked = false, deny_listed = 'card' }",
        "after_s = 60, expect = { message = 'ok_paid', charge_minor = 2400 }, "
        "issuing_point = { at = 2026-09-15T08:01:30, deny_listed = 'none' }",
    )
    assert told.ok, told.misses


def test_a_named_card_may_serve_several_scenarios() -> None:
    scenario = '[[scenarios]]\nname = "{}"\nrider = "adult"\ncard = "purse"\ntaps = [{{ {} }}]\n'
    both = scenario.format("one", PAID) + scenario.format("two", PAID)
    file = parse_scenarios(f"{HEADER}[cards.purse]\nbalance_minor = 2400\n{both}", "shared.toml")
    cards = [card_of(file, one) for one in file.scenarios]
    assert [card and card.balance_minor for card in cards] == [2400, 2400]
    assert [play(file, number, DEMO)[0].decision.outcome.message for number in (1, 2)] == ["ok_paid"] * 2


@pytest.mark.parametrize(
    ("card", "message", "charge_minor"),
    [
        ("bank_card = {}", "ok_paid", 3000),
        ("bank_card = { deny_listed = true }", "deny_list", 0),
        ("bank_card = { expires_on = 2026-09-14 }", "expired", 0),
        ("bank_card = { readable = false }", "read_again", 0),
        ("bank_card = { authenticated = false }", "not_accepted", 0),
        ("cash = {}", "ok_paid", 3200),
    ],
)
def test_a_rider_may_have_a_bank_card_or_cash(card: str, message: str, charge_minor: int) -> None:
    (tap,) = played(f"at = 2026-09-15T08:00:00, route = 2, {ANY}", card=card, policy=VOLGOGRAD)
    assert (tap.decision.outcome.message, tap.decision.outcome.charge_minor) == (message, charge_minor)
    assert (tap.before, tap.after, counters_of(tap, VOLGOGRAD)) == (None, None, {})


def test_t_43_the_player_counts_what_was_taken_from_a_bank_card_today() -> None:
    taps = [f"at = 2026-09-15T0{hour}:00:00, bank_list_age_s = 90000, {ANY}" for hour in (5, 6, 7, 8)]
    next_day = f"at = 2026-09-16T05:00:00, bank_list_age_s = 90000, {ANY}"
    found = played(*taps, next_day, card="bank_card = {}", policy=VOLGOGRAD)
    assert [tap.decision.outcome.message.value for tap in found] == ["ok_paid"] * 3 + [
        "online_only",
        "ok_paid",
    ]


def test_o_02_the_terminals_list_counts_when_it_is_newer_than_the_card() -> None:
    grant = "{ code = 1, valid_from = 2026-09-10, valid_to = 2027-09-10 }"
    listed = f"listed = {{ issued_on = 2026-09-10, concessions = [{grant}] }}"
    newer = played(PAID, card=f"card = {{ issued_on = 2026-09-01, {listed} }}")
    older = played(PAID, card=f"card = {{ issued_on = 2026-09-11, {listed} }}")
    assert [taps[0].decision.outcome.message.value for taps in (newer, older)] == [
        "ok_benefit_unlimited",
        "no_funds",
    ]


def test_an_issuing_point_needs_a_resident_card() -> None:
    with pytest.raises(
        ScenarioFileError, match=r"scenarios\[0\].taps\[0\].issuing_point: there is no resident card"
    ):
        played(f"{PAID}, issuing_point = {{ at = 2026-09-15T07:00:00 }}", card="bank_card = {}")


def test_an_issuing_point_opens_no_period() -> None:
    """As on a real card (docs/adr/0025): the next right clock does it."""
    _, second = played(
        "at = 2026-09-30T08:00:00, expect = { message = 'ok_benefit' }",
        "at = 2026-10-01T08:00:00, expect = { message = 'ok_benefit' }, "
        "issuing_point = { at = 2026-10-01T07:00:00, reload_minor = 100 }",
        card=STUDENT,
    )
    assert second.before is not None
    assert second.before.event.period_ahead == -1
    assert counters_of(second, DEMO)["concession_month"] == 1


def test_a_counter_set_on_the_first_of_the_month_is_of_that_month() -> None:
    _, second = played(
        "at = 2026-09-30T08:00:00, expect = { message = 'ok_benefit' }",
        "at = 2026-10-01T08:00:00, expect = { message = 'ok_benefit' }, "
        "issuing_point = { at = 2026-10-01T07:00:00, counters = { concession_month = 30 } }",
        card=STUDENT,
    )
    assert counters_of(second, DEMO)["concession_month"] == 31


def test_an_issuing_point_may_set_a_counter() -> None:
    first, second = played(
        "at = 2026-09-15T08:00:00, expect = { message = 'ok_benefit' }",
        "after_s = 9000, expect = { message = 'ok_benefit' }, "
        "issuing_point = { at = 2026-09-15T09:00:00, counters = { concession_month = 30 } }",
        card=STUDENT,
    )
    assert [counters_of(tap, DEMO)["concession_month"] for tap in (first, second)] == [1, 31]


PUPIL = "card = { concessions = [{ code = 12, grade = 8, shift = 2, valid_from = 2026-09-01, valid_to = 2027-05-31 }] }"
LUNCH = "expect = { message = 'meal_ok' }"
COUNTER = "terminal = { profile = 'canteen', school = 'city_school' }"


def pupils_meals(pupil: str, *taps: str) -> list[Played]:
    facts = f"pupil = {{ school = 'city_school', grade = 8, shift = 2, {pupil} }}"
    return played(*taps, card=PUPIL, more=f"{COUNTER}\n{facts}", policy=Policy.of(load_region("chelyabinsk")))


def test_the_parents_account_moves_with_what_they_pay() -> None:
    first, second = pupils_meals(
        "hot_minor = 10000", f"at = 2026-09-15T12:40:00, {LUNCH}", f"at = 2026-09-16T12:40:00, {LUNCH}"
    )
    assert first.decision.meal is not None
    share_minor = first.decision.meal.parents_minor
    assert share_minor > 0
    assert [tap.hot_minor for tap in (first, second)] == [10000 - share_minor, 10000 - 2 * share_minor]


def test_without_an_account_there_is_none_to_move() -> None:
    (tap,) = pupils_meals("absent = true", f"at = 2026-09-15T12:40:00, {LUNCH}")
    assert tap.hot_minor is None
    assert {"account_unknown", "was_absent"} <= set(tap.decision.flags)


def test_m_02_the_limit_of_the_day_is_measured_by_the_day() -> None:
    lunch = pupils_meals("hot_minor = 99999", f"at = 2026-09-15T12:40:00, {LUNCH}")[0]
    assert lunch.decision.meal is not None
    limit_minor = lunch.decision.meal.parents_minor
    breakfast = "serving = 'breakfast', expect = { message = 'meal_limit' }"
    taps = pupils_meals(
        f"hot_minor = 99999, day_limit_minor = {limit_minor}",
        f"at = 2026-09-15T12:40:00, {LUNCH}",
        f"after_s = 60, {breakfast}",
        f"at = 2026-09-16T12:40:00, {LUNCH}",
    )
    assert [tap.decision.outcome.message.value for tap in taps] == ["meal_ok", "meal_limit", "meal_ok"]
    assert taps[1].hot_minor == taps[0].hot_minor


def test_m_32_an_order_is_for_its_day_and_used_once() -> None:
    order = "serving = 'breakfast', expect = { message = 'meal_ok' }"
    taps = pupils_meals(
        "hot_minor = 20000, orders = ['breakfast']",
        f"at = 2026-09-15T09:40:00, {order}",
        f"after_s = 60, {order}",
        f"at = 2026-09-16T09:40:00, {order}",
    )
    trails = [[fact.effect for fact in tap.decision.facts] for tap in taps]
    assert [AccountEffect.ORDERED in trail for trail in trails] == [True, False, False]


def test_o_08_what_another_terminal_gave_is_asked_about_and_a_card_that_is_only_read_gets_none() -> None:
    other, same, read = pupils_meals(
        "hot_minor = 20000",
        "at = 2026-09-15T12:40:00, served_elsewhere = ['breakfast'], expect = { message = 'meal_ok' }",
        "at = 2026-09-16T12:40:00, served_elsewhere = ['breakfast', 'lunch'], expect = { message = 'meal_ask' }",
        "at = 2026-09-16T12:41:00, only_read = true, expect = { message = 'card_read' }",
    )
    assert [tap.decision.outcome.message.value for tap in (other, same, read)] == [
        "meal_ok",
        "meal_ask",
        "card_read",
    ]
    assert same.decision.facts[-1].code == "o-08:ask_elsewhere"
    with pytest.raises(ScenarioFileError) as refused:
        pupils_meals("hot_minor = 1", f"at = 2026-09-15T12:40:00, served_elsewhere = ['tea'], {LUNCH}")
    assert refused.value.what.startswith('scenarios[0].taps[0].served_elsewhere: unknown meal kind "tea"')


def test_a_pupil_served_without_his_card_is_not_served_again() -> None:
    """The roster's grounds count, and the terminal remembers although the card holds no concession."""
    grants = "grants = [{ code = 13, valid_from = 2026-09-01, valid_to = 2027-05-31 }]"
    facts = f"pupil = {{ school = 'city_school', grade = 2, shift = 1, {grants} }}"
    first, again = played(
        f"at = 2026-09-15T09:40:00, {LUNCH}",
        f"after_s = 60, {LUNCH}",
        card="card = {}",
        more=f"{COUNTER}\n{facts}",
        policy=Policy.of(load_region("chelyabinsk")),
    )
    assert [tap.decision.outcome.message.value for tap in (first, again)] == ["meal_ok", "meal_already"]


def test_a_counter_may_be_full_and_not_fuller() -> None:
    (tap,) = played(PAID, card="card = { last = { at = 2026-09-14T08:00:00, counters = { pack_b = 255 } } }")
    assert tap.before is not None
    assert tap.before.event.counters
    with pytest.raises(ScenarioFileError, match="cannot hold 256"):
        played(PAID, card="card = { last = { at = 2026-09-14T08:00:00, counters = { pack_b = 256 } } }")
