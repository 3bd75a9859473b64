"""Who is at the office's door: a personal token, a session of the page, or a reader on the machine itself.

A session's cookie opens the pages and what may be read. What changes something needs a form of the page, with a proof
that only the session's own pages carry, or a personal token: a page of the internet has neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from threading import Lock
from typing import Final, NamedTuple

import anyio
import anyio.to_thread
import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from terminal.access.attempts import LOCKED_FROM, PAGE_WAY, Attempts, key_of, wait_after
from terminal.access.sessions import Sessions
from terminal.collector.callers import OPERATOR
from terminal.collector.gate import Gate
from terminal.collector.identity_routes import JSON
from terminal.collector.office import Office
from terminal.collector.store import OperationCode
from terminal.collector.users import LOCAL_ALONE, LOCAL_READER, Who, password_fits
from terminal.errors import StaffError

PREFIX: Final = "/operator"
SIGN_IN: Final = f"{PREFIX}/sign-in"
SIGN_OUT: Final = f"{PREFIX}/sign-out"
STYLE: Final = f"{PREFIX}/style.css"
DO: Final = f"{PREFIX}/do"
OPEN: Final = frozenset((SIGN_IN, STYLE))
FORMS: Final = frozenset((DO, SIGN_OUT))
"""They look at the proof in the form themselves."""
LOOPBACK_NAMES: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
COOKIE: Final = "office"
IDLE_MS: Final = 30 * 60 * 1000
LONGEST_MS: Final = 12 * 3600 * 1000
MOST_SESSIONS: Final = 200
MOST_CHECKS: Final = 8
"""Passwords that wait to be checked; a check takes 16 MiB, so they are checked one by one."""


class KnownBy(StrEnum):
    """How a visitor was known."""

    TOKEN = "token"  # noqa: S105 a kind, not a secret
    SESSION = "session"
    LOCAL = "local"


class Visitor(NamedTuple):
    """Who asks; `session` is the token behind the cookie, "" without one."""

    who: Who
    how: KnownBy
    session: str = ""


class SignIn(NamedTuple):
    """`session` where the password was right, else the seconds until the next try."""

    session: str = ""
    wait_s: int = 0


class Entrance:
    """Knows who asks, by the users in the collector's folder."""

    def __init__(
        self, office: Office, gate: Gate, now_ms: Callable[[], int], *, readers_need_it: bool
    ) -> None:
        """Raises `StaffError` where attempts cannot be read."""
        self.office: Final = office
        self.gate: Final = gate
        self._now_ms = now_ms
        self._readers_need_it = readers_need_it
        folder = office.users.folder
        self._attempts = Attempts(folder)
        self._sessions = Sessions(folder, idle_ms=IDLE_MS, longest_ms=LONGEST_MS, most=MOST_SESSIONS)
        self._checking = Lock()
        self.checks: Final = anyio.CapacityLimiter(1)

    def visitor(self, scope: Scope) -> Visitor | None:
        """Who sent this request; None for a stranger. May raise `StaffError`."""
        headers = Headers(scope=scope)
        given = headers.get("authorization")
        if given is not None:
            kind, _, token = given.partition(" ")
            user = self.office.users.by_token(token.strip()) if kind.lower() == "bearer" else None
            return None if user is None else Visitor(user.who, KnownBy.TOKEN)
        session = _cookie(headers.get("cookie", ""))
        # A page that renews itself is no one's use of it.
        used = b"live=1" not in scope.get("query_string", b"").split(b"&")
        who = self._signed_in(session, used=used) if session else None
        if who is not None:
            return Visitor(who, KnownBy.SESSION, session)
        if not self._readers_need_it and scope["method"] in ("GET", "HEAD"):
            # A page of the internet that gave its own name our address is not on this machine.
            host = headers.get("host", "")
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name in LOOPBACK_NAMES:
                return Visitor(LOCAL_READER if self.office.users.all() else LOCAL_ALONE, KnownBy.LOCAL)
        return None

    def _signed_in(self, token: str, *, used: bool) -> Who | None:
        session = self._sessions.of(token, self._now_ms(), used=used)
        user = None if session is None else self.office.users.get(session.ref)
        return user.who if user is not None and session is not None and session.proof == user.proof else None

    def sign_in(self, ref: str, password: str) -> SignIn:
        """Check a password; one at a time, and counted as wrong before it is looked at. May raise `StaffError`."""
        with self._checking:
            user = self.office.users.get(ref)
            # Numbers of no user share few keys, so that guessing them fills no file.
            known = ref if user is not None else f"?{hashlib.sha256(ref.encode()).digest()[0]}"
            key = key_of(PAGE_WAY, known)
            now_ms = self._now_ms()
            wait_s = self._attempts.wait_s(key, now_ms)
            if wait_s:
                return SignIn(wait_s=wait_s)
            count = self._attempts.begin(key, now_ms)
            if user is None or not password_fits(password, user):
                if user is None:
                    password_fits(password, None)
                if user is not None and count >= LOCKED_FROM:
                    self.office.note(user.ref, OperationCode.LOCKED)
                return SignIn(wait_s=wait_after(count, key))
            try:
                token = self._sessions.begin(user.ref, PAGE_WAY, user.proof, now_ms)
            except OSError as error:
                raise StaffError(
                    f"the session cannot be kept ({error.strerror})", "Check the disk."
                ) from error
            self.office.note(user.ref, OperationCode.SIGNED_IN)
            self._attempts.right(key)
            return SignIn(token)

    def sign_out(self, token: str) -> None:
        """End this browser's session. Raises `StaffError`."""
        try:
            self._sessions.end(token, self._now_ms())
        except OSError as error:
            raise StaffError(f"the session cannot be ended ({error.strerror})", "Check the disk.") from error


