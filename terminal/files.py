"""Files that a power cut leaves whole: the old content or the new one, never a part of either.

A link at the target's name is replaced, never followed; a device, pipe or folder there, or a link to one, is left alone
and the call fails. The content is on the disk before the name points to it, and
the name is on the disk before the call returns. Every function may raise `OSError`; the target is then as it was, or
new and whole. A path has one writer at a time, except for `create_file`, which may race.

What personal files are sealed with at rest is a port here (`Sealer`); the keys behind it are `terminal.keys`'s.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

OWNER_ONLY: Final = 0o600
SHARED: Final = 0o666
"""Less what the process's umask takes away."""


class Sealer(Protocol):
    """Storage keys by name; raw keys never come out. Wiping the key makes what it sealed unreadable."""

    def seal(self, purpose: str, content: bytes, bound_to: bytes) -> bytes:
        """`content` as only `unseal` with the same purpose and `bound_to` can read it."""
        ...

    def unseal(self, purpose: str, sealed: bytes, bound_to: bytes) -> bytes:
        """What was sealed. Raises `KeyFileError` when it is damaged, was bound to something else, or has no key."""
        ...


def replace_file(path: Path, content: bytes, mode: int = OWNER_ONLY, *, durable: bool = True) -> None:
    """Let `path` hold `content`. Without `durable` a power cut may take the new content, or all of a new file."""
    with replacing(path, mode, durable=durable) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, mode: int = OWNER_ONLY, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A draft beside `path` to write to; it becomes `path` when the block ends, and goes when the block fails."""
    _check_replaceable(path)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # what a power cut left
    try:
        with _new(draft, mode) as file:
            yield file
            if durable:
                sync(file)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_path(path.parent)


def create_file(path: Path, content: bytes, mode: int = OWNER_ONLY) -> bool:
    """Make `path` with `content`; False when it is there already: among several writers one wins."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        with _new(draft, mode) as file:
            file.write(content)
            sync(file)
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    sync_path(path.parent)
    return True


def link_file(path: Path, name: Path, mode: int = OWNER_ONLY) -> None:
    """Let the file at `path`, which never changes, be found under `name`, too; what is there already stays. It takes no
    room, unless the file system knows no links.
    """
    try:
        os.link(path, name)
    except FileExistsError:
        return
    except PermissionError:  # as FAT says
        create_file(name, path.read_bytes(), mode)
    sync_path(name.parent)


def put_in_place(new: Path, path: Path) -> None:
    """Let the finished file `new` be `path` from now on: one rename, and both the file and the name are flushed."""
    sync_path(new)
    new.replace(path)
    sync_path(path.parent)


def sync(file: BinaryIO) -> None:
    """What was written to `file` is on the disk afterwards."""
    file.flush()
    os.fsync(file.fileno())


def sync_path(path: Path) -> None:
    """The file at `path`, or the names in that folder, are on the disk afterwards."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check_replaceable(path: Path) -> None:
    """By root, a rename would put a file in the place of /dev/stdout, for every program on the machine."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file", str(path))


def _new(path: Path, mode: int) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb")
