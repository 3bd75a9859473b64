"""A printer on a pseudo-terminal: each ticket once, or said to be a copy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from sim.periphery.printer import SimPrinter
from sim.periphery.pseudo_terminal import PseudoTerminal
from terminal.clock import SystemClock
from terminal.devices import OnDeviceState
from terminal.periphery import printer as printers
from terminal.periphery.drivers import SerialStream
from terminal.periphery.escpos import has_paper, still_has_paper, ticket_bytes
from terminal.periphery.printer import Printer, PrintState

PATIENCE_S = 60.0
OTHERS = bytes.fromhex("1b741181a8aba5e20a1b64061d5600")
"""What python-escpos 3.1 writes: charcode("CP866"), text("Билет\\n"), cut()."""


def ticket(number: int, copy: bool) -> tuple[str, ...]:
    return (*(("КОПИЯ",) if copy else ()), f"Билет {number}", "Маршрут: 15", "Оплачено: 1\u00a0024\u00a0₽")


@contextmanager
def printing(
    on_state: OnDeviceState = lambda *_: None, paper_lines: int | None = None
) -> Iterator[tuple[Printer, SimPrinter, PseudoTerminal]]:
    line = PseudoTerminal()
    paper = SimPrinter(line, paper_lines)
    printer = Printer(partial(SerialStream, line.device, 115200), 32, SystemClock())
    printer.worker.start(on_state)
    try:
        yield printer, paper, line
    finally:
        printer.stop()
        paper.close()


def until(holds: Callable[[], bool], printer: Printer) -> None:
    """Look after the printer, as the presence loop does, until that holds."""
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s
        printer.look()


def becomes(printer: Printer, id_: str, state: PrintState) -> None:
    until(lambda: printer.status(id_) is state, printer)


def test_our_bytes_are_those_of_another_writer() -> None:
    ours = ticket_bytes(["Билет"], 32)
    assert ours.startswith(b"\x1b@" + OTHERS[:3])
    assert OTHERS[3:9] in ours
    assert ours.endswith(OTHERS[-3:])


def test_answers_about_paper_are_read_as_epson_has_them() -> None:
    assert [has_paper(answer) for answer in (0x12, 0x72, 0x1E, 0x00, 0xFF)] == [True, False, True, None, None]
    assert [still_has_paper(answer) for answer in (0x00, 0x03, 0x0C, 0x12)] == [True, True, False, None]


def test_nothing_from_outside_commands_a_printer() -> None:
    commands = ticket_bytes(["\x1bp\x00\x19\x19 drawer", "x" * 5000, *["line"] * 500], 32)
    assert commands.count(b"\x1b") == 2  # ours
    assert len(commands) < 64 * 34


def test_a_ticket_is_printed_once_however_often_it_is_submitted() -> None:
    with printing() as (printer, paper, _line):
        for _ in range(3):
            printer.submit("1-7", partial(ticket, 7))
        becomes(printer, "1-7", PrintState.PRINTED)
        printer.submit("1-7", partial(ticket, 7))
        printer.submit("1-8", partial(ticket, 8))
        becomes(printer, "1-8", PrintState.PRINTED)
        printed = [line for line in paper.lines if line]
        assert printed[::3] == ["Билет 7", "Билет 8"]
        assert printed[2] == "Оплачено: 1 024 руб."  # CP866 has no sign for the rouble
        assert paper.cuts == 2


def test_a_ticket_waits_for_paper_and_is_no_copy_then() -> None:
    with printing(paper_lines=0) as (printer, paper, _line):
        printer.submit("1-7", partial(ticket, 7))
        becomes(printer, "1-7", PrintState.PAPER_OUT)
        paper.load()
        becomes(printer, "1-7", PrintState.PRINTED)
        assert "КОПИЯ" not in paper.lines


def test_a_ticket_in_whose_middle_the_paper_ended_comes_again_as_a_copy() -> None:
    with printing(paper_lines=2) as (printer, paper, _line):
        printer.submit("1-7", partial(ticket, 7))
        becomes(printer, "1-7", PrintState.UNKNOWN)
        assert paper.wait_for_end(PATIENCE_S)
        paper.load()
        becomes(printer, "1-7", PrintState.PRINTED)
        assert paper.lines[:3] == ["Билет 7", "Маршрут: 15", "КОПИЯ"]


def test_a_silent_printer_gets_nothing_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printers, "ANSWER_S", 0.05)
    monkeypatch.setattr(printers, "AGAIN_S", 0.05)
    failed = threading.Event()
    with printing(lambda *_: failed.set()) as (printer, paper, _line):
        paper.silent = True
        printer.submit("1-7", partial(ticket, 7))
        assert failed.wait(PATIENCE_S)
        assert printer.status("1-7") is PrintState.WAITING
        paper.silent = False
        becomes(printer, "1-7", PrintState.PRINTED)
        assert paper.cuts == 1


def test_a_ticket_whose_rider_has_gone_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    with printing(paper_lines=0) as (printer, paper, _line):
        printer.submit("1-7", partial(ticket, 7))
        becomes(printer, "1-7", PrintState.PAPER_OUT)
        monkeypatch.setattr(printers, "KEPT_S", -1.0)
        paper.load()
        becomes(printer, "1-7", PrintState.EXPIRED)
        assert paper.lines == []
        assert printer.waiting == 0


def test_no_more_tickets_wait_than_fit() -> None:
    printer = Printer(partial(SerialStream, PseudoTerminal().device, 115200), 32, SystemClock())
    for number in range(printers.WAITING + 3):
        printer.submit(f"1-{number}", partial(ticket, number))
    assert printer.waiting == printers.WAITING
    assert printer.status("1-0") is PrintState.EXPIRED
    for number in range(1000, 1000 + printers.REMEMBERED):
        printer.submit(f"1-{number}", partial(ticket, number))
    assert printer.status("1-1") is None
    printer.stop()
