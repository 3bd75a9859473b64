"""A school's list from its spreadsheet to the counter: read, mended and loaded on the pages, cards tied, a tap served.

The terminal is a process of its own, the pages are looked at in Chromium, the file is made by another program.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from playwright.sync_api import Page, expect

from terminal.canteen.requests import ListPupils
from terminal.screen.console.roles import Role
from tests.by_hand import BY_HAND, ENVIRONMENT
from tests.config_file import config_file
from tests.flows.live import STATE, LiveTerminal, command, live_terminal, run, told_of
from tests.flows.test_live_canteen import canteen
from tests.terminal.screen.browser import assert_accessible, browser, new_page, page
from tests.terminal.screen.console.cab import PIN, ref_of

__all__ = ["browser", "new_page", "page"]

SURNAMES = ("Абрамов", "Белов", "Власов", "Громов", "Дёмин", "Егоров", "Жуков", "Зимин", "Ильин", "Карпов")
GIVEN = ("Артём", "Борис", "Глеб", "Денис", "Егор", "Илья", "Лев", "Марк", "Олег", "Пётр", "Роман", "Тимур")
HEADINGS = ("№ п/п", "Личное дело", "ФИО ученика", "Класс", "Дата рождения", "Льгота", "СНИЛС", "Телефон")
PATIENCE_MS = 60_000
LARGE = "pupil of a large family"


def pupil_row(at: int, moved: int = 0) -> list[Any]:
    """Pupil `at` of the school, `moved` years later."""
    grade = at * 11 // 600 + 1 + moved
    name = f"{SURNAMES[at % 10]} {GIVEN[at // 10 % 12]} {'АБВГД'[at // 120]}."
    born = date(2026 - 6 - grade + moved, at % 12 + 1, at % 28 + 1)
    return [
        at + 1,
        f"Л-{at + 1:04}",
        name,
        f"{grade}{'АБВ'[at % 3]}",
        born,
        "",
        "112-233-445 95",
        "+79020000000",
    ]


def workbook(rows: list[list[Any]], headings: tuple[str, ...] = HEADINGS) -> bytes:
    """The file as a school's secretary saves it: a title above, a signature below."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Список обучающихся МОУ СШ № 12"])
    sheet.append([])
    sheet.append(list(headings))
    for row in rows:
        sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def school_rows() -> list[list[Any]]:
    """600 pupils, and what people do to a list."""
    rows = [pupil_row(at) for at in range(600)]
    rows[0][3] = "1A"  # a Latin letter
    rows[1][3] = "1 «б»"
    rows[2][4] = (date(2019, 3, 14) - date(1899, 12, 30)).days  # a date that lost its form
    rows[3][4] = "14 марта 2019 г."
    rows[300][5] = "многодетные"
    rows[301][5] = "многодетные"
    rows[302][5] = LARGE
    rows[303][3] = "6-й"  # nobody's class
    rows[304][4] = "31.02.2014"
    rows.append(list(rows[305]))  # once more
    return rows


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveTerminal]:
    folder = tmp_path_factory.mktemp("school")
    where = {"profile": "canteen", "number": 7, "region": "region.toml", "language": "en"}
    tables = canteen(folder, terminal=where, console={"enabled": True, "port": 0})
    expect.set_options(timeout=PATIENCE_MS)
    with live_terminal(folder, **tables) as terminal:
        yield terminal
    expect.set_options(timeout=5_000)


def sign_in(page: Page, terminal: LiveTerminal, role: Role) -> str:
    """The console's address, signed in there."""
    assert terminal.console is not None
    page.set_default_timeout(PATIENCE_MS)
    url = str(terminal.console.base_url).rstrip("/")
    page.goto(f"{url}/sign-in?typed=1")
    page.locator("#ref").fill(ref_of(role))
    page.locator("#pin").fill(PIN)
    page.locator("#pin").press("Enter")
    page.wait_for_url(lambda address: "/sign-in" not in address)
    return url


