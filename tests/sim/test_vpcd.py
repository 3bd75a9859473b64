"""The bridge against a driver of our own; tests/device has it against the real one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from cardproto.errors import CardGone, ExchangeTimeout
from sim.card.other import NotDesfire
from sim.faults import silence, tear_after, tear_before
from sim.vpcd import BridgedCard, VpcdBridge, VpcdFault
from tests.properties import examples
from tests.sim.disturbed import DisturbedCard

ATR = bytes.fromhex("3B8180018080")
UID = bytes.fromhex("04A1B2C3D4E5F6")
ANSWERING_S = 30.0


class Driver:
    """One slot of the driver. `ask` sends a message as the real one does: length and body in two writes."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.port: int = self._server.getsockname()[1]
        self._card: socket.socket | None = None

    def accept(self) -> Self:
        self._card, _ = self._server.accept()
        self._card.settimeout(ANSWERING_S)
        self._card.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    @property
    def card(self) -> socket.socket:
        assert self._card is not None
        return self._card

    def tell(self, message: bytes) -> None:
        self.card.sendall(len(message).to_bytes(2, "big"))
        self.card.sendall(message)

    def ask(self, message: bytes) -> bytes:
        self.tell(message)
        return self.answer()

    def answer(self) -> bytes:
        """The next answer; b"" when the card has hung up."""
        head = self._exactly(2)
        return self._exactly(int.from_bytes(head, "big")) if head else b""

    def _exactly(self, length: int) -> bytes:
        """In as many pieces as it takes: a socket with a time-out does not honour MSG_WAITALL."""
        data = b""
        while len(data) < length and (piece := self.card.recv(length - len(data))):
            data += piece
        return data

    def hang_up(self) -> None:
        self.card.close()

    def close(self) -> None:
        if self._card is not None:
            self._card.close()
        self._server.close()


@dataclass
class Recorder:
    """A card that answers the command backwards and remembers what happened to it."""

    atr: bytes = ATR
    log: list[str] = field(default_factory=list)

    def power_on(self) -> None:
        self.log.append("on")

    def power_off(self) -> None:
        self.log.append("off")

    def transmit(self, command: bytes) -> bytes:
        self.log.append(command.hex())
        return command[::-1] + b"\x90\x00"


class Fixed(Recorder):
    """Always this answer, or this error."""

    def __init__(self, answer: bytes | Exception) -> None:
        super().__init__()
        self.fixed = answer

    def transmit(self, command: bytes) -> bytes:
        if isinstance(self.fixed, Exception):
            raise self.fixed
        return self.fixed


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


def put_in(driver: Driver, card: BridgedCard, *, keep: bool = False) -> VpcdBridge:
    """Present `card` and let the driver take it with a first look at its ATR."""
    bridge = VpcdBridge(card, port=driver.port, settle_s=0.0, keep=keep)
    first_look = threading.Thread(target=lambda: driver.accept().ask(b"\x04"))
    first_look.start()
    bridge.present()
    first_look.join()
    return bridge


def finish(driver: Driver, bridge: VpcdBridge) -> None:
    driver.hang_up()
    bridge.remove()


def test_control_messages_reach_the_card_and_only_the_atr_is_answered(driver: Driver) -> None:
    card = Recorder()
    bridge = put_in(driver, card)
    for control in (b"\x01", b"\x02", b"\x00"):
        driver.tell(control)
    assert driver.ask(b"\x04") == ATR
    assert card.log == ["on", "off", "on", "off"]
    finish(driver, bridge)


@pytest.mark.parametrize(
    "command",
    [bytes.fromhex("00A4040000"), b"\x60", b"\x03", b"\xff", b"\x00\x00", b"", bytes(65533)],
    ids=["apdu", "native", "03", "ff", "two zeros", "nothing", "longest"],
)
def test_anything_else_is_a_command(driver: Driver, command: bytes) -> None:
    bridge = put_in(driver, Recorder())
    assert driver.ask(command) == command[::-1] + b"\x90\x00"
    finish(driver, bridge)


