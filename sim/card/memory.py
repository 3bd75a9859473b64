"""The card's committed memory as one immutable value.

Every command that changes it builds a new `Memory` and the card swaps one reference. So a power loss can only
find the state before or after, a clone shares everything, and comparing two cards is comparing two values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sim.card.files import CardFile, TransactionMacFile, room

PICC_AID: Final = bytes(3)
KEY_TYPE_AES: Final = 0x80
MEMORY_BYTES: Final = 8192
APPLICATION_BYTES: Final = 128
ZERO_KEY: Final = bytes(16)

MASTER_KEY_CHANGEABLE: Final = 0x01
FREE_LISTING: Final = 0x02
FREE_CREATE: Final = 0x04
SETTINGS_CHANGEABLE: Final = 0x08
FACTORY_SETTINGS: Final = 0x0F


@dataclass(frozen=True, slots=True, repr=False)
class KeySlot:
    """One AES-128 key and its version byte."""

    key: bytes
    version: int = 0


@dataclass(frozen=True, slots=True)
class Application:
    """An application, or the PICC level itself (AID 000000). `key_settings` is KS1, `iso_id` 0 none."""

    aid: bytes
    key_settings: int
    keys: tuple[KeySlot, ...]
    files: Mapping[int, CardFile]
    iso_file_ids: bool = False
    iso_id: int = 0
    df_name: bytes = b""

    @property
    def transaction_mac(self) -> TransactionMacFile | None:
        """The application's transaction MAC file, if it has one."""
        for file in self.files.values():
            if isinstance(file, TransactionMacFile):
                return file
        return None

    def with_file(self, file: CardFile) -> Application:
        """The application with `file` added or replaced."""
        return replace(self, files={**self.files, file.head.number: file})

    def without_file(self, number: int) -> Application:
        return replace(self, files={n: file for n, file in self.files.items() if n != number})

    def with_key(self, number: int, slot: KeySlot) -> Application:
        return replace(self, keys=(*self.keys[:number], slot, *self.keys[number + 1 :]))


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything that survives power loss. `ats` is what the card answers to RATS."""

    applications: Mapping[bytes, Application]
    ats: bytes
    format_disabled: bool = False
    random_uid: bool = False
    default_key: KeySlot = KeySlot(ZERO_KEY)

    def with_application(self, application: Application) -> Memory:
        """The memory with `application` added or replaced."""
        return replace(self, applications={**self.applications, application.aid: application})

    def without_application(self, aid: bytes) -> Memory:
        return replace(self, applications={a: app for a, app in self.applications.items() if a != aid})

    def free_bytes(self) -> int:
        """Room left by our simple model of an 8 KB card; a real card's figure differs by its bookkeeping."""
        used = 0
        for application in self.applications.values():
            if application.aid != PICC_AID:
                used += APPLICATION_BYTES + sum(map(room, application.files.values()))
        return MEMORY_BYTES - used


def blank_memory() -> Memory:
    """A card as our laboratory buys it: empty, PICC master key AES and all zero, factory key settings."""
    picc = Application(PICC_AID, FACTORY_SETTINGS, (KeySlot(ZERO_KEY),), {})
    return Memory({PICC_AID: picc}, ats=bytes.fromhex("067577810280"))
