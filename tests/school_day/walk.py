"""The walk: set up by the guide, pupils from a spreadsheet, cards tied, breaks served, everything put right, reports.

Every deed counts: with `kills` the power goes at each of so many deeds, in turn as soon as the form has left and after
its answer came; then the same form arrives again, as a browser's reload sends it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, Locator, Page, Request, expect

from terminal.clock import SystemClock, unix_ms
from terminal.screen.console.areas import areas
from terminal.screen.setup.web import NAMES
from tests.school_day.hands import PATIENCE_MS, Hands, Way
from tests.school_day.place import SchoolPlace, number_in
from tests.terminal.setup.guide import GuideStep, press_through, steps_of

MANAGER, CASHIER, PIN = "1001", "1002", "7294"
NO_CARDS = re.compile(r"\b0 / ")
STAFF = "сотрудники"
MOSCOW = ZoneInfo("Europe/Moscow")
SERVED_AT_ONCE = "meal_ok"
GIVEN = (SERVED_AT_ONCE, "meal_already")
"""After these the pupil has the portion, once."""
FILES = (".xlsx",)
REFUSED = 409
PAGES = {
    *(f"/setup/{name}" for name in NAMES),
    "/done",
    "/sign-in",
    *(page.path for area in areas("canteen") for page in area.pages if not page.path.endswith(FILES)),
}
"""Every page that there is."""
SEEN = """
globalThis.seen = {};
addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const at = document.querySelector(".standing-at")?.textContent;
  if (at && !(at in seen)) requestAnimationFrame(() => { seen[at] ??= performance.timeOrigin + performance.now(); });
}).observe(document.documentElement, {childList: true, subtree: true}));
"""


@dataclass
class DayPlan:
    """How large the school is, and how often the power goes. `ways`: who sets up, who keeps lists, who serves."""

    pupils: int = 600
    tied: int = 20
    listed: int = 80
    kills: int = 1_000
    taps_killed: int = 10
    looks: bool = True
    ways: tuple[Way, Way, Way] = (Way.MOUSE, Way.TOUCH, Way.KEYBOARD)


@dataclass
class SchoolWalk:
    """One walk. `given` are the portions that stand by card and meal, `listed` those that were given by name."""

    place: SchoolPlace
    browser: Browser
    plan: DayPlan
    counts: Counter[str] = field(default_factory=Counter)
    taps: Counter[str] = field(default_factory=Counter)
    seen_ms: list[float] = field(default_factory=list)
    given: set[tuple[str, str]] = field(default_factory=set)
    listed: int = 0
    looked: set[str] = field(default_factory=set)
    cards: list[Path] = field(default_factory=list)
    spare: Path = Path()
    newer: Path = Path()
    teachers: Path = Path()
    papers: dict[str, int] = field(default_factory=dict)

    @property
    def cashiers(self) -> list[GuideStep]:
        """The cashier's day in the guide."""
        return steps_of("stolovaya.md", "День шаг за шагом")

    @contextmanager
    def person(self, way: Way, width: int = 1024, height: int = 600) -> Iterator[Hands]:
        """A browser of a person's own."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            has_touch=way is Way.TOUCH,
            locale="ru-RU",
            accept_downloads=True,
        )
        context.add_init_script(SEEN)
        page, wrong = context.new_page(), list[str]()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        try:
            yield Hands(page, way, self.counts, self.looked, looks=self.plan.looks)
        except BaseException as error:
            error.add_note(f"at {page.url}:\n{page.locator('body').inner_text()[:3000]}")
            raise
        finally:
            context.close()
        assert not wrong, wrong

    # deeds

    def deed(
        self,
        hands: Hands,
        button: Locator,
        redo: Callable[[], Locator] | None = None,
        anew: Callable[[], None] | None = None,
    ) -> None:
        """Press what changes something. Where the power goes, the form arrives again: reloaded, or with `redo` (a form
        with a file) filled in again by hand; `anew` is what people do where it then has to begin anew.
        """
        self.counts["deeds"] += 1
        page, number = hands.page, self.counts["deeds"]
        if self.counts["kills"] >= self.plan.kills:
            with page.expect_navigation(timeout=PATIENCE_MS):
                hands.press(button)
            return
        self.counts["kills"] += 1
        back, sent = page.url, list[Request]()

        def leaves(request: Request) -> None:
            if request.method == "POST":
                sent.append(request)

        page.on("request", leaves)
        if number % 2:
            with page.expect_request(lambda one: one.method == "POST", timeout=PATIENCE_MS):
                hands.press(button, waits=False)
        else:
            with page.expect_navigation(timeout=PATIENCE_MS):
                hands.press(button)
        page.remove_listener("request", leaves)
        self.place.kill()
        self.place.start()
        if redo is not None:
            page.goto(back)
            with page.expect_navigation(timeout=PATIENCE_MS):
                hands.press(redo())
            return
        answer = page.request.fetch(sent[0], timeout=PATIENCE_MS)
        if anew is not None and answer.status == REFUSED:
            page.goto(back)
            anew()
            return
        assert answer.ok, f"{sent[0].url}: {answer.status} {answer.text()[:2000]}"
        page.goto(answer.url)

    # from the folder to the sign-in

    def set_up(self) -> None:
        """By the manager's guide; the breaks and the calendar so that the walk passes on any day."""
        with self.person(self.plan.ways[0]) as hands:
            page, first = hands.page, self.place.first
            first.start()
            page.goto(self.place.url)
            *steps, last = steps_of("zaveduyushchaya.md", "Первая настройка")
            for number, step in enumerate(steps):
                press_through(page, step, {"Одноразовый код": first.code}, hands)
                expect(page.locator("main h1")).to_be_visible()
                if number == 4 and self.plan.kills:
                    first.kill()
                    first.start()
                    page.goto(self.place.url)
            self._every_day(hands)
            page.goto(f"{self.place.url}/setup/review")
            hands.look()
            press_through(page, last, {}, hands)
            page.wait_for_url("**/done")
            hands.look()
            self.place.take_over()
            page.wait_for_url("**/sign-in?typed=1", timeout=PATIENCE_MS)

    def _every_day(self, hands: Hands) -> None:
        page, today = hands.page, self.place.now.date()
        page.goto(f"{self.place.url}/setup/meals")
        lunch = page.get_by_role("group", name="Обед").get_by_label("Цена для родителей, руб.")
        hands.fill(lunch, "дорого")
        wrong = page.locator("[data-wrong='meals.lunch.price']")
        expect(wrong).to_contain_text("Не сумма. Напишите рубли и копейки")
        hands.fill(lunch, "90,02")
        expect(wrong).to_be_hidden()
        hands.button("Далее")
        expect(page.get_by_role("heading", level=1)).to_have_text("Категории и кто платит")
        page.goto(f"{self.place.url}/setup/calendar")
        hands.fill(hands.field("Первый день"), (today - timedelta(days=30)).isoformat())
        hands.fill(hands.field("Последний день"), (today + timedelta(days=200)).isoformat())
        hands.fill(hands.field("Учебных дней в неделю"), "семь")
        for day in page.locator("input[type=date][name*=holiday]").all():
            if day.input_value():
                hands.fill(day, "")
        hands.button("Далее")
        expect(page.get_by_role("heading", level=1)).to_have_text("Правила")

    # lists

    def lists(self) -> None:
        """The pupils, their money, the menu: the meal officer's pages."""
        *self.cards, self.spare, self.newer, self.teachers = self.place.cards(
            self.plan.tied + self.plan.listed + 3
        )
        holders = [""] * self.plan.tied + [self.place.holder(card) for card in self.cards[self.plan.tied :]]
        file = self.place.sheet(self.plan.pupils, holders)
        with self.person(self.plan.ways[1], 800, 480) as hands:
            self.sign_in(hands, MANAGER)
            self._pupils(hands, file)
            self._payments(hands)
            self._menu(hands)
            self._tie(hands)

    def sign_in(self, hands: Hands, ref: str) -> None:
        hands.page.goto(f"{self.place.url}/sign-in?typed=1")
        if (signed := hands.page.locator(".bar-role")).count():
            expect(signed).to_contain_text(ref)
            return
        hands.fill(hands.page.locator("#ref"), ref)
        hands.fill(hands.page.locator("#pin"), PIN)
        hands.look()
        with hands.page.expect_navigation():
            hands.press(hands.page.locator(".pin-go, .pad-go").locator("visible=true").first)
        expect(hands.page.locator(".bar-role")).to_contain_text(ref)

    def _pupils(self, hands: Hands, file: Path) -> None:
        page = hands.page
        hands.open("Ученики")

        def chosen() -> Locator:
            hands.choose(page.locator("#file"), file)
            return page.get_by_role("button", name="Прочитать и проверить")

        self.deed(hands, chosen(), chosen)
        expect(page.get_by_text("Телефон родителей")).to_be_visible()
        for question, field_name, answer in (
            ("первый", "Впишите", "1а"),
            ("31.02.2018", "Впишите", "28.02.2018"),
            ("по справке", "Это значит", "без категории, платно"),
        ):
            asked = page.locator(".doubt-asked").filter(has_text=question).first
            hands.fill(asked.get_by_label(field_name), answer)
        balances = page.locator("input[name=through]")
        head = balances.locator("xpath=..").inner_text()
        hands.fill(balances, str(number_in(head)))
        self.deed(hands, page.get_by_role("button", name="Применить и проверить"))
        self.deed(hands, page.get_by_role("button", name="Загрузить список"))
        expect(page.get_by_text("Список действует.")).to_be_visible()
        expect(page.locator("main")).to_contain_text(f"{self.plan.pupils} ученик")

    def _payments(self, hands: Hands) -> None:
        page = hands.page
        file = self.place.folder / "payments.csv"
        file.write_text("платёж;ученик;счёт;сумма\nА-1;Л-1;питание;250,00\nА-2;Л-2;буфет;50\n", "cp1251")
        hands.open("Платежи")

        def chosen() -> Locator:
            hands.choose(page.locator("#file"), file)
            return page.get_by_role("button", name="Загрузить платежи")

        self.deed(hands, chosen(), chosen)
        page.goto(f"{self.place.url}/canteen/payments")
        expect(page.locator("section[aria-labelledby=today]")).to_contain_text("2 платежа · 300,00")

    def _menu(self, hands: Hands) -> None:
        page = hands.page
        hands.open("Цены и меню")
        hands.fill(hands.field("Завтрак"), "Каша рисовая\nЧай с сахаром")
        self.deed(hands, page.get_by_role("button", name="Сохранить меню"))
        expect(page.get_by_label("Завтрак")).to_have_value("Каша рисовая\nЧай с сахаром")
        hands.fill(hands.field("Товар 3"), "Кефир")
        hands.fill(hands.field("Цена, руб. 3"), "45,50")
        self.deed(hands, page.get_by_role("button", name="Ввести цены"))
        expect(page.get_by_label("Цена, руб. 3")).to_have_value("45,50")

    def _tie(self, hands: Hands) -> None:
        """Class by class: the card is laid on the reader, the name is pressed."""
        page, left = hands.page, list(self.cards[: self.plan.tied])
        hands.open("Карты")
        while left:
            free = page.locator(".tiles a").filter(has_text=NO_CARDS).first
            hands.press(free)
            for _ in range(min(len(left), 8)):
                self._tied(hands, left.pop(0))
        hands.press(page.locator(".tiles a").filter(has_text=STAFF))
        self._tied(hands, self.teachers)
        tied = page.get_by_role("heading", level=2).filter(has_text="С картой").inner_text()
        assert number_in(tied) >= self.plan.tied, tied

    def _tied(self, hands: Hands, card: Path) -> None:
        """The card is the first one's of the class who has none."""
        page = hands.page
        expect(page.get_by_role("heading", level=1)).to_contain_text("·")
        self.place.tap(card)
        expect(page.get_by_text("пока ничья")).to_be_visible(timeout=PATIENCE_MS)
        self.deed(hands, page.locator(".found form button").filter(has_not_text="карта есть").first)
        expect(page.get_by_text("Карта привязана")).to_be_visible()

    # serving

    def first_serving(self, hands: Hands) -> None:
        """By the guide: the cashier signs in, opens the shift and serves."""
        page = hands.page
        page.goto(f"{self.place.url}/sign-in?typed=1")
        for step in steps_of("zaveduyushchaya.md", "Первая выдача"):
            press_through(page, step, {}, hands)
        expect(page.locator(".meal-name")).to_have_text("Завтрак")
        expect(page.locator(".meal-dishes")).to_contain_text("Каша рисовая")

    def morning(self, hands: Hands) -> None:
        """Two breaks of breakfast: half of the cards, twice, then all of them."""
        half = len(self.cards) // 2
        first = [*self.cards[:half], *self.cards[: len(self.cards) - half]]
        self._break(hands, self.at(8, 31), "breakfast", first)
        self._break(hands, self.at(9, 31), "breakfast", self.cards)

    def noon(self, hands: Hands) -> None:
        """Lunch: most who come are asked about. A teacher pays for his own."""
        self._break(hands, self.at(12, 0), "lunch", self.cards)
        assert self._tap(hands, self.teachers, "lunch") == "meal_ask"
        self._handed_out(hands, self.teachers, "lunch")

    def _break(self, hands: Hands, begins: datetime, meal: str, cards: list[Path]) -> None:
        self.place.clock(begins)
        self.sign_in(hands, CASHIER)
        hands.open("Выдача")
        self.counts["breaks"] += 1
        for number, card in enumerate(cards):
            if self.counts["taps killed"] < self.plan.taps_killed and number % 3 == 1:
                self._cut_off(hands, card)
            message = self._tap(hands, card, meal)
            if message == "meal_ask" and number % 4 == 0:
                self._handed_out(hands, card, meal)

    def _handed_out(self, hands: Hands, card: Path, meal: str) -> None:
        """The cashier says yes to what stands there; a question that went with the power is asked by the card anew."""
        yes = hands.page.locator(".standing .ask button")

        def anew() -> None:
            assert self._tap(hands, card, meal) == "meal_ask"
            with hands.page.expect_navigation(timeout=PATIENCE_MS):
                hands.press(yes)

        self.deed(hands, yes, anew=anew)
        self.given.add((card.stem, meal))

    def _tap(self, hands: Hands, card: Path, meal: str) -> str:
        """One tap, and how soon the cashier sees it."""
        message = self.place.tap(card)
        ended = unix_ms(SystemClock().now())
        self.taps[message] += 1
        at = self.place.now.astimezone(MOSCOW).strftime("%H:%M:%S")
        expect(hands.page.locator(".standing-at")).to_have_text(at, timeout=PATIENCE_MS)
        seen = hands.page.evaluate("at => globalThis.seen[at]", at)
        if seen is not None:
            self.seen_ms.append(max(seen - ended, 0.0))
        if message in GIVEN:
            self.given.add((card.stem, meal))
        return message

    def _cut_off(self, hands: Hands, card: Path) -> None:
        """The power goes while the card lies there; then the card comes again."""
        assert self.place.hand is not None
        self.place.wait(seconds=7)
        self.place.hand.say("present", card=str(card))
        self.place.kill()
        self.place.start()
        self.counts["taps killed"] += 1
        hands.page.reload()

    # putting right

    def class_lists(self, hands: Hands) -> None:
        """By the guide: a class by its list, all of it taken back, and given again."""
        page, given = hands.page, 0
        served, taken_back, again = self.cashiers[:3]
        for step in (served, taken_back, again):
            self._by_guide(hands, step)
            if step is taken_back:
                expect(page).to_have_url(re.compile("/canteen/records"), timeout=PATIENCE_MS)
                self.listed -= given
                continue
            heading = page.get_by_role("heading", level=1)
            expect(heading).to_contain_text("Выдано:", timeout=PATIENCE_MS)
            given = number_in(heading.inner_text())
            assert given >= 2
            self.listed += given

    def annulments(self, hands: Hands, class_id: str) -> str:
        """One at once, by the guide; one after the time of one person. The name of the first."""
        page = hands.page
        self._by_guide(hands, self.cashiers[3])
        name = page.locator(".record-annulled .who-name").first.inner_text()
        self.place.wait(minutes=10)
        hands.open("Исправить")
        hands.fill(hands.field("Фамилия, имя или класс"), class_id)
        hands.button("Найти")
        hands.press(page.get_by_role("link", name="Аннулировать").first)
        self.second(hands, "0000")
        hands.button("Да, аннулировать")
        expect(page.get_by_role("alert")).to_contain_text("Неверный ПИН-код")
        self.second(hands, PIN)
        self.deed(hands, page.get_by_role("button", name="Да, аннулировать"))
        self.listed -= 2
        return name

    def _by_guide(self, hands: Hands, step: GuideStep) -> None:
        press_through(hands.page, step, {}, _Deeds(self, hands))

    def second(self, hands: Hands, pin: str, name: str = "issue") -> None:
        """The second person's number and PIN."""
        hands.fill(hands.page.locator(f"#{name}-staff"), MANAGER)
        hands.fill(hands.page.locator(f"#{name}-pin"), pin)

    def pupil(self, hands: Hands, name: str, *, which: int = 0) -> None:
        """A pupil's own page: of those who are found, the one in that place."""
        hands.open("Исправить")
        hands.link("Найти ученика")
        hands.fill(hands.field("Фамилия, имя или класс"), name)
        hands.button("Найти")
        hands.press(hands.page.locator(".found a").nth(which))
        expect(hands.page.locator("section[aria-labelledby=ahead]")).to_be_visible()

    def forgotten_card(self, hands: Hands, name: str) -> None:
        """By the guide: whose portion was annulled has it again, without a card."""
        found, confirmed = self.cashiers[4:6]
        self._by_guide(hands, found)
        hands.press(hands.page.locator(".found a").filter(has_text=name).first)
        self._by_guide(hands, confirmed)
        expect(hands.page.get_by_role("heading", level=1)).to_contain_text("Выдано: 1")
        self.listed += 1

    def lent_card(self, hands: Hands, spare: Path, class_id: str) -> None:
        """A spare card stands for a pupil for a day, and brings him his meal: the last of a class, who has no other."""
        page = hands.page
        self.pupil(hands, class_id, which=-1)
        self.place.tap(spare)
        page.reload()
        hands.press(page.locator("summary").first)
        self.second(hands, PIN, "lend")
        self.deed(hands, page.get_by_role("button", name="Выдать эту карту"))
        expect(page.get_by_text("Карта выдана до конца дня.")).to_be_visible()
        hands.open("Выдача")
        assert self._tap(hands, spare, "breakfast") == SERVED_AT_ONCE

    def buffet(self, hands: Hands, card: Path) -> None:
        """Sold, taken back, and sold again; a basket that was sold is not sold by coming back to it."""
        page = hands.page
        for taken_back in (True, False):
            hands.open("Буфет")
            with page.expect_navigation(timeout=PATIENCE_MS):  # an empty basket follows the card
                self.place.tap(card)
            expect(page.locator(".basket-who .who-name")).to_be_visible()
            hands.press(page.locator(".wares button").first)
            expect(page.locator(".basket-name")).to_be_visible()
            basket = page.url
            self.deed(hands, page.get_by_role("button", name="Продать"))
            expect(page.get_by_text("Продано на")).to_be_visible()
            if taken_back:
                page.goto(basket)
                expect(page.get_by_text("Эта корзина уже продана")).to_be_visible()
                expect(page.get_by_role("button", name="Продать", exact=True)).to_be_disabled()
                hands.open("Исправить")
                hands.press(page.get_by_role("link", name="Аннулировать").first)
                self.deed(hands, page.get_by_role("button", name="Да, аннулировать"))

    def orders(self, hands: Hands, name: str) -> None:
        """For tomorrow; one is taken back. No paper with a code was shown."""
        hands.page.goto(f"{self.place.url}/canteen/printed")
        hands.look()
        self.pupil(hands, name)
        section = hands.page.locator("section[aria-labelledby=ahead]")
        for button in ("Заказать", "Отменить заказ", "Заказать"):
            self.deed(hands, section.get_by_role("button", name=button).first)
            expect(hands.page.get_by_text("Заказ изменён.")).to_be_visible()

    def cards_of_pupils(self, hands: Hands, newer: Path) -> None:
        """A card is lost and found; another one replaces it, and is taken back."""
        page = hands.page
        a_class = page.locator(".tiles a").filter(has_text=re.compile(r"^\s*1а\s"))
        hands.open("Карты")
        hands.press(a_class)
        hands.press(page.locator(".found a").filter(has_text="карта есть").first)
        for button in ("Утеряна", "Нашлась"):
            self.deed(hands, page.get_by_role("button", name=button).first)
        hands.open("Карты")
        hands.press(a_class)
        expect(page.get_by_role("heading", level=1)).to_contain_text("·")
        self.place.tap(newer)
        expect(page.get_by_text("пока ничья")).to_be_visible(timeout=PATIENCE_MS)
        self.deed(hands, page.locator(".found form button").filter(has_text="карта есть").first)
        expect(page.get_by_text("Карта привязана")).to_be_visible()
        hands.open("Карты")
        with page.expect_navigation(timeout=PATIENCE_MS):
            self.place.tap(newer)
        hands.press(page.locator("main p a.button").first)
        self.deed(hands, page.get_by_role("button", name="Отвязать").first)

    # the end of the day

    def reports(self, hands: Hands) -> None:
        """Printed and saved, then the day is closed."""
        page, last = hands.page, self.cashiers[-1]
        self._paper(page, "day", lambda: self._by_guide(hands, last))
        assert page.locator(".notice-red").count() == 0
        hands.link("Табель за месяц")
        expect(page.get_by_role("button", name="Печать")).to_be_visible()
        self._paper(page, "month", lambda: hands.link("Файл Excel"))
        hands.open("Отчёт за день")
        hands.link("Закрыть день")
        self.deed(hands, page.get_by_role("button", name="Да, закрыть день"))
        expect(page.locator(".sheet-head")).to_contain_text("день закрыт")

    def _paper(self, page: Page, name: str, save: Callable[[], None]) -> None:
        with page.expect_download() as saved:
            save()
        file = self.place.folder / f"{name}.xlsx"
        saved.value.save_as(file)
        self.papers[file.name] = file.stat().st_size
        content = page.pdf(prefer_css_page_size=True)
        self.papers[f"{name}.pdf"] = content.count(b"/Type /Page\n") or content.count(b"/Type /Page")
        self.counts["reports printed"] += 1

    def next_morning(self, hands: Hands, class_id: str) -> None:
        """Who is absent, and what was ordered and not collected."""
        page = hands.page
        self.place.clock(self.at(8, 0) + timedelta(days=1))
        self.sign_in(hands, MANAGER)
        hands.open("Кого нет")
        hands.press(page.locator(".tiles").get_by_role("link", name=class_id))
        box = "input[type=checkbox]" if hands.way is Way.KEYBOARD else "label"
        hands.press(page.locator(f".ticks {box}").first)
        self.deed(hands, page.get_by_role("button", name="Записать, кого нет"))
        self.place.clock(self.at(15, 0))
        self.sign_in(hands, MANAGER)
        hands.open("Исправить")
        self.deed(hands, page.get_by_role("button", name="Отметить неполученными").first)
        expect(page.get_by_text("Отмечено неполученными: 1")).to_be_visible()
        self.yesterdays_report(hands)

    def yesterdays_report(self, hands: Hands) -> None:
        """The bookkeeper asks for it again a day later."""
        page, yesterday = hands.page, self.place.now.astimezone(MOSCOW) - timedelta(days=1)
        hands.open("Отчёт за день")
        expect(page.locator(".sheet-head")).to_contain_text("день не закрыт")
        hands.fill(hands.field("День"), f"{yesterday:%d.%m.%Y}")
        hands.button("Показать")
        expect(page.locator(".sheet-head")).to_contain_text(f"{yesterday:%d.%m.%Y} · день закрыт")
        expect(page.get_by_role("link", name="Закрыть день")).to_have_count(0)
        before = self.papers["day.xlsx"]
        self._paper(page, "day", lambda: hands.link("Файл Excel"))
        assert self.papers["day.xlsx"] == before

    def right(self, day: date) -> dict[str, int]:
        """What the records come to, as the product's own command counts it: nothing lost, nothing twice."""
        report = self.place.report(day)
        found = sum(int(group["served"]) for group in report["groups"])
        expected = len(self.given) + self.listed
        assert found == expected, f"{found} portions on record, {expected} given"
        assert report["duplicates"] == [], report["duplicates"]
        staff = [group for group in report["groups"] if group["class_id"] == STAFF]
        assert [(group["served"], group["category"]) for group in staff] == [(1, "paid")], staff
        control = report["control"]
        parts = ("served_minor", "buffet_minor", "annulled_minor", "duplicates_minor")
        assert control["records_minor"] == sum(control[part] for part in parts), control
        return {"portions": found, "expected": expected}

    def at(self, hour: int, minute: int) -> datetime:
        """That time of the day it is."""
        return self.place.now.astimezone(MOSCOW).replace(hour=hour, minute=minute, second=0, microsecond=0)

    def whole(self) -> dict[str, int]:
        """Everything, in the order of two days."""
        _, lists, serves = self.plan.ways
        self.set_up()
        self.lists()
        day, class_id = self.place.now.astimezone(MOSCOW).date(), "4б"
        with self.person(serves) as cashier:
            self.place.clock(self.at(8, 30))
            self.first_serving(cashier)
            self.morning(cashier)
        self.place.clock(self.at(10, 21))
        with self.person(Way.MOUSE if serves is not Way.MOUSE else lists) as hands:
            self.sign_in(hands, CASHIER)
            self.class_lists(hands)
            name = self.annulments(hands, class_id)
            self.forgotten_card(hands, name)
        with self.person(lists, 800, 480) as hands:
            self.sign_in(hands, CASHIER)
            self.lent_card(hands, self.spare, "4а")
            self.buffet(hands, self.cards[0])
            self.orders(hands, name)
            self.cards_of_pupils(hands, self.newer)
        with self.person(serves) as cashier:
            self.noon(cashier)
        with self.person(lists) as hands:
            self.place.clock(self.at(15, 0))
            self.sign_in(hands, MANAGER)
            self.reports(hands)
            self.next_morning(hands, "4а")
            hands.open("Терминал")
            hands.look()
        if self.plan.looks:
            unseen = sorted(PAGES - self.looked)
            assert not unseen, f"pages that no one has looked at: {unseen}"
        return self.right(day)


@dataclass(frozen=True)
class _Deeds:
    """Follows the guide: what changes something is a deed of the walk."""

    walk: SchoolWalk
    hands: Hands

    def press(self, control: Locator) -> None:
        if control.evaluate("one => one.form?.method === 'post'"):
            self.walk.deed(self.hands, control)
        else:
            self.hands.press(control)

    def fill(self, field: Locator, value: str) -> None:
        self.hands.fill(field, value)
