"""The media a terminal takes, by the names of its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cardproto.credential.keys import IssuerKeys
from terminal.app.sealed import signed_issuers_file
from terminal.app.simulated import laboratory_issuers
from terminal.app.station import Station
from terminal.errors import ConfigError
from terminal.keys.file import load_issuers
from terminal.media.port import Medium, MediumSetup
from terminal.media.resident import RESIDENT
from terminal.media.resident.credential import CredentialCheck, VerifyCredential
from terminal.media.resident.medium import ResidentMedium
from terminal.messages import register

if TYPE_CHECKING:
    from terminal.app.extensions import ExtensionLoader

MediumFactory = Callable[[Station, MediumSetup], Medium]


def resident_medium(station: Station, setup: MediumSetup) -> ResidentMedium:
    """Resident cards as `station` takes them; raises `KeyFileError`."""
    signed = signed_issuers_file(station.state) if station.bundles else None
    check = credential_check(station.verify, station.issuers, setup.region, signed)
    return ResidentMedium(setup, check, proof=station.proof)


FACTORIES: Final[Mapping[str, MediumFactory]] = MappingProxyType({RESIDENT: resident_medium})


def media_of(
    station: Station, setup: MediumSetup, extensions: ExtensionLoader | None = None
) -> tuple[Medium, ...]:
    """What `station` takes, in order, with the messages of each registered; `extensions` bring what is not ours.

    Raises `ConfigError` for no name, one unknown or one named twice, and for an extension that cannot be used;
    `TerminalError` for messages that clash, and what a factory raises.
    """
    names = station.media
    if not names or len(set(names)) != len(names):
        raise ConfigError(
            f"the media {', '.join(names) or '(none)'} are not a list of different ones",
            "Name each under [media] in terminal.toml once, and at least one.",
        )
    return tuple(_medium(name, station, setup, extensions) for name in names)


def _medium(name: str, station: Station, setup: MediumSetup, extensions: ExtensionLoader | None) -> Medium:
    if name in FACTORIES:
        medium = FACTORIES[name](station, setup)
        register(name, medium.messages)
        return medium
    if extensions is None:
        known = ", ".join(FACTORIES)
        raise ConfigError(f"the media name {name}, which is unknown here", f"Known are: {known}.")
    return extensions.medium(name, setup)


def credential_check(
    verify: VerifyCredential, issuers: Path | None, region: int, signed: Path | None = None
) -> CredentialCheck:
    """When signed grants are verified and whom they must come from: of `issuers`, else of those that bundles brought
    (`signed`; until they do, of none). Raises `KeyFileError`.
    """
    if issuers is not None:
        return CredentialCheck(verify, load_issuers(issuers))
    if signed is not None:
        return CredentialCheck(verify, load_issuers(signed) if signed.exists() else IssuerKeys(()))
    if verify is VerifyCredential.NEVER:
        return CredentialCheck.never()
    return CredentialCheck(verify, laboratory_issuers(region))


def credential_checks(media: Iterable[Medium]) -> tuple[CredentialCheck, ...]:
    """Of the media that believe an issuer's grants."""
    return tuple(medium.credentials for medium in media if isinstance(medium, ResidentMedium))
