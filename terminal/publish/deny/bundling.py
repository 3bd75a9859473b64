"""What of the deny register is published in a repository of signed bundles, as `deny/NAME`.

The role's signed metadata say the hash of the base, of all changes since, of the newest increment, and of what made the
base of the one before; older increments stay under their hashes, each named by the next one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from terminal.decoding import TooManyBytes, read_within
from terminal.errors import PublishError
from terminal.policy.deny_changes import MOST_CHANGES_BYTES
from terminal.policy.keyed_file import HEADER
from terminal.publish.deny.issuing import (
    CHANGES,
    INCREMENTS,
    MERGE,
    base_path,
    newest_base,
    without_base,
)
from terminal.publish.deny.register import DenyRegister, MadeIssue
from terminal.publish.drafting import LargeFile, NewFile, put, signing_role
from terminal.publish.repository import Repository, iso
from terminal.updates.bundle.roles import (
    DENY_CHANGES_FILE,
    DENY_FILE,
    DENY_INCREMENT_FILE,
    DENY_MERGE_FILE,
    ISSUED_CUSTOM,
    BundleRole,
)
from terminal.updates.parts import MOST_LIST_BYTES


def draft_deny(register: DenyRegister, repository: Repository, group: str, now: datetime) -> str | None:
    """Draft what was issued last as `group`; the role that has to be signed, None where that is published already.

    Raises `PublishError`.
    """
    newest = newest_base(register)
    if newest is None:
        raise without_base()
    published = repository.newest(signing_role(repository, group))
    targets = {} if published is None else published.signed.targets
    present = {
        name.removeprefix(f"{group}/"): target.hashes["sha256"]
        for name, target in targets.items()
        if name.startswith(f"{group}/")
    }
    small = [NewFile(name, _content(path)) for name, path in _small(register, newest)]
    wanted = {file.name: sha256(file.content).hexdigest() for file in small} | {
        DENY_FILE: newest.digest.hex()
    }
    if wanted == present:
        return None
    stays = present.get(DENY_FILE) == wanted[DENY_FILE]
    large = () if stays else (_base(register, newest),)
    return put(repository, group, (*small, *large), now, (DENY_FILE,) if stays else ())


def _small(register: DenyRegister, newest: MadeIssue) -> Iterator[tuple[str, Path]]:
    """The small files, where they lie."""
    increments = [one for one in register.issues() if not one.is_base]
    if increments and increments[-1].number > newest.number:
        yield DENY_CHANGES_FILE, register.folder / CHANGES
        yield DENY_INCREMENT_FILE, register.folder / INCREMENTS / str(increments[-1].number)
    if (register.folder / MERGE).exists():
        yield DENY_MERGE_FILE, register.folder / MERGE


def _base(register: DenyRegister, newest: MadeIssue) -> LargeFile:
    path = base_path(register, newest.version)
    with _readable(path), path.open("rb") as file:
        *_before, issued_s, _count = HEADER.unpack(file.read(HEADER.size))
        if path.stat().st_size > MOST_LIST_BYTES:
            raise TooManyBytes(MOST_LIST_BYTES)
    issued = iso(datetime.fromtimestamp(issued_s, UTC))
    custom = {"id": BundleRole.DENY.value, "version": newest.version, ISSUED_CUSTOM: issued}
    return LargeFile(DENY_FILE, path, custom)


def _content(path: Path) -> bytes:
    with _readable(path):
        return read_within(path, MOST_CHANGES_BYTES)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises `PublishError` where it cannot be read as what it is."""
    try:
        yield
    except (OSError, TooManyBytes, struct.error) as error:
        raise PublishError(
            f"{path} cannot be published: {error}",
            "Restore the register's folder from its backup, or begin a base anew: terminal deny issue --base.",
        ) from error
