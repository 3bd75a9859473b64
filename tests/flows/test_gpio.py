"""gpiod's driver inside `terminal run --config`: the library itself, and a stand-in for the kernel behind it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import gpiod
import pytest

from tests import by_hand
from tests.chip_twin import ChipRequest, ChipTwin, request_lines, stand_in
from tests.flows.live import LiveTerminal, live_terminal
from tests.flows.test_periphery import BUZZER, GATE, LAMPS, POWER, SHIFT, codes

pytestmark = pytest.mark.fresh  # another library on the path than the one that was imported

TABLES: Mapping[str, Mapping[str, object]] = {
    "terminal": {"profile": "bus"},
    "shift": SHIFT,
    "periphery.gpio": {"chip": "chip", "debounce_ms": 0},
    "periphery.lamps": LAMPS | BUZZER,
    "periphery.barrier": GATE | {"open_ms": 30_000},
    "periphery.power": {"failing": POWER["failing"]},
}
OUTPUTS = {"ready", "green", "yellow", "red", "buzz", "buzz_high", "gate"}


@contextmanager
def bus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LiveTerminal, ChipTwin]]:
    """A bus whose lines are those of a chip."""
    monkeypatch.setitem(by_hand.ENVIRONMENT, "PYTHONPATH", stand_in(folder / "path"))
    with closing(ChipTwin(folder / "chip")) as chip, live_terminal(folder, **TABLES) as terminal:
        yield terminal, chip


def threads(terminal: LiveTerminal) -> int:
    return len(list(Path(f"/proc/{terminal.hand.process.pid}/task").iterdir()))


def test_the_stand_in_is_called_as_the_library_is() -> None:
    asked = inspect.signature(request_lines).parameters
    assert list(asked) == list(inspect.signature(gpiod.request_lines).parameters)
    for name in ("set_value", "set_values", "get_values", "wait_edge_events", "read_edge_events", "release"):
        ours = inspect.signature(getattr(ChipRequest, name)).parameters
        assert list(ours) == list(inspect.signature(getattr(gpiod.LineRequest, name)).parameters)


def test_lamps_barrier_and_contacts_of_a_chip_that_goes_away_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bus(tmp_path, monkeypatch) as (terminal, chip):
        driven = chip.until(lambda driven: ("ready", True) in driven)
        assert {line for line, _ in driven[: len(OUTPUTS)]} == OUTPUTS
        assert not any(active for _, active in driven[: len(OUTPUTS)])  # asked for inactive

        terminal.tap(terminal.card("month_pass"))
        driven = chip.until(lambda driven: {("gate", True), ("buzz_high", True)} <= set(driven))
        assert [line for line, on in driven if on and line != "ready" and line != "gate"] == [
            "green",
            "buzz",
            "buzz_high",
        ]
        assert driven[-1] != ("gate", False)
        chip.move("beam", True)  # through an edge of the library's own kind
        chip.until(lambda driven: driven[::-1].index(("gate", False)) < driven[::-1].index(("gate", True)))

        chip.move("fails", True)
        codes(terminal, "power:failing")
        chip.move("fails", False)
        codes(terminal, "power:back")
        before = threads(terminal)

        chip.unplug()
        codes(terminal, "periphery:failed")  # its contacts
        assert terminal.tap(terminal.card("adult_purse"))["kind"] == "Intent"
        failed = {inputs["device"] for inputs in codes(terminal, "periphery:failed", 3)}
        assert failed == {"contacts", "lamps", "barrier"}
        chip.move("fails", True)  # as it stands when the chip is back
        seen = len(chip.driven)
        chip.plug_in()
        codes(terminal, "power:failing", 2)
        chip.move("fails", False)
        codes(terminal, "power:back", 2)
        assert terminal.tap(terminal.card("social_pack_45"))["kind"] == "Intent"
        chip.until(lambda driven: {("green", True), ("gate", True)} <= set(driven[seen:]))
        assert {line for line, _ in chip.driven[seen : seen + len(OUTPUTS)]} == OUTPUTS  # asked for anew
        assert threads(terminal) <= before
    newest = dict(chip.driven)
    assert not any(newest.values())  # given back dark, silent and closed
