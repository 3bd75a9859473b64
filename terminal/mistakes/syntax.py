"""Every statement of a file that is no TOML, and what its author will have meant.

The standard library's parser stops at the first one. Here that statement is taken out, and the rest is read again, so
that all of them are said at once. Imported when there is a mistake.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from terminal.errors import Mistake, MistakeCode
from terminal.mistakes.toml_lines import statement_at
from terminal.texts import N_

MOST_STATEMENTS: Final = 50
READ_AGAIN: Final = 1_000_000
"""Characters that are read again at most, in all."""


class SyntaxMistake(MistakeCode):
    """Why a statement is no TOML."""

    NOT_TOML = "not_toml", N_("this is not TOML: {says}"), N_("Correct that line.")
    TWICE = (
        "twice",
        N_("{key} is stated a second time, first on line {first}"),
        N_("Keep one of them. Several tables of one name begin with [[{key}]] each."),
    )
    UNTERMINATED = "unterminated", N_("a text in quotes does not end"), N_("Add the closing quotation mark.")
    UNCLOSED = "unclosed", N_("a list or table that was opened does not end"), N_("Add the closing bracket.")
    NO_COMMA = (
        "no_comma",
        N_("before this a comma or the closing bracket of what begins on line {opened} is missing"),
        N_("Add it."),
    )
    NO_VALUE = (
        "no_value",
        N_("what stands here is no value of TOML"),
        N_('Write text in quotes ("…"), numbers plainly, true or false, dates as 2026-09-01.'),
    )
    NOTHING = "nothing", N_("no value follows the ="), N_("Write one, or remove the key.")
    NO_QUOTES = "no_quotes", N_("{given} is text without quotes"), N_('Write it in quotes: "{given}"')
    NO_SWITCH = "no_switch", N_("{given} is no value of TOML"), N_("Write true or false.")
    NO_STATEMENT = (
        "no_statement",
        N_("this line is neither [table] nor key = value"),
        N_("Begin comments with #, and text over several lines with three quotation marks."),
    )
    NO_EQUALS = "no_equals", N_("a key without ="), N_("Write key = value.")
    HEADING = (
        "heading",
        N_("a heading in brackets is not complete"),
        N_("Write [name] or [[name]], as many brackets behind as before, on a line of its own."),
    )
    BRACES = (
        "braces",
        N_("a table in braces ends where another key should stand"),
        N_("Write it on one line, without a comma after its last key."),
    )
    AFTER_VALUE = (
        "after_value",
        N_("something follows the value on its line"),
        N_("Put one key on a line; a decimal number has a point, not a comma."),
    )
    SIGN = (
        "sign",
        N_("`{found}` does not belong here"),
        N_("Remove it. Commas separate entries, and comments begin with #."),
    )
    QUOTATION_MARK = (
        "quotation_mark",
        N_("{found} is no quotation mark of TOML"),
        N_('Write straight ones before and behind the text: "…"'),
    )
    LETTER = (
        "letter",
        N_("`{found}` ({character}) cannot stand here"),
        N_("Type it again on a Latin keyboard: keys have Latin letters, digits, _ and -."),
    )
    INVISIBLE = (
        "invisible",
        N_("an invisible character ({character}) stands here"),
        N_("Delete it, and type a plain space where one is needed."),
    )
    LINE_ENDS = (
        "line_ends",
        N_("the lines end with CR alone"),
        N_("Save the file with the ends of line of Windows (CRLF) or Unix (LF)."),
    )
    DECIMAL_COMMA = (
        "decimal_comma",
        N_("{given} has a decimal comma"),
        N_("Write an amount in its smallest unit, 35.00 as 3500; another number with a point: {point}"),
    )
    GROUPS = "groups", N_("{given} has its digits in groups"), N_("Write them together: {plain}")
    UNIT = (
        "unit",
        N_("{given} is a number with a unit"),
        N_("Write the number alone, an amount in its smallest unit: 3500 for 35.00."),
    )
    ZERO = "zero", N_("{given} begins with a zero"), N_("Write it without: {plain}")
    DAY = (
        "day",
        N_("{given} is no day or moment"),
        N_("Write a day as 2026-09-01, a moment as 2026-09-01T00:00:00+03:00."),
    )
    CLOCK = (
        "clock",
        N_("{given} is no time of day"),
        N_("Write it with hours, minutes and seconds: 07:30:00."),
    )
    BACKSLASH = (
        "backslash",
        N_("a backslash in a text in double quotes"),
        N_("Write it twice, or use single quotes: 'C:\\cards'."),
    )


_SAID: Final = (
    ("Unterminated string", SyntaxMistake.UNTERMINATED),
    ("Illegal character '\\n'", SyntaxMistake.UNTERMINATED),
    ("Illegal character '\\r'", SyntaxMistake.UNTERMINATED),
    ("Expected \"'", SyntaxMistake.UNTERMINATED),
    ("Expected newline or end of document", SyntaxMistake.AFTER_VALUE),
    ("Expected ']", SyntaxMistake.HEADING),
    ("Unclosed", SyntaxMistake.UNCLOSED),
    ("Invalid value", SyntaxMistake.NO_VALUE),
    ("Invalid date or datetime", SyntaxMistake.DAY),
    ("Invalid statement", SyntaxMistake.NO_STATEMENT),
    ("Invalid initial character", SyntaxMistake.BRACES),
    ("Expected '='", SyntaxMistake.NO_EQUALS),
    ("Unescaped '\\'", SyntaxMistake.BACKSLASH),
)
_TWICE: Final = ("Cannot overwrite a value", "Cannot declare", "Duplicate inline table key", "Cannot mutate")
_AT: Final = re.compile(
    r"^(?P<says>.*?) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.DOTALL
)
_STATED: Final = re.compile(r"^[^=\n]*=[ \t]*(?P<given>[^#\n]*?)[ \t\r]*(?:#.*)?$")
_HEADING: Final = re.compile(r"^[ \t]*\[\[?[ \t]*(?P<name>[A-Za-z_][\w.-]*)")
_BEGINS: Final = re.compile(
    r"^[ \t]*(?:\[\[?[A-Za-z_][\w.-]*\]{0,2}[ \t]*(?:#.*)?$|[\w.-]+[ \t]*=(?!.*,[ \t]*$))"
)
"""A line that begins a statement; one that ends with a comma is inside a list or table."""
_COMMA_BEFORE: Final = re.compile(r"-?\d+,\d{1,2}$")
_MEANT: Final = (
    (re.compile(r"-?\d[\d \u00a0]*,\d{1,2}"), SyntaxMistake.DECIMAL_COMMA),
    (re.compile(r"\d{1,3}(?:[ \u00a0,]\d{3})+(?:\.\d+)?"), SyntaxMistake.GROUPS),
    (re.compile(r"0\d+"), SyntaxMistake.ZERO),
    (
        re.compile(r"(?:\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{4}-\d{1,2}-\d{1,2})(?:[T ][\d:.+Z-]*)?"),
        SyntaxMistake.DAY,
    ),
    (re.compile(r"\d{1,2}:\d{2}(?::\d{2})?"), SyntaxMistake.CLOCK),
    (re.compile(r"\d[\d \u00a0]*(?:[.,]\d+)?[ \u00a0]*(?:[^\W\d_]{1,8}\.?|[%₽€$])"), SyntaxMistake.UNIT),
    (re.compile(r"(?i:yes|no|on|off|true|false|да|нет)"), SyntaxMistake.NO_SWITCH),
    (re.compile(r"[^\W\d][\w-]*"), SyntaxMistake.NO_QUOTES),
)
_MARKS: Final = frozenset("“”„‟«»‘’‚′″`")
_NO_SIGN: Final = frozenset("\"'[{]}")


@dataclass(frozen=True, slots=True)
class _Halt:
    """Where the parser stopped, and the statement it stopped in."""

    says: str
    lines: list[str]
    line: int
    column: int | None
    """None: at the end of the document."""
    begins: int

    @property
    def written(self) -> str:
        return self.lines[self.line - 1]

    @property
    def rest(self) -> str:
        return "" if self.column is None else self.written[self.column - 1 :]


def syntax_mistakes(says: str, text: str, *, private: bool = False) -> tuple[Mistake, ...]:
    """What is wrong with `text`, of which the standard library's parser `says` this; of a private file nothing is
    quoted. Never empty.
    """
    found: list[Mistake] = []
    for _ in range(max(1, min(MOST_STATEMENTS, READ_AGAIN // len(text)))):
        found.append(_mistake(says, text, private=private))
        without = _without_statement(says, text)
        if without is None:
            break
        text = without
        try:
            tomllib.loads(text)
            break
        except tomllib.TOMLDecodeError as error:
            says = str(error)
        except (RecursionError, ValueError):  # of another kind: said when these are corrected
            break
    return tuple(found)


def _mistake(says: str, text: str, *, private: bool) -> Mistake:
    at = _AT.match(says)
    problem = at["says"] if at else says
    if problem.startswith(_TWICE) and at and at["line"]:
        return _twice(text, int(at["line"]), int(at["column"]), private=private)
    stop = _stop_of(says, text)
    code, values = _understood(stop)
    if private:
        values = {key: value if isinstance(value, int) else "…" for key, value in values.items()}
    return Mistake("", code, values, line=stop.line)


def _stop_of(says: str, text: str) -> _Halt:
    at = _AT.match(says)
    lines = text.split("\n")
    if at and at["line"]:
        line, column = int(at["line"]), int(at["column"])
        return _Halt(at["says"], lines, line, column, min(line, statement_at(text, line, column)[1]))
    line = 1 + text.rstrip("\n").count("\n")
    begins = statement_at(text, line, len(lines[line - 1]) + 1)[1]
    return _Halt(at["says"] if at else says, lines, line, None, min(line, begins))


def _twice(text: str, line: int, column: int, *, private: bool) -> Mistake:
    place, begins, before = statement_at(text, line, column)
    first = next((before[place[:n]] for n in range(len(place), 0, -1) if place[:n] in before), begins)
    key = ".".join(str(part) for part in place if isinstance(part, str))
    return Mistake("", SyntaxMistake.TWICE, {"key": "…" if private else key, "first": first}, line=begins)


Understood = tuple[SyntaxMistake, dict[str, int | str]]


def _understood(stop: _Halt) -> Understood:
    """The mistake, as near to what its author did as can be seen."""
    code = next((code for begins, code in _SAID if stop.says.startswith(begins)), None)
    if code is None:
        return SyntaxMistake.NOT_TOML, {"says": stop.says}
    if code in (SyntaxMistake.UNTERMINATED, SyntaxMistake.BACKSLASH):
        return code, {}
    return _value(stop, code) or _character(stop) or _by_code(stop, code)


def _character(stop: _Halt) -> Understood | None:
    """A character of a word processor, or one that only looks like the right one."""
    first = stop.rest[:1]
    if first == "\r":
        return SyntaxMistake.LINE_ENDS, {}
    if first in _MARKS and first:
        return SyntaxMistake.QUOTATION_MARK, {"found": first}
    if not first or first.isascii():
        return None
    character = f"U+{ord(first):04X}"
    if unicodedata.category(first)[0] in "ZC":
        return SyntaxMistake.INVISIBLE, {"character": character}
    return SyntaxMistake.LETTER, {"found": first, "character": character}


def _stated(stop: _Halt) -> str:
    match = _STATED.match(stop.written)
    return match["given"] if match else ""


def _value(stop: _Halt, code: SyntaxMistake) -> Understood | None:
    """A value as people write it who do not know TOML's forms."""
    given = _stated(stop)
    if code is SyntaxMistake.NO_EQUALS and stop.column is not None:
        comma = _COMMA_BEFORE.search(stop.written[: stop.column - 1].rstrip())
        return None if comma is None else _of_value(SyntaxMistake.DECIMAL_COMMA, comma[0])
    if code not in (SyntaxMistake.NO_VALUE, SyntaxMistake.AFTER_VALUE, SyntaxMistake.DAY):
        return None
    if code is SyntaxMistake.NO_VALUE and "=" in stop.written and not given:
        return SyntaxMistake.NOTHING, {}
    meant = _meant(given)
    if meant is None and code is SyntaxMistake.NO_VALUE:  # inside a list or table
        given = re.split(r"[\s,\]}#]", stop.rest, maxsplit=1)[0]
        meant = _meant(given)
    if meant is None and code is SyntaxMistake.DAY:
        return code, {"given": given}
    return None if meant is None else _of_value(meant, given)


