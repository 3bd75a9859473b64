"""A recorded tap decided again: from what was read from the card, what the terminal knew, and the document.

The row holds the raw rights and the raw newest event, whether anything was written or not (of a written tap they are
part of the card's own proof), so nothing has to be believed: the same `decide` must come to the same event, byte for
byte, and to the same message, charge and trail. What was decided by a list of the terminal needs that very list.

The card's UID is in no record, and one rule looks at it: that a card is on the deny list as such cannot be checked
against any list, only that everything else follows from it. A phone's row has the credential, and can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from cardproto.desfire.commands import (
    INS_READ_DATA,
    INS_READ_DATA_NATIVE,
    INS_READ_RECORDS,
    INS_READ_RECORDS_NATIVE,
)
from cardproto.errors import FormatError
from cardproto.resident.layout import FILE_EVENTS, FILE_RIGHTS
from cardproto.resident.records.event import build_event, parse_event
from cardproto.resident.records.rights import parse_rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.codes import Admission, TicketKind
from terminal.decision.bank_row import MARK, bank_row_of
from terminal.decision.bank_row import PARTS as BANK_PARTS
from terminal.decision.bus.bank import NEVER_EXPIRES, BankSnapshot
from terminal.decision.bus.cash import decide_cash
from terminal.decision.canteen.serving import ALL_ANSWERED, Agreed, MealRefusal, decide_listed, mark_list
from terminal.decision.decide import decide
from terminal.decision.flags import MealFlag, TapFlag
from terminal.decision.meal import Serving
from terminal.decision.outcome import (
    DENY_BANK,
    DENY_CARD,
    DENY_MEDIUM,
    DENY_PERSON,
    DENY_REFERENCE,
    GRANTS,
    Decision,
    Message,
)
from terminal.decision.phone import PhoneSnapshot, decide_phone
from terminal.decision.phone_record import recorded_phone, shown_in, snapshot_again
from terminal.decision.tap import Trail
from terminal.policy.deny_list import EMPTY_DENY_LIST, AllDenied, DenyKind, DenyList, medium_moved
from terminal.policy.grants import NO_GRANTS, GrantList
from terminal.policy.policy import Policy
from terminal.trail import TrailEntry, recorded
from terminal.trip.facts import Trip
from terminal.trip.pupil import Pupil
from terminal.trip.stated import PUPIL, Fact, UnknownFact, restore

NO_UID: Final = bytes(7)
WHAT_IS_READ: Final = (
    ((INS_READ_DATA, INS_READ_DATA_NATIVE), FILE_RIGHTS),
    ((INS_READ_RECORDS, INS_READ_RECORDS_NATIVE), FILE_EVENTS),
)
"""By which commands a tap reads what it decides from; an EV1 card knows the native ones only."""
READ_BY: Final = {
    (code, bytes((file_no,))): place for place, (codes, file_no) in enumerate(WHAT_IS_READ) for code in codes
}
"""What is read, by its place there, under the command's code and the file it names."""

SAID_BY: Final = {
    DenyKind.PERSON: DENY_PERSON,
    DenyKind.REFERENCE: DENY_REFERENCE,
    DenyKind.MEDIUM: DENY_MEDIUM,
    DenyKind.CARD: DENY_CARD,
}
"""The name under which a row states the deny list, by what that was asked about."""

Command = tuple[int, bytes, bytes]
"""INS, header and plain data of one command of the card's transaction."""


class RecordedTap(Struct, frozen=True):
    """What a row holds of one tap. `trip` has what the row states in fields of its own, `known` what else the terminal
    knew. `read` is (rights, event) as on the card; `event` what was to be written, empty for nothing. `states` is what
    else the row says of the decision, by the names of `_following`.
    """

    at: datetime
    trip: Trip
    known: Mapping[str, Fact]
    read: tuple[bytes, ...]
    event: bytes
    charge_minor: int
    message: str
    admission: Admission
    reasons: tuple[TrailEntry, ...]
    flags: tuple[str, ...]
    lists: Mapping[str, str]
    states: Mapping[str, object] = field(default_factory=dict)
    reference: bytes = b""
    """The card's, as the row states it."""


