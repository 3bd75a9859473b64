"""The money of an approved order stands in one place, whatever is torn or ends while it is carried out."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cardproto.connection import CardConnection
from sim.air import VirtualClock
from sim.card.virtual import VirtualCard
from sim.faults import FaultPlan, tear_after, tear_before
from sim.issuing import CardView
from sim.profile import LAB_KEYS as LAB
from sim.reader import SimReader
from terminal.collector import issuing_asking
from terminal.collector.approvals import Act
from terminal.collector.card_rides import CardAccount
from terminal.collector.issuing_asking import ask_replacement, known_balance
from terminal.collector.issuing_orders import IssuingOrder, IssuingState, IssuingSubject
from terminal.collector.office import Office, office_at
from terminal.collector.office_says import OfficeCode
from terminal.collector.registry import CardRegistry, write_registry
from terminal.collector.users import MACHINE
from terminal.errors import CollectorError, OfficeRefused, ReaderError
from terminal.keys.file import load_file_keys
from terminal.lab.card_orders import IssuingTools, card_of, carry_out, point_of
from terminal.policy.deny_list import DenyKind
from terminal.publish.deny.register import DeniedIdentity, DenyRegister, begin_register

NOW = datetime(2026, 9, 15, 12, tzinfo=UTC)
LOST = bytes.fromhex("0123456789abcdef")
MINOR = 12_300


class IssuingPoint:
    """An office with a deny register and a registry, and blank cards."""

    def __init__(self, office: Office, folder: Path) -> None:
        self.office, self.folder = office, folder
        self.orders = 0

    @property
    def tools(self) -> IssuingTools:
        registry = self.folder / "registry.json"
        return IssuingTools(
            self.office, MACHINE, "demo", None, self.folder / "deny", registry, NOW, secrets.token_bytes
        )

    def order(self, what: Act, card: bytes, minor: int = MINOR) -> IssuingOrder:
        self.orders += 1
        subject = IssuingSubject(card, minor, "RUB", (7, self.orders))
        answer = self.office.order(MACHINE, what, subject, "", minor)
        assert answer.says is OfficeCode.DONE
        return self.now(answer.number)

    def later(self, card: bytes, minor: int) -> IssuingOrder:
        """What later records of the card before `card` took is settled on it."""
        self.orders += 1
        subject = IssuingSubject(card, minor, "RUB", (0, self.orders))
        answer = self.office.order(MACHINE, Act.SETTLE_LATER, subject, "", minor)
        assert answer.says is OfficeCode.DONE
        return self.now(answer.number)

    def now(self, number: int) -> IssuingOrder:
        return next(one for one in self.office.orders() if one.number == number)

    def carry_out(self, order: IssuingOrder, card: VirtualCard, faults: FaultPlan | None = None) -> int:
        return carry_out(connected(card, faults), self.now(order.number), self.tools, "adult_purse")

    def held(self, card: VirtualCard) -> CardView:
        connection = connected(card)
        return point_of(connection, self.tools, card.uid).read()

    def ref(self, card: VirtualCard) -> bytes:
        return card_of(connected(card), self.tools)[1]


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IssuingPoint]:
    folder = tmp_path_factory.mktemp("point")
    begin_register(folder / "deny")
    write_registry(folder / "registry.json", [])
    with office_at(folder / "collector", make=True) as office:
        yield IssuingPoint(office, folder)


def connected(card: VirtualCard, faults: FaultPlan | None = None) -> CardConnection:
    reader = SimReader("point", VirtualClock(NOW))
    reader.present(card, faults)
    connection = reader.wait_for_card(0)
    assert connection is not None, "a card has just been presented"
    return connection


def blank() -> VirtualCard:
    return VirtualCard(b"\x04" + secrets.token_bytes(6), secrets.token_bytes)


def replaced(point: IssuingPoint, faults: FaultPlan | None = None) -> tuple[IssuingOrder, VirtualCard, bool]:
    """A new order, the blank card it was tried with, and whether it was carried out at once."""
    order, card = point.order(Act.REPLACE_CARD, secrets.token_bytes(8)), blank()
    try:
        point.carry_out(order, card, faults)
    except ReaderError:
        return order, card, False
    return order, card, True


def test_a_new_card_gets_the_balance_once_and_the_lost_one_is_denied(point: IssuingPoint) -> None:
    order, card, done = replaced(point)
    assert done
    held = point.held(card)
    assert (held.purse_minor, held.event.balance_after_minor, held.event.last_order) == (
        MINOR,
        MINOR,
        order.number,
    )
    with pytest.raises(OfficeRefused, match="carried_out"):
        point.carry_out(order, blank())
    register = DenyRegister(point.folder / "deny")
    assert register.of(DeniedIdentity(DenyKind.REFERENCE, order.subject.card))
    register.close()
    registry = CardRegistry.load(point.folder / "registry.json", load_file_keys(LAB))
    known = registry.card(point.ref(card))
    assert known is not None
    assert known.uid == card.uid
    again = point.office.order(MACHINE, Act.REPLACE_CARD, order.subject._replace(minor=1), "")
    assert again.says is OfficeCode.ASKED_ALREADY


def test_a_card_torn_while_it_is_issued_gets_the_balance_once_with_the_next_try(point: IssuingPoint) -> None:
    """Torn behind every seventh exchange and each of the last: another card is refused, the same one goes on."""
    order, card = point.order(Act.REPLACE_CARD, secrets.token_bytes(8)), blank()
    reader = SimReader("point", VirtualClock(NOW))
    reader.present(card)
    connection = reader.wait_for_card(0)
    assert connection is not None
    carry_out(connection, order, point.tools, "adult_purse")
    last = reader.exchanges
    for exchange in (*range(1, last - 6, 7), *range(last - 6, last + 1)):
        order, card, done = replaced(point, tear_after(exchange))
        assert not done
        state = point.now(order.number).state
        assert state is not IssuingState.DONE
        if state is IssuingState.BEGUN:
            with pytest.raises(OfficeRefused, match="other_card"):
                point.carry_out(order, blank())
        assert point.carry_out(order, card) == MINOR
        assert point.held(card).purse_minor == MINOR
        assert point.now(order.number).state is IssuingState.DONE


def test_a_ride_is_paid_back_once_wherever_the_card_is_torn(point: IssuingPoint) -> None:
    _, card, _ = replaced(point)
    ref, balance = point.ref(card), MINOR
    for exchange in range(1, 60):
        order = point.order(Act.REPAY_RIDE, ref, 100) if exchange % 2 else point.later(ref, 50)
        balance += 100 if exchange % 2 else -50
        try:
            point.carry_out(order, card, tear_after(exchange) | tear_before(exchange + 1))
        except ReaderError:
            assert point.carry_out(order, card) == balance
            assert point.held(card).purse_minor == balance
            assert point.held(card).event.last_order == order.on_card
        else:
            break
    assert 10 < exchange < 59
    assert point.held(card).purse_minor == balance
    assert point.carry_out(order, card) == point.held(card).purse_minor == balance  # nothing more
    other = point.order(Act.REPAY_RIDE, LOST, 100)
    with pytest.raises(OfficeRefused, match="other_card"):
        point.carry_out(other, card)
    more = point.office.order(MACHINE, Act.REPAY_RIDE, other.subject._replace(minor=1), "", 100)
    assert more.says is OfficeCode.TOO_MUCH


def test_an_order_leaves_a_card_that_broke_for_another_one(point: IssuingPoint) -> None:
    """Whether it has the money is not known: it is denied by its UID before the next card is begun, and never taken."""
    denied = DenyRegister(point.folder / "deny")
    for torn in (12, None):
        order, broken = point.order(Act.REPLACE_CARD, secrets.token_bytes(8)), blank()
        assert point.office.move_order(MACHINE, order.number, "").says is OfficeCode.NOT_BEGUN
        if torn is None:
            broke = finished_nowhere(point, order, broken)
        else:
            with pytest.raises(ReaderError):
                point.carry_out(order, broken, tear_after(torn))
            broke = point.now(order.number).onto
        assert point.now(order.number).state is IssuingState.BEGUN
        assert point.office.drop_order(MACHINE, order.number, "").says is OfficeCode.BEGUN_ALREADY
        assert point.office.move_order(MACHINE, order.number, "").says is OfficeCode.DONE
        assert not denied.of(DeniedIdentity(DenyKind.CARD, broken.uid))
        fresh = blank()
        assert point.carry_out(order, fresh) == MINOR == point.held(fresh).purse_minor
        done = point.now(order.number)
        assert (done.state, done.broken) == (IssuingState.DONE, (broke,))
        assert [one.reason for one in denied.of(DeniedIdentity(DenyKind.CARD, broken.uid))] == ["replaced"]
        again = point.order(Act.REPLACE_CARD, secrets.token_bytes(8))
        with pytest.raises(OfficeRefused, match="broken_card"):
            point.carry_out(again, broken)
    denied.close()


def finished_nowhere(point: IssuingPoint, order: IssuingOrder, card: VirtualCard) -> bytes:
    """The card has the money, and the office ends before it has noted it; then the card breaks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point.office, "finish_order", lambda *_: None)
        assert point.carry_out(order, card) == MINOR
    return point.ref(card)


