"""The issuers a terminal trusts to grant rights, from a TOML file. Public keys only: nothing in it is secret.

[[issuers]]
issuer = "ru-34"
x = "64 hexadecimal digits"
y = "64 hexadecimal digits"
not_before = 2026-01-01T00:00:00Z
not_after = 2028-01-01T00:00:00Z
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from cardproto.credential.keys import IssuerKey, IssuerKeys, public_key
from terminal.errors import KeyFileError

ADVICE: Final = "Name under [lists] in terminal.toml a file as documented in terminal/keys/issuers.py."
Coordinate = Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]
Moment = Annotated[datetime, Meta(tz=True)]


class _Issuer(Struct, frozen=True, forbid_unknown_fields=True):
    issuer: Annotated[str, Meta(min_length=1, max_length=16)]
    x: Coordinate
    y: Coordinate
    not_before: Moment
    not_after: Moment


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    issuers: Annotated[list[_Issuer], Meta(min_length=1)]


def load_issuers(path: Path) -> IssuerKeys:
    """Raises `KeyFileError` when there is no such file or it is not exactly of the form above."""
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_File)
        return IssuerKeys(
            IssuerKey(
                entry.issuer,
                public_key(bytes.fromhex(entry.x), bytes.fromhex(entry.y)),
                entry.not_before,
                entry.not_after,
            )
            for entry in file.issuers
        )
    except OSError as error:
        raise KeyFileError(f"issuers {path}: {error.strerror}", ADVICE) from error
    except ValueError as error:
        raise KeyFileError(f"issuers {path}: {error}", ADVICE) from error
