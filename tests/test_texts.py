"""The catalogues: complete, right in their plurals, compiled; and a language that nobody wrote code for."""

from __future__ import annotations

import gettext
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages import Catalog

import make_texts
from make_texts import (
    COMMON,
    ROOMS,
    messages_of,
    mo_bytes,
    mo_file,
    po_bytes,
    po_file,
    problems,
    python_texts,
    read,
    read_room,
    room_of,
    split,
    template,
    updated,
    write,
)
from terminal import texts
from terminal.decision.outcome import Message
from terminal.messages import TABLE, day, text, trips
from terminal.money import money
from terminal.texts import languages
from tests.config_file import config_file

ROOT = Path(__file__).resolve().parent.parent
VALUES: dict[str, int | str] = {
    "n": 3,
    "date": "2026-12-31",
    "time": "09:05",
    "sum_minor": 123400,
    "currency": "RUB",
    "meal": "lunch",
    "p": 15,
}


@pytest.fixture(scope="module")
def ids() -> Catalog:
    return template()


def small() -> tuple[Catalog, Catalog]:
    """Three message ids, and a sound Russian catalogue of them."""
    wanted, russian = Catalog(), Catalog(locale="ru")
    for catalog in (wanted, russian):
        catalog.fuzzy = False
    for message_id, string in (
        ("Left: {n}", "Осталось: {n}"),
        (("{n} trip", "{n} trips"), ("{n} поездка", "{n} поездки", "{n} поездок")),
        ("Hello %(name)s", "Привет, %(name)s"),
    ):
        wanted.add(message_id)
        russian.add(message_id, string)
    return wanted, russian


# the supplied catalogues


@pytest.mark.parametrize("language", languages())
def test_every_text_is_translated_and_pluralised(language: str, ids: Catalog) -> None:
    assert list(problems(read(language), ids)) == [], "run `make texts` and fill in what it names"


@pytest.mark.parametrize("language", languages())
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    with mo_file(language).open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in make_texts.messages_of(read(language)):
        if isinstance(message.id, tuple):
            one, many = message.id
            for count in range(30):
                form = message.string[compiled.plural(count)]  # type: ignore[attr-defined]
                assert compiled.ngettext(one, many, count) == form, "run `make texts`"
        else:
            said = (
                compiled.pgettext(message.context, message.id)
                if message.context
                else compiled.gettext(message.id)
            )
            assert said == message.string, "run `make texts`"


@pytest.mark.parametrize("language", languages())
def test_updating_again_changes_nothing(language: str, ids: Catalog) -> None:
    for room, part in split(updated(language, ids)).items():
        assert po_bytes(part) == po_file(language, room).read_bytes(), room


# the rooms


@pytest.mark.parametrize("language", languages())
def test_every_message_is_in_exactly_one_room(language: str, ids: Catalog) -> None:
    rooms = {path.stem: read_room(path) for path in mo_file(language).parent.glob("*.po")}
    assert set(rooms) == {*ROOMS, COMMON}
    written = [(message.id, message.context) for part in rooms.values() for message in messages_of(part)]
    assert len(written) == len(set(written))
    assert set(written) == {(message.id, message.context) for message in messages_of(ids)}


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("room", ROOMS)
def test_a_room_names_only_its_own_sources(language: str, room: str) -> None:
    messages = messages_of(read_room(po_file(language, room)))
    assert messages, "a room without words"
    for message in messages:
        assert all(source.startswith(ROOMS[room]) for source, _ in message.locations), message.id
        assert room_of(message) == room, message.id


def test_what_two_rooms_say_is_common() -> None:
    catalog = Catalog()
    catalog.add("Sum", locations=[("terminal/messages.py", 0), ("terminal/lab/desk/words.py", 0)])
    assert room_of(catalog["Sum"]) == COMMON


def test_a_message_that_changes_rooms_keeps_its_translation(tmp_path: Path) -> None:
    ids = Catalog()
    ids.add("Sum", locations=[("terminal/messages.py", 0)])
    catalog = updated("pl", ids, tmp_path)
    catalog["Sum"].string = "Kwota"
    write("pl", catalog, tmp_path)
    ids["Sum"].locations = [("terminal/lab/desk/words.py", 0)]
    write("pl", updated("pl", ids, tmp_path), tmp_path)
    assert read_room(po_file("pl", "desk", tmp_path))["Sum"].string == "Kwota"
    assert not messages_of(read_room(po_file("pl", "passenger", tmp_path)))


