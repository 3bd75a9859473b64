"""What ChangeKey and ChangeKeyEV2 carry for a new key."""

from __future__ import annotations

from cardproto.desfire.key_types import KeyType, with_parity_version


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
