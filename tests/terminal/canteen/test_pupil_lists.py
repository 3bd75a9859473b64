"""A school's list against the one in force: who is who, what is doubtful, and what loading it would change."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from terminal.app.simulated import laboratory_keys
from terminal.canteen.cards import mark_card, tie_card
from terminal.canteen.ledger import Ledger
from terminal.canteen.pupil_files import PupilFiles
from terminal.canteen.pupils.comparing import PupilRefs
from terminal.canteen.pupils.draft import NEW, Choices, PupilDraft
from terminal.canteen.pupils.loading import Comparison, SchoolNow, compare
from terminal.canteen.pupils.sheet import Sheet, SheetRow, Workbook
from terminal.canteen.roster import Roster
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import CardUse
from terminal.keys.file import load_file_keys
from tests.terminal.canteen.conftest import OpenCanteen
from tests.terminal.canteen.school import CASHIER, POLICY, TODAY, child, local, ref

HEADINGS = ("Номер личного дела", "ФИО", "Класс", "Дата рождения", "Льгота")
LARGE = "pupil of a large family"


def draft(*rows: tuple[str, ...], headings: tuple[str, ...] = HEADINGS, **chosen: Any) -> PupilDraft:
    lines = tuple(SheetRow(number, cells) for number, cells in enumerate((headings, *rows), 1))
    return PupilDraft.of("list.xlsx", Workbook((Sheet("", lines),)), Choices(**chosen))


def school(roster: Roster | None = None, **fields: Any) -> SchoolNow:
    known: dict[str, Any] = {
        "terminal": 7,
        "policy": POLICY,
        "roster": roster,
        "ledger": Ledger(),
        "head": 100,
        "left": 0,
        "now": local("08:00"),
        "refs": PupilRefs(b"k" * 16),
    }
    return SchoolNow(**known | fields)


def loaded(found: Comparison) -> Roster:
    assert found.document is not None, found.doubts
    return Roster.of(found.document, POLICY)


def codes(found: Comparison) -> list[str]:
    return [doubt.code for doubt in found.doubts if doubt.blocks]


def changes(found: Comparison) -> dict[str, int]:
    return dict(Counter(str(one.change) for one in found.differences))


IVANOV = ("Л-1", "Иванов Пётр", "5В", "14.03.2015", "")
BELOV = ("Л-2", "Белов Илья", "3А", "14.03.2017", LARGE)


def test_a_pupil_without_a_card_exists_and_next_months_list_finds_him_again() -> None:
    first = loaded(compare(draft(IVANOV, BELOV), school()))
    assert [
        (one.class_id, one.grade, [grant.code for grant in one.grants]) for one in first.pupils.values()
    ] == [
        ("5в", 5, []),
        ("3а", 3, [10, 12]),
    ]
    again = compare(
        draft(("л - 1", "Иванов Петр", "5Г", "14.03.2015", LARGE), ("", "БЕЛОВ ИЛЬЯ", "3a", "42808", "12")),
        school(first),
    )
    assert changes(again) == {"moved": 1, "same": 1}
    assert loaded(again).pupils.keys() == first.pupils.keys()
    assert loaded(again).header.sequence == 2
    other_till = loaded(compare(draft(IVANOV, BELOV), school(terminal=8)))
    assert other_till.pupils.keys() == first.pupils.keys(), "two tills of a school call a pupil the same"


def test_rows_of_a_printed_form_are_no_pupils() -> None:
    """Headings on each page, the numbers of the columns below them, totals; a signature is asked about."""
    numbers = tuple(map(str, range(1, len(HEADINGS) + 1)))
    total = ("", "Итого: 2 ученика", "", "", "")
    found = compare(draft(numbers, IVANOV, HEADINGS, numbers, BELOV, total), school())
    assert [one.name for one in loaded(found).pupils.values()] == ["Иванов Пётр", "Белов Илья"]
    rows = (
        SheetRow(1, ("ФИО",)),
        SheetRow(2, ("5а класс",)),
        SheetRow(3, ("Классный руководитель Жукова А. П.",)),
    )
    signed = PupilDraft.of("a.xlsx", Workbook((Sheet("", rows),)))
    assert codes(compare(signed, school())) == ["pupil_name_unlikely"]


DOUBTFUL = {
    "pupil_name_unlikely": ("", "_________", "5В", "", ""),
    "pupil_no_name": ("Л-3", "", "5В", "", ""),
    "pupil_no_class": ("Л-3", "Власов Лев", "", "", ""),
    "pupil_class_unknown": ("Л-3", "Власов Лев", "12А", "", ""),
    "pupil_class_uncertain": ("Л-3", "Власов Лев", "5d", "", ""),
    "pupil_category_unknown": ("Л-3", "Власов Лев", "5В", "", "многодетные"),
    "pupil_born_unreadable": ("Л-3", "Власов Лев", "5В", "31.02.2015", ""),
    "pupil_born_unlikely": ("Л-3", "Власов Лев", "5В", "14.03.1985", ""),
    "pupil_same_number": ("Л-1", "Власов Лев", "5В", "", ""),
    "pupil_twice": ("", "Иванов Петр", "6В", "14.03.2015", ""),
}


@pytest.mark.parametrize("code", DOUBTFUL)
def test_c11_a_doubtful_row_stops_the_loading_and_left_out_it_does_not(code: str) -> None:
    found = compare(draft(IVANOV, DOUBTFUL[code]), school())
    assert (codes(found), found.document) == ([code], None)
    assert found.doubts[0].row == 3
    without = compare(draft(IVANOV, DOUBTFUL[code], left_out=(1,)), school())
    assert len(loaded(without).pupils) == 1


def test_c11_an_answer_about_a_text_holds_for_all_rows_that_have_it() -> None:
    rows = [(f"Л-{at}", f"Власов Лев {at}", "5d", "", "многодетные") for at in range(5)]
    found = compare(draft(*rows), school())
    assert [(doubt.code, doubt.rows) for doubt in found.doubts] == [
        ("pupil_class_uncertain", 5),
        ("pupil_category_unknown", 5),
    ]
    settled = loaded(compare(draft(*rows, classes={"5d": "5д"}, categories={"многодетные": (12,)}), school()))
    assert {(one.class_id, one.grants[0].code) for one in settled.pupils.values()} == {("5д", 12)}


def test_c11_letters_that_look_alike_and_case_are_one_class_and_are_said() -> None:
    rows = [("", f"Власов {name}", typed, "", "") for name, typed in (("А", "5В"), ("Б", "5B"), ("В", "5в"))]
    found = compare(draft(*rows), school())
    assert set(loaded(found).classes) == {"5в"}
    assert [doubt.code for doubt in found.doubts] == ["pupil_class_letters"]


def test_titles_sheets_and_staff_are_understood() -> None:
    """A class as a title above its pupils, a sheet for each class, members of staff, a card's reference."""
    title = SheetRow(2, ("", "3 «А» класс"))
    rows = (
        SheetRow(1, ("№", "ФИО")),
        title,
        SheetRow(3, ("1", "Иванов Пётр")),
        SheetRow(4, ("2", "Белов Илья")),
    )
    by_title = PupilDraft.of("a.xlsx", Workbook((Sheet("Лист1", rows),)))
    assert set(loaded(compare(by_title, school())).classes) == {"3а"}
    sheets = tuple(
        Sheet(name, (SheetRow(1, ("ФИО",)), SheetRow(2, (f"Власов {name}",)))) for name in ("5А", "5Б")
    )
    by_sheet = PupilDraft.of("a.xlsx", Workbook(sheets))
    assert set(loaded(compare(by_sheet, school())).classes) == {"5а", "5б"}
    headings = ("ФИО", "Класс", "Дата рождения", "Карта")
    staff = draft(("Жукова Анна", "Учителя", "01.02.1980", "00000000000000aa"), headings=headings)
    found = compare(staff, school())
    (one,) = loaded(found).pupils.values()
    assert (one.class_id, one.grade, one.grants) == ("сотрудники", 0, ())
    assert found.cards == ((bytes.fromhex("00000000000000aa"), bytes.fromhex(one.ref)),)


