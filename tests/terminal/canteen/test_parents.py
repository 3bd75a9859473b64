"""What parents pay in and order between two lists: payments once each, orders until the cut-off, a menu of the day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from terminal.canteen.documents import MenuOfDay, PriceListDocument, RosterPupil
from terminal.canteen.ledger import Ledger
from terminal.canteen.ordering import next_school_day, order_meal
from terminal.canteen.payments import MOST_BYTES, PaymentsTaken, take_payments
from terminal.canteen.price_list import PriceList
from terminal.canteen.report import FIGURES
from terminal.canteen.roster import Roster
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import AccountCredited, CanteenAccount, MealLine
from terminal.journal.records import NotCommitted, SettledBy, parse_record
from terminal.screen.console.canteen.report import orders_left
from tests.terminal.canteen.school import (
    CASHIER,
    POLICY,
    PRICES,
    TODAY,
    Canteen,
    child,
    local,
    open_canteen,
    ref,
    region_with,
    roster_document,
)
from tests.terminal.journal.samples import INTENT, committed

OpenCanteen = Callable[..., Canteen]
HEAD = "payment;pupil;account;amount"
ASKING = region_with(('without_order = "serve"', 'without_order = "ask"'))


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[OpenCanteen]:
    with ExitStack() as stack:

        def open_one(*pupils: RosterPupil, **fields: Any) -> Canteen:
            return stack.enter_context(open_canteen(tmp_path, *pupils, **fields))

        yield open_one


def pay(school: Canteen, *lines: str, head: str = HEAD, encoding: str = "utf-8") -> PaymentsTaken:
    content = "\n".join((head, *lines)).encode(encoding)
    return take_payments(school.canteen, content, CASHIER, school.at("08:00"))


def test_m_01_a_payment_counts_once_whichever_file_has_it(canteen: OpenCanteen) -> None:
    one, two = ref(1).hex(), ref(2).hex()
    pupils = (child(1, hot_minor=1_000, buffet_minor=0), child(2, hot_minor=0))
    school = canteen(*pupils)
    assert pay(school, f"A1;{one};hot;500.00", f"A2;{one};buffet;35,50") == PaymentsTaken(2, 0, 53_550)
    assert (school.hot_minor(1), school.buffet_minor(1)) == (51_000, 3_550)
    assert pay(school, f"A1;{one};hot;500.00", f"A3;{two};hot;10", encoding="utf-8-sig") == PaymentsTaken(
        1, 1, 1_000
    )
    assert (school.hot_minor(1), school.hot_minor(2)) == (51_000, 1_000)
    assert school.sell(1, bun=1).sequence is not None
    assert (school.report().credited_minor, school.report().control.difference_minor) == (54_550, 0)
    through = school.canteen.journal.head.sequence  # type: ignore[union-attr]
    newer = roster_document(*pupils, sequence=8, through={"80001": through}, issued_at=local("07:30"))
    school.canteen.roster = Roster.of(newer, POLICY)
    assert school.hot_minor(1) == 1_000, "the next list's balances include what it names"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("A1;00;hot;1",), "line 2: the list has no such pupil"),
        (("A1;{ref};savings;1",), "line 2: the account is hot or buffet"),
        (("A1;{ref};hot;-1",), "line 2: the amount is more than nothing"),
        (("A1;{ref};hot;1.234",), "line 2: not a sum of money"),
        (("A1;{ref};hot;1", "A1;{ref};hot;1"), "line 3: this payment stands in the file already"),
        (("A1;{ref};hot",), "line 2: 3 cells"),
        ((";{ref};hot;1",), "line 2: a payment has a number"),
    ],
)
def test_a_file_with_a_mistake_says_where_and_changes_nothing(
    canteen: OpenCanteen, lines: tuple[str, ...], says: str
) -> None:
    school = canteen(child(1, hot_minor=0))
    with pytest.raises(CanteenRefused, match=says):
        pay(school, *(line.format(ref=ref(1).hex()) for line in lines), f"A0;{ref(1).hex()};hot;1")
    assert school.hot_minor(1) == 0


def test_the_largest_of_everything_is_taken_and_one_more_is_not(canteen: OpenCanteen) -> None:
    school, one = canteen(child(1, hot_minor=0)), ref(1).hex()
    assert pay(school, f"A,{one},hot,1", f"B;,{one},hot,1", head=HEAD.replace(";", ",")).new == 2
    assert pay(school, f"{'9' * 64};{one};hot;167772.15").sum_minor == 0xFFFFFF
    for line in (f"{'9' * 65};{one};hot;1", f"C;{one};hot;167772.16", f"C;{one};hot;0"):
        with pytest.raises(CanteenRefused, match="line 2"):
            pay(school, line)
    for count in (10_000, 10_001):
        with pytest.raises(CanteenRefused, match="no such pupil" if count == 10_000 else "more than 10000"):
            pay(school, *(["x;x;hot;1"] * count))
    with pytest.raises(CanteenRefused, match="more than 1048576 bytes"):
        take_payments(school.canteen, bytes(1_048_577), CASHIER, school.at("08:00"))
    assert {len(mark) for mark in school.canteen.ledger.credits} == {32}


def test_a_number_that_two_pupils_have_names_neither(canteen: OpenCanteen) -> None:
    school = canteen(
        *(structs.replace(child(one, hot_minor=0), number=name) for one, name in enumerate("xxy", 1))
    )
    with pytest.raises(CanteenRefused, match="line 2: the list has no such pupil"):
        pay(school, "A1;x;hot;1")
    assert pay(school, "A1;y;hot;1").new == 1
    assert [school.hot_minor(one) for one in (1, 2, 3)] == [0, 0, 100]


def test_what_is_no_file_of_payments_is_refused(canteen: OpenCanteen) -> None:
    school = canteen(child(1, hot_minor=0))
    huge = f"{HEAD}\nA1;{'0' * 200_000};hot;1".encode()
    for content in (b"", b"a;b", "платёж".encode("cp1251"), bytes(MOST_BYTES + 1), huge):
        with pytest.raises(CanteenRefused):
            take_payments(school.canteen, content, CASHIER, school.at("08:00"))
    assert not any(isinstance(row, AccountCredited) for row in rows(school))


def test_a_payment_in_the_rows_of_two_tills_counts_by_the_first() -> None:
    first = AccountCredited(1, ref(1), "school_12", "2026-09-15", CanteenAccount.HOT, 500, "mark", CASHIER)
    ledger = Ledger()
    for row, record in (((1, 4), first), ((2, 9), first), ((2, 10), structs.replace(first, payment="other"))):
        ledger.apply(row, record)
    assert [row for row, _ in ledger.credits_of(ref(1))] == [(1, 4), (2, 10)]


def test_the_same_row_of_two_tills_is_two_taps() -> None:
    ledger, line = Ledger(), MealLine("school_12", "3a", "lunch", "2026-09-15", {"parents": 9_000}, "paid")
    for till, card in ((1, bytes(8)), (2, bytes(7) + b"\1")):
        ledger.apply((till, 5), structs.replace(INTENT, card_ref=card, meal=line))
    ledger.apply((1, 6), committed(5))
    ledger.apply((2, 6), NotCommitted(INTENT.at_ms, 5, SettledBy.ANSWERED))
    assert (set(ledger.meals), set(ledger.uncertain)) == ({(1, 5)}, set())


def rows(school: Canteen) -> list[object]:
    assert school.canteen.journal is not None
    return [parse_record(row.body) for row in school.canteen.journal.rows(limit=1_000)]


def test_m_32_an_order_at_the_counter_counts_like_one_of_the_list(canteen: OpenCanteen) -> None:
    school = canteen(child(1, grade=7, hot_minor=20_000), child(2, grade=7, hot_minor=20_000), policy=ASKING)
    tomorrow = next_school_day(school.canteen, ref(1), school.at("10:00"))
    assert tomorrow == date(2026, 9, 16)
    assert order_meal(school.canteen, ref(1), "lunch", tomorrow, CASHIER, school.at("10:00")) is not None
    assert order_meal(school.canteen, ref(1), "lunch", tomorrow, CASHIER, school.at("10:01")) is None, "once"
    order_meal(school.canteen, ref(2), "lunch", tomorrow, CASHIER, school.at("10:02"))
    order_meal(school.canteen, ref(2), "lunch", tomorrow, CASHIER, school.at("10:03"), cancelled=True)
    with pytest.raises(CanteenRefused, match="M-32"):
        order_meal(school.canteen, ref(2), "lunch", tomorrow, CASHIER, school.at("18:01"))
    with pytest.raises(CanteenRefused, match="no coming day"):
        order_meal(school.canteen, ref(2), "lunch", TODAY, CASHIER, school.at("10:00"))
    school.day = tomorrow
    assert [(one.kind, one.count) for one in orders_left(school.canteen, school.at("12:00"))] == [
        ("lunch", 1)
    ]
    assert school.told(1, 2, serving="lunch", at="12:00") == ["meal_ok", "meal_ask"]
    [group] = [one for one in school.report().groups if one.class_id == "3a"]
    assert [getattr(group, name) for name in FIGURES] == [0, 1, 0, 1, 0, 0, 0]


def test_friday_orders_for_monday_and_the_menu_names_the_dishes(canteen: OpenCanteen) -> None:
    school = canteen(child(1), day=date(2026, 9, 25))
    assert next_school_day(school.canteen, ref(1), school.at("10:00")) == date(2026, 10, 5), "after the break"
    menu = (MenuOfDay(day=TODAY, kind="breakfast", dishes=("Каша", "Чай")),)
    document = PriceListDocument(header=PRICES.header, products=(), menu=menu)
    prices = PriceList.of(msgspec.json.decode(msgspec.json.encode(document), type=PriceListDocument))
    assert (prices.dishes(TODAY, "breakfast"), prices.dishes(TODAY, "lunch")) == (("Каша", "Чай"), ())
