"""The desk's addresses: pages, what they ask for, and every button as one POST.

The desk carries out every request, so it takes them from its own page only: besides the loopback host that
every screen asks for, a request that changes something must be JSON and must not come from another page
(`Origin`, `Sec-Fetch-Site`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, structs
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from cardproto.resident.limits import LARGEST_ROUTE
from sim.desk.disturbance import MOST_EXCHANGES, Disturbance, Mishap
from sim.desk.face import art
from sim.desk.trace import masked_tap
from sim.transcript import Transcript, lines_of
from terminal.lab.desk.bus import OnBoard
from terminal.lab.desk.devices import Hands
from terminal.lab.desk.orders import (
    Handler,
    download,
    json_answer,
    number_asked,
    order_handler,
    page_language,
    refused,
    with_problem_response,
)
from terminal.lab.desk.passengers import Passengers
from terminal.lab.desk.phone import BrowserPhone
from terminal.lab.desk.refusals import DeskFault, DeskRefused
from terminal.lab.desk.rows import journal_as_json
from terminal.lab.desk.scenario import scenario_of
from terminal.lab.desk.session import BusMove, DeskSession
from terminal.lab.desk.storm import StormWatch
from terminal.lab.desk.tariff.judges import Judges
from terminal.lab.desk.tariff.library import TariffLibrary
from terminal.lab.desk.tariff.routes import TariffRoutes
from terminal.lab.desk.view import desk_as_json, tap_as_json, trace_as_json
from terminal.lab.desk.words import LANGUAGES, KnownLanguage, words
from terminal.screen.feed import EventFeed
from terminal.screen.page import Pages
from terminal.screen.stream import event_stream
from terminal.trip.asked import MOST_COMPANIONS

HERE: Final = Path(__file__).parent / "pages"
TRACE_ROWS: Final = 400
LONGEST_CODE: Final = 1000
LONGEST_NUMBER: Final = 10
"""Digits of a tap's number; Python refuses to read thousands of them."""
STEPS: Final = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
Name = Annotated[str, Meta(max_length=80)]


class TapOrder(Struct, forbid_unknown_fields=True):
    """A card on a terminal."""

    card: Name
    place: Name
    mishap: Mishap = Mishap.NONE
    exchange: Annotated[int, Meta(ge=1, le=MOST_EXCHANGES)] = 1
    language: KnownLanguage = "en"
    """Of the answer, which is the whole tap: a page shows it without asking again."""


class ClockOrder(Struct, forbid_unknown_fields=True):
    """One of the two."""

    advance: Literal["second", "minute", "hour", "day"] | None = None
    set: datetime | None = None
    jump: bool = False
    """The clock goes wrong: terminals find it in doubt."""


class SwitchOrder(Struct, forbid_unknown_fields=True):
    """What is not named stays as it is."""

    network: bool | None = None
    collector: bool | None = None


class ShiftOrder(Struct, forbid_unknown_fields=True):
    """Open a shift on a route, or close the open one."""

    place: Name
    open: bool
    route: Annotated[int, Meta(ge=0, le=LARGEST_ROUTE)] = 0
    direction: Annotated[int, Meta(ge=0, le=1)] = 0


class BusOrder(Struct, forbid_unknown_fields=True):
    """What the driver does, what the on-board computer does, or both."""

    move: BusMove | None = None
    computer: OnBoard | None = None
    razzia: bool | None = None


class RideOrder(Struct, forbid_unknown_fields=True):
    """What the conductor says of the next card; what is not named stays as it is."""

    place: Name
    more: Annotated[int, Meta(ge=-MOST_COMPANIONS, le=MOST_COMPANIONS)] = 0
    goal: Name | None = None


class DeviceOrder(Struct, forbid_unknown_fields=True):
    """What a hand does to the devices around the driver's terminal; what is not named stays as it is."""

    passes: bool = False
    forced: bool | None = None
    scan: Annotated[str, Meta(min_length=1, max_length=LONGEST_CODE)] | None = None
    supply: bool | None = None
    housing: bool | None = None
    paper: bool | None = None
    phone: Name | None = None
    """A phone of the shelf whose code is held before the scanner."""
    printed: bool = False
    """With `phone`: its holder's code on paper instead."""
    holder: bool = False
    """The driver says that it is the holder whose printed code waits."""


