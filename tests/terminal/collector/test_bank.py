"""The money behind bank cards: proven once more, decided, charged once, owed, given back."""

from __future__ import annotations

import errno
import hmac
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cardproto.emv import tags
from cardproto.emv.keys import CaKeys, Trust
from terminal.bank_record import bank_record, card_identity, sealed_record
from terminal.clock import from_unix_ms, unix_ms
from terminal.collector import approvals
from terminal.collector.alarms import AlarmKind
from terminal.collector.approvals import Act, Decided
from terminal.collector.backup import back_up
from terminal.collector.bank import acquirer, stand_in
from terminal.collector.bank.acquirer import AcquirerFolder
from terminal.collector.bank.demands import DemandCause, DemandKind, DemandState
from terminal.collector.bank.ledger import BankLedger, open_ledger
from terminal.collector.bank.proofs import OfficeKeys, UnprovenCause
from terminal.collector.bank.rides import RideState
from terminal.collector.bank.settle import BankOffice, BankRun, lone
from terminal.collector.bank.stand_in import StandIn, StandInRules
from terminal.collector.bank.statement import statement_of
from terminal.collector.office_rights import TECHNICAL
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError
from terminal.journal.records import Committed, SettledBy
from terminal.keys.provider import BankToken
from tests.terminal.collector.bank_town import (
    CAP_MINOR,
    FARE_MINOR,
    KEYS,
    SERIES,
    ZONE,
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

    def __init__(
        self, folder: Path, zone: str = ZONE, keys: OfficeKeys = KEYS, document: bytes = b""
    ) -> None:
        """`document`: the one that the folder has already."""
        self.folder, self.keys = folder, keys
        folder.mkdir(exist_ok=True)
        self.document = document or kept_document(folder, bank_document(folder, zone))
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
        with lone(self.folder, self.keys, self.folder / "documents", deny=self) as office:
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
    alarms = office.store.alarms(only_open=True, kinds={AlarmKind.BANK_UNPROVEN})
    assert {(one.terminal, one.sequence): one.detail for one in alarms} == {
        row: f"bank_ride why={why}" for row, why in office.why().items()
    }
    assert {one.times for one in alarms} == {1}
    assert AlarmKind.BANK_UNPROVEN not in TECHNICAL, "two of those who answer for money acknowledge it"
    assert office.asked()[-1] == (DemandKind.CHARGE, FARE_MINOR, DemandState.ASKED)
    assert [one.sequence for one in office.seen["demands"]] == [genuine, genuine]


def test_a_terminal_in_other_hands_stops_no_run_and_charges_nothing_that_cannot_be(office: Office) -> None:
    """Its rows are signed, its cards were there; what it states of their rides was no bus's."""
    bus, tram, at = office.bus, office.tram, day(3, 9)
    good = bus.tap(read(card_of(11), at), at)
    tram.write(Committed(unix_ms(at), (1 << 63) + 1, None, b"", SettledBy.ANSWERED))
    stated: list[dict[str, Any]] = [
        {"route": 70_000},
        {"direction": 7},
        {"companions": 10**9},
        {"shown_minor": -5_000},
    ]
    rows, card = [], card_of(12)
    for number, one in enumerate(stated):
        later = at + timedelta(minutes=20 * number)
        rows.append(tram.tap(read(card, later), later, **one))
    unknown = tram.tap(read(card_of(13), at), at, **{"canteen.pupil.buffet.uncertain": True})
    run = office.run(day(4, 9))
    assert (run.unproven, run.undecided) == (0, 1)
    charges = {(one.terminal, one.sequence): one.charge_minor for one in office.seen["rides"]}
    assert charges == {(7, good): FARE_MINOR, (8, unknown): 0} | {(8, row): 0 for row in rows}


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
    with open_ledger(office.folder, reading=True) as ledger:
        assert [one.authorised_ms for one in ledger.cards.active()] == [0]
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


NO_CARD = {"pan": "", "expires_on": 0, "sequence": None, "track_2": "", "objects": {}}
"""A refund names its charge."""


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
    (orders,) = (office.folder / "bank/acquirer/out").iterdir()
    (order,) = json.loads(orders.read_text())["orders"]
    assert order.keys() == {"id", "kind", "amount_minor", "currency", "day", "of"} | NO_CARD.keys()
    assert order.items() > NO_CARD.items()
    office.stand_in.work(StandInRules(twice=True))
    assert office.run(day(7, 11), upload=False).refunds == 0
    assert [why for _, _, why in office.seen["doubts"]] == ["too_much", "no_charge"]
    assert office.stand_in.memory().taken_minor == FARE_MINOR


def test_an_order_without_an_answer_is_written_again_after_a_day_and_is_the_same(office: Office) -> None:
    office.bus.tap(read(card_of(11), day(3, 9)), day(3, 9))
    written = []
    for hour in (0, 1, 24, 46):
        office.run(day(3, 10) + timedelta(hours=hour))
        files = sorted((office.folder / "bank/acquirer/out").iterdir())
        written.append([json.loads(file.read_text())["orders"][0]["id"] for file in files])
        for file in files:
            file.unlink()  # the acquirer took it away
    assert [len(names) for names in written] == [1, 0, 2, 0], "after a day with the charge of that day"
    assert written[2][0] == written[0][0]


def answers_file(order: str, amount_minor: int = 0, result: str = "approved") -> bytes:
    answer = {"id": order, "amount_minor": amount_minor, "result": result}
    return json.dumps({"form": "bank-answers-1", "answers": [answer]}).encode()


def test_answers_that_fit_nothing_change_nothing_and_are_shown(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        (incoming / f"{number}.json").write_bytes(answers_file(order, amount_minor, result))
    unreadable = {
        "bad.json": b"{",
        "bom.json": b"\xef\xbb\xbf" + answers_file(name),
        "cut.json": answers_file(name)[:-2],
        "latin.json": answers_file(name).replace(b"approved", b"approv\xe9d"),
        "more.json": answers_file(name).replace(b'"result"', b'"pan": "2200", "result"'),
        "negative.json": answers_file(name, -1),
        "other.json": answers_file(name).replace(b"bank-answers-1", b"bank-answers-2"),
        "wide.json": answers_file(name).decode().encode("utf-16"),
    }
    for called, content in unreadable.items():
        (incoming / called).write_bytes(content)
    (incoming / "folder.json").mkdir()
    os.mkfifo(incoming / "pipe.json")
    monkeypatch.setattr(acquirer, "MOST_BYTES", 1_000)
    (incoming / "long.json").write_bytes(answers_file(name) + b" " * 1_000)
    for number, order in enumerate(
        (f"{ledger}-0001", f"{ledger}-{10**30}", f"{ledger}--1", f"{ledger}-\u0661")
    ):
        (incoming / f"x{number}.json").write_bytes(answers_file(order))
    stays = tuple(sorted((*unreadable, "folder.json", "long.json", "pipe.json")))
    run = office.run(day(3, 11))
    assert run.unreadable == stays
    assert office.asked() == [(DemandKind.AUTHORISE, 0, DemandState.APPROVED)]
    assert [why for _, _, why in office.seen["doubts"]] == [
        "other_amount",
        "unknown",
        "unknown",
        "contradicts",
    ]
    assert tuple(sorted(path.name for path in incoming.iterdir())) == stays
    seen, whole = office.seen, acquirer._answers

    def replaced(path: Path) -> object:
        """A file that the acquirer replaces as soon as it was read."""
        found = whole(path)
        if path.name == "y.json":
            path.unlink()
            path.write_bytes(answers_file("of-no-ledger"))
        return found

    (incoming / "y.json").write_bytes(answers_file(name))
    with monkeypatch.context() as patched:
        patched.setattr(acquirer, "_answers", replaced)
        office.run(day(3, 11))
    assert (incoming / "y.json").read_bytes() == answers_file("of-no-ledger")
    (incoming / "cut.json").write_bytes(answers_file(name))  # it is whole now
    again = office.run(day(3, 11))
    assert (again.unreadable, office.seen) == (tuple(one for one in stays if one != "cut.json"), seen)
    back_up(office.folder, office.folder.parent / "copy", with_key=False)
    with open_ledger(office.folder.parent / "copy", reading=True) as ledger_copy:
        assert ledger_copy.name == ledger


def test_keys_that_are_not_those_are_noticed_and_what_waited_for_the_right_ones_is_proven(
    tmp_path: Path,
) -> None:
    other = replace(KEYS, private=(X25519PrivateKey.generate(),))
    office, at = Office(tmp_path, keys=other), day(3, 9)
    one = read(card_of(11), at)
    row = office.bus.tap(one, at)
    assert office.run(day(3, 10)).unproven == 1
    assert office.why() == {(7, row): UnprovenCause.NOT_OURS}
    assert office.run(day(3, 10)).proven == 0
    office.keys = replace(KEYS, trust=Trust(CaKeys()))
    assert office.run(day(3, 10)).proven == 1  # it was looked at once more
    assert office.why() == {(7, row): UnprovenCause.NOT_GENUINE}
    office.keys = replace(KEYS, private=(*other.private, *KEYS.private))
    assert office.run(day(3, 11)).decided == 1
    office.keys = replace(KEYS, cards=bytes(32))
    with pytest.raises(CollectorError, match="knows cards by another key"):
        office.run(day(3, 12))
    office.store.close()


def test_a_ride_that_costs_more_when_its_record_is_gone_goes_with_another_record_of_its_card(
    office: Office,
) -> None:
    """The tram was a change, until a tram before it turned out to be that change."""
    card, bus, tram = card_of(11), office.bus, office.tram
    bus.tap(read(card, day(3, 6)), day(3, 6))
    row = tram.tap(read(card, day(3, 6, 50)), day(3, 6, 50))
    for at in (day(4, 7), day(4, 8)):
        office.run(at)
        office.stand_in.work(StandInRules())
    office.run(day(4, 9))
    assert office.store.sealed(8, row) is None
    tram.tap(read(card, day(3, 6, 30)), day(3, 6, 30))
    assert office.run(day(4, 10)).asked == 1
    assert not office.seen["doubts"]
    office.stand_in.work(StandInRules())
    office.run(day(4, 11))
    rides = sorted(office.seen["rides"], key=lambda one: one.at_ms)
    story = [(one.at_ms, {7: 7, 8: 9}[one.terminal]) for one in rides]
    costs = oracle([(from_unix_ms(at_ms), route) for at_ms, route in story])
    assert [one.charge_minor for one in rides] == costs
    assert office.stand_in.memory().taken_minor == sum(costs)


def test_a_clock_that_was_ahead_keeps_no_card_on_the_deny_list(office: Office) -> None:
    at = day(3, 9)
    one = read(card_of(11), at)
    office.bus.tap(one, at)
    broke = StandInRules(declines=(one.opened.pan.in_clear[-4:],))
    office.run(day(4, 10))
    for moment in (day(4, 11), datetime(2031, 5, 5, tzinfo=UTC), datetime(2031, 5, 9, tzinfo=UTC)):
        office.stand_in.work(broke)
        office.run(moment)
    office.bus.refuse(read(card_of(11), day(4, 12)), day(4, 12))
    office.stand_in.work(broke)
    assert office.run(day(4, 12, 5)).asked > 0  # at once, by the right clock
    office.stand_in.work(StandInRules())
    assert office.run(day(4, 12, 30)).released == 1
    assert office.denied == {token_of(one): False}


def test_one_at_a_time_and_a_full_disk_keeps_orders_for_later(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = day(3, 9)
    office.bus.tap(read(card_of(11), at), at)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(acquirer, "replace_file", full)
        with pytest.raises(CollectorError, match="No space left on device"):
            office.run(day(3, 10))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(CollectorError, match="No space left on device"):
            office.run(day(3, 10))  # the lock could not be written, and is free again
    shutil.rmtree(office.folder / "bank" / "acquirer")
    with (
        lone(office.folder, KEYS, office.folder),
        pytest.raises(CollectorError, match="settles bank cards"),
        lone(office.folder, KEYS, office.folder),
    ):
        raise AssertionError("two at once")
    assert office.run(day(3, 11)).sent == 1
    assert [path.name for path in (office.folder / "bank/acquirer/out").iterdir()] == ["000001.json"]


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
                an_evening(Office(folder, document=first.document))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        again = Office(folder, document=first.document)
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


def oracle(rides: list[tuple[datetime, int]], zone: str = ZONE) -> list[int]:
    """What the rides of one card, (moment, route) in order, come to by the region's own words: 30.00 each, the next
    within an hour on another route free, once; 75.00 a day at most, a day ending at three in the morning.
    """
    clocks = ZoneInfo(zone)
    costs: list[int] = []
    spent: dict[object, int] = {}
    began: datetime | None = None
    changed, before = False, 0
    for at, route in rides:
        local = at.astimezone(clocks)
        service_day = local.date() - timedelta(days=local.hour < 3)
        if began is not None and not changed and route != before and at - began <= timedelta(hours=1):
            costs.append(0)
            changed = True
        else:
            costs.append(min(FARE_MINOR, CAP_MINOR - spent.get(service_day, 0)))
            began, changed = at, False
            spent[service_day] = spent.get(service_day, 0) + costs[-1]
        before = route
    return costs


def two_epochs(value: bytes) -> tuple[BankToken, ...]:
    """A newer key of the tokens beside the laboratory's."""
    return (BankToken(2, hmac.digest(b"newer", value, "sha256")[:16]), *KEYS.tokens(value))


@pytest.mark.parametrize(
    ("seed", "begins", "zone"),
    [
        (0, day(3), ZONE),
        (1, datetime(2026, 3, 28, tzinfo=UTC), "Europe/Berlin"),  # clocks go forward, then a month ends
        (2, datetime(2026, 10, 24, tzinfo=UTC), "Europe/Berlin"),  # and back
    ],
)
def test_money_adds_up_whatever_comes_late_is_declined_or_answered_twice(
    tmp_path: Path, seed: int, begins: datetime, zone: str
) -> None:
    """From the second day on, terminals call cards by the newer epoch of the tokens' key."""
    chance, office = random.Random(seed), Office(tmp_path, zone, replace(KEYS, tokens=two_epochs))
    cards, taken = [card_of(20 + n) for n in range(3)], {}
    digits = read(chance.choice(cards), day(2)).opened.pan.in_clear[-4:]
    for number in range(4):
        for card in cards:
            minutes = sorted(chance.sample(range(0, 24 * 60, 6), chance.randrange(2, 8)))
            for minute in minutes:
                at = begins + timedelta(days=number, minutes=minute)
                terminal = chance.choice((office.bus, office.tram))
                one = read(card, at)
                newer = two_epochs(card_identity(one.opened.pan.in_clear, one.opened.sequence))[0].token
                row = terminal.tap(one, at, token=newer if number else token_of(one))
                taken.setdefault(token_of(one), []).append((at, terminal.route, (terminal.number, row)))
        for hour in (10, 22):
            for terminal in (office.bus, office.tram):
                if terminal.sent < len(terminal.bodies) and chance.random() < 0.7:
                    keep(office.store, terminal)
            office.run(begins + timedelta(days=number + 1, hours=hour), upload=False)
            declines = (digits,) if chance.random() < 0.5 else ()
            office.stand_in.work(
                StandInRules(declines, silent=chance.random() < 0.3, twice=chance.random() < 0.5)
            )
    for number in range(8, 24):  # late rows, silent answers and declined cards are all dealt with by then
        office.run(begins + timedelta(days=number, hours=12))
        office.stand_in.work(StandInRules())
    office.run(begins + timedelta(days=24, hours=12))
    rides = {(one.terminal, one.sequence): one for one in office.seen["rides"]}
    approved = 0
    for token, story in taken.items():
        story.sort()
        costs = oracle([(at, route) for at, route, _ in story], zone)
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
