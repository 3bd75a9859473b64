"""A sale at the buffet: the parents' own account, their limits and what they forbade (M-01, M-02, M-36).

No entitlement reaches the buffet and its account never goes below zero, so unlike a hot meal a sale is refused
when what is known of the account is too old.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from terminal.codes import Admission
from terminal.decision.canteen.effects import AccountEffect
from terminal.decision.flags import MealFlag
from terminal.decision.meal import BasketLine
from terminal.decision.outcome import Message, Outcome
from terminal.decision.tap import Trail
from terminal.trail import Effect, Reason
from terminal.trip.pupil import Age, Pupil


class SaleDecision(Struct, frozen=True):
    """`sold_minor` leaves the buffet account when the outcome is accepted; `forbidden` names what to take out."""

    outcome: Outcome
    sold_minor: int
    facts: tuple[Reason, ...]
    flags: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()


def decide_sale(
    pupil: Pupil, basket: Sequence[BasketLine], trail: Trail, *, stopped: Effect | None = None
) -> SaleDecision:
    """Return whether `pupil` may buy all of `basket`; it is sold whole or not at all. `stopped`: why nothing may be."""
    sum_minor = sum(line.sum_minor for line in basket)
    forbidden = tuple(line.product for line in basket if line.foods & pupil.forbidden)
    message = _refusal(pupil, sum_minor, forbidden, trail, stopped)
    if message is not None:
        outcome = Outcome(message, Admission.REFUSED)
        return SaleDecision(outcome, 0, tuple(trail.reasons), forbidden=forbidden)
    trail.note(AccountEffect.FROM_BUFFET_ACCOUNT, {"sum_minor": sum_minor})
    flags = [MealFlag.STALE_ROSTER] if pupil.age is Age.STALE else []
    if pupil.buffet is not None and pupil.buffet.uncertain:
        flags.append(MealFlag.BALANCE_UNCERTAIN)
    outcome = Outcome(Message.MEAL_OK, Admission.LET_IN)
    return SaleDecision(outcome, sum_minor, tuple(trail.reasons), (*trail.flags, *flags))


def _refusal(
    pupil: Pupil, sum_minor: int, forbidden: tuple[str, ...], trail: Trail, stopped: Effect | None
) -> Message | None:
    if stopped is not None:
        trail.note(stopped)
        return Message.SELLING_STOPPED
    if pupil.buffet is None or pupil.age is Age.EXPIRED:
        unknown = pupil.buffet is None
        trail.note(AccountEffect.NO_BUFFET_ACCOUNT if unknown else AccountEffect.ROSTER_EXPIRED)
        return Message.ONLINE_ONLY
    if forbidden:
        for product in forbidden:
            trail.note(AccountEffect.EXCLUDED, {"product": product})
        return Message.MEAL_FORBIDDEN
    if _over_limit(pupil, sum_minor, trail):
        return Message.MEAL_LIMIT
    if sum_minor > pupil.buffet.balance_minor:
        trail.note(
            AccountEffect.NO_CREDIT,
            {"balance_minor": pupil.buffet.balance_minor, "sum_minor": sum_minor},
        )
        return Message.NO_FUNDS
    return None


def _over_limit(pupil: Pupil, sum_minor: int, trail: Trail) -> bool:
    limits = pupil.limits
    for limit_minor, spent_minor, effect in (
        (limits.buffet_minor, pupil.spent_buffet_minor, AccountEffect.BUFFET_LIMIT),
        (limits.day_minor, pupil.spent_minor, AccountEffect.DAY_LIMIT),
    ):
        if limit_minor is not None and spent_minor + sum_minor > limit_minor:
            trail.note(effect, {"limit_minor": limit_minor, "spent_minor": spent_minor})
            return True
    return False
