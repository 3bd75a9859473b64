"""What installed packages offer this terminal, by Python's entry points; looked up and never loaded here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from terminal.devices import ExtensionRole, said_of
from terminal.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

GROUPS: Final = {
    ExtensionRole.MEDIUM: "resident_card_terminal.media",
    ExtensionRole.READER: "resident_card_terminal.readers",
    ExtensionRole.SIGNAL: "resident_card_terminal.signals",
    ExtensionRole.VEHICLE_SOURCE: "resident_card_terminal.vehicle_sources",
}
KEYS: Final = {
    ExtensionRole.MEDIUM: "media.order",
    ExtensionRole.READER: "reader.name",
    ExtensionRole.SIGNAL: "signals.names",
    ExtensionRole.VEHICLE_SOURCE: "vehicle.source",
}
"""Where `terminal.toml` names each kind."""


def require_installed(role: ExtensionRole, name: str) -> EntryPoint:
    """The one entry point of that name, not loaded; raises `ConfigError` when there is none, or more than one."""
    offered = _offered(GROUPS[role])
    found = [point for point in offered if point.name == name]
    said = f"{role.replace('_', ' ')} {name!r}"
    if not found:
        here = sorted({point.name for point in offered})
        others = f" Installed are: {', '.join(here)}." if here else ""
        raise ConfigError(
            f"no installed package brings the {said}",
            f"Install it into this environment, or correct {KEYS[role]} in terminal.toml.{others}",
        )
    if len(found) > 1:
        packages = ", ".join(sorted(installed_as(point)[0] for point in found))
        raise ConfigError(f"more than one package brings the {said}: {packages}", "Uninstall all but one.")
    return found[0]


def _offered(group: str) -> list[EntryPoint]:
    from importlib.metadata import entry_points  # 30 ms that only a terminal with extensions needs

    try:
        return list(entry_points(group=group))
    except Exception as error:
        raise ConfigError(
            f"the entry points of the installed packages cannot be read ({said_of(error)})",
            "Look for an entry_points.txt that is damaged, and install its package again.",
        ) from error


def installed_as(point: EntryPoint) -> tuple[str, str]:
    """Name and version of its package; raises `ConfigError` for one whose METADATA does not say."""
    metadata = distribution_of(point).metadata
    name, version = metadata["Name"], metadata["Version"]
    if not name or not version:
        raise ConfigError(
            f"the package that brings {point.name!r} as {point.value} has no name and version (METADATA)",
            "Install it as a wheel: pip install PACKAGE.",
        )
    return name, version


def distribution_of(point: EntryPoint) -> Distribution:
    """The installed package it belongs to."""
    assert point.dist is not None, "entry points of installed packages know their package"
    return point.dist
