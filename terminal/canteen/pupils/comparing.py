"""A checked list against the one in force: who is who, and what loading it would change.

A pupil is found again by the school's number, else by name and date of birth. Where neither settles it, a name that is
alone on both sides and a class that fits do; anything less is a doubt that people settle.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from terminal.canteen.documents import RosterPupil
from terminal.canteen.pupils.checking import CheckedRows, SheetPupil
from terminal.canteen.pupils.columns import PupilColumn
from terminal.canteen.pupils.doubts import DoubtfulCell, PupilDoubt, doubtful
from terminal.canteen.pupils.draft import Choices
from terminal.canteen.pupils.values import number_key, parse_class, plain
from terminal.canteen.roster import Roster
from terminal.policy.policy import Policy

REFERENCE_BYTES: Final = 8
FEW: Final = 5
"""So many pupils may leave without being asked about, or that share of the list in force."""
FEW_SHARE: Final = 0.2


class PupilChange(StrEnum):
    """What becomes of one pupil."""

    SAME = "same"
    ADDED = "added"
    MOVED = "moved"
    """He is in another class than the year alone would have put him in."""
    PROMOTED = "promoted"
    """One class up, with the year (M-20)."""
    CHANGED = "changed"
    GONE = "gone"
    KEPT = "kept"
    """He is not in the file, and the file is not the whole school."""


class PupilField(StrEnum):
    """What of a pupil a file may change."""

    NAME = "name"
    CLASS = "class"
    NUMBER = "number"
    BORN = "born"
    CATEGORY = "category"
    SHIFT = "shift"
    HOME = "home"
    BALANCE = "balance"


class MatchedPupil(Struct, frozen=True):
    """A row, and whom of the list in force it is; `before` is None for a new pupil. `ref` is his reference, `expected`
    the class in which the year alone has put him (M-20)."""

    ref: str
    stated: SheetPupil
    before: RosterPupil | None
    expected: str = ""


class Matching(Struct, frozen=True):
    """Every row with its pupil, those of the list in force that no row is about, and what is doubtful."""

    matched: tuple[MatchedPupil, ...]
    missing: tuple[RosterPupil, ...]
    doubts: tuple[DoubtfulCell, ...]


class PupilDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What loading changes for one pupil. `balance_minor`: both accounts of one who leaves. It has no `repr`."""

    change: PupilChange
    ref: str
    name: str
    class_id: str
    before: str = ""
    """His class so far."""
    fields: tuple[PupilField, ...] = ()
    balance_minor: int = 0

    def __repr__(self) -> str:
        return f"PupilDifference({self.change}, {self.ref})"


class PupilRefs(Struct, frozen=True):
    """Makes references for pupils who have none: by a key of this region, so that two terminals of a school that load
    the same list call a pupil the same, and none can be guessed from a name (D-01)."""

    key: bytes

    def __repr__(self) -> str:
        return "PupilRefs()"

    def of(self, school: str, pupil: SheetPupil) -> str:
        """By the school's number, else by name and date of birth."""
        number = number_key(pupil.number)
        name, born = pupil.person
        said = ("number", number) if number else ("person", name, born.isoformat() if born else "")
        message = b"".join(len(part := text.encode()).to_bytes(4, "big") + part for text in (school, *said))
        return hmac.digest(self.key, message, hashlib.sha256)[:REFERENCE_BYTES].hex()


class _KnownPupils(Struct):
    """The list in force by what pupils are found by. Who was found is found no second time."""

    roster: Roster | None
    policy: Policy
    today: date
    pupils: dict[str, RosterPupil] = {}
    numbers: dict[str, RosterPupil] = {}
    named: dict[str, list[RosterPupil]] = {}

    def __post_init__(self) -> None:
        for pupil in () if self.roster is None else self.roster.document.pupils:
            self.pupils[pupil.ref] = pupil
            self.named.setdefault(plain(pupil.name), []).append(pupil)
            if pupil.number:
                self.numbers[number_key(pupil.number)] = pupil

    def expected_class(self, pupil: RosterPupil) -> str:
        """His class today, where only the year has gone on (M-20)."""
        if self.roster is None:
            return pupil.class_id
        grade = self.policy.meals.grade_on(pupil.grade, self.roster.header.grades_on, self.today)
        stated = parse_class(pupil.class_id)
        if stated is None or grade == pupil.grade or stated.grade != pupil.grade:
            return pupil.class_id
        return msgspec.structs.replace(stated, grade=grade).id


def match_pupils(
    checked: CheckedRows,
    roster: Roster | None,
    choices: Choices,
    policy: Policy,
    school: str,
    refs: PupilRefs,
    today: date,
) -> Matching:
    """Who of the file is who in the list in force."""
    known = _KnownPupils(roster, policy, today)
    twins = Counter(plain(one.name) for one in checked.pupils)
    matched, doubts, taken = [], list[DoubtfulCell](), set[str]()
    for one in checked.pupils:
        before, doubt = _found(one, known, choices, twins)
        if before is not None and before.ref in taken:
            before = None
        if doubt is not None:
            doubts.append(doubt)
        ref = _free(refs.of(school, one), known.pupils, taken) if before is None else before.ref
        taken.add(ref)
        expected = "" if before is None else known.expected_class(before)
        matched.append(MatchedPupil(ref, one, before, expected))
    missing = tuple(pupil for ref, pupil in known.pupils.items() if ref not in taken)
    return Matching(tuple(matched), missing, tuple(doubts))