class Deviation(Struct, frozen=True):
    """One thing the record says and its own inputs do not lead to."""

    what: str
    recorded: object
    recomputed: object


class RecordedCash(Struct, frozen=True):
    """What a record holds of one cash sale."""

    at: datetime
    trip: Trip
    known: Mapping[str, Fact]
    persons: int
    sum_minor: int
    reasons: tuple[TrailEntry, ...]
    flags: tuple[str, ...]
    ticket: TicketKind = TicketKind.FULL


class RecordedPortion(Struct, frozen=True):
    """What a row holds of a portion given without a card: `portion` as `_portion` has one. `ordered`: it was served to
    those alone who had ordered it.
    """

    at: datetime
    kind: str
    portion: tuple[object, ...]
    flags: tuple[str, ...]
    ordered: bool
    reasons: tuple[TrailEntry, ...]


class RecomputeGap(StrEnum):
    """What is missing where a record cannot be decided again."""

    NOTHING_READ = "nothing_read"
    """The tap ended before a decision, or another medium decided it."""
    CARD = "card"
    """What was read from the card is incomplete or not understood."""
    FACTS = "facts"
    """What the terminal knew is not understood."""
    TIME = "time"
    """No calendar has the record's time."""
    REGION = "region"
    """The document that was in force is not at hand."""
    UNNAMED = "unnamed"
    """No row says which document was in force."""
    FEED = "feed"
    """The document is at hand, the tables of its feed are not."""
    UNUSABLE = "unusable"
    """The document, or a list, is at hand and cannot be used by this software."""
    FAILED = "failed"
    """Deciding failed: the record states what no terminal of this software states."""
    ROSTER = "roster"
    GRANTS = "grants"
    DENY_LIST = "deny_list"
    UID = "uid"
    """Which card it was: no record holds that."""


class CannotRecompute(Exception):
    """The record does not hold all a decision needs, or it is not at hand: `gap` says what, the text in words."""

    def __init__(self, gap: RecomputeGap, what: str) -> None:
        super().__init__(what)
        self.gap = gap


def recompute(tap: RecordedTap, policy: Policy, pupil: Pupil | None = None) -> list[Deviation]:
    """Decide `tap` again under `policy`; return where the record deviates, nothing when it follows.

    `pupil` is what the roster said, where one was asked. The lists of `policy` count where they are those the row
    names. Raises `CannotRecompute`, for a tap refused by a deny list that cannot be asked after all else was compared.
    """
    if PUPIL in tap.known and pupil is None:
        raise CannotRecompute(RecomputeGap.ROSTER, "decided with a school roster that is not at hand")
    as_then, trip = as_recorded(policy, tap.lists), _trip(tap, pupil)
    bank = _bank_of(tap)
    if bank is not None:
        decision = decide(bank, as_then, trip, tap.at)
        return list(_deviations(tap, bank, decision)) or _bank_denied_otherwise(tap, policy.bank_deny_list)
    snapshot = _phone_of(tap, policy) or snapshot_of(tap.read, tap.reference)
    if isinstance(snapshot, PhoneSnapshot):
        decision = decide_phone(snapshot, as_then, trip, tap.at)
    else:
        decision = decide(snapshot, as_then, trip, tap.at)
    return list(_deviations(tap, snapshot, decision)) or _denied_otherwise(
        tap.lists, snapshot, policy.deny_list
    )


def as_recorded(policy: Policy, lists: Mapping[str, str]) -> Policy:
    """`policy` with the lists saying what the row says: which of them spoke of the card. Raises `CannotRecompute` when
    the list of grants is needed and is not that of `policy`."""
    grants: GrantList = NO_GRANTS
    if GRANTS in lists:
        grants = policy.grants
        if grants.name != lists[GRANTS]:
            raise CannotRecompute(
                RecomputeGap.GRANTS, "decided with the terminal's own list of grants, which is not at hand"
            )
    said = {kind: lists[name] for kind, name in SAID_BY.items() if name in lists}
    denied = AllDenied(next(iter(said.values())), frozenset(said)) if said else EMPTY_DENY_LIST
    bank = EMPTY_DENY_LIST
    if DENY_BANK in lists:
        bank = AllDenied(lists[DENY_BANK], frozenset({DenyKind.BANK_CARD}))
    return replace(policy, deny_list=denied, bank_deny_list=bank, grants=grants)