def test_who_resembles_a_pupil_is_asked_about_and_either_answer_holds() -> None:
    first = loaded(compare(draft(("", "Иванов Пётр", "5В", "", "")), school()))
    (known,) = (one.ref for one in first.pupils.values())
    row = ("", "Иванов Петр", "7А", "", "")
    asked = compare(draft(row), school(first))
    assert codes(asked) == ["pupil_resembles"]
    assert asked.doubts[0].resembles == known
    same = loaded(compare(draft(row, same={"0": known}), school(first)))
    other = loaded(compare(draft(row, same={"0": NEW}, whole=False), school(first)))
    assert [one.ref for one in same.pupils.values()] == [known]
    assert len(other.pupils) == 2
    moved = compare(draft(("", "Иванов Петр", "5В", "", "")), school(first))
    assert changes(moved) == {"same": 1}, "alone on both sides, and in his class"


def test_a_number_of_another_pupil_is_asked_about() -> None:
    first = loaded(compare(draft(IVANOV), school()))
    found = compare(draft(("Л-1", "Белова Анна", "5В", "", "")), school(first))
    assert codes(found) == ["pupil_number_of_another"]


def test_where_many_would_leave_it_has_to_be_said() -> None:
    rows = [(f"Л-{at}", f"Власов Лев {at}", "5В", "", "") for at in range(40)]
    first = loaded(compare(draft(*rows), school()))
    few, many = compare(draft(*rows[2:]), school(first)), compare(draft(*rows[20:]), school(first))
    assert (changes(few), few.whole) == ({"same": 38, "gone": 2}, True)
    assert (many.whole, many.document) == (None, None)
    part = compare(draft(*rows[20:], whole=False), school(first))
    assert len(loaded(part).pupils) == 40
    assert len(loaded(compare(draft(*rows[20:], whole=True), school(first))).pupils) == 20


