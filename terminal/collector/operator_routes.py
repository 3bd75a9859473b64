"""The routes an operator uses, below /operator: the page for people, the rest for programs.

People sign in at the page; programs give a user's personal token as `Authorization: Bearer TOKEN`. One exception: a
collector that listens on loopback only lets local users read (not change) without either. `terminal.collector.office`
says what each role may.

/metrics is for Prometheus. No label names a terminal: a fleet has a hundred thousand of them.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final, TypeVar

import anyio
import anyio.to_thread
import msgspec
from msgspec import Meta
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.access.sessions import proof_of_form
from terminal.clock import Clock, unix_ms
from terminal.collector import page
from terminal.collector.alarms import AlarmKind
from terminal.collector.books_reader import FollowingBooks
from terminal.collector.callers import Callers, DropCause, Standing
from terminal.collector.days import By
from terminal.collector.enrolment import CODE_GOOD_MS
from terminal.collector.entrance import PREFIX, Entrance, OfficeGuard, refusal, visitor_of
from terminal.collector.gate import Gate, body_of, respond
from terminal.collector.identity_routes import JSON
from terminal.collector.intake import Reply
from terminal.collector.office import (
    ANSWERS,
    MOST_COMMENT,
    Office,
    OfficeAnswer,
    OfficeCode,
    OfficeReading,
    alarms_of,
    readings_of,
)
from terminal.collector.office_pages import OfficePages, language_of, remember_language
from terminal.collector.proof import Proof
from terminal.collector.ride import MISREAD, NOT_COME, NoSuchCode, find_ride, row_named
from terminal.collector.store import TerminalState
from terminal.collector.strangers import STRANGE_KINDS
from terminal.collector.totals import ProofSum, total_of
from terminal.collector.users import Who
from terminal.collector.views import SHOWN_ALARMS, CollectorStatus, OperatorViews
from terminal.decoding import decode_json
from terminal.errors import CollectorError, StaffError
from terminal.operations.text_format import CONTENT_TYPE, Family, Sample, gauge, render
from terminal.texts import languages, translator

METRICS_PATH: Final = "/metrics"
MOST_ALARMS: Final = 10**12
DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
MAX_BODY_BYTES: Final = 4_096
REPORT_CATCH_UP_S: Final = 2.0
NO_STORE: Final = {"cache-control": "no-store"}
T = TypeVar("T")


class Acknowledgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an alarm was dealt with; by whom, the token says."""

    comment: Annotated[str, Meta(max_length=MOST_COMMENT)] = ""


class DayQuery(msgspec.Struct, frozen=True):
    """The query of a day."""

    by: By = By.TERMINAL


class OperationQuery(msgspec.Struct, frozen=True):
    """The query of what was done."""

    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1_000


class RideQuery(msgspec.Struct, frozen=True):
    """The query of one tap."""

    language: Annotated[str, Meta(max_length=8)] = "en"


class AlarmQuery(msgspec.Struct, frozen=True):
    """The query of the alarms."""

    open: bool = False
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1_000


