"""Schools set up without pages: one file of answers for a hundred of them.

    [school]                       # what all schools have in common, by the questions' names
    region = 34
    [meals.breakfast]
    price = "78,02"

    [[schools]]                    # what one school says otherwise
    terminal.number = 101
    school.name = "Школа № 1"
    staff = [{ number = "1001", role = "cashier", pin = "7294" }, { number = "1002", role = "meal_officer" }]

The passphrase of the signing keys is not in it: `--passphrase-file`, or it is asked for.

Every school is checked before the first is written. A member of staff without `pin` gets one, listed in pins.txt of the
terminal's folder: hand it over and delete it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from terminal.access.hashes import LEAST_PASSPHRASE
from terminal.access.references import Reference
from terminal.app.config.settings import DEFAULT_CONSOLE_PORT, DEFAULT_SCREEN_PORT
from terminal.app.setup.making import SchoolMaker, SetupPlace
from terminal.clock import Clock, SystemClock
from terminal.errors import ConfigError, Mistake, StaffError
from terminal.files import replace_file
from terminal.mistakes.places import Place, line_at
from terminal.mistakes.reading import Unreadable, content_of, text_of, toml_of
from terminal.mistakes.toml_lines import toml_lines
from terminal.mistakes.words import refusal
from terminal.scenario.write import toml_value
from terminal.screen.console.pins import MIN_DIGITS
from terminal.screen.console.roles import Role
from terminal.screen.setup.asked import YES, AnswerKind, Texts
from terminal.screen.setup.checking import mistakes_on, not_asked
from terminal.screen.setup.draft import LANGUAGE, DraftStaff
from terminal.screen.setup.mistakes import SetupMistake
from terminal.screen.setup.questions import PAGES, defaults
from terminal.texts import translator

SCHOOLS: Final = "schools"
STAFF: Final = "staff"
MOST_SCHOOLS: Final = 1000
MOST_BYTES: Final = 4 << 20
PINS_FILE: Final = "pins.txt"


class _AnsweredStaff(Struct, frozen=True, forbid_unknown_fields=True):
    number: Reference
    role: Role
    pin: Annotated[str, Meta(max_length=8)] = ""


class _AnsweredSchool(Struct, frozen=True):
    """One school of the file: its answers, its staff, and where it stands in it."""

    path: str
    texts: Texts
    staff: tuple[_AnsweredStaff, ...]


def set_up_all(file: Path, out: Path, language: str, passphrase: str) -> Iterator[Path]:
    """Make the folder `out`/NUMBER of each school's terminal; each as it is made. Raises `ConfigError` with every
    mistake, before anything is written.
    """
    clock = SystemClock()
    if len(passphrase) < LEAST_PASSPHRASE:
        raise ConfigError("the passphrase is too short", f"Use at least {LEAST_PASSPHRASE} characters.")
    schools, lines = _read(file, clock, language)
    made = [(school, _place(out, school)) for school in schools]
    mistakes = [one for school, place in made for one in _mistakes(school, SchoolMaker(place, clock))]
    if mistakes:
        placed = (replace(one, file=str(file), line=line_at(one.path, lines)) for one in mistakes)
        raise refusal(ConfigError, placed)
    for _school, place in made:
        place.require_new()
    for school, place in made:
        yield _made(school, place, clock, passphrase)


def _read(file: Path, clock: Clock, language: str) -> tuple[list[_AnsweredSchool], Mapping[Place, int]]:
    try:
        text = text_of(content_of(file, MOST_BYTES))
        data = toml_of(text)
    except Unreadable as unreadable:
        raise refusal(ConfigError, unreadable.in_file(str(file))) from unreadable
    lines = toml_lines(text)
    listed = data.pop(SCHOOLS, [{}])
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_SCHOOLS:
        raise ConfigError(f"{file}: no schools, or more than {MOST_SCHOOLS}", "Write [[schools]] for each.")
    usual = {**defaults(clock.now().date(), translator(language).gettext), LANGUAGE: language}
    common, common_staff = dict(_flat("", data)), data.get(STAFF, [])
    schools = []
    for number, own in enumerate(listed):
        staff = own.pop(STAFF, common_staff) if isinstance(own, dict) else []
        texts = {**usual, **common, **dict(_flat("", own))}
        try:
            members = msgspec.convert(staff, tuple[_AnsweredStaff, ...])
        except msgspec.ValidationError as error:
            advice = 'Write { number = "1001", role = "cashier", pin = "7294" } for each.'
            raise ConfigError(f"{file}: schools[{number}].staff: {error}", advice) from error
        schools.append(_AnsweredSchool(f"{SCHOOLS}[{number}]", texts, members))
    return schools, lines


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Answers by the names of questions, as a person would type them on the pages."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != STAFF:
                yield from _flat(f"{path}.{key}" if path else key, inner)
    elif isinstance(value, bool):
        yield path, YES if value else ""
    elif isinstance(value, time):
        yield path, f"{value:%H:%M}"
    elif isinstance(value, date):
        yield path, f"{value:%Y-%m-%d}"
    else:
        yield path, str(value)


def _place(out: Path, school: _AnsweredSchool) -> SetupPlace:
    folder = out / (school.texts.get("terminal.number", "").strip() or "unnumbered")
    return SetupPlace(
        config=folder / "terminal.toml",
        state=folder,
        screen_port=DEFAULT_SCREEN_PORT,
        console_port=DEFAULT_CONSOLE_PORT,
    )


def _mistakes(school: _AnsweredSchool, maker: SchoolMaker) -> Iterator[Mistake]:
    known = {name: text for name, text in school.texts.items() if name != LANGUAGE}
    found = [*not_asked(known), *(one for page in PAGES for one in mistakes_on(page, school.texts))]
    if not found:
        key = maker.key_mistake(school.texts)
        found += [*maker.document_mistakes(school.texts), *([] if key is None else [key])]
    if all(one.role is not Role.CASHIER for one in school.staff):
        found.append(Mistake(STAFF, SetupMistake.NO_CASHIER))
    yield from (Mistake(f"{school.path}.{one.path}", one.code, one.values) for one in found)


def _made(school: _AnsweredSchool, place: SetupPlace, clock: Clock, passphrase: str) -> Path:
    maker = SchoolMaker(place, clock)
    pins: dict[str, str] = {}
    staff = []
    for one in school.staff:
        pin = one.pin or pins.setdefault(one.number, _new_pin())
        staff.append(DraftStaff(one.number, one.role, _hashed(maker, school, one, pin), ""))
    maker.finish(school.texts, staff, passphrase)
    if pins:
        lines = "".join(f"{number} {pin}\n" for number, pin in pins.items())
        replace_file(place.state / PINS_FILE, lines.encode())
    return place.config


def _hashed(maker: SchoolMaker, school: _AnsweredSchool, member: _AnsweredStaff, pin: str) -> str:
    try:
        return maker.hash_pin(school.texts, pin)
    except StaffError as error:
        raise StaffError(f"{school.path}, {member.number}: {error.what}", error.advice) from error


def _new_pin() -> str:
    """Neither one digit again and again nor counting: the last is five from the one before."""
    digits = [secrets.randbelow(10) for _ in range(MIN_DIGITS + 1)]
    return "".join(map(str, (*digits, (digits[-1] + 5) % 10)))


def questions_text(today: date, language: str) -> str:
    """A file of answers with every question, its words and its default."""
    word = translator(language).gettext
    usual = defaults(today, word)
    lines = []
    for page in PAGES:
        lines += ["", f"# {word(page.title)}"]
        for one in page.questions:
            choices = f" ({', '.join(choice.value for choice in one.choices)})" if one.choices else ""
            value: Any = usual.get(one.name, "")
            value = value == YES if one.kind is AnswerKind.SWITCH else value
            lines.append(f"{one.name} = {toml_value(value)}  # {word(one.label)}{choices}")
    lines += ["", "[[schools]]", 'staff = [{ number = "1001", role = "cashier" }]', ""]
    return "\n".join(lines).lstrip()
