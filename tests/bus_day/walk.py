"""The walk: two drivers, three turns, an inspector, by touch; cards and tickets, tears, a dead on-board computer, the
power going at a deed. Guides are pressed as they are written.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Request, expect

from terminal.screen.console.roles import Role
from tests.bus_day.place import BusPlace
from tests.flows.test_recomputed import until
from tests.school_day.hands import PATIENCE_MS, Hands, Way
from tests.terminal.media.test_phone_live import on_paper
from tests.terminal.screen.console.cab import DRIVER, PIN, ref_of
from tests.terminal.screen.console.test_console_browser import MAIN, SMALL, out_of_reach
from tests.terminal.setup.guide import press_through, steps_of

RELIEF, INSPECTOR = ref_of(Role.CONDUCTOR), ref_of(Role.INSPECTOR)
PROFILES: Final = (
    *("adult_purse", "adult_purse", "adult_purse", "student_half_price", "month_pass"),
    *("free_pensioner", "empty_purse", "blocked"),
)
CONTRADICTED: Final = "противоречит смене"
ONCE: Final = ("/shift", "/sale", "/cash")
"""What is done once whatever happens: the power may go at it."""
DEED: Final = (
    "one => one.type === 'submit' && one.form?.method === 'post' ? one.form.getAttribute('action') : ''"
)


@dataclass
class BusPlan:
    """How large the day is: cards and their taps, how often the power goes, and whether pages are looked at."""

    taps: int = 400
    cards: int = 40
    kills: int = 20
    looks: bool = True
    seed: int = 19


class BusHands(Hands):
    """Presses by touch; at a deed the power may go, and then its form arrives again, as a browser's reload sends it."""

    walk: BusWalk

    def press(self, control: Locator, *, waits: bool = True) -> None:
        expect(control).to_be_enabled(timeout=PATIENCE_MS)
        path = control.evaluate(DEED)
        if not path.startswith(ONCE):
            super().press(control, waits=waits)
            return
        self.counts["deeds"] += 1
        if self.counts["kills"] >= self.walk.plan.kills or self.counts["deeds"] % self.walk.every:
            with self.page.expect_navigation(timeout=PATIENCE_MS):
                super().press(control)
            return
        self._cut_off(control)

    def _cut_off(self, control: Locator) -> None:
        """In turn as soon as the form has left, and after its answer came."""
        self.counts["kills"] += 1
        page, place, sent = self.page, self.walk.place, list[Request]()

        def leaves(request: Request) -> None:
            if request.method == "POST":
                sent.append(request)

        page.on("request", leaves)
        if self.counts["kills"] % 2:
            with page.expect_navigation(timeout=PATIENCE_MS):
                super().press(control)
        else:
            with page.expect_request(lambda one: one.method == "POST", timeout=PATIENCE_MS):
                super().press(control, waits=False)
        page.remove_listener("request", leaves)
        place.kill()
        place.start()
        answer = page.request.fetch(sent[0], timeout=PATIENCE_MS)
        assert answer.ok, f"{sent[0].url}: {answer.status} {answer.text()[:2000]}"
        page.goto(answer.url)

    def look(self) -> None:
        """And what is pressed most is on a small screen without scrolling, large enough for a finger."""
        path = urlsplit(self.page.url).path
        seen = path in self._looked
        super().look()
        if seen or path not in self._looked:
            return
        before = self.page.viewport_size
        assert before is not None
        for width, height in SMALL:
            self.page.set_viewport_size({"width": width, "height": height})
            out = out_of_reach(self.page.locator(MAIN), height)
            self.walk.out_of_reach += [f"{path} at {width}×{height}: {button}" for button in out]
        self.page.set_viewport_size(before)


