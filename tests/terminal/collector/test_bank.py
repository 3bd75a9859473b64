"""The money behind bank cards: proven once more, decided, charged once, owed, given back."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest

from cardproto.emv import tags
from terminal.bank_record import bank_record, sealed_record
from terminal.clock import unix_ms
from terminal.collector import approvals
from terminal.collector.approvals import Act, Decided
from terminal.collector.backup import back_up
from terminal.collector.bank import acquirer, stand_in
from terminal.collector.bank.acquirer import AcquirerFolder
from terminal.collector.bank.demands import DemandCause, DemandKind, DemandState
from terminal.collector.bank.ledger import BankLedger, open_ledger
from terminal.collector.bank.proofs import UnprovenCause
from terminal.collector.bank.rides import RideState
from terminal.collector.bank.settle import BankOffice, BankRun, lone
from terminal.collector.bank.stand_in import StandIn, StandInRules
from terminal.collector.bank.statement import statement_of
from terminal.collector.store import CollectorStore
from tests.terminal.collector.bank_town import (
    CAP_MINOR,
    FARE_MINOR,
    KEYS,
    SERIES,
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
        folder.mkdir(exist_ok=True)
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
        with lone(self.folder, KEYS, self.folder / "documents", deny=self) as office:
            self.ledger = office.ledger
            done = office.run(unix_ms(at))
            self.seen = self._look(office)
        return done

    def _look(self, office: BankOffice) -> dict[str, list]:
        ledger = office.ledger
        return {
            "rides": [one for state in RideState for one in ledger.rides.in_state(state, 1_000)],
            "demands": [one for card in range(1, 20) for one in ledger.demands.of_card(card)],
            "doubts": ledger.demands.doubts(),
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
    copied, at = card.clone(), day(3, 9)
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
        bus.tap(one, later(7), sealed=b"RCBANK2\n" + bytes(200)): UnprovenCause.NOT_OURS,
        bus.tap(
            one, later(8), sealed=sealed_record(record, SERIES)
        ): UnprovenCause.NOT_OURS,  # of another row
        bus.tap(read(other, later(9)), later(9), token=token_of(one)): UnprovenCause.OTHER_TOKEN,
        bus.tap(read(card, day(9, 9)), later(10)): UnprovenCause.OTHER_DAY,
        bus.tap(read(card, day(1, 9)), later(11)): UnprovenCause.OTHER_DAY,
        bus.tap(read(copied, later(12), seed=2), later(12)): UnprovenCause.REPEATED,  # its counter
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
    row = office.bus.tap(one, at)
    office.run(day(3, 10))
    before = b"the token of another epoch"
    with open_ledger(office.folder) as ledger, ledger.changing():
        assert ledger.cards.of(KEYS.digest(bank_record(7, unix_ms(at), token_of(one), one)), before)
    broke = StandInRules(declines=(one.opened.pan.in_clear[-4:],))
    office.stand_in.work(broke)
    assert office.run(day(3, 11)).denied == 1  # by the first authorisation
    assert office.denied == {token_of(one): True, before: True}
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
    assert office.store.sealed(7, row), "it may be asked for again"
    office.stand_in.work(StandInRules())
    assert office.run(day(4, 9, 40)).released == 1
    assert office.denied == {token_of(one): False, before: False}
    assert office.stand_in.memory().taken_minor == FARE_MINOR
    assert not office.store.sealed(7, row), "it is paid: no number of the card is kept"
    assert office.run(day(5, 12)).asked == 0


def test_what_was_charged_too_much_is_taken_off_the_next_charge_or_given_back_by_two_persons(
    office: Office,
) -> None:
    card, bus, tram = card_of(11), office.bus, office.tram
    tram.tap(read(card, day(3, 6)), day(3, 6))  # comes late
    bus.tap(read(card, day(3, 6, 40)), day(3, 6, 40))
    bus.tap(read(card, day(5, 9)), day(5, 9))
    keep(office.store, bus)
    for at in (day(4, 7), day(6, 7)):
        office.run(at, upload=False)
        office.stand_in.work(StandInRules())
    office.run(day(6, 8), upload=False)
    assert office.stand_in.memory().taken_minor == 2 * FARE_MINOR
    keep(office.store, tram)  # it pays, and the bus behind it was a change
    office.run(day(6, 9), upload=False)
    rides = {(one.terminal, one.sequence): one.charge_minor for one in office.seen["rides"]}
    assert rides == {(8, 2): FARE_MINOR, (7, 2): 0, (7, 4): FARE_MINOR}
    assert office.asked()[-1] == (DemandKind.CHARGE, 0, DemandState.APPROVED)  # settled with itself
    assert office.run(day(7, 9), upload=False).asked == 0
    charge = next(one for one in office.seen["demands"] if one.kind is DemandKind.CHARGE)
    with office.store.changing() as connection:
        for subject in (f"{charge.id}/{FARE_MINOR}", f"{charge.id}/1", "99/1"):
            number = approvals.ask(connection, Act.REFUND, subject, "21", "", unix_ms(day(7)))
            approvals.decide(connection, number or 0, Decided.CONFIRMED, "22", unix_ms(day(7)))
    assert office.run(day(7, 10), upload=False).refunds == 1
    office.stand_in.work(StandInRules(twice=True))
    assert office.run(day(7, 11), upload=False).refunds == 0
    assert [why for _, _, why in office.seen["doubts"]] == ["too_much", "no_charge"]
    assert office.stand_in.memory().taken_minor == FARE_MINOR


def test_answers_that_fit_nothing_change_nothing_and_are_shown(office: Office) -> None:
    card = card_of(11)
    office.bus.tap(read(card, day(3, 9)), day(3, 9))
    office.run(day(3, 10))
    incoming = AcquirerFolder(office.folder).answers
    name = json.loads((office.folder / "bank/acquirer/out/000001.json").read_text())["orders"][0]["id"]
    ledger = name.partition("-")[0]
    for number, (order, amount_minor, result) in enumerate(
        (
            (name, 100, "approved"),  # another sum
            (f"{ledger}-99", 0, "approved"),
            ("00000000-1", 0, "declined"),  # of another ledger
            (f"{ledger}-{'9' * 31}", 0, "approved"),  # more than a ledger can hold
            (name, 0, "approved"),
            (name, 0, "declined"),  # answered already
        )
    ):
        answer = {"id": order, "amount_minor": amount_minor, "result": result}
        content = {"form": "bank-answers-1", "answers": [answer]}
        (incoming / f"{number}.json").write_text(json.dumps(content))
    (incoming / "bad.json").write_text("{")
    run = office.run(day(3, 11))
    assert run.unreadable == ("bad.json",)
    assert office.asked() == [(DemandKind.AUTHORISE, 0, DemandState.APPROVED)]
    assert [why for _, _, why in office.seen["doubts"]] == [
        "other_amount",
        "unknown",
        "unknown",
        "contradicts",
    ]
    assert [path.name for path in incoming.iterdir()] == ["bad.json"]
    back_up(office.folder, office.folder.parent / "copy", with_key=False)
    with open_ledger(office.folder.parent / "copy", reading=True) as ledger_copy:
        assert ledger_copy.name == ledger


class Killed:
    """Ends the process before its n-th write to a disk: a transaction's end, a file, a name that goes."""

    def __init__(self, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = at
        for owner, name in (
            (BankLedger, "changing"),
            (CollectorStore, "changing"),
        ):
            self._wrap_context(owner, name, monkeypatch)
        for owner, name in ((acquirer, "replace_file"), (stand_in, "replace_file"), (Path, "unlink")):
            whole = getattr(owner, name)
            monkeypatch.setattr(
                owner, name, partial(self._call, whole) if owner is not Path else self._method(whole)
            )

    def _write(self) -> None:
        self.left -= 1
        if self.left < 0:
            os._exit(KILLED)

    def _call(self, whole: Callable[..., object], *given: object) -> object:
        self._write()
        return whole(*given)

    def _method(self, whole: Callable[..., object]) -> Callable[..., object]:
        def unlink(path: Path, **options: object) -> object:
            self._write()
            return whole(path, **options)

        return unlink

    def _wrap_context(self, owner: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = getattr(owner, name)

        @contextmanager
        def changing(of: object) -> Iterator[object]:
            with whole(of) as within:
                yield within
                self._write()

        monkeypatch.setattr(owner, name, changing)


KILLED = 77
EVENING: tuple[tuple[datetime, StandInRules], ...] = (
    (day(3, 12), StandInRules()),
    (day(4, 7), StandInRules(twice=True)),
    (day(4, 8), StandInRules()),
)


def an_evening(office: Office) -> None:
    for at, rules in EVENING:
        office.run(at, upload=False)
        office.stand_in.work(rules)
    office.run(day(4, 9), upload=False)


def test_killed_at_every_write_nothing_is_charged_twice_or_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Office(tmp_path / "first")
    card = card_of(11)
    for terminal, hour in ((first.bus, 6), (first.tram, 9)):
        terminal.tap(read(card, day(3, hour)), day(3, hour))
        keep(first.store, terminal)
    first.store.close()
    writes = 0
    while True:
        folder = tmp_path / f"killed-{writes}"
        shutil.copytree(first.folder, folder)
        child = os.fork()
        if not child:
            with monkeypatch.context() as patched:
                Killed(writes, patched)
                an_evening(Office(folder))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        again = Office(folder)
        an_evening(again)
        assert again.asked() == [
            (DemandKind.AUTHORISE, 0, DemandState.APPROVED),
            (DemandKind.CHARGE, 2 * FARE_MINOR, DemandState.APPROVED),
        ], writes
        assert again.stand_in.memory().taken_minor == 2 * FARE_MINOR, writes
        assert not again.seen["doubts"]
        assert not list((folder / "bank" / "acquirer" / "out").iterdir())
        again.store.close()
        shutil.rmtree(folder)
        if not status:
            break
        assert os.waitstatus_to_exitcode(status) == KILLED
        writes += 1
    assert writes > 20


def oracle(rides: list[tuple[datetime, int]]) -> list[int]:
    """What the rides of one card, (moment, route) in order, come to by the region's own words: 30.00 each, the next
    within an hour on another route free, once; 75.00 a day at most, a day ending at three in the morning.
    """
    costs: list[int] = []
    spent: dict[object, int] = {}
    began: datetime | None = None
    changed, before = False, 0
    for at, route in rides:
        service_day = at.date()  # three in the morning at the region is midnight UTC
        if began is not None and not changed and route != before and at - began <= timedelta(hours=1):
            costs.append(0)
            changed = True
        else:
            costs.append(min(FARE_MINOR, CAP_MINOR - spent.get(service_day, 0)))
            began, changed = at, False
            spent[service_day] = spent.get(service_day, 0) + costs[-1]
        before = route
    return costs


@pytest.mark.parametrize("seed", range(3))
def test_money_adds_up_whatever_comes_late_is_declined_or_answered_twice(tmp_path: Path, seed: int) -> None:
    chance, office = random.Random(seed), Office(tmp_path)
    cards, taken = [card_of(20 + n) for n in range(3)], {}
    digits = read(chance.choice(cards), day(2)).opened.pan.in_clear[-4:]
    for number in range(3, 6):
        for card in cards:
            minutes = sorted(chance.sample(range(0, 18 * 60, 6), chance.randrange(2, 8)))
            for minute in minutes:
                at = day(number) + timedelta(minutes=minute - 6 * 60)
                terminal = chance.choice((office.bus, office.tram))
                one = read(card, at)
                row = terminal.tap(one, at)
                taken.setdefault(token_of(one), []).append((at, terminal.route, (terminal.number, row)))
        for hour in (10, 22):
            for terminal in (office.bus, office.tram):
                if terminal.sent < len(terminal.bodies) and chance.random() < 0.7:
                    keep(office.store, terminal)
            office.run(day(number + 1, hour), upload=False)
            declines = (digits,) if chance.random() < 0.5 else ()
            office.stand_in.work(
                StandInRules(declines, silent=chance.random() < 0.3, twice=chance.random() < 0.5)
            )
    for number in range(8, 24):  # late rows, silent answers and declined cards are all dealt with by then
        office.run(day(number, 12))
        office.stand_in.work(StandInRules())
    office.run(day(24, 12))
    rides = {(one.terminal, one.sequence): one for one in office.seen["rides"]}
    approved = 0
    for token, story in taken.items():
        story.sort()
        costs = oracle([(at, route) for at, route, _ in story])
        assert [rides[row].charge_minor for _, _, row in story] == costs
        with open_ledger(office.folder, reading=True) as ledger:
            found = statement_of(ledger, token)
        paid = sum(
            one.amount_minor
            for one in found.demands
            if one.kind is DemandKind.CHARGE and one.state is DemandState.APPROVED
        )
        assert paid + found.open_minor.get("RUB", 0) == sum(costs)
        assert not found.owed
        assert found.open_minor.get("RUB", 0) <= 0  # what too much was asked of and no ride paid for since
        approved += paid
    assert office.stand_in.memory().taken_minor == approved
    assert not any(office.denied.values())
    office.store.close()
