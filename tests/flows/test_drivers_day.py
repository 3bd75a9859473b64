"""A day of two drivers as their guide says it, pressed through in Chromium at a terminal of its own process; its
report, its export and its collector's books come to the same kopecks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from terminal.policy.load import DEMO_REGION
from terminal.screen.console.roles import Role
from tests.flows.live import ROUTES, LiveTerminal, collector, live_terminal, run
from tests.flows.test_recomputed import ask, until
from tests.terminal.screen.browser import NewPage, assert_accessible, browser, new_page
from tests.terminal.screen.console.cab import DRIVER, PIN, ref_of
from tests.terminal.setup.guide import press_through, steps_of

__all__ = ["browser", "new_page"]

GUIDE = "voditel.md"
RELIEF = ref_of(Role.CONDUCTOR)
PATIENCE_MS = 40_000
FARE = 3200
CASH = "\n[cash]\nchild_percent = 50\nluggage_minor = 2000\n"


def bus_in(folder: Path) -> AbstractContextManager[LiveTerminal]:
    """A terminal in service, whose lists come from its folder."""
    (folder / "region.toml").write_text(DEMO_REGION.read_text("utf-8") + CASH, "utf-8")
    (folder / "routes.toml").write_text(ROUTES, "utf-8")
    return live_terminal(
        folder,
        terminal={"profile": "bus", "number": 7, "region": "region.toml"},
        lists={"routes": "routes.toml"},
        console={"enabled": True, "port": 0, "typed_sign_in": True},
    )


class Cabin:
    """The screen in the driver's cabin."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.set_default_timeout(PATIENCE_MS)

    def walk(self, heading: str, before: dict[int, Callable[[], object]] | None = None) -> None:
        """Every step under that heading of the guide; `before` a step what it says without a button."""
        for number, step in enumerate(steps_of(GUIDE, heading), start=1):
            (before or {}).get(number, lambda: None)()
            press_through(self.page, step, {"ПИН-код": lambda: PIN})
            expect(self.page.locator("main h1").first).to_be_visible()
            assert_accessible(self.page)

    def sell(self, kind: str, count: int) -> None:
        """A ticket of that kind, by touch."""
        self.page.goto(f"{self.url}/sale")
        self.page.get_by_role("link", name=kind, exact=True).tap()
        expect(self.page.locator(f"[aria-current=page]:text-is('{kind}')")).to_be_visible()
        for _ in range(count - 1):
            self.page.get_by_role("button", name="На одного больше").tap()
        self.page.get_by_role("button", name="Продать").tap()
        expect(self.page.get_by_role("heading", name="Билет")).to_be_visible()

    def typed_sign_in(self, ref: str) -> None:
        """With a number instead of a card."""
        self.page.goto(f"{self.url}/sign-in?typed=1")
        self.page.locator("#ref").fill(ref)
        self.page.locator("#pin").fill(PIN)
        self.page.locator("#pin").press("Enter")
        expect(self.page.locator(".bar-role")).to_contain_text(ref)


def office_says(bus: LiveTerminal) -> None:
    """The office publishes its routes with a notice, beside the running terminal."""
    text = ROUTES.replace("version = 1", "version = 2")
    draft = bus.folder / "draft.toml"
    draft.write_text(
        f'{text}\n[[notices]]\nid = "detour"\nroutes = [15]\ntext = "Объезд по Советской"\n', "utf-8"
    )
    draft.replace(bus.folder / "routes.toml")


def test_the_drivers_guide_from_the_first_shift_to_the_report_and_the_books(
    tmp_path: Path, new_page: NewPage
) -> None:
    with collector(tmp_path) as url:
        with bus_in(tmp_path) as bus:
            a_day(bus, new_page(width=800, height=480, has_touch=True, locale="ru-RU"))
            rows = bus.rows()
        run(tmp_path, "sync", "--collector", url)
        the_books_agree(tmp_path, rows)


