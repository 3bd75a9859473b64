"""What the canteen's pages show, before any of it is HTML: from a real counter over a real journal."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from terminal.canteen.corrections import annul, correct_attendance, lend_card, mark_not_collected
from terminal.canteen.documents import RosterPupil
from terminal.canteen.issuing import How, ServingList, issue
from terminal.codes import Admission, CanteenFault
from terminal.decision.canteen.effects import CorrectionEffect, MealEffect
from terminal.decision.outcome import Message, Outcome
from terminal.journal.taps import End
from terminal.screen.console.canteen import school_class as group
from terminal.screen.console.canteen import words
from terminal.screen.console.canteen.buffet import basket_of, till
from terminal.screen.console.canteen.counter import AtCounter, Expected, at_counter, meal_now, notices
from terminal.screen.console.canteen.people import classes, find, person
from terminal.screen.console.canteen.report import done_lines, orders_left, report_page
from terminal.screen.console.console import HeardTap
from terminal.tap_report import TapReport
from tests.terminal.canteen.school import (
    CASHIER,
    POLICY,
    TEACHER,
    Canteen,
    child,
    local,
    open_canteen,
    order,
    ref,
    region_with,
)

OpenCanteen = Callable[..., Canteen]


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[OpenCanteen]:
    with ExitStack() as stack:

        def open_one(*pupils: RosterPupil, **fields: Any) -> Canteen:
            return stack.enter_context(open_canteen(tmp_path, *pupils, **fields))

        yield open_one


def tap(number: int, message: Message = Message.MEAL_OK, **outcome: Any) -> HeardTap:
    """The report of a tap by pupil `number` as the terminal's loop hands it on."""
    accepted = message is Message.MEAL_OK
    values = {"meal": "breakfast"} if message in (Message.MEAL_OK, Message.MEAL_ALREADY) else {}
    report = TapReport(
        Outcome(message, Admission.LET_IN if accepted else Admission.REFUSED, values=values),
        End.COMMITTED if accepted else End.NOTHING_WRITTEN,
        local("09:40:05"),
        exchanges=7,
        apdu_bytes=300,
        currency="RUB",
        card_ref=ref(number),
        **outcome,
    )
    return HeardTap(report, 0)


def serve_class(counter: Canteen, *numbers: int) -> tuple[group.IssueResult, ...]:
    batch = ServingList("breakfast", How.CLASS_LIST, CASHIER, counter.at("09:00"))
    return group.results_of(counter.canteen, issue(counter.canteen, [ref(one) for one in numbers], batch))


def test_the_cashier_sees_who_stands_there_and_what_to_hand_out(canteen: OpenCanteen) -> None:
    school_counter = canteen(child(1, 10, name="Иванова Анна", forbidden=("nuts", "milk"))).canteen
    seen = at_counter(school_counter, tap(1))
    assert (seen.person, seen.meal, seen.portions) == (person(school_counter, ref(1)), "breakfast", 1)
    assert (seen.without, seen.at) == (("nuts", "milk"), "09:40:05")
    assert at_counter(school_counter, tap(1, Message.MEAL_ALREADY)).portions == 0


def test_m_38_nothing_at_the_counter_differs_between_free_and_paid(canteen: OpenCanteen) -> None:
    counter = canteen(
        child(1, 10, name="А"), child(2, 11, name="А"), child(3, name="А", hot_minor=100_000, grade=7)
    )
    counter.give(1, 2, 3, serving="breakfast")
    told = [at_counter(counter.canteen, tap(number)) for number in (1, 2, 3)]
    visible = [name for name in AtCounter.__struct_fields__ if name != "person"]
    assert len({tuple(getattr(one, name) for name in visible) for one in told}) == 1
    lines = done_lines(counter.canteen, counter.at("09:01"))
    assert {(line.meal, line.sum_minor) for line in lines} == {("breakfast", 0)}


def test_a_name_is_in_no_representation(canteen: OpenCanteen) -> None:
    seen = at_counter(canteen(child(1, 10, name="Иванова Анна")).canteen, tap(1))
    assert "Иванова" not in repr(seen)