def test_a_message_cut_anywhere_is_one_message(driver: Driver) -> None:
    bridge = put_in(driver, Recorder())
    for byte in b"\x00\x04abcd":
        driver.card.sendall(bytes((byte,)))
    assert driver.answer() == b"dcba\x90\x00"
    finish(driver, bridge)


def test_messages_in_one_piece_are_answered_one_by_one(driver: Driver) -> None:
    bridge = put_in(driver, Recorder())
    driver.card.sendall(b"\x00\x02ab\x00\x01\x02\x00\x03cde\x00\x01\x04")
    assert [driver.answer() for _ in range(3)] == [b"ba\x90\x00", b"edc\x90\x00", ATR]
    finish(driver, bridge)


@pytest.mark.parametrize(
    ("answer", "sent"), [(b"", b"\x00"), (b"\x01", b"\x01"), (bytes(70000), bytes(65535))]
)
def test_odd_answers_never_leave_the_driver_waiting(driver: Driver, answer: bytes, sent: bytes) -> None:
    bridge = put_in(driver, Fixed(answer))
    assert driver.ask(b"\x00\xa4\x00\x00") == sent
    finish(driver, bridge)


def test_a_silent_card_does_not_answer_and_stays(driver: Driver) -> None:
    bridge = put_in(driver, Fixed(ExchangeTimeout("silent")))
    driver.tell(b"\x00\xa4\x00\x00")
    assert driver.ask(b"\x04") == ATR
    assert bridge.presented
    finish(driver, bridge)


def test_a_pulled_card_hangs_up_without_an_answer(driver: Driver) -> None:
    bridge = put_in(driver, Fixed(CardGone("pulled")))
    assert driver.ask(b"\x00\xa4\x00\x00") == b""
    assert bridge.wait_for_conversation(after=0, timeout_s=ANSWERING_S)
    bridge.remove()
    assert not bridge.presented


def test_removal_says_goodbye_and_powers_off(driver: Driver) -> None:
    card = Recorder()
    bridge = put_in(driver, card)
    threading.Timer(0.02, lambda: (driver.answer(), driver.hang_up())).start()
    bridge.remove()
    bridge.remove()
    assert card.log == ["off"]
    assert not bridge.presented


def test_a_card_pulled_while_it_works_has_done_the_work_and_answers_nobody(driver: Driver) -> None:
    asked, working = threading.Event(), threading.Event()

    class Slow(Recorder):
        def transmit(self, command: bytes) -> bytes:
            asked.set()
            working.wait()
            return super().transmit(command)

    card = Slow()
    bridge = put_in(driver, card)
    driver.tell(b"work")
    asked.wait()
    removal = threading.Thread(target=bridge.remove)
    removal.start()
    assert driver.answer() == b"", "the end of the stream is there before the card has finished"
    working.set()
    driver.hang_up()
    removal.join()
    assert card.log == [b"work".hex(), "off"]


def test_the_same_card_goes_in_again_and_again(driver: Driver) -> None:
    card = Recorder()
    bridge = put_in(driver, card)
    for _ in range(5):
        driver.hang_up()
        bridge.remove()
        look = threading.Thread(target=lambda: driver.accept().ask(b"\x04"))
        look.start()
        bridge.present()
        look.join()
        assert driver.ask(b"ab") == b"ba\x90\x00"
    finish(driver, bridge)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vpcd")]


def test_conversations_are_counted_at_reset_power_off_and_removal(driver: Driver) -> None:
    bridge = put_in(driver, Recorder())
    for ending in (b"\x02", b"\x00"):
        driver.tell(b"\x02")
        driver.ask(b"\x04")  # nothing was said before it: no conversation
        driver.ask(b"ab")
        driver.ask(b"ab")
        driver.tell(ending)
        driver.ask(b"\x04")
    driver.ask(b"ab")
    assert bridge.wait_for_conversation(after=1, timeout_s=ANSWERING_S)
    assert bridge.conversations == 2
    assert not bridge.wait_for_conversation(after=2, timeout_s=0.01)
    driver.hang_up()
    assert bridge.wait_for_conversation(after=2, timeout_s=ANSWERING_S)
    assert bridge.commands == 5


