"""Devices around the reader of `terminal run`: lamps, a barrier and contacts on lines in memory, printer and scanner on
pseudo-terminals that the product opens as any serial line.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

import httpx
import msgspec
import pytest

from sim.periphery.printer import SimPrinter
from sim.periphery.pseudo_terminal import PseudoTerminal
from sim.periphery.scanner import SimScanner
from terminal.access.attempts import MANY_WRONG, Attempts
from terminal.errors import JournalSealed
from terminal.screen.console.console import CONSOLE_FOLDER
from terminal.screen.console.roles import Role
from tests.by_hand import BY_HAND
from tests.flows.live import PATIENCE_S, STATE, LiveTerminal, live_terminal
from tests.terminal.screen.console.cab import PIN, csrf, ref_of

LAMPS = {"ready": "ready", "accepted": "green", "attention": "yellow", "refused": "red", "show_ms": 200}
TONES = {"accepted_tones": ["low:10", "high:10"], "attention_tones": ["low:10"], "refused_tones": ["low:30"]}
BUZZER = {"buzzer": "buzz", "buzzer_high": "buzz_high", **TONES}
GATE = {"line": "gate", "open_ms": 200, "passed": "beam", "forced": "gate_open"}
POWER = {"failing": "fails", "tamper": "door"}
METRICS = {"metrics": {"port": 0}}
SHIFT = {"operator": "17", "route": 15}
LINES: dict[str, Mapping[str, object]] = {
    "periphery.gpio": {"chip": "sim", "debounce_ms": 0},
    "periphery.lamps": LAMPS | BUZZER,
    "periphery.barrier": GATE,
    "periphery.power": POWER,
}


@contextmanager
def bus(folder: Path, **tables: Mapping[str, object]) -> Iterator[LiveTerminal]:
    """A bus in service with every device on lines, and those of `tables`."""
    usual: dict[str, Mapping[str, object]] = {"terminal": {"profile": "bus"}, "shift": SHIFT, **LINES}
    with live_terminal(folder, **(usual | tables)) as terminal:
        yield terminal


def until(terminal: LiveTerminal, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What the chip's lines say, once that holds."""
    end_s = time.monotonic() + PATIENCE_S
    while not holds(said := terminal.hand.say("lines")):
        assert time.monotonic() < end_s, said
    return said


def measured(terminal: LiveTerminal, sample: str, value: int) -> bool:
    """Wait until its metrics page says so."""
    page = re.search(r"http://\S+/metrics", terminal.hand.stderr)
    assert page is not None
    end_s = time.monotonic() + PATIENCE_S
    while f"resident_terminal_{sample} {value}\n" not in (said := httpx.get(page[0]).text):
        assert time.monotonic() < end_s, said
    return True


def openings(said: Mapping[str, Any]) -> int:
    return sum(line == "gate" and active for line, active, _ in said["changes"])


def codes(terminal: LiveTerminal, code: str, rows: int = 1) -> list[dict[str, Any]]:
    """The inputs of so many rows of that fault, once they are there."""
    end_s = time.monotonic() + PATIENCE_S
    while len(found := [row for row in terminal.rows() if row.get("code") == code]) < rows:
        assert time.monotonic() < end_s, terminal.rows()
    return [row["inputs"] for row in found]


def status(terminal: LiveTerminal) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode((terminal.folder / STATE / "status.json").read_bytes())
    return found


def until_status(terminal: LiveTerminal, name: str) -> None:
    """Wait until its status file says so of the devices; it is written now and then."""
    end_s = time.monotonic() + PATIENCE_S
    while not (said := status(terminal)["periphery"])[name]:
        assert time.monotonic() < end_s, said