def test_an_unlisted_card_can_be_lent_and_then_stands_for_its_borrower(canteen: OpenCanteen) -> None:
    school = canteen(child(1, 10, name="Иванова Анна"))
    school_counter = school.canteen
    school.present(ref(9))
    stranger = at_counter(school_counter, tap(9, Message.MEAL_NOT_ORDERED))
    assert (stranger.person, stranger.card) == (None, ref(9).hex())
    lend_card(school_counter, ref(9), ref(1), CASHIER, TEACHER, local("09:40"))
    lent = at_counter(school_counter, tap(9))
    assert lent.person == person(school_counter, ref(1))
    assert lent.lent
    assert not at_counter(school_counter, tap(1)).lent


def test_the_meal_of_the_break_counts_who_came_and_who_is_still_expected(canteen: OpenCanteen) -> None:
    counter = canteen(
        child(1, 10),
        child(2, 10),
        child(3, 10, class_id="3b"),
        child(4, grade=7, class_id="7b", orders=(order("breakfast"),), hot_minor=0),
        child(5, grade=7, class_id="7b"),  # entitled to nothing, ordered nothing
        child(6, 10, home_schooled=True),
        child(7, 10, shift=2),  # has lunch
    )
    correct_attendance(counter.canteen, [ref(3)], [], CASHIER, counter.at("08:30"))
    counter.give(1, 5, serving="breakfast")  # the second is refused
    expected = Expected()
    now = meal_now(counter.canteen, expected, counter.at("09:00"))
    assert (now.kind, now.begins, now.ends) == ("breakfast", "07:30", "10:30")
    assert (now.served, now.left, now.expected) == (1, 2, 3)
    assert {one.class_id: (one.served, one.left) for one in now.classes} == {"3a": (1, 1), "7b": (0, 1)}
    counter.give(2, 4, serving="breakfast")
    assert meal_now(counter.canteen, expected, counter.at("09:01")).left == 0


def test_between_meals_the_next_one_is_named(canteen: OpenCanteen) -> None:
    counter = canteen(child(1, 10))
    between = meal_now(counter.canteen, Expected(), counter.at("11:00"))
    assert (between.kind, between.next_kind, between.next_at) == ("", "lunch", "11:30")
    assert meal_now(counter.canteen, Expected(), counter.at("18:00")).next_kind == ""


def test_by_shift_counts_the_meal_of_each_shift(canteen: OpenCanteen) -> None:
    counter = canteen(child(1, 10), child(2, 10, shift=2))
    counter.canteen.serving = "by_shift"
    counter.give(2, serving="by_shift")
    now = meal_now(counter.canteen, Expected(), counter.at("12:00"))
    assert (now.kind, now.served, now.left) == ("by_shift", 1, 1)


def test_whom_to_expect_is_worked_out_again_for_a_new_day(canteen: OpenCanteen) -> None:
    counter = canteen(child(1, 10))
    expected = Expected()
    assert meal_now(counter.canteen, expected, counter.at("09:00")).left == 1
    assert meal_now(counter.canteen, expected, local("09:00", date(2026, 10, 30))).left == 0, (
        "autumn holidays"
    )


def test_notices_name_what_stands_in_the_way(canteen: OpenCanteen) -> None:
    counter = canteen(child(1, 10))
    assert notices(counter.canteen, counter.at("09:00")) == ()
    assert [one.code for one in notices(counter.canteen, counter.at("09:00"), offline=True, unsent=4)] == [
        "offline"
    ]
    later = notices(counter.canteen, local("09:00", date(2026, 9, 17)))
    assert [one.code for one in later] == ["roster_stale"]


def test_o_06_a_full_journal_is_shown_and_entitled_meals_go_on(canteen: OpenCanteen) -> None:
    counter = canteen(child(1, 10), child(2, hot_minor=100_000, grade=7), capacity_rows=1)
    assert [one.code for one in notices(counter.canteen, counter.at("09:00"))] == ["selling_stopped"]
    results = serve_class(counter, 1, 2)
    assert [(one.served, one.why) for one in results] == [(True, ""), (False, "selling_stopped")]