@dataclass
class BusWalk:
    """One walk. `messages` are those of the taps as they ended, by card."""

    place: BusPlace
    browser: Browser
    plan: BusPlan
    counts: Counter[str] = field(default_factory=Counter)
    taps: Counter[str] = field(default_factory=Counter)
    looked: set[str] = field(default_factory=set)
    cards: list[Path] = field(default_factory=list)
    report: dict[str, str] = field(default_factory=dict)
    out_of_reach: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """What the terminal has written, once it was ended."""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.plan.seed)
        self.every = max(1, 16 // max(1, self.plan.kills))

    @contextmanager
    def person(self, width: int, height: int) -> Iterator[BusHands]:
        """A screen touched by one person."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, has_touch=True, locale="ru-RU"
        )
        page, wrong = context.new_page(), list[str]()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        hands = BusHands(page, Way.TOUCH, self.counts, self.looked, looks=self.plan.looks)
        hands.walk = self
        try:
            yield hands
        except BaseException as error:
            error.add_note(f"at {page.url}:\n{page.locator('body').inner_text()[:3000]}")
            raise
        finally:
            context.close()
        assert not wrong, wrong

    def guide(
        self,
        hands: Hands,
        heading: str,
        before: dict[int, Callable[[], object]] | None = None,
        guide: str = "",
    ) -> None:
        """Every step under that heading; `before` a step what it says without a button."""
        for number, step in enumerate(steps_of(guide or "voditel.md", heading), start=1):
            (before or {}).get(number, lambda: None)()
            press_through(hands.page, step, {"ПИН-код": lambda: PIN}, hands)
            expect(hands.page.locator("main h1").first).to_be_visible()
        hands.look()

    # the day

    def whole(self) -> None:
        """From the first shift to its report."""
        place, plan = self.place, self.plan
        place.drive(15, 0)
        place.start()
        self.cards = [
            place.card(PROFILES[number % len(PROFILES)], f"card{number}") for number in range(plan.cards)
        ]
        service = place.card("driver_service", "service")
        with self.person(800, 480) as hands:
            self.first_turn(hands, service)
        with self.person(480, 272) as hands:
            self.between(hands)
            self.second_turn(hands)
        with self.person(1024, 600) as hands:
            self.inspection(hands)
        with self.person(1920, 1080) as hands:
            self.third_turn(hands)
        place.end()

    def first_turn(self, hands: BusHands, service: Path) -> None:
        """Opened with the service card; tickets of every kind, one of which is taken back."""
        page, place = hands.page, self.place
        page.goto(place.url)

        def laid() -> None:
            place.tap(service)
            expect(page.locator("#pin")).to_be_visible()

        run = page.locator("input[name=run][value='15-0']")
        self.guide(hands, "Начало смены", {1: laid, 2: run.check})
        self.at_stop(hands, "Вокзал, зона 1")
        self.together(hands)
        self.ride(self.plan.taps // 4)
        for kind, count in (("Полный", 2), ("Детский", 1), ("Багаж", 1), ("Полный", 3)):
            self.sell(hands, kind, count)
        self.guide(hands, "Отменить билет")
        expect(page.get_by_text("Деньги возвращены")).to_be_visible()
        self.at_stop(hands, "Площадь, зона 1")
        self.sell(hands, "Детский", 2)
        self.ride(self.plan.taps // 8)

    def between(self, hands: BusHands) -> None:
        """At the terminus, on the smallest screen: a notice, a break, a code on paper, cash handed over."""
        page, place = hands.page, self.place
        self.sign_in(hands, DRIVER)
        place.office_errs()
        why = "Не принято: маршруты другого региона"
        until(lambda: why in page.request.get(f"{place.url}/state").text())
        page.goto(f"{place.url}/state")
        expect(page.get_by_role("status").filter(has_text=why)).to_be_visible()
        hands.look()
        page.goto(f"{place.url}/shift")
        place.office_says()
        expect(page.get_by_text("Объезд по Советской")).to_be_visible(timeout=PATIENCE_MS)
        self.guide(hands, "Сообщения диспетчерской")
        expect(page.get_by_text("Объезд по Советской")).to_have_count(0)
        page.goto(f"{place.url}/shift")
        self.guide(hands, "Перерыв", {2: lambda: self._in_the_break(hands)})
        page.goto(f"{place.url}/shift")
        place.scanner.scan(on_paper(1).encode())
        self.guide(hands, "Телефон и коды")
        expect(page.get_by_role("link", name="Проверить, чей он")).to_have_count(0)
        self.guide(hands, "Сдать наличные")

    def _in_the_break(self, hands: BusHands) -> None:
        hands.look()
        assert self.place.tap(self.cards[0]) == "shift_closed"
        self.taps["shift_closed"] += 1
        self.place.wait(minutes=20)

    def second_turn(self, hands: BusHands) -> None:
        """The way back: the on-board computer dies for an hour, and the driver changes."""
        page, place = hands.page, self.place
        page.goto(f"{place.url}/shift")
        hands.press(page.get_by_role("button", name="Следующий рейс: → Вокзал"))
        expect(page.get_by_role("heading", level=1)).to_contain_text("→ Вокзал")
        place.drive(15, 1)
        self.at_stop(hands, "Университет, зона 2")
        self.ride(self.plan.taps // 8)
        place.silence()
        for _ in range(6):
            self.ride(self.plan.taps // 48)
            place.wait(minutes=10)
        page.wait_for_url("**/sign-in", timeout=PATIENCE_MS)  # of itself: no one touched it for an hour
        self.sign_in(hands, DRIVER)
        self.on_another_route(hands)
        place.drive(15, 1)
        self.guide(hands, "Смена водителя", {3: lambda: self.sign_in(hands, RELIEF)})
        self.guide(hands, "Сообщения диспетчерской")
        self.at_stop(hands, "Университет, зона 2")
        self.ride(self.plan.taps // 8)

    def on_another_route(self, hands: BusHands) -> None:
        """The on-board computer comes back with another route: the driver is shown that, and the turn stays his."""
        self.place.drive(16, 0)
        self.place.computer_says("stop")
        until(lambda: CONTRADICTED in hands.page.request.get(f"{self.place.url}/shift").text())
        self.ride(self.plan.taps // 48)

    def inspection(self, hands: BusHands) -> None:
        """B1: it answers from the turn under way. It changes nothing."""
        page, place = hands.page, self.place
        self.sign_in(hands, INSPECTOR)
        expect(page.locator("input[name=run][value='15-1']")).to_be_checked()
        hands.press(page.get_by_role("button", name="Начать контроль"))
        expect(page.get_by_role("heading", name="Последняя карта")).to_be_visible()
        for card in self.cards[:4]:
            self.taps[place.tap(card)] += 1
        expect(page.locator("[data-live=result]")).to_contain_text("Опла")
        hands.press(page.get_by_role("button", name="Закончить контроль"))
        expect(page.get_by_role("button", name="Начать контроль")).to_be_visible()

    def third_turn(self, hands: BusHands) -> None:
        """Another route, of another carrier; the day ends with its report."""
        page, place = hands.page, self.place
        self.sign_in(hands, RELIEF)
        page.goto(f"{place.url}/shift")
        page.locator("input[name=run][value='16-0']").check()
        hands.press(page.get_by_role("button", name="Начать следующий рейс"))
        expect(page.get_by_role("heading", level=1)).to_contain_text("к Затону")
        place.drive(16, 0)
        self.at_stop(hands, "Вокзал, зона 1")
        self.sell(hands, "Полный", 1)
        self.sell(hands, "Багаж", 2)
        self.guide(hands, "Отменить билет")
        self.sell(hands, "Детский", 1)
        self.ride(self.plan.taps - sum(self.taps.values()))
        self.guide(hands, "Конец смены", {3: lambda: self._reported(hands)})

    def _reported(self, hands: BusHands) -> None:
        expect(hands.page.get_by_text(f"{DRIVER} → {RELIEF}")).to_be_visible()
        names = hands.page.locator(".report dt").all_inner_texts()
        self.report = dict(zip(names, hands.page.locator(".report dd").all_inner_texts(), strict=True))

    # deeds

    def at_stop(self, hands: BusHands, named: str) -> None:
        """The vehicle goes on; returns when the terminal has heard at which stop it is."""
        self.place.computer_says("stop")
        until(lambda: named in hands.page.request.get(f"{self.place.url}/shift").text())

    def ride(self, count: int) -> None:
        """So many taps; one in twelve is torn, and that card comes again or not."""
        for _ in range(count):
            card = self.rng.choice(self.cards)
            if self.rng.random() < 1 / 12:
                self.counts["tears"] += 1
                message = self.place.tap(card, self.rng.randint(3, 9), executed=self.rng.random() < 0.5)
            else:
                message = self.place.tap(card)
            self.taps[message] += 1

    def together(self, hands: BusHands) -> None:
        """One card for two persons, asked for before its tap; the next card rides alone again."""
        persons = hands.page.locator("[data-live=persons]")
        hands.press(hands.page.get_by_role("button", name="Следующая карта: на одного человека больше"))
        expect(persons).to_have_text("2")
        message = self.place.tap(self.cards[0])
        self.taps[message] += 1
        assert message == "ok_paid"
        expect(persons).to_have_text("1")

    def sell(self, hands: BusHands, kind: str, count: int) -> None:
        """A ticket of that kind, by touch."""
        page = hands.page
        page.goto(f"{self.place.url}/sale")
        hands.press(page.get_by_role("link", name=kind, exact=True))
        expect(page.locator(f"[aria-current=page]:text-is('{kind}')")).to_be_visible()
        for _ in range(count - 1):
            hands.press(page.get_by_role("button", name="На одного больше"))
        hands.press(page.get_by_role("button", name="Продать"))
        expect(page.get_by_role("heading", name="Билет")).to_be_visible()

    def sign_in(self, hands: BusHands, ref: str) -> None:
        """With a number instead of a card."""
        page = hands.page
        page.goto(f"{self.place.url}/sign-in?typed=1")
        hands.fill(page.locator("#ref"), ref)
        hands.fill(page.locator("#pin"), PIN)
        with page.expect_navigation(timeout=PATIENCE_MS):
            hands.press(page.locator(".pin-go, .pad-go").locator("visible=true").first)
        expect(page.locator(".bar-role")).to_contain_text(ref)
