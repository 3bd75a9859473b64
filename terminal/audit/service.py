"""The verify-only service: it holds the card registry and says whether a card gave a proof, and nothing else.

    POST /v1/questions   msgpack list of `CardQuestion` → msgpack list of `CardWord`, in the same order
    GET  /v1/health      whether it answers

Every question needs the auditor's token, as `Authorization: Bearer TOKEN`. No key and no MAC ever leaves: an answer is
one word. A guesser of MACs hears "not genuine" each time; so many of these answers, and so many questions, are given in
one day (UTC) and no more, also after a restart.

FOLDER/auditor.token   made at the first start
FOLDER/questions.db    how many were asked on each day
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import anyio.to_thread
import msgspec
from msgspec import Meta, Struct
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.audit.proofs import CardQuestion, CardWord
from terminal.clock import Clock, SystemClock
from terminal.collector.callers import OPERATOR, Callers, ConnectionShares, Proxies, caller_of
from terminal.collector.front import (
    FrontServer,
    answering,
    base_url,
    ended_by_signals,
    files_for,
    front_config,
    listen,
)
from terminal.collector.limits import KnownAddresses
from terminal.collector.registry import CardRegistry, open_registry
from terminal.collector.tls import ServerTls
from terminal.errors import AuditError
from terminal.files import create_file
from terminal.journal.database import SQLITE_FAULTS, transaction

QUESTIONS_PATH: Final = "/v1/questions"
HEALTH_PATH: Final = "/v1/health"
TOKEN_FILE: Final = "auditor.token"  # noqa: S105 the name of the file
COUNTS_FILE: Final = "questions.db"
QUESTION_TYPE: Final = "application/msgpack"
MOST_AT_ONCE: Final = 500
MOST_REQUEST_BYTES: Final = 5 << 20
REQUEST_S: Final = 30.0

Questions = Annotated[list[CardQuestion], Meta(min_length=1, max_length=MOST_AT_ONCE)]
_questions = msgspec.msgpack.Decoder(Questions).decode
_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS day (day TEXT PRIMARY KEY, asked INTEGER NOT NULL, denied INTEGER NOT NULL)"
)
_COUNT: Final = (
    "INSERT INTO day VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET asked = asked + excluded.asked,"
    " denied = denied + excluded.denied"
)


class AnswerSettings(Struct, frozen=True):
    """`per_day` questions are answered in one day, as long as not more than `denials_per_day` answers were "not
    genuine"."""

    folder: Path
    registry: Path
    host: str = "127.0.0.1"
    port: int = 8471
    per_day: int = 5_000_000
    denials_per_day: int = 1_000
    tls: ServerTls | None = None
    registry_keys: Path | None = None
    """What opens a sealed `registry`; None: what systemd handed over."""


class DayLimits:
    """How much was asked on a day, on the disk before anything is answered. Raises `AuditError` when it fails."""

    def __init__(self, path: Path, per_day: int, denials_per_day: int) -> None:
        self._per_day = per_day
        self._denials_per_day = denials_per_day
        self._path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute(_CREATE)
        except SQLITE_FAULTS as error:
            raise self._failed(error) from error

    def take(self, day: str, questions: int) -> bool:
        """Count `questions`; False, and nothing counted, where the day's limit is reached."""
        try:
            with transaction(self._connection):
                found = self._connection.execute(
                    "SELECT asked, denied FROM day WHERE day = ?", (day,)
                ).fetchone()
                asked, denied = found or (0, 0)
                if asked + questions > self._per_day or denied >= self._denials_per_day:
                    return False
                self._connection.execute(_COUNT, (day, questions, 0))
                return True
        except SQLITE_FAULTS as error:
            raise self._failed(error) from error

    def deny(self, day: str, answers: int) -> None:
        """Count answers that say no, before they are given."""
        try:
            with transaction(self._connection):
                self._connection.execute(_COUNT, (day, 0, answers))
        except SQLITE_FAULTS as error:
            raise self._failed(error) from error

    def close(self) -> None:
        self._connection.close()

    def _failed(self, error: Exception) -> AuditError:
        return AuditError(
            f"{self._path} failed: {error}", "Check the disk and its rights; nothing is answered without it."
        )


