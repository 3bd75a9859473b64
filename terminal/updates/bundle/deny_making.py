"""A deny list and its changes made of what was delivered before, so that a day's increment costs some hundred bytes and
a night's list no more than what changed.

    deny-list       as it lies there; else made of the one before with `deny-merge`
    deny-changes    as it lies there; else followed from there by the increments since, each of which names the hash of
                    the one before

What is made counts only where its hash is the one that is signed; else the file is fetched. No key is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from terminal.errors import RegionDocumentError
from terminal.files import link_file
from terminal.policy.deny_changes import (
    DenyChanges,
    are_of,
    changes_bytes,
    followed,
    merge_changes,
    read_changes,
    unchanged,
)
from terminal.policy.deny_list import DenyListFile
from terminal.policy.keyed_file import ListIssue
from terminal.updates.bundle.client import BundleClient, BundleRefused, SignedRole
from terminal.updates.bundle.kept import origin_in
from terminal.updates.bundle.roles import (
    DENY_CHANGES_FILE,
    DENY_FILE,
    DENY_INCREMENT_FILE,
    DENY_MERGE_FILE,
    ISSUED_CUSTOM,
)

MOST_FOLLOWED: Final = 24
"""Increments that are followed: two hours of one every five minutes. All changes at once are one file, however many."""


class DenyMaking:
    """One issue of `name`. `before`: the folder that was delivered last; `draft`: the one that becomes the next."""

    def __init__(self, client: BundleClient, role: SignedRole, name: str, before: Path, draft: Path) -> None:
        self._client = client
        self._role = role
        self._name = name
        self._before = before
        self._draft = draft
        origin = origin_in(before)
        self._known = {} if origin is None else origin.files

    def make(self) -> frozenset[str]:
        """The names of the files that are made; the others are to be fetched. Raises OSError for the disk."""
        return frozenset(
            file
            for file, make in ((DENY_FILE, self._merged), (DENY_CHANGES_FILE, self._changed))
            if self._signed(file) and (self._linked(file) or self._tried(make))
        )

    def _path(self, file: str) -> str:
        return f"{self._name}/{file}"

    def _signed(self, file: str) -> str:
        """The hash of a file as it is signed; empty where there is none."""
        found = self._role.files.get(self._path(file))
        return "" if found is None else str(found.hashes["sha256"])

    def _linked(self, file: str) -> bool:
        """Whether it is the one that lies there."""
        if self._known.get(file) != self._signed(file):
            return False
        try:
            link_file(self._before.resolve() / file, self._draft / file)
        except FileNotFoundError:
            return False
        return True

    def _tried(self, make: Callable[[], bool]) -> bool:
        """What does not come to what is signed, or cannot be had, is fetched whole."""
        try:
            return make()
        except (RegionDocumentError, BundleRefused):
            return False

    # The list

    def _merged(self) -> bool:
        issue = self._issue()
        if issue is None or not self._signed(DENY_MERGE_FILE) or not (self._before / DENY_FILE).exists():
            return False
        changes = self._fetched(DENY_MERGE_FILE)
        known = bytes.fromhex(self._known.get(DENY_FILE, ""))
        out = self._draft / DENY_FILE
        with closing(DenyListFile(self._before / DENY_FILE, None, sorted_digest=known)) as base:
            if not are_of(changes, base):
                return False
            digest = merge_changes(base, changes, ListIssue(issue[0], base.region, issue[1]), out)
        if digest.hex() != self._signed(DENY_FILE):
            out.unlink()
            return False
        return True

    def _issue(self) -> tuple[int, datetime] | None:
        """Version and time of issue of the list, as they are signed."""
        said = self._role.files[self._path(DENY_FILE)].unrecognized_fields.get("custom")
        if not isinstance(said, dict):
            return None
        version, issued = said.get("version"), said.get(ISSUED_CUSTOM)
        if not isinstance(version, int) or not isinstance(issued, str) or not 0 < version < 1 << 32:
            return None
        try:
            at = datetime.fromisoformat(issued)
        except ValueError:
            return None
        return None if at.utcoffset() is None or at.timestamp() < 0 else (version, at)

    # Its changes

    def _changed(self) -> bool:
        wanted = self._role.files[self._path(DENY_CHANGES_FILE)]
        if not self._signed(DENY_INCREMENT_FILE):
            return False
        newest = self._fetched(DENY_INCREMENT_FILE)
        whole = self._present(newest)
        missing = newest.last - whole.last
        if not 0 < missing <= MOST_FOLLOWED:
            return False
        increments = [newest]
        while len(increments) < missing:
            before = increments[-1].before.hex()
            content = self._client.fetch_named(self._path(DENY_INCREMENT_FILE), before, wanted.length)
            increments.append(read_changes(content, DENY_INCREMENT_FILE))
        for increment in reversed(increments):
            whole = followed(whole, increment)
        content = changes_bytes(whole)
        if sha256(content).hexdigest() != self._signed(DENY_CHANGES_FILE):
            return False
        (self._draft / DENY_CHANGES_FILE).write_bytes(content)
        return True

    def _present(self, newest: DenyChanges) -> DenyChanges:
        """All changes that lie there of the base that `newest` is of; none where they are of another."""
        path = self._before / DENY_CHANGES_FILE
        if path.exists():
            found = read_changes(path.read_bytes(), DENY_CHANGES_FILE)
            if found.base == newest.base and found.is_whole:
                return found
        return unchanged(newest.base, newest.issued_at)

    def _fetched(self, file: str) -> DenyChanges:
        """A file that helps, which is not kept."""
        path = self._draft / file
        self._client.fetch(self._role, self._path(file), path)
        content = path.read_bytes()
        path.unlink()
        return read_changes(content, file)