def test_what_was_not_begun_is_given_up_and_asked_for_again(point: IssuingPoint) -> None:
    order = point.order(Act.REPLACE_CARD, secrets.token_bytes(8))
    assert point.office.drop_order(MACHINE, order.number, "").says is OfficeCode.DONE
    assert point.now(order.number).state is IssuingState.DROPPED
    with pytest.raises(OfficeRefused, match="not_found"):
        point.carry_out(order, blank())
    assert point.office.order(MACHINE, Act.REPLACE_CARD, order.subject, "").says is OfficeCode.DONE
    _, card, _ = replaced(point)
    poor = point.later(point.ref(card), MINOR + 1)
    with pytest.raises(ReaderError, match="less than the order takes"):
        point.carry_out(poor, card)
    assert point.now(poor.number).state is IssuingState.OPEN


def test_what_was_approved_is_not_asked_for_once_more(point: IssuingPoint) -> None:
    card, office = secrets.token_bytes(8), point.office
    ride = IssuingSubject(card, 60, "RUB", (9, 1))
    for minor, says in ((60, OfficeCode.DONE), (60, OfficeCode.TOO_MUCH), (41, OfficeCode.TOO_MUCH)):
        asked = office.order(MACHINE, Act.REPAY_RIDE, ride._replace(minor=minor), "", 100)
        assert asked.says is says, "of one ride no more than it took"
    assert office.order(MACHINE, Act.REPAY_RIDE, ride._replace(minor=40), "", 100).says is OfficeCode.DONE
    assert office.order(MACHINE, Act.REPAY_RIDE, ride._replace(row=(9, 2)), "", 100).says is OfficeCode.DONE
    for says in (OfficeCode.DONE, OfficeCode.ASKED_ALREADY):
        assert office.order(MACHINE, Act.REPLACE_CARD, ride, "").says is says


