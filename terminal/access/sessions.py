"""Who is signed in, at the console or in the office. Kept in a file, so that a restart of the program ends no session.

The browser holds a random token in a cookie that scripts cannot read and other sites do not send; the file holds its
hash. A session ends when it was not used for a while, after a working day at the latest, and when the member of staff
leaves the list or gets another PIN, password or role.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

import msgspec

from terminal.decoding import DOCUMENT_BYTES, decode_json, read_within
from terminal.files import replace_file

SESSIONS_FILE: Final = "sessions.json"
MOST: Final = 16
TOKEN_BYTES: Final = 24
NOTE_EVERY_MS: Final = 60_000
"""How far the file may lag behind the last use: a page view is no reason for a flush."""


class OperatorSession(msgspec.Struct, frozen=True, kw_only=True):
    """One operator at one browser. `proof` shows whether the entry in the list is still the same. `role` is that of a
    member of a terminal's staff.
    """

    ref: str
    how: str
    proof: str
    since_ms: int
    seen_ms: int
    role: str = ""


class Sessions:
    """Open sessions by the hash of their token."""

    def __init__(self, folder: Path, *, idle_ms: int, longest_ms: int, most: int = MOST) -> None:
        self._path = folder / SESSIONS_FILE
        self._lock = Lock()
        self._idle_ms, self._longest_ms, self._most = idle_ms, longest_ms, most
        try:
            self._open = decode_json(read_within(self._path, DOCUMENT_BYTES), dict[str, OperatorSession])
        except (OSError, msgspec.DecodeError):  # no session is open: the safe side
            self._open = {}

    def begin(self, ref: str, how: str, proof: str, now_ms: int, *, role: str = "") -> str:
        """Sign `ref` in; return the token for the browser. Raises OSError when it cannot be kept."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        session = OperatorSession(ref=ref, role=role, how=how, proof=proof, since_ms=now_ms, seen_ms=now_ms)
        with self._lock:
            still = sorted(self._fresh(now_ms).items(), key=lambda item: item[1].seen_ms)[-(self._most - 1) :]
            self._keep({**dict(still), _name(token): session})
        return token

    def of(self, token: str, now_ms: int, *, used: bool) -> OperatorSession | None:
        """The session behind `token`; `used`: this counts as use, looking on does not."""
        with self._lock:
            name = _name(token)
            session = self._open.get(name)
            if session is None or not self._is_fresh(session, now_ms):
                return None
            if used and now_ms - session.seen_ms >= NOTE_EVERY_MS:
                session = msgspec.structs.replace(session, seen_ms=now_ms)
                self._keep({**self._open, name: session})
            return session

    def served(self, now_ms: int, role: str) -> None:
        """Work that counts as use for all who are signed in as `role`: noted in memory only, at once."""
        with self._lock:
            for name, session in self._open.items():
                if session.role == role and self._is_fresh(session, now_ms):
                    self._open[name] = msgspec.structs.replace(session, seen_ms=now_ms)

    def end(self, token: str, now_ms: int) -> None:
        """Sign out. Raises OSError when it cannot be kept."""
        with self._lock:
            left = {name: session for name, session in self._fresh(now_ms).items() if name != _name(token)}
            self._keep(left)

    def _fresh(self, now_ms: int) -> dict[str, OperatorSession]:
        return {name: session for name, session in self._open.items() if self._is_fresh(session, now_ms)}

    def _is_fresh(self, session: OperatorSession, now_ms: int) -> bool:
        idle, age = now_ms - session.seen_ms, now_ms - session.since_ms
        return -self._idle_ms < idle < self._idle_ms and -self._idle_ms < age < self._longest_ms

    def _keep(self, sessions: dict[str, OperatorSession]) -> None:
        self._open = sessions
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, msgspec.json.encode(sessions))


def proof_of(*parts: str) -> str:
    """Changes when one of the parts does."""
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def proof_of_form(token: str) -> str:
    """What a form of the session behind `token` carries: only who has the cookie can make it."""
    return hashlib.sha256(b"form " + token.encode()).hexdigest()


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a request with these headers says that a page of another site sent it (`Origin`)."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _name(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
