"""The routes an operator uses, below /operator: the page for people, the rest for programs.

Everything here needs the operator's token, as `Authorization: Bearer TOKEN` or as the password a browser asks for. One
exception: a collector that listens on loopback only lets local users read (not change) without it.

/metrics is for Prometheus. No label names a terminal: a fleet has a hundred thousand of them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final, TypeVar

import anyio
import anyio.to_thread
import msgspec
from msgspec import Meta
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.clock import Clock, unix_ms
from terminal.collector import page
from terminal.collector.alarms import AlarmKind
from terminal.collector.books import Books
from terminal.collector.bundles import carried_code
from terminal.collector.callers import OPERATOR, Callers, DropCause, Standing
from terminal.collector.days import By
from terminal.collector.enrolment import CODE_GOOD_MS
from terminal.collector.gate import Gate, body_of, respond
from terminal.collector.identity_routes import JSON
from terminal.collector.intake import Reply
from terminal.collector.proof import Proof
from terminal.collector.store import BY_OPERATOR, Operation, OperationCode
from terminal.collector.strangers import STRANGE_KINDS
from terminal.collector.totals import ProofSum, total_of
from terminal.collector.views import SHOWN_ALARMS, OperatorViews
from terminal.decoding import decode_json
from terminal.errors import CollectorError
from terminal.operations.text_format import CONTENT_TYPE, Family, Sample, gauge, render

PREFIX: Final = "/operator"
METRICS_PATH: Final = "/metrics"
REALM: Final = 'Basic realm="collector", charset="UTF-8"'
LOOPBACK_NAMES: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
MOST_ALARMS: Final = 10**12
DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
MAX_BODY_BYTES: Final = 4_096
REPORT_CATCH_UP_S: Final = 2.0
T = TypeVar("T")


class Acknowledgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who has dealt with an alarm, and how. `by` is a staff number or the like."""

    by: Annotated[str, Meta(min_length=1, max_length=80)]
    comment: Annotated[str, Meta(max_length=500)] = ""


class DayQuery(msgspec.Struct, frozen=True):
    """The query of a day."""

    by: By = By.TERMINAL


class AlarmQuery(msgspec.Struct, frozen=True):
    """The query of the alarms."""

    open: bool = False
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1_000