class OfficeGuard:
    """Lets only a `Visitor` through, who is then `request.state.visitor`."""

    def __init__(self, app: ASGIApp, entrance: Entrance) -> None:
        self._app = app
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            visitor = await anyio.to_thread.run_sync(self._entrance.visitor, scope)
        except StaffError as error:
            await refusal(503, "unavailable", error.advice)(scope, receive, send)
            return
        if visitor is not None and visitor.how is not KnownBy.LOCAL:
            self._entrance.gate.meet(scope, OPERATOR)
        app = self._app if self._may(scope, visitor) else _turned_away(scope)
        scope.setdefault("state", {})["visitor"] = visitor
        await app(scope, receive, send)

    @staticmethod
    def _may(scope: Scope, visitor: Visitor | None) -> bool:
        if scope["path"] in OPEN:
            return True
        if visitor is None:
            return False
        reads = scope["method"] in ("GET", "HEAD")
        return reads or visitor.how is KnownBy.TOKEN or scope["path"] in FORMS


def _turned_away(scope: Scope) -> Response:
    if (
        scope["method"] == "GET"
        and scope["path"] == f"{PREFIX}/"
        and "authorization" not in Headers(scope=scope)
    ):
        return RedirectResponse(SIGN_IN, 303)
    return refusal(
        401,
        "unauthorized",
        "Sign in at the page, or give a personal token (`terminal collector users token`).",
        {"www-authenticate": 'Bearer realm="collector"'},
    )


def visitor_of(request: Request) -> Visitor:
    """Who sent a request that came past an `OfficeGuard`; a stranger, at the open places, may look at these alone."""
    found: Visitor | None = request.state.visitor
    return found if found is not None else Visitor(Who("", frozenset()), KnownBy.LOCAL)


def refusal(status: int, error: str, advice: str, headers: dict[str, str] | None = None) -> Response:
    """A refusal as programs read it."""
    return Response(msgspec.json.encode({"error": error, "advice": advice}), status, headers, JSON)


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
