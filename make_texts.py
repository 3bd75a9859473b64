"""Catalogues of texts: collect message ids, bring every language up to date, compile. `make texts` runs this.

    make texts                 update and compile all languages, say what is missing
    make texts ARGS=tt         begin a catalogue for Tatar first

Message ids come from Python code and from templates under `terminal/`. English is the source language: its texts are
the message ids themselves, so it is filled in here. Everything else is written by people, in one .po file for each
room: those who read the same words. A message found in several rooms is in `common`, so each is translated once. All
rooms of a language are compiled into one terminal.mo.
"""

from __future__ import annotations

import ast
import gettext
import re
import string
import sys
from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final

from babel.messages import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir, extract_python
from babel.messages.mofile import write_mo
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po, write_po

ROOT: Final = Path(__file__).resolve().parent
SOURCE: Final = ROOT / "terminal"
LOCALE: Final = SOURCE / "locale"
SOURCE_LANGUAGE: Final = "en"

METHODS: Final = [("**/templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "make_texts:python_texts")]
OPTIONS: Final = {"**/templates/**.html": {"newstyle_gettext": "true", "silent": "false"}}
KEYWORDS: Final = {**DEFAULT_KEYWORDS, "NP_": ((1, "c"), 2)}

ROOMS: Final = {
    "decision": ("terminal/trail_words.py", "terminal/trail_steps.py"),
    "passenger": (
        "terminal/messages.py",
        "terminal/screen/display_page.py",
        "terminal/screen/touch.py",
        "terminal/receipt/",
    ),
    "canteen": (
        "terminal/screen/console/canteen/",
        "terminal/screen/console/templates/canteen/",
        "terminal/canteen/",
        "terminal/cli/canteen",
    ),
    "console": ("terminal/screen/console/", "terminal/app/console.py", "terminal/fault_texts.py"),
    "operations": ("terminal/operations/", "terminal/collector/", "terminal/audit/", "terminal/cli/"),
    "setup": ("terminal/screen/setup/",),
    "mistakes": ("terminal/mistakes/", "terminal/policy/"),
    "desk": ("terminal/lab/", "terminal/scenario/", "terminal/impact/"),
}
"""Where the messages of a room are found; the first room that fits. Everything else is common."""
COMMON: Final = "common"

NO_DATE: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Catalogues change with their texts, not with the day they were written."""

FORMATS: Final = {"date format": {"d", "dd", "mm", "month", "yyyy"}}
"""By context: texts that may use any of these values instead of those of the message id."""

COUNTS: Final = range(300)
"""Enough to tell every plural rule from another."""

PERCENT: Final = re.compile(r"%\((\w+)\)")


def po_file(language: str, room: str, locale: Path = LOCALE) -> Path:
    return locale / language / "LC_MESSAGES" / f"{room}.po"


def mo_file(language: str, locale: Path = LOCALE) -> Path:
    return locale / language / "LC_MESSAGES" / "terminal.mo"


def room_of(message: Message) -> str:
    """The one room all its sources belong to, otherwise the common room."""
    rooms = {_room_of_source(source) for source, _line in message.locations}
    return rooms.pop() if len(rooms) == 1 else COMMON


def _room_of_source(source: str) -> str:
    return next((room for room, prefixes in ROOMS.items() if source.startswith(prefixes)), COMMON)


def python_texts(
    file: IO[bytes], keywords: Collection[str], comment_tags: Collection[str], options: Any
) -> Iterator[Any]:
    """What Babel finds in Python code, and what stands within f-strings, which it passes over before Python 3.12."""
    content = file.read()
    yield from extract_python(BytesIO(content), dict.fromkeys(keywords), comment_tags, options)
    f_strings = [node for node in ast.walk(ast.parse(content)) if isinstance(node, ast.JoinedStr)]
    for call in (node for each in f_strings for node in ast.walk(each) if isinstance(node, ast.Call)):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if name in keywords:
            said = tuple(one.value if isinstance(one, ast.Constant) else None for one in call.args)
            yield call.lineno, name, said, []


def template() -> Catalog:
    """Every message id of code and templates, sorted, without translations."""
    found = extract_from_dir(
        str(SOURCE), METHODS, OPTIONS, KEYWORDS, comment_tags=("i18n:",), strip_comment_tags=True
    )
    catalog = Catalog(project="resident-card-terminal", fuzzy=False, creation_date=NO_DATE)
    for file, _line, message, comments, context in sorted(found, key=_order):
        catalog.add(message, locations=[(f"terminal/{file}", 0)], auto_comments=comments, context=context)
    return catalog


def _order(found: tuple[str, int, str | tuple[str, ...], list[str], str | None]) -> tuple[str, int]:
    return found[0].replace("\\", "/"), found[1]


def read(language: str, locale: Path = LOCALE) -> Catalog:
    """All rooms of a language in one catalogue; a new one if there is none."""
    files = sorted((locale / language / "LC_MESSAGES").glob("*.po"))
    if not files:
        return Catalog(locale=language, domain="terminal", fuzzy=False)
    catalog, *others = [read_room(path) for path in files]
    for other in others:
        for message in messages_of(other):
            catalog[message.id] = message
    return catalog


def read_room(path: Path) -> Catalog:
    """The catalogue in a .po file."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name, domain="terminal")


def updated(language: str, ids: Catalog, locale: Path = LOCALE) -> Catalog:
    """The catalogue of `language` with exactly the messages of `ids`; a new one if there is none."""
    catalog = read(language, locale)
    catalog.project, catalog.version, catalog.fuzzy = "resident-card-terminal", "1", False
    catalog.last_translator = catalog.language_team = catalog.msgid_bugs_address = ""
    catalog.update(deepcopy(ids), no_fuzzy_matching=True)  # an update takes the messages, not copies of them
    catalog.revision_date = NO_DATE
    catalog.header_comment = f"# Texts of the resident card terminal: {language}."
    if language == SOURCE_LANGUAGE:
        for message in messages_of(catalog):
            message.string = message.id
    return catalog


def split(catalog: Catalog) -> dict[str, Catalog]:
    """The catalogue of each room, all with the header of the whole."""
    return {room: _only(room, catalog) for room in (*ROOMS, COMMON)}


def _only(room: str, catalog: Catalog) -> Catalog:
    part = deepcopy(catalog)
    part.header_comment = f"# Texts of the resident card terminal: {catalog.locale_identifier}, {room}."
    for message in messages_of(part):
        if room_of(message) != room:
            part.delete(message.id, message.context)
    return part


def po_bytes(catalog: Catalog) -> bytes:
    """The catalogue as text, always the same for the same content."""
    out = BytesIO()
    write_po(out, catalog, width=100, include_lineno=False, ignore_obsolete=True)
    return out.getvalue()


def mo_bytes(catalog: Catalog) -> bytes:
    """The catalogue as programs read it."""
    out = BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def problems(catalog: Catalog, ids: Catalog) -> Iterator[str]:
    """What a reader of this language would stumble over, one line each."""
    wanted = {(message.id, message.context) for message in messages_of(ids)}
    present = {(message.id, message.context) for message in messages_of(catalog)}
    for message_id, _ in sorted(wanted - present, key=str):
        yield f"missing: {message_id!r}"
    for message_id, _ in sorted(present - wanted, key=str):
        yield f"nobody asks for: {message_id!r}"
    yield from _plural_rule_problems(catalog)
    for message in messages_of(catalog):
        if message.fuzzy:
            yield f"fuzzy: {message.id!r}"
        yield from (f"{what}: {message.id!r}" for what in _problems_of(message, catalog))


def _plural_rule_problems(catalog: Catalog) -> Iterator[str]:
    """The rule must sort numbers as the language does (CLDR, as Babel knows it)."""
    right = get_plural(catalog.locale)
    mine, theirs = _rule(catalog.plural_expr), _rule(right.plural_expr)
    if catalog.num_plurals != right.num_plurals or any(mine(n) != theirs(n) for n in COUNTS):
        yield f"plural rule: {catalog.plural_forms} is not that of {catalog.locale}"


def _problems_of(message: Message, catalog: Catalog) -> Iterator[str]:
    if not message.pluralizable:
        if not message.string:
            yield "untranslated"
        elif not _placeholders_agree(str(message.string), str(message.id), message.context):
            yield "other placeholders"
        return
    forms = tuple(form or "" for form in message.string) if isinstance(message.string, tuple | list) else ()
    if len(forms) != catalog.num_plurals:
        yield f"{len(forms)} plural forms instead of {catalog.num_plurals}"
        return
    if not all(forms):
        yield "a plural form is empty"
        return
    if catalog.num_plurals > 1 and len(set(forms)) == 1 and forms[0] != message.id[0]:
        yield "all plural forms are the same"
    assert isinstance(message.id, tuple), "the id of a message with plural forms"
    one, many = message.id[:2]
    rule = _rule(catalog.plural_expr)
    for index, form in enumerate(forms):
        only_one = [n for n in COUNTS if rule(n) == index] == [1]
        agrees = placeholders(form) == placeholders(many) or (
            only_one and placeholders(form) == placeholders(one)
        )
        if not agrees:
            yield f"other placeholders in plural form {index}"


def _placeholders_agree(text: str, message_id: str, context: str | None) -> bool:
    if context in FORMATS:
        return placeholders(text) <= FORMATS[context]
    return placeholders(text) == placeholders(message_id)


def placeholders(text: str) -> set[str]:
    """The values a text names, as {name} or as %(name)s."""
    try:
        braces = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:  # an unpaired brace
        braces = {"{"}
    return braces | set(PERCENT.findall(text))


def messages_of(catalog: Catalog) -> list[Message]:
    """Its messages without the header."""
    return [message for message in catalog if message.id]


def _rule(expression: str) -> Callable[[int], int]:
    """A plural expression of a catalogue's header as a function, read as the terminal itself will read it."""
    rule: Callable[[int], int] = gettext.c2py(expression)
    return rule


def write(language: str, catalog: Catalog, locale: Path = LOCALE) -> None:
    """A .po file for each room and what programs read; a file of a room that is no more goes."""
    folder = mo_file(language, locale).parent
    folder.mkdir(parents=True, exist_ok=True)
    rooms = split(catalog)
    for room, part in rooms.items():
        po_file(language, room, locale).write_bytes(po_bytes(part))
    for path in folder.glob("*.po"):
        if path.stem not in rooms:
            path.unlink()
    mo_file(language, locale).write_bytes(mo_bytes(catalog))


def main(begin: list[str]) -> None:
    ids = template()
    languages = sorted({path.name for path in LOCALE.iterdir() if path.is_dir()} | set(begin))
    for language in languages:
        catalog = updated(language, ids)
        write(language, catalog)
        found = list(problems(catalog, ids))
        print(f"texts: {language}: {len(catalog)} messages, {len(found) or 'none'} to mend")
        for line in found:
            print(f"  {line}")


if __name__ == "__main__":
    main(sys.argv[1:])