class TokenGuard:
    """Lets only an operator through."""

    def __init__(self, app: ASGIApp, token: str, gate: Gate, *, readers_need_it: bool) -> None:
        self._app = app
        self._token = token.encode()
        self._gate = gate
        self._readers_need_it = readers_need_it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._may(scope):
            await self._app(scope, receive, send)
            return
        body = msgspec.json.encode({"error": "unauthorized", "advice": "Give the operator's token."})
        response = Response(body, 401, {"www-authenticate": REALM}, JSON)
        await response(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        if not self._readers_need_it and scope["method"] in ("GET", "HEAD"):
            # A page of the internet that gave its own name our address is not on this machine.
            host = headers.get("host", "")
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name in LOOPBACK_NAMES and "authorization" not in headers:
                return True
        shown = hmac.compare_digest(_given(headers.get("authorization", "")), self._token)
        if shown:
            self._gate.meet(scope, OPERATOR)
        return shown


def _given(authorization: str) -> bytes:
    """The token in a header, however it is given."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip().encode()
    if kind.lower() == "basic":
        with suppress(binascii.Error, ValueError):
            return base64.b64decode(value, validate=True).partition(b":")[2]
    return b""


@dataclass(frozen=True, slots=True)
class OperatorSide:
    """What the routes for operators work with."""

    views: OperatorViews
    books: Books
    clock: Clock
    token: str
    gate: Gate
    readers_need_it: bool
    bundles: Path | None = None
    """A repository of signed bundles: codes carry its root."""

    def mount(self) -> Mount:
        routes: list[BaseRoute] = [
            Route("/", self.page, methods=["GET"]),
            Route("/style.css", self.style, methods=["GET"]),
            Route("/v1/status", self.status, methods=["GET"]),
            Route("/v1/report", self.report, methods=["GET"]),
            Route("/v1/terminals", self.terminals, methods=["GET"]),
            Route("/v1/terminals/{terminal}/enrolment", self.enrolment, methods=["POST"]),
            Route("/v1/terminals/{terminal}/key", self.revoke, methods=["DELETE"]),
            Route("/v1/alarms", self.alarms, methods=["GET"]),
            Route("/v1/strangers", self.strangers, methods=["GET"]),
            Route("/v1/alarms/{alarm}/acknowledgement", self.acknowledge, methods=["POST"]),
            Route("/v1/days", self.days, methods=["GET"]),
            Route("/v1/days/{day}", self.day, methods=["GET"]),
        ]
        mount = Mount(PREFIX, routes=routes)
        mount.app = TokenGuard(mount.app, self.token, self.gate, readers_need_it=self.readers_need_it)
        return mount

    def metrics_route(self) -> Route:
        guard = Middleware(TokenGuard, self.token, self.gate, readers_need_it=self.readers_need_it)
        return Route(METRICS_PATH, self.metrics, methods=["GET"], middleware=[guard])

    async def metrics(self, _: Request) -> Response:
        page = await _answer(lambda: render(collector_metrics(self.views, self.gate.callers, self._now_ms())))
        return page if isinstance(page, Response) else Response(page, media_type=CONTENT_TYPE)

    async def page(self, _: Request) -> Response:
        answer = await _answer(lambda: page.render(self.views, self._now_ms()))
        return answer if isinstance(answer, Response) else page.response(answer)

    async def style(self, _: Request) -> Response:
        return Response(page.STYLE, 200, page.HEADERS, "text/css")

    async def status(self, _: Request) -> Response:
        return await _json(lambda: self.views.status(self._now_ms()))

    async def report(self, _: Request) -> Response:
        def work() -> object:
            self.books.catch_up_with(REPORT_CATCH_UP_S, self.clock.monotonic)
            report = self.views.report()
            return {
                "total": report.total,
                "terminals": report.terminals,
                "alarms": [{**alarm._asdict(), "says": alarm.says()} for alarm in report.alarms],
                "behind": report.behind,
            }

        return await _json(work)

    async def terminals(self, _: Request) -> Response:
        return await _json(lambda: self.views.terminals(self._now_ms()))

    async def enrolment(self, request: Request) -> Response:
        terminal = _number(request.path_params["terminal"])
        if terminal is None:
            return _missing("There is no such terminal number.")

        def work() -> object:
            now_ms = self._now_ms()
            code = carried_code(self.views.enrolment, terminal, now_ms, self.bundles)
            self.views.store.note(Operation(now_ms, terminal, OperationCode.CODE_MADE, "", BY_OPERATOR))
            return {"terminal": terminal, "code": code, "good_until_ms": now_ms + CODE_GOOD_MS}

        return await _json(work, 201)

    async def revoke(self, request: Request) -> Response:
        terminal = _number(request.path_params["terminal"])

        def work() -> bool:
            if terminal is None or not self.views.enrolment.revoke(terminal, self._now_ms()):
                return False
            done = Operation(self._now_ms(), terminal, OperationCode.REVOKED, "", BY_OPERATOR)
            self.views.store.note(done)
            return True

        done = await _answer(work)
        if isinstance(done, Response):
            return done
        return Response(status_code=204) if done else _missing("This terminal is not enrolled.")

    async def alarms(self, request: Request) -> Response:
        query = _query(request, AlarmQuery)
        if isinstance(query, Response):
            return query

        def work() -> object:
            found = self.views.store.alarms(query.limit, only_open=query.open)
            return [{**alarm._asdict(), "says": alarm.says(), "open": alarm.open} for alarm in found]

        return await _json(work)

    async def strangers(self, _: Request) -> Response:
        return await _json(
            lambda: [{**count._asdict(), "says": count.says()} for count in self.views.strangers()]
        )

    async def acknowledge(self, request: Request) -> Response:
        number = _number(request.path_params["alarm"], MOST_ALARMS)
        data = await body_of(request, MAX_BODY_BYTES, self.gate.limits)
        if isinstance(data, Reply):
            return respond(data)
        try:
            word = decode_json(data, Acknowledgement)
        except msgspec.DecodeError as error:
            return _wrong(f"Say who acknowledges: {error}.")

        def work() -> bool:
            return number is not None and self.views.store.acknowledge(
                number, word.by, word.comment, self._now_ms()
            )

        done = await _answer(work)
        if isinstance(done, Response):
            return done
        return Response(status_code=204) if done else _missing("There is no such alarm.")

    async def days(self, _: Request) -> Response:
        return await _json(self.views.books.days)

    async def day(self, request: Request) -> Response:
        query = _query(request, DayQuery)
        if isinstance(query, Response):
            return query
        day = request.path_params["day"]
        if not DAY.fullmatch(day):
            return _wrong("Give a service day like 2026-09-15.")

        def work() -> object:
            self.books.catch_up_with(REPORT_CATCH_UP_S, self.clock.monotonic)
            return self.views.day(day, query.by)

        return await _json(work)

    def _now_ms(self) -> int:
        return unix_ms(self.clock.now())


Q = TypeVar("Q", DayQuery, AlarmQuery)


def _query(request: Request, kind: type[Q]) -> Q | Response:
    """The query of a request as `kind`, or the refusal."""
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as error:
        return _wrong(f"Correct the query: {error}.")


def _number(text: str, most: int = LARGEST_TERMINAL) -> int | None:
    """A number of a terminal or an alarm in a path."""
    plain = text.isascii() and text.isdecimal() and len(text) <= 15
    return int(text) if plain and 1 <= int(text) <= most else None


async def _answer(work: Callable[[], T]) -> T | Response:
    """What `work` returns, or the response for a store that fails."""
    try:
        return await anyio.to_thread.run_sync(work)
    except CollectorError as error:
        return _refused(503, "unavailable", error.advice)


async def _json(work: Callable[[], object], status: int = 200) -> Response:
    encoded = await _answer(lambda: msgspec.json.encode(work()))
    if isinstance(encoded, Response):
        return encoded
    return Response(encoded, status, {"cache-control": "no-store"}, JSON)


def _refused(status: int, error: str, advice: str) -> Response:
    return Response(msgspec.json.encode({"error": error, "advice": advice}), status, media_type=JSON)


_wrong: Final[Callable[[str], Response]] = partial(_refused, 400, "malformed")
_missing: Final[Callable[[str], Response]] = partial(_refused, 404, "not_found")


METRIC_PREFIX: Final = "resident_collector_"


def collector_metrics(views: OperatorViews, callers: Callers, now_ms: int) -> list[Family]:
    """Everything that is known now. Raises `CollectorError`."""
    proofs = total_of(views.books.totals().values()).proofs
    status, states = views.status(now_ms), views.store.terminals()
    silent_ms = max((now_ms - state.received_at_ms for state in states), default=0)
    said_unsent = sum(state.unsent for state in states)
    attempts = Counter({kind.value: 0 for kind in STRANGE_KINDS})
    for count in views.strangers():
        attempts[count.kind] += count.times
    open_alarms = Counter({kind.value: 0 for kind in AlarmKind})
    open_alarms.update(alarm.kind for alarm in views.store.alarms(SHOWN_ALARMS, only_open=True))
    return [
        gauge(f"{METRIC_PREFIX}terminals", "Terminals that ever sent anything.", status.terminals),
        gauge(f"{METRIC_PREFIX}silent_terminals", "Of them, silent for longer than allowed.", status.silent),
        gauge(
            f"{METRIC_PREFIX}longest_silence_seconds",
            "Since the most silent one sent.",
            max(0, silent_ms) / 1000,
        ),
        gauge(f"{METRIC_PREFIX}rows", "Rows held of all terminals.", status.records),
        gauge(f"{METRIC_PREFIX}stated_unsent_rows", "Rows terminals said they still had.", said_unsent),
        gauge(f"{METRIC_PREFIX}unbooked_rows", "Rows held and not yet counted in the books.", status.behind),
        gauge(
            f"{METRIC_PREFIX}decisions",
            "Decisions made again, by what was found.",
            {
                "recomputed": status.recomputed,
                "differing": status.decided_otherwise,
                "unproven": status.undecided,
            },
            "verdict",
        ),
        gauge(
            f"{METRIC_PREFIX}not_recomputed_rows",
            "Rows held and not yet recomputed.",
            status.not_recomputed,
        ),
        gauge(
            f"{METRIC_PREFIX}not_recomputed_seconds",
            "Since the oldest of them arrived.",
            status.not_recomputed_s,
        ),
        gauge(f"{METRIC_PREFIX}unresolved_taps", "Taps with unknown end.", status.unresolved),
        gauge(
            f"{METRIC_PREFIX}committed_taps",
            "Committed taps by what proves them.",
            {proof.value: sum(one.taps for one in proofs.get(proof, {}).values()) for proof in Proof},
            "proof",
        ),
        Family(
            f"{METRIC_PREFIX}charged_minor",
            "gauge",
            "What counts of them, in minor units of the currency.",
            _money(proofs, "charged_minor"),
        ),
        Family(
            f"{METRIC_PREFIX}overstated_minor",
            "gauge",
            "What rows state beyond what their cards say, in minor units of the currency; counted nowhere.",
            _money(proofs, "overstated_minor"),
        ),
        Family(
            f"{METRIC_PREFIX}understated_minor",
            "gauge",
            "What cards say beyond their rows, in minor units of the currency; counted in charged_minor.",
            _money(proofs, "understated_minor"),
        ),
        gauge(f"{METRIC_PREFIX}open_alarms", "Open alarms.", dict(open_alarms), "kind"),
        gauge(
            f"{METRIC_PREFIX}strange_attempts", "Refused without a good signature.", dict(attempts), "kind"
        ),
        gauge(
            f"{METRIC_PREFIX}connections",
            "Connections by what is known of the other side.",
            {standing.name.lower(): callers.count(standing) for standing in Standing},
            "standing",
        ),
        gauge(
            f"{METRIC_PREFIX}dropped_connections",
            "Connections given up or refused since the start.",
            {cause.value: callers.dropped.get(cause, 0) for cause in DropCause},
            "cause",
        ),
        gauge(
            f"{METRIC_PREFIX}disk_free_bytes",
            "Room on the database's disk.",
            shutil.disk_usage(views.store.path.parent).free,
        ),
    ]


def _money(proofs: Mapping[str, Mapping[str, ProofSum]], name: str) -> tuple[Sample, ...]:
    return tuple(
        Sample(getattr(one, name), {"proof": proof, "currency": currency})
        for proof, sums in sorted(proofs.items())
        for currency, one in sorted(sums.items())
    )
