"""The link of a running terminal: its socket and peers by the configuration, its marks from its own journal, and what a
tap may ask of the others' (ADR 72). All but that question happens in the link's own thread.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cardproto.errors import FormatError
from cardproto.resident.records.event import Event, parse_event
from terminal.app.config.settings import LinkTable, StationConfig
from terminal.app.station import IDENTITY_FILE
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.ledger import Ledger, RowId
from terminal.clock import from_unix_ms, unix_ms
from terminal.codes import Admission
from terminal.decision.bank_row import bank_state_after
from terminal.decision.phone_record import kept_after
from terminal.errors import JournalError, KeyFileError, PortInUse, TerminalError
from terminal.journal.canteen_records import Annulment
from terminal.journal.console_records import TurnStarted
from terminal.journal.journal import Journal
from terminal.journal.records import (
    AnyRecord,
    Committed,
    Intent,
    NotCommitted,
    ShiftClosed,
    ShiftOpened,
    Unwritten,
    parse_record,
)
from terminal.journal.taps import End, Intents
from terminal.link.marks import KEPT_S, WHO_BYTES, LinkMark, MarkBook, MarkKind, who_of
from terminal.link.peers import LinkPeer, OwnMarks, PeerLinks
from terminal.link.states import DaysTaken, state_mark, states_said, taken_mark, taken_said
from terminal.media.held import HeldEvents, KeptState, charged_with
from terminal.operations.status import PeerLinkStatus, PeerStatus
from terminal.sync.credentials import TerminalKeys, load_keys, load_or_make_keys, public_keys
from terminal.sync.lineage import read_lineage
from terminal.trip.build import InspectionRound, RidesHeard
from terminal.updates.watch import mark_of

if TYPE_CHECKING:
    from terminal.operations.vitals import Vitals
    from terminal.tap import Terminal

LINK_FOLDER: Final = "link"
ROWS_AT_ONCE: Final = 500
BUS: Final = "bus"
NO_ONE: Final = bytes(WHO_BYTES)
"""A mark of a run is about no one."""
HEARD_WITHIN_S: Final = 60
ONE_DAY: Final = timedelta(days=1)
NOTHING_TAKEN: Final = DaysTaken(0, 0, 0)


@contextmanager
def peer_links(listen: str, config: StationConfig, terminal: Terminal, vitals: Vitals) -> Iterator[None]:
    """The link of a terminal that hears the others of its place at `listen`; it ends with the block.

    Raises `PortInUse`, `KeyFileError` for a peer without its identity, `TerminalError` for an address that is none.
    """
    state = config.terminal.state
    identity = _OwnKeys(state / IDENTITY_FILE)
    since_ms = unix_ms(terminal.clock.now()) - KEPT_S * 1000
    follower = JournalMarks(
        terminal.journal, since_ms, lambda at: _day_of(terminal, at), serves=terminal.canteen is not None
    )
    links = PeerLinks(
        terminal.number,
        _listener(listen),
        tuple(_peers(config.link, _family(listen))),
        OwnMarks(follower.follow, lambda: follower.head),
        state / LINK_FOLDER,
        terminal.clock,
        identity.sign,
        lambda: read_lineage(state),
    )
    if terminal.canteen is not None:
        asks_the_others(terminal.canteen, links.book)
    else:
        asks_the_vehicle(terminal, links)
    if terminal.held is not None:
        hears_of_states(terminal.held, links.book, events=terminal.canteen is None)
        hears_of_taken(terminal.held, links.book, lambda at: _day_of(terminal, at))
    vitals.link = lambda: _status(links)
    links.start()
    try:
        yield
    finally:
        links.close()


class JournalMarks:
    """Makes marks of what a journal says since `since_ms`, row by row: of meals where it `serves` them, else of rides
    and runs, and of what is kept for media without a memory.
    """

    def __init__(
        self, journal: Journal, since_ms: int, day_of: Callable[[datetime], date], *, serves: bool
    ) -> None:
        self._journal = journal
        given = _MealMarks(journal.terminal) if serves else _RideMarks()
        self._makers = (given.of, _StateMarks(journal.terminal).of, _TakenMarks(journal.terminal, day_of).of)
        self.head = _last_before(journal, since_ms)

    def follow(self) -> list[LinkMark]:
        """The marks of the rows that are new; none while the journal cannot be read."""
        try:
            rows = self._journal.rows(after=self.head, limit=ROWS_AT_ONCE)
        except JournalError:
            return []
        found: list[LinkMark] = []
        for row in rows:
            record = parse_record(row.body)
            for marks in self._makers:
                found += marks(row.sequence, record)
            self.head = row.sequence
        return found


class _MealMarks:
    """Who got which meal, and which of them was undone."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._ledger = Ledger()
        self._number_of: dict[RowId, int] = {}

    def of(self, sequence: int, record: AnyRecord) -> Iterator[LinkMark]:
        known = len(self._ledger.meals)
        self._ledger.apply((self._terminal, sequence), record)
        for meal_row in list(self._ledger.meals)[known:]:
            self._number_of[meal_row] = sequence
            yield self._mark(meal_row, sequence, record.at_ms)
        if isinstance(record, Annulment):
            meal_row = self._terminal, record.of
            undoes = self._number_of.get(meal_row)
            if undoes is not None:
                yield self._mark(meal_row, sequence, record.at_ms, undoes)

    def _mark(self, row: RowId, number: int, at_ms: int, undoes: int = 0) -> LinkMark:
        meal = self._ledger.meals[row]
        who = who_of(meal.line.school, meal.pupil, meal.day)
        return LinkMark(number, MarkKind.MEAL, who, meal.line.kind, at_ms // 1000, undoes)


class _StateMarks:
    """What is kept for a medium since a row: said once the row that ends its tap is there. An open tap says nothing."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._open: dict[int, tuple[bytes, bytes, int]] = {}

    def of(self, sequence: int, record: AnyRecord) -> Iterator[LinkMark]:
        match record:
            case Intent():
                kept = _kept(tuple(data for _, _, data in record.proof), record.event)
                if kept is not None:
                    self._open[sequence] = (record.card_ref, *kept)
            case Committed() if (ended := self._open.pop(record.intent, None)) is not None:
                yield state_mark(sequence, self._terminal, *ended, record.at_ms)
            case NotCommitted():
                self._open.pop(record.intent, None)
            case Unwritten(card_ref=bytes(reference), admission=Admission.LET_IN):
                kept = _kept(record.read, b"")
                if kept is not None and kept[1]:
                    yield state_mark(sequence, self._terminal, reference, *kept, record.at_ms)
            case _:
                pass


class _TakenMarks:
    """What was taken from each bank card in a service day, counted up with every ride (T-43)."""

    def __init__(self, terminal: int, day_of: Callable[[datetime], date]) -> None:
        self._terminal = terminal
        self._day_of = day_of
        self._intents = Intents()
        self._taken: dict[tuple[date, bytes], DaysTaken] = {}

    def of(self, sequence: int, record: AnyRecord) -> Iterator[LinkMark]:
        settled = self._intents.take(sequence, record)
        if settled is None or settled.end is not End.COMMITTED:
            return
        intent = settled.intent
        if bank_state_after(tuple(data for _, _, data in intent.proof), intent.event) is None:
            return
        event = _event(intent.event)
        if event is None or charged_with(event) is None:
            return
        day = self._day_of(event.at)
        key = day, intent.card_ref
        if key not in self._taken:  # what is of another day is asked for by no one
            self._taken = {one: taken for one, taken in self._taken.items() if one[0] >= day - ONE_DAY}
        before = self._taken.get(key, NOTHING_TAKEN)
        at_s = intent.at_ms // 1000
        taken = DaysTaken(before.rides + 1, before.sum_minor + event.amount_minor, at_s)
        self._taken[key] = taken
        yield taken_mark(sequence, self._terminal, intent.card_ref, day, taken)


def _event(content: bytes) -> Event | None:
    try:
        return parse_event(content)
    except FormatError:
        return None


def _day_of(terminal: Terminal, at: datetime) -> date:
    """The service day by the document in force."""
    return terminal.policy.service_date(at.astimezone(terminal.policy.zone))


def _kept(parts: tuple[bytes, ...], written: bytes) -> tuple[bytes, int] | None:
    """The event and the code's counter kept after a row with these parts; None for one of a card with a memory."""
    of_bank = bank_state_after(parts, written)
    return kept_after(parts, written) if of_bank is None else (of_bank, 0)


def hears_of_states(held: HeldEvents, book: MarkBook, *, events: bool) -> None:
    """Let what others said of a medium count beside what `held` keeps of it. Without `events` codes alone: in a school
    a meal given elsewhere is asked about by person (`asks_the_others`), whatever was shown for it.
    """

    def others(reference: bytes, now: datetime) -> Iterator[KeptState]:
        for said in states_said(book, reference, now):
            yield KeptState(said.event if events else b"", said.counter)

    held.others = others


def hears_of_taken(held: HeldEvents, book: MarkBook, day_of: Callable[[datetime], date]) -> None:
    """Let what the others took from a bank card today count as taken here: a few taps while a list is old are those of
    the vehicle (T-43). Who has not heard of them counts his own, in the rider's favour.
    """

    def others(reference: bytes, now: datetime) -> Iterator[tuple[int, int]]:
        for said in taken_said(book, reference, day_of(now)):
            yield said.at_s * 1000, said.sum_minor
            yield from ((said.at_s * 1000, 0) for _ in range(said.rides - 1))

    held.others_taken = others


class _RideMarks:
    """A bus's rides and runs, for an inspector's hand terminal (T-70)."""

    def __init__(self) -> None:
        self._intents = Intents()
        self._boarded: dict[bytes, int] = {}

    def of(self, sequence: int, record: AnyRecord) -> Iterator[LinkMark]:
        settled = self._intents.take(sequence, record)
        if settled is not None and settled.end is End.COMMITTED and settled.intent.profile == BUS:
            yield self._ride(sequence, settled.intent)
        elif isinstance(record, ShiftOpened | TurnStarted | ShiftClosed):
            run = "" if isinstance(record, ShiftClosed) else run_named(record.route, record.direction)
            yield LinkMark(sequence, MarkKind.RUN, NO_ONE, run, record.at_ms // 1000)

    def _ride(self, number: int, intent: Intent) -> LinkMark:
        """A ride that began, or one that ended and counts no more."""
        undoes = self._boarded.pop(intent.card_ref, 0) if intent.values.get("left") else 0
        if not undoes:
            self._boarded[intent.card_ref] = number
        who = rider_of(intent.card_ref)
        run = run_named(intent.route, intent.direction)
        return LinkMark(number, MarkKind.RIDE, who, run, intent.at_ms // 1000, undoes)


def run_named(route: int, direction: int) -> str:
    """How marks name a run."""
    return f"{route}-{direction}"


def rider_of(card_ref: bytes) -> bytes:
    """Whom a mark of a ride is about; `card_ref` is the keyed token that rows have."""
    return who_of(BUS, card_ref, "")


def asks_the_vehicle(terminal: Terminal, links: PeerLinks) -> None:
    """Let an inspector's questions know what the vehicle's own terminal says, and begin with its run; from memory."""

    def said(asked: InspectionRound, card_ref: bytes) -> RidesHeard:
        run = run_named(asked.route, asked.direction)
        ride = links.book.said(MarkKind.RIDE, rider_of(card_ref), run)
        heard = any(_heard(peer, terminal) for peer in links.peers.values())
        return RidesHeard(heard, 0 if ride is None else ride.at_s)

    def run() -> tuple[int, int] | None:
        heard = [peer.terminal for peer in links.peers.values() if _heard(peer, terminal)]
        marks = [mark for peer in heard for mark in links.book.marks_of(peer) if mark.kind == MarkKind.RUN]
        newest = max(marks, key=lambda mark: (mark.at_s, mark.number), default=None)
        route, dash, direction = ("" if newest is None else newest.what).partition("-")
        if not (dash and route.isdecimal() and direction in ("0", "1")):
            return None
        return int(route), int(direction)

    terminal.inspected, terminal.vehicle_run = said, run


def _heard(peer: LinkPeer, terminal: Terminal) -> bool:
    """Whether it said anything lately; a link says something every few seconds."""
    now_ms = unix_ms(terminal.clock.now())
    return peer.heard_at_ms is not None and now_ms - peer.heard_at_ms < HEARD_WITHIN_S * 1000


def asks_the_others(counter: CanteenCounter, book: MarkBook) -> None:
    """Let decisions at `counter` know what other terminals say they served; from memory, at once."""

    def said(pupil: bytes, kind: str, day: date) -> tuple[int, datetime] | None:
        found = book.said(MarkKind.MEAL, who_of(counter.school, pupil, day.isoformat()), kind)
        return None if found is None else (found.terminal, from_unix_ms(found.at_s * 1000))

    def elsewhere(pupil: bytes, day: date) -> int:
        who = who_of(counter.school, pupil, day.isoformat())
        kinds = counter.policy.meals.kinds.values()
        return sum(1 << kind.bit for kind in kinds if book.said(MarkKind.MEAL, who, kind.id) is not None)

    counter.elsewhere, counter.said_elsewhere = elsewhere, said


class _OwnKeys:
    """This terminal's identity, read again when a renewal has replaced the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: TerminalKeys = load_or_make_keys(path)
        self._seen = mark_of(path)

    def sign(self, data: bytes) -> bytes:
        """With the signing key in force."""
        seen = mark_of(self._path)
        if seen != self._seen:
            self._seen = seen
            with suppress(KeyFileError):  # said where it matters more; the key at hand still counts
                self._keys = load_keys(self._path)
        return self._keys.sign(data)


def _peers(table: LinkTable, family: int) -> Iterator[LinkPeer]:
    for peer in table.peers:
        number, _, address = peer.partition("@")
        keys = public_keys(table.identities / f"{number}.pub")
        yield LinkPeer(int(number), _resolved(address, family), (keys[0].public_bytes_raw(),))


def _resolved(address: str, family: int) -> tuple[str, int]:
    """Address and port in numbers. Names are looked up once: a network without them must not slow the link."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host, int(port), family, socket.SOCK_DGRAM)[0][4]
    except (OSError, OverflowError, IndexError) as error:
        raise TerminalError(
            f"{address} under [link] is no address, or of another kind than listen",
            "Name all by their numbers, and all of one kind: 192.168.1.12:8482, or [fd00::12]:8482.",
        ) from error
    scope = host.partition("%")[2] if family == socket.AF_INET6 else ""
    return f"{found[0]}%{scope}" if scope and "%" not in str(found[0]) else str(found[0]), int(found[1])


def _family(listen: str) -> socket.AddressFamily:
    return socket.AF_INET6 if listen.startswith("[") else socket.AF_INET


def _listener(listen: str) -> socket.socket:
    listener = socket.socket(_family(listen), socket.SOCK_DGRAM)
    host, port = _resolved(listen, _family(listen))
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"{listen} cannot be listened on ({error.strerror})",
            "Name an address of this machine and a free UDP port as listen under [link].",
        ) from error
    return listener


def _status(links: PeerLinks) -> PeerLinkStatus:
    peers = tuple(
        PeerStatus(
            terminal=peer.terminal,
            address="[{}]:{}".format(*peer.address)
            if ":" in peer.address[0]
            else "{}:{}".format(*peer.address),
            heard_at_ms=peer.heard_at_ms,
            waiting=links.waiting(peer),
        )
        for peer in links.peers.values()
    )
    refused = {str(reason): count for reason, count in links.refused.copy().items()}
    return PeerLinkStatus(peers=peers, marks=links.book.count, refused=refused)


def _last_before(journal: Journal, at_ms: int) -> int:
    """The newest row older than `at_ms`, 0 for none. Rows follow each other in time, but for a clock set back."""
    low, high = journal.base.sequence, journal.head.sequence
    while low < high:
        middle = (low + high) // 2
        row = next(iter(journal.rows(after=middle, limit=1)), None)
        if row is not None and parse_record(row.body).at_ms < at_ms:
            low = middle + 1
        else:
            high = middle
    return low
