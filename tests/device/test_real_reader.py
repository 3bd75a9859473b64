"""Our PC/SC reader over a real pcscd and a real driver: the cards come and go as they should."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from cardproto.connection import CardConnection
from cardproto.errors import CardError, CardGone, ExchangeTimeout, ProtocolError, ReaderGone
from sim.vpcd import VpcdBridge
from terminal.errors import ReaderError
from terminal.reader.pcsc import PcscReader, list_readers, load_binding
from terminal.reader.presence import Presence, PresenceState
from terminal.reader.scard import SHARE_SHARED, Scard, Sighting
from tests.device.cards import EchoCard, FixedCard, SilentCard, SlowCard
from tests.device.conftest import OpenReader, PutIn, reader_name
from tests.device.daemon import FAST_POLL_S, Daemon

COMMAND = bytes.fromhex("905A000003014B5A00")
SHORT_S, LONG_S = 0.05, 30.0
CARD_WAS_RESET = 0x80100068


def take_card(reader: PcscReader) -> CardConnection:
    connection = reader.wait_for_card(LONG_S)
    assert connection is not None
    return connection


def another_program(slot: int) -> Scard:
    """That has seen the card in this slot."""
    scard, name = Scard(load_binding()), reader_name(slot)
    seen: dict[str, Sighting] = {}
    while name not in seen or not seen[name].present:
        seen = scard.wait([name], seen, LONG_S)
    return scard


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


class Loop:
    """A presence loop in a thread; `answers` are what its cards said."""

    def __init__(self, reader: PcscReader, on_card: Callable[[CardConnection], None] | None = None) -> None:
        self.answers: list[bytes] = []
        self.faults: list[CardError] = []
        self.served = threading.Semaphore(0)
        self.faulty = threading.Semaphore(0)
        self.ready = threading.Semaphore(0)
        self.presence = Presence(
            reader,
            on_card or self._ask,
            self._note,
            on_ready=self.ready.release,
            on_beat=self._beat,
            heartbeat_s=0.05,
            pause_s=0.05,
        )
        self._came_round = threading.Condition()
        self._thread = threading.Thread(target=self.presence.run)
        self._thread.start()

    def _ask(self, connection: CardConnection) -> None:
        try:
            self.answers.append(connection.transmit(COMMAND))
        finally:
            self.served.release()

    def _note(self, error: CardError) -> None:
        self.faults.append(error)
        self.faulty.release()

    def _beat(self, _: PresenceState) -> None:
        with self._came_round:
            self._came_round.notify_all()

    def take_out(self, card: VpcdBridge) -> None:
        """Once it is reset; returns when that was seen. One that leaves inside its reset and comes back sooner than
        the service looks is overlooked by the service."""
        self._wait_until(PresenceState.WAIT_FOR_REMOVAL)
        card.remove()
        self._wait_until(PresenceState.WAIT_FOR_CARD)

    def _wait_until(self, state: PresenceState) -> None:
        with self._came_round:
            assert self._came_round.wait_for(lambda: self.presence.state is state, LONG_S), state

    def stop(self) -> None:
        self.presence.stop()
        self._thread.join()


def wait_for(signal: threading.Semaphore) -> None:
    assert signal.acquire(timeout=LONG_S), "it never happened"


# finding readers


def test_both_virtual_readers_are_listed(pcscd: Daemon) -> None:
    assert {reader_name(0), reader_name(1)} <= set(list_readers())


def test_a_reader_by_name_and_what_is_said_without_one(pcscd: Daemon) -> None:
    reader = PcscReader.open("pcd 00 01")
    assert reader.name == reader_name(1)
    reader.close()
    with pytest.raises(ReaderError, match=reader_name(0)):
        PcscReader.open("nobody's reader")
    with pytest.raises(ReaderError, match="fits"):
        PcscReader.open("virtual pcd")


def test_without_a_name_passengers_are_served_beside_a_module_in_a_contact_slot(bridge: PutIn) -> None:
    """As with a reader that has a slot for a security module: it is never touched, and keeps no passenger out."""
    module = EchoCard()
    module.atr = bytes.fromhex("3B951100FF004D4A01")
    bridge(module, slot=0)
    another_program(slot=0).close()
    with closing(PcscReader.open()) as reader:
        assert reader.name == f"{reader_name(0)}, {reader_name(1)}"
        assert reader.wait_for_card(SHORT_S) is None
        passenger = bridge(EchoCard(), slot=1)
        assert take_card(reader).transmit(COMMAND) == COMMAND + b"\x90\x00"
        reader.release()
        passenger.remove()
        assert reader.wait_for_removal(LONG_S)
    assert COMMAND.hex() not in module.log


def test_a_program_with_a_shared_handle_keeps_no_passenger_out(bridge: PutIn, reader: OpenReader) -> None:
    """It waits until our transaction is over, and finds the card reset."""
    bridge(EchoCard())
    binding = load_binding()
    _, context = binding.SCardEstablishContext(2)
    another_program(slot=0).close()
    code, other, _ = binding.SCardConnect(context, reader_name(0), SHARE_SHARED, 3)
    assert code == 0
    contactless = reader()
    assert take_card(contactless).transmit(COMMAND) == COMMAND + b"\x90\x00"
    assert contactless.shared
    contactless.release()
    assert binding.SCardTransmit(other, 2, list(COMMAND))[0] & 0xFFFFFFFF == CARD_WAS_RESET
    binding.SCardReleaseContext(context)


# cards come and go


def test_a_card_present_at_start_is_served_once(bridge: PutIn, reader: OpenReader) -> None:
    inserted = bridge(EchoCard())
    contactless = reader()
    assert take_card(contactless).transmit(COMMAND) == COMMAND + b"\x90\x00"
    contactless.release()
    assert contactless.wait_for_card(SHORT_S) is None
    assert not contactless.wait_for_removal(SHORT_S)
    inserted.remove()
    assert contactless.wait_for_removal(LONG_S)
    inserted.present()
    take_card(contactless)


def test_a_card_put_in_and_taken_out_while_waiting(bridge: PutIn, reader: OpenReader) -> None:
    contactless, card = reader(), bridge(EchoCard(), present=False)
    assert contactless.wait_for_card(SHORT_S) is None
    threading.Timer(SHORT_S, card.present).start()
    take_card(contactless)
    contactless.release()
    removal = threading.Timer(SHORT_S, card.remove)
    removal.start()
    assert contactless.wait_for_removal(LONG_S)
    removal.join()


def test_the_card_is_ours_alone_and_reset_when_it_is_let_go(bridge: PutIn, reader: OpenReader) -> None:
    card = EchoCard()
    bridge(card)
    contactless = reader()
    connection = take_card(contactless)
    other = another_program(slot=0)
    with pytest.raises(ReaderGone, match="another program"):
        other.connect(reader_name(0))
    connection.transmit(COMMAND)
    contactless.release()
    other.connect(reader_name(0))
    other.close()
    assert card.log[card.log.index(COMMAND.hex()) :][:3] == [COMMAND.hex(), "off", "on"]


def test_a_program_that_keeps_the_card_puts_the_reader_out_of_order_until_it_lets_go(
    bridge: PutIn, reader: OpenReader
) -> None:
    bridge(EchoCard())
    other = another_program(slot=0)
    other.connect(reader_name(0))
    loop = Loop(reader())
    wait_for(loop.faulty)
    assert "another program" in str(loop.faults[0])
    other.close()
    wait_for(loop.served)
    loop.stop()
    assert (len(loop.faults), len(loop.answers)) == (1, 1)


def test_two_slots_at_once(bridge: PutIn, reader: OpenReader) -> None:
    loops = [Loop(reader(slot)) for slot in (0, 1)]
    cards = [bridge(EchoCard(bytes((slot,))), slot, present=False) for slot in (0, 1)]
    for _ in range(5):
        for card in cards:
            card.present()
        for loop in loops:
            wait_for(loop.served)
        for card, loop in zip(cards, loops, strict=True):
            loop.take_out(card)
    for slot, loop in enumerate(loops):
        loop.stop()
        assert loop.answers == [bytes((slot,)) + COMMAND + b"\x90\x00"] * 5
        assert loop.faults == []


def test_rapid_taps_grow_neither_threads_nor_open_files(
    pcscd: Daemon, bridge: PutIn, reader: OpenReader
) -> None:
    taps = (
        100 if pcscd.poll_s == FAST_POLL_S else 10
    )  # at the daemon's own pace a tap takes more than a second
    loop, card = Loop(reader()), bridge(EchoCard(), present=False)

    def tap() -> None:
        card.present()
        wait_for(loop.served)
        loop.take_out(card)

    tap()
    threads, files = threading.active_count(), open_files()
    for _ in range(taps):
        tap()
    assert (threading.active_count(), open_files()) == (threads, files)
    loop.stop()
    assert len(loop.answers) == taps + 1
    assert loop.faults == []


# cards that do not behave


@pytest.mark.parametrize("answer", [b"", b"\x90", bytes(259), bytes(70000)], ids=len)
def test_any_bytes_from_a_card_end_in_an_error_and_the_next_card_is_served(
    bridge: PutIn, reader: OpenReader, answer: bytes
) -> None:
    contactless, bad = reader(), bridge(FixedCard(answer))
    with pytest.raises(ProtocolError):
        take_card(contactless).transmit(COMMAND)
    contactless.release()
    bad.remove()
    assert contactless.wait_for_removal(LONG_S)
    bridge(EchoCard())
    assert take_card(contactless).transmit(COMMAND) == COMMAND + b"\x90\x00"


@pytest.mark.parametrize("command", [b"\x60", b"\x00\x84", bytes(5), bytes(261), bytes(4000)], ids=len)
def test_any_command_reaches_the_card(bridge: PutIn, reader: OpenReader, command: bytes) -> None:
    card = EchoCard()
    bridge(card)
    try:
        take_card(reader()).transmit(command)
    except ProtocolError:
        assert len(command) > 256, "only an answer that is longer than any may be"
    assert command.hex() in card.log


def test_a_card_pulled_while_it_works(bridge: PutIn, reader: OpenReader) -> None:
    contactless, card = reader(), SlowCard()
    slow = bridge(card)
    connection = take_card(contactless)

    def pull() -> None:
        card.asked.wait()
        # The driver hears of it at once; the card finishes what it began, and nobody gets the answer.
        threading.Timer(SHORT_S, card.may_answer.set).start()
        slow.remove()

    puller = threading.Thread(target=pull)
    puller.start()
    with pytest.raises(CardGone):
        connection.transmit(COMMAND)
    puller.join()
    contactless.release()
    assert contactless.wait_for_removal(LONG_S)
    slow.present()
    assert take_card(contactless).transmit(COMMAND) == COMMAND + b"\x90\x00"


def test_a_silent_card_costs_the_deadline_and_the_reader_comes_back(
    bridge: PutIn, reader: OpenReader
) -> None:
    silent = bridge(SilentCard())
    loop = Loop(reader(exchange_timeout_s=SHORT_S))
    wait_for(loop.faulty)
    wait_for(loop.faulty)
    assert isinstance(loop.faults[0], ExchangeTimeout)
    assert "out of order" in str(loop.faults[1])
    silent.remove()
    wait_for(loop.ready)
    bridge(EchoCard())
    wait_for(loop.served)  # the silent one
    wait_for(loop.served)
    loop.stop()
    assert loop.answers == [COMMAND + b"\x90\x00"]


@pytest.mark.parametrize("silent_slot", [0, 1])
def test_a_silent_card_in_the_other_slot_does_not_concern_us(
    bridge: PutIn, reader: OpenReader, silent_slot: int
) -> None:
    bridge(SilentCard(), silent_slot)
    blocked, ours = reader(silent_slot, exchange_timeout_s=SHORT_S), reader(1 - silent_slot)
    with pytest.raises(ExchangeTimeout):
        take_card(blocked).transmit(COMMAND)
    card = bridge(EchoCard(), 1 - silent_slot, present=False)
    for _ in range(3):
        card.present()
        assert take_card(ours).transmit(COMMAND) == COMMAND + b"\x90\x00"
        ours.release()
        card.remove()
        assert ours.wait_for_removal(LONG_S)
    with pytest.raises(ReaderGone, match="out of order"):
        blocked.wait_for_card(SHORT_S)


def test_many_silent_cards_grow_neither_threads_nor_open_files(bridge: PutIn, reader: OpenReader) -> None:
    silent = bridge(SilentCard(), present=False)
    loop = Loop(reader(exchange_timeout_s=0.01))
    counts = []
    for _ in range(10):
        silent.present()
        wait_for(loop.served)
        wait_for(loop.faulty)  # the deadline
        wait_for(loop.faulty)  # out of order
        silent.remove()
        wait_for(loop.ready)
        counts.append((threading.active_count(), open_files()))
    loop.stop()
    assert counts[0] == counts[-1]
