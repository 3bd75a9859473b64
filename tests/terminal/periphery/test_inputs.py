"""Scanner, contacts and supply: what comes in, within limits, whatever the device does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.errors import ExchangeTimeout
from sim.periphery.lines import LineFault, SimLines
from sim.periphery.pseudo_terminal import PseudoTerminal
from sim.periphery.scanner import SimScanner
from terminal.clock import SystemClock
from terminal.devices import DeviceState
from terminal.periphery import device_reader
from terminal.periphery.contacts import Contacts
from terminal.periphery.drivers import SerialStream
from terminal.periphery.port import MAX_CODE_BYTES, ScannedCode
from terminal.periphery.power import CUT_S, Power
from terminal.periphery.scanner import BURST, ENDS_S, CodeAssembler, Scanner, ScannerCounts

PATIENCE_S = 60.0


def read(*parts: bytes, step_s: float = 0.01) -> tuple[list[bytes], ScannerCounts]:
    """The codes of these parts, one after the other."""
    counts = ScannerCounts()
    assembler = CodeAssembler(counts)
    found = [code for number, part in enumerate(parts) for code in assembler.feed(part, 10 + number * step_s)]
    return [code.content for code in found], counts


def test_codes_end_with_cr_or_lf_or_both() -> None:
    assert read(b"A\r\nB\rC\n\n\r\nD\r", b"\nE\n")[0] == [b"A", b"B", b"C", b"D", b"E"]


def test_a_code_in_pieces_is_one_and_half_a_code_is_none() -> None:
    assert read(b"TIC", b"KET", b"\n")[0] == [b"TICKET"]
    found, counts = read(b"TICK", b"ETX\n", step_s=ENDS_S + 0.1)
    assert found == [b"ETX"]  # its first half was dropped: what follows is another code
    assert counts.cut == 1


def test_a_code_has_a_limit() -> None:
    longest = b"x" * MAX_CODE_BYTES
    assert read(longest + b"\n")[0] == [longest]
    found, counts = read(longest + b"x", b"y" * MAX_CODE_BYTES, b"\nB\n")
    assert (found, counts.too_long) == ([b"B"], 1)


def test_a_scanner_that_floods_is_slowed_down() -> None:
    found, counts = read(b"".join(b"%d\n" % number for number in range(1000)))
    assert len(found) == BURST
    assert (counts.codes, counts.too_fast) == (BURST, 1000 - BURST)


@given(st.lists(st.binary(max_size=6000), max_size=8))
def test_no_bytes_break_it_or_make_it_hold_more_than_a_code(parts: list[bytes]) -> None:
    counts = ScannerCounts()
    assembler = CodeAssembler(counts)
    for number, part in enumerate(parts):
        for code in assembler.feed(part, float(number)):
            assert 0 < len(code.content) <= MAX_CODE_BYTES
            assert b"\n" not in code.content
        assert len(assembler._held) <= MAX_CODE_BYTES


class Heard:
    """Codes and states, to be waited for."""

    def __init__(self) -> None:
        self.codes: list[bytes] = []
        self.states: list[DeviceState] = []
        self._came = threading.Condition()

    def code(self, code: ScannedCode) -> None:
        with self._came:
            self.codes.append(code.content)
            self._came.notify_all()

    def state(self, _name: str, state: DeviceState, _detail: str) -> None:
        with self._came:
            self.states.append(state)
            self._came.notify_all()

    def wait_for(self, what: object) -> None:
        with self._came:
            assert self._came.wait_for(lambda: what in self.codes or what in self.states, PATIENCE_S)


def test_a_scanner_comes_back_on_the_same_thread(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_reader, "AGAIN_S", 0.02)
    link, heard = tmp_path_factory.mktemp("dev") / "qr", Heard()
    scanner = Scanner(partial(SerialStream, link, 9600), heard.code, SystemClock())
    scanner.start(heard.state)
    before = threading.active_count()
    for number in range(5):
        heard.states.clear()
        plugged = SimScanner(PseudoTerminal(link))
        end_s = time.monotonic() + PATIENCE_S
        while scanner.counts.opened <= number:
            assert time.monotonic() < end_s
        plugged.half(b"TICKET")
        plugged.close()
        heard.wait_for(DeviceState.RAISES)
    heard.states.clear()
    plugged = SimScanner(PseudoTerminal(link))
    heard.wait_for(DeviceState.WORKS)
    plugged.scan(b"WHOLE")
    heard.wait_for(b"WHOLE")
    assert threading.active_count() == before
    scanner.stop()
    plugged.close()
    assert b"TIC" not in heard.codes


@contextmanager
def watched(chip: SimLines, **heard: object) -> Iterator[Contacts]:
    contacts = Contacts(lambda: chip, heard)  # type: ignore[arg-type]  # functions, by the names of their lines
    contacts.start(lambda _name, _state, _detail: None)
    try:
        yield contacts
    finally:
        contacts.stop()


def test_a_contact_that_is_active_at_the_start_is_heard_and_one_that_is_not_is_quiet() -> None:
    chip, heard = SimLines((), ("door", "fails")), threading.Event()
    chip.move("door", True)
    quiet: list[bool] = []
    with watched(chip, door=lambda active: active and heard.set(), fails=quiet.append):
        assert heard.wait(PATIENCE_S)
    assert quiet == []


def test_a_chattering_contact_is_heard_as_often_as_it_changes_and_ends_as_it_stands() -> None:
    chip, stands, last = SimLines((), ("fails",)), [], threading.Event()
    with watched(
        chip, fails=lambda active: (stands.append(active), last.set() if len(stands) == 7 else None)
    ):
        chip.move("fails", True, bounces=3)
        assert last.wait(PATIENCE_S)
    assert stands == [True, False] * 3 + [True]


def test_contacts_come_back_with_their_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_reader, "AGAIN_S", 0.02)
    chip, heard = SimLines((), ("door",)), Heard()
    opened = threading.Event()
    contacts = Contacts(lambda: chip, {"door": lambda _active: opened.set()})
    contacts.start(heard.state)
    chip.fault("door", LineFault.GONE)
    heard.wait_for(DeviceState.RAISES)
    chip.fault("door", None)
    chip.move("door", True)
    assert opened.wait(PATIENCE_S)
    contacts.stop()


class Clock(SystemClock):
    """A clock that a test moves."""

    at_s = 100.0

    def monotonic(self) -> float:
        return self.at_s


class Card:
    """Answers every command, and notes it; `when` is called before the answer."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []

    def transmit(self, command: bytes) -> bytes:
        self.commands.append(command)
        return b"\x90\x00"