OF_CODES: Final = frozenset({"phone", "printed", "holder"})
"""What of a `DeviceOrder` no hand does to a device."""


class DocumentOrder(Struct, forbid_unknown_fields=True):
    """A document's text; without it the file is read again."""

    text: str | None = None


class ResetOrder(Struct, forbid_unknown_fields=True):
    """A new session, perhaps in another region."""

    region: Name | None = None


class StormOrder(Struct, forbid_unknown_fields=True):
    """A storm to start."""

    seed: Annotated[int, Meta(ge=0, le=2**31)] = 1
    taps: Annotated[int, Meta(ge=1, le=1_000_000)] = 5000


class DeskRoutes:
    """Handlers over one session; `routes` is what an app is made of."""

    def __init__(
        self,
        session: DeskSession,
        passengers: Passengers,
        storm: StormWatch,
        judges: Judges,
        library: TariffLibrary,
    ) -> None:
        self.session = session
        self.storm = storm
        self.news: EventFeed[tuple[int, bool]] = EventFeed(keep=256)
        """The number of the session, and whether no more than its devices has changed."""
        self.pages = Pages(HERE)
        session.changed = self._news
        session.stirred = self._stirred
        storm.changed = self._news
        self._passengers = passengers
        self._phone = BrowserPhone(session)
        self._tariff = TariffRoutes(self.pages, judges, library)

    @property
    def routes(self) -> list[BaseRoute]:
        reads = {
            "/": self._page("desk.html"),
            "/storm": self._page("storm.html"),
            "/events": self._events,
            "/api/desk": self._desk,
            "/api/devices": self._devices,
            "/api/taps/{number}": self._tap,
            "/api/trace": self._trace,
            "/api/journal/{place}": self._journal,
            "/api/document": self._document,
            "/api/storm": self._storm,
            "/art/{name}.svg": self._art,
            "/save/desk.toml": self._scenario,
            "/api/scenario": self._scenario_check,
            "/save/desk.transcript": self._transcript,
        }
        orders = {
            "/api/tap": order_handler(TapOrder, self._take_tap),
            "/api/clock": order_handler(ClockOrder, self._set_clock),
            "/api/switch": order_handler(SwitchOrder, self._switch),
            "/api/shift": order_handler(ShiftOrder, self._shift),
            "/api/bus": order_handler(BusOrder, self._bus),
            "/api/ride": order_handler(RideOrder, self._ask_ride),
            "/api/devices": order_handler(DeviceOrder, self._move_devices),
            "/api/document": order_handler(DocumentOrder, self._use_document),
            "/api/reset": order_handler(ResetOrder, self._reset),
            "/api/storm/start": order_handler(StormOrder, self._start_storm),
            "/api/storm/stop": order_handler(Struct, self._stop_storm),
        }
        return [
            *(
                Route(path, with_problem_response(handler), methods=["GET"])
                for path, handler in reads.items()
            ),
            *(
                Route(path, with_problem_response(handler), methods=["POST"])
                for path, handler in orders.items()
            ),
            *self._tariff.routes,
            *self._phone.routes,
            Mount("/display", routes=self._passengers.routes),
            self.pages.static,
        ]

    def _news(self) -> None:
        self.news.publish((self.session.number, False))

    def _stirred(self) -> None:
        self.news.publish((self.session.number, True))

    # what pages ask for

    def _page(self, template: str) -> Handler:
        async def show(request: Request) -> Response:
            language = page_language(request)
            return self.pages.page(
                request, template, language, words=words(language), languages=LANGUAGES, storm=self.storm
            )

        return show

    async def _events(self, request: Request) -> Response:
        return event_stream(request, self.news, lambda news: {"session": news[0], "devices": news[1]})

    async def _desk(self, request: Request) -> Response:
        after = number_asked(request, "after")
        return json_answer(await run_in_threadpool(desk_as_json, self.session, page_language(request), after))

    async def _devices(self, _request: Request) -> Response:
        return json_answer(await run_in_threadpool(self.session.town.devices.as_json))

    async def _tap(self, request: Request) -> Response:
        language = page_language(request)
        number = request.path_params["number"]
        if not (number.isascii() and number.isdecimal() and len(number) < LONGEST_NUMBER):
            return refused(
                404, DeskRefused(DeskFault.NO_ENTRY, number=number, count=len(self.session.taps)), language
            )
        entry = self.session.entry(int(number))
        town = self.session.town
        acknowledged = town.terminals[entry.place.key].journal.acknowledged_through
        return json_answer(await run_in_threadpool(tap_as_json, entry, language, town.policy, acknowledged))

    async def _trace(self, request: Request) -> Response:
        start, count = number_asked(request, "from"), min(number_asked(request, "count", 200), TRACE_ROWS)
        return json_answer(
            await run_in_threadpool(trace_as_json, self.session, start, count, page_language(request))
        )

    async def _journal(self, request: Request) -> Response:
        place = request.path_params["place"]
        if place not in self.session.town.terminals:
            return refused(404, DeskRefused(DeskFault.NO_TERMINAL, place=place), page_language(request))
        return json_answer(
            await run_in_threadpool(journal_as_json, self.session, place, page_language(request))
        )

    async def _document(self, _request: Request) -> Response:
        path = self.session.town.document_path
        return json_answer({"text": await run_in_threadpool(path.read_text, "utf-8"), "path": str(path)})

    async def _storm(self, _request: Request) -> Response:
        return json_answer(self.storm.as_json())

    async def _art(self, request: Request) -> Response:
        name = request.path_params["name"]
        laid = self.session.town.shelf.get(name)
        if laid is None:
            return refused(404, DeskRefused(DeskFault.NO_CARD, card=name), page_language(request))
        return Response(art(laid.face), media_type="image/svg+xml", headers={"Cache-Control": "max-age=3600"})

    # what is saved

    async def _scenario(self, _request: Request) -> Response:
        saved = await run_in_threadpool(scenario_of, self.session)
        return download(saved.text, "desk.toml", "application/toml")

    async def _scenario_check(self, _request: Request) -> Response:
        saved = await run_in_threadpool(scenario_of, self.session)
        return json_answer({"taps": saved.taps, "left_out": saved.left_out, "differing": saved.differing})

    async def _transcript(self, request: Request) -> Response:
        masked = request.query_params.get("masked") == "yes"
        return download(
            await run_in_threadpool(transcript_of, self.session, masked), "desk.transcript", "text/plain"
        )

    # what pages order

    def _take_tap(self, order: TapOrder) -> Any:
        entry = self.session.tap(order.card, order.place, Disturbance(order.mishap, order.exchange))
        return tap_as_json(entry, order.language, self.session.town.policy, acknowledged=0)

    def _set_clock(self, order: ClockOrder) -> Any:
        if order.set is not None:
            self.session.set_clock(order.set, jump=order.jump)
        elif order.advance is not None:
            self.session.advance(STEPS[order.advance])

    def _switch(self, order: SwitchOrder) -> Any:
        self.session.switch(network=order.network, collector=order.collector)

    def _shift(self, order: ShiftOrder) -> Any:
        if order.open:
            self.session.open_shift(order.place, order.route, order.direction)
        else:
            self.session.close_shift(order.place)

    def _bus(self, order: BusOrder) -> Any:
        self.session.use_computer(order.computer, order.razzia)
        if order.move is not None:
            self.session.move_bus(order.move)

    def _ask_ride(self, order: RideOrder) -> Any:
        self.session.ask(order.place, order.more, order.goal)

    def _move_devices(self, order: DeviceOrder) -> Any:
        if order.phone is not None:
            self.session.show_code(order.phone, printed=order.printed)
        if order.holder:
            self.session.check_printed()
        hands = {name: value for name, value in structs.asdict(order).items() if name not in OF_CODES}
        self.session.move_devices(Hands(**hands))
        return self.session.town.devices.as_json()

    def _use_document(self, order: DocumentOrder) -> Any:
        self.session.use_document(order.text)

    def _reset(self, order: ResetOrder) -> Any:
        self.session.reset(order.region)

    def _start_storm(self, order: StormOrder) -> Any:
        self.storm.start(order.seed, order.taps)

    def _stop_storm(self, _order: Struct) -> Any:
        self.storm.stop()


def transcript_of(session: DeskSession, masked: bool) -> str:
    """Every tap of the session as a transcript file."""
    with session.lock:
        taps = tuple(entry.recorded for entry in session.taps)
    shown = tuple(map(masked_tap, taps)) if masked else taps
    return "".join(f"{line}\n" for line in lines_of(Transcript(masked, shown)))