@dataclass(frozen=True, slots=True)
class OperatorSide:
    """What the routes for operators work with."""

    views: OperatorViews
    books: FollowingBooks
    clock: Clock
    office: Office
    entrance: Entrance
    gate: Gate
    tls_before: bool = False
    """Whether a proxy serves browsers over TLS."""

    def mount(self) -> Mount:
        routes: list[BaseRoute] = [
            Route("/", self.page, methods=["GET"]),
            self._read("/ride", OfficeReading.RIDES, self.ride_page),
            *OfficePages(self.office, self.entrance, self.page, self.tls_before).routes(),
            self._read("/v1/status", OfficeReading.STATUS, self.status),
            self._read("/v1/report", OfficeReading.SUMS, self.report),
            self._read("/v1/terminals", OfficeReading.TERMINALS, self.terminals),
            Route("/v1/terminals/{terminal}/enrolment", self.enrolment, methods=["POST"]),
            Route("/v1/terminals/{terminal}/key", self.revoke, methods=["DELETE"]),
            self._read("/v1/alarms", OfficeReading.ALARMS, self.alarms),
            self._read("/v1/strangers", OfficeReading.STRANGERS, self.strangers),
            self._read("/v1/trials", OfficeReading.TRIALS, self.trials),
            self._read("/v1/shadows", OfficeReading.STAGED, self.shadows),
            Route("/v1/alarms/{alarm}/acknowledgement", self.acknowledge, methods=["POST"]),
            self._read("/v1/requests", OfficeReading.REQUESTS, self.requests),
            Route("/v1/requests/{request}/confirmation", self.confirm, methods=["POST"]),
            Route("/v1/requests/{request}", self.reject, methods=["DELETE"]),
            self._read("/v1/staged", OfficeReading.STAGED, self.staged),
            Route("/v1/roll-out", self.roll_out, methods=["POST"]),
            self._read("/v1/operations", OfficeReading.OPERATIONS, self.operations),
            self._read("/v1/rides/{code}", OfficeReading.RIDES, self.ride),
            self._read("/v1/days", OfficeReading.SUMS, self.days),
            self._read("/v1/days/{day}", OfficeReading.SUMS, self.day),
        ]
        mount = Mount(PREFIX, routes=routes)
        mount.app = OfficeGuard(mount.app, self.entrance)
        return mount

    def _read(
        self, path: str, reading: OfficeReading, answer: Callable[[Request], Awaitable[Response]]
    ) -> Route:
        """What is answered to those alone who may read it."""

        async def asked(request: Request) -> Response:
            may = await _answer(lambda: self.office.may_read(visitor_of(request).who, reading))
            if isinstance(may, Response):
                return may
            return await answer(request) if may else _said(OfficeAnswer(OfficeCode.NOT_FOR_ROLE))

        return Route(path, asked, methods=["GET"])

    def metrics_route(self) -> Route:
        guard = Middleware(OfficeGuard, self.entrance)
        return Route(METRICS_PATH, self.metrics, methods=["GET"], middleware=[guard])

    async def metrics(self, _: Request) -> Response:
        page = await _answer(lambda: render(collector_metrics(self.views, self.gate.callers, self._now_ms())))
        return page if isinstance(page, Response) else Response(page, media_type=CONTENT_TYPE)

    async def page(self, request: Request, notice: str = "", status: int = 200) -> Response:
        """The page as its visitor sees it, with what came of what was done."""

        def work() -> str:
            visitor, now_ms = visitor_of(request), self._now_ms()
            reads = readings_of(visitor.who)
            sight = page.Sight(
                visitor.who,
                language_of(request),
                proof_of_form(visitor.session) if visitor.session else "",
                reads,
                self.office.waiting(visitor.who),
                self.office.staged() if visitor.session and OfficeReading.STAGED in reads else None,
                notice,
            )
            return page.render(self.views, now_ms, sight)

        answer = await _answer(work)
        if isinstance(answer, Response):
            return answer
        return remember_language(request, page.response(answer, status))

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
        terminal, who = _number(request.path_params["terminal"]), visitor_of(request).who
        if terminal is None:
            return _missing("There is no such terminal number.")
        made = await _answer(lambda: self.office.make_code(who, terminal))
        if isinstance(made, Response) or made.says is not OfficeCode.DONE:
            return _said(made)
        good_until_ms = self._now_ms() + CODE_GOOD_MS
        return await _json(
            lambda: {"terminal": terminal, "code": made.code, "good_until_ms": good_until_ms}, 201
        )

    async def revoke(self, request: Request) -> Response:
        terminal, who = _number(request.path_params["terminal"]), visitor_of(request).who
        if terminal is None:
            return _missing("There is no such terminal number.")
        return _said(await _answer(lambda: self.office.revoke(who, terminal)))

    async def alarms(self, request: Request) -> Response:
        query = _query(request, AlarmQuery)
        if isinstance(query, Response):
            return query

        def work() -> object:
            kinds = alarms_of(visitor_of(request).who)
            found = self.views.store.alarms(query.limit, only_open=query.open, kinds=kinds)
            return [{**alarm._asdict(), "says": alarm.says(), "open": alarm.open} for alarm in found]

        return await _json(work)

    async def trials(self, _: Request) -> Response:
        return await _json(lambda: [one._asdict() for one in self.views.ledger.groups()])

    async def shadows(self, _: Request) -> Response:
        return await _json(lambda: [one._asdict() for one in self.views.ledger.shadows()])

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
            return _wrong(f"Say how it was dealt with: {error}.")
        if number is None:
            return _missing("There is no such alarm.")
        who = visitor_of(request).who
        return _said(await _answer(lambda: self.office.acknowledge(who, number, word.comment)))

    async def requests(self, request: Request) -> Response:
        who = visitor_of(request).who
        return await _json(lambda: [one._asdict() for one in self.office.waiting(who)])

    async def confirm(self, request: Request) -> Response:
        return await self._decided(request, self.office.confirm)

    async def reject(self, request: Request) -> Response:
        return await self._decided(request, self.office.reject)

    async def _decided(self, request: Request, decide: Callable[[Who, int], OfficeAnswer]) -> Response:
        number, who = _number(request.path_params["request"], MOST_ALARMS), visitor_of(request).who
        if number is None:
            return _missing("There is no such request.")
        return _said(await _answer(lambda: decide(who, number)))

    async def staged(self, _: Request) -> Response:
        def work() -> object:
            found = self.office.staged()
            return {"digest": "", "changes": ()} if found is None else found._asdict()

        return await _json(work)

    async def roll_out(self, request: Request) -> Response:
        who = visitor_of(request).who
        return _said(await _answer(lambda: self.office.roll_out(who)))

    async def operations(self, request: Request) -> Response:
        query = _query(request, OperationQuery)
        if isinstance(query, Response):
            return query
        return await _json(lambda: [one._asdict() for one in self.views.store.operations(limit=query.limit)])

    async def ride(self, request: Request) -> Response:
        """One tap, by its support code or TERMINAL:ROW."""
        query = _query(request, RideQuery)
        if isinstance(query, Response):
            return query
        try:
            row = row_named(request.path_params["code"])
        except NoSuchCode as error:
            return _missing(error.advice)
        if query.language not in languages():
            return _wrong(f"Give a language: {', '.join(languages())}.")

        def work() -> Response:
            found = find_ride(self.views.store, row)
            if found is None:
                return _missing("No such tap has come to the collector.")
            return Response(msgspec.json.encode(found.as_json(query.language)), 200, NO_STORE, JSON)

        return await _answer(work)

    async def ride_page(self, request: Request) -> Response:
        """The same for people."""
        language, written = language_of(request), request.query_params.get("code", "")
        _ = translator(language).gettext

        def work() -> Response:
            try:
                found = find_ride(self.views.store, row_named(written))
            except NoSuchCode:
                return page.response(page.ride_page(language, "", (_(MISREAD),)), 404)
            if found is None:
                return page.response(page.ride_page(language, "", (_(NOT_COME),)), 404)
            return page.response(page.ride_page(language, found.code, found.says(language)))

        return remember_language(request, await _answer(work))

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


