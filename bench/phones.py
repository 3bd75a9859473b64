"""What a phone costs a terminal: near field, codes, a long list of what was revoked, and rubbish before the scanner."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.cards import Replay, SteppedClock, Tape, forget, phone, phone_bus
from bench.result import Result, at_most
from cardproto.credential.cose import parse_sign1
from cardproto.credential.grant import parse_claims
from sim.phone import VirtualPhone
from terminal.app.simulated import laboratory_issuers
from terminal.decision.outcome import Outcome
from terminal.journal.taps import End
from terminal.periphery.scanner import CodeAssembler, ScannerCounts
from terminal.policy.deny_list import EMPTY_DENY_LIST, DenyKind, DenyList, build_deny_list, load_deny_list
from terminal.policy.keyed_file import ListIssue
from terminal.tap import Terminal, take_code, take_tap

TAPS = 150
REGION = 34
REVOKED = 1_000_000
RUBBISH = 100
"""Codes a second, as fast as a scanner reads them from a spinning drum."""
KEY = b"key of the deny list in bench"
ISSUED_AT = datetime(2026, 9, 15, tzinfo=UTC)


def near_field() -> Iterator[Result]:
    """CPU of the tap's own thread; the phone's answers are played again. Beside the median stand the least and what
    two bare signatures cost, measured in turns: figures of a busy machine say little, their ratio does.
    """
    for name, new in (
        ("terminal CPU of a phone's tap", False),
        ("the same, of a phone that was not here before", True),
    ):
        taps, bare = _near_ms(EMPTY_DENY_LIST, "ok", new=new)
        note = f"least {min(taps):.2f}; two signatures alone {statistics.median(bare):.2f}, least {min(bare):.2f}"
        yield at_most(name, statistics.median(taps), "ms", 1.0, note)
    with tempfile.TemporaryDirectory() as folder:
        revoked = ((DenyKind.MEDIUM, number.to_bytes(8, "big")) for number in range(REVOKED))
        build_deny_list(Path(folder) / "deny", KEY, ListIssue(1, 34, ISSUED_AT), revoked)
        listed = load_deny_list(Path(folder) / "deny", KEY)
        yield at_most("the same with 1 M revoked", statistics.median(_near_ms(listed, "ok")[0]), "ms", 1.0)
        own = phone()
        payload = parse_sign1(own.memory.credential).payload
        assert payload is not None
        ours = _with(Path(folder) / "own", parse_claims(payload).id)
        refused, _ = _near_ms(ours, "medium_inactive", own)
        yield at_most("a revoked phone that is refused", statistics.median(refused), "ms", 1.0)


def _with(path: Path, identity: bytes) -> DenyList:
    build_deny_list(path, KEY, ListIssue(1, 34, ISSUED_AT), [(DenyKind.MEDIUM, identity)])
    return load_deny_list(path, KEY)


def _near_ms(
    deny_list: DenyList, said: str, shown: VirtualPhone | None = None, *, new: bool = False
) -> tuple[list[float], list[float]]:
    """Each tap, and two bare signatures before it. `new`: the terminal remembers no credential."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SteppedClock()
        terminal = phone_bus(Path(folder), clock, deny_list=deny_list)
        shown = shown or phone()
        shown.power_on()
        tape = Tape(shown)
        take_tap(tape, terminal)
        samples, bare = [], []
        signed = _signature(shown.memory.credential)
        for _ in range(TAPS):
            clock.next_ride()
            if new:
                forget(terminal)
            bare.append(2 * signed())
            start = time.thread_time_ns()
            report = take_tap(Replay(tape.answers), terminal)
            samples.append((time.thread_time_ns() - start) / 1e6)
            assert report.outcome.message.startswith(said), report
        _close(terminal)
    return samples, bare


def _signature(credential: bytes) -> Callable[[], float]:
    """How long it takes to verify the issuer's signature and nothing else, in ms of CPU."""
    parsed = parse_sign1(credential)
    issuer = laboratory_issuers(REGION).find(parsed.kid or b"")
    assert issuer is not None

    def verified() -> float:
        start = time.thread_time_ns()
        assert parsed.verifies(issuer.key)
        return (time.thread_time_ns() - start) / 1e6

    return verified


def codes() -> Iterator[Result]:
    """From the text of a code to what its holder sees, wall time: both signatures, the decision and both flushes."""
    with tempfile.TemporaryDirectory() as folder:
        clock, seen, flushes = SteppedClock(), [], []
        terminal = phone_bus(Path(folder), clock)
        taker = terminal.codes
        assert taker is not None

        def signal(_outcome: Outcome) -> None:
            seen.append(time.perf_counter())

        terminal.signal = signal
        shown, samples = phone(), []
        for _ in range(TAPS):
            clock.next_ride()
            text = shown.code(clock.now()).encode()
            flushes.append(_flush_ms(Path(folder) / "flush"))
            start = time.perf_counter()
            report = take_code(text, taker, terminal)
            samples.append((seen[-1] - start) * 1000)
            assert report.end is End.COMMITTED, report
        _close(terminal)
    note = f"median of {TAPS}, both flushes included; one flush alone {statistics.median(flushes):.2f}"
    yield at_most("code to decision", statistics.median(samples), "ms", 3.0, note)


def _flush_ms(path: Path) -> float:
    """What this disk needs at this moment for one flush of a few kB."""
    with path.open("ab", buffering=0) as file:
        file.write(bytes(8192))
        start = time.perf_counter()
        os.fdatasync(file.fileno())
        return (time.perf_counter() - start) * 1000


def garbage() -> Iterator[Result]:
    """What a tap may have to wait for: the scanner's limits let few through, and each is answered before the next."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SteppedClock()
        terminal = phone_bus(Path(folder), clock)
        taker = terminal.codes
        assert taker is not None
        assembler, longest, spent = CodeAssembler(ScannerCounts()), 0.0, 0.0
        for number in range(10 * RUBBISH):
            text = b"RC1:" + bytes((65 + number % 26,)) * 900 + b"\r"
            for code in assembler.feed(text, number / RUBBISH):
                start = time.perf_counter()
                take_code(code.content, taker, terminal)
                held = (time.perf_counter() - start) * 1000
                longest, spent = max(longest, held), spent + held
        _close(terminal)
    yield at_most("longest wait for a tap behind 100 garbage codes a second", longest, "ms", 20)
    yield at_most("share of the time they take", spent / 10_000 * 100, "%", 1)


def _close(terminal: Terminal) -> None:
    assert terminal.held is not None
    terminal.held.close()
    terminal.journal.close()