def _bank_denied_otherwise(tap: RecordedTap, at_hand: DenyList) -> list[Deviation]:
    """Whether the card is on the list that refused it. It may be there under the token of an epoch before, or as its
    account, which no record states."""
    name = tap.lists.get(DENY_BANK)
    if name is None or (at_hand.name == name and at_hand.contains(DenyKind.BANK_CARD, tap.reference)):
        return []
    gap = RecomputeGap.UID if at_hand.name == name else RecomputeGap.DENY_LIST
    raise CannotRecompute(gap, f"refused by deny list {name}, and the token alone does not show it")


def _denied_otherwise(lists: Mapping[str, str], snapshot: CardSnapshot, at_hand: DenyList) -> list[Deviation]:
    """Whether the holder is on the deny list that refused the tap; raises `CannotRecompute` without that list, and
    where it was the card that is on it."""
    if DENY_CARD in lists and not isinstance(snapshot, PhoneSnapshot):
        raise CannotRecompute(
            RecomputeGap.UID,
            f"refused by deny list {lists[DENY_CARD]} for this card, and no record says which it is; the rest follows",
        )
    uid, reference = snapshot.uid, snapshot.reference
    asked: dict[str, Callable[[], bool]] = {
        DENY_PERSON: lambda: at_hand.contains(DenyKind.PERSON, snapshot.rights.pseudonym),
        DENY_REFERENCE: lambda: at_hand.contains(DenyKind.REFERENCE, reference),
        DENY_MEDIUM: lambda: medium_moved(at_hand, uid, reference),
        DENY_CARD: lambda: at_hand.contains(DenyKind.CARD, uid),
    }
    name = next((one for one in asked if one in lists), None)
    if name is None:
        return []
    if at_hand.name != lists[name]:
        raise CannotRecompute(
            RecomputeGap.DENY_LIST,
            f"refused by deny list {lists[name]}, which is not at hand; the rest follows",
        )
    if asked[name]():
        return []
    return [Deviation(name, recorded=True, recomputed=False)]


def recompute_cash(sale: RecordedCash, policy: Policy) -> list[Deviation]:
    """Price `sale` again under `policy`; return where the record deviates."""
    decision = decide_cash(policy, _trip(sale), sale.persons, sale.at, sale.ticket)
    pairs = (
        ("sum_minor", sale.sum_minor, decision.sum_minor),
        ("reasons", sale.reasons, recorded(decision.facts)),
        ("flags", sale.flags, decision.flags),
    )
    return [Deviation(*pair) for pair in pairs if pair[1] != pair[2]]


def recompute_portion(given: RecordedPortion, policy: Policy, pupil: Pupil | None) -> list[Deviation]:
    """Decide again whether `pupil` gets the portion, and who pays; return where the record deviates. Raises
    `CannotRecompute` where it is not known what the roster said.
    """
    if pupil is None:
        raise CannotRecompute(RecomputeGap.ROSTER, "decided with a school roster that is not at hand")
    kind = policy.meals.kinds.get(given.kind)
    if kind is None:
        return [Deviation("meal", given.kind, None)]
    trail, suspect = Trail(), TapFlag.CLOCK_SUSPECT in given.flags
    mark_list(policy.document, given.at, trail, clock_suspect=suspect)
    day = policy.service_date(given.at.astimezone(policy.zone))
    elsewhere = 1 << kind.bit if MealFlag.SERVED_ELSEWHERE in given.flags else 0
    meal = decide_listed(
        pupil,
        kind,
        day,
        policy.meals,
        trail,
        ordered=given.ordered,
        clock_suspect=suspect,
        agreed=Agreed(ALL_ANSWERED.intersection(given.flags), elsewhere),
    )
    if isinstance(meal, MealRefusal):
        return [Deviation("message", str(Message.MEAL_OK), str(meal.message))]
    pairs = (
        ("meal", given.portion, _portion(meal)),
        ("reasons", given.reasons, recorded(trail.reasons)),
    )
    return [Deviation(*pair) for pair in pairs if pair[1] != pair[2]]


