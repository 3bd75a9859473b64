"""Each action once: reloads, double clicks, the back button, and a terminal that dies at any point."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Barrier, Thread

import httpx
import pytest

from terminal.errors import ReceiptError
from terminal.journal.console_records import (
    BreakDeclared,
    CashHandedOver,
    CrewChanged,
    NoticeRead,
    OrderDeclared,
    PlaceSet,
    SaleCancelled,
    TurnStarted,
)
from terminal.journal.records import CashSale, Fault, ShiftClosed, ShiftOpened
from terminal.screen.console.actions import OLDEST_ROWS, Actions
from terminal.screen.console.roles import CREW, Role
from tests.terminal.screen.console.cab import DRIVER, ROUTES, Cab, every_route, open_cab, ref_of

DEEDS = {
    "/shift/open": ("/shift", {"route": "15", "direction": "0"}, ShiftOpened, False),
    "/shift/turn": ("/shift", {}, TurnStarted, True),
    "/shift/place": ("/shift", {"stop": "1502"}, PlaceSet, True),
    "/sale": ("/sale", {"persons": "2"}, CashSale, True),
    "/sale/cancel": ("/cancel/{sold}", {}, SaleCancelled, True),
    "/cash": ("/cash", {"sum": "30"}, CashHandedOver, True),
    "/shift/take": ("/shift", {"sum": "64,00"}, CrewChanged, True),
    "/shift/break": ("/shift", {}, BreakDeclared, True),
    "/shift/read": ("/office", {}, NoticeRead, True),
    "/state/order": ("/state", {}, OrderDeclared, True),
    "/shift/close": ("/report", {}, ShiftClosed, True),
}
"""Every action of the crew that is on record: its page, what is filled in, what it writes, whether in a shift."""
NOTICED = f"{ROUTES}\n[[notices]]\nid = 'detour'\ntext = 'Detour'\n"
AFTER_A_SALE = {"/sale/cancel", "/cash", "/shift/take"}
AT_A_PRINTER = {"/ticket/copy"}
"""It needs one (tests/flows/test_periphery.py)."""
AT_A_SCANNER = {"/next/printed"}
"""It needs a code that is held (tests/terminal/media/test_phone_live.py)."""
IN_MEMORY = {"/next/persons", "/next/destination", "/next/forget"}
"""Those that change only what the next tap is asked for: they count once as well (test_bus_console.py)."""


def prepared(cab: Cab, path: str) -> dict[str, str]:
    """The form of `path`, filled in and not sent yet."""
    page, fields, _, in_shift = DEEDS[path]
    cab.sign_in()
    if in_shift:
        cab.open_shift()
    if path in AFTER_A_SALE:
        cab.act("/sale", "/sale", persons=2)
        page = page.format(sold=cab.journal.head.sequence)
    if path == "/shift/take":
        cab.client.cookies.clear()
        cab.sign_in(ref_of(Role.CONDUCTOR))
    return cab.form(page, path) | fields


def done(cab: Cab, path: str, form: dict[str, str]) -> int:
    """How many rows the form's action has written."""
    return sum(getattr(record, "action", "") == form["action"] for record in cab.records(DEEDS[path][2]))


