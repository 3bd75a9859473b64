"""What is put right during and after serving (M-32 to M-35). Each is a record of its own; no row is ever changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.ledger import Meal
from terminal.canteen.lines import require
from terminal.clock import from_unix_ms, unix_ms
from terminal.codes import CanteenFault
from terminal.decision.canteen.effects import CorrectionEffect
from terminal.decision.canteen.entitlement import entitlement
from terminal.decision.canteen.undo import (
    against_annulment,
    against_attendance,
    against_not_collected,
    against_single_issue,
)
from terminal.decision.tap import Trail
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import Annulment, AttendanceCorrected, CardLent, NotCollected
from terminal.policy.document.meals import PAID
from terminal.trip.pupil import Pupil


def annul(
    counter: CanteenCounter,
    pupil: bytes,
    operator: str,
    now: datetime,
    *,
    of: int | None = None,
    confirmed_by: str = "",
) -> Annulment:
    """Annul the last meal or sale of `pupil`, or exactly row `of`, which then must be the last (M-34); after the
    document's time a second person confirms it.

    What the parents paid goes back to the account it came from; subsidy is only no longer claimed (M-03). Raises
    `CanteenRefused` when there is none, it is too late, or the day is closed.
    """
    counter.follow()
    newest = counter.ledger.newest_of(pupil)
    if newest is None:
        raise CanteenRefused(
            "this pupil has no meal or sale here", "Check the reference.", CanteenFault.NOTHING_TO_ANNUL
        )
    served_at = from_unix_ms(newest.at_ms)
    over = newest.day in counter.ledger.closed_days or newest.day != counter.day_of(now).isoformat()
    last = of in (None, newest.row[1])
    require(
        against_annulment(
            served_at,
            now,
            counter.policy.meals,
            last=last,
            day_closed=over,
            confirmed=against_single_issue(operator, confirmed_by) is None,
        ),
        counter.policy.currency,
    )
    record = Annulment(
        at_ms=unix_ms(now),
        pupil=pupil,
        of=newest.row[1],
        day=newest.day,
        operator=operator,
        shift=counter.shift,
        returned_minor=newest.parents_minor if isinstance(newest, Meal) else newest.sale.sum_minor,
        currency=counter.policy.currency,
        confirmed_by=confirmed_by,
    )
    counter.append(record)
    return record


def annul_list(
    counter: CanteenCounter,
    meals: Iterable[tuple[int, bytes]],
    operator: str,
    now: datetime,
    confirmed_by: str = "",
) -> list[Annulment]:
    """Annul what a list wrote, by row and pupil, except what was annulled or followed by another record since.

    Raises `CanteenRefused` when it is too late for the first of them; then nothing was annulled.
    """
    counter.follow()
    left = []
    for row, pupil in meals:
        newest = counter.ledger.newest_of(pupil)
        if newest is not None and newest.row[1] == row:
            left.append((row, pupil))
    return [annul(counter, pupil, operator, now, of=row, confirmed_by=confirmed_by) for row, pupil in left]


def mark_not_collected(
    counter: CanteenCounter, kind_id: str, operator: str, now: datetime
) -> list[NotCollected]:
    """Mark today's orders of a meal that were not collected; its serving must be over (M-32).

    Raises `CanteenRefused`; marking twice marks nothing more.
    """
    counter.follow()
    roster, kind = counter.require_roster(), counter.require_kind(kind_id)
    window = counter.policy.meals.window(kind, counter.school)
    require(against_not_collected(counter.time_of(now), window.served_until), counter.policy.currency)
    require(counter.against_serving(now), counter.policy.currency)
    day, marked = counter.day_of(now), []
    for ref in roster.pupils:
        pupil = counter.pupil(ref, now)
        if pupil is None or kind_id not in pupil.orders:
            continue
        record = NotCollected(
            at_ms=unix_ms(now),
            pupil=ref,
            school=pupil.school,
            class_id=pupil.class_id,
            kind=kind_id,
            day=day.isoformat(),
            category=category_of(counter, pupil, kind_id, day),
            operator=operator,
            shift=counter.shift,
        )
        counter.append(record)
        marked.append(record)
    return marked


def category_of(counter: CanteenCounter, pupil: Pupil, kind: str, day: date) -> str:
    """The category under which a portion of `kind` would be given."""
    right = entitlement(pupil, counter.policy.meals, day, Trail())
    return right.category if kind in right.portions else PAID


def correct_attendance(
    counter: CanteenCounter, absent: Iterable[bytes], present: Iterable[bytes], operator: str, now: datetime
) -> list[AttendanceCorrected]:
    """Say who is not there today, and who is after all (M-33). Raises `CanteenRefused` when it is too late."""
    counter.follow()
    roster, day = counter.require_roster(), counter.day_of(now)
    local = now.astimezone(counter.policy.zone)
    require(against_attendance(local, day, counter.policy.meals), counter.policy.currency)
    changes = dict.fromkeys(absent, True) | dict.fromkeys(present, False)
    for ref in changes:
        counter.require_listed(ref)
    records = [
        AttendanceCorrected(
            at_ms=unix_ms(now),
            pupil=ref,
            school=counter.school,
            class_id=roster.pupils[ref].class_id,
            day=day.isoformat(),
            absent=is_absent,
            operator=operator,
            shift=counter.shift,
        )
        for ref, is_absent in changes.items()
        if counter.ledger.absent(ref, day.isoformat()) != is_absent
    ]
    for record in records:
        counter.append(record)
    return records


def lend_card(
    counter: CanteenCounter, card_ref: bytes, pupil: bytes, operator: str, confirmed_by: str, now: datetime
) -> CardLent:
    """For today let the card `card_ref` stand for `pupil`, who forgot his own (M-35).

    Raises `CanteenRefused` without a second person, for a card that was never presented here (whose it is cannot be
    known from its reference), that is a pupil's own, or that is lent today already.
    """
    counter.follow()
    roster, day = counter.require_roster(), counter.day_of(now).isoformat()
    require(against_single_issue(operator, confirmed_by), counter.policy.currency)
    counter.require_listed(pupil)
    owner = counter.ledger.owner_of(card_ref)
    if owner is None:
        raise CanteenRefused(
            "this card was not presented here",
            "Hold the spare card against the terminal first.",
            CorrectionEffect.CARD_NOT_PRESENTED,
        )
    if owner in roster.pupils:
        raise CanteenRefused(
            "this card is a pupil's own",
            "Lend one of the school's spare cards.",
            CorrectionEffect.PUPILS_OWN_CARD,
        )
    if counter.ledger.holder_of(card_ref, owner, day) not in (owner, pupil):
        raise CanteenRefused(
            "this card is lent to another pupil today",
            "Lend another one.",
            CorrectionEffect.CARD_LENT_ALREADY,
        )
    record = CardLent(
        at_ms=unix_ms(now),
        card_ref=card_ref,
        pupil=pupil,
        day=day,
        operator=operator,
        confirmed_by=confirmed_by,
    )
    counter.append(record)
    return record
