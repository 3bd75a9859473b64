"""ADR 48: what a barrier owes after its terminal was killed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sim.periphery.lines import SimLines
from terminal.clock import SystemClock
from terminal.devices import DeviceState
from terminal.journal.taps import End
from terminal.periphery.barrier import Barrier
from terminal.periphery.passages import PassageFile, owed_passage


def tap(sequence: int, end: End = End.COMMITTED) -> Any:
    return SimpleNamespace(sequence=sequence, end=end)


def test_only_a_committed_tap_behind_the_newest_passage_is_owed(tmp_path: Path) -> None:
    file = PassageFile(tmp_path / "passages")
    file.begins(7)
    assert owed_passage(tap(8), file) == tap(8)
    assert owed_passage(tap(7), file) is None
    assert owed_passage(tap(8, End.UNRESOLVED), file) is None
    assert owed_passage(None, file) is None
    file.begins(8)
    assert owed_passage(tap(8), file) is None


@pytest.mark.parametrize("content", [None, b"", b"-1\n", b"seven", b"9" * 100, b"\xff\n"])
def test_where_nothing_is_known_nothing_is_owed_and_it_is_known_from_then_on(
    tmp_path: Path, content: bytes | None
) -> None:
    file = PassageFile(tmp_path / "passages")
    if content is not None:
        (tmp_path / "passages").write_bytes(content)
    assert owed_passage(tap(8), file) is None
    assert file.newest() == 8


def test_a_passage_that_cannot_be_noted_is_made_and_reported() -> None:
    chip, states = SimLines(("gate",), ()), []
    barrier = Barrier(chip, "gate", 10, SystemClock())

    def full(_sequence: int) -> None:
        raise OSError("no space left on device")

    barrier.begins = full
    barrier.worker.start(lambda _name, state, _detail: states.append(state))
    barrier.tap(1)
    for opened in (True, False):
        assert chip.wait_for("gate", opened, 10.0)
    barrier.stop()
    assert [active for _, active, _ in chip.history] == [True, False]
    assert states[0] is DeviceState.RAISES
