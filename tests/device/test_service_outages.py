"""The service ends, comes back, comes back without readers, or stops answering, while our terminal waits or works."""

from __future__ import annotations

import threading

import pytest

from cardproto.errors import CardError, ReaderGone, ServiceGone, TransmissionError
from terminal.errors import ReaderError
from terminal.reader.pcsc import PcscReader, list_readers
from tests.device.cards import EchoCard, SlowCard
from tests.device.conftest import OpenReader, PutIn
from tests.device.daemon import Daemon
from tests.device.test_real_reader import COMMAND, Loop, open_files, take_card, wait_for

SHORT_S, LONG_S = 0.05, 30.0


def kinds(faults: list[CardError]) -> list[type[CardError]]:
    return [type(fault) for fault in faults]


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_the_service_is_restarted_while_we_wait(
    our_pcscd: Daemon, bridge: PutIn, reader: OpenReader, ending: str
) -> None:
    loop = Loop(reader())
    getattr(our_pcscd, ending)()
    wait_for(loop.faulty)
    our_pcscd.start()
    bridge(EchoCard())
    wait_for(loop.served)
    loop.stop()
    assert kinds(loop.faults) == [ServiceGone]
    assert loop.answers == [COMMAND + b"\x90\x00"]


def test_the_service_is_restarted_under_a_card_that_stays(
    our_pcscd: Daemon, bridge: PutIn, reader: OpenReader
) -> None:
    kept = bridge(EchoCard(), keep=True)
    loop = Loop(reader())
    wait_for(loop.served)
    our_pcscd.kill()
    wait_for(loop.faulty)
    our_pcscd.start()
    wait_for(loop.served)
    loop.stop()
    kept.remove()
    assert loop.answers == [COMMAND + b"\x90\x00"] * 2


def test_the_service_dies_during_an_exchange(our_pcscd: Daemon, bridge: PutIn, reader: OpenReader) -> None:
    contactless, card = reader(), SlowCard()
    bridge(card)
    connection = take_card(contactless)
    killer = threading.Thread(target=lambda: (card.asked.wait(), our_pcscd.kill(), card.may_answer.set()))
    killer.start()
    with pytest.raises(ServiceGone):
        connection.transmit(COMMAND)
    killer.join()
    contactless.release()
    with pytest.raises(ServiceGone):
        contactless.wait_for_removal(SHORT_S)
    our_pcscd.start()
    bridge(EchoCard())
    assert take_card(contactless).transmit(COMMAND) == COMMAND + b"\x90\x00"


def test_all_readers_are_gone_for_a_while(our_pcscd: Daemon, bridge: PutIn, reader: OpenReader) -> None:
    loop = Loop(reader())
    our_pcscd.stop()
    wait_for(loop.faulty)
    our_pcscd.start(readers=False)
    wait_for(loop.faulty)
    assert "no card reader is plugged in" in str(loop.faults[-1])
    assert list_readers() == []
    our_pcscd.stop()
    our_pcscd.start()
    wait_for(loop.ready)
    bridge(EchoCard())
    wait_for(loop.served)
    loop.stop()
    assert kinds(loop.faults)[:2] == [ServiceGone, ReaderGone]


def test_the_service_stops_answering(our_pcscd: Daemon, bridge: PutIn, reader: OpenReader) -> None:
    contactless = reader(service_timeout_s=SHORT_S, exchange_timeout_s=SHORT_S)
    assert contactless.wait_for_card(SHORT_S) is None
    with our_pcscd.frozen():
        with pytest.raises(ReaderGone, match="does not answer"):
            contactless.wait_for_card(SHORT_S)
        with pytest.raises(ReaderGone, match="out of order"):
            contactless.wait_for_card(SHORT_S)
    bridge(EchoCard())
    answer = None
    while answer is None:
        try:
            answer = take_card(contactless).transmit(COMMAND)
        except TransmissionError:
            contactless.release()
    assert answer == COMMAND + b"\x90\x00"


def test_restarts_leak_neither_threads_nor_open_files(
    our_pcscd: Daemon, bridge: PutIn, reader: OpenReader
) -> None:
    card = bridge(EchoCard(), present=False)
    loop = Loop(reader())
    counts = []
    for _ in range(6):
        card.present()
        wait_for(loop.served)
        card.remove()
        counts.append((threading.active_count(), open_files()))
        our_pcscd.kill()
        wait_for(loop.faulty)
        our_pcscd.start()
        wait_for(loop.ready)
    loop.stop()
    assert counts[0] == counts[-1]


def test_no_service_is_explained(our_pcscd: Daemon) -> None:
    our_pcscd.stop()
    for start in (PcscReader.open, list_readers):
        with pytest.raises(ReaderError, match="systemctl start pcscd") as caught:
            start()
        assert caught.value.exit_code == 30
    our_pcscd.start(readers=False)
    with pytest.raises(ReaderError, match="no card reader is plugged in"):
        PcscReader.open()
    our_pcscd.stop()