def test_m_20_on_1_september_classes_move_up_and_debts_stay() -> None:
    rows = (
        IVANOV,
        ("Л-9", "Жуков Олег", "11А", "14.03.2009", ""),
        ("Л-4", "Зимин Лев", "4А", "14.03.2016", ""),
    )
    first = loaded(compare(draft(*rows), school()))
    owing = tuple(replace(one, hot_minor=-7802) for one in first.document.pupils)
    roster = Roster.of(replace(first.document, pupils=owing), POLICY)
    autumn = school(roster, now=local("08:00", date(2027, 9, 1)))
    found = compare(
        draft(("Л-1", "Иванов Пётр", "6В", "", ""), ("Л-4", "Зимин Лев", "5А", "", ""), BELOV), autumn
    )
    assert changes(found) == {"promoted": 2, "added": 1, "gone": 1}
    (gone,) = (one for one in found.differences if one.change == "gone")
    assert (gone.class_id, gone.balance_minor) == ("11а", -7802)
    now = {one.number: one for one in loaded(found).pupils.values()}
    assert (now["Л-1"].grade, now["Л-1"].class_id, now["Л-1"].hot_minor) == (6, "6в", -7802)
    assert now["Л-4"].grants == (), "a fifth-grader has no meal of grades 1 to 4"
    kept = loaded(compare(draft(BELOV, whole=False), autumn)).pupils
    assert {one.class_id: one.grade for one in kept.values()} == {"3а": 3, "5в": 6, "11а": 11, "4а": 5}


