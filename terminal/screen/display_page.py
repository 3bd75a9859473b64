"""The page of the passenger display, which shows and sounds what the tap says, readable from afar.

    routes = display_routes(display, DisplaySettings("ru"))   # "/" and "/events"; mountable under any prefix

What is shown is the message and the values it names, nothing else of the tap: no balance, no category, no name
(D-08). At a canteen's counter, where classmates look on, messages about money or health become *please ask* (M-38).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from terminal.access.sessions import is_foreign
from terminal.decision.outcome import Message, Outcome
from terminal.messages import SOUNDS, Colour, colour, sound, text
from terminal.screen.display import Display, DisplaySettings, DisplayState, Shown
from terminal.screen.page import Pages
from terminal.screen.stream import event_stream
from terminal.screen.touch import MOST_BODY_BYTES, OUT_OF_DATE, PassengerTouch, TouchRefused
from terminal.texts import N_, translator

UNPRINTABLE: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and marks that turn the direction of what follows: a document's word must not reorder others."""

NEXT_RIDE: Final = "next-ride"
"""Where the form of a press goes."""
FORM: Final = "application/x-www-form-urlencoded"
DisplayPage: TypeAlias = Callable[..., Response]

REPLAY: Final = 4
"""A page that is loaded between a result and its end shows the rest of it: card, result, support code, removal."""

ASK: Final = N_("Please ask at the counter")
"""In place of a message that would show bystanders a pupil's money or health, and always in the same colour."""

ASKS: Final = Colour.YELLOW

DISCREET: Final = frozenset(
    {
        Message.NO_FUNDS,
        Message.DEBT,
        Message.DENY_LIST,
        Message.MEAL_LIMIT,
        Message.MEAL_FORBIDDEN,
        Message.MEAL_NOT_ARRANGED,
        Message.NOT_ON_SITE,
        Message.BENEFIT_EXPIRED,
        Message.BENEFIT_OUT_OF_SEASON,
        Message.BENEFIT_NOT_CHECKED,
        Message.CREDENTIAL_EXPIRED,
        Message.CREDENTIAL_NOT_TRUSTED,
        Message.LIMIT_REACHED,
        Message.PACK_USED_UP,
        Message.PACK_LAPSED,
        Message.COUNT_UNREADABLE,
        Message.PASS_USED_UP,
    }
)


def display_routes(display: Display, settings: DisplaySettings) -> list[BaseRoute]:
    """The page at `/`, its events at `/events`, its files. Raises `TerminalError` for a language without texts."""
    pages = Pages()
    for language in (settings.language, settings.second):
        if language:
            translator(language)

    spoken = tuple(language for language in (settings.language, settings.second) if language)

    def page(request: Request, status: int = 200, problem: str = "") -> Response:
        touch = display.touch
        return pages.page(
            request,
            "display.html",
            settings.language,
            status,
            second=settings.second,
            rest=_rest(settings),
            spoken=spoken,
            touch=None if touch is None else touch.shown(spoken),
            problem=[translator(language).gettext(problem) for language in spoken] if problem else [],
        )

    async def show(request: Request) -> Response:
        return await run_in_threadpool(page, request)

    async def ask(request: Request) -> Response:
        return await asked_of(request, display.touch, page)

    async def events(request: Request) -> Response:
        return event_stream(
            request,
            display.feed,
            lambda shown: _encoded(shown, display, settings),
            quiet_ms=display.quiet_ms,
            replay=REPLAY,
        )

    next_ride = Route(f"/{NEXT_RIDE}", ask, methods=["POST"])
    return [Route("/", show), Route("/events", events), next_ride, pages.static]


async def to_display(_request: Request, _error: Exception) -> Response:
    """For an address that is none of the display's: a kiosk is never left without it."""
    return RedirectResponse("/", 303)


async def asked_of(request: Request, touch: PassengerTouch | None, page: DisplayPage) -> Response:
    """The answer to a press: always the display's page, so that a kiosk is never left without it.

    Where nothing is offered, nothing is there. A form of another site's page gets no further than its `Origin`.
    """
    if touch is None or not await run_in_threadpool(lambda: touch.offered):
        return Response(status_code=404)
    body = await _small_body(request)
    if body is None or is_foreign(request.headers):
        return await run_in_threadpool(page, request, 403, OUT_OF_DATE)
    try:
        await run_in_threadpool(touch.take, body)
    except TouchRefused as refused:
        return await run_in_threadpool(page, request, refused.status, refused.text)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/", 303)


async def _small_body(request: Request) -> bytes | None:
    """The form sent with the request; None for anything longer than one of ours, or of another kind."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return None
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            return None
    return body


IDLE_TEXT: Final = N_("Tap your card")
CARD_TEXT: Final = N_("Hold the card still")
RAZZIA_TEXT: Final = N_("Ticket inspection")
CODE_TEXT: Final = N_("Support code")


def _rest(settings: DisplaySettings) -> dict[str, tuple[str, str]]:
    """What is shown without a result: in both languages, the second one may be empty."""
    first, second = settings.language, settings.second
    plain = {"idle": IDLE_TEXT, "card": CARD_TEXT, "razzia": RAZZIA_TEXT}
    texts = {
        name: (translator(first).gettext(line), translator(second).gettext(line) if second else "")
        for name, line in plain.items()
    }
    fault = Message.OUT_OF_ORDER
    texts["fault"] = (text(fault, first), text(fault, second) if second else "")
    return texts


def _encoded(shown: Shown, display: Display, settings: DisplaySettings) -> Mapping[str, Any]:
    """One change for the page."""
    shown_values: dict[str, Any] = {
        "state": shown.state,
        "age_ms": display.age_ms(shown),
        "razzia": display.razzia,
    }
    if shown.state is DisplayState.FAULT:
        return shown_values | {"sound": sound(Message.OUT_OF_ORDER)._asdict()}
    if shown.state is DisplayState.CODE:
        said = (translator(one).gettext(CODE_TEXT) for one in (settings.language, settings.second) if one)
        return shown_values | {"label": " · ".join(said), "code": shown.code}
    if shown.outcome is None:
        return shown_values
    message = shown.outcome.message
    asks = settings.discreet and message in DISCREET
    lines = [
        translator(language).gettext(ASK) if asks else _line(shown.outcome, language)
        for language in (settings.language, settings.second)
        if language
    ]
    shade = ASKS if asks else colour(message)
    return shown_values | {
        "colour": shade,
        "lines": lines,
        "sound": SOUNDS[shade]._asdict(),
        "hold_ms": min(1500 + 40 * len(lines[0]), 4500),
    }


def _line(outcome: Outcome, language: str) -> str:
    return UNPRINTABLE.sub("", text(outcome.message, language, outcome.values))
