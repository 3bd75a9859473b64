"""A running station: the terminal of a configuration with display, console, uplink, metrics and the reader's loop."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cardproto.connection import CardConnection
from terminal.app import serve
from terminal.app.active import Activations, active_of
from terminal.app.audience import Audience, Hearing, log_worker, said_lines
from terminal.app.beginning import begin, vitals_of
from terminal.app.compose import ANY_DAY, open_terminal
from terminal.app.config.rules import ALL_PARTS, require_hands_off, require_own
from terminal.app.config.settings import StationConfig
from terminal.app.console import (
    ConsoleOptions,
    PassengerScreen,
    Screens,
    operator_console,
    passenger_display,
)
from terminal.app.extensions import ExtensionLoader, device_board
from terminal.app.knows import KnownHere, require_shift
from terminal.app.recompute import OwnRecompute, keep_documents
from terminal.app.shadow import shadow_files, shadow_watch
from terminal.app.simulated import CardsByHand, cards_by_hand, recording
from terminal.app.station import Station, secret_files, station_of
from terminal.app.trial import CollectorsWord, trial_watch, words_of
from terminal.app.uplink import Uplink, background_sync, failed_starts_reported, uplink_of
from terminal.clock import Clock, SystemClock
from terminal.codes import SetKind
from terminal.decision.outcome import Outcome
from terminal.errors import ConfigError
from terminal.journal.room import FillWatch
from terminal.keys.file import require_private
from terminal.keys.limits import UNLIMITED
from terminal.operations.ending import EndWatch
from terminal.operations.vitals import Vitals
from terminal.signals import Guarded
from terminal.sync.background import BackgroundSync
from terminal.tap import CODE_REFUSED, OUT_OF_ORDER, Terminal, take_code
from terminal.tap_report import TapReport
from terminal.trip.ages import DAY_S
from terminal.updates.held import HeldEdition
from terminal.updates.watch import SourceWatch

if TYPE_CHECKING:
    from terminal.app.bundles import BundleWatch
    from terminal.app.periphery import Periphery
    from terminal.periphery.printer import Printer
    from terminal.trip.vehicle import VehicleLink


SWITCH_S: Final = 0.0005
"""How long a tap waits for its turn while another thread reads a large list, each time it comes back from disk or card.
With the interpreter's own 5 ms, a tap of 8 ms took 35, and up to 170, while eight million entries were checked.
"""


class Running(Struct, frozen=True):
    """A station with everything around it, ready to serve. Taps and actions of staff hold `lock` while they work."""

    terminal: Terminal
    cards: serve.CardSource
    vitals: Vitals
    lock: Lock
    audience: Audience
    hearing: Hearing
    operator: Callable[[TapReport], None]
    recorded: Callable[[CardConnection], CardConnection]
    fill: FillWatch
    sync: BackgroundSync | None
    look: Callable[[], None]
    """What is looked after whenever the loop comes round: signals, the vehicle."""
    pages: Callable[[], None]
    """The screens' pages begin to be served."""
    hand: Callable[[TapReport], None]
    """The laboratory that moves this terminal by hand, if one does; it hears last."""
    periphery: Periphery | None
    """The devices around the reader, if there are any."""

    def serve(self) -> None:
        """Serve cards until they are used up or the process is asked to stop."""
        serve.serve(
            self.terminal,
            self.cards,
            self.tapped,
            self.vitals,
            self.lock,
            recorded=self._connection,
            look=self.look,
            begun=self._begun,
            ended=self._ended,
            turns_away=self._turns_away,
        )

    def _connection(self, connection: CardConnection) -> CardConnection:
        recorded = self.recorded(connection)
        return recorded if self.periphery is None else self.periphery.guarded(recorded)

    def _turns_away(self) -> bool:
        return self.periphery is not None and self.periphery.turns_away()

    def _ended(self) -> None:
        if self.periphery is not None:
            self.periphery.count()
        self.hearing.drain()

    def _begun(self) -> None:
        """Cards can be served; what may wait until then begins."""
        self.pages()
        if self.sync is not None:
            self.sync.start()

    def scanned(self, content: bytes) -> None:
        """Serve one code between two taps."""
        codes, clock = self.terminal.codes, self.terminal.clock
        if codes is None or self._turns_away():
            self.terminal.signal(CODE_REFUSED if codes is None else OUT_OF_ORDER)
            return
        with self.lock:
            begun_s = clock.monotonic()
            report = take_code(content, codes, self.terminal)
            self.vitals.tap(report, clock.monotonic() - begun_s)
        self.tapped(report)

    def tapped(self, report: TapReport) -> None:
        """Pass an ended tap on to all who hear of it."""
        if self.periphery is not None:
            self.periphery.report(report)
        self.hearing.report(report, self.terminal.policy.zone)
        self.operator(report)
        self.fill.look()
        if self.sync is not None:
            self.sync.wake()
        self.hand(report)


