"""The screens beside a running terminal: the operator's console ([console] in terminal.toml) and the passenger display
([screen]).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from terminal.app.config.settings import CANTEEN
from terminal.app.serve import CardSource
from terminal.clock import Clock
from terminal.codes import ReaderFault
from terminal.decision.outcome import Outcome
from terminal.devices import DeviceWatch, OnDeviceState
from terminal.errors import StaffError, TerminalError
from terminal.keys.provider import require_keys
from terminal.tap import Terminal
from terminal.tap_report import TapReport
from terminal.texts import N_, translator

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from terminal.periphery.printer import Printer
    from terminal.screen.console.console import Console
    from terminal.screen.display import Display
    from terminal.screen.server import ScreenServer

RECEIPTS_FOLDER: Final = "receipts"
LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 refused, not used

Served: TypeAlias = "Callable[[str, ScreenServer], AbstractContextManager[object]]"
"""What serves a screen of that name, until it is left."""


def at_once(_name: str, server: ScreenServer) -> AbstractContextManager[object]:
    """From the beginning on."""
    return server


class Screens:
    """The screens of a terminal that starts. Their ports are taken; what serves them is loaded when the terminal is
    ready, in threads of their own, so that it serves cards a sixth of a second earlier.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[str, ScreenServer]] = []

    @contextmanager
    def served(self, name: str, server: ScreenServer) -> Iterator[None]:
        """Served from `start` on."""
        self._waiting.append((name, server))
        try:
            yield
        finally:
            server.stop()

    def start(self, on_state: OnDeviceState) -> None:
        """Serve them all; `on_state` hears of one that cannot be made."""
        for name, server in self._waiting:
            server.start(DeviceWatch(f"screen:{name}", on_state).raised)


class ConsoleOptions(Struct, frozen=True):
    """What the configuration says of the console; `typed` None: as is usual for the profile."""

    wanted: bool
    host: str = LOOPBACK
    port: int = 0
    language: str = "ru"
    typed: bool | None = None
    idle_min: int = 30
    vehicle: str = ""
    receipts: Path | None = None
    offline: Callable[[], bool] = field(default=lambda: False)
    """Whether records that should leave cannot."""
    reader_fault: Callable[[], ReaderFault | None] = field(default=lambda: None)
    """What is wrong with the reader."""
    follow_reader: Callable[[Callable[[], object]], None] = field(default=lambda _changed: None)
    """Has what it is given called when that changes."""
    on_change: Callable[[], None] = field(default=lambda: None)
    """Who else shows what staff change."""
    printer: Printer | None = None
    """Prints the tickets of cash sales."""


@contextmanager
def operator_console(
    options: ConsoleOptions,
    terminal: Terminal,
    state: Path,
    lock: Lock,
    reader: str,
    say: Callable[[str], None],
    served: Served = at_once,
) -> Iterator[Callable[[TapReport], None]]:
    """Serve the console if it is wanted, and `say` where; call what comes out with the report of every tap. Its pages
    are made when what `served` was given is called.

    Raises `PortInUse`, `StaffError`, or `TerminalError` for an address that is none of this machine's.
    """
    if not options.wanted:
        yield lambda _report: None
        return
    from terminal.screen.server import ScreenServer

    if options.host in EVERYWHERE:
        raise TerminalError(
            f"a console is not served on every address ({options.host or 'none'})",
            "Name the one address of this machine as host under [console] in terminal.toml.",
        )
    console = console_of(options, terminal, state, lock)
    terminal.service_card = console.service_card
    console.status = {N_("Reader"): reader}

    def app() -> ASGIApp:
        from terminal.screen.console.areas import areas
        from terminal.screen.console.web import console_app

        return console_app(console, areas(terminal.profile))

    server = ScreenServer.made_later(app, options.host, options.port)
    with served("console", server):
        say(f"operator console: {server.url}/")
        if not console.staff.members():
            say("the staff list is empty: see `terminal staff add`")
        yield console.heard