Q = TypeVar("Q", DayQuery, AlarmQuery, OperationQuery, RideQuery)


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
    except (CollectorError, StaffError) as error:
        return refusal(503, "unavailable", error.advice)


async def _json(work: Callable[[], object], status: int = 200) -> Response:
    encoded = await _answer(lambda: msgspec.json.encode(work()))
    if isinstance(encoded, Response):
        return encoded
    return Response(encoded, status, NO_STORE, JSON)


STATUS: Final = {
    OfficeCode.DONE: 204,
    OfficeCode.NOT_FOR_ROLE: 403,
    OfficeCode.SAME_PERSON: 403,
    OfficeCode.NOT_FOUND: 404,
}
"""What is waited for is 202, every other answer 409."""


def _said(answer: OfficeAnswer | Response) -> Response:
    """What the office answers, for programs."""
    if isinstance(answer, Response):
        return answer
    if answer.says is OfficeCode.WAITS:
        return Response(msgspec.json.encode({"request": answer.number}), 202, media_type=JSON)
    status = STATUS.get(answer.says, 409)
    return Response(status_code=204) if status == 204 else refusal(status, answer.says, ANSWERS[answer.says])


_wrong: Final[Callable[[str], Response]] = partial(refusal, 400, "malformed")
_missing: Final[Callable[[str], Response]] = partial(refusal, 404, "not_found")


