"""Files that a power cut leaves whole: the old content or the new one, never a part of either.

A link at the target's name is replaced, never followed; a device, pipe or folder there, or a link to one, is left alone
and the call fails. The content is on the disk before the name points to it, and
the name is on the disk before the call returns. Every function may raise `OSError`; the target is then as it was, or
new and whole. A path has one writer at a time, except for `create_file`, which may race.

Who may read a file is said by the one that makes it, whatever the process's umask: its owner alone (`OWNER_ONLY`), or
everybody (`SHARED`). Files that are written where they lie (databases, locks) are made and opened by `open_own`.

What personal files are sealed with at rest is a port here (`Sealer`); the keys behind it are `terminal.keys`'s.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

OWNER_ONLY: Final = 0o600
SHARED: Final = 0o644
"""What other users of the machine may read, and its owner alone write."""
_OTHERS: Final = 0o007
_GROUP_AND_OTHERS: Final = 0o077
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What file systems without second names say, and one that has no more for this file."""
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"


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


def check_place(path: Path) -> None:
    """Raises the `OSError` that `replace_file` would, before hours of work and not after; what is there stays."""
    _check_replaceable(path)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    open_new(draft).close()
    draft.unlink()


@contextmanager
def replacing(path: Path, mode: int = OWNER_ONLY, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A draft beside `path` to write to; it becomes `path` when the block ends, and goes when the block fails."""
    _check_replaceable(path)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # what a power cut left
    try:
        with open_new(draft, mode) as file:
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
    if not path.name:  # "." and "/"
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        with open_new(draft, mode) as file:
            file.write(content)
            sync(file)
        _take_name(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    sync_path(path.parent)
    return True


def _take_name(draft: Path, path: Path) -> None:
    """Let `draft` be found at `path`; raises `FileExistsError` for whatever is there."""
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with _alone_in(path.parent):
            if path.exists() or path.is_symlink():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
            draft.rename(path)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """While no other process is here, for the same folder; its end ends this, too."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def link_file(path: Path, name: Path, mode: int = OWNER_ONLY) -> None:
    """Let the file at `path`, which never changes, be found under `name`, too; what is there already stays. It takes no
    room, unless the file system knows no links.
    """
    try:
        os.link(path, name)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        create_file(name, path.read_bytes(), mode)
    sync_path(name.parent)


def open_new(path: Path, mode: int = OWNER_ONLY) -> BinaryIO:
    """A new file to write to; raises `FileExistsError` for whatever is there, links included."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    os.fchmod(handle, mode)
    return os.fdopen(handle, "wb")


def open_own(path: Path) -> int:
    """A descriptor to read and write the file at `path`, made where it is missing and its owner's alone.

    Raises `OSError` for what would let another user choose the file that is written: a link, a file with a second name.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, OWNER_ONLY)
    try:
        found = os.fstat(handle)
        if not _is_own(found):
            raise OSError(errno.EINVAL, "not a file of its own", str(path))
        if stat.S_IMODE(found.st_mode) & _GROUP_AND_OTHERS:
            os.fchmod(handle, OWNER_ONLY)
    except BaseException:
        os.close(handle)
        raise
    return handle


def make_own(path: Path) -> None:
    """The same for a file that something else opens by its name: SQLite, whose log takes the file's rights.

    A file that is as it should be is not opened: to close it again would drop SQLite's locks of this process.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        found = None
    if found is None or not _is_own(found) or stat.S_IMODE(found.st_mode) & _GROUP_AND_OTHERS:
        os.close(open_own(path))


def readable_by_others(path: Path) -> bool:
    """Whether more users than the owner, and a group that the owner is not of, may read the file at `path`: the rule of
    ssh. What systemd hands over lies in memory for one user, whatever its rights say. May raise `OSError`.
    """
    handed = os.environ.get(_CREDENTIALS)
    if handed and path.absolute().parent == Path(handed):
        return False
    found = path.stat()
    mine = found.st_uid == os.geteuid()
    return bool(stat.S_IMODE(found.st_mode) & (_GROUP_AND_OTHERS if mine else _OTHERS))


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


def _is_own(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _check_replaceable(path: Path) -> None:
    """By root, a rename would put a file in the place of /dev/stdout, for every program on the machine."""
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file", str(path))
