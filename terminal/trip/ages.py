"""How old what a tap goes by is: from the times of issue of lists and document in force, and the clock (O-03)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from terminal.policy.document.schema import Ages
from terminal.policy.policy import Policy
from terminal.trip.facts import FRESH, NOTHING_TAKEN, BankFacts, ClockState, Freshness, Trip

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


def with_bank(
    trip: Trip, policy: Policy, taken: Iterable[tuple[int, int]], now: datetime, clock: ClockState
) -> Trip:
    """`trip` with what a tap that is charged later asks besides: what was taken today, and how old its list is."""
    age_s = 0 if clock.suspect else _age_s(policy.bank_deny_list.issued_at, now)
    freshness = replace(trip.freshness, bank_list_age_s=age_s) if age_s else trip.freshness
    return replace(trip, freshness=freshness, bank=taken_today(policy, taken, now))


def taken_today(policy: Policy, taken: Iterable[tuple[int, int]], now: datetime) -> BankFacts:
    """What of `taken` (unix ms and sum) belongs to the service day of `now` (T-43)."""
    today = policy.service_date(now.astimezone(policy.zone))
    sums = [
        sum_minor
        for at_ms, sum_minor in taken
        if policy.service_date(datetime.fromtimestamp(at_ms / 1000, policy.zone)) == today
    ]
    return BankFacts(len(sums), sum(sums)) if sums else NOTHING_TAKEN


def _bundles_age_s(ages: Ages, issued_at: datetime | None, now: datetime) -> int:
    age_s, stop_days = _age_s(issued_at, now), ages.bundles_stop_days
    first_days = ages.bundles_limited_days if stop_days is None else min(ages.bundles_limited_days, stop_days)
    return age_s if age_s > first_days * DAY_S else 0


def _age_s(issued_at: datetime | None, now: datetime) -> int:
    """Whole seconds, never negative: a list of tomorrow is as fresh as one can be."""
    return 0 if issued_at is None else max(0, int((now - issued_at).total_seconds()))
