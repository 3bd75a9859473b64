"""A phone's page beside the desk: it lies on the shelf once its page is held there, and its key stays in the page.

/phone/             the page of `sim phone`, with an issuer that signs by the desk's day and for its region
/phone/field        what the desk's readers ask, and what the page answers
/phone/clock        the desk's time, in seconds since 1970: a phone goes by the network's, and here that is the desk's
"""

from __future__ import annotations

from datetime import date
from http import HTTPStatus
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sim.desk.face import CardGroup, Face
from sim.desk.shelf import Laid
from sim.phone_page.nearby import NearbyPhone
from sim.phone_page.serve import LaboratoryIssuer, PhoneAnswer, phone_file, phone_order
from sim.profile import Description, load_profile
from terminal.lab.desk.session import DeskSession

NAME: Final = "phone_in_browser"
PROFILE: Final = "phone_pensioner"
LONGEST_ORDER: Final = 4_000


class BrowserPhone:
    """Its addresses over one session."""

    def __init__(self, session: DeskSession) -> None:
        self._session = session
        self._nearby = NearbyPhone()
        title = Description(ru="Телефон в браузере", en="Phone in the browser")
        self._laid = Laid(Face(NAME, CardGroup.RIGHTS, title, "NFC"), self._nearby)

    @property
    def routes(self) -> list[BaseRoute]:
        """What an app is made of."""
        return [
            Route("/phone/clock", self._clock, methods=["GET"]),
            Route("/phone/{name:path}", self._file, methods=["GET"]),
            Route("/phone/{name:path}", self._order, methods=["POST"]),
        ]

    async def _file(self, request: Request) -> Response:
        return _response(phone_file(f"/{request.path_params['name']}"))

    async def _clock(self, _request: Request) -> Response:
        return Response(str(int(self._session.town.clock.now().timestamp())), media_type="text/plain")

    async def _order(self, request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST_ORDER:
                return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return Response(status_code=HTTPStatus.FORBIDDEN)
        name = f"/{request.path_params['name']}"
        return _response(await run_in_threadpool(self._ordered, name, body.decode("latin-1")))

    def _ordered(self, name: str, text: str) -> PhoneAnswer:
        if name == "/field":
            self._session.lay(self._laid)
        return phone_order(name, text, self._issuer(), self._nearby)

    def _issuer(self) -> LaboratoryIssuer:
        town = self._session.town

        def today() -> date:
            return town.clock.now().astimezone(town.policy.zone).date()

        return LaboratoryIssuer(load_profile(PROFILE), town.policy.document.header.region, today)


def _response(answer: PhoneAnswer) -> Response:
    return Response(answer.body, answer.status, media_type=answer.kind)
