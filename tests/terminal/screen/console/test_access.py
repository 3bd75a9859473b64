"""Who gets in, who sees what, and what a stranger's page can do: nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from terminal.app.console import ConsoleOptions, operator_console
from terminal.clock import unix_ms
from terminal.errors import TerminalError
from terminal.journal.console_records import OperatorSeen, SignedIn
from terminal.journal.records import Fault
from terminal.screen.console.areas import areas
from terminal.screen.console.console import PIN_WITHIN
from terminal.screen.console.roles import CREW, Role
from terminal.screen.console.staff import StaffList
from terminal.screen.console.web import Web
from tests.terminal.screen.console.cab import (
    DRIVER,
    PIN,
    SERVICE_CARD,
    Cab,
    csrf,
    every_route,
    open_cab,
    ref_of,
)


@pytest.fixture
def cab(tmp_path: Path) -> Iterator[Cab]:
    with open_cab(tmp_path) as cab:
        yield cab


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cab]:
    """For tests that leave nothing behind."""
    with open_cab(tmp_path_factory.mktemp("cab")) as cab:
        yield cab


# signing in


def test_t_60_service_card_and_pin(cab: Cab) -> None:
    assert "Present your service card" in cab.client.get("/sign-in").text
    cab.tap(SERVICE_CARD)
    page = cab.client.get("/sign-in")
    assert f"Card {DRIVER}" in page.text
    answer = cab.client.post("/sign-in", data={"csrf": csrf(page), "pin": PIN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "Open shift" in cab.client.get("/shift").text
    assert cab.records() == [
        OperatorSeen(unix_ms(cab.clock.now()), DRIVER),
        SignedIn(unix_ms(cab.clock.now()), DRIVER, "driver", "card"),
    ]


def test_a_card_opens_the_pin_for_a_while_only(cab: Cab) -> None:
    cab.tap(SERVICE_CARD)
    page = cab.client.get("/sign-in")
    cab.clock.advance(PIN_WITHIN.total_seconds())
    assert "Present your service card" in cab.client.get("/sign-in").text
    answer = cab.client.post("/sign-in", data={"csrf": csrf(page), "pin": PIN})
    assert answer.status_code == 403
    assert "Present your service card first." in answer.text


def test_another_card_may_be_asked_for(cab: Cab) -> None:
    cab.tap(SERVICE_CARD)
    page = cab.client.get("/sign-in")
    assert cab.client.post("/other-card", data={"csrf": csrf(page)}).status_code == 303
    assert "Present your service card" in cab.client.get("/sign-in").text


def test_without_a_card_only_where_the_profile_allows_it(tmp_path: Path) -> None:
    with open_cab(tmp_path, typed=False) as cab:
        assert "Staff number" not in cab.client.get("/sign-in?typed=1").text
        assert cab.sign_in().status_code == 403
    with open_cab(tmp_path, typed=True) as cab:
        assert cab.sign_in().status_code == 303
        assert cab.records(SignedIn)[-1].how == "typed"  # type: ignore[attr-defined]


def test_without_script_the_page_looks_for_the_card_again_but_never_under_what_is_being_typed(
    cab: Cab,
) -> None:
    refresh = 'http-equiv="refresh"'
    assert refresh in cab.client.get("/sign-in").text
    assert refresh not in cab.client.get("/sign-in?typed=1").text
    cab.tap(SERVICE_CARD)
    assert refresh not in cab.client.get("/sign-in").text


@pytest.mark.parametrize(("ref", "pin"), [(DRIVER, "2581"), ("404", PIN), (DRIVER, ""), ("", PIN)])
def test_nobody_gets_in_with_anything_else_and_nothing_tells_what_was_wrong(
    cab: Cab, ref: str, pin: str
) -> None:
    answer = cab.sign_in(ref, pin)
    assert answer.status_code == 403
    assert cab.client.get("/shift").headers["location"] == "/sign-in"
    if ref and pin:
        assert "This PIN is wrong." in answer.text


def test_a_member_without_a_pin_does_not_get_in(cab: Cab) -> None:
    member = cab.console.staff.get(DRIVER)
    assert member is not None
    cab.console.staff.put(msgspec.structs.replace(member, pin=""))
    assert cab.sign_in(pin="").status_code == 403


def test_brute_force_waits_and_outlives_a_restart_and_spares_who_has_the_card(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        for _ in range(3):
            cab.sign_in(pin="0001")
        answer = cab.sign_in()
        assert answer.status_code == 403
        assert "Try again in 5 s" in answer.text
        for _ in range(6):
            cab.clock.advance(3600)
            cab.sign_in(pin="0001")
        assert any(record.inputs == {"way": "typed", "operator_ref": "77"} for record in cab.records(Fault))  # type: ignore[attr-defined]
        clock = cab.clock
    with open_cab(tmp_path, clock=clock) as cab:
        assert cab.sign_in().status_code == 403
        cab.tap(SERVICE_CARD)
        page = cab.client.get("/sign-in")
        assert cab.client.post("/sign-in", data={"csrf": csrf(page), "pin": PIN}).status_code == 303
        cab.client.cookies.clear()
        assert cab.sign_in(ref_of(Role.CONDUCTOR)).status_code == 303, "nobody else has to wait"
        cab.client.cookies.clear()
        assert cab.sign_in().status_code == 303, (
            "with card and PIN it was the owner: waits for the typed number ended"
        )
        cab.client.cookies.clear()
        for _ in range(8):
            cab.sign_in(pin="0001")
            clock.advance(900)
        assert cab.sign_in().status_code == 303, (
            "no wait is for ever, and none of a night longer than 15 minutes"
        )


# sessions


def test_a_session_ends_when_nobody_uses_it_and_looking_on_is_no_use(cab: Cab) -> None:
    cab.sign_in()
    for _ in range(4):
        cab.clock.advance(20 * 60)
        assert cab.client.get("/shift").status_code == 200
    cab.clock.advance(20 * 60)
    assert cab.client.get("/shift", headers={"X-Looking-On": "1"}).status_code == 200
    cab.clock.advance(20 * 60)
    assert cab.client.get("/shift", headers={"X-Looking-On": "1"}).status_code == 401
    assert cab.client.get("/shift").headers["location"] == "/sign-in"


def test_a_session_ends_with_the_working_day(cab: Cab) -> None:
    cab.sign_in()
    for _ in range(14 * 3):
        assert cab.client.get("/shift").status_code == 200
        cab.clock.advance(20 * 60)
    assert cab.client.get("/shift").status_code == 303


@pytest.mark.parametrize("change", ["remove", "pin", "role"])
def test_a_session_ends_with_what_it_rests_on(cab: Cab, change: str) -> None:
    cab.sign_in()
    staff = StaffList(cab.folder)
    member = staff.get(DRIVER)
    assert member is not None
    if change == "remove":
        staff.remove(DRIVER)
    elif change == "pin":
        staff.put(
            msgspec.structs.replace(member, pin=member.pin[:-1] + ("1" if member.pin[-1] == "0" else "0"))
        )
    else:
        staff.put(msgspec.structs.replace(member, role=Role.INSPECTOR))
    assert cab.client.get("/shift").headers["location"] == "/sign-in"


def test_signing_out_and_a_new_token_for_each_session(cab: Cab) -> None:
    before = cab.client.get("/sign-in").cookies[f"console_{cab.terminal.number}"]
    cab.sign_in()
    token = cab.client.cookies[f"console_{cab.terminal.number}"]
    assert token != before
    page = cab.client.get("/shift")
    assert cab.client.post("/sign-out", data={"csrf": csrf(page)}).headers["location"] == "/sign-in"
    cab.client.cookies.set(f"console_{cab.terminal.number}", token)
    assert cab.client.get("/shift").status_code == 303, "the token opens nothing any more"


def test_a_session_outlives_a_restart_of_the_terminal(tmp_path: Path) -> None:
    with open_cab(tmp_path) as cab:
        cab.sign_in()
        cookies, clock = cab.client.cookies, cab.clock
    with open_cab(tmp_path, clock=clock) as cab:
        cab.client.cookies = cookies
        assert cab.client.get("/shift").status_code == 200
    assert "2580" not in "".join(
        path.read_text("utf-8", "replace") for path in (tmp_path / "console").iterdir()
    )
    token = cookies[f"console_{cab.terminal.number}"]
    assert token not in (tmp_path / "console" / "sessions.json").read_text()


# roles


def _signed_in(cab: Cab, role: Role) -> None:
    cab.client.cookies.clear()
    assert cab.sign_in(ref_of(role)).status_code == 303


@pytest.mark.parametrize("role", list(Role))
def test_every_address_is_for_its_roles_only(shared: Cab, role: Role) -> None:
    _signed_in(shared, role)
    page = shared.client.get("/")
    page = page if page.status_code == 200 else shared.client.get(page.headers["location"])
    token = csrf(page)
    for method, path, roles in every_route(shared.console):
        if method == "GET":
            answer = shared.client.get(path)
            assert (answer.status_code == 403) == (role not in roles), path
        elif role not in roles:
            answer = shared.client.post(path, data={"csrf": token, "action": "x"})
            assert answer.status_code == 403, path
            assert "not for your role" in answer.text
    menu = re.findall(r'<li><a href="([^"]+)"', page.text)
    assert menu == [
        p.path
        for p in Web(shared.console, areas(shared.console.terminal.profile)).pages
        if p.menu and role in p.roles
    ]


def test_a_bus_has_no_canteen_and_a_canteen_no_bus(shared: Cab) -> None:
    paths = {path for _, path, _ in every_route(shared.console)}
    assert not any(path.startswith("/canteen") for path in paths)
    crew_only = {path for _, path, roles in every_route(shared.console) if roles == CREW}
    assert {"/shift", "/sale", "/report", "/taps", "/shift/open", "/shift/close"} <= crew_only


def test_every_address_asks_for_a_session(shared: Cab) -> None:
    shared.client.cookies.clear()
    for method, path, _ in every_route(shared.console):
        answer = shared.client.get(path) if method == "GET" else shared.client.post(path, data={})
        assert answer.status_code == (303 if method == "GET" else 403), path


# a stranger's page


def test_a_form_without_or_with_a_wrong_token_does_nothing_and_says_so(cab: Cab) -> None:
    cab.sign_in()
    right = cab.form("/shift", "/shift/open") | {"route": "15", "direction": "0"}
    missing = {name: value for name, value in right.items() if name != "csrf"}
    for wrong in (missing, right | {"csrf": "x"}, right | {"csrf": ""}, {}):
        answer = cab.client.post("/shift/open", data=wrong)
        assert answer.status_code == 403
        assert "Nothing was done" in answer.text
        assert "<h1>" in answer.text
    assert cab.journal.open_shift is None
    assert cab.client.post("/shift/open", data=right).status_code == 303


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"origin": "https://evil.example"}, None),
        ({"origin": "null"}, None),
        ({"content-type": "text/plain"}, b"csrf=x"),
        ({"content-type": "application/json"}, b"{}"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a" * 300_000),
        ({"content-type": "application/x-www-form-urlencoded"}, b"\xff\xfe"),
    ],
)
def test_forms_of_other_origins_and_kinds_are_refused(
    cab: Cab, headers: dict[str, str], content: bytes | None
) -> None:
    cab.sign_in()
    fields = cab.form("/shift", "/shift/open") | {"route": "15", "direction": "0"}
    if content is None:
        answer = cab.client.post("/shift/open", data=fields, headers=headers)
    else:
        answer = cab.client.post("/shift/open", content=content, headers=headers)
    assert answer.status_code == 403
    assert cab.journal.open_shift is None


def test_a_token_of_another_browser_does_not_count(cab: Cab) -> None:
    cab.sign_in()
    with httpx.Client(base_url=cab.server.url) as other:
        stolen = csrf(other.get("/sign-in"))
    fields = cab.form("/shift", "/shift/open") | {"route": "15", "direction": "0", "csrf": stolen}
    assert cab.client.post("/shift/open", data=fields).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""])
def test_a_name_pointed_at_this_machine_gets_no_answer(shared: Cab, host: str) -> None:
    answer = shared.client.get("/sign-in", headers={"host": host})
    assert answer.status_code == 421
    assert "set-cookie" not in answer.headers
    assert "form" not in answer.text


def test_an_id_of_another_operator_or_action_is_refused(cab: Cab) -> None:
    cab.sign_in()
    fields = cab.form("/shift", "/shift/open") | {"route": "15", "direction": "0"}
    turn = cab.console.actions.issue(DRIVER, "/shift/turn")
    other = cab.console.actions.issue(ref_of(Role.CONDUCTOR), "/shift/open")
    for name in (turn, other, "", "x", "0.x.y", "zz." + fields["action"].partition(".")[2]):
        answer = cab.client.post("/shift/open", data=fields | {"action": name})
        assert answer.status_code == 409
        assert "out of date" in answer.text
    assert cab.journal.open_shift is None


def test_what_every_answer_carries(shared: Cab) -> None:
    shared.client.cookies.clear()
    answer = shared.client.get("/sign-in")
    assert "no-store" in answer.headers["cache-control"]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert not re.search(r"<script(?! type=\"module\" src=)|<style| style=| on[a-z]+=", answer.text)


def test_only_one_named_address_besides_loopback(cab: Cab) -> None:
    for host in ("0.0.0.0", "", "::"):
        options = ConsoleOptions(True, host=host)
        with (
            pytest.raises(TerminalError),
            operator_console(options, cab.terminal, cab.folder, cab.console.lock, "reader", print),
        ):
            pass


def test_a_damaged_staff_list_locks_the_console_and_no_passenger(cab: Cab) -> None:
    cab.sign_in()
    cab.open_shift()
    (cab.folder / "staff.json").write_text("{")
    assert cab.tap("adult_purse").outcome.accepted
    assert cab.client.get("/shift").headers["location"] == "/sign-in"
    answer = cab.sign_in()
    assert answer.status_code == 503
    assert "no staff list" in answer.text