def test_the_running_tap_goes_on_for_its_time_and_ends_then() -> None:
    clock, card, noted = Clock(), Card(), []
    power = Power(clock, threading.Lock(), lambda: noted.append("checkpoint"), lambda: noted.append("wipe"))
    connection = power.guarded(card)
    connection.transmit(b"1")
    power.supply(True)
    clock.at_s += CUT_S
    connection.transmit(b"2")
    clock.at_s += 0.001
    with pytest.raises(ExchangeTimeout):
        connection.transmit(b"3")
    power.supply(False)
    connection.transmit(b"4")
    assert card.commands == [b"1", b"2", b"4"]
    assert noted == ["checkpoint"]


def test_the_checkpoint_waits_for_the_running_tap() -> None:
    lock, done = threading.Lock(), threading.Event()
    power = Power(Clock(), lock, done.set, lambda: None)
    with lock:  # a tap is under way
        edge = threading.Thread(target=power.supply, args=(True,))
        edge.start()
        end_s = time.monotonic() + PATIENCE_S
        while not power.failing:
            assert time.monotonic() < end_s
        assert not power.serves
        assert not done.is_set()
    edge.join(PATIENCE_S)
    assert done.is_set()


def test_an_opened_housing_is_for_good() -> None:
    noted: list[str] = []
    power = Power(Clock(), threading.Lock(), lambda: None, lambda: noted.append("wipe"))
    for opened in (False, True, False, True):
        power.housing(opened)
    assert noted == ["wipe"]
    assert not power.serves