def test_a_card_takes_one_order_at_a_time_and_a_lost_one_none_of_its_own(point: IssuingPoint) -> None:
    first, second = (point.order(Act.REPLACE_CARD, secrets.token_bytes(8)) for _ in range(2))
    onto, office = secrets.token_bytes(8), point.office
    assert office.begin_order(MACHINE, first.number, first.subject.card) is OfficeCode.OTHER_CARD
    begun = office.begin_order(MACHINE, first.number, onto)
    assert isinstance(begun, IssuingOrder)
    assert office.begin_order(MACHINE, second.number, onto) is OfficeCode.OTHER_ORDER
    assert office.begin_order(MACHINE, first.number, second.subject.card) is OfficeCode.OTHER_CARD
    office.finish_order(MACHINE, begun, MINOR)
    assert office.begin_order(MACHINE, first.number, onto) is OfficeCode.CARRIED_OUT
    assert isinstance(office.begin_order(MACHINE, second.number, onto), IssuingOrder)


@pytest.mark.parametrize(
    ("done_at_ms", "onto", "ridden_minor", "known"),
    [
        (999, LOST, 5_000, (5_000, (7, 3))),
        (1_001, LOST, 5_000, (MINOR, (0, 4))),
        (1_001, bytes(8), 5_000, (5_000, (7, 3))),
        (1_001, LOST, None, (MINOR, (0, 4))),
        (0, LOST, None, None),
    ],
)
def test_what_a_card_holds_is_the_newest_word_of_it(
    monkeypatch: pytest.MonkeyPatch, done_at_ms: int, onto: bytes, ridden_minor: int | None, known: object
) -> None:
    """Its newest ride, or an order that was carried out since."""
    ridden = CardAccount([], ridden_minor, "RUB", 1_000 if ridden_minor else 0, (7, 3))
    monkeypatch.setattr(issuing_asking, "card_statement", lambda _views, _card: ridden)
    subject = IssuingSubject(bytes(8), MINOR, "RUB", (7, 1))
    order = IssuingOrder(4, Act.REPLACE_CARD, subject, "", onto, done_at_ms, MINOR)
    before = order._replace(number=3, done_at_ms=min(1, done_at_ms), balance_minor=1)
    views: Any = SimpleNamespace(books=SimpleNamespace(references=lambda card: frozenset({card})))
    found = known_balance(views, [order, before], LOST)
    assert (None if found is None else (found.minor, found.row)) == known


