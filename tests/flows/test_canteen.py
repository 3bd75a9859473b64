"""Cards in a school canteen: what the card remembers, what the roster knows and what the journal holds, together."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from sim.card.virtual import VirtualCard
from sim.faults import tear_after
from terminal.canteen.closing import close_day, report_of
from terminal.canteen.corrections import annul, lend_card
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.documents import MealOrder, RosterDocument, RosterGrant, RosterHeader, RosterPupil
from terminal.canteen.issuing import How, Issued, ServingList, issue
from terminal.canteen.report import DayReport
from terminal.canteen.roster import Roster
from terminal.decision.canteen.effects import AccountEffect
from terminal.journal.canteen_records import MealServed
from terminal.journal.records import Intent, parse_record
from terminal.journal.taps import End
from terminal.lab.town import DAY, Town
from terminal.lab.world import pseudonym_on
from tests.flows.conftest import COUNTER_A, COUNTER_B, OpenTown

A, B = COUNTER_A.number, COUNTER_B.number
SCHOOL = "school_12"
CASHIER, TEACHER = "staff-1", "staff-2"
STOPS = (COUNTER_A, COUNTER_B)


def school_counter(town: Town, number: int = A) -> CanteenCounter:
    counter = town.terminals[number].canteen
    assert counter is not None
    return counter


def ref(town: Town, resident: str) -> bytes:
    """The pupil behind a card, as the canteen knows him."""
    pseudonym = pseudonym_on(town.cards[resident])
    assert pseudonym is not None
    return town.terminals[A].keys.token("school", pseudonym)


def enrol(town: Town, *pupils: tuple[str, dict[str, Any]]) -> None:
    """Put a roster with these residents in force at every counter."""
    now = town.clock.now()
    header = RosterHeader(
        kind="roster",
        schema=1,
        school=SCHOOL,
        region=34,
        sequence=3,
        issued_at=now,
        valid_from=now - timedelta(days=1),
        valid_to=now + timedelta(days=300),
        grades_on=DAY,
    )
    ordinary: dict[str, Any] = {"class_id": "3a", "grade": 3, "shift": 1}
    listed = tuple(RosterPupil(ref=ref(town, who).hex(), **ordinary | fields) for who, fields in pupils)
    for terminal in town.terminals.values():
        assert terminal.canteen is not None
        terminal.canteen.roster = Roster.of(RosterDocument(header=header, pupils=listed), town.policy)


def by_list(town: Town, *residents: str, number: int = A, serving: str = "") -> list[Issued]:
    batch = ServingList(serving, How.CLASS_LIST, CASHIER, town.clock.now())
    return issue(school_counter(town, number), [ref(town, resident) for resident in residents], batch)


def told(town: Town, resident: str, number: int = A) -> str:
    return town.tap(number, resident).report.outcome.message.value


def report(town: Town, number: int = A) -> DayReport:
    made = report_of(school_counter(town, number), DAY)
    assert made.control.difference_minor == 0
    return made


def rows(town: Town, number: int = A) -> list[object]:
    return [parse_record(row.body) for row in town.terminals[number].journal.rows(limit=1000)]


def test_m_19_card_and_class_list_are_one_portion_whichever_comes_first(town_of: OpenTown) -> None:
    with town_of("pupil_grade3", "pupil_two_meals", stops=STOPS) as town:
        enrol(town, ("pupil_grade3", {}), ("pupil_two_meals", {"grants": _grants(town, 11)}))
        assert told(town, "pupil_grade3") == "meal_ok"
        listed = by_list(town, "pupil_grade3", "pupil_two_meals", serving="breakfast")
        assert [one.outcome.message for one in listed] == ["meal_already", "meal_ok"]
        assert told(town, "pupil_two_meals") == "meal_already", "the card does not know it, the terminal does"
        assert told(town, "pupil_grade3", B) == "meal_already", "that terminal does not, the card does"
        assert report(town).served == 2


def _grants(town: Town, *codes: int) -> tuple[RosterGrant, ...]:
    until = DAY + timedelta(days=200)
    return tuple(
        RosterGrant(code=code, valid_from=DAY, valid_to=until, issued_on=DAY + timedelta(days=1))
        for code in codes
    )


def test_m_40_a_tap_states_its_portion_and_is_in_the_report(town_of: OpenTown) -> None:
    with town_of("pupil_grade3", "pupil_two_meals", stops=STOPS) as town:
        enrol(town, ("pupil_grade3", {}), ("pupil_two_meals", {"class_id": "3b"}))
        told(town, "pupil_grade3")
        told(town, "pupil_two_meals")
        meals = [record.meal for record in rows(town) if isinstance(record, Intent)]
        assert [(meal.class_id, meal.category, meal.roster, meal.school) for meal in meals if meal] == [
            ("3a", "10", 3, SCHOOL),
            ("3b", "meals_2", 3, SCHOOL),
        ]
        made = report(town)
        assert made.sources == {"federal": 2 * 4265, "municipal": 710, "regional": 2134 + 2844}
        assert made.served == 2
        assert not made.uncertain


def test_m_38_a_paid_meal_on_a_card_looks_like_a_free_one_and_leaves_the_purse_alone(
    town_of: OpenTown,
) -> None:
    with town_of("adult_purse", "pupil_grade3", stops=STOPS) as town:
        ordered = MealOrder(
            day=DAY, kind="breakfast", placed_at=datetime.combine(DAY, time(0)) - timedelta(days=1)
        )
        payer = {"grade": 7, "class_id": "7b", "hot_minor": 10_000, "orders": (ordered,)}
        enrol(town, ("adult_purse", payer), ("pupil_grade3", {}))
        purses = town.purses_minor()
        paid, free = (town.tap(A, who).report for who in ("adult_purse", "pupil_grade3"))
        assert paid.outcome == free.outcome
        assert (paid.end, free.end) == (End.COMMITTED, End.COMMITTED)
        assert town.purses_minor() == purses
        known = school_counter(town).pupil(ref(town, "adult_purse"), town.clock.now())
        assert known is not None
        assert known.hot is not None
        assert known.hot.balance_minor == 10_000 - 7802
        assert report(town).sources["parents"] == 7802
        assert told(town, "adult_purse") == "meal_already"


def test_m_34_an_annulled_tap_lets_the_card_eat_again(town_of: OpenTown) -> None:
    with town_of("pupil_grade3", stops=STOPS) as town:
        for roster in (False, True):  # also where nobody listed the pupil
            if roster:
                enrol(town, ("pupil_grade3", {}))
            assert told(town, "pupil_grade3") == "meal_ok"
            assert told(town, "pupil_grade3") == "meal_already"
            annul(school_counter(town), ref(town, "pupil_grade3"), CASHIER, town.clock.now())
        assert told(town, "pupil_grade3") == "meal_ok"
        assert told(town, "pupil_grade3") == "meal_already"
        assert len(report(town).annulled) == 1, "the other one was of no school"
        close_day(school_counter(town), CASHIER, town.clock.now())
        assert told(town, "pupil_grade3") == "serving_closed"


def test_o_02_a_blocked_card_is_served_nowhere_in_a_canteen(town_of: OpenTown) -> None:
    with town_of("blocked", stops=STOPS) as town:
        assert told(town, "blocked") == "blocked"
        enrol(town, ("blocked", {"grants": _grants(town, 10), "hot_minor": 10_000}))
        assert told(town, "blocked") == "blocked"


def test_m_35_a_lost_card_is_blocked_and_its_pupil_served_without_it(town_of: OpenTown) -> None:
    with town_of("pupil_grade3", stops=STOPS) as town:
        enrol(town, ("pupil_grade3", {"cards_since": DAY + timedelta(days=1), "grants": _grants(town, 10)}))
        assert told(town, "pupil_grade3") == "blocked"
        listed, *_ = by_list(town, "pupil_grade3", serving="breakfast")
        assert listed.outcome.message == "meal_ok"


def test_m_35_a_lent_card_serves_its_borrower_on_his_own_account(town_of: OpenTown) -> None:
    with town_of("adult_purse", "pupil_grade3", stops=STOPS) as town:
        enrol(town, ("pupil_grade3", {"grants": _grants(town, 10), "cards_since": DAY + timedelta(days=1)}))
        card = town.tap(A, "adult_purse").report.card_ref
        assert card is not None
        lend_card(
            school_counter(town),
            card,
            ref(town, "pupil_grade3"),
            CASHIER,
            TEACHER,
            town.clock.now(),
        )
        assert told(town, "adult_purse") == "meal_ok"
        assert school_counter(town).ledger.newest_of(ref(town, "pupil_grade3")) is None, (
            "known when the journal is read"
        )
        listed, *_ = by_list(town, "pupil_grade3", serving="breakfast")
        assert listed.outcome.message == "meal_already"
        assert told(town, "adult_purse") == "meal_already"
        assert told(town, "pupil_grade3") == "blocked", "his own card stays lost"
        group, *_ = report(town).groups
        assert (group.class_id, group.category, group.served) == ("3a", "10", 1)


def test_m_30_a_stream_gives_each_pupil_his_assigned_meal(town_of: OpenTown) -> None:
    with town_of("pupil_grade3", "pupil_large_family", stops=STOPS, at="11:00:00") as town:
        enrol(town, ("pupil_grade3", {}), ("pupil_large_family", {"grade": 7, "shift": 2}))
        assert told(town, "pupil_grade3") == "no_meal_now", "nothing is served at eleven"
        school_counter(town).serving = "by_shift"
        taps = [town.tap(A, who).report.outcome for who in ("pupil_grade3", "pupil_large_family")]
        assert [(tap.message, tap.values["meal"]) for tap in taps] == [
            ("meal_ok", "breakfast"),
            ("meal_ok", "lunch"),
        ]


def test_o_06_a_failing_journal_stops_sales_and_not_entitled_taps(town_of: OpenTown) -> None:
    with town_of("pupil_grade3", "pupil_two_meals", "adult_purse", stops=STOPS) as town:
        enrol(
            town,
            ("pupil_grade3", {}),
            ("adult_purse", {"grade": 7, "class_id": "7b", "hot_minor": 10_000}),
        )
        card = town.cards["pupil_grade3"]
        assert isinstance(card, VirtualCard)
        before = card.image()
        town.terminals[A].journal.close()
        tap = town.tap(A, "pupil_grade3").report
        assert (tap.outcome.message, tap.end) == ("meal_ok", End.NOTHING_WRITTEN)
        assert tap.reasons[-1].effect is AccountEffect.IN_SPARE_LOG
        assert card.image() == before, "nothing durable, nothing on the card"
        assert told(town, "pupil_grade3") == "meal_already"
        assert told(town, "adult_purse") == "selling_stopped"
        assert told(town, "pupil_two_meals") == "meal_ask", "one no roster lists is the cashier's to decide"
        spared = school_counter(town).spare.meals()
        assert [spare.meal.meal.sum_minor for spare in spared] == [7109]
        assert all(isinstance(spare.meal, MealServed) and spare.meal.how == "card" for spare in spared)


def test_a_torn_tap_is_uncertain_until_the_card_has_told(town_of: OpenTown) -> None:
    with town_of("pupil_grade3", stops=STOPS) as town:
        enrol(town, ("pupil_grade3", {}))
        torn = town.tap(A, "pupil_grade3", tear_after(7)).report
        assert torn.end is End.UNRESOLVED
        made = report(town)
        assert [finding.what for finding in made.uncertain] == ["unresolved_tap"]
        assert (made.served, made.sources) == (0, {})
        assert told(town, "pupil_grade3") == "meal_ok", "recovered: the card had taken it"
        made = report(town)
        assert (made.served, sum(made.sources.values()), made.uncertain) == (1, 7109, ())


def test_o_08_a_child_served_by_list_while_its_torn_tap_was_open(town_of: OpenTown) -> None:
    """Nobody is turned away for an unknown end; when the card tells, the second portion is a duplicate."""
    with town_of("pupil_grade3", stops=STOPS) as town:
        enrol(town, ("pupil_grade3", {"grants": _grants(town, 10)}))
        town.tap(A, "pupil_grade3", tear_after(7))
        town.clock.advance(30)
        listed, *_ = by_list(town, "pupil_grade3", serving="breakfast")
        assert listed.outcome.message == "meal_ok"
        told(town, "pupil_grade3")
        made = report(town)
        assert [(found.what, found.sum_minor) for found in made.duplicates] == [
            ("duplicate_entitlement", 7109)
        ]
        assert sum(made.sources.values()) == 7109
