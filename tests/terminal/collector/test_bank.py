"""The money behind bank cards: proven once more, decided, charged once, owed, given back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from cardproto.emv import tags
from terminal.bank_record import bank_record, sealed_record
from terminal.clock import unix_ms
from terminal.collector.bank.ledger import DemandCause, DemandKind, DemandState, RideState
from terminal.collector.bank.proofs import UnprovenCause
from terminal.collector.bank.settle import BankOffice, BankRun, lone
from terminal.collector.bank.stand_in import StandIn, StandInRules
from terminal.collector.store import CollectorStore
from tests.terminal.collector.bank_town import (
    CAP_MINOR,
    FARE_MINOR,
    KEYS,
    PUBLIC,
    BankTerminal,
    bank_document,
    card_of,
    day,
    keep,
    kept_document,
    read,
    token_of,
)


class Office:
    """A collector's folder with two validators, its back office and an acquirer's stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.document = kept_document(folder, bank_document(folder))
        self.store = CollectorStore(folder / "collector.db")
        self.bus, self.tram = BankTerminal(7, self.document), BankTerminal(8, self.document, route=9)
        self.denied: dict[bytes, bool] = {}
        self.stand_in = StandIn(folder)

    def deny(self, token: bytes) -> None:
        self.denied[token] = True

    def release(self, token: bytes) -> None:
        self.denied[token] = False

    def issue(self) -> None:
        """Nothing to do here."""

    def run(self, at: datetime, *, upload: bool = True) -> BankRun:
        for terminal in (self.bus, self.tram) if upload else ():
            if terminal.sent < len(terminal.bodies):
                keep(self.store, terminal)
        with lone(self.folder, KEYS, self.folder / "documents", deny=self) as (office, source):
            self.ledger = office.ledger
            done = office.run(source, unix_ms(at))
            self.seen = self._look(office)
        return done

    def _look(self, office: BankOffice) -> dict[str, list]:
        ledger = office.ledger
        return {
            "rides": [one for state in RideState for one in ledger.rides(state, 1_000)],
            "demands": [one for card in range(1, 20) for one in ledger.demands(card)],
            "doubts": ledger.doubts(),
        }

    def why(self) -> dict[tuple[int, int], str]:
        return {(one.terminal, one.sequence): one.why for one in self.seen["rides"] if one.why}

    def asked(self) -> list[tuple[str, int, str]]:
        return [(one.kind, one.amount_minor, one.state) for one in self.seen["demands"]]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.store.close()


def test_a_day_of_rides_is_one_charge_by_transfer_and_cap(office: Office) -> None:
    card = card_of(11)
    for terminal, hour, minute in (
        (office.bus, 6, 0),
        (office.tram, 6, 30),  # changes free
        (office.bus, 9, 0),
        (office.tram, 12, 0),  # what is left of the cap
        (office.bus, 15, 0),
    ):
        at = day(3, hour, minute)
        terminal.tap(read(card, at), at)
    first = office.run(day(3, 16))
    assert (first.proven, first.decided, first.asked, first.unproven) == (5, 5, 1, 0)
    assert office.asked() == [(DemandKind.AUTHORISE, 0, DemandState.ASKED)]
    assert office.stand_in.work(StandInRules()) == 1
    office.run(day(4, 0))  # before the day is closed
    assert office.asked() == [(DemandKind.AUTHORISE, 0, DemandState.APPROVED)]
    assert office.run(day(4, 7)).asked == 1
    assert office.asked()[1:] == [(DemandKind.CHARGE, CAP_MINOR, DemandState.ASKED)]
    office.stand_in.work(StandInRules())
    assert office.run(day(4, 8)).asked == 0
    assert office.asked()[1:] == [(DemandKind.CHARGE, CAP_MINOR, DemandState.APPROVED)]
    assert office.stand_in.memory().taken_minor == CAP_MINOR
    charges = [one.charge_minor for one in sorted(office.seen["rides"], key=lambda one: one.at_ms)]
    assert charges == [FARE_MINOR, 0, FARE_MINOR, 1_500, 0]
    assert not any(office.store.sealed(7, row) for row, _ in office.bus.sealed)  # approved: gone