def _meant(given: str) -> SyntaxMistake | None:
    return next((meant for form, meant in _MEANT if form.fullmatch(given)), None)


def _of_value(meant: SyntaxMistake, given: str) -> Understood:
    together = re.sub(r"[ \u00a0]", "", given)
    values: dict[SyntaxMistake, dict[str, int | str]] = {
        SyntaxMistake.DECIMAL_COMMA: {"point": together.replace(",", ".")},
        SyntaxMistake.GROUPS: {"plain": together.replace(",", "")},
        SyntaxMistake.ZERO: {"plain": given.lstrip("0") or "0"},
    }
    return meant, {"given": given, **values.get(meant, {})}


def _by_code(stop: _Halt, code: SyntaxMistake) -> Understood:
    first = stop.rest[:1]
    if stop.written.lstrip().startswith("[") and code in (SyntaxMistake.BRACES, SyntaxMistake.HEADING):
        return SyntaxMistake.HEADING, {}
    if code is SyntaxMistake.UNCLOSED and stop.column is not None:
        if not first and stop.says.endswith("inline table"):
            return SyntaxMistake.BRACES, {}
        if first.isalnum() or first in _NO_SIGN:
            return SyntaxMistake.NO_COMMA, {"opened": stop.begins}
    odd = bool(first) and not first.isalnum() and first not in _NO_SIGN
    if odd and code in (SyntaxMistake.UNCLOSED, SyntaxMistake.AFTER_VALUE, SyntaxMistake.BRACES):
        return SyntaxMistake.SIGN, {"found": re.split(r"[\w\s\"'\[\]{}]", stop.rest, maxsplit=1)[0]}
    if first == "=" and code is SyntaxMistake.NO_VALUE:
        return SyntaxMistake.SIGN, {"found": first}
    return code, {}


