"""What stands behind the pages: answers, the document made of them, the code, and a run that is cut off anywhere."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from sim.air import DeskClock
from terminal.app.config.read import configured
from terminal.app.setup.making import SchoolMaker
from terminal.canteen.documents import ListFile, PriceListDocument
from terminal.errors import ConfigError
from terminal.keys.office import ROOT_BYTES, OfficeOrder, RoleOrder, as_toml, cut, office_document
from terminal.keys.roles import KeyRole
from terminal.policy.document.meals import CashierAsked
from terminal.policy.load import parse_region
from terminal.policy.policy import Policy
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import StaffList
from terminal.screen.setup.checking import mistakes_on
from terminal.screen.setup.code import MOST_WRONG, VALID_S, SetupCode
from terminal.screen.setup.document import document_text, school_document
from terminal.screen.setup.draft import LANGUAGE, DraftStaff
from terminal.screen.setup.mistakes import SetupMistake
from terminal.screen.setup.questions import PAGES, defaults
from terminal.sync.credentials import public_keys
from terminal.texts import translator
from tests.terminal.cli.conftest import ENVIRONMENT
from tests.terminal.setup import cut_off

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def answers(**other: str) -> dict[str, str]:
    """Sound ones; in names of others a double underscore is a dot."""
    usual = defaults(date(2026, 11, 30), translator("ru").gettext)
    return {
        **usual,
        LANGUAGE: "ru",
        **cut_off.ANSWERS,
        **{name.replace("__", "."): one for name, one in other.items()},
    }


def wrong(texts: dict[str, str]) -> dict[str, SetupMistake]:
    return {one.path: one.code for page in PAGES for one in mistakes_on(page, texts)}  # type: ignore[misc]


def test_the_document_says_what_was_answered_and_is_read_again() -> None:
    texts = answers(
        categories__primary__by_shift__municipal="7,1",
        rules__credit="amount",
        rules__credit_sum="100",
        rules__paid_needs_order="yes",
        rules__ask_without_order="",
        calendar__pause1__first="2026-12-01",
        calendar__pause1__last="2026-12-02",
        calendar__pause1__name="Ремонт",
    )
    assert wrong(texts) == {}
    document = school_document(texts, NOW, "ru")
    assert parse_region(document_text(document), "region.toml") == document
    (portion,) = document.meals.entitlements[0].portions
    assert {one.source: one.sum_minor for one in portion.funders} == {"regional": 7109, "municipal": 710}
    assert [one.price_minor for one in document.meals.prices] == [7802]
    assert document.concessions[0].name == "Учащиеся 1–4 классов"
    assert document.meals.pre_order.paid_needs_order
    assert document.meals.ask == CashierAsked(without_order="serve")
    assert school_document(answers(), NOW, "ru").meals.ask == CashierAsked()
    assert document.meals.credit.limit_minor == 10000  # type: ignore[union-attr]
    assert Policy.of(document).meals.school("school").breaks[0].name == "Ремонт"


@pytest.mark.parametrize(
    ("question", "text", "code"),
    [
        ("school.name", "", SetupMistake.MISSING),
        ("school.name", "ш" * 81, SetupMistake.TOO_LONG),
        ("school.region", "0", SetupMistake.NO_NUMBER),
        ("school.region", "٣٤", SetupMistake.NO_NUMBER),
        ("school.zone", "Europe/Paris", SetupMistake.NO_CHOICE),
        ("terminal.reader", "the black one", SetupMistake.NO_READER),
        ("keys.whose", "laboratory", SetupMistake.NO_CHOICE),
        ("meals.breakfast.price", "78,025", SetupMistake.NO_MONEY),
        ("meals.breakfast.price", "-1", SetupMistake.NO_MONEY),
        ("meals.breakfast.price", "1e3", SetupMistake.NO_MONEY),
        ("meals.breakfast.price", "0,00", SetupMistake.NOTHING_TO_PAY),
        ("meals.breakfast.price", "999999", SetupMistake.TOO_MUCH),
        ("meals.breakfast.from", "8:30", SetupMistake.NO_CLOCK),
        ("meals.breakfast.until", "08:00", SetupMistake.ENDS_FIRST),
        ("meals.lunch.from", "10:00", SetupMistake.OVERLAP),
        ("meals.shift2", "snack", SetupMistake.SHIFT_NOT_SERVED),
        ("categories.primary.by_shift.regional", "", SetupMistake.NO_PORTION),
        ("categories.primary.snack.regional", "10", SetupMistake.NOT_SERVED),
        ("categories.primary.breakfast.federal", "10", SetupMistake.MEAL_TWICE),
        ("categories.primary.by_shift.parents", "99", SetupMistake.ABOVE_PRICE),
        ("categories.primary.last", "12", SetupMistake.NO_NUMBER),
        ("calendar.last", "2026-01-01", SetupMistake.ENDS_FIRST),
        ("calendar.first", "2026-02-30", SetupMistake.NO_DAY),
        ("calendar.holiday9.first", "2027-01-20", SetupMistake.HALF_A_LINE),
        ("rules.annul_min", "soon", SetupMistake.NO_NUMBER),
        ("meals.breakfast.from2", "10:40", SetupMistake.HALF_A_BREAK),
        ("buffet.product1.name", "Булочка", SetupMistake.HALF_A_PRODUCT),
        ("link.listen", "till one", SetupMistake.NO_ADDRESS),
        ("link.listen", "999.1.1.1", SetupMistake.NO_ADDRESS),
        ("link.listen", "192.168.1.12:99999", SetupMistake.NO_ADDRESS),
        ("link.till1.number", "1", SetupMistake.TILL_TWICE),
        ("link.till1.key", "-----BEGIN PUBLIC KEY-----", SetupMistake.NO_PUBLIC_KEY),
        ("link.till2.address", "192.168.1.12", SetupMistake.HALF_A_TILL),
    ],
)
def test_what_is_wrong_is_found_where_it_stands(question: str, text: str, code: SetupMistake) -> None:
    assert code in wrong({**answers(), question: text}).values()


def test_a_category_that_parents_pay_alone_is_none() -> None:
    texts = answers(categories__primary__by_shift__regional="", categories__primary__by_shift__parents="10")
    assert wrong(texts) == {"categories.primary.by_shift.parents": SetupMistake.PARENTS_ALONE}


def test_a_meal_of_several_breaks_is_served_in_each_of_them_and_not_between() -> None:
    texts = answers(
        meals__breakfast__until="08:50",
        meals__breakfast__from3="09:30",
        meals__breakfast__until3="09:50",
        meals__breakfast__from2="10:20",
        meals__breakfast__until2="10:40",
    )
    assert wrong(texts) == {}
    document = school_document(texts, NOW, "ru")
    assert parse_region(document_text(document), "region.toml") == document
    meals = Policy.of(document).meals
    times = ("08:29", "08:30", "08:50", "09:30", "10:00", "10:39", "10:40")
    served = [meals.kind_at(time.fromisoformat(one), "school") for one in times]
    assert [one.id if one else "" for one in served] == [
        "",
        "breakfast",
        "",
        "breakfast",
        "",
        "breakfast",
        "",
    ]
    whole = meals.window(meals.kinds["breakfast"], "school")
    assert (whole.served_from, whole.served_until) == (time(8, 30), time(10, 40))
    overlap = {**texts, "meals.breakfast.until3": "10:30"}
    assert wrong(overlap) == {"meals.breakfast.from2": SetupMistake.OVERLAP}


def test_prices_and_tills_become_files_and_a_configuration_that_starts(tmp_path: Path) -> None:
    """The other till's key is what its own page shows."""
    other = SchoolMaker(cut_off.place_in(tmp_path / "other"), DeskClock(NOW)).own_key()
    _, maker = cut_off.opened(tmp_path)
    texts = answers(
        buffet__product2__name="Сок",
        buffet__product2__price="40,50",
        link__listen="127.0.0.1:0",
        link__till2__number="2",
        link__till2__address="192.168.1.12",
        link__till2__key=other,
    )
    assert wrong(texts) == {}
    staff = [DraftStaff("1002", Role.CASHIER, maker.hash_pin(texts, "7294"), maker.keys_name(texts))]
    maker.finish(texts, staff, cut_off.PASSPHRASE)
    config = configured(tmp_path / "terminal.toml").config
    assert (config.link.listen, config.link.peers) == ("127.0.0.1:0", ("2@192.168.1.12:8482",))
    assert len(public_keys(config.link.identities / "2.pub")) == 1
    assert config.updates.folder is not None
    prices = ListFile.read(config.updates.folder / "prices.json").document(PriceListDocument)
    assert [(one.id, one.name, one.price_minor) for one in prices.products] == [("product_1", "Сок", 4050)]


