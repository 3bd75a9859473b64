"""Each action of an operator happens once, however often its form arrives and whatever dies in between.

A form carries an id made when the page was made: the journal's newest row then, something random, and a proof that
this console made it for this operator and this action. Every row the action appends carries the id
(`terminal.journal.action`), so the action and its trace are one durable write. Whether an action was done is found by
looking for its id in the rows after the one the id names. There is no second place that could contradict,
and nothing is lost by a reload, a double click, the back button, or kill -9.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final, TypeAlias

from terminal.files import replace_file
from terminal.journal.journal import Journal
from terminal.journal.records import AnyRecord, parse_record

SECRET_FILE: Final = "secret"  # noqa: S105 the name of a file
SECRET_BYTES: Final = 32
RANDOM_BYTES: Final = 9
PROOF_BYTES: Final = 9
OLDEST_ROWS: Final = 50_000
"""A form whose page is older than so many rows is refused: looking for it would take too long."""
PAGE_ROWS: Final = 2_000

Written: TypeAlias = tuple[tuple[int, AnyRecord], ...]
"""The rows of one action with their sequences, in order."""


class Actions:
    """Makes ids of actions and finds what they have already done."""

    def __init__(self, journal: Journal, secret: bytes) -> None:
        self._journal = journal
        self._secret = secret

    def issue(self, operator_ref: str, path: str, about: str = "", after: int | None = None) -> str:
        """The id for a form that is being shown. `about` something that is decided once, such as a tap, it is the same
        whenever and wherever the form is shown; `after` is then the newest row of that moment.
        """
        rows = self._journal.head.sequence if after is None else after
        unique = self._mac("about", about) if about else _text(secrets.token_bytes(RANDOM_BYTES))
        stem = f"{rows:x}.{unique}"
        return f"{stem}.{self._proof(stem, operator_ref, path)}"

    def genuine(self, action: str, operator_ref: str, path: str) -> bool:
        """Whether this console made `action` for this operator and path, and not too long ago."""
        stem, _, proof = action.rpartition(".")
        if not hmac.compare_digest(proof.encode(), self._proof(stem, operator_ref, path).encode()):
            return False
        return self._journal.head.sequence - _after(action) <= OLDEST_ROWS

    def written(self, action: str) -> Written:
        """What a genuine action has written so far; nothing: it was not done."""
        found: list[tuple[int, AnyRecord]] = []
        mark, after = action.encode(), _after(action)
        while rows := self._journal.rows(after, PAGE_ROWS):
            found += [(row.sequence, parse_record(row.body)) for row in rows if mark in row.body]
            after = rows[-1].sequence
        return tuple(found)

    def token(self, purpose: str, value: str) -> str:
        """A proof that this console said `value` for `purpose`."""
        return self._mac(purpose, value)

    def _proof(self, stem: str, operator_ref: str, path: str) -> str:
        return self._mac("action", stem, operator_ref, path)

    def _mac(self, *parts: str) -> str:
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return _text(hmac.digest(self._secret, message, hashlib.sha256)[:PROOF_BYTES])


def load_secret(folder: Path) -> bytes:
    """The console's own secret, made at its first start: forms and cookies stay valid over a restart.

    Raises OSError.
    """
    path = folder / SECRET_FILE
    if path.exists() and len(secret := path.read_bytes()) == SECRET_BYTES:
        return secret
    folder.mkdir(parents=True, exist_ok=True)
    made = secrets.token_bytes(SECRET_BYTES)
    replace_file(path, made)
    return made


def _after(action: str) -> int:
    return int(action.partition(".")[0], 16)


def _text(data: bytes) -> str:
    return data.hex()
