"""One tap at the desk: the card, the terminal and what went wrong, with everything worth looking at afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cardproto.connection import CardConnection
from sim.desk.content import Holding, LineChange, changes, holding_of, lines_of
from sim.desk.disturbance import Disturbance
from sim.desk.shelf import Laid
from sim.desk.trace import Traced, TracingConnection, traced
from sim.lab_keys import load_lab_keys
from sim.transcript import TranscribedTap
from sim.transcript_view import Keyring
from terminal.decision.outcome import Outcome
from terminal.journal.console_records import TurnStarted
from terminal.journal.reader import Row
from terminal.journal.records import AnyRecord, Intent, ShiftOpened, Unwritten, shown_fields
from terminal.lab.desk.refusals import DeskFault, DeskRefused
from terminal.lab.desk.town import DRIVER, DeskPlace, DeskTown
from terminal.policy.policy import Policy
from terminal.policy.routes import RouteBook
from terminal.tap import OUT_OF_ORDER, take_tap
from terminal.tap_report import TapReport

PAUSE_S: Final = 1.0
"""What passes between two taps at the least: the next card has to be brought."""
NEW_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class FinishedTap:
    """A tap that has ended. `document` counts the documents used so far in the session; `exchange` is where its
    exchanges begin in the session's trace.
    """

    number: int
    place: DeskPlace
    card: Laid
    disturbance: Disturbance
    at: datetime
    run: ShiftOpened | TurnStarted | None
    routes: RouteBook
    document: int
    report: TapReport
    before: Holding
    after: Holding
    changes: tuple[LineChange, ...]
    recorded: TranscribedTap
    rows: tuple[Traced, ...]
    journal: tuple[Row, ...]
    air_ms: float
    exchange: int

    @property
    def decided(self) -> Intent | Unwritten | None:
        """The row that holds the decision and the facts it was made from."""
        for row in self.journal:
            record = row.record
            if isinstance(record, (Intent, Unwritten)):
                return record
        return None

    @property
    def intent(self) -> Intent | None:
        """What the terminal meant to do, if it meant to write."""
        for row in self.journal:
            record = row.record
            if isinstance(record, Intent):
                return record
        return None


@dataclass(slots=True)
class OutcomeRecorder:
    """The outcomes shown at one place during a tap."""

    outcomes: list[Outcome] = field(default_factory=list)


def take(
    town: DeskTown,
    place: DeskPlace,
    laid: Laid,
    disturbance: Disturbance,
    number: int,
    document: int,
    exchange: int,
) -> FinishedTap:
    """Present the card, let the terminal do its work, take it away. Raises `JournalError` as `take_tap` does, and
    `DeskRefused` where no tap may begin.
    """
    if place == DRIVER and town.devices.turns_away:
        town.terminals[place.key].signal(OUT_OF_ORDER)
        raise DeskRefused(DeskFault.KEY_WIPED if town.devices.tampered else DeskFault.NO_SUPPLY)
    town.clock.advance(PAUSE_S)
    town.look()
    terminal, reader = town.terminals[place.key], town.readers[place.key]
    head, before, at = terminal.journal.head.sequence, holding_of(laid.card), town.clock.now()
    reader.present(laid.card, disturbance.plan())
    connection = reader.wait_for_card(0)
    assert connection is not None, "a card has just been presented"
    listener = TracingConnection(disturbance.around(connection, reader.remove), town.clock)
    try:
        report = _taken(town, place, listener)
    finally:
        air_ms = 0.0 if reader.last is None else reader.last.air_ms
        reader.release()
        reader.remove()
    recorded, after = listener.recorded(number), holding_of(laid.card)
    return FinishedTap(
        number=number,
        place=place,
        card=laid,
        disturbance=disturbance,
        at=at,
        run=terminal.journal.open_turn or terminal.journal.open_shift,
        routes=terminal.routes,
        document=document,
        report=report,
        before=before,
        after=after,
        changes=tuple(difference(before, after, town.policy)),
        recorded=recorded,
        rows=tuple(read(recorded, laid, before, town)),
        journal=tuple(terminal.journal.rows(head, NEW_ROWS)),
        air_ms=air_ms,
        exchange=exchange,
    )


def scanned(
    town: DeskTown, laid: Laid, report: TapReport, head: int, number: int, document: int, exchange: int
) -> FinishedTap:
    """A code of the phone `laid` that the driver's scanner read: a tap without exchanges, its rows after `head`."""
    terminal, holding = town.terminals[DRIVER.key], holding_of(laid.card)
    return FinishedTap(
        number=number,
        place=DRIVER,
        card=laid,
        disturbance=Disturbance(),
        at=report.at,
        run=terminal.journal.open_turn or terminal.journal.open_shift,
        routes=terminal.routes,
        document=document,
        report=report,
        before=holding,
        after=holding,
        changes=(),
        recorded=TranscribedTap(number, report.at, ()),
        rows=(),
        journal=tuple(terminal.journal.rows(head, NEW_ROWS)),
        air_ms=0.0,
        exchange=exchange,
    )


def _taken(town: DeskTown, place: DeskPlace, connection: CardConnection) -> TapReport:
    """The tap itself, at the driver's terminal with its devices around it, as a running terminal has them."""
    terminal = town.terminals[place.key]
    if place != DRIVER:
        return take_tap(connection, terminal)
    with town.devices.during_tap:
        report = take_tap(town.devices.guarded(connection), terminal)
    town.devices.report(report)
    return report


def read(recorded: TranscribedTap, laid: Laid, holding: Holding, town: DeskTown) -> list[Traced]:
    """The tap's exchanges, deciphered with the laboratory's keys and masked where D-05 says so."""
    keyring = Keyring(load_lab_keys(), town.policy.document.header.region, laid.card.uid)
    secrets = (laid.card.uid, *(() if holding.rights is None else (holding.rights.pseudonym,)))
    return traced(recorded, keyring, town.air, secrets)


def difference(before: Holding, after: Holding, policy: Policy) -> list[LineChange]:
    """The card line by line, counters by the names the region document gives them."""

    def named(counters: int) -> dict[str, int]:
        return {counter.name: counter.read(counters) for counter in policy.counters}

    return changes(list(lines_of(before, named)), list(lines_of(after, named)))


def fields_of(record: AnyRecord) -> dict[str, Any]:
    """A journal record for people, without what is empty."""
    shown = shown_fields(record)
    return {name: value for name, value in shown.items() if value not in ("", (), [], {}, None)}
