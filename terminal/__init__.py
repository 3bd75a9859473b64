"""One validator or canteen terminal. Read `terminal.tap` first.

The names below are public, and docs/api.md says what is promised of them; each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from terminal.app.compose import open_terminal
    from terminal.app.extensions import ExtensionSetup
    from terminal.app.station import Station, journal_reader
    from terminal.clock import Clock, SystemClock
    from terminal.codes import Admission
    from terminal.decision.outcome import Decision, Message, Outcome, WritePlan
    from terminal.errors import (
        ConfigError,
        JournalError,
        KeyFileError,
        ReaderError,
        RegionDocumentError,
        TerminalError,
    )
    from terminal.journal.reader import JournalReader
    from terminal.journal.taps import End
    from terminal.keys.provider import KeyProvider
    from terminal.media.port import (
        LastTap,
        Medium,
        MediumSetup,
        MediumWriter,
        PlannedWrite,
        Presented,
        UnsupportedCard,
        WriteDone,
        WriteNotDone,
        WriteResult,
        WriteUnknown,
    )
    from terminal.messages import Colour, MediumMessage, colour, text
    from terminal.policy.load import load_region
    from terminal.policy.policy import Policy
    from terminal.reader.port import ReaderPort
    from terminal.signals import Signal
    from terminal.tap import Terminal, take_tap
    from terminal.tap_report import TapReport
    from terminal.trail import Effect, Reason
    from terminal.trip.build import VehicleSource
    from terminal.trip.facts import Place, PlaceSource, Spot, Trip
    from terminal.trip.shifts import open_shift

__all__ = [
    "Admission",
    "Clock",
    "Colour",
    "ConfigError",
    "Decision",
    "Effect",
    "End",
    "ExtensionSetup",
    "JournalError",
    "JournalReader",
    "KeyFileError",
    "KeyProvider",
    "LastTap",
    "Medium",
    "MediumMessage",
    "MediumSetup",
    "MediumWriter",
    "Message",
    "Outcome",
    "Place",
    "PlaceSource",
    "PlannedWrite",
    "Policy",
    "Presented",
    "ReaderError",
    "ReaderPort",
    "Reason",
    "RegionDocumentError",
    "Signal",
    "Spot",
    "Station",
    "SystemClock",
    "TapReport",
    "Terminal",
    "TerminalError",
    "Trip",
    "UnsupportedCard",
    "VehicleSource",
    "WriteDone",
    "WriteNotDone",
    "WritePlan",
    "WriteResult",
    "WriteUnknown",
    "colour",
    "journal_reader",
    "load_region",
    "open_shift",
    "open_terminal",
    "take_tap",
    "text",
]

_HOMES: Final = {
    "app.compose": ("open_terminal",),
    "app.extensions": ("ExtensionSetup",),
    "app.station": (
        "Station",
        "journal_reader",
    ),
    "clock": (
        "Clock",
        "SystemClock",
    ),
    "codes": ("Admission",),
    "decision.outcome": (
        "Decision",
        "Message",
        "Outcome",
        "WritePlan",
    ),
    "errors": (
        "ConfigError",
        "JournalError",
        "KeyFileError",
        "ReaderError",
        "RegionDocumentError",
        "TerminalError",
    ),
    "journal.reader": ("JournalReader",),
    "journal.taps": ("End",),
    "keys.provider": ("KeyProvider",),
    "media.port": (
        "LastTap",
        "Medium",
        "MediumSetup",
        "MediumWriter",
        "PlannedWrite",
        "Presented",
        "UnsupportedCard",
        "WriteDone",
        "WriteNotDone",
        "WriteResult",
        "WriteUnknown",
    ),
    "messages": (
        "Colour",
        "MediumMessage",
        "colour",
        "text",
    ),
    "policy.load": ("load_region",),
    "policy.policy": ("Policy",),
    "reader.port": ("ReaderPort",),
    "signals": ("Signal",),
    "tap": (
        "Terminal",
        "take_tap",
    ),
    "tap_report": ("TapReport",),
    "trail": (
        "Effect",
        "Reason",
    ),
    "trip.build": ("VehicleSource",),
    "trip.facts": (
        "Place",
        "PlaceSource",
        "Spot",
        "Trip",
    ),
    "trip.shifts": ("open_shift",),
}
"""The module of each public name."""


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