def test_a_conversation_lasts_until_the_reset_is_answered(driver: Driver) -> None:
    """A card that leaves before makes the reset fail, and the service overlook the next one."""
    bridge = put_in(driver, Recorder())
    driver.ask(b"ab")
    driver.tell(b"\x02")
    assert driver.ask(b"cd") == b"dc\x90\x00"
    assert bridge.conversations == 0
    assert driver.ask(b"\x04") == ATR
    assert bridge.wait_for_conversation(after=0, timeout_s=ANSWERING_S)
    finish(driver, bridge)


def test_without_keep_the_end_of_the_service_ends_the_presentation(driver: Driver) -> None:
    bridge = put_in(driver, Recorder())
    driver.hang_up()
    assert not bridge.wait_for_conversation(after=0, timeout_s=ANSWERING_S), (
        "no conversation, and nobody there"
    )
    assert not bridge.presented


def test_with_keep_the_card_goes_in_again_when_the_service_is_back(driver: Driver) -> None:
    bridge = put_in(driver, Recorder(), keep=True)
    driver.hang_up()
    assert driver.accept().ask(b"\x04") == ATR
    driver.hang_up()
    assert driver.accept().ask(b"ab") == b"ba\x90\x00"
    assert bridge.presented
    finish(driver, bridge)
    assert not bridge.presented


@pytest.mark.parametrize("atr", [b"", b"\x3b", bytes(34)])
def test_an_atr_that_would_block_the_driver_is_refused(atr: bytes) -> None:
    with pytest.raises(ValueError, match="block the driver"):
        VpcdBridge(Recorder(atr=atr))


def test_without_a_service_the_packages_and_the_start_are_named(driver: Driver) -> None:
    driver.close()
    with pytest.raises(VpcdFault) as caught:
        VpcdBridge(Recorder(), port=driver.port).present()
    assert "vsmartcard-vpcd" in caught.value.advice
    assert "pcscd --foreground" in caught.value.advice


def test_a_taken_slot_is_noticed(driver: Driver) -> None:
    first = put_in(driver, Recorder())
    second = VpcdBridge(Recorder(), port=driver.port, settle_s=0.0, taken_timeout_s=0.05)
    with pytest.raises(VpcdFault, match="does not take the card"):
        second.present()
    assert not second.presented
    finish(driver, first)


@pytest.mark.parametrize(
    ("faults", "answers"),
    [
        (tear_before(2), [b"\x6d\x00", b""]),
        (tear_after(2), [b"\x6d\x00", b""]),
        (silence(2, 0.0), [b"\x6d\x00", None]),
    ],
)
def test_a_fault_plan_disturbs_the_presentation(
    driver: Driver, faults: object, answers: list[bytes | None]
) -> None:
    card = DisturbedCard(NotDesfire(UID), faults)  # type: ignore[arg-type]
    bridge = put_in(driver, card)
    assert driver.ask(bytes.fromhex("FFCA000000")) == UID + b"\x90\x00", "the reader answers, not the card"
    for expected in answers:
        driver.tell(bytes.fromhex("0084000008"))
        if expected is not None:
            assert driver.answer() == expected
        else:
            assert driver.ask(b"\x04") == ATR, "it is still there"
    assert card.exchanges == 2
    finish(driver, bridge)


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(st.binary(max_size=300), max_size=8))
def test_any_messages_are_answered_in_order(messages: list[bytes]) -> None:
    driver = Driver()
    bridge = put_in(driver, Recorder())
    for message in messages:
        driver.tell(message)
        if message == b"\x04":
            assert driver.answer() == ATR
        elif message not in (b"\x00", b"\x01", b"\x02"):
            assert driver.answer() == message[::-1] + b"\x90\x00"
    assert driver.ask(b"\x04") == ATR
    finish(driver, bridge)
    driver.close()