METRIC_PREFIX: Final = "resident_collector_"


def collector_metrics(views: OperatorViews, callers: Callers, now_ms: int) -> list[Family]:
    """Everything that is known now. Raises `CollectorError`."""
    status = views.status(now_ms)
    families = (
        *_of_terminals(status, views.store.terminals(), now_ms),
        *_of_decisions(status),
        *_of_proofs(total_of(views.books.totals().values()).proofs),
        *_of_what_is_wrong(views),
        *_of_connections(callers),
        gauge(
            "disk_free_bytes",
            "Room on the database's disk.",
            shutil.disk_usage(views.store.path.parent).free,
        ),
    )
    return [family._replace(name=f"{METRIC_PREFIX}{family.name}") for family in families]


def _of_terminals(status: CollectorStatus, states: list[TerminalState], now_ms: int) -> tuple[Family, ...]:
    silent_ms = max((now_ms - state.received_at_ms for state in states), default=0)
    unsent = sum(state.unsent for state in states)
    return (
        gauge("terminals", "Terminals that ever sent anything.", status.terminals),
        gauge("silent_terminals", "Of them, silent for longer than allowed.", status.silent),
        gauge("longest_silence_seconds", "Since the most silent one sent.", max(0, silent_ms) / 1000),
        gauge("rows", "Rows held of all terminals.", status.records),
        gauge("stated_unsent_rows", "Rows terminals said they still had.", unsent),
        gauge("unbooked_rows", "Rows held and not yet counted in the books.", status.behind),
    )


def _of_decisions(status: CollectorStatus) -> tuple[Family, ...]:
    found = {
        "recomputed": status.recomputed,
        "differing": status.decided_otherwise,
        "unproven": status.undecided,
    }
    return (
        gauge("decisions", "Decisions made again, by what was found.", found, "verdict"),
        gauge("not_recomputed_rows", "Rows held and not yet recomputed.", status.not_recomputed),
        gauge("not_recomputed_seconds", "Since the oldest of them arrived.", status.not_recomputed_s),
        gauge("unresolved_taps", "Taps with unknown end.", status.unresolved),
    )


def _of_proofs(proofs: Mapping[str, Mapping[str, ProofSum]]) -> tuple[Family, ...]:
    taps = {proof.value: sum(one.taps for one in proofs.get(proof, {}).values()) for proof in Proof}
    return (
        gauge("committed_taps", "Committed taps by what proves them.", taps, "proof"),
        _money(proofs, "charged_minor", "What counts of them, in minor units of the currency."),
        _money(
            proofs,
            "overstated_minor",
            "What rows state beyond what their cards say, in minor units of the currency; counted nowhere.",
        ),
        _money(
            proofs,
            "understated_minor",
            "What cards say beyond their rows, in minor units of the currency; counted in charged_minor.",
        ),
    )


def _of_what_is_wrong(views: OperatorViews) -> tuple[Family, ...]:
    attempts = Counter({kind.value: 0 for kind in STRANGE_KINDS})
    for count in views.strangers():
        attempts[count.kind] += count.times
    alarms = Counter({kind.value: 0 for kind in AlarmKind})
    alarms.update(alarm.kind for alarm in views.store.alarms(SHOWN_ALARMS, only_open=True))
    return (
        gauge("open_alarms", "Open alarms.", alarms, "kind"),
        gauge("strange_attempts", "Refused without a good signature.", attempts, "kind"),
    )


def _of_connections(callers: Callers) -> tuple[Family, ...]:
    known = {standing.name.lower(): callers.count(standing) for standing in Standing}
    dropped = {cause.value: callers.dropped.get(cause, 0) for cause in DropCause}
    return (
        gauge("connections", "Connections by what is known of the other side.", known, "standing"),
        gauge("dropped_connections", "Connections given up or refused since the start.", dropped, "cause"),
    )


def _money(proofs: Mapping[str, Mapping[str, ProofSum]], name: str, help: str) -> Family:
    samples = tuple(
        Sample(getattr(one, name), {"proof": proof, "currency": currency})
        for proof, sums in sorted(proofs.items())
        for currency, one in sorted(sums.items())
    )
    return Family(name, "gauge", help, samples)
