"""The twin that needs no hardware: software cards, readers, air time, faults, and a bridge into pcscd.

The names below are public, and docs/api.md says what is promised of them; each is imported when it is first used.
Fixtures for pytest are the module `sim.pytest_plugin`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sim.air import AirModel, VirtualClock
    from sim.card.other import HostileCard, NotDesfire
    from sim.card.port import SimCard
    from sim.card.virtual import VirtualCard
    from sim.faults import (
        FaultPlan,
        corrupt,
        delay,
        endless_frames,
        replace,
        silence,
        tear_after,
        tear_before,
    )
    from sim.image_file import ImageFault, load_card, save_card
    from sim.issuing import issue
    from sim.lab_keys import load_lab_keys
    from sim.profile import CardProfile, ProfileFault, load_profile, profile_names
    from sim.reader import SimConnection, SimReader
    from sim.recorder import ReplayCard, TranscriptWriter
    from sim.transcript import Transcript, TranscriptFault, load_transcript

__all__ = [
    "AirModel",
    "CardProfile",
    "FaultPlan",
    "HostileCard",
    "ImageFault",
    "NotDesfire",
    "ProfileFault",
    "ReplayCard",
    "SimCard",
    "SimConnection",
    "SimReader",
    "Transcript",
    "TranscriptFault",
    "TranscriptWriter",
    "VirtualCard",
    "VirtualClock",
    "corrupt",
    "delay",
    "endless_frames",
    "issue",
    "load_card",
    "load_lab_keys",
    "load_profile",
    "load_transcript",
    "profile_names",
    "replace",
    "save_card",
    "silence",
    "tear_after",
    "tear_before",
]

_HOMES: Final = {
    "air": (
        "AirModel",
        "VirtualClock",
    ),
    "card.other": (
        "HostileCard",
        "NotDesfire",
    ),
    "card.port": ("SimCard",),
    "card.virtual": ("VirtualCard",),
    "faults": (
        "FaultPlan",
        "corrupt",
        "delay",
        "endless_frames",
        "replace",
        "silence",
        "tear_after",
        "tear_before",
    ),
    "image_file": (
        "ImageFault",
        "load_card",
        "save_card",
    ),
    "issuing": ("issue",),
    "lab_keys": ("load_lab_keys",),
    "profile": (
        "CardProfile",
        "ProfileFault",
        "load_profile",
        "profile_names",
    ),
    "reader": (
        "SimConnection",
        "SimReader",
    ),
    "recorder": (
        "ReplayCard",
        "TranscriptWriter",
    ),
    "transcript": (
        "Transcript",
        "TranscriptFault",
        "load_transcript",
    ),
}
"""The module of each public name."""


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
