"""Spreadsheets as schools have them, and files that are none: read in a process of its own, within limits."""

from __future__ import annotations

import io
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest

from terminal.canteen.pupils import reading
from terminal.canteen.pupils.child import answer_to
from terminal.canteen.pupils.columns import PupilColumn, headings_of
from terminal.canteen.pupils.draft import PupilDraft
from terminal.canteen.pupils.reading import read_sheets
from terminal.canteen.pupils.sheet import MOST_FILE_BYTES, SheetFault, SheetRefused, Workbook
from terminal.canteen.pupils.values import date_of, name_of, parse_class, sum_of

TEXT = "Фамилия;Имя;Отчество;Класс;Дата рождения\r\nИванов;Пётр;Ильич;5В;14.03.2015\r\nЁлкина;Анна;;5В;1.2.2015\r\n"
READ = [
    ("Фамилия", "Имя", "Отчество", "Класс", "Дата рождения"),
    ("Иванов", "Пётр", "Ильич", "5В", "14.03.2015"),
    ("Ёлкина", "Анна", "", "5В", "1.2.2015"),
]


def workbook(*rows: tuple[object, ...], merged: str = "", title: str = "Лист1") -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(row)
    if merged:
        sheet.merge_cells(merged)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def rows_of(answer: Workbook | SheetRefused) -> list[tuple[str, ...]]:
    assert isinstance(answer, Workbook), answer
    (sheet,) = answer.sheets
    return [row.cells for row in sheet.rows]


@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16", "utf-16-le", "utf-16-be"])
def test_c11_csv_as_schools_save_it(encoding: str, delimiter: str) -> None:
    assert rows_of(answer_to(TEXT.replace(";", delimiter).encode(encoding))) == READ


def test_c11_a_workbook_gives_dates_numbers_and_merged_cells_as_people_read_them() -> None:
    content = workbook(
        ("ФИО", "Класс", "Дата рождения", "Номер"),
        ("Иванов Пётр", "5В", date(2015, 3, 14), 17),
        ("Белов Илья", None, datetime(2015, 4, 1), 18.0),  # noqa: DTZ001 as a spreadsheet holds it
        ("Власов  Лев\n", None, 42077, "019"),
        merged="B2:B4",
    )
    answer = read_sheets(content)
    assert rows_of(answer)[1:] == [
        ("Иванов Пётр", "5В", "2015-03-14", "17"),
        ("Белов Илья", "5В", "2015-04-01", "18"),
        ("Власов Лев", "5В", "42077", "019"),
    ]
    assert isinstance(answer, Workbook)
    assert [row.filled for row in answer.sheets[0].rows] == [(), (), (1,), (1,)]


def archive(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in members.items():
            file.writestr(name.replace("__", "/").replace("_xml", ".xml"), body)
    return content.getvalue()


XXE = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><workbook>&b;</workbook>'
SHEET = b"<worksheet><sheetData>" + b'<row r="1" ht="15"/>' * 20_001 + b"</sheetData></worksheet>"
ROWS = archive(xl__workbook_xml=b"<workbook/>", xl__worksheets__sheet1_xml=SHEET)
OTHERS: dict[str, tuple[Callable[[], bytes], SheetFault]] = {
    "old excel": (lambda: bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), SheetFault.OLD_OR_LOCKED),
    "other zip": (lambda: archive(content_xml=b"<office/>"), SheetFault.OTHER_PROGRAM),
    "cut zip": (lambda: workbook(("a",))[:-200], SheetFault.BROKEN),
    "broken workbook": (lambda: archive(xl__workbook_xml=b"<workbook"), SheetFault.BROKEN),
    "entities": (lambda: archive(xl__workbook_xml=XXE), SheetFault.HAS_ENTITIES),
    "entities in utf-16": (
        lambda: archive(xl__workbook_xml=XXE.decode().encode("utf-16")),
        SheetFault.HAS_ENTITIES,
    ),
    "bomb": (lambda: archive(xl__workbook_xml=bytes(200 << 20)), SheetFault.UNFOLDS),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, SheetFault.NOT_TEXT),
    "web page": ("<html><table><tr><td>ФИО</td></tr></table>".encode, SheetFault.OTHER_PROGRAM),
    "excel of 2003": ('\ufeff<?xml version="1.0"?><Workbook/>'.encode, SheetFault.OTHER_PROGRAM),
    "paper": (lambda: b"%PDF-1.4\n1 0 obj <<>> endobj\n%%EOF", SheetFault.OTHER_PROGRAM),
    "text of a word processor": (lambda: b"{\\rtf1 \\ansi}", SheetFault.OTHER_PROGRAM),
    "bytes without a zero": (lambda: "Иванов\x01\x02".encode("cp1251"), SheetFault.NOT_TEXT),
    "formulas": (lambda: workbook(("ФИО", "Класс"), ("=A1", "5а")), SheetFault.NOT_CALCULATED),
    "long formulas": (
        lambda: workbook(("ФИО",), (f'=IF(A1>1,"{"x" * 8_000}","")',)),
        SheetFault.NOT_CALCULATED,
    ),
    "empty rows": (lambda: ROWS, SheetFault.TOO_MANY_ROWS),
    "nothing": (lambda: b"", SheetFault.EMPTY),
    "blanks": (lambda: b" ; ;\r\n;;", SheetFault.EMPTY),
    "rows": (lambda: "\n".join(f"a;{at}" for at in range(5_001)).encode(), SheetFault.TOO_MANY_ROWS),
    "size": (lambda: b"a" * (MOST_FILE_BYTES + 1), SheetFault.TOO_LARGE),
}


