"""Exchanges through the system's PC/SC service, with our bridge and as a plain socket client would do it."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cards import resident
from bench.result import Result, at_least, at_most
from cardproto.connection import CardConnection
from sim.vpcd import BridgedCard, VpcdBridge, VpcdFault
from terminal.errors import ReaderError
from terminal.reader.pcsc import PcscReader

GET_VERSION_OF_NOBODY = bytes.fromhex("90F5000001FF00")
"""Answered at once with an error status: the shortest exchange there is."""
FAST_EXCHANGES = 600
SLOW_EXCHANGES = 12
GOAL = 300
CARD_GOAL = 2
CARD_NAME = "round trip through pcscd: our card against one that does nothing"
NAME = "exchange through pcscd: plain socket client against our bridge"


class NoService(Exception):
    """There is no PC/SC service to measure."""


@contextmanager
def service() -> Iterator[None]:
    """A running PC/SC service, ours if none runs; raises `NoService`."""
    daemon = shutil.which("pcscd", path="/usr/sbin:/usr/bin")
    if daemon is None:
        raise NoService("pcscd is not installed (Debian: pcscd, vsmartcard-vpcd)")
    if Path("/run/pcscd/pcscd.comm").exists():
        yield
        return
    Path("/run/pcscd").mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([daemon, "--foreground"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1.0)
        yield
    finally:
        process.terminate()
        process.wait()


def exchanges() -> Iterator[Result]:
    """Both in one run, so that the machine's mood cancels out."""
    try:
        with service():
            slow, fast = _median_us(False, SLOW_EXCHANGES), _median_us(True, FAST_EXCHANGES)
    except (NoService, VpcdFault, ReaderError) as why:
        yield Result(NAME, float("nan"), "times faster", f">= {GOAL}", None, f"not measured: {why}")
        return
    yield at_least(
        NAME, slow / fast, "times faster", GOAL, f"{slow / 1000:.1f} ms against {fast / 1000:.3f} ms"
    )


def card_cost() -> Iterator[Result]:
    """What the software card adds to a round trip that costs the service and the driver anyway."""
    try:
        with service():
            ours = _median_us(True, FAST_EXCHANGES)
            nothing = _median_us(True, FAST_EXCHANGES, Nothing())
    except (NoService, VpcdFault, ReaderError) as why:
        yield Result(CARD_NAME, float("nan"), "times", f"<= {CARD_GOAL}", None, f"not measured: {why}")
        return
    note = f"{ours / 1000:.3f} ms against {nothing / 1000:.3f} ms"
    yield at_most(CARD_NAME, ours / nothing, "times", CARD_GOAL, note)


class Nothing:
    """A card that answers every command with two bytes and does nothing."""

    atr = bytes.fromhex("3B8180018080")

    def power_on(self) -> None:
        """Nothing to forget."""

    def power_off(self) -> None:
        """Nothing to forget."""

    def transmit(self, command: bytes) -> bytes:  # noqa: ARG002 whatever it is
        return b"\x90\x00"


def _median_us(quickack: bool, count: int, card: BridgedCard | None = None) -> float:
    with VpcdBridge(card or resident("month_pass"), quickack=quickack):
        reader = PcscReader.open("")
        try:
            connection = reader.wait_for_card(5.0)
            assert connection is not None
            return statistics.median(_time_us(connection) for _ in range(count))
        finally:
            reader.release()
            reader.close()


def _time_us(connection: CardConnection) -> float:
    start = time.perf_counter_ns()
    connection.transmit(GET_VERSION_OF_NOBODY)
    return (time.perf_counter_ns() - start) / 1000