def test_no_balance_is_taken_from_records_that_are_not_booked_yet(point: IssuingPoint) -> None:
    views: Any = SimpleNamespace(books=SimpleNamespace(behind=lambda: 3))
    assert ask_replacement(views, point.office, MACHINE, LOST.hex(), "").says is OfficeCode.NOT_BOOKED


def test_an_end_at_any_write_of_the_office_leaves_the_money_in_one_place(
    point: IssuingPoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both before a transaction is kept and right after."""
    whole = point.office.store.changing
    for write in range(1, 9):
        for kept in (False, True):
            _, card, _ = replaced(point)
            repay = point.order(Act.REPAY_RIDE, point.ref(card), 100)
            new, fresh = point.order(Act.REPLACE_CARD, secrets.token_bytes(8)), blank()
            for order, one, after in ((repay, card, MINOR + 100), (new, fresh, MINOR)):
                seen = point.now(order.number)
                monkeypatch.setattr(point.office.store, "changing", ending(whole, write, kept=kept))
                try:
                    carry_out(connected(one), seen, point.tools, "adult_purse")
                except CollectorError:
                    ended = True
                else:
                    ended = False
                monkeypatch.setattr(point.office.store, "changing", whole)
                if ended and point.now(order.number).state is not IssuingState.DONE:
                    point.carry_out(order, one)
                assert point.held(one).purse_minor == after
                assert point.now(order.number).state is IssuingState.DONE
        if not ended:
            return
    raise AssertionError("it never came to an end")


def ending(whole, write: int, *, kept: bool):  # type: ignore[no-untyped-def]
    """Transactions of which number `write` is the last thing that happens."""
    count = 0

    @contextmanager
    def changing():  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        if count == write and not kept:
            raise CollectorError("ended", "")
        with whole() as connection:
            yield connection
        if count == write:
            raise CollectorError("ended", "")

    return changing