def test_a_file_changes_no_balance_unless_it_says_up_to_which_row_it_counts(canteen: OpenCanteen) -> None:
    known = replace(child(1, hot_minor=20_000, buffet_minor=20_000, name="Иванов Пётр"), number="Л-1")
    opened = canteen(known)
    opened.sell(1, bun=1)
    counter = opened.canteen
    journal, now = counter.journal, local("09:00")
    row = ("Л-1", "Иванов Пётр", "3А", "500,00")
    headings = ("Номер личного дела", "ФИО", "Класс", "Остаток буфет")

    def against(**chosen: Any) -> Comparison:
        return compare(
            draft(row, headings=headings, **chosen),
            school(
                counter.roster, ledger=counter.ledger, head=journal.head.sequence, terminal=counter.terminal
            ),
        )

    def balance(found: Comparison) -> int:
        counter.take_roster(msgspec.structs.replace(found.document))
        pupil = counter.pupil(ref(1), now)
        assert pupil is not None
        assert pupil.buffet is not None
        return pupil.buffet.balance_minor

    untouched = against()
    assert loaded(untouched).pupils[ref(1)].buffet_minor == 16_500, "brought forward to the newest row"
    before_the_sale = against(through=journal.head.sequence - 1)
    assert codes(against(through=journal.head.sequence + 1)) == ["pupil_no_such_row"]
    assert balance(untouched) == 16_500
    assert balance(before_the_sale) == 50_000 - 3_500


def test_m_35_cards_are_tied_lost_replaced_and_taken_back(canteen: OpenCanteen) -> None:
    opened = canteen(child(1, 10), child(2, 10))
    counter = opened.canteen
    book, at = counter.ledger.cards, local("08:00")
    with pytest.raises(CanteenRefused, match="not presented"):
        tie_card(counter, ref(91), ref(1), CASHIER, at)
    for number in (91, 92):
        opened.present(ref(number), ref(number + 100))
    assert len(tie_card(counter, ref(91), ref(1), CASHIER, at)) == 1
    assert tie_card(counter, ref(91), ref(1), CASHIER, at) == [], "once means once"
    with pytest.raises(CanteenRefused, match="another pupil"):
        tie_card(counter, ref(91), ref(2), CASHIER, at)
    assert counter.person_of(ref(91), ref(191)) == ref(1)
    assert counter.person_of(ref(93), ref(191)) == ref(1), "his next card needs no tie"
    tie_card(counter, ref(92), ref(1), CASHIER, at, replaces=True)
    assert (book.lost_since(ref(91)), book.lost_since(ref(92))) == (TODAY.isoformat(), "")
    assert counter.context(ref(91), ref(1), at).lost_since == TODAY.isoformat()
    mark_card(counter, ref(91), CardUse.FOUND, CASHIER, at)
    mark_card(counter, ref(92), CardUse.UNTIED, CASHIER, at)
    assert (book.lost_since(ref(91)), counter.person_of(ref(92), ref(192))) == ("", ref(192))
    assert len(tie_card(counter, ref(92), ref(2), CASHIER, at)) == 1


def test_m_35_ties_outlive_the_rows_that_say_so(canteen: OpenCanteen, tmp_path: Any) -> None:
    keys = load_file_keys(laboratory_keys())
    opened = canteen(child(1, 10))
    counter = opened.canteen
    counter.files = PupilFiles(tmp_path / "files", keys.sealer, counter.terminal, keys)
    opened.present(ref(91))
    tie_card(counter, ref(91), ref(1), CASHIER, local("08:00"))
    kept = PupilFiles(tmp_path / "files", keys.sealer, counter.terminal, keys)
    fresh = Ledger()
    fresh.cards.restore(kept.cards())
    assert fresh.cards.pupil_of(ref(91), None) == ref(1)
    assert ref(1).hex().encode() not in (tmp_path / "files/cards.sealed").read_bytes()
    (tmp_path / "files/cards.sealed").write_bytes(b"damaged")
    assert PupilFiles(tmp_path / "files", keys.sealer, counter.terminal, keys).cards() == ()
    assert (tmp_path / "files/cards.sealed.damaged").exists(), "put aside; serving goes on"
