"""Card image files: a whole software card in one readable JSON file, to keep, to compare and to hand on.

    {"format": "resident-card-image", "version": 5, "environment": "laboratory",
     "card": {"uid": …, "generation": …, "memory": {…}, "bank": {…}, "phone": {…}}, "check": SHA-256 over "card"}

`generation` and `memory` are the DESFire's, `bank` is the bank application, `phone` what a phone holds instead of both;
null where there is none. Version 3, which knew no bank application, and version 4 without phones are still read.

The file holds the card's keys, because a card that cannot authenticate is no card; so it is for laboratory cards
only, and says so. `check` finds damage, not forgery. To change a card on purpose, use `sim card set`.

Frozen dataclasses become JSON values and come back exactly: bytes as hexadecimal, dataclasses with the name that
`KINDS` gives them, so that renaming a class changes no file.
Only what a card's memory is made of; anything else is a defect of ours and raises `TypeError`. Reading checks
every type and refuses unknown and missing keys with `ValueError`, naming the place."""

from __future__ import annotations

import hashlib
import json
import os
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from sim.card.files import AccessMasks, DataFile, FileHeader, RecordFile, TransactionMacFile, ValueFile
from sim.card.memory import Application, DefaultKey, KeySet, KeySlot, Memory, StoredKeySets
from sim.card.virtual import VirtualCard
from sim.emv.card import DualCard, VirtualBankCard
from sim.emv.memory import ChipApplication, ChipMemory, ChipWallet, check_chip
from sim.phone import PhoneMemory, VirtualPhone

FORMAT: Final = "resident-card-image"
VERSION: Final = 5
_LATER_PARTS: Final[Mapping[int, Mapping[str, None]]] = types.MappingProxyType(
    {3: {"bank": None, "phone": None}, 4: {"phone": None}, VERSION: {}}
)
"""Versions that are read, and what each did not know yet."""
LABORATORY: Final = "laboratory"
MOST_BYTES: Final = 4 << 20
"""Of an image file: some hundred times a card of 8 kB."""
NEW_ONE: Final = "Make a new one with `sim card new`."


StoredCard: TypeAlias = VirtualCard | VirtualBankCard | VirtualPhone
"""What an image file can hold."""


class ImageFault(ValueError):
    """A card image file that cannot be used: `what` is wrong and `advice` what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}. {advice}")
        self.what = what
        self.advice = advice


def is_image(name: str) -> bool:
    """Whether a profile's name is rather that of a card image file."""
    return name.endswith(".json")


def save_card(card: StoredCard, path: Path) -> None:
    """Write `card` to `path`, whole or not at all, readable by its owner only. Raises `ImageFault`."""
    content = _card_content(card)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "environment": LABORATORY,
        "card": content,
        "check": _check(content),
    }
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.unlink(missing_ok=True)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise ImageFault(
            f"{path} cannot be written ({error.strerror})", "Check the folder and its rights."
        ) from error


def own_file(path: str, flags: int) -> int:
    """For `open(…, opener=own_file)`: readable by its owner only, and no link is followed to another file."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def load_card(path: Path, rng: Callable[[int], bytes]) -> VirtualCard:
    """The DESFire in `path`, a bank application beside it or not. Raises `ImageFault`, also for a bank's card."""
    card = load_image(path, rng)
    if isinstance(card, VirtualBankCard):
        raise ImageFault(
            f"{path} is a bank card: there is no resident application", "Use `sim card emv` for bank cards."
        )
    if isinstance(card, VirtualPhone):
        raise ImageFault(f"{path} is a phone: there is no resident application", "Name a card's file.")
    return card


def load_image(path: Path, rng: Callable[[int], bytes]) -> StoredCard:
    """The card in `path`, of any kind; `rng` is its source of random numbers from now on. Raises `ImageFault`."""
    content = _content(path)
    try:
        return _card(content, rng)
    except (KeyError, TypeError, ValueError) as error:
        raise ImageFault(f"{path} describes no card: {error}", NEW_ONE) from error