def _trip(record: RecordedTap | RecordedCash, pupil: Pupil | None = None) -> Trip:
    try:
        return restore(record.trip, record.known, pupil)
    except UnknownFact as error:
        raise CannotRecompute(
            RecomputeGap.FACTS, f"what the terminal knew is not understood: {error}"
        ) from error


def _phone_of(tap: RecordedTap, policy: Policy) -> PhoneSnapshot | None:
    record = recorded_phone(tap.read)
    if record is None:
        return None
    try:
        return snapshot_again(record, policy.document.header.region, tap.reference, tap.at)
    except FormatError as error:
        raise CannotRecompute(
            RecomputeGap.CARD, f"what the phone showed is not understood: {error}"
        ) from error


def _bank_of(tap: RecordedTap) -> BankSnapshot | None:
    try:
        row = bank_row_of(tap.read)
        if row is None:
            return None
        return BankSnapshot(
            token=tap.reference,
            expires_on=row.expires_on or NEVER_EXPIRES,
            authenticated=row.genuine,
            event=parse_event(row.event) if row.event else None,
            second=row.second,
        )
    except FormatError as error:
        raise CannotRecompute(
            RecomputeGap.CARD, f"what the bank card showed is not understood: {error}"
        ) from error


def snapshot_of(read: tuple[bytes, ...], reference: bytes = b"") -> CardSnapshot:
    """The card as it was read; raises `CannotRecompute`."""
    if len(read) != len(WHAT_IS_READ):
        raise CannotRecompute(RecomputeGap.CARD, "what was read from the card is not in the record")
    rights, event = read
    try:
        return CardSnapshot(NO_UID, parse_rights(rights), parse_event(event), reference)
    except FormatError as error:
        raise CannotRecompute(
            RecomputeGap.CARD, f"what was read from the card is not understood: {error}"
        ) from error


def read_of(proof: tuple[Command, ...]) -> tuple[bytes, ...]:
    """What was read from the card, from the first commands of its transaction, or what a phone or bank card showed."""
    if len(proof) == BANK_PARTS and proof[0][2] == MARK:
        return tuple(data for _, _, data in proof)
    if (phone := shown_in(proof)) is not None:
        return phone.parts
    found: dict[int, bytes] = {}
    for ins, header, data in proof:
        place = READ_BY.get((ins, header[:1]))
        if place is not None and place not in found:
            found[place] = data
            if len(found) == len(WHAT_IS_READ):
                break
    return tuple(found[place] for place in sorted(found))


def _deviations(
    tap: RecordedTap, snapshot: CardSnapshot | BankSnapshot, decision: Decision
) -> Iterator[Deviation]:
    plan, outcome = decision.write_plan, decision.outcome
    event = b"" if plan is None else build_event(plan.event)
    for what, before, again in (
        ("event", tap.event.hex(), event.hex()),
        ("charge_minor", tap.charge_minor, outcome.charge_minor),
        ("message", tap.message, str(outcome.message)),
        ("admission", tap.admission.value, outcome.admission.value),
        ("reasons", tap.reasons, recorded(decision.facts)),
        ("flags", tap.flags, decision.flags),
        ("lists", tap.lists, decision.lists),
    ):
        if before != again:
            yield Deviation(what, before, again)
    following = _following(snapshot, decision)
    for what, stated in tap.states.items():
        if stated != following[what]:
            yield Deviation(what, stated, following[what])


def _following(snapshot: CardSnapshot | BankSnapshot, decision: Decision) -> Mapping[str, object]:
    """What else follows from the card and the decision, as rows state it."""
    plan, meal, last = decision.write_plan, decision.meal, snapshot.event
    return {
        "previous": (0, 0) if last is None else (last.terminal, last.sequence),
        "balance_before_minor": 0 if last is None else last.balance_after_minor,
        "balance_after_minor": None if plan is None else plan.event.balance_after_minor,
        "paid_by": None if plan is None else int(plan.paid_by),
        "values": dict(decision.outcome.values),
        "meal": None if meal is None else _portion(meal),
    }


def _portion(meal: Serving) -> tuple[object, ...]:
    day, sources = meal.day.isoformat(), dict(meal.sources)
    return (meal.school, meal.class_id, meal.kind, day, sources, meal.category, meal.flags)
