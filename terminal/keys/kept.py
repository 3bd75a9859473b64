"""How a key file is kept on its machine, as far as its bytes say: plain, or sealed by `systemd-creds`.

A sealed credential begins with an identifier of the key that sealed it (systemd, src/shared/creds-util.h), in Base64.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

CREDENTIAL: Final = "terminal-keys"
"""The credential's name in units, and the file's in `$CREDENTIALS_DIRECTORY`."""
DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
_HEAD_BYTES: Final = 24
_ID_BYTES: Final = 16


class SealedBy(StrEnum):
    """What opens a sealed credential."""

    HOST = "host"
    TPM = "tpm"
    BOTH = "both"
    NOTHING = "nothing"


_IDS: Final[Mapping[str, SealedBy]] = MappingProxyType(
    {
        "5a1c6a86df9d4096b1d5a65e0862f19a": SealedBy.HOST,
        "55b9ed1d38594d43a8319d2ebb332ac6": SealedBy.HOST,
        "0c7cc07b117645919c4b0bea08bc20fe": SealedBy.TPM,
        "faf7eb9341e3412ca1a436f95a29362f": SealedBy.TPM,
        "93a894094874449090caf2fc93cab553": SealedBy.BOTH,
        "af4950a849134eb1a73846304ff30c05": SealedBy.BOTH,
        "ef4ac13679a9480ea7db68897f9f165d": SealedBy.BOTH,
        "058469daf6f54324800549da0f8ea2fb": SealedBy.NOTHING,
    }
)


def sealed_by(path: Path) -> SealedBy | None:
    """What the credential at `path` is sealed to; None where it is none that is known. May raise `OSError`."""
    with path.open("rb") as file:
        return sealed_content(file.read(_HEAD_BYTES))


def sealed_content(content: bytes) -> SealedBy | None:
    """The same for its first bytes."""
    try:
        head = b64decode(content[:_HEAD_BYTES], validate=True)
    except (binascii.Error, ValueError):
        return None
    return _IDS.get(head[:_ID_BYTES].hex())


def credential_file() -> Path | None:
    """The keys that systemd handed over to this process, in memory; None where it did not."""
    directory = os.environ.get(DIRECTORY)
    path = Path(directory) / CREDENTIAL if directory else None
    return path if path is not None and path.is_file() else None


def handed_over(credential: Path) -> Path:
    """Where the keys that are sealed at `credential` lie open for this process: what systemd handed over, or, where it
    handed over none, `credential` itself, which then does not open."""
    return credential_file() or credential


def is_handed_over(path: Path) -> bool:
    """Whether systemd put `path` into memory for this process."""
    directory = os.environ.get(DIRECTORY)
    return bool(directory) and path.absolute().parent == Path(directory or "")