def test_what_stands_within_an_f_string_is_collected() -> None:
    code = BytesIO(
        b"""head = f"<h1>{escape(_('Tariff'))} {t.gettext('{n} s').format(n=n)} {_(name)}</h1>"\n"""
    )
    assert {("_", ("Tariff",)), ("gettext", ("{n} s",)), ("_", (None,))} <= {
        (name, message) for _, name, message, _ in python_texts(code, ("_", "gettext"), (), {})
    }


def test_every_message_of_the_table_is_collected(ids: Catalog) -> None:
    collected = {message.id for message in make_texts.messages_of(ids)}
    assert {wording for _, wording in TABLE.values()} <= collected
    assert ("{n} trip", "{n} trips") in collected


# what the check finds


def test_a_sound_catalogue_has_nothing_to_mend() -> None:
    wanted, russian = small()
    assert list(problems(russian, wanted)) == []


@pytest.mark.parametrize(
    ("message_id", "string", "finding"),
    [
        ("Left: {n}", "", "untranslated"),
        ("Left: {n}", "Осталось: {m}", "other placeholders"),
        ("Left: {n}", "Осталось: {n", "other placeholders"),
        ("Left: {n}", "Осталось", "other placeholders"),
        ("Hello %(name)s", "Привет, %(имя)s", "other placeholders"),
        (("{n} trip", "{n} trips"), ("{n} поездка", "{n} поездки", ""), "a plural form is empty"),
        (("{n} trip", "{n} trips"), ("{n} поездка", "{n} поездки"), "2 plural forms instead of 3"),
        (("{n} trip", "{n} trips"), ("{n} поездок",) * 3, "all plural forms are the same"),
        (
            ("{n} trip", "{n} trips"),
            ("одна поездка", "{n} поездки", "{n} поездок"),  # also said of 21, 31, ...
            "other placeholders in plural form 0",
        ),
    ],
)
def test_what_readers_would_stumble_over_is_found(
    message_id: str | tuple[str, str], string: str | tuple[str, ...], finding: str
) -> None:
    wanted, russian = small()
    russian[message_id].string = string
    assert list(problems(russian, wanted)) == [f"{finding}: {message_id!r}"]


def test_fuzzy_missing_and_superfluous_texts_are_found() -> None:
    wanted, russian = small()
    wanted.add("New")
    russian.add("Old", "Старое")
    russian["Left: {n}"].flags.add("fuzzy")
    assert list(problems(russian, wanted)) == [
        "missing: 'New'",
        "nobody asks for: 'Old'",
        "fuzzy: 'Left: {n}'",
    ]


def test_a_plural_rule_that_is_not_the_language_s_is_found() -> None:
    wanted, russian = small()
    russian._num_plurals, russian._plural_expr = 3, "(n == 1 ? 0 : n < 5 ? 1 : 2)"
    assert next(problems(russian, wanted)).startswith("plural rule: ")


def test_one_may_be_said_in_words_where_a_form_is_for_one_only() -> None:
    wanted, english = Catalog(), Catalog(locale="en")
    wanted.add(("one trip", "{n} trips"))
    english.add(("one trip", "{n} trips"), ("one trip", "{n} trips"))
    assert list(problems(english, wanted)) == []


# a third language


POLISH = {
    "Paid. Have a good trip!": "Opłacono. Szerokiej drogi!",
    "Checked out. Charged {sum}": "Wyjście. Pobrano {sum}",
    "Pass valid until {date}": "Bilet ważny do {date}",
    "Tap your card": "Przyłóż kartę",
    "Hold the card still": "Przytrzymaj kartę",
    "Terminal out of order": "Terminal nieczynny",
    "Card blocked": "Karta zablokowana",
    ("{n} trip", "{n} trips"): ("{n} przejazd", "{n} przejazdy", "{n} przejazdów"),
}
FORMATS = {
    ("sum format", "{currency} {sign}{number}"): "{sign}{number} {currency}",
    ("decimal point", "."): ",",
    ("currency", "RUB"): "RUB",
    ("currency", "KZT"): "₸",
    ("thousands separator", ","): ".",
    ("date format", "{d} {month} {yyyy}"): "{d} {month} {yyyy} r.",
    ("month", "Dec"): "grudnia",
}


