"""The books in their own process beside a collector that runs: killed, they are kept again and miss nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bench.collector import BATCH, KEY, Fleet
from terminal.app.collector import report, start_collector
from terminal.collector.books import BOOKS_FILE, Books, BooksSettings
from terminal.collector.clock_checks import ClockLimits
from terminal.collector.enrolment import Enrolment
from terminal.collector.office import DATABASE_FILE
from terminal.collector.registry import CardRegistry
from terminal.collector.store import CollectorStore
from terminal.sync.link import HttpLink

TERMINALS = 4
RECORDS = 10 * BATCH
AS_STARTED = BooksSettings(clocks=ClockLimits.none())
UNTIL_S = 60.0


def until(reached: Callable[[], bool]) -> None:
    """Return when it is so; the test fails when it is not within a minute."""
    end = time.monotonic() + UNTIL_S
    while not reached():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def children_of(process: int) -> list[int]:
    """The processes it has started that still run, as the kernel tells."""
    try:
        return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


def books_of(process: int) -> int:
    """The process that keeps the books of a collector, once there is one."""
    found: list[int] = []

    def reached() -> bool:
        found[:] = [one for keeper in children_of(process) for one in children_of(keeper)]
        return bool(found)

    until(reached)
    return found[0]


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    enrolment = Enrolment(tmp_path / "terminals")
    for number in range(1, TERMINALS + 1):
        enrolment.enrol(number, KEY.public_key())
    return tmp_path


def test_killed_again_and_again_the_books_come_to_what_the_records_add_up_to(folder: Path) -> None:
    process, url = start_collector(folder)
    try:
        killed = []
        link = HttpLink(url)
        for n, batch in enumerate(Fleet(1, TERMINALS, 500).batches(RECORDS)):
            assert link.upload(batch).status == 200
            if n in (2, 6):
                killed.append(books_of(process.pid))
                os.kill(killed[-1], signal.SIGKILL)
        link.close()
        found = report(url)
        assert found["behind"] == 0
        last = books_of(process.pid)
        assert len({*killed, last}) == 3
        process.terminate()
        process.wait(UNTIL_S)
        assert not alive(last), "the process of the books ends with the collector, which waits for it"
    finally:
        ended(process)
    assert "ended with code -9 and is started again" in (folder / "collector.log").read_text()
    with closing(CollectorStore(folder / DATABASE_FILE)) as store:
        with closing(Books(folder / BOOKS_FILE, store, CardRegistry(), AS_STARTED)) as kept:
            seen = (kept.totals(), kept.open_taps(), kept.days(), store.alarms())
        (folder / BOOKS_FILE).unlink()
        with closing(Books(folder / BOOKS_FILE, store, CardRegistry(), AS_STARTED)) as anew:
            while anew.catch_up():
                pass
            assert (anew.totals(), anew.open_taps(), anew.days(), store.alarms()) == seen
    assert sum(one.records for one in seen[0].values()) == RECORDS


def test_a_collector_that_is_killed_leaves_no_process_behind_and_the_next_goes_on(folder: Path) -> None:
    process, url = start_collector(folder)
    try:
        link = HttpLink(url)
        for batch in Fleet(1, TERMINALS, 500).batches(RECORDS // 2):
            assert link.upload(batch).status == 200
        link.close()
        books = books_of(process.pid)
    finally:
        process.kill()
        ended(process)
    until(lambda: not alive(books))
    process, url = start_collector(folder)
    try:
        assert report(url)["total"]["records"] == RECORDS // 2
    finally:
        process.terminate()
        ended(process)


def ended(process: subprocess.Popen[bytes]) -> None:
    process.wait(UNTIL_S)
    assert process.stdout is not None
    process.stdout.close()
