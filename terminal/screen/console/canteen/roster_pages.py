"""The pages «Pupils»: a spreadsheet is read, checked and mended in place, compared with the list in force, and loaded.

For the meal officer. Names are on these pages only; what is typed is kept sealed until the list is loaded or given up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.canteen.pupil_files import PupilFiles
from terminal.canteen.pupil_list import load_pupils, school_now
from terminal.canteen.pupils.columns import COLUMN_NAMES, UNKEPT_NAMES, PupilColumn
from terminal.canteen.pupils.comparing import PupilChange, PupilDifference
from terminal.canteen.pupils.doubts import CODES, DoubtfulCell, PupilDoubt
from terminal.canteen.pupils.draft import EVERY_SHEET, NEW, NO_COLUMN, Choices, PupilDraft
from terminal.canteen.pupils.loading import Comparison, SchoolNow, compare
from terminal.canteen.pupils.reading import read_sheets
from terminal.canteen.pupils.sheet import FAULTS, MOST_CELL, MOST_FILE_BYTES, SheetRefused
from terminal.canteen.requests import OpenTill
from terminal.canteen.store import CanteenLists
from terminal.errors import Mistake
from terminal.mistakes.words import said
from terminal.screen.console.actions import Written
from terminal.screen.console.canteen.actions import counter_of, refusing
from terminal.screen.console.canteen.look import AT, Look, looking
from terminal.screen.console.console import ActionRefused
from terminal.screen.console.roles import Role
from terminal.screen.console.visit import Action, ConsoleArea, FormFields, Page, View, Visit
from terminal.texts import N_

MANAGER: Final = frozenset({Role.MEAL_OFFICER})
MOST_SHOWN: Final = 60
"""Doubts on one page; the next ones come when these are settled."""
MOST_NAMED: Final = 300
NOTHING_CHECKED: Final = N_("No list is being checked. Choose a file.")
OF_PEOPLE: Final = frozenset({PupilDoubt.RESEMBLES, PupilDoubt.NUMBER_OF_ANOTHER})
CHANGES: Final = {
    PupilChange.ADDED: N_("New pupils"),
    PupilChange.MOVED: N_("In another class"),
    PupilChange.PROMOTED: N_("One class up"),
    PupilChange.CHANGED: N_("Changed otherwise"),
    PupilChange.GONE: N_("Leave the school"),
    PupilChange.KEPT: N_("Not in the file, stay"),
    PupilChange.SAME: N_("As before"),
}
FIELDS: Final = {
    "name": N_("name"),
    "class": N_("class"),
    "number": N_("personal number"),
    "born": N_("date of birth"),
    "category": N_("category"),
    "shift": N_("shift"),
    "home": N_("taught at home"),
}


class DoubtShown(Struct, frozen=True):
    """One doubt as the page asks about it. `field` is the form field that settles it, `kind` how it is asked."""

    doubt: DoubtfulCell
    what: str
    advice: str
    where: str
    kind: str
    field: str
    value: str


class ChangeShown(Struct, frozen=True):
    """All pupils with one change."""

    change: str
    title: str
    count: int
    people: tuple[PupilDifference, ...]


class _LastComparison:
    """Compares a draft with the list in force; once for as long as both stay the same."""

    def __init__(self) -> None:
        self._of: tuple[PupilDraft, int, date] | None = None
        self._found: Comparison | None = None

    def __call__(self, draft: PupilDraft, school: SchoolNow) -> Comparison:
        """Balances are those of the first time: they are brought forward again when the list is loaded."""
        sequence = 0 if school.roster is None else school.roster.header.sequence
        of = (draft, sequence, school.today)
        if self._found is None or self._of is None or self._of[0] is not draft or self._of[1:] != of[1:]:
            self._found, self._of = compare(draft, school), of
        return self._found


def roster_area() -> ConsoleArea:
    """For `console_app`."""
    compared = _LastComparison()
    return ConsoleArea(
        "canteen",
        pages=(
            Page(f"{AT}/list", MANAGER, looking(_list), N_("Pupils")),
            Page(f"{AT}/list-draft", MANAGER, partial(_draft_page, compared)),
        ),
        actions=(
            Action(
                f"{AT}/list-read",
                MANAGER,
                _nothing,
                _to_draft,
                reads=_read,
                most_bytes=MOST_FILE_BYTES,
                again=lambda visit, _form: looking(_list)(visit),
            ),
            Action(
                f"{AT}/list-mend",
                MANAGER,
                _nothing,
                _to_draft,
                first=partial(_mend, compared),
                again=lambda visit, _form: _draft_page(compared, visit),
            ),
            Action(f"{AT}/list-drop", MANAGER, _drop, _to_list),
            Action(f"{AT}/list-load", MANAGER, _load, _to_loaded),
        ),
    )


def _files(visit: Visit) -> PupilFiles:
    files = counter_of(visit).files
    assert files is not None, "a terminal in service has a folder"
    return files


def _list(look: Look) -> View:
    roster = look.counter.roster
    counts = {} if roster is None else {name: len(refs) for name, refs in roster.classes.items()}
    carded = look.counter.ledger.cards.pupils()
    issued = None if roster is None else roster.header.issued_at.astimezone(look.counter.policy.zone)
    return look.view(
        "list.html",
        classes=counts,
        pupils=sum(counts.values()),
        carded=0 if roster is None else sum(ref in carded for ref in roster.pupils),
        issued="" if issued is None else f"{issued:%d.%m.%Y %H:%M}",
        draft=_files(look.visit).draft(),
        most=MOST_FILE_BYTES >> 20,
        loaded=look.visit.query.text("loaded"),
    )


def _read(visit: Visit, name: str, content: bytes) -> None:
    """Read the file in a process of its own, and keep what it says to be checked."""
    answer = read_sheets(content)
    if isinstance(answer, SheetRefused):
        what, advice = said(Mistake("", FAULTS[answer.fault], answer.values), visit.language)
        raise ActionRefused(N_("The file cannot be read: {what}. {advice}"), {"what": what, "advice": advice})
    _files(visit).keep_draft(PupilDraft.of(name, answer))


def _nothing(_visit: Visit, _form: FormFields, _written: Written) -> None:
    """What the action does was done before it: only the sealed draft changes."""


def _to_draft(_visit: Visit, _form: FormFields, _written: Written) -> str:
    return f"{AT}/list-draft"


def _to_list(_visit: Visit, _form: FormFields, _written: Written) -> str:
    return f"{AT}/list"


def _to_loaded(_visit: Visit, _form: FormFields, _written: Written) -> str:
    return f"{AT}/list?loaded=1"


def _drop(visit: Visit, _form: FormFields, _written: Written) -> None:
    _files(visit).drop_draft()


def _load(visit: Visit, _form: FormFields, _written: Written) -> None:
    """In force from the next tap on; the draft goes when it is."""
    counter, draft, active = counter_of(visit), _draft_of(visit), visit.console.terminal.active
    assert active is not None, "a terminal in service has an active set"
    till = OpenTill(counter, CanteenLists(active), visit.console.clock)
    with refusing():
        load_pupils(till, draft, visit.who.ref, visit.console.clock.now())
    _files(visit).drop_draft()


def _draft_of(visit: Visit) -> PupilDraft:
    draft = _files(visit).draft()
    if draft is None:
        raise ActionRefused(NOTHING_CHECKED)
    return draft


def _school(visit: Visit) -> SchoolNow:
    """What the list is compared with, taken while no tap works at it."""
    with visit.console.lock, refusing():
        return school_now(counter_of(visit), visit.console.clock.now())


# The page of a list that is being checked


def _draft_page(compared: _LastComparison, visit: Visit) -> View:
    draft, school = _draft_of(visit), _school(visit)
    found = compared(draft, school)
    shown = tuple(_doubts_shown(visit, draft, found))
    headings = draft.headings

    def show(look: Look) -> View:
        return look.view(
            "list_draft.html",
            draft=draft,
            found=found,
            headings=headings,
            columns=[(kind.value, COLUMN_NAMES[kind]) for kind in PupilColumn],
            dropped={title: UNKEPT_NAMES[kind] for title, kind in draft.dropped.items()},
            sheets=[(at, sheet.name) for at, sheet in enumerate(draft.sheets)],
            every_sheet=EVERY_SHEET,
            schools={}
            if school.roster
            else {one.id: one.name for one in school.policy.meals.schools.values()},
            asked=[one for one in shown if one.doubt.blocks],
            notes=[one for one in shown if not one.doubt.blocks],
            more=max(found.blocking - MOST_SHOWN, 0),
            concessions=_concessions(school),
            changes=_changes(found),
            field_names=FIELDS,
            missing=sum(one.change in (PupilChange.GONE, PupilChange.KEPT) for one in found.differences),
            sums={PupilColumn.HOT, PupilColumn.BUFFET} & {PupilColumn(kind) for kind in headings.columns},
            head=school.head,
            new=NEW,
            most_text=MOST_CELL,
        )

    return looking(show)(visit)


def _concessions(school: SchoolNow) -> dict[int, str]:
    """Concessions that give meals, by code."""
    known = school.policy.document.concessions
    return {one.code: one.name for one in known if one.code in school.policy.meals.rules}


def _changes(found: Comparison) -> list[ChangeShown]:
    counts = Counter(one.change for one in found.differences)
    return [
        ChangeShown(
            change,
            title,
            counts[change],
            ()
            if change is PupilChange.SAME
            else tuple(one for one in found.differences if one.change is change)[:MOST_NAMED],
        )
        for change, title in CHANGES.items()
        if counts[change]
    ]


def _doubts_shown(visit: Visit, draft: PupilDraft, found: Comparison) -> Iterator[DoubtShown]:
    names = {one.ref: one for one in found.differences}
    asked = 0
    for doubt in found.doubts:
        asked += doubt.blocks
        if asked > MOST_SHOWN:
            continue
        what, advice = said(Mistake("", CODES[doubt.code], doubt.values), visit.language)
        where = visit.text(N_("row {row}"), row=doubt.row) if doubt.row else ""
        if doubt.sheet and len(draft.sheets) > 1:
            where = f"{doubt.sheet}, {where}"
        if doubt.rows > 1:
            where = visit.text(N_("{where} and {more} more"), where=where, more=doubt.rows - 1)
        kind, field = _asked_as(doubt)
        one = names.get(doubt.resembles)
        value = doubt.proposal or doubt.text if kind != "same" else doubt.text or (one.name if one else "")
        yield DoubtShown(doubt, what, advice, where, kind, field, value)


def _asked_as(doubt: DoubtfulCell) -> tuple[str, str]:
    """How a doubt is asked about, and the field that answers it."""
    if doubt.code in OF_PEOPLE:
        return "same", f"same {doubt.line}"
    if doubt.code == PupilDoubt.CATEGORY_UNKNOWN:
        return "category", f"category {doubt.text}"
    if doubt.code in (PupilDoubt.CLASS_UNKNOWN, PupilDoubt.CLASS_UNCERTAIN):
        return "class", f"class {doubt.text}"
    if doubt.column is None or not doubt.blocks:
        return "", ""
    return "cell", f"cell {doubt.line}:{doubt.column}"


# What was answered


def _mend(compared: _LastComparison, visit: Visit, form: FormFields) -> None:
    """Take the answers of the whole page into the draft; a field that was left as it was answers nothing. Raises
    `ActionRefused` for a number that is none, when everything else is kept."""
    draft, school = _draft_of(visit), _school(visit)
    choices = _settings(draft, form)
    for doubt in compared(draft, school).doubts:
        kind, field = _asked_as(doubt)
        answer = form.text(field)[:MOST_CELL] if kind else ""
        if form.text(f"skip {doubt.line}"):
            choices = replace(choices, left_out=(*choices.left_out, doubt.line))
        elif kind == "same" and answer:
            choices = replace(choices, same={**choices.same, str(doubt.line): answer})
        elif kind == "category" and answer:
            codes = tuple(int(code) for code in answer.split(",") if code.isdigit())
            choices = replace(choices, categories={**choices.categories, doubt.text: codes})
        elif kind == "class" and answer:
            choices = replace(choices, classes={**choices.classes, doubt.text: answer})
        elif kind == "cell" and form.has(field) and (answer != doubt.text or form.text(f"is {doubt.line}")):
            key = f"{doubt.line}:{doubt.column}"
            choices = replace(choices, cells={**choices.cells, key: answer})
    _files(visit).keep_draft(replace(draft, choices=choices))
    if form.text("through"):
        through = form.number("through", 0, 1 << 40)
        _files(visit).keep_draft(replace(draft, choices=replace(choices, through=through)))


def _settings(draft: PupilDraft, form: FormFields) -> Choices:
    """What is chosen for the list as a whole."""
    choices = draft.choices
    if form.text("columns"):
        found = {kind: form.number(f"column {kind}", NO_COLUMN, 1_000, NO_COLUMN) for kind in PupilColumn}
        choices = replace(choices, columns=found)
    if form.text("sheet"):
        sheet = form.number("sheet", EVERY_SHEET, len(draft.sheets) - 1)
        if sheet != draft.sheet:
            choices = replace(Choices(), sheet=sheet, school=choices.school)
    if form.text("school"):
        choices = replace(choices, school=form.text("school")[:MOST_CELL])
    if form.text("whole"):
        choices = replace(choices, whole=form.text("whole") == "1")
    if form.text("settings"):
        through = choices.through if form.text("through") else None
        choices = replace(choices, through=through, primary=bool(form.text("primary")))
    return choices