def test_what_programs_hide_in_a_text_does_not_make_two_pupils_of_one() -> None:
    """Letters in two parts, as some systems write them, soft hyphens, results of sums."""
    content = (
        f"ФИО;Класс\n{unicodedata.normalize('NFD', 'Семёнов Андрей')};5й\nСе\u00admё\u200bнов Андрей;5й\x1a"
    )
    assert rows_of(answer_to(content.replace("m", "м").encode()))[1:] == [("Семёнов Андрей", "5й")] * 2
    sums = workbook(("Остаток",), (0.1 + 0.2,), (1234.5,), (1e3 / 3,))
    assert rows_of(answer_to(sums))[1:] == [("0.3",), ("1234.5",), ("333.333333333333",)]


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_list_is_refused_by_a_sentence(name: str) -> None:
    content, fault = OTHERS[name]
    answer = answer_to(content())
    assert isinstance(answer, SheetRefused)
    assert answer.fault == fault.value


def test_the_process_has_limits_that_the_system_holds(tmp_path: Path) -> None:
    """It gets no more memory than it may, and writes no file."""
    writing = f"import os; os.write(os.open({str(tmp_path / 'x')!r}, os.O_CREAT | os.O_WRONLY), b'x')"
    code = "from terminal.canteen.pupils import child; child._keep_small()\n{}"
    for attempt, ended in (("bytearray(1 << 30)", "MemoryError"), (writing, "File too large")):
        done = subprocess.run(
            [sys.executable, "-c", code.format(attempt)], capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert ended in done.stderr


def test_a_file_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(reading, "LONGEST_S", 0.2)
    assert reading.read_sheets(b"a;b") == SheetRefused(SheetFault.TOO_LONG.value, {"most": 0})
    monkeypatch.setattr(reading, "COMMAND", (sys.executable, "-c", "print('no answer')"))
    monkeypatch.setattr(reading, "LONGEST_S", 60.0)
    assert reading.read_sheets(b"a;b") == SheetRefused(SheetFault.NOT_READ.value)


def test_d_02_columns_that_must_not_be_kept_are_named_and_dropped() -> None:
    content = workbook(
        ("Список учеников",),
        ("№", "ФИО", "класс", "СНИЛС", "Адрес проживания", "Тел.", "ФИО родителя", "доп."),
        (1, "Иванов Пётр", "5В", "112-233-445 95", "ул. Мира, 1", "+7 902 000-00-00", "Иванова А.", "a@b.ru"),
    )
    answer = read_sheets(content)
    assert isinstance(answer, Workbook)
    draft = PupilDraft.of("list.xlsx", answer)
    assert draft.dropped == {
        "СНИЛС": "insurance",
        "Адрес проживания": "address",
        "Тел.": "phone",
        "ФИО родителя": "parents",
        "доп.": "mail",
    }
    kept = [cell for sheet in draft.sheets for row in sheet.rows for cell in row.cells if cell]
    assert kept[-3:] == ["1", "Иванов Пётр", "5В"]
    assert draft.headings.columns == {PupilColumn.FULL_NAME: 1, PupilColumn.CLASS: 2}


def test_columns_without_headings_are_known_by_what_stands_in_them() -> None:
    content = "1;5В;Иванов Пётр;14.03.2015\n2;5В;Белов Илья;01.04.2015\n".encode()
    answer = answer_to(content)
    assert isinstance(answer, Workbook)
    found = headings_of(answer.sheets[0]).columns
    assert found == {PupilColumn.CLASS: 1, PupilColumn.FULL_NAME: 2, PupilColumn.BORN: 3}


CLASSES = {
    "5В": "5в",
    "5B": "5в",
    "5 «в»": "5в",
    "5-в": "5в",
    "10А класс": "10а",
    "10-1": "10-1",
    "7": "7",
    "Учителя": "сотрудники",
    "12а": None,
    "0а": None,
    "6-й": None,
    "2026-01-05": None,
}


def test_what_stands_in_a_cell() -> None:
    assert {text: found and found.id for text in CLASSES for found in [parse_class(text)]} == CLASSES
    days = ("14.03.2015", "14/3/15", "2015-03-14", "42077", "14 марта 2015 г.", "2015-03-14 00:00")
    assert {date_of(text) for text in days} == {date(2015, 3, 14)}
    assert date_of("1.2.62") == date(1962, 2, 1), "a member of staff"
    assert [date_of(text) for text in ("31.02.2015", "17", "март")] == [None, None, None]
    assert [sum_of(text) for text in ("1 234,50", "-12.5", "120 руб.", "много")] == [
        123450,
        -1250,
        12000,
        None,
    ]
    assert name_of("ИВАНОВ-ПЕТРОВ", "пётр") == "Иванов-Петров Пётр"
    assert name_of("Cидоров Олег") == "Сидоров Олег", "a Latin letter in a Russian word"