def _card_content(card: StoredCard) -> dict[str, Any]:
    desfire = card if isinstance(card, VirtualCard) else None
    bank = card if isinstance(card, DualCard | VirtualBankCard) else None
    return {
        "uid": card.uid.hex().upper(),
        "generation": None if desfire is None else desfire.generation,
        "memory": None if desfire is None else to_plain(desfire.memory),
        "bank": None if bank is None else to_plain(bank.chip_memory),
        "phone": to_plain(card.memory) if isinstance(card, VirtualPhone) else None,
    }


def _card(content: dict[str, Any], rng: Callable[[int], bytes]) -> StoredCard:
    uid, bank = bytes.fromhex(content["uid"]), content["bank"]
    if content["phone"] is not None:
        return VirtualPhone(uid, rng, from_plain(content["phone"], PhoneMemory, "phone"))
    chip = None if bank is None else from_plain(bank, ChipMemory, "bank")
    if chip is not None:
        check_chip(chip)
    if content["memory"] is None and chip is not None:
        return VirtualBankCard(uid, rng, chip)
    memory, generation = from_plain(content["memory"], Memory, "memory"), content["generation"]
    if chip is not None:
        return DualCard(uid, rng, chip, generation=generation, memory=memory)
    return VirtualCard(uid, rng, generation=generation, memory=memory)


def _content(path: Path) -> dict[str, Any]:
    text = _bounded(path)
    try:
        document = json.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ImageFault(f"{path} cannot be read ({error})", "Check the file and its rights.") from error
    except (ValueError, RecursionError) as error:  # also a number or a nesting that no card has
        raise ImageFault(f"{path} is damaged: {error}", NEW_ONE) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ImageFault(f"{path} is no card image", NEW_ONE)
    version = document.get("version")
    if type(version) is not int or version not in _LATER_PARTS:
        known = ", ".join(map(str, _LATER_PARTS))
        raise ImageFault(f"{path} has version {version!r}, this software reads {known}", NEW_ONE)
    if document.get("environment") != LABORATORY:
        raise ImageFault(
            f"{path} is not marked as a laboratory card", "Only laboratory cards are kept in files."
        )
    card = document.get("card")
    if not isinstance(card, dict) or not _is_whole(card, document.get("check")):
        raise ImageFault(f"{path} is damaged: its content does not match its check", NEW_ONE)
    return {**card, **_LATER_PARTS[version]}


def _bounded(path: Path) -> bytes:
    """All of a plain file. No pipe is waited for and no device is read, which may have no end. Raises `ImageFault`."""
    try:
        content = _beginning(path)
    except FileNotFoundError as error:
        raise ImageFault(f"there is no file {path}", NEW_ONE) from error
    except (OSError, ValueError) as error:  # what is no name of a file at all is a ValueError
        raise ImageFault(f"{path} cannot be read ({error})", "Check the file and its rights.") from error
    if content is None or len(content) > MOST_BYTES:
        what = "no plain file" if content is None else "larger than any card"
        raise ImageFault(f"{path} is {what}", "It is no card image: check the name.")
    return content


def _beginning(path: Path) -> bytes | None:
    """A byte more than an image may have; None of what is no plain file."""
    if path.exists() and not path.is_file():
        return None
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _is_whole(content: dict[str, Any], check: object) -> bool:
    try:
        return check == _check(content)
    except RecursionError:  # what Python reads may still be nested too deep for it to write
        return False


