"""The office's pages: the day at a glance, one ride, the carriers' settlement."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from terminal.access.sessions import proof_of_form
from terminal.clock import Clock, unix_ms
from terminal.collector import page
from terminal.collector.books_reader import FollowingBooks
from terminal.collector.card_rides import CARD_REF, around, card_statement, rides_on
from terminal.collector.denying import CardDenials
from terminal.collector.entrance import refusal, visitor_of
from terminal.collector.erasing import was_erased
from terminal.collector.issuing_asking import OrderView, order_view, orders_of_card
from terminal.collector.issuing_orders import IssuingState
from terminal.collector.office import Office
from terminal.collector.office_answers import NO_STORE, answered, missing, read_route
from terminal.collector.office_pages import language_of, remember_language
from terminal.collector.office_rights import OfficeReading, readings_of
from terminal.collector.office_says import ANSWERS, OfficeCode
from terminal.collector.page_parts import HEADERS, PageTexts, page_texts, response
from terminal.collector.ride import MISREAD, NOT_COME, NoSuchCode, find_ride, row_named
from terminal.collector.settlement.page import LinesBy, settlement_page
from terminal.collector.settlement.periods import MONTH
from terminal.collector.settlement.tables import as_csv, as_workbook
from terminal.collector.statement_text import statement_lines
from terminal.collector.store import read_only
from terminal.collector.users import OfficeRole
from terminal.collector.views import OperatorViews
from terminal.export.workbook import XLSX
from terminal.texts import N_

DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
TIME: Final = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")
MINUTES: Final = 15
"""How far from the time a passenger names rides are shown."""
NOTHING_ASKED: Final = N_("Give a card reference of 16 digits, or a day, a route and a time.")
NO_RIDES: Final = N_("No ride on that route around that time has come to the collector.")
MOST_ORDERS: Final = 50
"""Orders for cards whose later records are looked at, the newest; the command looks at all."""
CATCH_UP_S: Final = 2.0
MOST_STREAMS: Final = 32
"""Pages that hear of news at once; one more is renewed when it is loaded again."""
LOOK_S: Final = 0.5
SIGNS_OF_LIFE: Final = 30
LOOKS: Final = 1_200
"""After ten minutes a page asks anew, and its session is looked at again."""


@dataclass(frozen=True, slots=True)
class PageSide:
    """What the pages for people work with."""

    views: OperatorViews
    books: FollowingBooks
    office: Office
    clock: Clock
    denials: CardDenials | None = None
    streams: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(MOST_STREAMS))

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self.home, methods=["GET"]),
            read_route(self.office, "/events", OfficeReading.STATUS, self.events),
            read_route(self.office, "/ride", OfficeReading.RIDES, self.ride),
            read_route(self.office, "/rides", OfficeReading.RIDES, self.rides),
            read_route(self.office, "/settlement", OfficeReading.SUMS, self.settlement),
            read_route(self.office, "/settlement/{file}", OfficeReading.SUMS, self.settlement_file),
        ]

    async def home(self, request: Request, notice: str = "", status: int = 200) -> Response:
        """The page as its visitor sees it, with what came of what was done."""

        def work() -> str:
            visitor, now_ms = visitor_of(request), self._now_ms()
            reads, day = readings_of(visitor.who), request.query_params.get("day", "")
            sight = page.Sight(
                visitor.who,
                language_of(request),
                proof_of_form(visitor.session) if visitor.session else "",
                reads,
                self.office.waiting(visitor.who),
                self.office.staged() if visitor.session and OfficeReading.STAGED in reads else None,
                notice,
                day if DAY.fullmatch(day) else "",
                self._orders(language_of(request)) if OfficeReading.RIDES in reads else (),
                self.denials is not None,
            )
            return page.render(self.views, now_ms, sight)

        answer = await answered(work)
        if isinstance(answer, Response):
            return answer
        return remember_language(request, response(answer, status))

    def _orders(self, language: str) -> tuple[str, ...]:
        """What was approved for cards and is not done, or where later records took more."""
        orders = self.office.orders()
        older = [OrderView(one, 0, 0) for one in orders[:-MOST_ORDERS]]
        newest = [order_view(self.views, orders, one) for one in orders[-MOST_ORDERS:]]
        return tuple(
            one.says(language)
            for one in older + newest
            if one.order.state in (IssuingState.OPEN, IssuingState.BEGUN) or one.later_minor
        )

    async def events(self, _: Request) -> Response:
        """A word whenever something has come, for the page to renew itself."""
        if self.streams.borrowed_tokens >= MOST_STREAMS:
            return refusal(503, "unavailable", "Too many pages are open. Load this one again now and then.")
        return StreamingResponse(self._news(), headers=NO_STORE, media_type="text/event-stream")

    async def _news(self) -> AsyncIterator[bytes]:
        databases = (self.views.store.path, self.views.books.path)
        with ExitStack() as open_ones:
            async with self.streams:
                readers = [open_ones.enter_context(closing(read_only(path))) for path in databases]
                seen, yield_at = _versions(readers), 0
                yield b"retry: 2000\n\n"
                for look in range(LOOKS):
                    now = _versions(readers)
                    if now != seen:
                        seen, yield_at = now, look
                        yield b"data: changed\n\n"
                    elif look - yield_at >= SIGNS_OF_LIFE:
                        yield_at = look
                        yield b": here\n\n"
                    await anyio.sleep(LOOK_S)

    async def ride(self, request: Request) -> Response:
        """One tap, by its support code or row."""
        written = request.query_params.get("code", "")

        def work() -> Response:
            words = self._words(request)
            _ = words.gettext
            try:
                found = find_ride(self.views.store, row_named(written))
            except NoSuchCode:
                return response(page.ride_page(words, "", (_(MISREAD),)), 404)
            if found is None:
                return response(page.ride_page(words, "", (_(NOT_COME),)), 404)
            return response(page.ride_page(words, found.code, found.says(words.language, words.zone)))

        return remember_language(request, await answered(work))

    async def rides(self, request: Request) -> Response:
        """The rides of a card, or of a route around a time of day."""
        asked = request.query_params
        card, day, route, at = (asked.get(name, "").strip() for name in ("card", "day", "route", "at"))

        def work() -> Response:
            words = self._words(request)
            if CARD_REF.fullmatch(card.lower()):
                named = bytes.fromhex(card.lower())
                if was_erased(self.office, named):
                    return response(page.rides_page(words, (words.gettext(ANSWERS[OfficeCode.ERASED]),)))
                statement = card_statement(self.views, named)
                orders = orders_of_card(self.views, self.office.orders(), named)
                account = (
                    *statement_lines(statement, card.lower(), words.language, words.zone),
                    *(one.says(words.language) for one in orders),
                )
                return response(page.rides_page(words, account))
            if not (DAY.fullmatch(day) and route.isdecimal() and len(route) <= 5 and TIME.fullmatch(at)):
                return response(page.rides_page(words, (words.gettext(NOTHING_ASKED),)), 404)
            since, until = around(datetime.fromisoformat(f"{day}T{at}"), MINUTES)
            found = list(rides_on(self.views, int(route), day, since, until))
            lines = (line for one in found for line in (*one.says(words.language, words.zone), one.code, ""))
            return response(page.rides_page(words, lines if found else (words.gettext(NO_RIDES),)))

        return remember_language(request, await answered(work))

    async def settlement(self, request: Request) -> Response:
        """A month with its carriers."""
        month, by = request.query_params.get("month", ""), request.query_params.get("by", "")

        def work() -> Response:
            self.books.catch_up_with(CATCH_UP_S, self.clock.monotonic)
            settlement, visitor = self.office.settlement, visitor_of(request)
            months = settlement.months()
            asked = month if MONTH.fullmatch(month) else months[0][0] if months else ""
            may_close = visitor.session and OfficeRole.MONEY in visitor.who.roles
            html = settlement_page(
                self._words(request),
                months,
                settlement.month(asked) if asked else None,
                settlement.carriers,
                LinesBy(by) if by in list(LinesBy) else LinesBy.CARRIER,
                proof_of_form(visitor.session) if may_close else "",
                self.views.orders_of(asked) if asked else [],
            )
            return response(html)

        return remember_language(request, await answered(work))

    async def settlement_file(self, request: Request) -> Response:
        """A month as CSV or XLSX."""
        month, _, kind = request.path_params["file"].partition(".")
        if not MONTH.fullmatch(month) or kind not in ("csv", "xlsx"):
            return missing("Give a month like 2026-09.csv or 2026-09.xlsx.")

        def work() -> Response:
            settlement = self.office.settlement
            statement, book = settlement.month(month), settlement.carriers
            if kind == "csv":
                content, media_type = as_csv(statement, book), "text/csv; charset=utf-8"
            else:
                content, media_type = as_workbook(statement, book, language_of(request)), XLSX
            named = {"content-disposition": f'attachment; filename="settlement-{month}.{kind}"'}
            return Response(content, 200, HEADERS | named, media_type)

        return await answered(work)

    def _words(self, request: Request) -> PageTexts:
        return page_texts(language_of(request), self.views.books.calendar().zone)

    def _now_ms(self) -> int:
        return unix_ms(self.clock.now())


def _versions(readers: list[sqlite3.Connection]) -> list[int]:
    """Another one as soon as anything was written to a database by anyone else."""
    return [reader.execute("PRAGMA data_version").fetchone()[0] for reader in readers]