def test_a_code_is_good_once_for_a_quarter_of_an_hour_and_for_five_tries() -> None:
    clock, said = DeskClock(NOW), list[str]()
    code = SetupCode(clock, said.append)
    first = code.shown
    clock.advance(VALID_S - 1)
    assert code.take(first.replace(" ", "-"))
    assert not code.take(first), "spent"
    second = code.shown
    clock.advance(VALID_S)
    assert not code.take(second), "expired"
    third = code.shown
    assert third != second
    for _ in range(MOST_WRONG):
        assert not code.take("")
    assert not code.take(third), "guessed at too often"
    assert said == list(dict.fromkeys(said)), "each is another"
    assert len(said) == 4


def test_a_run_that_is_cut_off_anywhere_begins_again_with_its_answers(tmp_path: Path) -> None:
    """Nothing that was entered is lost, and a terminal is there whole or not at all."""
    place = cut_off.place_in(tmp_path)
    cut_off.opened(tmp_path)
    at, finished = 1, False
    while not finished:
        words = [sys.executable, "-m", "tests.terminal.setup.cut_off", str(tmp_path), str(at)]
        done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)
        finished = done.returncode == 0
        assert finished or done.returncode == -9, done.stderr
        if finished or place.is_set_up:
            finished = True
        else:
            keeper, _ = cut_off.opened(tmp_path)
            assert keeper.texts["school.name"] == "Школа № 12"
            assert [one.ref for one in keeper.draft.staff] == ["1002"]
        at += 19
    config = configured(place.config).config
    assert config.terminal.profile == "canteen"
    assert config.keys.file is not None
    assert config.keys.file.exists()
    assert [one.ref for one in StaffList(place.state).members()] == ["1002"]
    assert at > 40, "it was cut off several times"
    with pytest.raises(ConfigError, match="set up already"):
        place.require_new()


def test_a_region_s_key_file_is_looked_at_before_it_is_taken(tmp_path: Path) -> None:
    keeper, maker = cut_off.opened(tmp_path)
    today = NOW.date()
    office = office_document(b"r" * ROOT_BYTES, OfficeOrder(region=34, made_on=today))

    def mistake(content: str, number: str = "17") -> str:
        texts = {**keeper.texts, "keys.whose": "region", "keys.file": content, "terminal.number": number}
        found = maker.key_mistake(texts)
        return "" if found is None else str(found.code)

    ours = as_toml(cut(office, RoleOrder(role=KeyRole.CANTEEN, made_on=today, terminal=17)))
    bus = as_toml(cut(office, RoleOrder(role=KeyRole.BUS, made_on=today, terminal=17)))
    assert mistake(ours) == ""
    assert mistake(ours, "18") == "key_of_other_terminal"
    (kept,) = tmp_path.rglob("region.keys")
    written = kept.stat()
    assert mistake(ours, "18") == "key_of_other_terminal"
    assert kept.stat() == written, "a second look writes nothing"
    assert mistake(bus) == "key_of_other_role"
    assert mistake("a picture") == "key_unreadable"
    assert mistake(ours.replace("region = 34", "region = 35")) == "key_unreadable"
