"""The two Debian packages: what each is called, needs and holds, and where its files lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from release.source import ROOT
from setup_env import DEBS

PARTS: Final = ROOT / "packaging"
UNITS: Final = "usr/lib/systemd/system"
EXECUTABLE: Final = 0o755
PLAIN: Final = 0o644


class DebPackage(Struct, frozen=True):
    """One package. `files` gives, by place in the installed system, the source below `packaging` and its mode."""

    name: str
    part: str
    summary: str
    description: tuple[str, ...]
    needs: tuple[str, ...]
    recommends: tuple[str, ...]
    suggests: tuple[str, ...]
    files: Mapping[str, tuple[str, int]]
    conffiles: tuple[str, ...]

    @property
    def lock_file(self) -> Path:
        return DEBS[self.part][0]

    @property
    def scripts(self) -> Path:
        """The folder of its maintainer scripts."""
        return PARTS / "deb" / self.part

    @property
    def home(self) -> str:
        """Its environment, relative to the root of the system."""
        return f"usr/lib/{self.name}"


def _units(*names: str) -> dict[str, tuple[str, int]]:
    return {f"{UNITS}/{name}": (f"systemd/{name}", PLAIN) for name in names}


TERMINAL: Final = DebPackage(
    name="resident-terminal",
    part="terminal",
    summary="card terminal for regional resident cards",
    description=(
        "The validator in a bus and the till in a school canteen: reads resident cards",
        "through PC/SC, decides offline, keeps a journal that survives power cuts and",
        "sends it to a collector. With its own Python environment, units, udev rules",
        "and a kiosk for the passenger display.",
    ),
    needs=("libpcsclite1", "pcscd", "polkitd", "systemd", "udev"),
    recommends=("libccid",),
    suggests=("cage", "chromium", "gpsd", "xwayland"),
    files={
        **_units(
            "terminal@.service",
            "terminal-setup@.service",
            "terminal-advice@.service",
            "terminal-backup@.service",
            "terminal-backup@.timer",
            "terminal-kiosk.service",
            "run-validator-stick.mount",
        ),
        "usr/bin/resident-terminal": ("deb/terminal/resident-terminal", EXECUTABLE),
        "usr/lib/resident-terminal/start": ("deb/terminal/start", EXECUTABLE),
        "usr/lib/resident-terminal/advice": ("deb/terminal/advice", EXECUTABLE),
        "usr/lib/sysusers.d/resident-terminal.conf": ("deb/terminal/sysusers.conf", PLAIN),
        "usr/lib/udev/rules.d/70-resident-terminal.rules": ("deb/terminal/udev.rules", PLAIN),
        "usr/share/polkit-1/rules.d/10-resident-terminal.rules": ("deb/terminal/polkit.rules", PLAIN),
    },
    conffiles=("etc/resident-terminal/terminal.toml",),
)

COLLECTOR: Final = DebPackage(
    name="resident-collector",
    part="collector",
    summary="collector of resident card terminals",
    description=(
        "Receives the records of resident card terminals, acknowledges what it holds",
        "durably, keeps the books and raises alarms; one machine on SQLite, or a fleet",
        "on NATS JetStream and PostgreSQL.",
    ),
    needs=("systemd",),
    recommends=(),
    suggests=("postgresql",),
    files={
        **_units("collector.service", "collector-bank.service", "collector-bank.timer"),
        "usr/bin/resident-collector": ("deb/collector/resident-collector", EXECUTABLE),
        "usr/lib/sysusers.d/resident-collector.conf": ("deb/collector/sysusers.conf", PLAIN),
        "etc/resident-collector/collector.conf": ("deb/collector/collector.conf", PLAIN),
        "etc/resident-collector/bank.conf": ("deb/collector/bank.conf", PLAIN),
    },
    conffiles=("etc/resident-collector/bank.conf", "etc/resident-collector/collector.conf"),
)

PACKAGES: Final = {package.part: package for package in (TERMINAL, COLLECTOR)}
