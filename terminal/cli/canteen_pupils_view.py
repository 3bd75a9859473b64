"""How a compared list of pupils is printed: numbers, then each doubt by row and column; no name (D-02)."""

from __future__ import annotations

from typing import Final

import msgspec

from terminal.app.output import print_json
from terminal.canteen.answers import DoubtLine, PupilsCompared
from terminal.canteen.pupils.columns import COLUMN_NAMES
from terminal.canteen.pupils.doubts import CODES
from terminal.errors import Mistake
from terminal.mistakes.words import said
from terminal.texts import NP_, translator

MOST_LINES: Final = 50
WORDS: Final = {
    "loaded": NP_("list", "list {sequence} of {school} is in force: {rows} pupils"),
    "read": NP_("list", "{rows} pupils read, nothing loaded"),
    "row": NP_("list", "row {row}"),
    "more": NP_("list", "{more} more: --json lists all of them"),
    "school": NP_("list", "state the school with --school"),
    "whole": NP_("list", "many are not in the file: say with --whole or --part whether they leave"),
    "debts": NP_("list", "of those who leave, {debts} have something on their accounts or owe it"),
    "same": NP_("list", "as before"),
    "added": NP_("list", "new"),
    "moved": NP_("list", "in another class"),
    "promoted": NP_("list", "one class up"),
    "changed": NP_("list", "changed"),
    "gone": NP_("list", "leave"),
    "kept": NP_("list", "not in the file, stay"),
}


def show_comparison(found: PupilsCompared, language: str, json: bool) -> None:
    """What was found, for people or programs."""
    if json:
        print_json(msgspec.to_builtins(found) | {"blocking": found.blocking})
        return
    texts = translator(language)

    def word(key: str, **values: str | int) -> str:
        return texts.pgettext("list", WORDS[key]).format(**values)

    if found.sequence:
        print(word("loaded", sequence=found.sequence, school=found.school, rows=found.rows))
    else:
        print(word("read", rows=found.rows))
    print("  " + ", ".join(f"{word(change)}: {count}" for change, count in sorted(found.changes.items())))
    if found.debts:
        print("  " + word("debts", debts=found.debts))
    for doubt in found.doubts[:MOST_LINES]:
        print(f"  {'!' if doubt.blocks else '·'} {_line(doubt, language, word('row', row=doubt.row))}")
    if len(found.doubts) > MOST_LINES:
        print("  " + word("more", more=len(found.doubts) - MOST_LINES))
    if not found.school:
        print("  ! " + word("school"))
    if found.whole is None:
        print("  ! " + word("whole"))


def _line(doubt: DoubtLine, language: str, row: str) -> str:
    what, advice = said(Mistake("", CODES[doubt.code], doubt.values), language)
    sheet = f"{doubt.sheet}, " if doubt.sheet else ""
    column = translator(language).gettext(COLUMN_NAMES[doubt.column]) if doubt.column else ""
    shared = f" ×{doubt.rows}" if doubt.rows > 1 else ""
    return f"{sheet}{row}{shared}{', ' + column if column else ''}: {what}. {advice}"
