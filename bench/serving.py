"""A school of 1 500 pupils at its till: how soon the cashier sees a tap, and what each page costs the terminal."""

from __future__ import annotations

import gc
import random
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx
from msgspec.structs import replace

from bench.result import Result, at_most
from pictures.console import CASHIER, OFFICER, PIN, canteen_console
from pictures.counter import Counter, open_counter
from terminal.canteen.issuing import How, ServingList, issue
from terminal.canteen.roster import Roster
from terminal.screen.console.console import Console
from terminal.screen.console.staff import member_proof

PUPILS = 1_500
CLASSES = tuple(f"{grade}{letter}" for grade in range(1, 12) for letter in "абвг")
TAPS = 60
LOOKS = 12
PAGES = (
    *("counter", "class?id=3а", "buffet?n.bun=1", "pupils?q=а", "records?all=1", "cards?id=3а"),
    *("report", "report.xlsx", "month?id=3а", "month.xlsx", "close"),
)
OFFICERS_PAGES = ("list", "attendance", "prices", "payments")
TAP_MS = 80
PAGE_MS = 60


def serving() -> Iterator[Result]:
    """What a tap and each page take, with half of the school served."""
    with tempfile.TemporaryDirectory() as folder, open_counter(Path(folder) / "school") as counter:
        _enlarge(counter)
        with (
            canteen_console(counter, Path(folder) / "console") as (console, url),
            _client(console, url, CASHIER) as web,
            _client(console, url, OFFICER) as office,
        ):
            _prepared(web)
            gc.freeze()  # as at the end of a terminal's start
            seen_ms = _taps(counter, console, web)
            yield at_most("tap to the cashier's page, p95", _p95(seen_ms), "ms", TAP_MS)
            looks = [*((web, page) for page in PAGES), *((office, page) for page in OFFICERS_PAGES)]
            first_ms = []
            for looking, page in looks:
                first_ms.append(_took_ms(looking, f"/canteen/{page}"))
                took_ms = _p95([_took_ms(looking, f"/canteen/{page}") for _ in range(LOOKS)])
                name = page.partition("?")[0]
                yield at_most(f"page {name} with {PUPILS} pupils, p95", took_ms, "ms", PAGE_MS)
            yield at_most(f"first look at a page with {PUPILS} pupils, slowest", max(first_ms), "ms", PAGE_MS)


def _enlarge(counter: Counter) -> None:
    """Make it a school of `PUPILS`, and serve half of them."""
    canteen, rng = counter.canteen, random.Random(7)
    assert canteen.roster is not None
    document = canteen.roster.document
    made = list(document.pupils)
    while len(made) < PUPILS:
        like, class_id = rng.choice(document.pupils), CLASSES[len(made) % len(CLASSES)]
        grade = int(class_id[:-1])
        made.append(replace(like, ref=rng.randbytes(8).hex(), class_id=class_id, grade=grade))
    canteen.roster = Roster.of(replace(document, pupils=tuple(made)), canteen.policy)
    now = counter.town.clock.now()
    refs = [bytes.fromhex(one.ref) for one in made[::2]]
    issue(canteen, refs, ServingList("breakfast", How.STREAM, CASHIER, now - timedelta(minutes=10)))


@contextmanager
def _client(console: Console, url: str, ref: str) -> Iterator[httpx.Client]:
    member = console.staff.get(ref)
    assert member is not None
    token = console.sessions.begin(
        member.ref, "typed", member_proof(member), console.now_ms(), role=member.role
    )
    cookies = {f"console_{console.terminal.number}": token}
    with httpx.Client(base_url=url, cookies=cookies, follow_redirects=True, timeout=30) as web:
        yield web


def _prepared(web: httpx.Client) -> None:
    """Sign in as people do: the pages are got ready meanwhile."""
    web.post("/sign-in", data=_own(web.get("/sign-in?typed=1").text) | {"ref": CASHIER, "pin": PIN})
    for thread in threading.enumerate():
        if thread.name == "pages":
            thread.join(20)


def _own(page: str) -> dict[str, str]:
    return dict(re.findall(r'name="(csrf)" value="([^"]*)"', page))


def _took_ms(web: httpx.Client, path: str) -> float:
    """The processor's time, so that what else the machine does is not in it; the client's own is."""
    began = time.process_time()
    assert web.get(path).status_code in (200, 403), path
    return (time.process_time() - began) * 1000


def _taps(counter: Counter, console: Console, web: httpx.Client) -> list[float]:
    """From the end of a tap to the page with it, as a browser fetches it after the event."""
    heard, took = threading.Event(), []

    def listen() -> None:
        with (
            suppress(httpx.HTTPError),
            web.stream("GET", "/events", params={"after": console.feed.position}) as stream,
        ):
            ready.set()
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    heard.set()
                if ended.is_set():
                    return

    ready, ended = threading.Event(), threading.Event()
    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    ready.wait(20)
    web.get("/canteen/counter")
    for _ in range(TAPS):
        report = counter.town.tap(counter.terminal.number, "pupil_grade3").report
        heard.clear()
        began = time.perf_counter()
        console.heard(report)
        assert heard.wait(20)
        assert web.get("/canteen/counter", headers={"X-Looking-On": "1"}).status_code == 200
        took.append((time.perf_counter() - began) * 1000)
    ended.set()
    console.heard(report)
    return took


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
