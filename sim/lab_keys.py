"""The laboratory's master keys, from a file that says of itself that it is nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cardproto.resident.keyset import MasterKeys
from cardproto.resident.layout import KEY_VERSION, SPARE_KEY_SETS
from sim.profile import LAB_KEYS, ProfileFault, read_toml

LABORATORY: Final = "laboratory"
FORM: Final = "resident-laboratory-keys-1"
ONE_GENERATION: Final = ("picc", "transaction_mac")
BY_GENERATION: Final = ("application", "validate", "reload", "inspect", "entitle", "order", "roll")
NEWEST_VERSION: Final = 255
_FORM: Final = "Write it as 32 hexadecimal digits under [masters]."
_FORM_BY_VERSION: Final = (
    "Write it as a table of keys by version under [masters]: a card takes three generations."
)


def load_lab_keys(path: Path = LAB_KEYS) -> MasterKeys:
    """The nine master keys of the generation that cards are issued with, and the generations for their spare key sets.

    Raises `ProfileFault`, which never quotes a key, also for a production file.
    """
    tables = read_toml(path)
    if tables.get("environment") != LABORATORY:
        raise ProfileFault(
            f'{path} is not marked environment = "{LABORATORY}"', "The simulator takes laboratory keys only."
        )
    if tables.get("form") != FORM:
        raise ProfileFault(
            f"{path} is not of the form {FORM}", "Take lab_keys.toml of this version as the pattern."
        )
    masters = tables.get("masters")
    if not isinstance(masters, dict):
        raise ProfileFault(f"{path} has no table [masters]", "Add it with the nine keys.")
    first = _first_version(path, tables.get("key_version", KEY_VERSION))
    spare = [_generation(path, masters, first + step) for step in range(1, 1 + SPARE_KEY_SETS)]
    return _generation(path, masters, first, tuple(spare))


def _first_version(path: Path, value: object) -> int:
    if type(value) is not int or not 0 <= value <= NEWEST_VERSION - SPARE_KEY_SETS:
        raise ProfileFault(
            f"{path}: key_version is no version of a key", f"Write 0 to {NEWEST_VERSION - SPARE_KEY_SETS}."
        )
    return value


def _generation(
    path: Path, masters: dict[str, object], version: int, spare: tuple[MasterKeys, ...] = ()
) -> MasterKeys:
    keys = {name: _key(path, f"masters.{name}", masters.get(name), _FORM) for name in ONE_GENERATION}
    for name in BY_GENERATION:
        by_version = masters.get(name)
        value = by_version.get(str(version)) if isinstance(by_version, dict) else None
        keys[name] = _key(path, f"masters.{name}.{version}", value, _FORM_BY_VERSION)
    return MasterKeys(**keys, version=version, spare=spare)


def _key(path: Path, name: str, value: object, form: str) -> bytes:
    if not isinstance(value, str):
        raise ProfileFault(f"{path}: {name} is missing", form)
    try:
        key = bytes.fromhex(value)
    except ValueError:
        raise ProfileFault(f"{path}: {name} is not hexadecimal", form) from None
    if len(key) != 16:
        raise ProfileFault(f"{path}: {name} is {len(key)} bytes long", form)
    return key
