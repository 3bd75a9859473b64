"""What ChangeKey and ChangeKeyEV2 carry for a new key, and the key sets of EV2 and EV3: prepare a whole set of
new keys, then make it the active one at a stroke.

`(?)` public sources name commands and parameters only; see the software card's side for what is assumed.
"""

from __future__ import annotations

from cardproto.desfire.commands import (
    INS_CHANGE_KEY_EV2,
    INS_FINALIZE_KEY_SET,
    INS_GET_KEY_VERSION,
    INS_INITIALIZE_KEY_SET,
    INS_ROLL_KEY_SET,
)
from cardproto.desfire.key_types import KeyType, with_parity_version
from cardproto.desfire.secure import SecureConversation
from cardproto.errors import NotAuthenticated

IN_KEY_SET = 0x40
"""Added to a key number when a key set's number follows."""


class KeySetCommands(SecureConversation):
    """Set 0 is the active one. Applications get sets when they are created (`KeySettings.key_sets`)."""

    def initialize_key_set(self, number: int, key_type: KeyType = KeyType.AES) -> None:
        """All keys of set `number` become the card's default key."""
        self.execute(INS_INITIALIZE_KEY_SET, bytes((number, key_type)))

    def change_key_in_set(
        self,
        number: int,
        key_no: int,
        new_key: bytes,
        version: int,
        old_key: bytes,
        key_type: KeyType = KeyType.AES,
    ) -> None:
        """Set key `key_no` of set `number`, which is never the key of this session."""
        session = self.session
        if session is None:
            raise NotAuthenticated("ChangeKeyEV2 needs an authenticated session")
        secret, key = new_key_data(new_key, version, key_type, old_key)
        self.execute_enciphered(INS_CHANGE_KEY_EV2, bytes((number, key_no)), secret, session.checksum(key))

    def finalize_key_set(self, number: int, version: int) -> None:
        """Declare the set complete; only then can it be rolled to."""
        self.execute(INS_FINALIZE_KEY_SET, bytes((number, version)))

    def roll_key_set(self, number: int) -> None:
        """Make the set the active one, under the roll key; the session ends with it."""
        self.execute_ending(INS_ROLL_KEY_SET, bytes((number,)))

    def get_key_version_in_set(self, key_no: int, number: int) -> int:
        """The version byte of a key in any set."""
        return self.execute(INS_GET_KEY_VERSION, bytes((key_no | IN_KEY_SET, number)), answer_bytes=1)[0]


def new_key_data(
    new_key: bytes, version: int, key_type: KeyType, old_key: bytes | None = None
) -> tuple[bytes, bytes]:
    """The data to encipher, and the new key as it will be on the card, which a checksum may have to cover.

    With `old_key` the difference of both keys travels, not the key. Only AES keys bring a version byte.
    """
    if len(new_key) != key_type.key_bytes:
        raise ValueError(f"a key of kind {key_type.name} is {key_type.key_bytes} bytes, not {len(new_key)}")
    is_aes = key_type is KeyType.AES
    key = new_key if is_aes else with_parity_version(new_key, version)
    if old_key is None:
        sent = key
    elif len(old_key) != len(key):
        raise ValueError(f"the old key is {len(old_key)} bytes, the new one {len(key)}")
    else:
        sent = bytes(a ^ b for a, b in zip(key, old_key, strict=True))
    return sent + (bytes((version,)) if is_aes else b""), key
