"""One run of the back office, step by step, each of which can be done again after a kill.

    rows → rides → proven → decided → answers taken in → refunds → asked → order files → deny list → records dropped

The process that does this alone has the keys that open records; the collector that receives them has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from terminal.bank_record import BankRecord
from terminal.clock import from_unix_ms
from terminal.collector.approvals import Act, Decided
from terminal.collector.bank.acquirer import AcquirerFolder, send_orders, take_answers
from terminal.collector.bank.charging import USUAL, ChargeRules, debts, make_demands, refund
from terminal.collector.bank.demands import Demand, DemandState
from terminal.collector.bank.following import follow_rows
from terminal.collector.bank.journeys import BankRide, Journeys
from terminal.collector.bank.ledger import BANK_FOLDER, LEDGER_FILE, BankLedger, open_ledger
from terminal.collector.bank.proofs import BY_KEYS, OfficeKeys, Opened, opened, prove_rides
from terminal.collector.bank.rides import LedgerRide, RideState
from terminal.collector.bank.sources import FolderRides, RideSource
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError
from terminal.journal.lock import FileLock
from terminal.journal.records import Intent, parse_record
from terminal.policy.policy import Policy
from terminal.recompute.documents import DocumentFolder
from terminal.trip.facts import Trip
from terminal.trip.stated import UnknownFact, restore

AGAIN_H: Final = 24
"""After so many hours without an answer the same orders are written again."""
AT_ONCE: Final = 500
"""Rides that are decided, or let go, in one transaction: about so many."""


class DenyPort(Protocol):
    """The deny list as far as bank cards are on it. Every method may be called again with the same, and raises
    `TerminalError`.
    """

    def deny(self, token: bytes) -> None: ...

    def release(self, token: bytes) -> None: ...

    def issue(self) -> None:
        """Let terminals hear of what changed."""
        ...


class BankRun(Struct, frozen=True, kw_only=True):
    """What one run did. `waiting` rides lack what they sealed, `undecided` ones their region document; `unreadable` are
    files in the acquirer's folder that are no answers.
    """

    rows: int
    proven: int
    decided: int
    refunds: int
    asked: int
    sent: int
    denied: int
    released: int
    waiting: int
    undecided: int
    unproven: int
    unreadable: tuple[str, ...]


class BankOffice:
    """The back office over rides wherever they are kept; `lone` makes one. Methods raise `CollectorError`."""

    def __init__(
        self,
        source: RideSource,
        store: CollectorStore,
        ledger: BankLedger,
        folder: AcquirerFolder,
        keys: OfficeKeys,
        documents: DocumentFolder,
        rules: ChargeRules = USUAL,
        deny: DenyPort | None = None,
    ) -> None:
        """`store` has what the office asked for and confirmed."""
        self.ledger: Final = ledger
        self._source = source
        self._store = store
        self._folder = folder
        self._keys = keys
        self._documents = documents
        self._rules = rules
        self._deny = deny

    def run(self, now_ms: int) -> BankRun:
        """Everything that can be done now. The deny list is kept up where the acquirer's folder cannot be used, too."""
        ledger, source = self.ledger, self._source
        source.claim(ledger.name)
        rows = follow_rows(source, ledger)
        self._judge_anew()
        proven = prove_rides(self._keys, source, ledger)
        decided = self._decide()
        denied = released = 0
        try:
            unreadable = tuple(take_answers(ledger, self._folder, now_ms))
            refunds = self._refunds(now_ms)
            asked = make_demands(ledger, self._rules, now_ms)
            sent = send_orders(ledger, self._folder, self._record_of, AGAIN_H, now_ms)
        finally:
            denied, released = self._denials()
        self._drop()
        return BankRun(
            rows=rows,
            proven=proven,
            decided=decided,
            refunds=refunds,
            asked=asked,
            sent=sent,
            denied=denied,
            released=released,
            waiting=ledger.rides.count(RideState.WAITING),
            undecided=ledger.rides.count(RideState.PROVEN),
            unproven=ledger.rides.count(RideState.UNPROVEN),
            unreadable=unreadable,
        )

    def _judge_anew(self) -> None:
        """What could not be proven is looked at once more with keys that the ledger has not seen."""
        if self.ledger.keep_with(*self._keys.fingerprints):
            with self.ledger.changing():
                self.ledger.rides.judge_anew(BY_KEYS)

    def _decide(self) -> int:
        """What proven rides come to, card by card; a card waits while a document of its rides is not at hand."""
        self._documents.refresh()
        journeys, decided = Journeys(self._policy), 0
        for group in self._groups_to_decide(journeys):
            with self.ledger.changing():
                for rides, before in group:
                    self.ledger.rides.put_fares(journeys.fares(rides, before))
                    decided += len(rides)
        return decided

    def _groups_to_decide(self, journeys: Journeys) -> Iterator[list[tuple[list[BankRide], bytes]]]:
        """Rides of cards and the event before each card's first: about `AT_ONCE` rides together."""
        group: list[tuple[list[BankRide], bytes]] = []
        for card in self.ledger.rides.undecided():
            before, found = self.ledger.rides.to_decide(card)
            rides = self._rides(found)
            if len(rides) < len(found) or not all(journeys.knows(one.document) for one in rides):
                continue
            group.append((rides, before))
            if sum(len(of_card) for of_card, _ in group) >= AT_ONCE:
                yield group
                group = []
        yield group

    def _policy(self, sha256: str) -> Policy | None:
        found = self._documents.policy(sha256)
        return found if isinstance(found, Policy) else None

    def _rides(self, rides: list[LedgerRide]) -> list[BankRide]:
        """Without those whose row is gone, or states what this software does not know."""
        bodies = self._source.bodies([(ride.terminal, ride.sequence) for ride in rides])
        found = (_ride(ride, bodies.get((ride.terminal, ride.sequence))) for ride in rides)
        return [one for one in found if one is not None]

    def _refunds(self, now_ms: int) -> int:
        """What two persons decided to give back; what cannot be is kept as a doubt."""
        made, demands = 0, self.ledger.demands
        for request, subject in self._store.decided_requests(Act.REFUND, Decided.CONFIRMED):
            if demands.asked_by(request):
                continue
            with self.ledger.changing():
                fault = refund(self.ledger, request, subject, now_ms)
                if fault is not None:
                    demands.doubt(now_ms, -request, fault)
            made += fault is None
        return made

    def _record_of(self, demand: Demand) -> BankRecord | None:
        """The record of the demand's ride; where that is gone, of another ride of the same card."""
        rides = self.ledger.rides
        own = rides.get((demand.terminal, demand.sequence))
        for ride in (() if own is None else (own,), rides.kept_of(demand.card)):
            for found in opened(self._keys, self._source, ride):
                if isinstance(found, Opened):
                    return found.record
        return None

    def _denials(self) -> tuple[int, int]:
        """Cards that owe go on the deny list by every token they are known by, and come off when they have paid."""
        if self._deny is None:
            return 0, 0
        denied = released = 0
        cards = self.ledger.cards
        for card in cards.active():
            owes = bool(debts(self.ledger.demands.of_card(card.id)))
            if not owes and not card.denied:
                continue
            for token in cards.tokens(card.id):
                (self._deny.deny if owes else self._deny.release)(token)
            if owes is not card.denied:
                with self.ledger.changing():
                    cards.note_denied(card.id, denied=owes)
                denied, released = denied + owes, released + (not owes)
        self._deny.issue()
        return denied, released

    def _drop(self) -> None:
        """Of a card that owes nothing, and of which nothing is asked, no record is needed any more."""
        cards = self.ledger.rides.droppable()
        for first in range(0, len(cards), AT_ONCE):
            free = (card for card in cards[first : first + AT_ONCE] if self._is_even(card))
            rows = [row for card in free for row in self.ledger.rides.to_drop(card)]
            if rows:
                self._source.drop_sealed(rows)
                with self.ledger.changing():
                    self.ledger.rides.note_dropped(rows)

    def _is_even(self, card: int) -> bool:
        demands = self.ledger.demands.of_card(card)
        return not debts(demands) and all(one.state is not DemandState.ASKED for one in demands)


