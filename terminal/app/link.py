"""The link of a running terminal: its socket and peers by the configuration, its marks from its own journal, and what a
tap may ask of the others' (ADR 72). All but that question happens in the link's own thread.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terminal.app.config.settings import LinkTable, StationConfig
from terminal.app.station import IDENTITY_FILE
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.ledger import Ledger, RowId
from terminal.clock import from_unix_ms, unix_ms
from terminal.codes import Admission
from terminal.decision.phone_record import kept_after
from terminal.errors import JournalError, KeyFileError, PortInUse, TerminalError
from terminal.journal.canteen_records import Annulment
from terminal.journal.journal import Journal
from terminal.journal.records import AnyRecord, Committed, Intent, NotCommitted, Unwritten, parse_record
from terminal.link.marks import KEPT_S, LinkMark, MarkBook, MarkKind, who_of
from terminal.link.peers import LinkPeer, OwnMarks, PeerLinks
from terminal.link.states import state_mark, states_said
from terminal.media.held import HeldEvents, KeptState
from terminal.operations.status import PeerLinkStatus, PeerStatus
from terminal.sync.credentials import TerminalKeys, load_keys, load_or_make_keys, public_keys
from terminal.sync.lineage import read_lineage
from terminal.updates.watch import mark_of

if TYPE_CHECKING:
    from terminal.operations.vitals import Vitals
    from terminal.tap import Terminal

LINK_FOLDER: Final = "link"
ROWS_AT_ONCE: Final = 500


@contextmanager
def peer_links(listen: str, config: StationConfig, terminal: Terminal, vitals: Vitals) -> Iterator[None]:
    """The link of a terminal that hears the others of its place at `listen`; it ends with the block.

    Raises `PortInUse`, `KeyFileError` for a peer without its identity, `TerminalError` for an address that is none.
    """
    state = config.terminal.state
    identity = _OwnKeys(state / IDENTITY_FILE)
    follower = JournalMarks(terminal.journal, unix_ms(terminal.clock.now()) - KEPT_S * 1000)
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
    if terminal.held is not None:
        hears_of_states(terminal.held, links.book, events=terminal.canteen is None)
    vitals.link = lambda: _status(links)
    links.start()
    try:
        yield
    finally:
        links.close()


class JournalMarks:
    """Makes marks of what a journal says since `since_ms`, row by row: of meals, and of what is kept for media without
    a memory.
    """

    def __init__(self, journal: Journal, since_ms: int) -> None:
        self._journal = journal
        self._makers = (_MealMarks(journal.terminal).of, _StateMarks(journal.terminal).of)
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
                kept = kept_after(tuple(data for _, _, data in record.proof), record.event)
                if kept is not None:
                    self._open[sequence] = (record.card_ref, *kept)
            case Committed() if (ended := self._open.pop(record.intent, None)) is not None:
                yield state_mark(sequence, self._terminal, *ended, record.at_ms)
            case NotCommitted():
                self._open.pop(record.intent, None)
            case Unwritten(card_ref=bytes(reference), admission=Admission.LET_IN):
                kept = kept_after(record.read, b"")
                if kept is not None and kept[1]:
                    yield state_mark(sequence, self._terminal, reference, *kept, record.at_ms)
            case _:
                pass


def hears_of_states(held: HeldEvents, book: MarkBook, *, events: bool) -> None:
    """Let what others said of a medium count beside what `held` keeps of it. Without `events` codes alone: in a school
    a meal given elsewhere is asked about by person (`asks_the_others`), whatever was shown for it.
    """

    def others(reference: bytes, now: datetime) -> Iterator[KeptState]:
        for said in states_said(book, reference, now):
            yield KeptState(said.event if events else b"", said.counter)

    held.others = others


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
