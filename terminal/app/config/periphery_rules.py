"""What [periphery.*] cannot mean: two things on one line or device, lines without a chip, contacts without a gate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terminal.app.config.codes import ConfigMistake
from terminal.app.config.periphery import SIMULATED, PeripheryTables
from terminal.errors import Mistake

if TYPE_CHECKING:
    from terminal.app.config.settings import StationConfig

ROOM: Final = "periphery"
KERNELS_BYTES: Final = 31
"""What a line's name may have: 32 bytes with the NUL behind it."""


def periphery_mistakes(config: StationConfig) -> Iterator[Mistake]:
    """Everything in the tables that cannot be meant."""
    tables = config.periphery
    yield from _lines(tables)
    yield from _devices(tables)
    yield from _lacking(tables)
    if tables.gpio.chip == SIMULATED and not config.reader.simulated:
        yield Mistake(f"{ROOM}.gpio.chip", ConfigMistake.SIMULATED_LINES)


def _lines(tables: PeripheryTables) -> Iterator[Mistake]:
    """Each line is one thing; what is said of lines is said of lines in use."""
    taken: dict[str, str] = {}
    for key, line in (tables.outputs | tables.inputs).items():
        path = f"{ROOM}.{key}"
        if line in taken:
            yield Mistake(path, ConfigMistake.LINE_TWICE, {"line": line, "other": taken[line]})
        taken.setdefault(line, path)
        if len(line.encode()) > KERNELS_BYTES:
            yield Mistake(path, ConfigMistake.LINE_TOO_LONG, {"bytes": KERNELS_BYTES})
        if tables.gpio.chip is None:
            yield Mistake(path, ConfigMistake.NO_CHIP)
    for key, lines, known in (
        ("active_low", tables.gpio.active_low, taken),
        ("pull_up", tables.gpio.pull_up, dict.fromkeys(tables.inputs.values(), "")),
    ):
        for line in lines:
            if line not in known:
                yield Mistake(f"{ROOM}.gpio.{key}", ConfigMistake.LINE_UNUSED, {"line": line})


def _devices(tables: PeripheryTables) -> Iterator[Mistake]:
    """One device is one thing, by whatever name; so is the chip of the lines."""
    chip = tables.gpio.chip
    taken = {} if chip in (None, SIMULATED) else {Path(chip or "").resolve(): f"{ROOM}.gpio.chip"}
    for key, device in tables.devices.items():
        path, real = f"{ROOM}.{key}", device.resolve()
        if real in taken:
            yield Mistake(path, ConfigMistake.DEVICE_TWICE, {"device": str(device), "other": taken[real]})
        taken.setdefault(real, path)
    if tables.scanner.serial is not None and tables.scanner.hid is not None:
        yield Mistake(f"{ROOM}.scanner.hid", ConfigMistake.TWO_SCANNERS)


def _lacking(tables: PeripheryTables) -> Iterator[Mistake]:
    barrier = tables.barrier
    for key, contact in (("passed", barrier.passed), ("forced", barrier.forced)):
        if contact is not None and barrier.line is None:
            yield Mistake(f"{ROOM}.barrier.{key}", ConfigMistake.NO_BARRIER)
    if tables.lamps.buzzer_high is not None and tables.lamps.buzzer is None:
        yield Mistake(f"{ROOM}.lamps.buzzer_high", ConfigMistake.NO_BUZZER)