def test_m_31_the_list_ticks_who_is_there_and_was_not_served(canteen: OpenCanteen) -> None:
    counter = canteen(
        child(1, 10, name="Яковлев Ян", hot_minor=500),
        child(2, 10, name="Ёлкина Ева", hot_minor=-300),
        child(3, 10, name="Жуков Женя"),
        child(4, 10, name="Белов Борис", home_schooled=True),
        child(5, 10, name="Другой", class_id="3b"),
    )
    correct_attendance(counter.canteen, [ref(3)], [], CASHIER, counter.at("08:00"))
    counter.give(1)
    made = group.tick_list(counter.canteen, "3a", "", counter.at("08:30"))
    assert [(line.person.name, line.state, line.ticked, line.balance_minor) for line in made.lines] == [
        ("Белов Борис", "home", False, None),
        ("Ёлкина Ева", "here", True, -300),
        ("Жуков Женя", "absent", False, None),
        ("Яковлев Ян", "served", False, 500),
    ]
    assert (made.kind, made.ticked, made.attendance_open) == ("breakfast", 1, True)
    assert not group.tick_list(counter.canteen, "3a", "", counter.at("09:00")).attendance_open


def test_m_31_a_missing_balance_stops_none_of_the_others(canteen: OpenCanteen) -> None:
    counter = canteen(child(1, 10), child(2, grade=7, hot_minor=-50_000), child(3, grade=7, hot_minor=50_000))
    results = serve_class(counter, 1, 2, 3)
    assert [one.message for one in results] == [Message.MEAL_OK, Message.NO_FUNDS, Message.MEAL_OK]


def test_a_form_serves_nobody_of_another_class(canteen: OpenCanteen) -> None:
    school_counter = canteen(child(1), child(2, class_id="3b")).canteen
    assert group.ticked_of(school_counter, "3a", {ref(1).hex(), ref(2).hex(), "nonsense"}) == (ref(1),)


def test_pupils_are_found_by_the_beginning_of_names_and_by_class(canteen: OpenCanteen) -> None:
    school_counter = canteen(
        child(1, name="Семёнова Алёна"),
        child(2, name="Семенов Пётр", class_id="10a"),
        child(3, name="Иванов Пётр", class_id="10a"),
    ).canteen
    assert [one.name for one in find(school_counter, "семено")] == ["Семёнова Алёна", "Семенов Пётр"]
    assert [one.name for one in find(school_counter, "петр 10a")] == ["Иванов Пётр", "Семенов Пётр"]
    assert find(school_counter, "  ") == ()
    assert classes(school_counter) == ("3a", "10a")


def test_m_02_a_forbidden_product_cannot_be_put_into_the_basket(canteen: OpenCanteen) -> None:
    counter = canteen(child(1, buffet_minor=50_000, forbidden=("nuts",)))
    shown = till(counter.canteen, ref(1), {"nut_bar": 1, "bun": 2}, "", counter.at("10:00"))
    assert {ware.id: (ware.count, ware.forbidden) for ware in shown.wares} == {
        "bun": (2, False),
        "juice": (0, False),
        "nut_bar": (0, True),
    }
    assert (shown.sum_minor, shown.refusal) == (7000, None)


def test_m_02_the_limits_say_beforehand_what_the_sale_would_say(canteen: OpenCanteen) -> None:
    counter = canteen(child(1, buffet_minor=50_000, day_limit_minor=10_000, buffet_limit_minor=8_000))
    counter.sell(1, bun=1)
    shown = till(counter.canteen, ref(1), {"juice": 2}, "", counter.at("10:05"))
    assert (shown.refusal, shown.why, shown.left_minor) == (Message.MEAL_LIMIT, "buffet_limit", 4500)
    assert shown.limited
    assert counter.sell(1, juice=2).decision.outcome.message is Message.MEAL_LIMIT
    assert till(counter.canteen, ref(1), {"juice": 1}, "", counter.at("10:05")).refusal is None


def test_without_a_pupil_the_shelf_stands_there_alone(canteen: OpenCanteen) -> None:
    shown = till(canteen(child(1)).canteen, None, {"bun": 1}, "СОК", local("10:00"))
    assert [ware.name for ware in shown.wares if ware.fits] == ["Сок"]
    assert (shown.person, shown.refusal, shown.left_minor) == (None, None, None)


def test_a_basket_takes_numbers_only() -> None:
    form = {"n.bun": "2", "n.juice": "-1", "n.nut_bar": "99999", "n.x": "٣", "n.y": "0", "n.strange": "3"}
    products = ("bun", "juice", "nut_bar", "x", "y", "z")
    assert basket_of(lambda name: form.get(name, ""), products) == {"bun": 2, "nut_bar": 20}


