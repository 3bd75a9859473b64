"""Serving pages: headers, static files, feeds and streams."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

import httpx
import pytest
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from terminal.app.console import Screens
from terminal.clock import SystemClock
from terminal.devices import DeviceState
from terminal.errors import PortInUse
from terminal.screen.display import Display, DisplaySettings
from terminal.screen.display_page import display_routes
from terminal.screen.feed import EventFeed, Numbered
from terminal.screen.headers import HEADERS
from terminal.screen.page import Pages
from terminal.screen.server import ScreenServer
from terminal.screen.stream import event_stream
from tests.terminal.screen.browser import assert_accessible


@pytest.fixture
def feed() -> EventFeed[str]:
    return EventFeed(keep=4)


@pytest.fixture
def server(feed: EventFeed[str]) -> Iterator[ScreenServer]:
    async def events(request: Request) -> Response:
        return event_stream(request, feed, lambda value: value)

    display = Display(SystemClock())
    routes = [
        Route("/events", events),
        Mount("/inner", routes=display_routes(display, DisplaySettings("ru"))),
    ]
    with ScreenServer(Starlette(routes=routes)) as server:
        yield server


def told(server: ScreenServer, count: int, path: str = "/events", **headers: str) -> list[str]:
    """The next `count` values or gaps of a stream: lines of data whose event is no heartbeat."""
    found: list[str] = []
    with httpx.stream("GET", server.url + path, headers=headers, timeout=60) as stream:
        heartbeat = False
        for line in stream.iter_lines():
            if line.startswith("event:"):
                heartbeat = line == "event: heartbeat"
            elif line.startswith("data:"):
                if not heartbeat:
                    found.append(line)
                heartbeat = False
            if len(found) >= count:
                break
    return found


def settles(condition: Callable[[], bool]) -> None:
    """Until `condition` holds; fails when that does not happen."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# feed


def test_a_feed_keeps_the_newest_and_numbers_everything(feed: EventFeed[str]) -> None:
    assert [feed.publish(letter) for letter in "abcdef"] == [1, 2, 3, 4, 5, 6]
    assert feed.recent() == [Numbered(3, "c"), Numbered(4, "d"), Numbered(5, "e"), Numbered(6, "f")]
    assert feed.recent(after=5) == [Numbered(6, "f")]
    assert feed.recent(after=6) == feed.recent(after=99) == []


def test_a_position_of_another_run_is_unknown(feed: EventFeed[str]) -> None:
    feed.publish("a")
    assert feed.number_of(feed.position) == 1
    assert feed.number_of(f"{feed.epoch}.99") == 1
    other: EventFeed[str] = EventFeed()
    for nonsense in (other.position, "", "1", f"{feed.epoch}.", f"{feed.epoch}.-1", f"{feed.epoch}.٣"):
        assert feed.number_of(nonsense) is None


def test_a_subscriber_gets_everything_in_order_from_another_thread() -> None:
    feed: EventFeed[int] = EventFeed(keep=10_000)

    async def follow() -> list[int]:
        found = []
        async for entry in feed.subscribe(after=0):
            found.append(entry.value)
            if len(found) == 5000:
                break
        return found

    publisher = Thread(target=lambda: [feed.publish(value) for value in range(5000)])
    publisher.start()
    assert asyncio.run(asyncio.wait_for(follow(), 30)) == list(range(5000))
    publisher.join()


def test_publishing_after_the_loop_was_closed_does_not_raise() -> None:
    feed: EventFeed[str] = EventFeed()
    loop = asyncio.new_event_loop()

    async def listen() -> None:
        feed.listening().__enter__()  # never left: its server was killed

    loop.run_until_complete(listen())
    loop.close()
    assert feed.publish("a") == 1


# streams


def test_a_new_page_gets_the_newest_value_and_a_returning_one_what_it_missed(
    server: ScreenServer, feed: EventFeed[str]
) -> None:
    for letter in "abc":
        feed.publish(letter)
    assert told(server, 1) == ['data: "c"']
    assert told(server, 2, **{"Last-Event-ID": f"{feed.epoch}.1"}) == ['data: "b"', 'data: "c"']
    assert told(server, 1, f"/events?after={feed.epoch}.2") == ['data: "c"']


def test_who_missed_some_is_told_how_many(server: ScreenServer, feed: EventFeed[str]) -> None:
    for letter in "abcdef":
        feed.publish(letter)
    assert told(server, 2, f"/events?after={feed.epoch}.1") == ['data: {"missed":1}', 'data: "c"']


def test_a_page_that_leaves_is_forgotten(server: ScreenServer, feed: EventFeed[str]) -> None:
    feed.publish("a")
    told(server, 1)
    settles(lambda: feed.subscribers == 0)


# server


def test_every_answer_carries_the_policy(server: ScreenServer) -> None:
    for path in ("/inner/", "/nothing", "/inner/static/base.css"):
        answer = httpx.get(server.url + path)
        assert HEADERS.items() <= dict(answer.headers).items() or all(
            answer.headers[name] == value for name, value in HEADERS.items()
        )


def test_no_script_or_style_stands_in_the_page(server: ScreenServer) -> None:
    html = httpx.get(server.url + "/inner/").text
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\bsrc=)", html)