@pytest.fixture
def polish(tmp_path: Path, ids: Catalog, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with Polish in it, as a region would keep it beside the installation."""
    catalog = updated("pl", ids, tmp_path)
    for message in make_texts.messages_of(catalog):
        said = FORMATS.get((message.context, message.id)) if message.context else POLISH.get(message.id)
        forms = catalog.num_plurals if isinstance(message.id, tuple) else 0
        message.string = said or ((f"pl: {message.id[1]}",) * forms if forms else f"pl: {message.id}")
    path = mo_file("pl", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(mo_bytes(catalog))
    monkeypatch.setenv(texts.LOCALE_VARIABLE, str(tmp_path))
    return tmp_path


def test_a_third_language_needs_no_code(polish: Path) -> None:
    assert languages() == ("ru", "en", "pl")
    assert [trips(n, "pl") for n in (1, 3, 5, 12, 22)] == [
        "1 przejazd",
        "3 przejazdy",
        "5 przejazdów",
        "12 przejazdów",
        "22 przejazdy",
    ]
    assert money(-123456789, "RUB", "pl") == "-1.234.567,89 RUB"
    assert money(123456, "KZT", "pl") == "1.234,56 ₸"
    assert day("2026-12-31", "pl") == "31 grudnia 2026 r."
    assert text(Message.OK_CHECKOUT, "pl", VALUES) == "Wyjście. Pobrano 1.234,00 RUB"
    assert text(Message.OK_PASS, "pl", VALUES) == "Bilet ważny do 31 grudnia 2026 r."
    for message in Message:
        assert "{" not in text(message, "pl", VALUES)


def test_what_a_third_language_lacks_is_russian(
    polish: Path, ids: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = updated("pl", ids, polish)
    for message in make_texts.messages_of(catalog):
        message.string = POLISH.get(message.id) if not message.context else None
    folder = polish / "unfinished"
    path = mo_file("pl", folder)
    path.parent.mkdir(parents=True)
    path.write_bytes(mo_bytes(catalog))
    monkeypatch.setenv(texts.LOCALE_VARIABLE, str(folder))
    assert text(Message.BLOCKED, "pl", {}) == "Karta zablokowana"
    assert text(Message.EXPIRED, "pl", {}) == text(Message.EXPIRED, "ru", {})
    assert trips(5, "pl") == "5 przejazdów"


def test_the_command_line_speaks_it(polish: Path, tmp_path: Path) -> None:
    config = config_file(
        tmp_path,
        terminal={"profile": "bus", "state": "state", "language": "pl"},
        reader={"name": "sim:blocked"},
        shift={"operator": "driver"},
    )
    command = [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config)]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("» Karta zablokowana\n"), done.stderr


# the guides


@pytest.mark.parametrize("guide", sorted((ROOT / "docs" / "ru").glob("*.md")), ids=lambda path: path.name)
def test_russian_guides_name_buttons_and_messages_as_the_screens_do(guide: Path) -> None:
    """Bold words are buttons and pages, or a class; a number after them is that of a row. A cell that begins a row with
    a capital letter is what a screen says.
    """
    shown = [form for message in messages_of(read("ru")) for form in forms(message.string)]
    written = guide.read_text(encoding="utf-8")
    bold = [" ".join(words.split()) for words in re.findall(r"\*\*(.+?)\*\*", written, re.DOTALL)]
    bold = [re.sub(r" \d+$", "", words) for words in bold if not re.fullmatch(r"\d{1,2}[а-я]", words)]
    rows = re.findall(r"^\| ([А-Я][^|]+) \|", written, re.MULTILINE)
    said = [*bold, *(part for row in rows for part in re.split(r", (?=[А-Я])", row))]
    assert [words for words in said if not any(form.startswith(words) for form in shown)] == []


def forms(translation: str | tuple[str, ...]) -> tuple[str, ...]:
    return (translation,) if isinstance(translation, str) else translation
