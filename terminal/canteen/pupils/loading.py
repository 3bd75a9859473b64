"""A checked list made the roster that would be in force: with what the file states, and what it does not say kept.

Balances are what people paid, so a file moves none unless it says up to which row of this terminal it counts
(`Choices.through`). Every load brings the accounts forward to the newest row, so that they stay whole when rows leave
the terminal; what a pupil owes goes with him.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from terminal.canteen.documents import (
    SCHEMA_VERSION,
    RosterDocument,
    RosterGrant,
    RosterHeader,
    RosterPupil,
)
from terminal.canteen.facts import buffet_minor, hot_minor
from terminal.canteen.ledger import Ledger
from terminal.canteen.pupils.checking import SheetPupil, check_rows
from terminal.canteen.pupils.comparing import (
    MatchedPupil,
    Matching,
    PupilDifference,
    PupilRefs,
    differences,
    leave,
    match_pupils,
    new_classes,
)
from terminal.canteen.pupils.doubts import DoubtfulCell, PupilDoubt, doubtful
from terminal.canteen.pupils.draft import Choices, PupilDraft
from terminal.canteen.pupils.values import plain
from terminal.canteen.roster import Roster
from terminal.policy.document.meals import LAST_GRADE
from terminal.policy.policy import Policy

PRIMARY: Final = range(1, 5)
"""M-10: the grades that have a hot meal by law."""
PRIMARY_RULE: Final = "M-10"
LAST_KEPT: Final = LAST_GRADE
"""Who is past the last grade and stays in the list stays in it (M-20)."""
LASTS_DAYS: Final = 400
"""A list is in force until the next one; past this it has expired, and still serves entitled meals (M-37)."""


class SchoolNow(Struct, frozen=True, kw_only=True):
    """What a list is compared with: the document, the list in force, this terminal's rows, and where it stands.
    `head`: the newest row; `left`: the last one that is no longer held. `refs` makes new references."""

    terminal: int
    policy: Policy
    roster: Roster | None
    ledger: Ledger
    head: int
    left: int
    now: datetime
    refs: PupilRefs

    @property
    def today(self) -> date:
        """The service day."""
        return self.policy.service_date(self.now.astimezone(self.policy.zone))

    def schools(self) -> tuple[str, ...]:
        """Which schools the list may be of: that of the list in force, else those of the document."""
        return tuple(self.policy.meals.schools) if self.roster is None else (self.roster.header.school,)

    def school_of(self, draft: PupilDraft) -> str:
        """The school the list is of; empty where people have to say which."""
        schools = self.schools()
        if len(schools) == 1:
            return schools[0]
        return draft.choices.school if draft.choices.school in schools else ""


class Comparison(Struct, frozen=True, kw_only=True):
    """What loading the draft would do. `blocking` counts the doubts that stand against it; `whole` None: it has to be
    said whether those who are missing leave. `document` is what would be in force, None while something blocks."""

    doubts: tuple[DoubtfulCell, ...]
    differences: tuple[PupilDifference, ...]
    school: str
    whole: bool | None
    rows: int
    document: RosterDocument | None = None
    cards: tuple[tuple[bytes, bytes], ...] = ()
    """What the file says of cards: the reference of a card or of its holder, and the pupil."""
    loaded: int = 0
    """The sequence of the list it became; 0 while it is not loaded."""

    def __repr__(self) -> str:
        return f"Comparison({self.rows} rows, {self.blocking} doubts)"

    @property
    def blocking(self) -> int:
        """How many doubts have to be settled first."""
        return sum(doubt.blocks for doubt in self.doubts)


def compare(draft: PupilDraft, school: SchoolNow) -> Comparison:
    """Check the draft and compare it with the list in force; changes nothing."""
    checked = check_rows(draft, school.policy, school.today)
    name, roster, choices = school.school_of(draft), school.roster, draft.choices
    matching = match_pupils(checked, roster, choices, school.policy, name, school.refs, school.today)
    whole = leave(matching, roster, choices)
    doubts = (*_through_doubts(choices, school), *checked.doubts, *matching.doubts)
    doubts += tuple(new_classes(checked, roster))
    doubts = tuple(sorted(doubts, key=lambda doubt: (not doubt.blocks, doubt.line)))
    maker = _Maker(draft, school)
    after = tuple(maker.pupil(one) for one in matching.matched)
    stands = any(doubt.blocks for doubt in doubts) or not name or whole is None or not matching.matched
    return Comparison(
        doubts=doubts,
        differences=differences(after, matching, whole=whole is not False),
        school=name,
        whole=whole,
        rows=len(checked.pupils),
        cards=tuple(
            (bytes.fromhex(one.stated.card), bytes.fromhex(one.ref))
            for one in matching.matched
            if one.stated.card
        ),
        document=None if stands else _document(after, matching, maker, name, whole=bool(whole)),
    )


def _through_doubts(choices: Choices, school: SchoolNow) -> tuple[DoubtfulCell, ...]:
    """What stands against the row up to which the balances in the file are said to count."""
    if choices.through is None or school.left <= choices.through <= school.head:
        return ()
    values = {"first": school.left, "last": school.head}
    return (doubtful(PupilDoubt.NO_SUCH_ROW, -1, 0, "", text=str(choices.through), values=values),)


def _document(
    after: tuple[RosterPupil, ...], matching: Matching, maker: _Maker, name: str, *, whole: bool
) -> RosterDocument:
    school = maker.school
    kept = () if whole else tuple(maker.brought_forward(pupil) for pupil in matching.missing)
    before = None if school.roster is None else school.roster.header
    through = {} if before is None else dict(before.through)
    if maker.through is not None:
        through[str(school.terminal)] = maker.through
    header = RosterHeader(
        kind="roster",
        schema=SCHEMA_VERSION,
        school=name,
        region=school.policy.document.header.region,
        sequence=1 if before is None else before.sequence + 1,
        issued_at=school.now,
        valid_from=school.now,
        valid_to=school.now + timedelta(days=LASTS_DAYS),
        grades_on=school.today,
        through=through,
    )
    return RosterDocument(header=header, pupils=(*after, *kept))


def _spelled(stated: str, known: str) -> str:
    """The name as stated, unless it only lacks the ё that is known."""
    return known if "ё" in known.casefold() and plain(stated) == plain(known) else stated


class _Maker:
    """Makes pupils of rows, each with what is known of him so far."""

    def __init__(self, draft: PupilDraft, school: SchoolNow) -> None:
        self.choices = draft.choices
        self.school = school
        self.primary = next(
            (
                code
                for code, rules in school.policy.meals.rules.items()
                if any(rule.entitlement.rule == PRIMARY_RULE for rule in rules)
            ),
            None,
        )
        self.through = self._through()
        """Up to which row the balances of the new list count; None where they stay as they were stated, because rows
        that moved them have left this terminal uncounted."""

    def pupil(self, one: MatchedPupil) -> RosterPupil:
        """The pupil as he would stand in the new list."""
        stated, before = one.stated, one.before
        if before is None:
            before = RosterPupil(
                ref=one.ref,
                class_id=stated.class_id or "?",
                grade=stated.grade,
                shift=1,
                hot_minor=0,
                buffet_minor=0,
            )
        else:
            before = self.brought_forward(before)
        return msgspec.structs.replace(
            before,
            name=_spelled(stated.name, before.name),
            class_id=stated.class_id or "?",
            grade=stated.grade,
            shift=stated.shift or before.shift,
            number=stated.number or before.number,
            born=stated.born or before.born,
            home_schooled=before.home_schooled if stated.home is None else stated.home,
            grants=self._grants(stated, before),
            hot_minor=before.hot_minor if stated.hot_minor is None else stated.hot_minor,
            buffet_minor=before.buffet_minor if stated.buffet_minor is None else stated.buffet_minor,
        )

    def brought_forward(self, pupil: RosterPupil) -> RosterPupil:
        """His accounts as they stood after row `through`; grade and class as the year has moved them (M-20)."""
        school = self.school
        assert school.roster is not None, "the pupil is of the list in force"
        header = school.roster.header
        grade = school.policy.meals.grade_on(pupil.grade, header.grades_on, school.today)
        pupil = msgspec.structs.replace(pupil, grade=min(grade, LAST_KEPT))
        if self.through is None:
            return pupil
        before = (school.terminal, header.through.get(str(school.terminal), 0))
        at, ref, ledger = (school.terminal, self.through), bytes.fromhex(pupil.ref), school.ledger
        hot, buffet = pupil.hot_minor, pupil.buffet_minor
        if hot is not None:
            hot = hot_minor(hot, ref, ledger, before) - hot_minor(0, ref, ledger, at)
        if buffet is not None:
            buffet = buffet_minor(buffet, ref, ledger, before) - buffet_minor(0, ref, ledger, at)
        return msgspec.structs.replace(pupil, hot_minor=hot, buffet_minor=buffet)

    def _through(self) -> int | None:
        school = self.school
        counted = 0
        if school.roster is not None:
            counted = school.roster.header.through.get(str(school.terminal), 0)
        if self.choices.through is not None:
            return min(self.choices.through, school.head)
        return None if school.left > counted else school.head

    def _grants(self, stated: SheetPupil, before: RosterPupil) -> tuple[RosterGrant, ...]:
        """What the file states; a ground that is in force already stays as it was issued."""
        codes = {grant.code for grant in before.grants} if stated.codes is None else set(stated.codes)
        if self.choices.primary and self.primary is not None and stated.grade in PRIMARY:
            codes.add(self.primary)
        held = {grant.code: grant for grant in before.grants}
        return tuple(self._grant(code, stated, held) for code in sorted(codes))

    def _grant(self, code: int, stated: SheetPupil, held: Mapping[int, RosterGrant]) -> RosterGrant:
        today = self.school.today
        known = held.get(code)
        dated = stated.grant_from is not None or stated.grant_until is not None
        if known is not None and not dated and known.valid_to >= today and not known.blocked:
            return known
        first = stated.grant_from or today
        return RosterGrant(
            code=code,
            valid_from=first,
            valid_to=max(stated.grant_until or self.school.policy.meals.year_ends(today), first),
            issued_on=today,
        )