def a_day(bus: LiveTerminal, page: Page) -> None:
    """Two drivers, two turns, cash, a break, an inspection and a notice, all of it pressed on the screen."""
    assert bus.console is not None
    url = str(bus.console.base_url)
    cabin = Cabin(page, url)
    page.goto(url)
    cards = {name: bus.card(name) for name in ("adult_purse", "month_pass", "empty_purse", "driver_service")}
    cabin.walk(
        "Начало смены",
        {
            1: lambda: (
                bus.hand.tap(bus.folder / cards["driver_service"]),
                expect(page.locator("#pin")).to_be_visible(),
            ),
            2: lambda: page.locator("input[name=run][value='15-0']").check(),
        },
    )
    for name in ("adult_purse", "month_pass", "empty_purse"):
        bus.tap(cards[name])
    cabin.sell("Полный", 2)
    cabin.sell("Детский", 1)
    cabin.sell("Багаж", 1)
    cabin.sell("Полный", 3)
    cabin.walk("Отменить билет")
    expect(page.get_by_text("Деньги возвращены")).to_be_visible()
    page.go_back()
    page.go_back()
    assert [row["sum_minor"] for row in bus.rows() if row["kind"] == "SaleCancelled"] == [3 * FARE]

    page.set_viewport_size({"width": 480, "height": 272})
    page.goto(f"{url}/shift")
    office_says(bus)
    expect(page.get_by_text("Объезд по Советской")).to_be_visible(timeout=PATIENCE_MS)
    cabin.walk("Сообщения диспетчерской")
    expect(page.get_by_text("Объезд по Советской")).to_have_count(0)
    page.goto(f"{url}/shift")
    cabin.walk("Перерыв", {2: lambda: _refused(bus, cards["adult_purse"])})
    cabin.walk("Сдать наличные")
    page.goto(f"{url}/shift")
    page.get_by_role("button", name="Следующий рейс: → Вокзал").tap()
    expect(page.get_by_role("heading", level=1)).to_contain_text("→ Вокзал")
    cabin.walk("Смена водителя", {3: lambda: cabin.typed_sign_in(RELIEF)})
    cabin.walk("Сообщения диспетчерской")
    read = [(row["notice"], row["operator_ref"]) for row in bus.rows() if row["kind"] == "NoticeRead"]
    assert read == [("detour", DRIVER), ("detour", RELIEF)], "each who drives reads it"
    bus.tap(cards["adult_purse"])
    inspected(bus, cabin, cards)
    cabin.typed_sign_in(RELIEF)
    cabin.walk("Конец смены", {3: lambda: _says(page)})


def _card(bus: LiveTerminal, page: Page, card: str) -> None:
    bus.hand.tap(bus.folder / card)
    expect(page.locator("#pin")).to_be_visible()


def _refused(bus: LiveTerminal, card: str) -> None:
    """In the break a card is refused, and the next turn cannot begin."""
    assert bus.tap(card)["message"] == "shift_closed"


def _says(page: Page) -> None:
    """The closed shift's report, line by line."""
    for line in ("Проходы 5", "Отказано 2", "Перерывы 1", "Отменённые билеты 1"):
        name, _, value = line.rpartition(" ")
        expect(page.locator(f"dt:text-is('{name}') + dd")).to_contain_text(value)
    expect(page.get_by_text(f"{DRIVER} → {RELIEF}")).to_be_visible()


def inspected(bus: LiveTerminal, cabin: Cabin, cards: dict[str, str]) -> None:
    """B1: an inspection answers from the turn under way, not from the one the shift was opened with."""
    page = cabin.page
    page.context.clear_cookies()
    cabin.typed_sign_in(ref_of(Role.INSPECTOR))
    expect(page.locator("input[name=run][value='15-1']")).to_be_checked()
    page.get_by_role("button", name="Начать контроль").tap()
    expect(page.get_by_role("heading", name="Последняя карта")).to_be_visible()
    bus.tap(cards["adult_purse"])
    expect(page.locator("[data-live=result]")).to_contain_text("Оплачено")
    page.get_by_role("button", name="Закончить контроль").tap()
    expect(page.get_by_role("button", name="Начать контроль")).to_be_visible()
    page.context.clear_cookies()


def the_books_agree(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Report, export and books come to the same as the rows."""
    gone = {row["sale"] for row in rows if row["kind"] == "SaleCancelled"}
    sales = [row for row in rows if row["kind"] == "CashSale" and row["sequence"] not in gone]
    cash_minor = sum(row["sum_minor"] for row in sales)
    assert cash_minor == 2 * FARE + FARE // 2 + 2000
    closed = next(row["totals"] for row in rows if row["kind"] == "ShiftClosed")
    assert (closed["cash_minor"], closed["cash_sales"], closed["cancelled_sales"]) == (cash_minor, 3, 1)
    table = run(folder, "export", "csv", "shift")
    shift = next(csv.DictReader(io.StringIO(table)))
    assert (shift["cash"], shift["cancelled"]) == (f"{cash_minor / 100:.2f}", "1")

    def booked() -> dict[str, Any] | None:
        found: dict[str, Any] = ask(folder, "report", "--day", "2026-09-15", "--by", "funder")
        lines = {line["name"]: line for line in found["lines"]}
        return lines if lines.get("cash", {}).get("annulled_minor") and not found["behind"] else None

    books = until(booked)
    assert books["cash"]["counted_minor"] == cash_minor
    assert books["cash"]["annulled_minor"] == 3 * FARE
    charged = sum(row["charge_minor"] for row in rows if row["kind"] == "Intent")
    assert books["purse"]["counted_minor"] == charged == closed["charged_minor"]
