"""The users of the collector's office: who may look, operate, publish, and see to money.

FOLDER/office/users.json holds them by staff number, never by name (D-02), with the scrypt hash of a password (for the
page) and the SHA-256 of a personal token (for commands and programs). What a command changes there counts at once, in a
running collector too.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from terminal.access.hashes import NO_SECRET, hash_secret, secret_fits
from terminal.access.references import Reference, require_reference
from terminal.access.sessions import proof_of
from terminal.collector.store import BY_MACHINE
from terminal.decoding import DOCUMENT_BYTES, NewerVersion, decode_versioned, read_within
from terminal.errors import StaffError
from terminal.files import replace_file
from terminal.journal.lock import FileLock
from terminal.texts import N_

OFFICE_FOLDER: Final = "office"
USERS_FILE: Final = "users.json"
USERS_VERSION: Final = 1
MOST_USERS: Final = 500
LEAST_PASSWORD: Final = 12
MOST_PASSWORD: Final = 128
LEAST_DIFFERENT: Final = 6
TOKEN_BYTES: Final = 32


class OfficeRole(StrEnum):
    """What a user may do, and read for it (`terminal.collector.office_rights.READERS`). Every user may look."""

    LOOK = "look"
    OPERATE = "operate"
    PUBLISH = "publish"
    MONEY = "money"


OFFICE_ROLES: Final = {
    OfficeRole.LOOK: N_("look"),
    OfficeRole.OPERATE: N_("operate"),
    OfficeRole.PUBLISH: N_("publish"),
    OfficeRole.MONEY: N_("money matters"),
}
"""For people; translated where they are shown."""


class Who(NamedTuple):
    """Who asks. `alone`: the office has no users yet, so the machine itself acts and nothing waits for a second."""

    ref: str
    roles: frozenset[OfficeRole]
    alone: bool = False


MACHINE: Final = Who(BY_MACHINE, frozenset(OfficeRole), alone=True)
BY_LOCAL: Final = "local"
LOCAL_READER: Final = Who(BY_LOCAL, frozenset({OfficeRole.LOOK}))
"""A program or browser on the machine itself that is not signed in, where the office has users."""
LOCAL_ALONE: Final = Who(BY_LOCAL, frozenset(OfficeRole), alone=True)
"""The same where it has none yet. Who is not signed in can change nothing."""


class User(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One user. Without `password` no signing in at the page, without `token` no commands."""

    ref: Reference
    roles: tuple[OfficeRole, ...]
    password: str = ""
    token: str = ""

    @property
    def who(self) -> Who:
        return Who(self.ref, frozenset((OfficeRole.LOOK, *self.roles)))

    @property
    def proof(self) -> str:
        """Changes when roles or password do: sessions that are open end."""
        return proof_of(*sorted(self.roles), self.password)


class _UsersFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str = "users"
    version: Annotated[int, Meta(ge=1, le=USERS_VERSION)] = USERS_VERSION
    users: Annotated[tuple[User, ...], Meta(max_length=MOST_USERS)] = ()


class Users:
    """The users in a collector's folder. Methods raise `StaffError` for a file that is none, or cannot be written."""

    def __init__(self, collector: Path) -> None:
        self.folder: Final = collector / OFFICE_FOLDER
        self.path: Final = self.folder / USERS_FILE

    def all(self) -> dict[str, User]:
        """Every user by staff number."""
        try:
            found = decode_versioned(read_within(self.path, DOCUMENT_BYTES), _UsersFile, USERS_VERSION).users
        except FileNotFoundError:
            return {}
        except NewerVersion as error:
            raise StaffError(
                f"{self.path} has {error}", "Update the software, or put an older copy back."
            ) from error
        except (OSError, msgspec.DecodeError) as error:
            raise StaffError(f"{self.path} is no list of users: {error}", "Put a copy of it back.") from error
        return {user.ref: user for user in found}

    def get(self, ref: str) -> User | None:
        return self.all().get(ref)

    def by_token(self, token: str) -> User | None:
        """Whose personal token this is."""
        wanted = _hash_of(token)
        return next((user for user in self.all().values() if user.token == wanted), None)

    def at_the_machine(self, token: str | None) -> Who:
        """Who gives a command in the folder: the machine while there are no users, then the token's user."""
        if token is None:
            if not self.all():
                return MACHINE
            raise StaffError(
                "this office has users: the command has to know whose it is",
                "Give your personal token with --token-file (made by `terminal collector users token`).",
            )
        user = self.by_token(token)
        if user is None:
            raise StaffError("this token is no user's", "Have one made: `terminal collector users token`.")
        return user.who

    def add(self, user: User) -> None:
        """Add a user; raises `StaffError` for a number that is there already."""
        require_reference(user.ref)
        if user.ref == BY_MACHINE:
            raise StaffError(f"{BY_MACHINE} is not a user", "Use a staff number.")
        with self._changing() as users:
            if user.ref in users:
                raise StaffError(f"{user.ref} is a user already", "See `terminal collector users list`.")
            if len(users) >= MOST_USERS:
                raise StaffError(f"there are {MOST_USERS} users", "Remove those who have left.")
            users[user.ref] = user

    def remove(self, ref: str) -> None:
        """End a user with sessions, token and requests."""
        with self._changing() as users:
            del users[self._known(users, ref)]

    def set_password(self, ref: str, hashed: str) -> None:
        with self._changing() as users:
            users[ref] = msgspec.structs.replace(users[self._known(users, ref)], password=hashed)

    def new_token(self, ref: str) -> str:
        """A new personal token; the one before counts no more."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._changing() as users:
            users[ref] = msgspec.structs.replace(users[self._known(users, ref)], token=_hash_of(token))
        return token

    def _known(self, users: dict[str, User], ref: str) -> str:
        if ref not in users:
            raise StaffError(f"{ref} is no user", "See `terminal collector users list`.")
        return ref

    @contextmanager
    def _changing(self) -> Iterator[dict[str, User]]:
        """The users, written when the block ends without an error; one process at a time."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock.acquire(self.path)
        except OSError as error:
            raise StaffError(
                f"{self.path} cannot be written ({error.strerror})", "Check its rights."
            ) from error
        if isinstance(lock, int):
            raise StaffError("another command changes the users", "Wait until it has ended.")
        try:
            users = self.all()
            yield users
            self._write(users.values())
        finally:
            lock.release()

    def _write(self, users: Iterable[User]) -> None:
        file = _UsersFile(users=tuple(sorted(users, key=lambda user: user.ref)))
        try:
            replace_file(self.path, msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")
        except OSError as error:
            raise StaffError(
                f"{self.path} cannot be written ({error.strerror})", "Check its rights."
            ) from error


def hash_password(password: str) -> str:
    """What is kept of a password; raises `StaffError` for one that is too easy to guess."""
    sound = LEAST_PASSWORD <= len(password) <= MOST_PASSWORD and len(set(password)) >= LEAST_DIFFERENT
    if not sound:
        raise StaffError(
            "this password is too short or too simple",
            f"Use {LEAST_PASSWORD} to {MOST_PASSWORD} characters, {LEAST_DIFFERENT} different ones at least.",
        )
    return hash_secret(lambda _: password.encode())


def password_fits(password: str, user: User | None) -> bool:
    """Whether it is this user's; takes as long where there is no user. Raises `StaffError`."""
    hashed = user.password if user is not None and user.password else NO_SECRET
    try:
        return secret_fits(lambda _: password[: MOST_PASSWORD + 1].encode(), hashed)
    except ValueError as error:
        raise StaffError(
            "a password in the list of users is not understood",
            "Set it anew: terminal collector users password.",
        ) from error


def _hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