def _ride(ride: LedgerRide, body: bytes | None) -> BankRide | None:
    record = None if body is None else parse_record(body)
    if not isinstance(record, Intent):
        return None
    trip = Trip(
        *(record.profile, ride.terminal, ride.sequence),
        *(record.shift, record.turn, record.route, record.direction),
    )
    try:
        trip = restore(trip, record.trip)
    except UnknownFact:
        return None
    at = from_unix_ms(ride.at_ms)
    return BankRide(ride.terminal, ride.sequence, at, trip, ride.token, ride.document, ride.shown_minor)


@contextmanager
def lone(
    folder: Path,
    keys: OfficeKeys,
    documents: Path,
    rules: ChargeRules = USUAL,
    deny: DenyPort | None = None,
    fleet: RideSource | None = None,
) -> Iterator[BankOffice]:
    """The one back office of this folder, over the rides of its collector, or of a `fleet`, as long as the block runs.
    Raises `CollectorError`.
    """
    database = folder / "collector.db"
    if fleet is None and not database.exists():
        raise CollectorError(f"no collector has run in {folder}", "Give --folder.")
    acquirer = AcquirerFolder(folder)
    with (
        _locked(folder),
        closing(CollectorStore(database)) as store,
        open_ledger(folder) as ledger,
        closing(FolderRides(store)) as own,
    ):
        yield BankOffice(fleet or own, store, ledger, acquirer, keys, DocumentFolder(documents), rules, deny)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    path = folder / BANK_FOLDER / LEDGER_FILE
    try:
        lock = FileLock.acquire(path)
    except OSError as error:
        raise CollectorError(
            f"the lock beside {path} cannot be used: {error.strerror}", "Check the disk and its rights."
        ) from error
    if isinstance(lock, int):
        raise CollectorError(
            f"another process ({lock}) settles bank cards in {folder}", "Wait until it has ended."
        )
    try:
        yield
    finally:
        lock.release()


def settle(
    office: BankOffice,
    now_ms: Callable[[], int],
    *,
    pause: Callable[[], bool],
    said: Callable[[BankRun], None],
    failed: Callable[[CollectorError], None],
) -> None:
    """Run once, and again after each `pause` that says so. The first run's failure is raised; a later one's is said,
    and the next run goes on where it ended.
    """
    said(office.run(now_ms()))
    while pause():
        try:
            said(office.run(now_ms()))
        except CollectorError as error:
            failed(error)
