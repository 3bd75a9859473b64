"""How the office's routes answer: work in a thread, refusals as programs read them, and reading for those who may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.collector.entrance import refusal, visitor_of
from terminal.collector.identity_routes import JSON
from terminal.collector.office import Office
from terminal.collector.office_rights import OfficeReading
from terminal.collector.office_says import ANSWERS, OfficeAnswer, OfficeCode
from terminal.errors import CollectorError, DocumentError

NO_STORE: Final = {"cache-control": "no-store"}
T = TypeVar("T")


def read_route(
    office: Office, path: str, reading: OfficeReading, answer: Callable[[Request], Awaitable[Response]]
) -> Route:
    """What is answered to those alone who may read it."""

    async def asked(request: Request) -> Response:
        may = await answered(lambda: office.may_read(visitor_of(request).who, reading))
        if isinstance(may, Response):
            return may
        return await answer(request) if may else said(OfficeAnswer(OfficeCode.NOT_FOR_ROLE))

    return Route(path, asked, methods=["GET"])


async def answered(work: Callable[[], T]) -> T | Response:
    """What `work` returns, or the response for a store that fails."""
    try:
        return await anyio.to_thread.run_sync(work)
    except (CollectorError, DocumentError) as error:
        return refusal(503, "unavailable", error.advice)


async def json_answer(work: Callable[[], object], status: int = 200) -> Response:
    encoded = await answered(lambda: msgspec.json.encode(work()))
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


def said(answer: OfficeAnswer | Response) -> Response:
    """What the office answers, for programs."""
    if isinstance(answer, Response):
        return answer
    if answer.says is OfficeCode.WAITS:
        return Response(msgspec.json.encode({"request": answer.number}), 202, media_type=JSON)
    status = STATUS.get(answer.says, 409)
    return Response(status_code=204) if status == 204 else refusal(status, answer.says, ANSWERS[answer.says])


wrong: Final[Callable[[str], Response]] = partial(refusal, 400, "malformed")
missing: Final[Callable[[str], Response]] = partial(refusal, 404, "not_found")
