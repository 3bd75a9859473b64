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
from terminal.collector.bank.following import BankRows, follow_rows
from terminal.collector.bank.journeys import BankRide, Journeys
from terminal.collector.bank.ledger import (
    BANK_FOLDER,
    LEDGER_FILE,
    BankLedger,
    Demand,
    LedgerRide,
    RideState,
)
from terminal.collector.bank.proofs import OfficeKeys, Opened, opened, prove_rides
from terminal.collector.recompute.run import StoredRows
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
    """The back office over one collector's folder; `lone` makes one. Methods raise `CollectorError`."""

    def __init__(
        self,
        store: CollectorStore,
        ledger: BankLedger,
        folder: AcquirerFolder,
        keys: OfficeKeys,
        documents: DocumentFolder,
        rules: ChargeRules = USUAL,
        deny: DenyPort | None = None,
    ) -> None:
        self.ledger: Final = ledger
        self._store = store
        self._folder = folder
        self._keys = keys
        self._documents = documents
        self._rules = rules
        self._deny = deny

    def run(self, source: BankRows, now_ms: int) -> BankRun:
        """Everything that can be done now."""
        ledger = self.ledger
        rows = follow_rows(source, ledger)
        proven = prove_rides(self._keys, self._store, ledger, now_ms)
        decided = self._decide()
        unreadable = tuple(take_answers(ledger, self._folder, now_ms))
        refunds = self._refunds(now_ms)
        asked = make_demands(ledger, self._rules, now_ms)
        sent = send_orders(ledger, self._folder, self._record_of, AGAIN_H, now_ms)
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
            waiting=ledger.count(RideState.WAITING),
            undecided=ledger.count(RideState.PROVEN),
            unproven=ledger.count(RideState.UNPROVEN),
            unreadable=unreadable,
        )

    def _decide(self) -> int:
        """What proven rides come to, card by card; a card waits while a document of its rides is not at hand."""
        self._documents.refresh()
        journeys, decided = Journeys(self._policy), 0
        for card in self.ledger.undecided():
            before, found = self.ledger.to_decide(card)
            rides = [one for ride in found if (one := self._ride(ride)) is not None]
            if len(rides) < len(found) or not all(journeys.knows(one.document) for one in rides):
                continue
            with self.ledger.changing():
                self.ledger.put_fares(journeys.fares(rides, before))
            decided += len(rides)
        return decided

    def _policy(self, sha256: str) -> Policy | None:
        found = self._documents.policy(sha256)
        return found if isinstance(found, Policy) else None

    def _ride(self, ride: LedgerRide) -> BankRide | None:
        """None where the row is gone, or states what this software does not know."""
        body = self._store.record(ride.terminal, ride.sequence)
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

    def _refunds(self, now_ms: int) -> int:
        """What two persons decided to give back; what cannot be is kept as a doubt."""
        made = 0
        for request, subject in self._store.decided_requests(Act.REFUND, Decided.CONFIRMED):
            if self.ledger.asked_by(request):
                continue
            with self.ledger.changing():
                fault = refund(self.ledger, request, subject, now_ms)
                if fault is not None:
                    self.ledger.doubt(now_ms, -request, fault)
            made += fault is None
        return made

    def _record_of(self, demand: Demand) -> BankRecord | None:
        ride = self.ledger.ride((demand.terminal, demand.sequence))
        found = None if ride is None else opened(self._keys, self._store, ride)
        return found.record if isinstance(found, Opened) else None

    def _denials(self) -> tuple[int, int]:
        """Cards that owe go on the deny list by every token they are known by, and come off when they have paid."""
        if self._deny is None:
            return 0, 0
        denied = released = 0
        for card in self.ledger.active():
            owes = bool(debts(self.ledger.demands(card.id)))
            if not owes and not card.denied:
                continue
            for token in self.ledger.tokens(card.id):
                (self._deny.deny if owes else self._deny.release)(token)
            if owes is not card.denied:
                with self.ledger.changing():
                    self.ledger.note_denied(card.id, denied=owes)
                denied, released = denied + owes, released + (not owes)
        self._deny.issue()
        return denied, released

    def _drop(self) -> None:
        """What an acquirer has approved needs no record of its card any more."""
        for card in self.ledger.droppable():
            rows = self.ledger.to_drop(card)
            if rows:
                self._store.drop_sealed(rows)
                with self.ledger.changing():
                    self.ledger.note_dropped(rows)


@contextmanager
def lone(
    folder: Path, keys: OfficeKeys, documents: Path, rules: ChargeRules = USUAL, deny: DenyPort | None = None
) -> Iterator[tuple[BankOffice, BankRows]]:
    """The one back office of this collector's folder, as long as the block runs. Raises `CollectorError`."""
    database = folder / "collector.db"
    if not database.exists():
        raise CollectorError(f"no collector has run in {folder}", "Give --folder.")
    acquirer, ledger_file = AcquirerFolder(folder), folder / BANK_FOLDER / LEDGER_FILE
    lock = FileLock.acquire(ledger_file)
    if isinstance(lock, int):
        raise CollectorError(
            f"another process ({lock}) settles bank cards in {folder}", "Wait until it has ended."
        )
    try:
        with (
            closing(CollectorStore(database)) as store,
            closing(BankLedger(folder)) as ledger,
            closing(StoredRows(store)) as source,
        ):
            yield BankOffice(store, ledger, acquirer, keys, DocumentFolder(documents), rules, deny), source
    finally:
        lock.release()


def settle(
    office: BankOffice,
    source: BankRows,
    now_ms: Callable[[], int],
    *,
    pause: Callable[[], bool],
    said: Callable[[BankRun], None],
) -> None:
    """Run once, and again after each `pause` that says so."""
    while True:
        said(office.run(source, now_ms()))
        if not pause():
            return
