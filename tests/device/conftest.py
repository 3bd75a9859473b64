"""Tests over the operating system's real PC/SC service, with Debian's virtual reader driver.

    daemon      session: a running pcscd is used and left alone, else one is started and stopped at the end
    pcscd       the same for one test; started again if the test before ended it
    our_pcscd   the same for a test that ends it: skipped when it is not ours to end
    bridge      `bridge(card, slot=0)` puts a software card in and takes it out after the test
    reader      `reader(slot=0)` opens our PcscReader on that slot and closes it after the test

Everything that is missing skips with its reason; where the variable CI is set a skip is a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from sim.vpcd import BridgedCard, VpcdBridge
from terminal.reader.pcsc import EXCHANGE_TIMEOUT_S, SERVICE_TIMEOUT_S, PcscReader, load_binding
from tests.device.daemon import Daemon, missing, only_one_test_run


class PutIn(Protocol):
    """`present` False leaves presenting to the test; `keep` puts the card in again when the service restarts."""

    def __call__(
        self, card: BridgedCard, slot: int = 0, *, keep: bool = False, present: bool = True
    ) -> VpcdBridge: ...


class OpenReader(Protocol):
    """Time-outs as in production unless a test is about them."""

    def __call__(
        self,
        slot: int = 0,
        *,
        exchange_timeout_s: float = EXCHANGE_TIMEOUT_S,
        service_timeout_s: float = SERVICE_TIMEOUT_S,
    ) -> PcscReader: ...


def reader_name(slot: int) -> str:
    """What the service calls the virtual reader's slot."""
    return f"Virtual PCD 00 {slot:02}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything that asks for the service carries the marker."""
    for item in items:
        if "daemon" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.pcscd)


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The service of this test run."""
    with only_one_test_run():
        reason = missing()
        if reason is not None:
            pytest.skip(reason)
        daemon = Daemon(tmp_path_factory.mktemp("pcscd"))
        daemon.ensure_running()
        yield daemon
        if daemon.ours:
            daemon.stop()


@pytest.fixture
def pcscd(daemon: Daemon) -> Daemon:
    """The service, running."""
    daemon.ensure_running()
    return daemon


@pytest.fixture
def our_pcscd(pcscd: Daemon) -> Daemon:
    """The service, ours to end; ask for it before anything that would outlive a skip."""
    pcscd.require_ours()
    return pcscd


@pytest.fixture
def bridge(pcscd: Daemon) -> Iterator[PutIn]:
    """Puts software cards in."""
    with ExitStack() as at_end:

        def put_in(
            card: BridgedCard, slot: int = 0, *, keep: bool = False, present: bool = True
        ) -> VpcdBridge:
            bridge = VpcdBridge(card, slot, keep=keep, settle_s=pcscd.settle_s)
            at_end.callback(bridge.remove)
            if present:
                bridge.present()
            return bridge

        yield put_in


@pytest.fixture
def reader(pcscd: Daemon) -> Iterator[OpenReader]:
    """Opens readers."""
    with ExitStack() as at_end:

        def open_reader(
            slot: int = 0,
            *,
            exchange_timeout_s: float = EXCHANGE_TIMEOUT_S,
            service_timeout_s: float = SERVICE_TIMEOUT_S,
        ) -> PcscReader:
            reader = PcscReader(
                reader_name(slot),
                load_binding(),
                exchange_timeout_s=exchange_timeout_s,
                service_timeout_s=service_timeout_s,
            )
            at_end.callback(reader.close)
            return reader

        yield open_reader
