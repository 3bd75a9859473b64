"""The key of one journal, in a file beside it: made once, wrapped by the terminal's key provider, wiped on command.

The rows are sealed under a key of their own, so that wiping this small file makes them unreadable (D-07) without
touching the provider's keys, and so that the provider is asked once at the start and not for every row. A second copy
lies beside it: one flipped bit must not cost every row. Each heals the other, and both are wiped.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from terminal.errors import JournalError, JournalSealed, KeyFileError
from terminal.files import Sealer, create_file, replace_file, sync, sync_path
from terminal.journal.database import NO_KEY, SCHEMA_VERSION, schema_of, sealed_for
from terminal.journal.numbers import read_known
from terminal.journal.sealed import KEY_BYTES, Contents, JournalKey

PURPOSE: Final = "journal"
"""The provider's storage key that wraps journal keys."""
_MAGIC: Final = b"resident-journal-key-1\n"


def key_path(journal: Path) -> Path:
    """Where the key of the journal at `journal` lies. A backup needs both; a thief must not get both."""
    return journal.with_name(journal.name + ".key")


def copy_path(journal: Path) -> Path:
    """Where the second copy of the key lies."""
    return journal.with_name(journal.name + ".key2")


def load_key(journal: Path, sealer: Sealer, terminal: int | None = None) -> JournalKey | None:
    """The journal's key, None when there is no key file: it is then plain, not there, or lost for good.

    A copy that is damaged or gone is made anew from the other one; one that opens another journal only by who names
    the `terminal` whose journal it is. Raises `JournalSealed` when both are damaged or the provider does not open
    them, `KeyFileError` when the provider has no key for journals.
    """
    contents = [_content(path) for path in (key_path(journal), copy_path(journal))]
    opened: dict[bytes, JournalKey] = {}
    failure: JournalSealed | None = None
    for content in contents:
        if content is None:
            continue
        try:
            opened[content] = _opened(key_path(journal), content, sealer)
        except JournalSealed as error:
            failure = failure or error
    if not opened and failure is not None:
        raise failure
    if not opened or contents[0] == contents[1]:
        return next(iter(opened.values()), None)
    right, heals = _right_one(journal, opened, terminal)
    if heals:
        _heal(journal, contents, right)
    return opened[right]


def _right_one(journal: Path, opened: dict[bytes, JournalKey], terminal: int | None) -> tuple[bytes, bool]:
    """Which content holds this journal's key, and whether the other file may be written over with it.

    The database may itself be another terminal's, and name its own key. What lies beside it under our number decides
    then; and a sound key is never written over on the word of a database that is not ours: it may be the last one.
    """
    database = sealed_for(journal)
    named = [one for one, key in opened.items() if database is not None and key.id == database[1]]
    if len(opened) == 1:
        return next(iter(opened)), bool(named)
    if terminal is None:
        return next(iter(named or opened)), False
    known = (one for one, key in opened.items() if _opens_numbers(journal, Contents(terminal, key)))
    right = next(known, None) or next(iter(named or opened))
    return right, database == (terminal, opened[right].id)


def _opens_numbers(journal: Path, contents: Contents) -> bool:
    try:
        return read_known(journal, contents).anchor is not None
    except JournalError:  # not to be read: opening the journal says so
        return False


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(f"journal key {path}: {error.strerror}", "Check its rights.") from error


def _heal(journal: Path, contents: list[bytes | None], content: bytes) -> None:
    for path, found in zip((key_path(journal), copy_path(journal)), contents, strict=True):
        if found == content:
            continue
        try:
            replace_file(path, content)
        except OSError as error:
            raise KeyFileError(
                f"journal key {path}: {error.strerror}", "Check the directory and its rights."
            ) from error


def _opened(path: Path, content: bytes, sealer: Sealer) -> JournalKey:
    if not content.startswith(_MAGIC):
        raise JournalSealed(f"{path} is no journal key", NO_KEY)
    wrapped = content.removeprefix(_MAGIC)
    sealer.seal(PURPOSE, b"", b"")  # a provider without such a key says so in its own words
    try:
        return JournalKey(sealer.unseal(PURPOSE, wrapped, _MAGIC))
    except (KeyFileError, ValueError) as error:
        raise JournalSealed(f"journal key {path} does not open with this key file", NO_KEY) from error


def load_or_create_key(journal: Path, sealer: Sealer, terminal: int | None = None) -> JournalKey:
    """The key for writing `journal`: made and on disk before the first sealed row. Raises as `load_key`, and
    `JournalSealed` when there is a sealed journal but no key any more.
    """
    key = load_key(journal, sealer, terminal)
    if key is not None:
        return key
    if schema_of(journal) >= SCHEMA_VERSION:
        raise JournalSealed(f"journal {journal} is sealed, and its key is not here", NO_KEY)
    fresh = secrets.token_bytes(KEY_BYTES)
    path, content = key_path(journal), _MAGIC + sealer.seal(PURPOSE, fresh, _MAGIC)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = create_file(path, content)
        if made:
            replace_file(copy_path(journal), content)
    except OSError as error:
        raise KeyFileError(
            f"journal key {path}: {error.strerror}", "Check the directory and its rights."
        ) from error
    if not made:  # this one seals nothing yet, and the other process is about to hold the journal
        raise KeyFileError(f"journal key {path} was made by another process just now", "Start one terminal.")
    return JournalKey(fresh)


def wipe_key(journal: Path) -> bool:
    """Overwrite and remove the key files; False when there was none. What they sealed is unreadable from here on.

    On flash memory the old block may survive until it is erased; it is wrapped, so without the provider's keys, too,
    it opens nothing.
    """
    paths = [path for path in (key_path(journal), copy_path(journal)) if path.exists()]
    for path in paths:
        with path.open("r+b") as file:
            file.write(secrets.token_bytes(path.stat().st_size))
            sync(file)
        path.unlink()
    sync_path(journal.parent)
    return bool(paths)
