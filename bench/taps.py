"""What one tap costs: exchanges, bytes, CPU of the terminal alone and with the software card, flushes."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec.structs import replace

from bench.cards import Replay, SteppedClock, Tape, bus, resident
from bench.result import Result, at_least, at_most, median_us
from cardproto.connection import CardConnection
from cardproto.resident.records.documented import parse_event_with_schema, parse_rights_with_schema
from cardproto.resident.records.event import EVENT_BYTES, build_event, parse_event
from cardproto.resident.records.rights import parse_rights
from terminal.app.simulated import laboratory_keys
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.lab.world import events_on, rights_on
from terminal.media.resident.medium import ResidentMedium
from terminal.tap import Terminal, take_tap

TAPS = 150
BUDGETS = {"month_pass": (7, 370), "free_pensioner": (7, 370), "adult_purse": (8, 400)}


def exchanges() -> Iterator[Result]:
    """Counted, not timed; the same figures are asserted in tests/flows/test_budget.py."""
    for name, (most_exchanges, most_bytes) in BUDGETS.items():
        with tempfile.TemporaryDirectory() as folder:
            terminal = bus(Path(folder), SteppedClock())
            card = resident(name)
            card.power_on()
            report = take_tap(card, terminal)
            terminal.journal.close()
        yield at_most(f"exchanges of a tap: {name}", report.exchanges, "exchanges", most_exchanges)
        yield at_most(f"APDU bytes of a tap: {name}", report.apdu_bytes, "bytes", most_bytes)


def cpu() -> Iterator[Result]:
    """CPU time of the tap's own thread; the journal's flush runs in its writer thread and is measured apart."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SteppedClock()
        terminal = bus(Path(folder), clock)
        yield at_most(
            "whole tap with the software card, wall",
            _with_card(terminal, clock),
            "ms",
            3.0,
            "pass tap, both flushes and both ends included",
        )
        replayed = replayed_cpu_ms(terminal, clock)
        yield at_most(
            "terminal CPU of a pass tap, replayed card", replayed, "ms", 1.0, "tap thread only, flush apart"
        )
        terminal.journal.close()


def _with_card(terminal: Terminal, clock: SteppedClock) -> float:
    card = resident("month_pass")
    samples = []
    for _ in range(TAPS):
        clock.next_ride()
        card.power_on()
        start = time.perf_counter()
        take_tap(card, terminal)
        samples.append((time.perf_counter() - start) * 1000)
    return statistics.median(samples)


def replayed_cpu_ms(terminal: Terminal, clock: SteppedClock) -> float:
    """With the same random number the recorded answers verify again: their MACs cover nothing else of ours."""
    card = resident("month_pass")
    card.power_on()
    (medium,) = terminal.media
    assert isinstance(medium, ResidentMedium)
    medium.setup = replace(
        medium.setup, keys=load_file_keys(laboratory_keys(), UNLIMITED, random=lambda n: bytes(range(n)))
    )
    tape = Tape(card)
    take_tap(tape, terminal)
    samples = []
    for _ in range(TAPS):
        clock.next_ride()
        replay = Replay(tape.answers)
        start = time.thread_time_ns()
        report = take_tap(replay, terminal)
        samples.append((time.thread_time_ns() - start) / 1e6)
        assert report.end == "committed", report
    return statistics.median(samples)


def records() -> Iterator[Result]:
    """The fast parsers against the construct schemas they are proven equal to."""
    card = resident("social_pack_45")
    rights, event = rights_on(card), events_on(card)[0]
    assert parse_event(event) == parse_event_with_schema(event)
    assert parse_rights(rights) == parse_rights_with_schema(rights)
    assert build_event(parse_event(event)) == event
    assert len(event) == EVENT_BYTES
    yield _faster("parse_event", lambda: parse_event(event), lambda: parse_event_with_schema(event))
    yield _faster("parse_rights", lambda: parse_rights(rights), lambda: parse_rights_with_schema(rights))


def _faster(name: str, fast: Callable[[], object], slow: Callable[[], object]) -> Result:
    return at_least(
        f"{name} against construct", median_us(slow, 10, 50) / median_us(fast, 10, 500), "times faster", 5
    )


def flushes() -> Iterator[Result]:
    """Where the passenger waits: between presentation and signal."""
    with tempfile.TemporaryDirectory() as folder:
        terminal = bus(Path(folder), SteppedClock())
        card = resident("adult_purse")
        card.power_on()
        journal, seen = terminal.journal, []
        before = journal.flushes
        terminal.signal = lambda _outcome: seen.append(journal.flushes - before)
        take_tap(Overlap(card, lambda: journal.flushes - before, seen), terminal)
        journal.close()
    yield at_most(
        "flushes between presentation and signal",
        seen[-1],
        "flushes",
        1,
        "it runs beside Debit and WriteRecord",
    )


class Overlap:
    """Passes exchanges on; notes the flush count at each."""

    def __init__(self, card: CardConnection, count: Callable[[], int], seen: list[int]) -> None:
        self._card, self._count, self._seen = card, count, seen

    def transmit(self, command: bytes) -> bytes:
        self._seen.append(self._count())
        return self._card.transmit(command)
