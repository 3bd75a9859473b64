"""How old what a tap goes by is: from the times of issue of lists and document in force, and the clock (O-03)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from terminal.policy.document.schema import Ages
from terminal.policy.policy import Policy
from terminal.trip.facts import FRESH, ClockState, Freshness

DAY_S: Final = 24 * 3600


def freshness_of(
    policy: Policy, now: datetime, clock: ClockState, bundles_at: datetime | None = None
) -> Freshness:
    """The ages at `now` (aware). By a suspect clock nothing is old, and nothing is young: no age is stated.

    The document's age counts only where it says itself when it is old (`[ages] document_stale_days`), that of signed
    bundles, the newest of which were signed `bundles_at`, only where they are too old for something.
    """
    if clock.suspect:
        return FRESH
    document = policy.document
    issued_at = document.header.issued if document.ages.document_stale_days is not None else None
    return Freshness(
        deny_list_age_s=_age_s(policy.deny_list.issued_at, now),
        grants_age_s=_age_s(policy.grants.issued_at, now),
        document_age_s=_age_s(issued_at, now),
        bundles_age_s=_bundles_age_s(document.ages, bundles_at, now),
    )


def _bundles_age_s(ages: Ages, issued_at: datetime | None, now: datetime) -> int:
    age_s, stop_days = _age_s(issued_at, now), ages.bundles_stop_days
    first_days = ages.bundles_limited_days if stop_days is None else min(ages.bundles_limited_days, stop_days)
    return age_s if age_s > first_days * DAY_S else 0


def _age_s(issued_at: datetime | None, now: datetime) -> int:
    """Whole seconds, never negative: a list of tomorrow is as fresh as one can be."""
    return 0 if issued_at is None else max(0, int((now - issued_at).total_seconds()))
