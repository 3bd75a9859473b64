"""What driver, conductor and inspector do at the console, and what becomes of it at the next tap and in the journal."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from threading import Thread

import httpx
import pytest

from sim.air import DeskClock
from sim.faults import tear_after, tear_before
from terminal.codes import Admission
from terminal.decision.outcome import Message
from terminal.journal.console_records import OrderDeclared, PlaceSet
from terminal.journal.operation_records import ClockConfirmed
from terminal.journal.records import CashSale, Intent, ShiftClosed, ShiftOpened, Unwritten
from terminal.journal.taps import End
from terminal.policy.deny_list import AllDenied, DenyKind
from terminal.policy.load import DEMO_REGION, load_region, parse_region
from terminal.policy.policy import Policy
from terminal.screen.console.inspector import LASTS
from terminal.screen.console.roles import Role
from terminal.trip.asked import MOST_COMPANIONS
from terminal.trip.facts import Spot
from tests.currencies import demo_in
from tests.terminal.screen.console.cab import DRIVER, ROUTES, SERVICE_CARD, START, Cab, csrf, open_cab, ref_of

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def cab(tmp_path: Path):  # type: ignore[no-untyped-def]
    with open_cab(tmp_path) as cab:
        cab.sign_in()
        yield cab


def text(answer: httpx.Response) -> str:
    """What one reads of a page, blanks joined."""
    main = re.search(r"<main.*</main>", answer.text, re.S)
    assert main is not None, answer.text
    return " ".join(re.sub(r"<[^>]+>", " ", main[0]).split())


# shift, turn, place


def test_t_60_no_ride_before_the_shift_and_the_shift_is_the_operators(cab: Cab) -> None:
    assert cab.tap("adult_purse").outcome.message is Message.SHIFT_CLOSED
    cab.open_shift(15, 1)
    assert cab.tap("adult_purse").outcome.message is Message.OK_PAID
    (opened,) = cab.records(ShiftOpened)
    assert (opened.operator_ref, opened.route, opened.direction) == (DRIVER, 15, 1)  # type: ignore[attr-defined]


def test_t_66_the_lines_of_a_shift_add_up_to_its_taps(cab: Cab) -> None:
    cab.open_shift(15, 1)
    assert cab.tap("month_pass").outcome.accepted
    assert not cab.tap("month_pass").outcome.accepted, "handed back"
    cab.tap("empty_purse")
    assert cab.tap("adult_purse", fault=tear_before(7)).end is End.NOT_COMMITTED
    assert cab.tap("student_half_price", fault=tear_after(8)).end is End.UNRESOLVED
    for path in ("/taps", "/report"):
        shown = text(cab.client.get(path))
        for line in ("Taps 5", "Accepted 1", "Already inside 1", "Refused 1"):
            assert line in shown
        assert "Card taken away too early 1" in shown
        assert "End not known 1" in shown
    cab.act("/report", "/shift/close")
    totals = cab.records(ShiftClosed)[0].totals  # type: ignore[attr-defined]
    parts = ("accepted", "inside", "refused", "not_committed", "unresolved")
    assert [totals[name] for name in parts] == [1] * len(parts)
    assert totals["taps"] == len(parts)


@pytest.mark.parametrize(
    "fields", [{"route": 0}, {"route": 40_000}, {"route": "x"}, {"route": ""}, {"direction": 2}]
)
def test_a_shift_opens_on_a_route_in_a_direction_or_not_at_all(cab: Cab, fields: dict[str, object]) -> None:
    answer = cab.act("/shift", "/shift/open", **({"route": 15, "direction": 0} | fields))  # type: ignore[arg-type]
    assert answer.status_code == 409
    assert cab.journal.open_shift is None


def test_where_fares_depend_on_the_mode_a_route_that_is_not_listed_is_not_run(tmp_path: Path) -> None:
    """A form that was open when the list changed, or was never the page's."""
    metro = ROUTES.replace("number = 15\n", 'number = 15\nmode = "metro"\n')
    with open_cab(tmp_path, policy=Policy.of(load_region("st_petersburg")), routes=metro) as cab:
        cab.sign_in()
        assert "Route 99 is not in the list of routes" in text(
            cab.act("/shift", "/shift/open", route=99, direction=0)
        )
        assert "Route 6 is not in the list of routes" in text(cab.act("/shift", "/shift/open", run="6-0"))
        assert cab.journal.open_shift is None
        cab.open_shift(15)
        assert cab.act("/shift", "/shift/turn", route=99, direction=0).status_code == 409
        assert cab.journal.open_turn is None


