"""The staff list of one terminal: who may work at it, as what, with which card and PIN.

A file in the terminal's folder, readable by its owner only. People are in it by reference, never by name (D-02);
their service cards by a pseudonym of the purpose "staff", which cannot be joined with that of a passenger (D-01).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from terminal.access.references import Reference, require_reference
from terminal.access.sessions import proof_of
from terminal.decoding import DOCUMENT_BYTES, NewerVersion, decode_versioned, read_within
from terminal.errors import StaffError
from terminal.files import replace_file
from terminal.keys.provider import KeyProvider
from terminal.screen.console.pins import PURPOSE
from terminal.screen.console.roles import Role
from terminal.updates.bundle.kept import FOLDER as BUNDLES_FOLDER

STAFF_FILE: Final = "staff.json"
STAFF_VERSION: Final = 1
"""Of the file's form. A file that states none is of version 1."""
MOST_MEMBERS: Final = 1_000
"""In one list that is published."""


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member of staff. Without `pin` he cannot sign in, without `card` (hex) only where typing is allowed."""

    ref: Reference
    role: Role
    pin: str = ""
    card: str = ""


class _StaffFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str = "staff"
    version: Annotated[int, Meta(ge=1, le=STAFF_VERSION)] = STAFF_VERSION
    members: tuple[Member, ...] = ()


def signed_staff_file(state: Path) -> Path:
    """The list that signed bundles brought, in a terminal's folder; where it is, the terminal's own does not count."""
    return state / BUNDLES_FOLDER / STAFF_FILE


class StaffList:
    """The list in a terminal's folder: its own, or the one that signed bundles brought. What another process changes
    there is seen at the next look.
    """

    def __init__(self, state: Path) -> None:
        self.path: Final = state / STAFF_FILE
        self.signed: Final = signed_staff_file(state)
        self._seen: tuple[int, int, int] | None = None
        self._members: dict[str, Member] = {}

    def members(self) -> tuple[Member, ...]:
        """All members, by reference; raises `StaffError` when the file is not understood."""
        self._refresh()
        return tuple(self._members[ref] for ref in sorted(self._members))

    def get(self, ref: str) -> Member | None:
        """The member with this reference."""
        self._refresh()
        return self._members.get(ref)

    def by_card(self, card: bytes) -> Member | None:
        """Whose service card this is."""
        self._refresh()
        wanted = card.hex()
        return next((member for member in self._members.values() if member.card == wanted), None)

    def put(self, member: Member) -> None:
        """Add a member or change him; a card belongs to one member only. Raises `StaffError`; then nothing changed."""
        self._require_own()
        self._refresh()
        require_reference(member.ref)
        holder = self.by_card(bytes.fromhex(member.card)) if member.card else None
        if holder is not None and holder.ref != member.ref:
            raise StaffError(f"this card is {holder.ref}'s", "Give each member a card of his own.")
        self._write([*(one for one in self._members.values() if one.ref != member.ref), member])

    def remove(self, ref: str) -> None:
        """Take a member off the list; raises `StaffError` when he is not on it."""
        self._require_own()
        self._refresh()
        if ref not in self._members:
            raise StaffError(f"{ref} is not on the staff list", "See `terminal staff list`.")
        self._write(one for one in self._members.values() if one.ref != ref)

    def _require_own(self) -> None:
        if self.signed.exists():
            raise StaffError(
                "the staff list of this terminal comes with signed bundles",
                "Change it where it is published: `terminal publish add staff`.",
            )

    def _write(self, members: Iterable[Member]) -> None:
        file = _StaffFile(members=tuple(sorted(members, key=lambda member: member.ref)))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")
        except OSError as error:
            raise StaffError(
                f"{self.path} cannot be written ({error.strerror})", "Check its rights."
            ) from error

    def _refresh(self) -> None:
        path = self.signed if self.signed.exists() else self.path
        try:
            status = path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            members = members_in(read_within(path, DOCUMENT_BYTES), path)
        except FileNotFoundError:
            seen, members = None, ()
        except (OSError, msgspec.DecodeError) as error:
            raise StaffError(f"{path} is no staff list: {error}", "Put a copy of it back.") from error
        self._members, self._seen = {member.ref: member for member in members}, seen


def members_in(content: bytes, called: Path) -> tuple[Member, ...]:
    """The members in a staff file. Raises `StaffError` for what is none, and for one person or card twice."""
    try:
        members = decode_versioned(content, _StaffFile, STAFF_VERSION).members
    except NewerVersion as error:
        raise StaffError(
            f"{called} has {error}", "Update the software, or put an older copy back."
        ) from error
    except msgspec.DecodeError as error:
        raise StaffError(f"{called} is no staff list: {error}", "Put a copy of it back.") from error
    cards = [one.card for one in members if one.card]
    if len({one.ref for one in members}) < len(members) or len(set(cards)) < len(cards):
        raise StaffError(f"{called} has a reference or a card twice", "Give each member one entry.")
    return members


def card_reference(keys: KeyProvider, resident: bytes) -> bytes:
    """How the staff list knows the card of `resident` (its pseudonym on the card)."""
    return keys.token(PURPOSE, b"card" + resident)


def member_proof(member: Member) -> str:
    """Changes when role or PIN do."""
    return proof_of(member.role, member.pin)
