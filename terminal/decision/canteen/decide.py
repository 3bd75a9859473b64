"""A tap in the canteen: what is served now, what this card's pupil gets of it, and what the card then holds.

Card and roster together say who eats (O-02); the meals of the day are those the card remembers and those this
terminal served without it (M-19). The passenger's message does not depend on who pays (M-38).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from cardproto.resident.records.event import EventKind, PaidBy
from cardproto.resident.records.rights import Rights
from terminal.codes import Admission
from terminal.decision.canteen.effects import MealEffect
from terminal.decision.canteen.entitlement import newest_of
from terminal.decision.canteen.serving import Agreed, MealRefusal, decide_portion, kind_for, stopped_by
from terminal.decision.flags import MealFlag
from terminal.decision.meal import Serving
from terminal.decision.outcome import NO_VALUES, Decision, Message, Outcome
from terminal.decision.tap import Tap, Trail, accept
from terminal.policy.document.meals import MealKind
from terminal.trip.pupil import MealGrant, Pupil


def decide_meal(tap: Tap, trail: Trail) -> Decision:
    """Return the decision on one tap in the canteen; the card as such has been accepted."""
    canteen = tap.trip.canteen
    if canteen.day_closed:
        trail.note(MealEffect.DAY_CLOSED, {"day": tap.service_date.isoformat()})
        return trail.refuse(Message.SERVING_CLOSED)
    if _lost(tap, trail):
        return trail.refuse(Message.BLOCKED)
    if canteen.only_read:
        trail.note(MealEffect.ONLY_READ)
        return trail.repeat(Message.CARD_READ, Admission.INSIDE)
    pupil = _pupil(tap, trail)
    shift = pupil.shift or _shift_on_card(tap)
    stopped = stopped_by(
        tap.policy.document, tap.at, journal=canteen.paid_stopped, clock_suspect=tap.trip.clock.suspect
    )
    day, at, suspect = tap.service_date, tap.local.time(), not tap.periods.trusted
    kind = kind_for(pupil, tap.policy.meals, canteen.serving, shift, day, at, trail, clock_suspect=suspect)
    if isinstance(kind, MealRefusal):
        return trail.refuse(kind.message)
    meal = decide_portion(
        pupil,
        kind,
        day,
        tap.policy.meals,
        trail,
        stopped=stopped,
        clock_suspect=suspect,
        agreed=Agreed(elsewhere=canteen.elsewhere),
    )
    if isinstance(meal, MealRefusal):
        return trail.refuse(meal.message, {"meal": meal.meal} if meal.meal else NO_VALUES)
    return _serve(tap, trail, kind, pupil, meal)


def _lost(tap: Tap, trail: Trail) -> bool:
    """M-35: the card was reported lost here, or a card issued before the pupil's present one was."""
    if tap.trip.canteen.lost_since:
        trail.note(MealEffect.LOST_CARD, {"since": tap.trip.canteen.lost_since})
        return True
    pupil = tap.trip.canteen.pupil
    if pupil is None or pupil.cards_since is None or tap.snapshot.rights.issued_on >= pupil.cards_since:
        return False
    trail.note(MealEffect.LOST_CARD, {"since": pupil.cards_since.isoformat()})
    return True


def _pupil(tap: Tap, trail: Trail) -> Pupil:
    """What roster and card say of the pupil, together."""
    known = tap.trip.canteen.pupil
    if known is None:
        return Pupil(
            ref=b"",
            school=tap.trip.canteen.school,
            grants=tuple(grants_on(tap.snapshot.rights)),
            served=tap.meals,
        )
    return replace(
        known,
        grants=newest_of(grants_on(tap.snapshot.rights), known.grants, trail),
        served=tap.meals & ~known.annulled | known.served,
    )


def grants_on(rights: Rights) -> Iterator[MealGrant]:
    """The card's concessions; the parameter's low four bits are the grade, the high four the shift."""
    for concession in rights.concessions:
        if concession is not None:
            yield MealGrant(
                code=concession.code,
                valid_from=concession.valid_from,
                valid_to=concession.valid_to,
                issued_on=rights.issued_on,
                grade=concession.parameter & 0x0F,
                shift=concession.parameter >> 4,
            )


def _shift_on_card(tap: Tap) -> int:
    return next((grant.shift for grant in grants_on(tap.snapshot.rights) if grant.shift), 1)


def _serve(tap: Tap, trail: Trail, kind: MealKind, pupil: Pupil, meal: Serving) -> Decision:
    if tap.trip.canteen.school and (known := tap.trip.canteen.pupil) is not None and not known.listed:
        meal = replace(meal, flags=(*meal.flags, MealFlag.NOT_IN_ROSTER))
    outcome = Outcome(Message.MEAL_OK, Admission.LET_IN, values={"meal": kind.id})
    paid_by = PaidBy.BUDGET if meal.entitled else PaidBy.NOTHING
    decision = accept(tap, trail, outcome, EventKind.MEAL, paid_by, meals=pupil.served | 1 << kind.bit)
    return replace(decision, meal=meal, flags=(*decision.flags, *meal.flags))
