"""Reading a vector's fields: names whatever their letter case, bytes as hex, and how figures are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cardproto.desfire.authentication import Ev2Cipher
from cardproto.desfire.crypto import ZERO_IV, AesKey
from cardproto.desfire.messaging import Session

PROBE = bytes(range(16))


class Fields(Mapping[str, Any]):
    """A vector's inputs or expected figures; `RndA`, `rndA` and `rnd_a` are the same field."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = {plain(name): value for name, value in fields.items()}
        if len(self._fields) != len(fields):
            raise ValueError(f"two fields of the same name among {sorted(fields)}")

    def __getitem__(self, name: str) -> Any:
        return self._fields[plain(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def plain(name: str) -> str:
    """A field's name without what only makes it readable."""
    return name.lower().replace("_", "").replace("-", "")


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def text(data: bytes) -> str:
    return data.hex().upper()


def number(value: int | str) -> int:
    """A small number, written as such or as hex."""
    return value if isinstance(value, int) else int(value, 16)


def named(key: AesKey, expected: str | None) -> str:
    """The expected key's own text when `key` is that key: keys hide their bytes, but they act the same."""
    if expected is None:
        return "nothing to compare with"
    same = key.encrypt(ZERO_IV, PROBE) == AesKey(raw(expected)).encrypt(ZERO_IV, PROBE)
    return expected if same else "another key"


def keys_in(session: Session) -> tuple[AesKey, AesKey]:
    """SesAuthENCKey and SesAuthMACKey of a session whose keys are in memory."""
    cipher = session.cipher
    assert isinstance(cipher, Ev2Cipher)
    return cipher._enc, cipher._mac


def comparable(value: Any) -> Any:
    """Hex in upper case and without spaces; everything else as it is."""
    if isinstance(value, str):
        packed = value.replace(" ", "").upper()
        return packed if packed and set(packed) <= set("0123456789ABCDEF") else value
    return value