def test_a_barrier_opens_once_for_each_payment_and_closes_by_itself(tmp_path: Path) -> None:
    with bus(tmp_path) as terminal:
        card = terminal.card("month_pass")
        until(terminal, lambda said: said["lines"]["ready"])
        assert terminal.tap(card)["kind"] == "Intent"
        until(terminal, lambda said: openings(said) == 1 and not said["lines"]["gate"])
        said = until(terminal, lambda said: ["buzz_high", False] in [one[:2] for one in said["changes"]])
        lit = [line for line, active, _ in said["changes"] if active and line not in ("ready", "gate")]
        assert lit == ["green", "buzz", "buzz_high"]

        again = terminal.hand.tap(tmp_path / card)  # the same rider's retry is let in, and opens nothing
        assert (again["message"], again["admission"]) == ("already_paid", "let_in")
        with bus(tmp_path / "other", terminal={"profile": "bus", "number": 2}) as other_door:
            copyfile(tmp_path / card, tmp_path / "other" / card)
            other_door.hand.say("clock", step_s=30)
            there = other_door.tap(
                card
            )  # paid at the other door: let in, and no second gate opens for one payment
            assert (there["message"], there["admission"]) == ("already_paid", "let_in")
            said = until(
                other_door, lambda said: any(line == "yellow" and on for line, on, _ in said["changes"])
            )
            assert openings(said) == 0

        empty = terminal.tap(terminal.card("empty_purse"))
        assert empty["admission"] == "refused"
        said = until(terminal, lambda said: any(line == "red" and on for line, on, _ in said["changes"]))
        assert openings(said) == 1

        other = terminal.tap(terminal.card("adult_purse"))
        assert other["kind"] == "Intent"
        said = until(terminal, lambda said: openings(said) == 2 and not said["lines"]["gate"])
    (counted,) = [row for row in terminal.rows() if row.get("code") == "barrier:counted"]
    assert counted["inputs"] == {"opened": 2, "passed": 0, "forced": 0}


