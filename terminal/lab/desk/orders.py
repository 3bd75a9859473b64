"""What every request to the desk passes: it comes from the desk's own page, is bounded, and gets JSON for an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from terminal.decoding import decode_json
from terminal.errors import TerminalError
from terminal.lab.desk.refusals import DeskFault, DeskRefused, worded
from terminal.lab.desk.words import LANGUAGES

LONGEST_BODY: Final = 1_000_000
Handler = Callable[[Request], Awaitable[Response]]
T = TypeVar("T", bound=Struct)


def order_handler(kind: type[T], act: Callable[[T], Any], longest: int = LONGEST_BODY) -> Handler:
    """A handler of POST: the body, at most `longest` bytes of JSON, goes to `act` as a `kind`, in a thread.

    What `act` returns is the answer: bytes as they are, other values as JSON.
    """

    async def take(request: Request) -> Response:
        if _foreign(request):
            return refused(403, DeskRefused(DeskFault.FOREIGN), page_language(request))
        order = decode_json(await _body(request, longest), kind)
        return json_answer(await run_in_threadpool(act, order) or {})

    return take


def with_problem_response(handler: Handler) -> Handler:
    """Errors become a JSON answer: what went wrong, and advice, in the page's language."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except TerminalError as error:
            return refused(409, error, page_language(request))
        except (msgspec.MsgspecError, ValueError) as error:
            unclear = DeskRefused(DeskFault.NOT_UNDERSTOOD, error=str(error))
            return refused(400, unclear, page_language(request))

    return answer


def refused(status: int, error: TerminalError, language: str) -> Response:
    """The answer to a request that cannot be served."""
    what, advice = worded(error, language)
    return Response(
        msgspec.json.encode({"problem": what, "advice": advice}), status, media_type="application/json"
    )


def json_answer(value: Any) -> Response:
    """`value` as JSON; bytes are JSON already."""
    content = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return Response(content, media_type="application/json")


def download(text: str, name: str, kind: str) -> Response:
    """A file to be kept."""
    return PlainTextResponse(
        text, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def page_language(request: Request, otherwise: str = LANGUAGES[0]) -> str:
    """The language asked for in the address."""
    wanted = request.query_params.get("language", "")
    return wanted if wanted in LANGUAGES else otherwise


def number_asked(request: Request, name: str, otherwise: int = 0) -> int:
    """A number in the address, `otherwise` where there is none."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else otherwise


def _foreign(request: Request) -> bool:
    """Whether another site's page may have sent this."""
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    from_elsewhere = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    is_json = request.headers.get("content-type", "").partition(";")[0] == "application/json"
    return (origin is not None and origin != own) or from_elsewhere or not is_json


async def _body(request: Request, longest: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > longest:
            raise msgspec.ValidationError("the order is too long")
    return bytes(body)