def test_t_62_turns_are_numbered_within_the_shift_and_taps_belong_to_them(cab: Cab) -> None:
    cab.open_shift()
    cab.tap("month_pass")
    assert "Next turn: к Вокзалу" in text(cab.client.get("/shift"))
    cab.act("/shift", "/shift/turn")
    cab.tap("adult_purse")
    cab.act("/report", "/shift/close")
    cab.open_shift(6)
    cab.tap("free_pensioner")
    found = [(tap.turn, tap.route, tap.direction) for tap in cab.records(Intent)]  # type: ignore[attr-defined]
    assert found == [(1, 15, 0), (2, 15, 1), (1, 6, 0)]


def test_turn_and_place_survive_a_restart(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        cab.sign_in()
        cab.open_shift()
        cab.act("/shift", "/shift/turn")
        cab.act("/shift", "/shift/place", stop=1502)
        clock = cab.clock
        cab.journal.abandon()
    with open_cab(tmp_path, clock=clock) as cab:
        cab.tap("adult_purse")
        (tap,) = cab.records(Intent)
        assert (tap.turn, tap.direction, tap.trip["place.stop"]) == (2, 1, 1502)  # type: ignore[attr-defined]


def test_t_61_a_place_by_hand_marks_every_tap_and_sale_until_the_next_turn(cab: Cab) -> None:
    cab.open_shift()
    cab.act("/shift", "/shift/place", stop=1503)
    assert "Университет" in text(cab.client.get("/shift"))
    cab.tap("adult_purse")
    cab.act("/sale", "/sale", persons=1)
    cab.act("/shift", "/shift/turn")
    cab.tap("month_pass")
    by_hand, sale = cab.records(Intent)[0], cab.records(CashSale)[0]
    for record in (by_hand, sale):
        assert "position_manual" in record.flags  # type: ignore[attr-defined]
        known = record.trip  # type: ignore[attr-defined]
        place = [known[f"place.{name}"] for name in ("stop", "zone", "mark_m", "source")]
        assert place == [1503, 2, 4000, "hand"], "as the list of routes says"
    assert "position_manual" not in cab.records(Intent)[1].flags  # type: ignore[attr-defined]


def test_a_zone_that_the_region_does_not_have_is_no_place(zones: Cab) -> None:
    answer = zones.act("/shift", "/shift/place", zone=200)
    assert answer.status_code == 409
    assert "There is no zone 200 here" in text(answer)
    assert zones.journal.open_place is not None
    assert zones.journal.open_place.stop == 1501


def test_a_place_may_be_taken_back(cab: Cab) -> None:
    cab.open_shift()
    cab.act("/shift", "/shift/place", stop=1503)
    cab.act("/shift", "/shift/place", stop=0)
    assert "not set by hand" in text(cab.client.get("/shift"))
    assert cab.journal.open_place is None
    assert len(cab.records(PlaceSet)) == 2


def test_without_a_list_of_routes_numbers_are_typed(tmp_path: Path) -> None:
    with open_cab(tmp_path, routes="") as cab:
        cab.sign_in()
        cab.open_shift(115)
        assert "Route 115" in text(cab.client.get("/shift"))
        cab.act("/shift", "/shift/place", stop=31)
        assert cab.journal.open_place is not None
        assert cab.journal.open_place.stop == 31


# the next card

SUBURB = {"place.destination.stop": 1503, "place.destination.zone": 2, "place.destination.mark_m": 4000}


def asked_in(record: object) -> dict[str, object]:
    """What of a row's facts was asked for before the tap."""
    known = record.trip  # type: ignore[attr-defined]
    return {
        name: known[name]
        for name in known
        if name in {"companions", "asked_by"} or name.startswith("place.destination.")
    }


@pytest.fixture
def zones(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A cab whose fares go by zone, on its way from the first stop."""
    with open_cab(tmp_path, policy=zoned()) as cab:
        cab.sign_in()
        cab.open_shift()
        cab.act("/shift", "/shift/place", stop=1501)
        yield cab


def test_t_34_the_next_card_takes_the_persons_and_the_destination_that_were_asked_for(zones: Cab) -> None:
    for _ in range(2):
        assert zones.act("/shift", "/next/persons", more=1).headers["location"] == "/shift"
    zones.act("/shift", "/next/destination", to="stop-1503")
    until = (zones.clock.now() + timedelta(seconds=60)).astimezone(zones.console.policy.zone)
    assert f"3 persons · to Университет · until {until:%H:%M:%S}" in text(zones.client.get("/shift"))
    assert zones.tap("adult_purse").outcome.charge_minor == 3 * 4000
    assert "1 person, where to is not stated" in text(zones.client.get("/shift"))
    zones.tap("month_pass")
    paid, passed = zones.records(Intent)
    assert asked_in(paid) == {"companions": 2, "asked_by": "crew", **SUBURB}
    assert ("t-34:asked_by_crew", {"persons": 3, "to_stop": 1503, "to_zone": 2, "to_mark_m": 4000}) in [
        (step.code, dict(step.inputs))
        for step in paid.reasons  # type: ignore[attr-defined]
    ]
    assert asked_in(passed) == {}


def test_the_destination_alone_makes_the_fare_known(zones: Cab) -> None:
    assert zones.tap("adult_purse").outcome.message is Message.FARE_UNKNOWN
    zones.act("/shift", "/next/destination", to="stop-1502")
    assert zones.tap("adult_purse").outcome.charge_minor == 2000


def test_what_was_asked_for_waits_for_a_card_that_is_read_and_has_the_money(zones: Cab) -> None:
    zones.act("/shift", "/next/persons", more=1)
    zones.act("/shift", "/next/destination", to="stop-1503")
    assert zones.tap("not_desfire").outcome.message is Message.UNKNOWN_CARD
    assert zones.tap("empty_purse").outcome.message is Message.NO_FUNDS
    assert zones.tap("student_half_price", fault=tear_before(7)).end is End.NOT_COMMITTED
    assert zones.tap("adult_purse").outcome.charge_minor == 2 * 4000
    assert zones.terminal.next_ride.left_s == 0


def test_an_unknown_end_that_turns_out_as_a_ride_ends_what_was_asked_for(zones: Cab) -> None:
    zones.act("/shift", "/next/persons", more=1)
    zones.act("/shift", "/next/destination", to="stop-1502")
    assert zones.tap("adult_purse", fault=tear_after(8)).end is End.UNRESOLVED
    assert zones.tap("adult_purse").end is End.RECOVERED
    assert zones.terminal.next_ride.left_s == 0


def test_persons_on_a_ride_that_turns_out_late_are_not_taken_along_again(tmp_path: Path) -> None:
    """Too late for the same answer: a ride of its own, and they were on the one before."""
    source = DEMO_REGION.read_text("utf-8").replace("retap_s = 60", "retap_s = 10")
    with open_cab(tmp_path, policy=Policy.of(parse_region(source, "short.toml"))) as cab:
        cab.sign_in()
        cab.open_shift()
        cab.act("/shift", "/next/persons", more=1)
        assert cab.tap("adult_purse", fault=tear_after(8)).end is End.UNRESOLVED
        again = cab.tap("adult_purse", at_s=30)
        assert (again.end, again.outcome.charge_minor) == (End.COMMITTED, 2400)
        assert asked_in(cab.records(Intent)[-1]) == {}
        assert cab.terminal.next_ride.left_s == 0


def test_a_card_shown_twice_takes_nothing_that_was_asked_for_the_next(zones: Cab) -> None:
    zones.act("/shift", "/next/destination", to="stop-1502")
    zones.tap("adult_purse")
    zones.act("/shift", "/next/persons", more=1)
    zones.act("/shift", "/next/destination", to="stop-1503")
    assert zones.tap("adult_purse", at_s=1).outcome.message is Message.ALREADY_PAID
    again = zones.records(Unwritten)[-1]
    assert asked_in(again) == {}
    assert zones.tap("student_half_price").outcome.accepted
    assert asked_in(zones.records(Intent)[-1]) == {"companions": 1, "asked_by": "crew", **SUBURB}


@pytest.mark.parametrize("ends", ["time", "turn", "shift", "clear"])
def test_what_was_asked_for_is_forgotten(zones: Cab, ends: str) -> None:
    zones.act("/shift", "/next/persons", more=1)
    if ends == "time":
        zones.clock.advance(60)
    elif ends == "turn":
        zones.act("/shift", "/shift/turn")
    elif ends == "shift":
        zones.act("/report", "/shift/close")
        zones.open_shift()
    else:
        zones.act("/shift", "/next/forget")
    assert "1 person, where to is not stated" in text(zones.client.get("/shift"))
    zones.tap("month_pass")
    assert asked_in(zones.records(Intent)[-1]) == {}


def test_a_place_behind_the_vehicle_or_on_no_list_is_refused_with_words(zones: Cab) -> None:
    zones.act("/shift", "/shift/place", stop=1502)
    page = zones.client.get("/shift").text
    assert re.findall(r'<option value="(stop-[^"]+)"', page) == ["stop-1503"]
    for place in ("stop-1502", "stop-1501", "stop-9", "zone-1", "x"):
        answer = zones.act("/shift", "/next/destination", to=place)
        assert answer.status_code == 409
        assert "The vehicle does not come there on this trip." in text(answer)
    assert zones.terminal.next_ride.left_s == 0


def test_more_persons_than_a_card_takes_are_not_counted_and_fewer_than_one_neither(zones: Cab) -> None:
    for _ in range(MOST_COMPANIONS + 2):
        zones.act("/shift", "/next/persons", more=1)
    assert zones.terminal.next_ride.ride.companions == MOST_COMPANIONS
    for _ in range(MOST_COMPANIONS + 2):
        zones.act("/shift", "/next/persons", more=-1)
    assert zones.terminal.next_ride.left_s == 0
    for wrong in ("2", "x", ""):
        assert zones.act("/shift", "/next/persons", more=wrong).status_code == 409


def test_a_form_that_comes_twice_counts_one_person(zones: Cab) -> None:
    form = zones.form("/shift", "/next/persons") | {"more": "1"}
    for _ in range(3):
        assert zones.client.post("/next/persons", data=form).status_code == 303
    assert zones.terminal.next_ride.ride.companions == 1


def test_without_stops_the_zones_are_offered_and_without_fares_by_place_nothing(tmp_path: Path) -> None:
    with open_cab(tmp_path / "zones", policy=zoned(), routes="") as cab:
        cab.sign_in()
        cab.open_shift()
        assert re.findall(r'<option value="(zone-\d)">(\w+)<', cab.client.get("/shift").text) == [
            ("zone-1", "city"),
            ("zone-2", "suburb"),
        ]
        cab.act("/shift", "/shift/place", zone=1)
        cab.act("/shift", "/next/destination", to="zone-2")
        cab.tap("adult_purse")
        assert asked_in(cab.records(Intent)[0]) == {"asked_by": "crew", "place.destination.zone": 2}
    with open_cab(tmp_path / "flat") as cab:
        cab.sign_in()
        cab.open_shift()
        assert "/next/destination" not in cab.client.get("/shift").text
        assert "/next/persons" in cab.client.get("/shift").text


def test_where_fares_go_by_distance_without_stops_kilometres_are_typed(tmp_path: Path) -> None:
    policy = Policy.of(load_region("sakhalin"))
    header = ROUTES.partition("[[routes]]")[0]
    routes = f'{header}[[routes]]\nnumber = 115\nname = "Анива"\nmode = "suburban_bus"\n'
    with open_cab(tmp_path, policy=policy, routes=routes) as cab:
        cab.sign_in()
        cab.open_shift(115)
        cab.act("/shift", "/next/destination", to_km=17)
        assert cab.terminal.next_ride.ride.destination == Spot(mark_m=17_000)
        assert "to km 17" in text(cab.client.get("/shift"))
        assert cab.act("/shift", "/next/destination", to_km=1001).status_code == 409


def test_no_persons_are_counted_without_a_shift(cab: Cab) -> None:
    cab.open_shift()
    form = cab.form("/shift", "/next/persons") | {"more": "1"}
    cab.act("/report", "/shift/close")
    assert cab.client.post("/next/persons", data=form).status_code == 409


# cash


def test_t_53_a_sale_is_on_record_and_leaves_a_ticket(cab: Cab) -> None:
    cab.open_shift()
    answer = cab.act("/sale", "/sale", persons=3)
    (sale,) = cab.records(CashSale)
    assert (sale.persons, sale.sum_minor, sale.route) == (3, 9600, 15)  # type: ignore[attr-defined]
    ticket = text(cab.client.get(answer.headers["location"]))
    assert "RUB 96.00" in ticket
    assert "15 Вокзал — Университет" in ticket
    number = answer.headers["location"].rpartition("/")[2]
    (printed,) = (cab.folder / "receipts" / "tickets").iterdir()
    assert printed.name == f"70001-{number}.json"


@pytest.mark.parametrize(
    ("currency", "each", "three", "taken"),
    [
        ("EUR", "EUR 32.00", "EUR 96.00", "EUR 24.00"),
        ("JPY", "JPY 3,200", "JPY 9,600", "JPY 2,400"),
        ("KWD", "KWD 3.200", "KWD 9.600", "KWD 2.400"),
        ("KZT", "KZT 32.00", "KZT 96.00", "KZT 24.00"),
    ],
)
def test_cash_tickets_and_reports_are_in_the_regions_currency(
    tmp_path: Path, currency: str, each: str, three: str, taken: str
) -> None:
    policy = Policy.of(parse_region(demo_in(currency), "region.toml"))
    with open_cab(tmp_path, policy=policy) as cab:
        cab.sign_in()
        cab.open_shift()
        assert each in text(cab.client.get("/sale", follow_redirects=True))
        ticket = text(cab.client.get(cab.act("/sale", "/sale", persons=3).headers["location"]))
        assert three in ticket
        cab.tap("adult_purse")
        (sale,), (intent,) = cab.records(CashSale), cab.records(Intent)
        assert {sale.currency, intent.currency} == {currency}  # type: ignore[attr-defined]
        report = text(cab.client.get("/report"))
        assert f"By card {taken}" in report
        assert f"In cash {three}" in report
        cab.act("/report", "/shift/close")
        (closed,) = cab.records(ShiftClosed)
        assert closed.currency == currency  # type: ignore[attr-defined]


@pytest.mark.parametrize("persons", ["0", "100", "-1", "", "1.5", "x"])
def test_nobody_and_too_many_buy_nothing(cab: Cab, persons: str) -> None:
    cab.open_shift()
    assert cab.act("/sale", "/sale", persons=persons).status_code == 409
    assert cab.records(CashSale) == []


def test_where_the_fare_depends_on_the_zone_the_page_asks_for_it(tmp_path: Path) -> None:
    with open_cab(tmp_path, policy=zoned()) as cab:
        cab.sign_in()
        cab.open_shift()
        assert "Nothing can be sold now" in text(cab.client.get("/sale", follow_redirects=True))
        cab.act("/shift", "/shift/place", stop=1501)
        page = cab.client.get("/sale", follow_redirects=True).text
        rides = re.findall(r'name="ride" value="([^"]+)"', page)
        assert rides == ["1-3000", "2-5000"]
        assert cab.act("/sale", "/sale", persons=1, ride="3-5000").status_code == 409
        assert cab.act("/sale", "/sale", persons=1, ride="2-3000").status_code == 409
        assert cab.act("/sale", "/sale", persons=2, ride="2-5000").status_code == 303
        (sale,) = cab.records(CashSale)
        assert (sale.sum_minor, sale.trip["place.destination.zone"]) == (10_000, 2)  # type: ignore[attr-defined]


ZONES = """
[[zones]]
number = 1
name = "city"
[[zones]]
number = 2
name = "suburb"
[[fares.rules]]
kind = "zone_table"
id = "zones"
zones = ["city", "suburb"]
base = "cash"
[fares.rules.by_medium]
transport_card = [[2000, 4000], [4000, 2000]]
bank_card = [[2000, 4000], [4000, 2000]]
cash = [[3000, 5000], [5000, 3000]]
"""


def zoned(first: str = "city") -> Policy:
    """The demo region with fares by zone, refused where the zone is not known."""
    source = DEMO_REGION.read_text("utf-8") + ZONES.replace("city", first)
    return Policy.of(parse_region(source, "zoned.toml"))


# what one looks at


def test_taps_refusals_and_report_agree_and_show_nobody(cab: Cab) -> None:
    cab.open_shift()
    for resident in ("adult_purse", "blocked", "blocked", "empty_purse", "not_desfire", "month_pass"):
        cab.tap(resident)
    cab.act("/sale", "/sale", persons=2)
    taps, report = text(cab.client.get("/taps")), text(cab.client.get("/report"))
    assert "✕ Card blocked 2 ✕ Card not supported 1 ✕ Not enough money 1" in taps
    assert "Card blocked 2" in report
    assert "Accepted 2" in report
    assert "In cash RUB 64.00" in report
    refs = {
        record.card_ref.hex() for record in cab.records(Intent) + cab.records(Unwritten) if record.card_ref
    }  # type: ignore[attr-defined]
    pages = [cab.client.get(path).text for path in ("/taps", "/report", "/state", "/shift")]
    assert not any(ref in page for ref in refs for page in pages)


def test_t_66_closing_shows_the_report_and_it_stays_as_it_was(cab: Cab) -> None:
    cab.open_shift()
    cab.tap("adult_purse")
    cab.tap("blocked")
    answer = cab.act("/report", "/shift/close")
    (closed,) = cab.records(ShiftClosed)
    assert closed.totals["taps"] == 2  # type: ignore[attr-defined]
    page = text(cab.client.get(answer.headers["location"]))
    assert "The shift is closed." in page
    assert "Card blocked 1" in page
    assert "Paid by card 1" in page
    cab.open_shift()
    cab.tap("blocked")
    assert text(cab.client.get(answer.headers["location"])) == page
    assert cab.client.get("/report/1").status_code == 409
    assert cab.client.get("/ticket/1").status_code == 409


def test_t_64_out_of_service_refuses_cards_and_sales_until_taken_back(cab: Cab) -> None:
    cab.open_shift()
    cab.act("/state", "/state/order")
    assert cab.tap("adult_purse").outcome.message is Message.OUT_OF_ORDER
    assert "Nothing can be sold now" in text(cab.client.get("/sale", follow_redirects=True))
    assert "Declared by 77." in text(cab.client.get("/state"))
    cab.act("/state", "/state/order")
    assert cab.tap("adult_purse").outcome.accepted
    report = text(cab.client.get("/report"))
    assert "out of service, by 77" in report
    assert "back in service, by 77" in report
    assert [record.in_order for record in cab.records(OrderDeclared)] == [False, True]  # type: ignore[attr-defined]


def test_t_65_what_waits_for_the_network_and_how_long(cab: Cab) -> None:
    cab.open_shift()
    cab.clock.advance(2 * 3600)
    cab.sign_in()
    state = text(cab.client.get("/state"))
    assert f"Records not sent {cab.journal.unsent} Oldest of them 2 h" in state


# cards of staff


def test_a_service_card_pays_for_nothing_and_is_not_written(cab: Cab) -> None:
    cab.open_shift()
    cab.tap(SERVICE_CARD)
    before, rows = cab.image(SERVICE_CARD), len(cab.records(Intent) + cab.records(Unwritten))
    report = cab.tap(SERVICE_CARD)
    assert report.card_ref is None
    assert report.outcome.message is Message.STAFF_CARD
    assert cab.image(SERVICE_CARD) == before
    assert len(cab.records(Intent) + cab.records(Unwritten)) == rows


def test_o_05_a_service_card_confirms_a_clock_in_doubt_and_the_display_says_which_time(
    tmp_path: Path,
) -> None:
    clock = DeskClock(START)
    with open_cab(tmp_path, clock=clock) as cab:
        cab.sign_in()
        cab.open_shift()
        clock.set(clock.now() + timedelta(hours=3))
        assert cab.tap("adult_purse").outcome.message is Message.CLOCK_UNCONFIRMED
        outcome = cab.tap(SERVICE_CARD).outcome
        assert (outcome.message, outcome.admission) == (Message.CLOCK_CONFIRMED, Admission.INSIDE)
        local = clock.now().astimezone(cab.console.policy.zone)
        assert outcome.values == {"date": f"{local:%Y-%m-%d}", "time": f"{local:%H:%M}"}
        assert cab.console.presented is not None, "its holder may sign in, too"
        paid = cab.tap("adult_purse")
        assert paid.outcome.message is Message.OK_PAID
        assert cab.tap(SERVICE_CARD).outcome.message is Message.STAFF_CARD, "nothing is left to confirm"
        assert [record.operator_ref for record in cab.records(ClockConfirmed)] == [DRIVER]  # type: ignore[attr-defined]
        (ride,) = cab.records(Intent)
        assert ride.flags == ("clock_suspect",)  # type: ignore[attr-defined]


def test_o_05_a_card_that_is_no_service_card_any_more_confirms_nothing(tmp_path: Path) -> None:
    clock = DeskClock(START)
    with open_cab(tmp_path, clock=clock) as cab:
        cab.sign_in()
        cab.open_shift()
        cab.console.staff.remove(DRIVER)
        clock.set(clock.now() + timedelta(hours=3))
        assert cab.tap(SERVICE_CARD).outcome.message is Message.CLOCK_UNCONFIRMED
        assert cab.records(ClockConfirmed) == []


def test_a_card_taken_off_the_staff_list_is_a_passengers_again(cab: Cab) -> None:
    cab.open_shift()
    cab.console.staff.remove(DRIVER)
    assert cab.tap(SERVICE_CARD).outcome.message is Message.OK_PAID


@pytest.mark.parametrize(
    ("kind", "message"), [(DenyKind.CARD, Message.BLOCKED), (DenyKind.PERSON, Message.DENY_LIST)]
)
def test_a_blocked_service_card_opens_nothing(
    cab: Cab, monkeypatch: pytest.MonkeyPatch, kind: DenyKind, message: Message
) -> None:
    """Also where the card alone is denied, and its holder is not."""
    listed = AllDenied("test", frozenset({kind}))
    monkeypatch.setattr(type(cab.terminal.policy), "deny_list", listed, raising=False)
    cab.open_shift()
    assert cab.tap(SERVICE_CARD).outcome.message is message
    assert cab.console.presented is None


# inspection


def inspecting(cab: Cab) -> None:
    cab.client.cookies.clear()
    cab.sign_in(ref_of(Role.INSPECTOR))
    assert cab.act("/inspection", "/inspection/start", route=15, direction=0).status_code == 303


def test_t_70_the_inspector_reads_whether_the_ride_is_paid_and_nothing_changes(cab: Cab) -> None:
    cab.open_shift()
    paid_at = f"{(cab.tap('adult_purse').at).astimezone(cab.terminal.policy.zone):%H:%M}"
    inspecting(cab)
    assert "Present the passenger's card." in text(cab.client.get("/inspection")).replace("&#39;", "'")
    cab.tap("month_pass")
    before = cab.image("month_pass")
    assert cab.tap("month_pass").outcome.message is Message.INSPECTION_UNPAID
    assert "No payment" in text(cab.client.get("/inspection"))
    assert cab.tap("adult_purse").outcome.message is Message.INSPECTION_PAID
    assert f"Paid at {paid_at} on this vehicle" in text(cab.client.get("/inspection"))
    assert cab.image("month_pass") == before
    assert all(record.shift == 0 for record in cab.records(Unwritten)), "no sale of the driver's shift"  # type: ignore[attr-defined]


def test_t_70_the_turn_that_is_under_way_is_asked_for_by_its_own_name(cab: Cab) -> None:
    cab.open_shift(15, 0)
    cab.act("/shift", "/shift/turn")
    assert cab.tap("adult_purse").outcome.accepted
    cab.client.cookies.clear()
    cab.sign_in(ref_of(Role.INSPECTOR))
    page = cab.client.get("/inspection").text
    (chosen,) = re.findall(r'name="run" value="([^"]+)" required checked>', page)
    assert chosen == "15-1"
    assert "15 к Вокзалу Вокзал — Университет" in text(cab.client.get("/inspection"))
    cab.act("/inspection", "/inspection/start", run=chosen)
    assert "Route 15 к Вокзалу" in text(cab.client.get("/inspection"))
    assert cab.tap("adult_purse").outcome.message is Message.INSPECTION_PAID


def test_directions_have_their_own_names_wherever_one_is_chosen(cab: Cab) -> None:
    def chosen(path: str) -> str:
        return text(cab.client.get(path))

    both = "15 к Университету Вокзал — Университет 15 к Вокзалу Вокзал — Университет"
    assert both in chosen("/shift")
    assert "6 Outbound Рынок — Больница 6 Return" in chosen("/shift"), "where a route names none"
    answer = cab.act("/shift", "/shift/open", run="15-1")
    assert answer.status_code == 303
    assert "Route 15 к Вокзалу" in chosen("/shift")
    assert both in chosen("/shift")
    for wrong in ("15-2", "0-0", "x-1", "15-", "-1"):
        assert cab.act("/shift", "/shift/turn", run=wrong).status_code == 409


def test_what_is_asked_of_the_next_card_is_no_matter_of_an_inspection(zones: Cab) -> None:
    zones.act("/shift", "/next/persons", more=1)
    inspecting(zones)
    zones.tap("adult_purse")
    assert asked_in(zones.records(Unwritten)[-1]) == {}
    assert zones.terminal.next_ride.ride.companions == 1


def test_t_71_a_concession_card_in_the_wrong_hands_is_reported(cab: Cab) -> None:
    cab.open_shift()
    cab.tap("free_pensioner")
    inspecting(cab)
    fields = cab.form("/inspection", "/inspection/start")
    assert fields["misuse"] == "1"
    cab.client.post("/inspection/start", data=fields)
    cab.tap("free_pensioner")
    assert "Reported: concession card in the wrong hands." in text(cab.client.get("/inspection"))
    assert "misuse" in cab.records(Unwritten)[-1].flags  # type: ignore[attr-defined]


@pytest.mark.parametrize("ends", ["stop", "sign-out", "time"])
def test_an_inspection_ends_and_the_bus_sells_again(cab: Cab, ends: str) -> None:
    cab.open_shift()
    inspecting(cab)
    if ends == "stop":
        cab.act("/inspection", "/inspection/stop")
    elif ends == "sign-out":
        cab.client.post("/sign-out", data={"csrf": csrf(cab.client.get("/inspection"))})
    else:
        cab.clock.advance(LASTS.total_seconds())
    assert cab.tap("adult_purse").outcome.message is Message.OK_PAID


# beside the taps


def test_taps_and_the_console_work_at_once_without_harm(cab: Cab) -> None:
    """Actions and pages while cards are served: every row is there once, in an order that makes sense."""
    cab.open_shift()
    failed: list[str] = []

    def sell() -> None:
        with httpx.Client(base_url=cab.server.url, cookies=cab.client.cookies, timeout=30) as browser:
            for _ in range(10):
                page = browser.get("/sale", follow_redirects=True).text
                form = dict(
                    re.findall(
                        r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.split('/sale">')[-1]
                    )
                )
                answer = browser.post("/sale", data=form | {"persons": "1"})
                if answer.status_code != 303 or browser.get("/taps").status_code != 200:
                    failed.append(answer.text)

    sellers = [Thread(target=sell) for _ in range(2)]
    for seller in sellers:
        seller.start()
    for _ in range(15):
        cab.tap("month_pass", at_s=20)
    for seller in sellers:
        seller.join()
    assert failed == []
    assert len(cab.records(CashSale)) == 20
    totals = cab.console.shift_count()
    assert totals is not None
    assert totals.totals(cab.journal)["cash_sales"] == 20


# injection


@pytest.mark.parametrize("language", ["ru", "en"])
def test_names_of_routes_stops_zones_and_vehicles_are_text_not_markup(tmp_path: Path, language: str) -> None:
    stops = ", ".join(f"{{ number = {number}, name = '{SCRIPT}', zone = 1 }}" for number in (1501, 1502))
    routes = f"""
[header]
id = "city_routes"
version = 1
region = 999
issued_at = 2026-01-01T00:00:00+03:00

[[routes]]
number = 15
name = '{SCRIPT}'
directions = [{{ name = '{SCRIPT}', stops = [{stops}] }}, {{ name = '"><img src=x>' }}]
"""
    with open_cab(tmp_path, policy=zoned(), routes=routes, language=language) as cab:
        cab.sign_in()
        pages = [cab.client.get("/shift").text]
        cab.open_shift()
        cab.act("/shift", "/shift/place", stop=1501)
        cab.act("/shift", "/next/destination", to="stop-1502")
        ticket = cab.act("/sale", "/sale", persons=1, ride="1-3000").headers["location"]
        pages += [
            cab.client.get(path, follow_redirects=True).text
            for path in ("/shift", "/sale", "/taps", "/report", "/state", ticket)
        ]
        closed = cab.act("/report", "/shift/close").headers["location"]
        pages.append(cab.client.get(closed).text)
    assert not any("<script>" in page or "<img" in page for page in pages)
    assert sum("&lt;script&gt;" in page for page in pages) >= 3


@pytest.mark.parametrize("field", ["route", "direction", "csrf", "action"])
def test_what_is_typed_comes_back_as_text(cab: Cab, field: str) -> None:
    answer = cab.act("/shift", "/shift/open", **({"route": 15, "direction": 0} | {field: SCRIPT}))
    assert answer.status_code in (403, 409)
    assert "<script>" not in answer.text
    assert "<script>" not in cab.client.get("/sign-in", params={"typed": SCRIPT}).text


def test_the_look_is_the_browsers_and_goes_nowhere_else(cab: Cab) -> None:
    token = csrf(cab.client.get("/shift"))
    answer = cab.client.post("/look", data={"csrf": token, "language": "ru", "back": "https://evil.example"})
    assert answer.headers["location"] == "/"
    assert "Открыть смену" in cab.client.get("/shift").text
    cab.client.post("/look", data={"csrf": token, "theme": "day", "back": "/shift"})
    page = cab.client.get("/shift").text
    assert 'data-theme="day"' in page
    assert 'lang="ru"' in page
    cab.client.cookies.set("console_look", f"{SCRIPT}.{SCRIPT}")
    assert "<script>" not in cab.client.get("/shift").text
