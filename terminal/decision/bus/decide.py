"""A ride: is it already paid, and if not, which of the card's rights covers it.

The rights are tried in the order the profile states (K-02). Each either covers the ride, or leaves it to the
next one, perhaps noting that it lapsed; the purse comes last and says so together with the full fare. Then
the money is settled; where there is none, a region's grace may still take the rider along (T-18).

A payment opens a journey (T-30): the window runs from that tap, and the next payment, whether late, beyond
the count or on the same route (T-33), opens the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from cardproto.resident.records.event import PaidBy
from terminal.decision.bus.checkin import check_out, checks_in, held_minor, is_check_out, to_terminus
from terminal.decision.bus.concessions import by_concession
from terminal.decision.bus.contracts import by_pack, by_pass, by_plan
from terminal.decision.bus.cover import Cover, ride_of
from terminal.decision.bus.feed import by_feed, feed_quote, forgotten
from terminal.decision.bus.guards import already_paid, as_companion, owes_too_much, unpaid
from terminal.decision.bus.payment import settle
from terminal.decision.bus.transfers import by_transfer
from terminal.decision.outcome import Decision, Message
from terminal.decision.tap import Tap, Trail
from terminal.policy.document.base import Right
from terminal.policy.document.schema import UnknownFare
from terminal.policy.fares.index import TRANSPORT_CARD, Quote
from terminal.policy.scopes import Ride


def decide_ride(tap: Tap, trail: Trail) -> Decision:
    """Return the decision on one tap on the bus; the card as such has been accepted."""
    profile = tap.policy.document.profiles.bus
    if owes_too_much(tap, trail):
        return trail.refuse(Message.STOP_LIST if profile.stop_lists else Message.NO_FUNDS)
    if already_paid(tap, trail):
        return trail.repeat(Message.ALREADY_PAID)
    if is_check_out(tap):
        return check_out(tap, trail)
    ride, quote = _fare(tap, trail)
    cover = as_companion(tap, quote, trail) or _covered(tap, ride, quote, trail)
    if cover is None:
        trail.note("T-01", "no fare is known for this ride: not carried for nothing", {"route": ride.route})
        return trail.refuse(Message.OUT_OF_ORDER)
    return settle(tap, ride, quote, cover, trail) or unpaid(tap, ride, trail) or _no_money(trail)


def _fare(tap: Tap, trail: Trail) -> tuple[Ride, Quote | None]:
    """Where the ride goes and what it costs ordinarily; where riders check in, as far as it can go."""
    ride = ride_of(tap.context)
    feed = tap.policy.gtfs
    if feed is not None:
        wanted = tap.context.companions or (tap.policy.concessions and any(tap.concessions))
        return ride, feed_quote(feed, tap.context, tap.local, TRANSPORT_CARD) if wanted else None
    check_in = checks_in(tap, ride)
    if check_in is not None:
        ride = to_terminus(tap, ride)
    dearest = check_in is not None or tap.policy.document.profiles.bus.unknown_fare is UnknownFare.DEAREST
    quote = tap.policy.ordinary_fare(ride, tap.local, dearest=dearest)
    if quote is not None and quote.assumed and check_in is None:
        trail.note("T-01", "destination not known: the dearest fare", {"fare_minor": quote.fare_minor})
    return ride, quote


def _covered(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail) -> Cover | None:
    feed = tap.policy.gtfs
    for right in tap.policy.document.profiles.bus.rights:
        if right is Right.PURSE and feed is not None:
            return by_feed(tap, feed, held_minor(tap), trail)
        cover = RIGHTS[right](tap, ride, quote, trail)
        if cover is not None and feed is not None:
            return cover._replace(counters=forgotten(tap, feed, cover.counters), journey=(None, 0))
        if cover is not None:
            return cover
    return None


def _by_purse(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail) -> Cover | None:  # noqa: ARG001 in the quote
    if quote is None:
        return None
    inputs: dict[str, int | str] = {"fare_minor": quote.fare_minor}
    if quote.rule != "fares":
        inputs["fare"] = quote.rule
    trail.note("T-01", "ordinary fare of the transport card", inputs)
    return Cover(
        paid_by=PaidBy.PURSE,
        message=trail.lapsed or Message.OK_PAID,
        counters=tap.counters,
        price_minor=quote.fare_minor,
        by_fare=True,
        opens=tap.policy.ordinary_transfer,
    )


def _no_money(trail: Trail) -> Decision:
    return trail.refuse(Message.NO_FUNDS)


RIGHTS: Final[Mapping[Right, Callable[[Tap, Ride, Quote | None, Trail], Cover | None]]] = MappingProxyType(
    {
        Right.PASS: by_pass,
        Right.PACK: by_pack,
        Right.TRANSFER: by_transfer,
        Right.CONCESSION: by_concession,
        Right.PLAN: by_plan,
        Right.PURSE: _by_purse,
    }
)