def clock_of(config: StationConfig) -> Clock:
    """The machine's clock, or the one a laboratory moves."""
    if not config.laboratory.clock:
        return SystemClock()
    from terminal.app.laboratory import stepped_clock

    require_hands_off(config)
    return stepped_clock(config.laboratory.starts_at)


@contextmanager
def running_station(config: StationConfig, clock: Clock, audience: Audience) -> Iterator[Running]:
    """The station of `config` with all that it asks for; closed at the end whatever happens.

    Raises `ConfigError` for a configuration that lacks what a running station needs.
    """
    station, lock, screens = _runnable(config), Lock(), Screens()
    sys.setswitchinterval(SWITCH_S)
    extensions = ExtensionLoader(config.extensions)
    by_hand = cards_by_hand(clock) if config.laboratory.control is not None else None
    cards = _cards(config, station, clock, extensions, by_hand)
    with ExitStack() as stack:
        stack.callback(cards.port.close)
        # Until there is something to look for: the start looks by itself.
        stack.callback(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_IGN))
        log = stack.enter_context(log_worker(SystemClock()))
        say = said_lines(log)
        passenger = stack.enter_context(_display(config, station.profile, clock, say, screens))
        devices = stack.enter_context(
            device_board(config.signals.names, _extension_source(config), extensions, SystemClock())
        )
        link = stack.enter_context(_vehicle(config, clock))
        periphery = stack.enter_context(_periphery(config))
        lamps = _nothing if periphery is None else periphery.outcome
        hearing = Hearing.of(passenger.outcome, devices, audience, log, lamps, passenger.ended)
        with failed_starts_reported(_sent_to(config), station.number, clock, say):
            terminal = stack.enter_context(_opened(config, station, clock, hearing, extensions))
        terminal.vehicle = devices.vehicle if link is None else link
        passenger.touches(terminal)
        extensions.record(terminal.journal, clock)
        vitals = vitals_of(config, terminal, cards.port.name, extensions.loaded, log)
        hearing.start(vitals.device_is)
        extensions.on_state = vitals.device_is
        bundles, word = stack.enter_context(_bundles(config, station, terminal, vitals)), CollectorsWord()
        looks = [
            hearing.look,
            stack.enter_context(_updates(station, terminal, lock, vitals, passenger, bundles, word)),
            EndWatch(lambda: terminal.policy.document, vitals).look,
        ]
        if bundles is not None:
            looks.append(bundles.look)
        stack.enter_context(_link(config, terminal, vitals))
        own = OwnRecompute(config, terminal, lock, lambda what: vitals.events.warning("recompute", what))
        stack.callback(own.close)
        looks += [own.look, _Forgetting(terminal).look]
        if link is not None:
            looks.append(_vehicle_look(link, terminal, vitals, passenger))
        console = stack.enter_context(
            operator_console(
                _console(config, vitals, passenger.changed, None if periphery is None else periphery.printer),
                terminal,
                station.state,
                lock,
                cards.port.name,
                say,
                screens.served,
            )
        )
        around = Running(
            terminal=terminal,
            cards=passenger.watched(cards),
            vitals=vitals,
            lock=lock,
            audience=audience,
            hearing=hearing,
            sync=stack.enter_context(_uplink(config, terminal, vitals, word)),
            recorded=stack.enter_context(
                recording(config.recording.file, clock, say, masked=config.recording.masked)
            ),
            operator=Guarded("screen:console", console, vitals.device_is),
            fill=FillWatch(terminal.journal, clock, vitals.journal_fills),
            look=lambda: _all(looks),
            pages=partial(screens.start, vitals.device_is),
            hand=stack.enter_context(_moved_by_hand(config, by_hand, clock, link, periphery)),
            periphery=periphery,
        )
        begin(stack, config, terminal, vitals, lock, say_shift=audience.shift)
        around.fill.look()
        if periphery is not None:
            from terminal.app.tickets import Tickets

            vehicle, language = config.vehicle.name, config.terminal.language
            tickets = Tickets(terminal, language, vehicle)
            periphery.start(terminal, vitals, lock, around.sync, tickets, around.scanned)
            looks.append(periphery.look)
        yield around


