"""The books in their own process beside a collector that runs: killed, they are kept again and miss nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.collector import BATCH, KEY, Fleet, _reference, _uid
from terminal.app.collector import report, start_collector
from terminal.collector.books import BOOKS_FILE, Books, BooksSettings
from terminal.collector.clock_checks import ClockLimits
from terminal.collector.enrolment import Enrolment
from terminal.collector.office import DATABASE_FILE
from terminal.collector.registry import CardRegistry, RegisteredCard, write_registry
from terminal.collector.store import CollectorStore
from terminal.journal.records import Intent, build_record, parse_record
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


class Purposes(Fleet):
    """Terminals of two purposes, by turns: each calls a card by a reference of its own."""

    def __init__(self, *args: int, **options: bool) -> None:
        super().__init__(*args, **options)
        self.rides_of: Counter[bytes] = Counter()

    def _ride(self, terminal: int, sequence: int) -> tuple[bytes, bytes]:
        body, end = super()._ride(terminal, sequence)
        intent = parse_record(body)
        assert isinstance(intent, Intent)
        self.rides_of[intent.card_ref] += 1
        return (build_record(replace(intent, card_ref=other(intent.card_ref))) if terminal % 2 else body), end


def other(card_ref: bytes) -> bytes:
    """The reference of the other purpose; by turns the greater and the smaller of the two."""
    number = int.from_bytes(card_ref)
    return (number + (1 << 40) if number % 2 else (1 << 63) - number).to_bytes(8)


def write_cards(path: Path, cards: int) -> None:
    write_registry(
        path,
        [
            RegisteredCard(name, _uid(card), bytes(range(16)))
            for card in range(cards)
            for name in (_reference(card), other(_reference(card)))
        ],
    )


def asked(folder: Path, *command: str) -> str:
    """What the product's command answers."""
    whole = [sys.executable, "-m", "terminal.cli.app", *command, "--folder", str(folder)]
    return subprocess.run(whole, check=True, capture_output=True, text=True, timeout=UNTIL_S).stdout


def check_that_no_card_is_parted(folder: Path, fleet: Purposes) -> None:
    card, rides = fleet.rides_of.most_common(1)[0]
    told = [
        json.loads(asked(folder, "explain", "--json", "--card", one.hex())) for one in (card, other(card))
    ]
    assert [len(one["rides"]) for one in told] == [rides, rides]
    assert told[0]["rides"] == told[1]["rides"]
    assert len({ride["terminal"] % 2 for ride in told[0]["rides"]}) == 2, "rides under both references"
    assert told[0]["balance_minor"] == told[1]["balance_minor"] is not None
    copies = [folder / name for name in ("one", "two")]
    for one, out in zip((card, other(card)), copies, strict=True):
        asked(folder, "collector", "person", "copy", one.hex(), "--out", str(out))
    rows = [json.loads((out / "copy.json").read_text())["rows"] for out in copies]
    assert rows[0] == rows[1]
    assert len(rows[0]) == rides


def test_a_collector_that_is_killed_leaves_no_process_behind_and_the_next_goes_on(folder: Path) -> None:
    registry, fleet = folder / "registry.json", Purposes(1, TERMINALS, 200, proving=True)
    write_cards(registry, 200)
    process, url = start_collector(folder, registry)
    try:
        link = HttpLink(url)
        for batch in fleet.batches(RECORDS // 2):
            assert link.upload(batch).status == 200
        link.close()
        books = books_of(process.pid)
    finally:
        process.kill()
        ended(process)
    until(lambda: not alive(books))
    process, url = start_collector(folder, registry)
    try:
        assert report(url)["total"]["records"] == RECORDS // 2
        check_that_no_card_is_parted(folder, fleet)
    finally:
        process.terminate()
        ended(process)


def ended(process: subprocess.Popen[bytes]) -> None:
    process.wait(UNTIL_S)
    assert process.stdout is not None
    process.stdout.close()