class AnswerSide:
    """The application around a registry."""

    def __init__(
        self,
        registry: CardRegistry,
        limits: DayLimits,
        token: str,
        clock: Clock,
        callers: Callers | None = None,
    ) -> None:
        """`callers` are the connections of the server in front, where there is one."""
        self._callers = callers
        self._registry = registry
        self._limits = limits
        self._token = token.encode()
        self._clock = clock
        self._lock = threading.Lock()

    def app(self, on_ready: Callable[[], None]) -> Starlette:
        routes = [
            Route(QUESTIONS_PATH, self.questions, methods=["POST"]),
            Route(HEALTH_PATH, self.health, methods=["GET"]),
        ]
        return Starlette(routes=routes, lifespan=answering(on_ready))

    async def health(self, _: Request) -> Response:
        return Response(b"{}", media_type="application/json")

    async def questions(self, request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip().encode()
        if not hmac.compare_digest(given, self._token):
            return _refusal(401, "unauthorized", "Give the auditor's token.")
        caller = caller_of(request.scope)
        if caller is not None and self._callers is not None:
            self._callers.identify(caller, OPERATOR)  # strangers make room for auditors
        data = await _body(request)
        if isinstance(data, Response):
            return data
        try:
            asked = _questions(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _refusal(400, "malformed", f"Send questions: {error}.")
        try:
            words = await anyio.to_thread.run_sync(self._answer, asked)
        except AuditError as error:
            return _refusal(503, "unavailable", error.advice)
        if words is None:
            return _refusal(
                429, "limit", "The limit of this day is reached; ask tomorrow, or have it raised."
            )
        return Response(msgspec.msgpack.encode(words), media_type=QUESTION_TYPE)

    def _answer(self, asked: list[CardQuestion]) -> list[CardWord] | None:
        """The words, None beyond the day's limit. One request at a time: a guesser waits for himself."""
        with self._lock:
            day = self._clock.now().date().isoformat()
            if not self._limits.take(day, len(asked)):
                return None
            words = [self._word_on(question) for question in asked]
            denials = sum(word is CardWord.NOT_GENUINE for word in words)
            if denials:
                self._limits.deny(day, denials)
            return words

    def _word_on(self, question: CardQuestion) -> CardWord:
        card = self._registry.card(question.card_ref, question.tmc if question.tmv else None)
        if card is None:
            return CardWord.UNKNOWN_CARD
        if not question.tmv:
            return CardWord.KNOWN if card.proves else CardWord.CANNOT_PROVE
        genuine = card.gave(question.tmc, question.commands, question.tmv)
        return CardWord.GENUINE if genuine else CardWord.NOT_GENUINE


def serve(settings: AnswerSettings, on_ready: Callable[[str], None], clock: Clock | None = None) -> None:
    """Answer until SIGTERM or SIGINT; `on_ready(base_url)` is called once it does.

    Raises `AuditError`, `CollectorError` (address, certificates), `PortInUse` or `KeyFileError`.
    """
    registry = open_registry(settings.registry, settings.registry_keys)
    token = _token_of(settings.folder)
    limits = DayLimits(settings.folder / COUNTS_FILE, settings.per_day, settings.denials_per_day)
    with closing(limits), closing(listen(settings.host, settings.port)) as listening, ended_by_signals():
        clock = clock or SystemClock()
        known = KnownAddresses(clock.monotonic)
        callers = Callers(ConnectionShares().within(files_for), known, clock.monotonic, Proxies())
        side = AnswerSide(registry, limits, token, clock, callers)
        app = side.app(lambda: on_ready(base_url(listening, settings.tls)))
        FrontServer(front_config(app, Proxies(), settings.tls), listening, callers).run()


def _token_of(folder: Path) -> str:
    """The auditor's token, made on first use and readable by its owner only."""
    path = folder / TOKEN_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        create_file(path, f"{secrets.token_urlsafe(32)}\n".encode())
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(f"{path} cannot be used: {error}", "Check the folder and its rights.") from error
    if not token:
        raise AuditError(f"{path} is empty", "Delete it: a new token is made at the next start.")
    return token


async def _body(request: Request) -> bytes | Response:
    data = bytearray()
    try:
        async with asyncio.timeout(REQUEST_S):
            async for piece in request.stream():
                data += piece
                if len(data) > MOST_REQUEST_BYTES:
                    return _refusal(413, "too_large", f"Send at most {MOST_AT_ONCE} questions at once.")
    except (TimeoutError, ClientDisconnect):
        return _refusal(400, "malformed", f"Send a whole request within {REQUEST_S:g} seconds.")
    return bytes(data)


def _refusal(status: int, error: str, advice: str) -> Response:
    return Response(
        msgspec.json.encode({"error": error, "advice": advice}), status, media_type="application/json"
    )
