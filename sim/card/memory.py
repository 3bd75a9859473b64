"""The card's committed memory as one immutable value.

Every command that changes it builds a new `Memory` and the card swaps one reference. So a power loss can only
find the state before or after, a clone shares everything, and comparing two cards is comparing two values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from cardproto.desfire.key_types import KeyType, parity_version
from sim.card.files import CardFile, TransactionMacFile, room
from sim.card.generation import GENERATIONS, Generation

PICC_AID: Final = bytes(3)
LONGEST_KEY_BYTES: Final = 24
APPLICATION_BYTES: Final = 128
ZERO_KEY: Final = bytes(16)

MASTER_KEY_CHANGEABLE: Final = 0x01
FREE_LISTING: Final = 0x02
FREE_CREATE: Final = 0x04
SETTINGS_CHANGEABLE: Final = 0x08
FACTORY_SETTINGS: Final = 0x0F


@dataclass(frozen=True, slots=True, repr=False)
class KeySlot:
    """One key and its version byte; 16 bytes, 24 for 3K3DES."""

    key: bytes
    version: int = 0
    type: KeyType = KeyType.AES

    @classmethod
    def sent(cls, key_type: KeyType, key: bytes, version: int) -> KeySlot:
        """A key as ChangeKey brings it: DES keys carry their version inside and `version` is not looked at."""
        return cls(key, version if key_type is KeyType.AES else parity_version(key), key_type)


@dataclass(frozen=True, slots=True, repr=False)
class DefaultKey:
    """What the keys of a new application are: 24 bytes, of which each kind takes as many as it needs."""

    material: bytes = bytes(LONGEST_KEY_BYTES)
    version: int = 0

    def slot(self, key_type: KeyType) -> KeySlot:
        return KeySlot(self.material[: key_type.key_bytes], self.version, key_type)


@dataclass(frozen=True, slots=True)
class KeySet:
    """A set of keys that is not the active one; only a finalised one may become so."""

    keys: tuple[KeySlot, ...]
    type: KeyType
    version: int
    finalized: bool


@dataclass(frozen=True, slots=True)
class StoredKeySets:
    """What an application with several key sets keeps beside its active keys. Sets are numbered from 1."""

    active_version: int
    count: int
    longest_bytes: int
    roll_settings: int
    others: Mapping[int, KeySet]


@dataclass(frozen=True, slots=True)
class Application:
    """An application, or the PICC level itself (AID 000000). `key_settings` is KS1, `iso_id` 0 none.

    `key_type` is the kind of all its keys; at the PICC level it follows the master key.
    """

    aid: bytes
    key_settings: int
    keys: tuple[KeySlot, ...]
    files: Mapping[int, CardFile]
    iso_file_ids: bool = False
    iso_id: int = 0
    df_name: bytes = b""
    key_type: KeyType = KeyType.AES
    key_sets: StoredKeySets | None = None

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
    """Everything that survives power loss. `ats` is what the card answers to RATS; `transaction_timer` 0 is off."""

    applications: Mapping[bytes, Application]
    ats: bytes
    format_disabled: bool = False
    random_uid: bool = False
    transaction_timer: int = 0
    default_key: DefaultKey = DefaultKey()
    proximity_key: KeySlot = KeySlot(ZERO_KEY)
    bytes_total: int = GENERATIONS["EV2"].memory_bytes

    def with_application(self, application: Application) -> Memory:
        """The memory with `application` added or replaced."""
        return replace(self, applications={**self.applications, application.aid: application})

    def without_application(self, aid: bytes) -> Memory:
        return replace(self, applications={a: app for a, app in self.applications.items() if a != aid})

    def free_bytes(self) -> int:
        """Room left by our simple model; a real card's figure differs by its bookkeeping."""
        used = 0
        for application in self.applications.values():
            if application.aid != PICC_AID:
                used += APPLICATION_BYTES + sum(map(room, application.files.values()))
        return self.bytes_total - used


def blank_memory(key_type: KeyType = KeyType.AES, generation: Generation = GENERATIONS["EV2"]) -> Memory:
    """An empty card with factory key settings and an all-zero master key.

    The factory delivers it as a DES key; our laboratory's cards have been changed to AES, the default here.
    """
    slot = KeySlot(bytes(key_type.key_bytes), 0, key_type)
    picc = Application(PICC_AID, FACTORY_SETTINGS, (slot,), {}, key_type=key_type)
    return Memory({PICC_AID: picc}, generation.ats, bytes_total=generation.memory_bytes)