def listed(terminal: LiveTerminal) -> dict[str, tuple[str, str]]:
    """By name: class and reference of everyone in the list in force."""
    found = terminal.ask(ListPupils(names=True)).pupils
    return {one.name: (one.class_id, one.ref) for one in found}


def test_a_list_is_read_mended_and_loaded_cards_are_tied_and_a_tap_serves_the_pupil(
    served: LiveTerminal, page: Page
) -> None:
    url = sign_in(page, served, Role.MEAL_OFFICER)
    page.goto(f"{url}/canteen/list")
    assert_accessible(page)
    file = {"name": "список.xlsx", "mimeType": "application/zip", "buffer": workbook(school_rows())}
    page.set_input_files("#file", file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Read and check").click()
    page.wait_for_url("**/list-draft")
    assert_accessible(page)
    expect(page.get_by_text("СНИЛС (insurance number (SNILS)), Телефон (phone)")).to_be_visible()
    expect(page.locator(".doubt-asked")).to_have_count(4)
    expect(page.get_by_role("button", name="Load the list")).to_have_count(0)
    page.locator("select[name='category многодетные']").select_option(label=LARGE)
    page.locator("input[name='class 6-й']").fill("6а")
    page.locator("input[name^='cell'][value='31.02.2014']").fill("28.02.2014")
    page.locator("input[name^='skip']").last.check()
    page.get_by_role("button", name="Apply and check again").click()
    expect(page.get_by_text("Nothing stands against it.")).to_be_visible()
    expect(page.locator(".list-changes")).to_contain_text("600 New pupils")
    page.get_by_role("button", name="Load the list").click()
    expect(page.get_by_text("The list is in force.")).to_be_visible()
    assert_accessible(page)
    pupils = listed(served)
    assert len(pupils) == 600
    assert pupils[school_rows()[0][2]][0] == "1а"
    assert pupils[school_rows()[303][2]][0] == "6а"

    blank = served.card("adult_purse", "blank")
    assert served.tap(blank)["message"] != "meal_ok"
    name = school_rows()[300][2]
    page.goto(f"{url}/canteen/cards?id={pupils[name][0]}")
    assert_accessible(page)
    page.get_by_role("button", name=name).click()
    expect(page.get_by_role("status")).to_contain_text(name)
    with page.expect_navigation():  # a card that is shown loads the page again
        assert served.tap(blank)["message"] != "meal_ok", "the page of cards asks who it is"
    page.goto("about:blank")
    page.context.clear_cookies()
    sign_in(page, served, Role.CASHIER)
    page.goto(f"{url}/canteen/counter")
    row = told_of(served.tap(blank))
    assert (row["message"], row["class_id"], row["category"]) == ("meal_ok", pupils[name][0], "12")
    assert row["person_ref"] == pupils[name][1]

    page.goto(f"{url}/canteen/pupil-cards?ref={pupils[name][1]}")
    assert_accessible(page)
    page.get_by_role("button", name="Lost").click()
    expect(page.get_by_role("button", name="Found again")).to_be_visible()
    page.goto(f"{url}/canteen/counter")
    assert served.tap(blank)["message"] == "blocked"
    page.goto(f"{url}/canteen/pupil-cards?ref={pupils[name][1]}")
    page.get_by_role("button", name="Found again").click()
    expect(page.get_by_role("button", name="Lost")).to_be_visible()
    page.goto(f"{url}/canteen/counter")
    assert served.tap(blank)["message"] == "meal_already"


def test_without_a_column_of_names_or_a_file_the_page_says_what_to_do(
    served: LiveTerminal, page: Page
) -> None:
    url = sign_in(page, served, Role.MEAL_OFFICER)
    page.goto(f"{url}/canteen/list")
    for content, heard in (
        (b"\x89PNG\r\n\0\0", "neither a workbook nor text"),
        (b"<html><table>", "no Excel workbook"),
        (bytes(9 << 20), "at most 8 MB"),
        (b"", "has no rows"),
    ):
        page.set_input_files("#file", {"name": "a.xlsx", "mimeType": "", "buffer": content})  # type: ignore[arg-type]
        page.get_by_role("button", name="Read and check").click()
        expect(page.get_by_role("alert")).to_contain_text(heard)
    text = "a;b\n1;5В\n2;5Г\n".encode("cp1251")
    page.set_input_files("#file", {"name": "a.csv", "mimeType": "", "buffer": text})  # type: ignore[arg-type]
    page.get_by_role("button", name="Read and check").click()
    expect(page.get_by_text("The column with the names was not recognised")).to_be_visible()
    page.get_by_role("button", name="Give this list up").click()
    page.wait_for_url("**/canteen/list")
    text = "ФИО;Класс;Буфет\nИванов Пётр;Я;12\nБелова Анна;5а;1\n".encode()
    page.set_input_files("#file", {"name": "a.csv", "mimeType": "", "buffer": text})  # type: ignore[arg-type]
    page.get_by_role("button", name="Read and check").click()
    asked = page.locator("input[name='class Я']")
    asked.evaluate("one => one.removeAttribute('maxlength')")
    asked.fill("5б" + "б" * 400)
    page.locator("input[name=through]").fill("a hundred")
    page.get_by_role("button", name="Apply and check again").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter a number")
    page.locator("input[name='class Я']").fill("5б")
    page.locator("input[name=through]").fill("")
    page.locator("input[name=whole]").first.check()
    page.get_by_role("button", name="Apply and check again").click()
    expect(page.get_by_text("Nothing stands against it.")).to_be_visible()
    page.get_by_role("button", name="Give this list up").click()
    page.wait_for_url("**/canteen/list")
    assert len(listed(served)) == 600, "the list in force stays"


def test_a_cashier_sees_cards_and_no_lists(served: LiveTerminal) -> None:
    served.sign_in(Role.CASHIER)
    assert served.console is not None
    assert served.console.get("/canteen/cards").status_code == 200
    assert served.console.get("/canteen/list").status_code == 403
    sent = served.form("/canteen/cards?id=1а", "/look")
    answer = served.console.post("/canteen/list-read", data=sent, files={"file": ("a.csv", b"a;b")})
    assert answer.status_code in (403, 409)


def test_names_leave_the_roster_in_no_row_log_or_file(served: LiveTerminal) -> None:
    name = school_rows()[300][2].split()[0].encode()
    rows = str(served.rows()).encode()
    kept = b"".join(file.read_bytes() for file in (served.folder / STATE).rglob("*") if file.is_file())
    assert name not in rows + kept


KILLED_AT = ("active.db-wal", "active", "journal.db-wal")
"""Where something new shows up while a list is put in force."""


def test_kill_9_while_a_list_is_loaded_leaves_the_old_list_or_the_new_one(tmp_path: Path) -> None:
    tables = canteen(tmp_path)
    config_file(tmp_path, **{"reader": {"name": "sim:"}, "laboratory": BY_HAND, **tables})
    lists = [{f"{grade + moved}{letter}" for grade in range(1, 4) for letter in "абв"} for moved in (0, 1)]
    for moved in (0, 1):
        rows = [pupil_row(at, moved) for at in range(160)]
        (tmp_path / f"{moved}.xlsx").write_bytes(workbook(rows))
    load = ("canteen", "pupils", "load", "--operator", "1", "--whole")
    run(tmp_path, *load, "0.xlsx")
    for place in KILLED_AT:
        watched = tmp_path / STATE / place

        def seen(watched: Path = watched) -> object:
            if watched.is_dir():
                return sorted(file for file in watched.rglob("*") if file.is_file())
            return watched.stat().st_size if watched.exists() else None

        before, words = seen(), command((*load, "1.xlsx", "--config", "terminal.toml"))
        process = subprocess.Popen(words, cwd=tmp_path, env=ENVIRONMENT)
        while seen() == before and process.poll() is None:
            os.sched_yield()
        process.kill()
        process.wait()
        shown = run(tmp_path, "canteen", "roster", "show")
        assert {line.split()[1] for line in shown.splitlines() if line.strip()} in lists, place
    run(tmp_path, *load, "1.xlsx")
    assert "4а" in run(tmp_path, "canteen", "roster", "show", "4а")
