"""What the display shows during a first run: the one-time code, and the way to the pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.screen.console import web as console_web
from terminal.screen.display_page import to_display
from terminal.screen.page import Pages
from terminal.screen.setup.code import SetupCode
from terminal.screen.stream import event_stream

HERE: Final = Path(__file__).parent


def code_app(code: SetupCode, language: Callable[[], str], setup_url: str) -> Starlette:
    """The display's application; its way to the pages is for a terminal with one screen."""
    rendered = Pages(HERE, console_web.HERE)

    def shown(request: Request) -> Response:
        digits = code.shown
        return rendered.page(
            request,
            "setup/display.html",
            language(),
            digits=digits,
            left_ms=int(1000 * code.left_s) + 500,
            after=code.feed.position,
            setup=setup_url,
        )

    async def show(request: Request) -> Response:
        return await run_in_threadpool(shown, request)

    async def events(request: Request) -> Response:
        return event_stream(request, code.feed, str)

    routes = [Route("/", show), Route("/events", events), rendered.static]
    return Starlette(routes=routes, exception_handlers={404: to_display, 405: to_display})
