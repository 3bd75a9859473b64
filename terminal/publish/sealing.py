"""Rosters, prices and staff lists are sealed to the terminals that take them, and published under names that tell
nothing: a keyed hash of what the office calls them, the same for every issue.

Keys come from the collector's records, a file a terminal (`terminals/70001.json`), in its folder or copied from there.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from terminal.collector.enrolment import Enrolment
from terminal.decoding import decode_json, read_within
from terminal.errors import PublishError
from terminal.files import create_file, replace_file
from terminal.publish.content import CheckedFiles
from terminal.publish.drafting import NewFile
from terminal.publish.repository import Repository
from terminal.sealed_box import seal_to_each
from terminal.updates.bundle.roles import BundleRole

SEALED: Final = frozenset({BundleRole.ROSTER, BundleRole.PRICES, BundleRole.STAFF})
NAME_KEY_FILE: Final = "names.key"
NAMES_FILE: Final = "names.json"
_KEY_BYTES: Final = 32
MOST_NAMES_BYTES: Final = 4 << 20


class SealedName(msgspec.Struct, frozen=True):
    """What the office knows of a name: how it calls it, and which issue went under it last."""

    called: str
    id: str = ""
    version: int = 0
    terminals: tuple[int, ...] = ()


def numbers_in(written: str) -> list[int]:
    """`70001,70010-70020` as numbers. Raises `PublishError`."""
    found: set[int] = set()
    for part in written.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if (
            not first.isdecimal()
            or not first.isascii()
            or (dash and not (last.isdecimal() and last.isascii()))
        ):
            raise PublishError(f"{part!a} is no terminal number", "Write --seal-to 70001,70010-70020.")
        begin, end = int(first), int(last or first)
        if not 1 <= begin <= end or end - begin > _MOST_NUMBERS:
            raise PublishError(f"{part!a} is no range of terminals", "Write the lower number first.")
        found |= set(range(begin, end + 1))
    return sorted(found)


_MOST_NUMBERS: Final = 4_096


def sealing_keys(folder: Path, numbers: Iterable[int]) -> list[bytes]:
    """The raw sealing keys of enrolled terminals, those that wait for their first use included. Raises `PublishError`
    for a terminal without any, and `KeyFileError`.
    """
    enrolment, found = Enrolment(folder), set[bytes]()
    for number in numbers:
        record = enrolment.record_of(number)
        keys = {bytes.fromhex(one.sealing) for one in record.live if one.sealing}
        if not keys:
            raise PublishError(
                f"terminal {number} has no sealing key in {folder}",
                "Enrol it with a code, or give the folder of the collector's records: --terminals.",
            )
        found |= keys
    return sorted(found)


def sealed_group(repository: Repository, group: str) -> str:
    """`ROLE/…/NAME` under the name that says nothing; one that is such a name already stays."""
    known = names(repository)
    if group in known:
        return group
    before, _, _ = group.rpartition("/")
    return f"{before}/{hmac.digest(_name_key(repository), group.encode(), 'sha256').hex()[:32]}"


def seal(checked: CheckedFiles, group: str, publics: list[bytes]) -> CheckedFiles:
    """The files sealed, each bound to its target's name."""
    files = tuple(
        NewFile(file.name, seal_to_each(publics, file.content, f"{group}/{file.name}".encode()))
        for file in checked.files
    )
    return CheckedFiles(files, checked.id, checked.version)


def names(repository: Repository) -> dict[str, SealedName]:
    """What the office calls each name that says nothing. Raises `PublishError`."""
    path = repository.office / NAMES_FILE
    try:
        return decode_json(read_within(path, MOST_NAMES_BYTES), dict[str, SealedName], MOST_NAMES_BYTES)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise PublishError(f"{path} cannot be used: {error}", "Restore the folder's backup.") from error


def keep_name(repository: Repository, group: str, name: SealedName | None) -> None:
    """Remember what went under a name; None: it is withdrawn."""
    known = {one: held for one, held in names(repository).items() if one != group}
    if name is not None:
        known[group] = name
    replace_file(repository.office / NAMES_FILE, msgspec.json.format(msgspec.json.encode(known), indent=1))


def _name_key(repository: Repository) -> bytes:
    path = repository.office / NAME_KEY_FILE
    if not path.exists():
        create_file(path, secrets.token_hex(_KEY_BYTES).encode())
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except ValueError as error:
        raise PublishError(f"{path} holds no key", "Restore the folder's backup.") from error
    if len(key) != _KEY_BYTES:
        raise PublishError(f"{path} holds no key", "Restore the folder's backup.")
    return key