def test_static_files_are_kept_while_their_hash_holds(server: ScreenServer) -> None:
    html = httpx.get(server.url + "/inner/").text
    address = re.search(r'href="(/inner/static/base\.css\?v=\w+)"', html)
    assert address is not None
    assert "immutable" in httpx.get(server.url + address[1]).headers["cache-control"]
    plain = httpx.get(server.url + "/inner/static/base.css")
    assert plain.headers["cache-control"] == "no-cache"
    same = httpx.get(server.url + "/inner/static/base.css", headers={"If-None-Match": plain.headers["etag"]})
    assert same.status_code == 304
    for outside in ("../page.py", "..%2fpage.py", "/etc/passwd", "templates/base.html"):
        assert httpx.get(f"{server.url}/inner/static/{outside}").status_code == 404


def test_foreign_names_get_no_answer(server: ScreenServer) -> None:
    assert httpx.get(server.url + "/inner/", headers={"Host": "evil.example"}).status_code == 421
    assert httpx.get(server.url + "/inner/", headers={"Host": f"localhost:{server.port}"}).status_code == 200


def test_a_taken_port_is_named(server: ScreenServer) -> None:
    with pytest.raises(PortInUse, match=f"127.0.0.1:{server.port} is in use"):
        ScreenServer(Starlette(), port=server.port)


def test_stopping_ends_open_streams_and_stuck_browsers(feed: EventFeed[str]) -> None:
    async def events(request: Request) -> Response:
        return event_stream(request, feed, lambda value: value)

    server = ScreenServer(Starlette(routes=[Route("/events", events)]))
    server.start()
    with socket.create_connection((server.host, server.port)) as stuck:
        stuck.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert stuck.recv(15).startswith(b"HTTP/1.1 200")
        server.stop()
    server.stop()


OWN_PAGE = """
{% extends "base.html" %}
{% block title %}{{ _("Shift") }}{% endblock %}
{% block head %}<script type="module" src="{{ static('own.js') }}"></script>{% endblock %}
{% block body %}<main><h1>{{ who }}</h1><p id="said"></p></main>{% endblock %}
"""
OWN_SCRIPT = """
import {live} from "./live.js";
live("/events", {value: (value) => { document.getElementById("said").textContent += value; }});
"""
LOOKING = """
(looking) => {
  Object.defineProperty(document, "hidden", {value: !looking, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


def test_a_page_of_one_s_own_rests_while_hidden_and_catches_up(
    feed: EventFeed[str], page: Page, tmp_path: Path
) -> None:
    for name, text in (("templates/own.html", OWN_PAGE), ("static/own.js", OWN_SCRIPT)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    pages = Pages(tmp_path)

    async def show(request: Request) -> Response:
        return pages.page(request, "own.html", "ru", who="<b>&")

    async def events(request: Request) -> Response:
        return event_stream(request, feed, lambda value: value)

    routes = [Route("/", show), Route("/events", events), pages.static]
    with ScreenServer(Starlette(routes=routes)) as server:
        page.goto(server.url)
        expect(page).to_have_title("Смена")
        expect(page.get_by_role("heading")).to_have_text("<b>&")
        feed.publish("a")
        expect(page.locator("#said")).to_have_text("a")
        page.evaluate(LOOKING, False)
        settles(lambda: feed.subscribers == 0)
        feed.publish("b")
        feed.publish("c")
        page.evaluate(LOOKING, True)
        expect(page.locator("#said")).to_have_text("abc")
        assert_accessible(page)


def test_a_page_opens_in_chromium(server: ScreenServer, page: Page) -> None:
    page.goto(server.url + "/inner/")
    assert page.locator("main").is_visible()


def test_what_is_asked_before_the_application_is_made_is_answered_by_it() -> None:
    made = Event()

    def app() -> Starlette:
        made.set()
        return Starlette(routes=[Route("/", lambda _request: Response("late"))])

    server = ScreenServer.made_later(app)
    with socket.create_connection((server.host, server.port)) as early:
        early.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert not made.is_set()
        with server:
            answer = b"".join(iter(lambda: early.recv(1024), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"late")


def test_an_application_that_cannot_be_made_is_said_and_gives_its_port_back() -> None:
    said: SimpleQueue[Exception] = SimpleQueue()

    def app() -> Starlette:
        raise OSError(5, "the template cannot be read")

    server = ScreenServer.made_later(app)
    server.start(said.put)
    assert str(said.get(timeout=20)) == "[Errno 5] the template cannot be read"
    server.stop()
    with ScreenServer(Starlette(), port=server.port):
        pass


def test_a_screen_of_a_terminal_that_never_got_ready_gives_its_port_back() -> None:
    server = ScreenServer.made_later(Starlette)
    with pytest.raises(PortInUse), Screens().served("display", server):
        ScreenServer(Starlette(), port=server.port)
    with ScreenServer(Starlette(), port=server.port):
        pass


def test_a_page_that_cannot_be_made_is_a_fault_of_its_screen() -> None:
    heard: SimpleQueue[tuple[str, DeviceState, str]] = SimpleQueue()

    def app() -> Starlette:
        raise OSError(5, "the template cannot be read")

    screens = Screens()
    with screens.served("console", ScreenServer.made_later(app)):
        screens.start(lambda *what: heard.put(what))
        name, state, detail = heard.get(timeout=20)
    assert (name, state) == ("screen:console", DeviceState.RAISES)
    assert "the template cannot be read" in detail