def test_m_34_only_the_last_record_in_time_can_be_annulled(canteen: OpenCanteen) -> None:
    counter = canteen(child(1, 10, name="А", buffet_minor=50_000))
    counter.give(1, at="09:00")
    counter.sell(1, at="09:02", bun=1)
    lines = done_lines(counter.canteen, counter.at("09:04"))
    assert [(line.meal, line.sum_minor, line.seconds_left) for line in lines] == [
        ("", 3500, 180),
        ("breakfast", 0, 0),
    ]
    annul(counter.canteen, ref(1), CASHIER, counter.at("09:04"))
    assert [
        (line.annulled, line.seconds_left) for line in done_lines(counter.canteen, counter.at("09:04"))
    ] == [
        (True, 0),
        (False, 60),
    ]
    assert done_lines(counter.canteen, counter.at("09:04"), of=ref(2)) == ()


def test_m_32_orders_nobody_fetched_are_counted_until_they_are_marked(canteen: OpenCanteen) -> None:
    counter = canteen(*(child(n, orders=(order("breakfast"),), hot_minor=0) for n in (1, 2)))
    assert [(one.kind, one.count, one.over) for one in orders_left(counter.canteen, counter.at("10:00"))] == [
        ("breakfast", 2, False)
    ]
    assert orders_left(counter.canteen, counter.at("10:30"))[0].over
    mark_not_collected(counter.canteen, "breakfast", CASHIER, counter.at("10:30"))
    assert orders_left(counter.canteen, counter.at("10:31")) == ()


def test_m_40_the_page_adds_up_to_the_kopeck(canteen: OpenCanteen) -> None:
    counter = canteen(
        child(1, 10),
        child(2, 11, class_id="3b"),
        child(3, grade=7, class_id="7b", hot_minor=100_000, buffet_minor=20_000),
    )
    counter.give(1, 2, 3)
    counter.sell(3, bun=2, juice=1)
    page = report_page(counter.canteen, counter.at("16:00"))
    assert page.agrees
    assert [one.class_id for one in page.classes] == ["3a", "3b", "7b"]
    assert page.total.sum_minor == sum(one.total.sum_minor for one in page.classes)
    assert page.total.sum_minor + page.report.buffet_minor == page.report.control.records_minor
    assert [name for name, _ in page.products] == ["Булочка", "Сок"]
    assert (page.school, page.printed_at) == ("a school", "16:00")


def test_d_03_a_ground_that_reveals_health_is_its_effect(canteen: OpenCanteen) -> None:
    counter = canteen(child(1, 11), child(2, 10), child(3, grade=7, hot_minor=100_000))
    counter.give(1, 2, 3)
    page = report_page(counter.canteen, counter.at("16:00"))
    names = {line.category.name for line in page.classes[0].lines}
    special = next(one.name for one in POLICY.document.concessions if one.code == 11)
    assert special not in names
    assert {line.category.meals for line in page.classes[0].lines} == {0, 2}


def test_a_new_meal_of_the_document_needs_no_code(canteen: OpenCanteen) -> None:
    policy = region_with(('id = "snack"', 'id = "teatime"'))
    now = meal_now(canteen(child(1), policy=policy).canteen, Expected(), local("16:00"))
    assert now.kind == "teatime"


def test_every_reason_to_refuse_the_staff_has_its_line() -> None:
    """Whatever `CanteenRefused` is raised with is a code of these enums, and the page has words for it."""
    rooms = {room.__name__: room for room in (CanteenFault, CorrectionEffect, MealEffect)}
    raised: set[str] = set(CanteenFault) | set(CorrectionEffect)
    package = Path(words.__file__).parents[3]
    for path in package.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
            if name == "Reason" and path.name == "undo.py":
                raised.add(_member(call.args[0], rooms))
            elif name == "CanteenRefused" and ast.unparse(call.args[2]) not in ("reason.code", "self.code"):
                raised.add(_member(call.args[2], rooms))
    assert len(raised) > len(CanteenFault) + len(CorrectionEffect), "the search found some"
    assert raised <= set(words.REFUSALS)


def _member(code: ast.expr, rooms: Mapping[str, type[StrEnum]]) -> str:
    assert isinstance(code, ast.Attribute), ast.unparse(code)
    return rooms[ast.unparse(code.value)][code.attr]
