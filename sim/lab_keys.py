"""The laboratory's master keys, from a file that says of itself that it is nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cardproto.resident.keyset import MasterKeys
from sim.profile import LAB_KEYS, ProfileFault, read_toml

LABORATORY: Final = "laboratory"
MASTER_NAMES: Final = ("picc", "application", "validate", "reload", "inspect", "entitle", "transaction_mac")
VERSIONS: Final = tuple(str(version) for version in range(256))
_FORM: Final = "Write it as 32 hexadecimal digits under [masters], or as a table of such by version."


def load_lab_keys(path: Path = LAB_KEYS) -> MasterKeys:
    """The seven master keys, each of its newest version.

    Raises `ProfileFault`, which never quotes a key, also for a production file.
    """
    tables = read_toml(path)
    if tables.get("environment") != LABORATORY:
        raise ProfileFault(
            f'{path} is not marked environment = "{LABORATORY}"', "The simulator takes laboratory keys only."
        )
    masters = tables.get("masters")
    if not isinstance(masters, dict):
        raise ProfileFault(f"{path} has no table [masters]", "Add it with the seven keys.")
    return MasterKeys(**{name: _key(path, name, masters.get(name)) for name in MASTER_NAMES})


def _key(path: Path, name: str, value: object) -> bytes:
    if isinstance(value, dict):
        value = value.get(max((number for number in VERSIONS if number in value), key=int, default=""))
    if not isinstance(value, str):
        raise ProfileFault(f"{path}: masters.{name} is missing", _FORM)
    try:
        key = bytes.fromhex(value)
    except ValueError:
        raise ProfileFault(f"{path}: masters.{name} is not hexadecimal", _FORM) from None
    if len(key) != 16:
        raise ProfileFault(f"{path}: masters.{name} is {len(key)} bytes long", _FORM)
    return key