class _Forgetting:
    """Once a day, and at the start, what was kept for longer than any rule asks for is dropped; a clock in doubt could
    drop what still counts.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._due_s = terminal.clock.monotonic()

    def look(self) -> None:
        """On the thread that serves cards."""
        terminal, now_s = self._terminal, self._terminal.clock.monotonic()
        if terminal.held is None or now_s < self._due_s or terminal.clock_watch.state.suspect:
            return
        self._due_s = now_s + DAY_S
        terminal.held.forget(terminal.clock.now())


def _cards(
    config: StationConfig,
    station: Station,
    clock: Clock,
    extensions: ExtensionLoader,
    by_hand: CardsByHand | None,
) -> serve.CardSource:
    """Where cards come from: those laid there by hand, or the reader's."""
    if by_hand is not None:
        return serve.CardSource(by_hand, config.reader.taps)
    return serve.reader_for(config.reader, station, clock, extensions)


def _display(
    config: StationConfig, profile: str, clock: Clock, say: Callable[[str], None], screens: Screens
) -> AbstractContextManager[PassengerScreen]:
    screen, languages = config.screen, (config.terminal.language, config.terminal.second_language)
    return passenger_display(screen.enabled, screen.port, languages, profile, clock, say, screens.served)


@contextmanager
def _opened(
    config: StationConfig, station: Station, clock: Clock, hearing: Hearing, extensions: ExtensionLoader
) -> Iterator[Terminal]:
    """The terminal itself, which knows what its tariff needs. Where a laboratory moves the clock it plays any day, and
    a day in a second.
    """
    require = KnownHere(config)
    opened = partial(open_terminal, station, clock, hearing.outcome, extensions=extensions, require=require)
    if config.laboratory.clock:
        opened = partial(opened, limits=UNLIMITED, made_at=ANY_DAY)
    with opened() as terminal:
        require.runs_by(terminal.journal)
        require(terminal.policy.document, terminal.routes)
        if terminal.journal.open_shift is None:
            require_shift(config, terminal.policy.document, terminal.routes)
        yield terminal


@contextmanager
def _updates(
    station: Station,
    terminal: Terminal,
    lock: Lock,
    vitals: Vitals,
    passenger: PassengerScreen,
    bundles: BundleWatch | None,
    word: CollectorsWord,
) -> Iterator[Callable[[], None]]:
    """Look for what is published, beside the taps; what comes out is called between two of them.

    SIGHUP: look at once.
    """
    active = active_of(terminal)
    if active.damaged:
        vitals.set_damaged(active.damaged)

    keep_documents(active, station.state)

    def activated(held: HeldEdition) -> None:
        vitals.activated(held)
        if held.kind in (SetKind.REGION, SetKind.GRANTS):
            keep_documents(active, station.state)
        if held.kind in (SetKind.REGION, SetKind.ROUTES):
            terminal.next_ride.forget()  # a stop or zone may be another now
        passenger.changed()

    activations = Activations(active, terminal, lock, activated)
    words = words_of(station.state, station.updates)
    watch = SourceWatch(active, station.sources(active.parts), activations.now)

    if bundles is not None:
        bundles.on_report = watch.came

    def look_now(*_: object) -> None:
        watch.look_now()
        if bundles is not None:
            bundles.look_now()

    signal.signal(signal.SIGHUP, look_now)

    def look() -> None:
        vitals.note_refusals(active.refusals)
        activations.look()
        trial.look()
        shadow.look()

    files = shadow_files(station.state, station.updates)
    with (
        shadow_watch(terminal, lock, files, vitals) as shadow,
        trial_watch(terminal, lock, words, activated, vitals, word) as trial,
    ):
        watch.start()
        try:
            yield look
        finally:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            watch.stop()


def _bundles(
    config: StationConfig, station: Station, terminal: Terminal, vitals: Vitals
) -> AbstractContextManager[BundleWatch | None]:
    """The watch of signed bundles, where this terminal takes them; others pay nothing for it."""
    if not station.bundles:
        return nullcontext()
    from terminal.app.bundles import bundle_watch

    return bundle_watch(config, terminal, vitals)