def _without_statement(says: str, text: str) -> str | None:
    """`text` with empty lines in place of the statement the parser stopped in; None where its end cannot be seen."""
    stop = _stop_of(says, text)
    if stop.column is None:
        return None
    heading = _HEADING.match(stop.written)
    if heading and stop.says.startswith("Expected ']"):  # it can be seen what is meant
        count = 1 + stop.written.lstrip().startswith("[[")
        stop.lines[stop.line - 1] = f"{'[' * count}{heading['name']}{']' * count}"
        return "\n".join(stop.lines)
    swallowed = stop.says.startswith("Unclosed") and bool(_BEGINS.match(stop.written))
    first = stop.begins
    if first == stop.line and _whole(stop.written):
        last = first
    else:
        last = next(_ends(stop.lines, first if swallowed else stop.line, stop.lines[first - 1]))
    return "\n".join("" if first <= number <= last else line for number, line in enumerate(stop.lines, 1))


def _whole(line: str) -> bool:
    """Whether what begins on the line ends on it, too, as far as can be seen; a heading goes on to the next."""
    if _HEADING.match(line) or '"""' in line or "'''" in line:
        return False
    return sum(map(line.count, "[{")) <= sum(map(line.count, "]}"))


def _ends(lines: list[str], after: int, begins: str) -> Iterator[int]:
    """The last line of a statement that goes on to `after` at least; of a heading that of its tables."""
    heading = _HEADING.match(begins)
    for number in range(after, len(lines)):
        line = lines[number]
        below = _HEADING.match(line)
        if heading is None and _BEGINS.match(line):
            yield number
        if heading is not None and below and not below["name"].startswith(f"{heading['name']}."):
            yield number
    yield len(lines)
