"""The page of `sim phone` on this machine alone, and the issuer that signs what it may show, for two weeks each.

GET  /             the page, its style and scripts beside it
POST /credential   x and y of a phone's key, 128 hex digits → {"credential": hex, "renew_in_s": seconds}
POST /picture      the text of a code → SVG; 204 where segno is not installed
POST /field        what the phone answered → what a reader wants next (`sim.phone_page.nearby`); 204 for nothing yet,
                   404 where there is no reader; `away` takes the phone from it
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Final

from cardproto.credential.code import MAX_TEXT, PREFIX
from cardproto.credential.grant import HolderKey
from cardproto.credential.keys import public_key
from cardproto.credential.proof import holder_of
from sim.issuing import rights_of_profile
from sim.lab_issuer import phone_credential
from sim.phone_page.nearby import NearbyPhone
from sim.profile import CardProfile

VALID_FOR: Final = timedelta(days=14)
RENEWED_AFTER: Final = 2 / 3
"""Of the time."""
_FOLDER: Final = Path(__file__).parent
_FILES: Final = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css"),
    "/page.mjs": ("page.mjs", "text/javascript"),
    "/phone.mjs": ("phone.mjs", "text/javascript"),
}
PHONE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'"
)
_POINT_DIGITS: Final = 128


class PhonePageFault(Exception):
    """The page cannot be served; `what`, and `advice`."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice


@dataclass(frozen=True, slots=True)
class LaboratoryIssuer:
    """Signs for any phone that asks, what `profile` has, in `region`."""

    profile: CardProfile
    region: int
    today: Callable[[], date]

    def issue(self, holder: HolderKey) -> bytes:
        """A credential of today, with another id each time; the same phone stands for the same resident."""
        today = self.today()
        rights = rights_of_profile(self.profile, sha256(holder.x).digest()[:7], self.region, today)
        rights = replace(rights, valid_from=today, valid_to=today + VALID_FOR)
        return phone_credential(holder, rights, secrets.token_bytes(8))


@dataclass(frozen=True, slots=True)
class PhoneAnswer:
    """What a page gets."""

    status: HTTPStatus
    body: bytes = b""
    kind: str = "text/plain"


def phone_file(path: str) -> PhoneAnswer:
    """One of the page's files."""
    found = _FILES.get(path)
    if found is None:
        return PhoneAnswer(HTTPStatus.NOT_FOUND)
    return PhoneAnswer(HTTPStatus.OK, (_FOLDER / found[0]).read_bytes(), found[1])


def phone_order(path: str, text: str, issuer: LaboratoryIssuer, nearby: NearbyPhone | None) -> PhoneAnswer:
    """What the page asks for by POST, at `nearby` where there is a reader. Blocks while a reader wants nothing."""
    match path:
        case "/credential":
            return _credential(text, issuer)
        case "/picture":
            return _picture(text)
        case "/field" if nearby is not None:
            return _field(text, nearby)
    return PhoneAnswer(HTTPStatus.NOT_FOUND)


def page_server(
    port: int, issuer: LaboratoryIssuer, nearby: NearbyPhone | None = None
) -> ThreadingHTTPServer:
    """On the loopback address; port 0 takes any free one. Raises `PhonePageFault`."""

    class IssuedVisit(_PhoneVisit):
        credentials = issuer
        held = nearby

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), IssuedVisit)
    except OSError as error:
        raise PhonePageFault(
            f"port {port} cannot be used ({error.strerror})", "Give another one, or 0 for any."
        ) from error


class _PhoneVisit(BaseHTTPRequestHandler):
    credentials: LaboratoryIssuer
    held: NearbyPhone | None

    def do_GET(self) -> None:
        """One of the page's files."""
        self._say(phone_file(self.path))

    def do_POST(self) -> None:
        """A credential, a picture, or the field."""
        length = self.headers.get("content-length", "")
        text = (
            self.rfile.read(int(length)).decode("latin-1") if length.isdecimal() and len(length) < 5 else ""
        )
        if self.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            self._say(PhoneAnswer(HTTPStatus.NOT_FOUND))
            return
        answer = phone_order(self.path, text, self.credentials, self.held)
        with suppress(ConnectionError):  # a page that was closed while it waited
            self._say(answer)

    def _say(self, answer: PhoneAnswer) -> None:
        self.send_response(answer.status)
        for name, value in (
            ("content-type", answer.kind),
            ("content-length", str(len(answer.body))),
            ("content-security-policy", PHONE_POLICY),
            ("cache-control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Nothing is said of what was asked."""


def _credential(point: str, issuer: LaboratoryIssuer) -> PhoneAnswer:
    try:
        raw = bytes.fromhex(point)
        if len(point) != _POINT_DIGITS:
            raise ValueError
        key = public_key(raw[:32], raw[32:])
    except ValueError:
        return PhoneAnswer(HTTPStatus.BAD_REQUEST, b"x and y of a P-256 key, 128 hex digits")
    signed = issuer.issue(holder_of(key))
    renew_in_s = round(VALID_FOR.total_seconds() * RENEWED_AFTER)
    body = json.dumps({"credential": signed.hex(), "renew_in_s": renew_in_s})
    return PhoneAnswer(HTTPStatus.OK, body.encode(), "application/json")


def _picture(text: str) -> PhoneAnswer:
    drawn = _drawn(text) if text.startswith(PREFIX) and len(text) <= MAX_TEXT else None
    if drawn is None:
        return PhoneAnswer(HTTPStatus.NO_CONTENT)
    return PhoneAnswer(HTTPStatus.OK, drawn, "image/svg+xml")


def _field(text: str, nearby: NearbyPhone) -> PhoneAnswer:
    if text == "away":
        nearby.take_away()
        return PhoneAnswer(HTTPStatus.NO_CONTENT)
    try:
        wanted = nearby.turn(text)
    except ValueError:
        return PhoneAnswer(HTTPStatus.BAD_REQUEST, b"number and answer, in hexadecimal")
    if wanted is None:
        return PhoneAnswer(HTTPStatus.NO_CONTENT)
    return PhoneAnswer(HTTPStatus.OK, wanted.encode())


def _drawn(text: str) -> bytes | None:
    try:
        import segno  # noqa: PLC0415 an extra, needed for pictures alone
    except ImportError:
        return None
    drawn = BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", scale=4, border=4, dark="#000", light="#fff"
    )
    return drawn.getvalue()