def _link(config: StationConfig, terminal: Terminal, vitals: Vitals) -> AbstractContextManager[None]:
    """The link to the other terminals of the place, where there is one; others pay nothing for it."""
    if config.link.listen is None:
        return nullcontext()
    from terminal.app.link import peer_links

    return peer_links(config.link.listen, config, terminal, vitals)


def _all(looks: Iterable[Callable[[], None]]) -> None:
    for look in looks:
        look()


def _nothing(_outcome: Outcome) -> None:
    """Where there are no lamps."""


def _periphery(config: StationConfig) -> AbstractContextManager[Periphery | None]:
    """The devices around the reader, where one is named; others pay nothing for them."""
    if not config.periphery.named:
        return nullcontext()
    from terminal.app.periphery import periphery_of

    return periphery_of(config, SystemClock())


def _vehicle(config: StationConfig, clock: Clock) -> AbstractContextManager[VehicleLink | None]:
    """The link to our own source of the vehicle's place, where one is named; others pay nothing for it."""
    if config.vehicle.own_source is None:
        return nullcontext()
    from terminal.app.vehicle import vehicle_link

    return vehicle_link(config.vehicle, config.vehicle.own_source, clock)


def _vehicle_look(
    link: VehicleLink, terminal: Terminal, vitals: Vitals, screen: PassengerScreen
) -> Callable[[], None]:
    """What is looked after of the vehicle."""
    from terminal.app.vehicle import VehicleWatch

    return VehicleWatch(link, terminal, vitals, screen.razzia).look


def _extension_source(config: StationConfig) -> str | None:
    """The vehicle source of another author, where one is named."""
    return None if config.vehicle.own_source is not None else config.vehicle.source


def _runnable(config: StationConfig) -> Station:
    """The station, which must say what it is, where cards come from, and whose keys it takes."""
    if config.terminal.profile is None:
        raise ConfigError(
            "this terminal has no profile",
            "Give --profile, or set profile under [terminal] in terminal.toml: bus or canteen.",
        )
    if config.reader.name is None:
        raise ConfigError(
            "this terminal has no reader",
            "Give --reader, or set name under [reader] in terminal.toml: pcsc, pcsc:NAME or sim:RESIDENT.",
        )
    require_own(config, ALL_PARTS, real_reader=not config.reader.simulated)
    require_hands_off(config)
    require_private(*secret_files(config))
    station = station_of(config)
    if station.lacks_region:
        from terminal.app.bundles import fetch_first

        fetch_first(config, station)
    station.require_region()
    return station


@contextmanager
def _moved_by_hand(
    config: StationConfig,
    cards: CardsByHand | None,
    clock: Clock,
    vehicle: VehicleLink | None,
    periphery: Periphery | None,
) -> Iterator[Callable[[TapReport], None]]:
    """The laboratory's socket, where one is asked for; what comes out hears of every tap."""
    path = config.laboratory.control
    if path is None or cards is None:
        yield lambda _report: None
        return
    from terminal.app.laboratory import Laboratory, hand_socket

    lines = None if periphery is None else periphery.hand
    laboratory = Laboratory(cards, clock, config.terminal.language, vehicle, lines)
    with hand_socket(path, laboratory):
        yield laboratory.heard


def _sent_to(config: StationConfig) -> Uplink | None:
    """Where rows go, if anywhere."""
    return None if config.collector.url is None else uplink_of(config.terminal.state, config.collector)


def _uplink(
    config: StationConfig, terminal: Terminal, vitals: Vitals, word: CollectorsWord
) -> AbstractContextManager[BackgroundSync | None]:
    return background_sync(
        terminal.journal,
        _sent_to(config),
        terminal.clock,
        vitals.synced,
        on_time=vitals.clock_watch.hear,
        on_withdrawn=word.hear,
        on_identity=vitals.identified,
        sealed=terminal.held,
    )


def _console(
    config: StationConfig, vitals: Vitals, on_change: Callable[[], None], printer: Printer | None
) -> ConsoleOptions:
    return ConsoleOptions(
        wanted=config.console.enabled,
        host=config.console.host,
        port=config.console.port,
        language=config.terminal.language,
        typed=config.console.typed_sign_in,
        idle_min=config.console.idle_min,
        vehicle=config.vehicle.name,
        receipts=config.receipts.folder,
        offline=lambda: vitals.sync_fault is not None,
        reader_fault=lambda: vitals.reader_fault,
        follow_reader=vitals.follow_reader,
        on_change=on_change,
        printer=printer,
    )
