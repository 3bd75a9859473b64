"""Readers by name, and the loop that serves them: presence, taps, background sync, clean stop."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, structs

from cardproto.connection import CardConnection
from cardproto.errors import CardError, CardGone
from terminal.app.config.rules import require_known_reader
from terminal.app.config.settings import PCSC, SIM
from terminal.clock import Clock, SystemClock, unix_ms
from terminal.codes import ReaderFault
from terminal.errors import ReaderError
from terminal.journal.records import Fault
from terminal.reader.port import ReaderPort, lay_there, shared
from terminal.reader.presence import Presence, PresenceState, reader_fault
from terminal.tap import OUT_OF_ORDER, Terminal, take_tap
from terminal.tap_report import TapReport

if TYPE_CHECKING:
    from cardproto.resident.snapshot import CardSnapshot
    from terminal.app.config.settings import ReaderTable, StationConfig
    from terminal.app.extensions import ExtensionLoader
    from terminal.app.station import Station
    from terminal.operations.vitals import Vitals

T = TypeVar("T")


class CardSource(Struct, frozen=True):
    """A reader, and how many taps it will bring (None: until stopped)."""

    port: ReaderPort
    taps: int | None


def reader_for(table: ReaderTable, station: Station, clock: Clock, extensions: ExtensionLoader) -> CardSource:
    """The reader that `table` names, PC/SC where it names none; raises `ReaderError`, `ProfileError` or `ConfigError`
    with what to do.

    See `CardsInOrder` for the pace; with it and without `taps` the cards come for ever.
    """
    name, taps = table.name or PCSC, table.taps
    require_known_reader(name)
    if table.extension:
        return CardSource(extensions.reader(table.extension, name.partition(":")[2]), taps)
    if not name.startswith(SIM):
        from terminal.reader.pcsc import PcscReader

        return CardSource(PcscReader.open(name.removeprefix(PCSC).removeprefix(":"), awaits=True), taps)
    from terminal.app.simulated import empty_reader, reader_of_residents

    names = name.removeprefix(SIM)
    if not names:
        return CardSource(empty_reader(clock), taps)
    region = station.region_number()
    return CardSource(*reader_of_residents(names.split(","), region, station.keys, clock, taps, table.pace_s))


def serve(
    terminal: Terminal,
    cards: CardSource,
    show: Callable[[TapReport], None],
    vitals: Vitals,
    lock: AbstractContextManager[object] | None = None,
    *,
    recorded: Callable[[CardConnection], CardConnection] = lambda connection: connection,
    look: Callable[[], None] = lambda: None,
    begun: Callable[[], None] = lambda: None,
    ended: Callable[[], None] = lambda: None,
    turns_away: Callable[[], bool] = lambda: False,
) -> None:
    """Serve cards until the source is exhausted or SIGTERM/SIGINT arrives; then stop cleanly.

    A `JournalError` ends the loop: a terminal that cannot record must not sell. `lock` is held during each tap,
    where others work at the same terminal. `recorded` may wrap each connection, to write down what is said on it.
    `vitals` hears of everything, and of the end last. `look` is called whenever the loop comes round, `begun`
    before that, `ended` when it does no more. While `turns_away` says so a card is shown that the terminal is out of
    order, and no tap begins. The reader stays open: its owner closes it.
    """
    clock = terminal.clock

    def on_card(connection: CardConnection) -> None:
        with lock or nullcontext():
            if turns_away():
                terminal.signal(OUT_OF_ORDER)
                return
            begun_s = clock.monotonic()
            report = take_tap(recorded(connection), terminal, lay_there=lay_there(cards.port))
            vitals.tap(report, clock.monotonic() - begun_s)
            vitals.reader_shared(shared(cards.port))
            show(report)

    def on_fault(error: CardError) -> None:
        terminal.signal(OUT_OF_ORDER)
        fault = reader_fault(error)
        vitals.reader_failed(fault, str(error))
        _note(terminal, fault)

    def on_ready() -> None:
        vitals.reader_works()
        _note(terminal, ReaderFault.WORKS)

    def on_beat(state: PresenceState) -> None:
        look()
        vitals.beat(state)

    presence = Presence(
        cards.port,
        on_card,
        on_fault,
        on_ready=on_ready,
        on_beat=on_beat,
        on_turned_away=lambda: terminal.signal(OUT_OF_ORDER),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: presence.stop())
    vitals.ready()
    begun()
    try:
        presence.run(max_taps=cards.taps)
    finally:
        ended()
        vitals.stopping()


def _note(terminal: Terminal, fault: ReaderFault) -> None:
    """Into the journal, because an outage belongs into the day's report (T-64)."""
    terminal.journal.append(Fault(unix_ms(terminal.clock.now()), fault))


def resident_on(at: StationConfig, wait_s: float) -> CardSnapshot:
    """What the resident card on the reader of `at` holds; changes nothing on it.

    Raises as `with_card`, and for another card.
    """
    from terminal.app.simulated import laboratory_keys
    from terminal.keys.file import load_file_keys
    from terminal.keys.provider import FittingVersions, ValidationKeys
    from terminal.media.port import UnsupportedCard, open_channel
    from terminal.media.resident.open import open_resident
    from terminal.policy.load import load_region

    provider = load_file_keys(at.keys.file or laboratory_keys())
    region = load_region(at.terminal.region_or_demo).header.region
    keys = ValidationKeys(provider, region, FittingVersions())

    def read(connection: CardConnection) -> CardSnapshot:
        try:
            return open_resident(open_channel(connection), keys).snapshot
        except UnsupportedCard as card:
            raise ReaderError(
                f"this is no resident card: {card.why}", "Use a resident card of this region."
            ) from card

    return with_card(at, wait_s, read)


def with_card(at: StationConfig, wait_s: float, work: Callable[[CardConnection], T]) -> T:
    """What `work` makes of the card on the reader of `at`; a card that leaves too early is waited for again.

    The card is reset afterwards. Raises `ReaderError` when `wait_s` pass without a card that stays.
    """
    from terminal.app.extensions import ExtensionLoader
    from terminal.app.station import station_of

    clock = SystemClock()
    once = structs.replace(at.reader, taps=1)
    port = reader_for(once, station_of(at), clock, ExtensionLoader(at.extensions)).port
    until = clock.monotonic() + wait_s
    try:
        while True:
            connection = port.wait_for_card(max(0.0, until - clock.monotonic()))
            if connection is None:
                raise ReaderError(
                    f"no card stayed on {port.name} within {wait_s:g} s",
                    "Lay a card on the reader and try again.",
                )
            try:
                return work(connection)
            except CardGone:
                port.release()
    finally:
        port.release()
        port.close()
