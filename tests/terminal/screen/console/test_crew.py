"""What a crew does besides driving and selling: tickets taken back, children and luggage, cash that is handed over,
another driver, a break; and a report in which every tap stands in one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.faults import tear_after, tear_before
from terminal.clock import from_unix_ms
from terminal.codes import Admission, TicketKind
from terminal.decision.outcome import Message
from terminal.export.reports import shift_report
from terminal.journal.console_records import (
    BreakDeclared,
    CashHandedOver,
    CrewChanged,
    SaleCancelled,
)
from terminal.journal.records import CashSale, ShiftClosed
from terminal.journal.taps import taps
from terminal.policy.load import DEMO_REGION, parse_region
from terminal.policy.policy import Policy
from terminal.receipt.counter import cancel_left_s
from terminal.recompute.rows import VerdictKind, verdict_of
from terminal.screen.console.roles import Role
from tests.properties import examples
from tests.terminal.screen.console.cab import DRIVER, Cab, open_cab, ref_of
from tests.terminal.screen.console.test_bus_console import text

RELIEF = ref_of(Role.CONDUCTOR)
FARE = 3200
SOLD = "child_percent = 50\nluggage_minor = 2050"


def selling(rules: str) -> Policy:
    """The demo region with other rules for cash."""
    return Policy.of(parse_region(f"{DEMO_REGION.read_text()}\n[cash]\n{rules}\n".encode(), "demo.toml"))


@pytest.fixture(scope="module")
def vehicle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cab]:
    """One vehicle for all tests, each of which works a shift of its own."""
    with open_cab(tmp_path_factory.mktemp("vehicle"), policy=selling(SOLD)) as cab:
        yield cab


@pytest.fixture
def cab(vehicle: Cab) -> Cab:
    vehicle.new_shift()
    return vehicle


def sell(cab: Cab, kind: str = "full", persons: int = 1) -> int:
    """The row of a sale."""
    answer = cab.act(f"/sale?kind={kind}", "/sale", persons=persons)
    assert answer.status_code == 303, text(answer)
    return int(answer.headers["location"].rpartition("/")[2])


def relieved(cab: Cab, counted: str, by: str = RELIEF) -> None:
    """The other member of the crew signs in and takes the shift over, with so much cash."""
    cab.client.cookies.clear()
    cab.sign_in(by)
    answer = cab.act("/shift", "/shift/take", sum=counted)
    assert answer.status_code == 303, text(answer)


# T-54


def test_t_54_the_newest_ticket_is_cancelled_and_its_money_is_in_no_sum(cab: Cab) -> None:
    requests = cab.folder / "receipts" / "requests"
    before = len(list(requests.iterdir())) if requests.exists() else 0
    kept, sale = sell(cab), sell(cab, persons=3)
    assert "Cancel ticket" in text(cab.client.get("/sale", follow_redirects=True))
    assert "RUB 96.00" in text(cab.client.get(f"/cancel/{sale}"))
    answer = cab.act(f"/cancel/{sale}", "/sale/cancel")
    assert answer.headers["location"] == f"/ticket/{sale}"
    (row,) = cab.records(SaleCancelled)
    assert (row.sale, row.sum_minor, row.operator_ref) == (sale, 3 * FARE, DRIVER)  # type: ignore[attr-defined]
    assert "The money was given back" in text(cab.client.get(f"/ticket/{sale}"))
    assert "The money was given back" not in text(cab.client.get(f"/ticket/{kept}"))
    report = text(cab.client.get("/report"))
    for line in ("Cash tickets 1", "In cash RUB 32.00", "Cancelled tickets 1, RUB 96.00"):
        assert line in report
    assert "3 persons cancelled" in text(cab.client.get("/taps"))
    refund = json.loads((requests / f"{cab.terminal.number}-{sale}-refund.json").read_bytes())
    assert (refund["refunds"], refund["sum_minor"]) == (f"{cab.terminal.number}-{sale}", 3 * FARE)
    assert len(list(requests.iterdir())) == before + 3, "two sales, one refund"


def test_t_54_only_the_newest_once_and_in_time(cab: Cab) -> None:
    first = sell(cab)
    form = cab.form(f"/cancel/{first}", "/sale/cancel")
    second = sell(cab)
    assert "Only the newest ticket" in text(cab.client.post("/sale/cancel", data=form))
    late = cab.form(f"/cancel/{second}", "/sale/cancel")
    twice = cab.form(f"/cancel/{second}", "/sale/cancel")
    assert cab.client.post("/sale/cancel", data=twice).status_code == 303
    assert "cancelled already" in text(cab.client.post("/sale/cancel", data=late))
    third = sell(cab)
    late = cab.form(f"/cancel/{third}", "/sale/cancel")
    cab.clock.advance(timedelta(minutes=5).total_seconds())
    assert "too late" in text(cab.client.post("/sale/cancel", data=late))
    assert cab.client.get(f"/cancel/{third}").status_code == 409
    assert "Cancel ticket" not in text(cab.client.get("/sale", follow_redirects=True))
    assert len(cab.records(SaleCancelled)) == 1


def test_t_54_a_clock_that_is_put_back_gains_no_time() -> None:
    policy, sale = (
        Policy.of(parse_region(DEMO_REGION.read_bytes(), "demo")),
        CashSale(1_000_000, 1, 1, 7, 0, 1, 3_200, "demo:1"),
    )
    left = {
        off: cancel_left_s(policy, sale, from_unix_ms(1_000_000 + off * 1000))
        for off in (0, 299, 300, -299, -300, -900)
    }
    assert left == {0: 300, 299: 1, 300: 0, -299: 1, -300: 0, -900: 0}


# T-55


def test_t_55_children_and_luggage_are_sold_as_the_document_says(cab: Cab) -> None:
    assert "RUB 16.00" in text(cab.client.get("/sale?kind=child", follow_redirects=True))
    rows = [sell(cab, "child", 2), sell(cab, "luggage", 3), sell(cab)]
    sales = cab.records(CashSale)
    found = [(one.ticket, one.persons, one.sum_minor) for one in sales]  # type: ignore[attr-defined]
    assert found == [
        (TicketKind.CHILD, 2, FARE),
        (TicketKind.LUGGAGE, 3, 3 * 2050),
        (TicketKind.FULL, 1, FARE),
    ]
    assert "Kind of ticket Luggage Pieces 3" in text(cab.client.get(f"/ticket/{rows[1]}"))
    passed = taps(cab.terminal.number, cab.rows())
    assert [tap.riders for tap in passed] == [2, 0, 1], "no one rides with a ticket for luggage"
    for row, sale in zip(rows, sales, strict=True):
        verdict = verdict_of(cab.terminal.number, row, sale, cab.terminal.policy)  # type: ignore[arg-type]
        assert verdict.kind is VerdictKind.RECOMPUTED


def test_t_54_t_55_what_the_document_does_not_allow_is_not_done(tmp_path: Path) -> None:
    with open_cab(tmp_path, policy=selling("cancel_within_s = 0")) as cab:
        cab.sign_in()
        cab.open_shift()
        sale = sell(cab)
        assert cab.client.get(f"/cancel/{sale}").status_code == 409
        assert "Kind of ticket" not in cab.client.get("/sale", follow_redirects=True).text
        assert "Nothing can be sold now" in text(cab.client.get("/sale?kind=luggage", follow_redirects=True))
        form = cab.form("/sale", "/sale") | {"kind": "luggage", "persons": "1"}
        assert cab.client.post("/sale", data=form).status_code == 409
        assert cab.client.get("/sale?kind=dog", follow_redirects=True).status_code == 409
        assert len(cab.records(CashSale)) == 1


# T-67, T-68


def test_t_67_another_driver_takes_over_within_the_shift_with_the_cash_he_counted(cab: Cab) -> None:
    sell(cab, persons=2)
    cab.tap("adult_purse")
    relieved(cab, "63,50")
    (row,) = cab.records(CrewChanged)
    handed = (row.before_ref, row.operator_ref, row.due_minor, row.sum_minor)  # type: ignore[attr-defined]
    assert handed == (DRIVER, RELIEF, 6400, 6350)
    assert cab.journal.driver_ref == RELIEF
    page = text(cab.client.get("/shift"))
    assert f"Driver {RELIEF}" in page
    assert "Take over the shift" not in page
    report = text(cab.client.get("/report"))
    for line in (
        f"{DRIVER} → {RELIEF} RUB 64.00 RUB 63.50",
        "Missing at a change of driver RUB 0.50",
        "Taps 1",
    ):
        assert line in report
    assert "Cash in the vehicle RUB 63.50" in report
    assert cab.journal.open_shift is not None, "the shift goes on"
    relieved(cab, "64,50", DRIVER)
    report = text(cab.client.get("/report"))
    assert "Missing at a change of driver RUB 0.50" in report, (
        "what was too much elsewhere does not make it less"
    )
    assert "Surplus at a change of driver RUB 1.00 Cash in the vehicle RUB 64.50" in report


def test_t_67_cash_is_handed_over_with_its_sum(cab: Cab) -> None:
    sell(cab)
    for typed in ("1 000", "-1", "12,345", "x", "", "0"):
        assert cab.act("/cash", "/cash", sum=typed).status_code == 409, typed
    assert cab.act("/cash", "/cash", sum="20,5").status_code == 303
    assert [row.sum_minor for row in cab.records(CashHandedOver)] == [2050]  # type: ignore[attr-defined]
    assert "Cash in the vehicle RUB 11.50" in text(cab.client.get("/report"))


def test_t_68_in_a_break_nothing_is_sold_and_it_is_in_the_report(cab: Cab) -> None:
    cab.act("/shift", "/shift/break")
    page = text(cab.client.get("/shift"))
    assert "End break" in page
    assert "Next turn" not in page
    assert cab.tap("adult_purse").outcome.message is Message.SHIFT_CLOSED
    assert "Shift not open" not in cab.signals[-1].message
    assert "The break is not over yet" in text(cab.client.get("/sale", follow_redirects=True))
    cab.clock.advance(595)
    cab.act("/shift", "/shift/break")
    assert cab.tap("adult_purse").outcome.accepted
    assert [row.begins for row in cab.records(BreakDeclared)] == [True, False]  # type: ignore[attr-defined]
    report = text(cab.client.get("/report"))
    assert "Breaks 1, 10 min" in report
    assert "Refused 1" in report


def test_t_67_t_68_driver_and_break_survive_a_restart_and_end_with_the_shift(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        cab.sign_in()
        cab.open_shift()
        relieved(cab, "0")
        cab.act("/shift", "/shift/break")
        clock = cab.clock
        cab.journal.abandon()
    with open_cab(tmp_path, clock=clock) as cab:
        assert cab.journal.driver_ref == RELIEF
        assert not cab.tap("adult_purse").outcome.accepted
        cab.sign_in()
        assert cab.act("/report", "/shift/close").status_code == 303
        cab.open_shift()
        assert (cab.journal.driver_ref, cab.journal.on_break) == (DRIVER, None)


# T-66

TAPS = st.sampled_from(("adult_purse", "month_pass", "empty_purse", "blocked", "student_half_price"))
DEEDS = st.one_of(
    st.tuples(st.just("tap"), TAPS, st.sampled_from((None, 7, 8))),
    st.tuples(st.just("sell"), st.sampled_from(("full", "child", "luggage")), st.integers(1, 3)),
    st.tuples(st.sampled_from(("cancel", "break", "turn")), st.none(), st.none()),
)


@examples(3)
@given(deeds=st.lists(DEEDS, min_size=12, max_size=20))
def test_t_66_every_tap_and_every_sale_is_in_one_line_and_the_lines_add_up(
    vehicle: Cab, deeds: list[tuple[str, str | None, int | None]]
) -> None:
    """The page, the row that closes the shift and the exported report say the same as counting the records by hand."""
    vehicle.new_shift()
    for deed, what, number in deeds:
        _do(vehicle, deed, what, number)
    closed = vehicle.act("/report", "/shift/close")
    page, rows = text(vehicle.client.get(closed.headers["location"])), vehicle.rows()
    (end,) = vehicle.records(ShiftClosed)
    assert isinstance(end, ShiftClosed)
    counted = by_hand(rows)
    for name, count in counted.items():
        assert end.totals.get(name, 0) == count, name
    parts = ("accepted", "inside", "refused", "not_committed", "unresolved")
    assert end.totals["taps"] == sum(end.totals[name] for name in parts)
    messages = sum(count for name, count in end.totals.items() if name.startswith("message_"))
    assert messages == end.totals["accepted"] + end.totals["inside"] + end.totals["refused"]
    assert f"Taps {counted['taps']}" in page
    (shift,) = shift_report(7, rows)
    lines = (*parts, "cash_sales", "cancelled")
    assert shift.taps == sum(shift.counts[name] for name in lines) - shift.cash_sales
    assert (shift.cash_minor, shift.cancelled) == (counted["cash_minor"], counted["cancelled_sales"])
    assert shift.amount_minor == counted["cash_minor"] + counted["charged_minor"]


def _do(cab: Cab, deed: str, what: str | None, number: int | None) -> None:
    if deed == "tap":
        fault = {7: tear_before(7), 8: tear_after(8)}.get(number or 0)
        cab.tap(str(what)) if fault is None else cab.tap(str(what), fault=fault)
    elif deed == "sell":
        if cab.journal.on_break is None:
            sell(cab, str(what), number or 1)
    elif deed == "cancel":
        sold = [seq for seq, one in cab.rows() if isinstance(one, CashSale)]
        if sold and cab.client.get(f"/cancel/{sold[-1]}").status_code == 200:
            cab.act(f"/cancel/{sold[-1]}", "/sale/cancel")
    elif deed == "break":
        cab.act("/shift", "/shift/break")
    elif cab.journal.on_break is None:
        cab.act("/shift", "/shift/turn")


def by_hand(rows: Sequence[tuple[int, object]]) -> dict[str, int]:
    """From the records alone, by their kind, without the product's fold."""
    found = dict.fromkeys(
        ("taps", "accepted", "inside", "refused", "not_committed", "unresolved", "charged_minor"), 0
    )
    found |= dict.fromkeys(("cash_sales", "cash_minor", "cancelled_sales", "cancelled_minor"), 0)
    words = {
        record.intent: record
        for _, record in reversed(rows)
        if hasattr(record, "how") and hasattr(record, "intent")
    }
    gone = {record.sale for _, record in rows if isinstance(record, SaleCancelled)}
    for sequence, record in rows:
        kind = type(record).__name__
        if kind == "Intent":
            found["taps"] += 1
            word = type(words.get(sequence)).__name__
            name = {"Committed": "accepted", "NotCommitted": "not_committed"}.get(word, "unresolved")
            found[name] += 1
            found["charged_minor"] += record.charge_minor if name == "accepted" else 0  # type: ignore[attr-defined]
        elif kind == "Unwritten":
            found["taps"] += 1
            lines = {Admission.LET_IN: "accepted", Admission.INSIDE: "inside", Admission.REFUSED: "refused"}
            found[lines[record.admission]] += 1  # type: ignore[attr-defined]
        elif kind == "CashSale":
            name = "cancelled" if sequence in gone else "cash"
            found[f"{name}_sales"] += 1
            found[f"{name}_minor"] += record.sum_minor  # type: ignore[attr-defined]
    return found
