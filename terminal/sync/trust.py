"""The root of signed bundles that a terminal trusts: pinned by its SHA-256, never on first use.

The hash comes with the enrolment code, which a person carried here, or on the command line. The file may come from
anywhere: what has another hash is no root of ours. Afterwards a root is only replaced by the one before it.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from terminal.codes import SyncFault
from terminal.decoding import decode_json
from terminal.errors import CollectorError, KeyFileError
from terminal.files import replace_file
from terminal.sync.exchange import Answer
from terminal.sync.link import HttpLink
from terminal.updates.bundle.roles import (
    METADATA_FOLDER,
    ROOT_FILE,
    ROOT_RULE,
    STAND_ALONE_FIELD,
)

BUNDLES_PATH: Final = "/v1/bundles/"
"""Where a collector serves its repository, below its address."""
MOST_ROOTS: Final = 64
"""Versions that are looked through for the one with the hash."""


def fetch_root(link: HttpLink, digest: bytes) -> bytes:
    """The root with that SHA-256, from the collector's repository. Raises `CollectorError`."""
    for version in range(1, MOST_ROOTS + 1):
        path = f"{BUNDLES_PATH}{METADATA_FOLDER}/{version}.root.json"
        answer: Answer = link.exchange(path, None, most_bytes=ROOT_RULE.most_bytes)
        if answer.status != 200:
            break
        if hmac.compare_digest(sha256(answer.body).digest(), digest):
            return answer.body
    raise CollectorError(
        "the collector has no root of bundles with the hash that the code carries",
        "Possible interception, or the bundles were begun anew: ask the operator for a new code.",
        SyncFault.NOT_TRUSTED,
    )


def pin_root(state: Path, content: bytes, digest: bytes, *, stand_alone: bool) -> None:
    """Let the terminal with the folder `state` trust this root. Raises `KeyFileError` where it has another hash, is no
    root, or is of a school that signs for itself and this terminal is a fleet's (or the reverse).
    """
    found = sha256(content).digest()
    if not hmac.compare_digest(found, digest):
        raise KeyFileError(
            f"the root has the SHA-256 {found.hex()}, expected is {digest.hex()}",
            "Get both again, the hash by another way than the file.",
        )
    require_root(content, stand_alone=stand_alone)
    path = state / ROOT_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}", "Check the folder and its rights.") from error


def require_root(content: bytes, *, stand_alone: bool) -> None:
    """Raise `KeyFileError` for what is no root, or one that this terminal's configuration does not take."""
    root = _signed(content)
    if not root or root.get("_type") != "root":
        raise KeyFileError(
            "this is no root of signed bundles", "Give metadata/1.root.json of the repository."
        )
    alone = root.get(STAND_ALONE_FIELD) is True
    if alone and not stand_alone:
        raise KeyFileError(
            "this root is of one school that signs for itself, and this terminal is a fleet's",
            "Take the fleet's root; a school's own terminal states stand_alone = true under [bundles].",
        )
    if stand_alone and not alone:
        raise KeyFileError(
            "this root is a fleet's, and this terminal is of a school that signs for itself",
            "Take stand_alone out of [bundles] in terminal.toml, or give the school's own root.",
        )


def _signed(content: bytes) -> dict[str, Any]:
    """The signed part of metadata; empty where it has none. The hash has been compared: it is as it was made."""
    try:
        whole = decode_json(content, object, ROOT_RULE.most_bytes)
    except msgspec.DecodeError:
        return {}
    signed = whole.get("signed") if isinstance(whole, dict) else None
    return signed if isinstance(signed, dict) else {}