def test_every_action_of_the_crew_is_in_this_table(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        actions = {
            path for method, path, roles in every_route(cab.console) if method == "POST" and roles & CREW
        }
    assert actions == DEEDS.keys() | IN_MEMORY | AT_A_PRINTER | AT_A_SCANNER


@pytest.mark.parametrize("path", DEEDS)
def test_the_same_form_again_shows_the_same_result_and_does_nothing(tmp_path: Path, path: str) -> None:
    with open_cab(tmp_path, routes=NOTICED) as cab:
        form = prepared(cab, path)
        first = cab.client.post(path, data=form)
        assert first.status_code == 303
        rows = cab.journal.head
        for _ in range(3):
            again = cab.client.post(path, data=form)
            assert (again.status_code, again.headers["location"]) == (303, first.headers["location"])
        assert cab.client.get(first.headers["location"]).status_code == 200
        assert cab.journal.head == rows
        assert done(cab, path, form) == 1


@pytest.mark.parametrize("path", DEEDS)
@pytest.mark.parametrize("dies", ["before the form arrives", "after the deed", "between deed and answer"])
def test_a_terminal_that_dies_neither_loses_nor_repeats(
    tmp_path: Path, path: str, dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_cab(tmp_path, routes=NOTICED) as cab:
        form = prepared(cab, path)
        if dies == "after the deed":
            assert cab.client.post(path, data=form).status_code == 303
        if dies == "between deed and answer":
            _die_after_the_deed(cab, path, form, monkeypatch)
        cookies, clock = cab.client.cookies, cab.clock
        cab.journal.abandon()
    monkeypatch.undo()
    with open_cab(tmp_path, clock=clock, routes=NOTICED) as cab:
        cab.client.cookies = cookies
        for _ in range(2):
            answer = cab.client.post(path, data=form)
            assert answer.status_code == 303, answer.text
            assert cab.client.get(answer.headers["location"]).status_code == 200
        assert done(cab, path, form) == 1


def _die_after_the_deed(cab: Cab, path: str, form: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is durable; nobody has looked for it yet, and no answer was made."""
    real, calls = Actions.written, [0]

    def once_then_die(self: Actions, action: str) -> object:
        calls[0] += 1
        if calls[0] > 1:
            raise OSError("the power is gone")
        return real(self, action)

    monkeypatch.setattr(Actions, "written", once_then_die)
    assert cab.client.post(path, data=form).status_code == 503
    assert done(cab, path, form) == 1


def test_a_double_click_is_one_sale(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        form = prepared(cab, "/sale")
        places = [cab.server.url + "/sale"] * 6
        start, answers = Barrier(len(places)), list[httpx.Response]()

        def click(place: str) -> None:
            with httpx.Client(cookies=cab.client.cookies, timeout=20) as browser:
                start.wait()
                answers.append(browser.post(place, data=form))

        clicks = [Thread(target=click, args=(place,)) for place in places]
        for thread in clicks:
            thread.start()
        for thread in clicks:
            thread.join()
        assert {(answer.status_code, answer.headers["location"]) for answer in answers} == {
            (303, answers[0].headers["location"])
        }
        assert len(cab.records(CashSale)) == 1


def test_two_forms_are_two_sales(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        cab.sign_in()
        cab.open_shift()
        first, second = (cab.act("/sale", "/sale", persons=1) for _ in range(2))
        assert first.headers["location"] != second.headers["location"]
        assert len(cab.records(CashSale)) == 2


def test_a_ticket_that_was_not_printed_is_printed_when_the_form_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_cab(tmp_path) as cab:
        form = prepared(cab, "/sale")
        assert cab.console.receipts is not None

        def no_paper(_ticket: object) -> None:
            raise ReceiptError("the printer has no paper", "Put some in.")

        with monkeypatch.context() as broken:
            broken.setattr(cab.console.receipts, "print_ticket", no_paper)
            answer = cab.client.post("/sale", data=form)
            assert answer.status_code == 503
            assert "no paper" in answer.text
        tickets = tmp_path / "receipts" / "tickets"
        assert list(tickets.iterdir()) == []
        for _ in range(2):
            assert cab.client.post("/sale", data=form).status_code == 303
        assert len(list(tickets.iterdir())) == 1
        assert len(cab.records(CashSale)) == 1


def test_a_refused_action_leaves_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        form = prepared(cab, "/sale")
        cab.act("/report", "/shift/close")
        rows = cab.journal.head
        answer = cab.client.post("/sale", data=form)
        assert answer.status_code == 409
        assert "Shift not open" in answer.text
        assert cab.journal.head == rows
        cab.open_shift()
        assert cab.client.post("/sale", data=form).status_code == 303


def test_a_form_from_too_many_rows_ago_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terminal.screen.console.actions.OLDEST_ROWS", 20)
    assert OLDEST_ROWS > 20
    with open_cab(tmp_path) as cab:
        form = prepared(cab, "/sale")
        for number in range(25):
            cab.journal.append(Fault(number, "noise"))
        answer = cab.client.post("/sale", data=form)
        assert answer.status_code == 409
        assert "out of date" in answer.text


def test_an_action_is_found_behind_thousands_of_taps(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        form = prepared(cab, "/sale")
        cab.client.post("/sale", data=form)
        for number in range(2_500):
            last = cab.journal.begin(Fault(number, "noise"))
        last.wait()
        assert cab.client.post("/sale", data=form).status_code == 303
        assert len(cab.records(CashSale)) == 1


def test_who_was_signed_out_in_between_is_told_that_nothing_was_done(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        form = prepared(cab, "/sale")
        cab.clock.advance(3600)
        answer = cab.client.post("/sale", data=form)
        assert answer.status_code == 401
        assert "Nothing was done; sign in" in answer.text
        assert cab.sign_in(DRIVER).status_code == 303
        assert cab.records(CashSale) == []


def test_a_price_that_changed_while_the_page_was_open_is_not_charged(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        form = prepared(cab, "/sale")
        answer = cab.client.post("/sale", data=form | {"ride": re.sub(r"-\d+", "-100", form["ride"])})
        assert answer.status_code == 409
        assert "fare has changed" in answer.text
        assert cab.records(CashSale) == []