def _check(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


KIND: Final = "is"
KINDS: Final[Mapping[type, str]] = types.MappingProxyType(
    {
        Memory: "memory",
        Application: "application",
        KeySlot: "key",
        KeySet: "key_set",
        StoredKeySets: "key_sets",
        DefaultKey: "default_key",
        FileHeader: "header",
        AccessMasks: "access",
        DataFile: "data_file",
        ValueFile: "value_file",
        RecordFile: "record_file",
        TransactionMacFile: "transaction_mac_file",
        ChipMemory: "chip",
        ChipWallet: "wallet",
        ChipApplication: "bank_application",
        PhoneMemory: "phone",
    }
)
"""What a card's memory is made of, as files name it."""


def to_plain(value: Any) -> Any:
    """`value` as dicts, lists, strings, integers and booleans."""
    kind = KINDS.get(type(value))
    if kind is not None:
        return {KIND: kind} | {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    match value:
        case Enum():
            return value.name
        case None | bool() | int() | str():
            return value
        case bytes():
            return value.hex().upper()
        case tuple():
            return [to_plain(item) for item in value]
        case Mapping():
            return {_key(key): to_plain(item) for key, item in value.items()}
        case _:
            raise TypeError(f"{type(value).__name__} is not part of a card")


def from_plain(plain: Any, wanted: Any, where: str) -> Any:
    """The value of type `wanted` that `to_plain` wrote; raises `ValueError` starting with the place in `where`."""
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return _one_of(plain, typing.get_args(wanted), where)
    if origin is tuple:
        item, _ = typing.get_args(wanted)
        return tuple(from_plain(p, item, f"{where}[{i}]") for i, p in enumerate(_expect(plain, list, where)))
    if origin is not None:
        key, item = typing.get_args(wanted)
        pairs = _expect(plain, dict, where).items()
        return {_unkey(k, key, where): from_plain(p, item, f"{where}.{k}") for k, p in pairs}
    if is_dataclass(wanted):
        return _record(plain, wanted, where)
    return _scalar(plain, wanted, where)


def _one_of(plain: Any, choices: tuple[Any, ...], where: str) -> Any:
    if plain is None and types.NoneType in choices:
        return None
    choices = tuple(choice for choice in choices if choice is not types.NoneType)
    if len(choices) == 1:
        return from_plain(plain, choices[0], where)
    name = _expect(plain, dict, where).get(KIND)
    for choice in choices:
        if KINDS[choice] == name:
            return from_plain(plain, choice, where)
    raise ValueError(f"{where}: {name!r} is none of {', '.join(KINDS[choice] for choice in choices)}")


def _record(plain: Any, wanted: Any, where: str) -> Any:
    hints = _hints(wanted)
    given = dict(_expect(plain, dict, where))
    if given.pop(KIND, KINDS[wanted]) != KINDS[wanted]:
        raise ValueError(f"{where}: is no {KINDS[wanted]}")
    if given.keys() != hints.keys():
        odd = ", ".join(sorted(given.keys() ^ hints.keys()))
        raise ValueError(f"{where}: unknown or missing: {odd}")
    return wanted(**{name: from_plain(given[name], hint, f"{where}.{name}") for name, hint in hints.items()})


@cache
def _hints(wanted: type) -> dict[str, Any]:
    hints = typing.get_type_hints(wanted)
    return {f.name: hints[f.name] for f in fields(wanted)}


def _scalar(plain: Any, wanted: Any, where: str) -> Any:
    if wanted is bytes:
        return _bytes(plain, where)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        if plain not in wanted.__members__:
            raise ValueError(f"{where}: {plain!r} is none of {', '.join(wanted.__members__)}")
        return wanted[plain]
    return _expect(plain, wanted, where)


def _bytes(plain: Any, where: str) -> bytes:
    try:
        return bytes.fromhex(_expect(plain, str, where))
    except ValueError as error:
        raise ValueError(f"{where}: not hexadecimal") from error


def _expect(plain: Any, wanted: type, where: str) -> Any:
    if type(plain) is not wanted:
        raise ValueError(f"{where}: a {wanted.__name__} belongs here, not {type(plain).__name__}")
    return plain


def _key(key: Any) -> str:
    return key.hex().upper() if isinstance(key, bytes) else str(key)


def _unkey(key: str, wanted: Any, where: str) -> Any:
    if wanted is bytes:
        return _bytes(key, where)
    if not key.isdecimal():
        raise ValueError(f"{where}: {key!r} is no number")
    return int(key)