def tones(said: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Every tone that has ended: its line, and how long it was, in ms."""
    begun: dict[str, float] = {}
    found = []
    for line, active, at_s in said["changes"]:
        if active:
            begun[line] = at_s
        elif line.startswith("buzz"):
            found.append((line, 1000 * (at_s - begun[line])))
    return found


def assert_sounds(terminal: LiveTerminal, *expected: tuple[str, int]) -> None:
    """The newest tones are these, none of them cut short."""
    said = until(terminal, lambda said: len(tones(said)) >= len(expected))
    heard = tones(said)
    assert [line for line, _ in heard] == [line for line, _ in expected]
    assert all(is_ms >= ms - 1 for (_, is_ms), (_, ms) in zip(heard, expected, strict=True)), heard


LOW, HIGH = "buzz", "buzz_high"


def test_each_kind_of_result_has_the_sound_that_is_configured_for_it(tmp_path: Path) -> None:
    """Without any configured: two tones upwards, two alike, one long and low."""
    as_delivered = {"periphery.lamps": LAMPS | {"buzzer": LOW, "buzzer_high": HIGH}}
    with bus(tmp_path, **as_delivered) as terminal:
        accepted, attention, refused = [(LOW, 100), (HIGH, 150)], [(LOW, 100), (LOW, 100)], [(LOW, 600)]
        card = terminal.card("month_pass")
        terminal.tap(card)
        assert_sounds(terminal, *accepted)
        terminal.hand.tap(tmp_path / card)
        assert_sounds(terminal, *accepted, *attention)
        terminal.tap(terminal.card("empty_purse"))
        assert_sounds(terminal, *accepted, *attention, *refused)
    own = {
        "accepted_tones": ["high:40", "pause:20", "high:40"],
        "attention_tones": [],
        "refused_tones": ["low:80"],
    }
    with bus(tmp_path / "own", **{"periphery.lamps": as_delivered["periphery.lamps"] | own}) as terminal:
        card = terminal.card("month_pass")
        terminal.tap(card)
        assert_sounds(terminal, (HIGH, 40), (HIGH, 40))
        terminal.hand.tap(tmp_path / "own" / card)
        terminal.tap(terminal.card("empty_purse"))
        assert_sounds(terminal, (HIGH, 40), (HIGH, 40), (LOW, 80))


def test_who_waited_for_the_barrier_as_the_terminal_was_killed_passes_once_after_its_start(
    tmp_path: Path,
) -> None:
    slow = {"periphery.barrier": GATE | {"open_ms": 30_000}}
    with pytest.raises(BrokenPipeError), bus(tmp_path, **slow) as terminal:  # noqa: PT012 its end is the point
        first, waits = terminal.card("month_pass"), terminal.card("adult_purse")
        terminal.tap(first)
        until(terminal, lambda said: said["lines"]["gate"])
        assert terminal.tap(waits)["kind"] == "Intent"
        (committed,) = [row for row in terminal.rows() if row["kind"] == "Committed"][1:]
        terminal.hand.process.kill()
        terminal.hand.process.wait(PATIENCE_S)
        raise BrokenPipeError
    half_a_minute_later: Mapping[str, object] = {**BY_HAND, "starts_at": "2026-09-15T08:00:30+03:00"}
    with bus(tmp_path, laboratory=half_a_minute_later) as terminal:
        of_who_passed = terminal.hand.tap(tmp_path / first)
        assert (of_who_passed["message"], of_who_passed["admission"]) == ("already_paid", "inside")
        owed = terminal.hand.tap(tmp_path / waits)
        assert (owed["end"], owed["sequence"]) == ("repeated", committed["intent"])
        until(terminal, lambda said: openings(said) == 1 and not said["lines"]["gate"])
        terminal.hand.say("clock", step_s=5)
        again = terminal.hand.tap(
            tmp_path / waits
        )  # the passage is made: this is another ride, and is paid for
        assert (again["end"], again["charge_minor"] > 0) == ("committed", True)
        until(terminal, lambda said: openings(said) == 2)


def test_a_person_who_passes_closes_the_barrier_and_one_who_forces_it_is_on_record(tmp_path: Path) -> None:
    slow = {"periphery.barrier": GATE | {"open_ms": 30_000}}
    with bus(tmp_path, **slow) as terminal:
        terminal.tap(terminal.card("month_pass"))
        until(terminal, lambda said: said["lines"]["gate"])
        terminal.hand.say("line", name="beam", active=True)
        until(terminal, lambda said: not said["lines"]["gate"])
        terminal.hand.say("line", name="gate_open", active=True, bounces=0)
        assert codes(terminal, "barrier:forced") == [{"times": 1}]


def test_the_supply_fails_and_comes_back(tmp_path: Path) -> None:
    with bus(tmp_path) as terminal:
        card = terminal.card("month_pass")
        until(terminal, lambda said: said["lines"]["ready"])
        terminal.hand.say("line", name="fails", active=True)
        codes(terminal, "power:failing")
        until(terminal, lambda said: not said["lines"]["ready"])
        head = terminal.head()
        assert terminal.hand.say("present", card=str(tmp_path / card))
        assert terminal.hand.say("await")["tap"] is None
        terminal.hand.say("remove")
        assert terminal.rows(head) == []
        until_status(terminal, "power_failing")

        terminal.hand.say("line", name="fails", active=False)
        codes(terminal, "power:back")
        until(terminal, lambda said: said["lines"]["ready"])
        assert terminal.tap(card)["kind"] == "Intent"


def test_an_opened_housing_wipes_the_key_and_ends_service(tmp_path: Path) -> None:
    key = tmp_path / STATE / "journal.db.key"
    with pytest.raises(AssertionError, match="is sealed, and its key is not here"), bus(tmp_path) as terminal:  # noqa: PT012
        assert key.exists()
        terminal.hand.say("line", name="door", active=True, bounces=3)
        until(terminal, lambda _said: not key.exists())
        until(terminal, lambda said: not said["lines"]["ready"])
        terminal.hand.say("present", card=str(tmp_path / terminal.card("adult_purse")))
        assert terminal.hand.say("await")["tap"] is None
        until_status(terminal, "tampered")
        with pytest.raises(JournalSealed):
            terminal.rows()
    # at the end `terminal journal show` could not read a row: that is what was awaited


@pytest.fixture
def printer_line(tmp_path: Path) -> PseudoTerminal:
    return PseudoTerminal(tmp_path / "printer")


def test_a_ticket_is_printed_for_a_ride_that_was_paid_and_for_no_other(
    tmp_path: Path, printer_line: PseudoTerminal
) -> None:
    with closing(SimPrinter(printer_line)) as printer:
        with bus(tmp_path, **METRICS, **{"periphery.printer": {"device": "printer"}}) as terminal:
            terminal.tap(terminal.card("month_pass"))
            terminal.tap(terminal.card("empty_purse"))
            row = terminal.tap(terminal.card("adult_purse"))
            assert printer.wait_for_cuts(1, PATIENCE_S)
            assert measured(terminal, 'device_events_total{event="tickets_printed"}', 1)
        assert printer.lines[0] == f"Билет 1-{row['sequence']}"
        assert "Маршрут: 15" in printer.lines
        assert any(line.startswith("Оплачено:") for line in printer.lines)
        assert (printer.cuts, printer.unknown) == (1, b"")


FAR_MS = 4 * 10**12
"""Whenever the test is run, a wait from here on has its whole length left."""
CAB: Mapping[str, object] = {"enabled": True, "port": 0, "typed_sign_in": True}


def sold(terminal: LiveTerminal, persons: int = 2) -> tuple[int, str]:
    """Sell for cash; the row of the sale, and the page with its ticket."""
    head = terminal.head()
    terminal.act("/sale", "/sale", persons=persons)
    (row,) = [row for row in terminal.rows(head) if row["kind"] == "CashSale"]
    return row["sequence"], f"/ticket/{row['sequence']}"


def says(terminal: LiveTerminal, page: str, words: str) -> bool:
    """Wait until the console's page says so."""
    assert terminal.console is not None
    end_s = time.monotonic() + PATIENCE_S
    while words not in (said := terminal.console.get(page).text):
        assert time.monotonic() < end_s, said
    return True


def a_stranger_typed_all_night(state: Path) -> None:
    """Wrong PINs for the driver's number; the next try is hours away."""
    for at_ms in range(MANY_WRONG):
        Attempts(state / CONSOLE_FOLDER).begin(f"typed:{ref_of(Role.DRIVER)}", FAR_MS + at_ms)


def signs_in_beside_a_colleague(terminal: LiveTerminal) -> None:
    """The driver, whose right PIN has to wait, with the conductor's; the first page says what others have tried."""
    assert terminal.console is not None
    post, ref = terminal.console.post, ref_of(Role.DRIVER)
    own = {"csrf": csrf(terminal.console.get("/sign-in?typed=1")), "ref": ref, "pin": PIN}
    waits = post("/sign-in", data=own)
    assert waits.status_code == 403
    assert 'name="by_pin"' in waits.text
    beside = {"by": ref_of(Role.CONDUCTOR), "by_pin": PIN}
    assert post("/sign-in", data=own | {"by": ref, "by_pin": PIN}).status_code == 403, (
        "he himself is no colleague"
    )
    assert post("/sign-in", data=own | beside | {"by_pin": "2581"}).status_code == 403
    assert post("/sign-in", data=own | beside).status_code == 303
    shown = terminal.console.get("/", follow_redirects=True).text
    assert f"неверные ПИН-коды: {MANY_WRONG}." in shown
    assert "неверные ПИН-коды" not in terminal.console.get("/", follow_redirects=True).text


def test_a_cash_sale_leaves_a_ticket_and_a_copy_on_demand_says_so(
    tmp_path: Path, printer_line: PseudoTerminal
) -> None:
    tables: dict[str, Mapping[str, object]] = {"console": CAB, "periphery.printer": {"device": "printer"}}
    with closing(SimPrinter(printer_line)) as printer:
        with bus(tmp_path, **tables) as terminal:
            terminal.sign_in(Role.DRIVER)
            row, page = sold(terminal)
            assert printer.wait_for_cuts(1, PATIENCE_S)
            assert says(terminal, page, "Отдайте билет пассажиру")
            first = list(printer.lines)
            assert first[0] == f"Билет 1-{row}"
            assert "Человек: 2" in first

            head = terminal.head()
            assert terminal.console is not None
            again = terminal.form(page, "/ticket/copy")
            answers = [terminal.console.post("/ticket/copy", data=again) for _ in range(2)]
            assert {answer.status_code for answer in answers} == {303}
            assert printer.wait_for_cuts(2, PATIENCE_S)
            (copied,) = [one for one in terminal.rows(head) if one["kind"] == "TicketCopied"]
            assert (copied["sale"], copied["operator_ref"]) == (row, ref_of(Role.DRIVER))
            assert says(terminal, answers[0].headers["location"], "Отдайте билет пассажиру")
            copy = printer.lines[len(first) :]
            assert copy[0] == "КОПИЯ"
            assert copy[1:] == first
            assert f'href="{page}"' in terminal.console.get("/taps").text
            assert terminal.console.post("/ticket/copy", data=again | {"sale": "1"}).status_code == 303
        a_stranger_typed_all_night(tmp_path / STATE)
        with bus(tmp_path, **tables) as terminal:
            signs_in_beside_a_colleague(terminal)
            assert says(terminal, page, "Напечатайте копию")
            assert terminal.console is not None
            csrf = {"csrf": terminal.form(page, "/ticket/copy")["csrf"]}
            assert terminal.console.post("/ticket/copy", data=again | csrf).status_code == 303
            terminal.act(page, "/ticket/copy")
            assert printer.wait_for_cuts(3, PATIENCE_S)
        assert (printer.cuts, printer.unknown) == (3, b"")


def test_a_sale_stands_where_the_printer_has_no_paper_or_is_gone(
    tmp_path: Path, printer_line: PseudoTerminal
) -> None:
    tables: dict[str, Mapping[str, object]] = {"console": CAB, "periphery.printer": {"device": "printer"}}
    printer = SimPrinter(printer_line, paper_lines=0)
    with bus(tmp_path, **tables) as terminal:
        terminal.sign_in(Role.DRIVER)
        _, page = sold(terminal)
        assert says(terminal, page, "нет бумаги")
        printer.load()
        assert printer.wait_for_cuts(1, PATIENCE_S)
        assert says(terminal, page, "Отдайте билет пассажиру")
        assert "КОПИЯ" not in printer.lines

        printer.close()
        row, page = sold(terminal)
        assert says(terminal, page, "Принтер не работает")
        with closing(SimPrinter(PseudoTerminal(tmp_path / "printer"))) as replugged:
            assert replugged.wait_for_cuts(1, PATIENCE_S)
            assert replugged.lines[0] == f"Билет 1-{row}"
        assert says(terminal, page, "Отдайте билет пассажиру")


def test_what_a_scanner_reads_is_answered_and_counted(tmp_path: Path) -> None:
    line = PseudoTerminal(tmp_path / "qr")
    display: Mapping[str, object] = {"serial": "qr"}
    with (
        closing(SimScanner(line)) as scanner,
        bus(tmp_path, **METRICS, **{"periphery.scanner": display}) as terminal,
    ):
        assert measured(terminal, 'device_events_total{event="scanner_opened"}', 1)
        scanner.scan(b"TICKET-1")
        until(terminal, lambda said: any(line == "yellow" and on for line, on, _ in said["changes"]))
        assert terminal.tap(terminal.card("month_pass"))["kind"] == "Intent"
    assert status(terminal)["periphery"]["counts"]["scanner_codes"] == 1


def test_every_device_gone_and_taps_go_on(tmp_path: Path) -> None:
    tables = {"periphery.printer": {"device": "none"}, "periphery.scanner": {"serial": "nothing"}}
    with bus(tmp_path, **tables) as terminal:
        assert terminal.tap(terminal.card("adult_purse"))["kind"] == "Intent"
        devices = {inputs["device"] for inputs in codes(terminal, "periphery:failed", 2)}
    assert devices == {"printer", "scanner"}
