"""The tables [periphery.*] of `terminal.toml`: the devices around the reader, each with its line or its path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct, field

SIMULATED: Final = "sim"
"""A chip in memory, for a simulated reader."""

Line = Annotated[str, Meta(min_length=1, max_length=32)]
"""As the device tree names it; the kernel allows 32 bytes."""
ToneText = Annotated[str, Meta(pattern="^(low|high|pause):[1-9][0-9]{0,3}$")]
Tones = Annotated[tuple[ToneText, ...], Meta(max_length=16)]
Baud = Annotated[int, Meta(ge=1200, le=921600)]


class GpioTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The chip whose lines lamps, barrier and contacts are on."""

    chip: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="Character device of the chip (needs the extra gpio), or sim for lines in memory.",
            examples=["/dev/gpiochip0"],
        ),
    ] = None
    active_low: Annotated[
        tuple[Line, ...],
        Meta(description="Lines that are active when their voltage is low.", examples=[["tamper"]]),
    ] = ()
    pull_up: Annotated[
        tuple[Line, ...],
        Meta(description="Contacts that the chip pulls up while they are open.", examples=[["tamper"]]),
    ] = ()
    debounce_ms: Annotated[
        int, Meta(ge=0, le=1000, description="How long a contact must stand before it counts.")
    ] = 5


class LampsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Lamps and buzzer: what everybody near the terminal sees and hears of a tap."""

    ready: Annotated[
        Line | None, Meta(description="Line of the lamp that says: present a card.", examples=["lamp_ready"])
    ] = None
    accepted: Annotated[Line | None, Meta(description="Line of the green lamp.", examples=["lamp_green"])] = (
        None
    )
    attention: Annotated[
        Line | None, Meta(description="Line of the yellow lamp.", examples=["lamp_yellow"])
    ] = None
    refused: Annotated[Line | None, Meta(description="Line of the red lamp.", examples=["lamp_red"])] = None
    buzzer: Annotated[Line | None, Meta(description="Line of the buzzer.", examples=["buzzer"])] = None
    buzzer_high: Annotated[
        Line | None,
        Meta(
            description="Line of its higher tone. Unset: the buzzer has one tone only.",
            examples=["buzzer_high"],
        ),
    ] = None
    show_ms: Annotated[int, Meta(ge=200, le=10000, description="How long a lamp is lit for one result.")] = (
        1500
    )
    accepted_tones: Annotated[
        Tones,
        Meta(description="What green sounds like: low, high or pause, each with milliseconds."),
    ] = ("low:100", "high:150")
    attention_tones: Annotated[Tones, Meta(description="What yellow sounds like.")] = (
        "low:100",
        "pause:80",
        "low:100",
    )
    refused_tones: Annotated[Tones, Meta(description="What red sounds like.")] = ("low:600",)


class BarrierTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A gate or door that opens once for each tap that was paid or covered here."""

    line: Annotated[
        Line | None, Meta(description="Line that opens it while it is active.", examples=["gate_open"])
    ] = None
    open_ms: Annotated[int, Meta(ge=200, le=30000, description="After so long it closes, passed or not.")] = (
        4000
    )
    passed: Annotated[
        Line | None,
        Meta(
            description="Contact that says that a person has passed; the barrier closes then.",
            examples=["gate_passed"],
        ),
    ] = None
    forced: Annotated[
        Line | None,
        Meta(
            description="Contact that says that it stands open. Active while closed: an alarm.",
            examples=["gate_is_open"],
        ),
    ] = None


class PrinterTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A receipt printer that speaks ESC/POS."""

    device: Annotated[
        Path | None,
        Meta(
            description="Its serial line (needs the extra serial). Unset: nothing is printed.",
            examples=["/dev/validator/printer"],
        ),
    ] = None
    baud: Annotated[Baud, Meta(description="Speed of the line.")] = 115200
    columns: Annotated[int, Meta(ge=24, le=64, description="Characters in a line.")] = 32


class ScannerTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A scanner of codes: on a serial line, or a keyboard of its own."""

    serial: Annotated[
        Path | None,
        Meta(
            description="Its serial line (needs the extra serial); each code ends with CR or LF.",
            examples=["/dev/validator/qr"],
        ),
    ] = None
    baud: Annotated[Baud, Meta(description="Speed of the serial line.")] = 9600
    hid: Annotated[
        Path | None,
        Meta(
            description="Its input device (needs the extra hid), which no other program reads then.",
            examples=["/dev/input/by-id/usb-scanner-event-kbd"],
        ),
    ] = None


class PowerTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Contacts that say how it stands with supply and housing."""

    failing: Annotated[
        Line | None,
        Meta(
            description="Active while the supply fails: no tap begins, the running one ends within 300 ms.",
            examples=["power_fail"],
        ),
    ] = None
    tamper: Annotated[
        Line | None,
        Meta(
            description="Active when the housing is opened, also at the start: the journal's key is wiped, for good.",
            examples=["tamper"],
        ),
    ] = None


class PeripheryTables(Struct, frozen=True, forbid_unknown_fields=True):
    """Every device around the reader."""

    gpio: GpioTable = field(default_factory=GpioTable)
    lamps: LampsTable = field(default_factory=LampsTable)
    barrier: BarrierTable = field(default_factory=BarrierTable)
    printer: PrinterTable = field(default_factory=PrinterTable)
    scanner: ScannerTable = field(default_factory=ScannerTable)
    power: PowerTable = field(default_factory=PowerTable)

    @property
    def outputs(self) -> dict[str, str]:
        """The lines that are driven, by the key that names each."""
        lamps = {
            f"lamps.{key}": getattr(self.lamps, key)
            for key in ("ready", "accepted", "attention", "refused", "buzzer", "buzzer_high")
        }
        return _named(lamps | {"barrier.line": self.barrier.line})

    @property
    def inputs(self) -> dict[str, str]:
        """The lines that are read, by the key that names each."""
        barrier = {"barrier.passed": self.barrier.passed, "barrier.forced": self.barrier.forced}
        return _named(barrier | {"power.failing": self.power.failing, "power.tamper": self.power.tamper})

    @property
    def devices(self) -> dict[str, Path]:
        """The devices with a path of their own, by the key that names each."""
        paths = {
            "printer.device": self.printer.device,
            "scanner.serial": self.scanner.serial,
            "scanner.hid": self.scanner.hid,
        }
        return {key: path for key, path in paths.items() if path is not None}

    @property
    def named(self) -> bool:
        """Whether any device is."""
        return bool(self.outputs or self.inputs or self.devices)


def _named(lines: dict[str, str | None]) -> dict[str, str]:
    return {key: line for key, line in lines.items() if line is not None}