def _free(ref: str, known: Mapping[str, RosterPupil], taken: Iterable[str]) -> str:
    """Another one for a pupil who came back under the number of one who is still there."""
    while ref in known or ref in taken:
        ref = hashlib.sha256(bytes.fromhex(ref)).digest()[:REFERENCE_BYTES].hex()
    return ref


def _found(
    one: SheetPupil, known: _KnownPupils, choices: Choices, twins: Mapping[str, int]
) -> tuple[RosterPupil | None, DoubtfulCell | None]:
    chosen = choices.same.get(str(one.line))
    if chosen is not None:
        return known.pupils.get(chosen), None
    name = plain(one.name)
    by_number = known.numbers.get(number_key(one.number)) if one.number else None
    if by_number is not None:
        alike = set(plain(by_number.name).split()) & set(name.split()) or not by_number.name
        return by_number, None if alike else _doubt(PupilDoubt.NUMBER_OF_ANOTHER, one, by_number)
    others = [
        other
        for other in known.named.get(name, ())
        if not (one.number and other.number)
        and (one.born is None or other.born is None or one.born == other.born)
    ]
    born = [other for other in others if one.born is not None and other.born == one.born]
    if len(born) == 1:
        return born[0], None
    if not others:
        return None, None
    first = others[0]
    alone = len(others) == 1 and twins[name] == 1
    if alone and one.class_id in (first.class_id, known.expected_class(first)):
        return first, None
    return first, _doubt(PupilDoubt.RESEMBLES, one, first)


def _doubt(code: PupilDoubt, one: SheetPupil, other: RosterPupil) -> DoubtfulCell:
    column = PupilColumn.NUMBER if code is PupilDoubt.NUMBER_OF_ANOTHER else None
    values = {"class_id": other.class_id}
    return doubtful(code, one.line, one.row, one.sheet, column, one.name, resembles=other.ref, values=values)


def new_classes(checked: CheckedRows, roster: Roster | None) -> Iterator[DoubtfulCell]:
    """Classes that the list in force does not have, where there is one; not those that only moved up."""
    if roster is None:
        return
    letters = {found.letter for name in roster.classes if (found := parse_class(name)) is not None}
    seen: set[str] = set(roster.classes)
    for one in checked.pupils:
        stated = parse_class(one.class_id)
        if not one.class_id or one.class_id in seen or (stated is not None and stated.letter in letters):
            continue
        seen.add(one.class_id)
        yield doubtful(
            PupilDoubt.CLASS_NEW,
            one.line,
            one.row,
            one.sheet,
            PupilColumn.CLASS,
            values={"class_id": one.class_id},
        )


def leave(matching: Matching, roster: Roster | None, choices: Choices) -> bool | None:
    """Whether pupils without a row leave; None where so many would that people have to say it."""
    if choices.whole is not None or roster is None or not matching.missing:
        return choices.whole is not False
    few = len(matching.missing) <= max(FEW, FEW_SHARE * len(roster.pupils))
    return True if few else None


def differences(
    after: Sequence[RosterPupil], matching: Matching, *, whole: bool
) -> tuple[PupilDifference, ...]:
    """What changes for whom. `after` are the pupils of `matching.matched`, in its order, as they would be loaded."""
    found = [_difference(one, pupil) for one, pupil in zip(matching.matched, after, strict=True)]
    change = PupilChange.GONE if whole else PupilChange.KEPT
    found += [
        PupilDifference(
            change=change,
            ref=pupil.ref,
            name=pupil.name,
            class_id=pupil.class_id,
            balance_minor=(pupil.hot_minor or 0) + (pupil.buffet_minor or 0),
        )
        for pupil in matching.missing
    ]
    return tuple(found)


def _difference(one: MatchedPupil, after: RosterPupil) -> PupilDifference:
    before = one.before
    if before is None:
        return PupilDifference(
            change=PupilChange.ADDED, ref=one.ref, name=after.name, class_id=after.class_id
        )
    fields = tuple(name for name, of in _COMPARED.items() if of(before) != of(after))
    change = PupilChange.CHANGED if fields else PupilChange.SAME
    if after.class_id != before.class_id:
        change = PupilChange.PROMOTED if after.class_id == one.expected else PupilChange.MOVED
    return PupilDifference(
        change=change,
        ref=one.ref,
        name=after.name,
        class_id=after.class_id,
        before=before.class_id,
        fields=fields,
    )


_COMPARED: Final[Mapping[PupilField, Callable[[RosterPupil], object]]] = {
    PupilField.NAME: lambda pupil: pupil.name,
    PupilField.CLASS: lambda pupil: pupil.class_id,
    PupilField.NUMBER: lambda pupil: pupil.number,
    PupilField.BORN: lambda pupil: pupil.born,
    PupilField.CATEGORY: lambda pupil: sorted(grant.code for grant in pupil.grants),
    PupilField.SHIFT: lambda pupil: pupil.shift,
    PupilField.HOME: lambda pupil: pupil.home_schooled,
}