def test_a_terminal_cannot_invent_a_ride(office: Office) -> None:
    card, other, bus = card_of(11), card_of(12), office.bus
    at = day(3, 9)
    one = read(card, at)
    genuine = bus.tap(one, at)
    record = bank_record(7, unix_ms(at), token_of(one), one)

    def later(minute: int) -> datetime:
        return day(3, 9, minute)

    def forged(minute: int, **changes: object) -> int:
        moved = {"at_ms": unix_ms(later(minute))} | changes
        return bus.tap(one, later(minute), record=msgspec.structs.replace(record, **moved))

    expected = {
        forged(1): UnprovenCause.REPEATED,
        forged(2, pan="2200000000000012"): UnprovenCause.NOT_GENUINE,
        forged(3, signature=bytes(len(record.signature))): UnprovenCause.NOT_GENUINE,
        forged(
            4, amount_minor=9_900, given=record.given | {tags.TAG_AMOUNT: bytes.fromhex("000000009900")}
        ): UnprovenCause.NOT_GENUINE,
        forged(5, amount_minor=9_900): UnprovenCause.MALFORMED,
        forged(6, signature=read(other, later(6)).signed.value): UnprovenCause.NOT_GENUINE,
        bus.tap(one, later(7), sealed=b"RCBANK1\n" + bytes(200)): UnprovenCause.NOT_OURS,
        bus.tap(
            one, later(8), sealed=sealed_record(record, PUBLIC)
        ): UnprovenCause.NOT_OURS,  # of another row
        bus.tap(read(other, later(9)), later(9), token=token_of(one)): UnprovenCause.OTHER_TOKEN,
        bus.tap(read(card, day(9, 9)), later(10)): UnprovenCause.OTHER_DAY,
    }
    elsewhere = msgspec.structs.replace(record, terminal=8)
    office.tram.tap(one, at, record=elsewhere)
    run = office.run(day(3, 12))
    assert office.why() == {(7, row): why for row, why in expected.items()} | {(8, 2): UnprovenCause.REPEATED}
    assert (run.proven, run.unproven) == (len(expected) + 2, len(expected) + 1)
    office.run(day(4, 12))
    assert office.asked()[-1] == (DemandKind.CHARGE, FARE_MINOR, DemandState.ASKED)
    assert [one.sequence for one in office.seen["demands"]] == [genuine, genuine]


def test_what_is_not_paid_denies_and_what_is_paid_releases(office: Office) -> None:
    card = card_of(11)
    at = day(3, 9)
    one = read(card, at)
    office.bus.tap(one, at)
    office.run(day(3, 10))
    broke = StandInRules(declines=(one.opened.pan.in_clear[-4:],))
    office.stand_in.work(broke)
    assert office.run(day(3, 11)).denied == 1  # by the first authorisation
    assert office.denied == {token_of(one): True}
    office.run(day(4, 7))
    office.stand_in.work(broke)
    office.run(day(4, 8))
    assert office.asked()[:2] == [
        (DemandKind.AUTHORISE, 0, DemandState.DECLINED),
        (DemandKind.CHARGE, FARE_MINOR, DemandState.DECLINED),
    ]
    office.bus.refuse(read(card, day(4, 9)), day(4, 9))
    office.run(day(4, 9, 30))
    assert office.seen["demands"][-1].cause is DemandCause.TAP
    office.stand_in.work(StandInRules())
    assert office.run(day(4, 9, 40)).released == 1
    assert office.denied == {token_of(one): False}
    assert office.stand_in.memory().taken_minor == FARE_MINOR
    assert office.run(day(5, 12)).asked == 0