def console_of(options: ConsoleOptions, terminal: Terminal, state: Path, lock: Lock) -> Console:
    """The console of `terminal`, not served yet; raises `StaffError`, and `KeyFileError` where staff have no key."""
    from terminal.receipt.folder import ReceiptFolder
    from terminal.screen.console.console import CHANGED, Console, Settings
    from terminal.screen.console.pins import PURPOSE

    require_keys(terminal.keys, PURPOSE)
    settings = Settings(
        language=options.language,
        typed=terminal.profile == CANTEEN if options.typed is None else options.typed,
        idle_s=options.idle_min * 60,
        vehicle=options.vehicle,
    )
    receipts = None
    if terminal.policy.document.receipts is not None and terminal.profile != CANTEEN:
        receipts = ReceiptFolder(options.receipts or state / RECEIPTS_FOLDER)
    try:
        console = Console(terminal, state, lock, settings, receipts)
    except OSError as error:
        raise StaffError(
            f"the console's folder in {state} cannot be used ({error.strerror})",
            "Give --state a folder you may write.",
        ) from error
    console.offline, console.on_change = options.offline, options.on_change
    console.reader_fault = options.reader_fault
    options.follow_reader(lambda: console.feed.publish(CHANGED))
    terminal.next_ride.on_change(lambda: console.feed.publish(CHANGED))
    if options.printer is not None:
        _prints(console, options.printer)
    return console


def _prints(console: Console, printer: Printer) -> None:
    """The console's sales leave tickets on the printer's paper, and its pages follow what becomes of them."""
    from terminal.periphery.ticket import CounterTickets
    from terminal.screen.console.console import CHANGED

    terminal, language = console.terminal, console.settings.language
    newest = terminal.journal.head.sequence
    console.tickets = CounterTickets(printer, language, lambda: terminal.policy.zone, newest)

    def changed() -> None:
        console.feed.publish(CHANGED)

    printer.changed = changed


class PassengerScreen(Struct, frozen=True):
    """What the passenger sees and hears, or nothing where no screen was asked for."""

    display: Display | None

    def outcome(self, outcome: Outcome) -> None:
        """Show it."""
        if self.display is not None:
            self.display.outcome(outcome)

    def ended(self, report: TapReport) -> None:
        """The row of the tap is written: who was refused sees what it is called."""
        if self.display is not None:
            self.display.ended(report)

    def razzia(self, razzia: bool) -> None:
        """The vehicle says that an inspection is under way, or no longer."""
        if self.display is not None:
            self.display.razzia_is(razzia)

    def changed(self) -> None:
        """Staff have changed something that passengers are shown."""
        if self.display is not None:
            self.display.asked()

    def touches(self, terminal: Terminal) -> None:
        """The display shows what is asked of the next ride, and passengers may ask as far as the document allows."""
        if self.display is None or terminal.profile == CANTEEN:
            return
        from terminal.screen.touch import PassengerTouch

        self.display.touch = PassengerTouch(terminal)
        terminal.next_ride.on_change(self.display.asked)

    def watched(self, cards: CardSource) -> CardSource:
        """`cards`, whose coming and going the display shows."""
        if self.display is None:
            return cards
        from terminal.screen.display import WatchedReader

        return replace(cards, port=WatchedReader(cards.port, self.display))


@contextmanager
def passenger_display(
    wanted: bool,
    port: int,
    languages: tuple[str, str],
    profile: str,
    clock: Clock,
    say: Callable[[str], None],
    served: Served = at_once,
) -> Iterator[PassengerScreen]:
    """Serve the display on loopback `port` (0: any free one) if `wanted`, and `say` where it is. Its page is made when
    what `served` was given is called.

    `languages`: the main one, and one shown under it or "". Raises `PortInUse`, or `TerminalError` for a language
    without texts.
    """
    if not wanted:
        yield PassengerScreen(None)
        return
    from terminal.screen.display import Display, DisplaySettings
    from terminal.screen.server import ScreenServer

    for language in filter(None, languages):
        translator(language)
    display = Display(clock)
    settings = DisplaySettings(*languages, discreet=profile == CANTEEN)

    def app() -> ASGIApp:
        from starlette.applications import Starlette

        from terminal.screen.display_page import display_routes, to_display

        lost = {404: to_display, 405: to_display}
        return Starlette(routes=display_routes(display, settings), exception_handlers=lost)

    server = ScreenServer.made_later(app, port=port)
    with served("display", server):
        say(f"passenger display: {server.url}/")
        yield PassengerScreen(display)
