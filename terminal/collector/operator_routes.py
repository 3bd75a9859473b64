"""The routes an operator uses, below /operator: the page for people, the rest for programs.

People sign in at the page; programs give a user's personal token as `Authorization: Bearer TOKEN`. One exception: a
collector that listens on loopback only lets local users read (not change) without either. `terminal.collector.office`
says what each role may.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.clock import Clock, unix_ms
from terminal.collector.books_reader import FollowingBooks
from terminal.collector.days import By
from terminal.collector.enrolment import CODE_GOOD_MS
from terminal.collector.entrance import PREFIX, Entrance, OfficeGuard, visitor_of
from terminal.collector.erasing import ErasureFiles
from terminal.collector.gate import Gate, body_of, respond
from terminal.collector.identity_routes import JSON
from terminal.collector.intake import Reply
from terminal.collector.metrics import collector_metrics
from terminal.collector.office import MOST_COMMENT, Office
from terminal.collector.office_answers import (
    NO_STORE,
    answered,
    json_answer,
    missing,
    read_route,
    said,
    wrong,
)
from terminal.collector.office_pages import OfficePages
from terminal.collector.office_rights import OfficeReading, alarms_of
from terminal.collector.office_says import OfficeAnswer, OfficeCode
from terminal.collector.page_routes import PageSide
from terminal.collector.ride import NoSuchCode, find_ride, row_named
from terminal.collector.users import Who
from terminal.collector.views import OperatorViews
from terminal.decoding import decode_json
from terminal.operations.text_format import CONTENT_TYPE, render
from terminal.texts import languages

METRICS_PATH: Final = "/metrics"
MOST_ALARMS: Final = 10**12
DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
MAX_BODY_BYTES: Final = 4_096
REPORT_CATCH_UP_S: Final = 2.0


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
    files: ErasureFiles
    """What the office has beside its database."""
    tls_before: bool = False
    """Whether a proxy serves browsers over TLS."""

    def mount(self) -> Mount:
        pages = PageSide(self.views, self.books, self.office, self.clock, self.files.denials)
        forms = OfficePages(self.office, self.views, self.entrance, pages.home, self.tls_before, self.files)
        routes: list[BaseRoute] = [
            *pages.routes(),
            *forms.routes(),
            read_route(self.office, "/v1/status", OfficeReading.STATUS, self.status),
            read_route(self.office, "/v1/report", OfficeReading.SUMS, self.report),
            read_route(self.office, "/v1/terminals", OfficeReading.TERMINALS, self.terminals),
            Route("/v1/terminals/{terminal}/enrolment", self.enrolment, methods=["POST"]),
            Route("/v1/terminals/{terminal}/key", self.revoke, methods=["DELETE"]),
            read_route(self.office, "/v1/alarms", OfficeReading.ALARMS, self.alarms),
            read_route(self.office, "/v1/strangers", OfficeReading.STRANGERS, self.strangers),
            read_route(self.office, "/v1/trials", OfficeReading.TRIALS, self.trials),
            read_route(self.office, "/v1/shadows", OfficeReading.STAGED, self.shadows),
            Route("/v1/alarms/{alarm}/acknowledgement", self.acknowledge, methods=["POST"]),
            read_route(self.office, "/v1/requests", OfficeReading.REQUESTS, self.requests),
            Route("/v1/requests/{request}/confirmation", self.confirm, methods=["POST"]),
            Route("/v1/requests/{request}", self.reject, methods=["DELETE"]),
            read_route(self.office, "/v1/staged", OfficeReading.STAGED, self.staged),
            Route("/v1/roll-out", self.roll_out, methods=["POST"]),
            read_route(self.office, "/v1/operations", OfficeReading.OPERATIONS, self.operations),
            read_route(self.office, "/v1/rides/{code}", OfficeReading.RIDES, self.ride),
            read_route(self.office, "/v1/days", OfficeReading.SUMS, self.days),
            read_route(self.office, "/v1/days/{day}", OfficeReading.SUMS, self.day),
        ]
        mount = Mount(PREFIX, routes=routes)
        mount.app = OfficeGuard(mount.app, self.entrance)
        return mount

    def metrics_route(self) -> Route:
        guard = Middleware(OfficeGuard, self.entrance)
        return Route(METRICS_PATH, self.metrics, methods=["GET"], middleware=[guard])

    async def metrics(self, _: Request) -> Response:
        page = await answered(
            lambda: render(collector_metrics(self.views, self.gate.callers, self._now_ms()))
        )
        return page if isinstance(page, Response) else Response(page, media_type=CONTENT_TYPE)

    async def status(self, _: Request) -> Response:
        return await json_answer(lambda: self.views.status(self._now_ms()))

    async def report(self, _: Request) -> Response:
        def work() -> object:
            self.books.catch_up_with(REPORT_CATCH_UP_S, self.clock.monotonic)
            report = self.views.report()
            return {
                "total": report.total,
                "terminals": report.terminals,
                "alarms": [{**alarm._asdict(), "says": alarm.says()} for alarm in report.alarms],
                "behind": report.behind,
                "orders": report.orders,
            }

        return await json_answer(work)

    async def terminals(self, _: Request) -> Response:
        return await json_answer(lambda: self.views.terminals(self._now_ms()))

    async def enrolment(self, request: Request) -> Response:
        terminal, who = _number(request.path_params["terminal"]), visitor_of(request).who
        if terminal is None:
            return missing("There is no such terminal number.")
        made = await answered(lambda: self.office.make_code(who, terminal))
        if isinstance(made, Response) or made.says is not OfficeCode.DONE:
            return said(made)
        good_until_ms = self._now_ms() + CODE_GOOD_MS
        return await json_answer(
            lambda: {"terminal": terminal, "code": made.code, "good_until_ms": good_until_ms}, 201
        )

    async def revoke(self, request: Request) -> Response:
        terminal, who = _number(request.path_params["terminal"]), visitor_of(request).who
        if terminal is None:
            return missing("There is no such terminal number.")
        return said(await answered(lambda: self.office.revoke(who, terminal)))

    async def alarms(self, request: Request) -> Response:
        query = _query(request, AlarmQuery)
        if isinstance(query, Response):
            return query

        def work() -> object:
            kinds = alarms_of(visitor_of(request).who)
            found = self.views.store.alarms(query.limit, only_open=query.open, kinds=kinds)
            return [{**alarm._asdict(), "says": alarm.says(), "open": alarm.open} for alarm in found]

        return await json_answer(work)

    async def trials(self, _: Request) -> Response:
        return await json_answer(lambda: [one._asdict() for one in self.views.ledger.groups()])

    async def shadows(self, _: Request) -> Response:
        return await json_answer(lambda: [one._asdict() for one in self.views.ledger.shadows()])

    async def strangers(self, _: Request) -> Response:
        return await json_answer(
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
            return wrong(f"Say how it was dealt with: {error}.")
        if number is None:
            return missing("There is no such alarm.")
        who = visitor_of(request).who
        return said(await answered(lambda: self.office.acknowledge(who, number, word.comment)))

    async def requests(self, request: Request) -> Response:
        who = visitor_of(request).who
        return await json_answer(lambda: [one._asdict() for one in self.office.waiting(who)])

    async def confirm(self, request: Request) -> Response:
        return await self._decided(request, self.office.confirm)

    async def reject(self, request: Request) -> Response:
        return await self._decided(request, self.office.reject)

    async def _decided(self, request: Request, decide: Callable[[Who, int], OfficeAnswer]) -> Response:
        number, who = _number(request.path_params["request"], MOST_ALARMS), visitor_of(request).who
        if number is None:
            return missing("There is no such request.")
        return said(await answered(lambda: decide(who, number)))

    async def staged(self, _: Request) -> Response:
        def work() -> object:
            found = self.office.staged()
            return {"digest": "", "changes": ()} if found is None else found._asdict()

        return await json_answer(work)

    async def roll_out(self, request: Request) -> Response:
        who = visitor_of(request).who
        return said(await answered(lambda: self.office.roll_out(who)))

    async def operations(self, request: Request) -> Response:
        query = _query(request, OperationQuery)
        if isinstance(query, Response):
            return query
        return await json_answer(
            lambda: [one._asdict() for one in self.views.store.operations(limit=query.limit)]
        )

    async def ride(self, request: Request) -> Response:
        """One tap, by its support code or TERMINAL:ROW."""
        query = _query(request, RideQuery)
        if isinstance(query, Response):
            return query
        try:
            row = row_named(request.path_params["code"])
        except NoSuchCode as error:
            return missing(error.advice)
        if query.language not in languages():
            return wrong(f"Give a language: {', '.join(languages())}.")

        def work() -> Response:
            found = find_ride(self.views.store, row)
            if found is None:
                return missing("No such tap has come to the collector.")
            return Response(
                msgspec.json.encode(found.as_json(query.language, self.views.books.calendar().zone)),
                200,
                NO_STORE,
                JSON,
            )

        return await answered(work)

    async def days(self, _: Request) -> Response:
        return await json_answer(self.views.books.days)

    async def day(self, request: Request) -> Response:
        query = _query(request, DayQuery)
        if isinstance(query, Response):
            return query
        day = request.path_params["day"]
        if not DAY.fullmatch(day):
            return wrong("Give a service day like 2026-09-15.")

        def work() -> object:
            self.books.catch_up_with(REPORT_CATCH_UP_S, self.clock.monotonic)
            return self.views.day(day, query.by)

        return await json_answer(work)

    def _now_ms(self) -> int:
        return unix_ms(self.clock.now())


Q = TypeVar("Q", DayQuery, AlarmQuery, OperationQuery, RideQuery)


def _query(request: Request, kind: type[Q]) -> Q | Response:
    """The query of a request as `kind`, or the refusal."""
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as error:
        return wrong(f"Correct the query: {error}.")


def _number(text: str, most: int = LARGEST_TERMINAL) -> int | None:
    """A number of a terminal or an alarm in a path."""
    plain = text.isascii() and text.isdecimal() and len(text) <= 15
    return int(text) if plain and 1 <= int(text) <= most else None
