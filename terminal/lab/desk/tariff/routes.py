"""The addresses of the tariff playground. It keeps nothing: every order brings the texts it is about."""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from terminal.lab.desk.orders import (
    Handler,
    json_answer,
    order_handler,
    page_language,
    with_problem_response,
)
from terminal.lab.desk.tariff.judge import LONGEST_TEXT, TariffOrder
from terminal.lab.desk.tariff.judges import Judges
from terminal.lab.desk.tariff.library import TariffLibrary
from terminal.lab.desk.tariff.words import tariff_words
from terminal.lab.desk.words import region_title
from terminal.screen.page import Pages
from terminal.texts import FIRST, languages

LONGEST_ORDER: Final = 8 * LONGEST_TEXT
"""Three texts and a story, as JSON."""


class TariffRoutes:
    """Handlers over the processes that judge; `routes` is what the desk's app adds to its own."""

    def __init__(self, pages: Pages, judges: Judges, library: TariffLibrary) -> None:
        self._pages = pages
        self._judges = judges
        self._library = library

    @property
    def routes(self) -> list[BaseRoute]:
        reads: dict[str, Handler] = {"/tariff": self._page, "/api/tariff/documents": self._documents}
        judge = order_handler(TariffOrder, self._judge, LONGEST_ORDER)
        return [
            *(
                Route(path, with_problem_response(handler), methods=["GET"])
                for path, handler in reads.items()
            ),
            Route("/api/tariff", with_problem_response(judge), methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        await run_in_threadpool(self._judges.warm_up)
        language = page_language(request, FIRST[0])
        names = await run_in_threadpool(self._library.names)
        return self._pages.page(
            request,
            "tariff.html",
            language,
            words=tariff_words(language),
            languages=languages(),
            documents=[(name, region_title(name, language)) for name in names],
        )

    async def _documents(self, request: Request) -> Response:
        name = request.query_params.get("name", "")
        return json_answer(await run_in_threadpool(self._library.document, name))

    def _judge(self, order: TariffOrder) -> Any:
        return self._judges.ask(order)
