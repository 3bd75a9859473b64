"""What was bought: passes, passes from their first ride, trip packs, tariff plans (T-10, T-11, T-17, T-31, T-37)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

from cardproto.resident.records.rights import Contract
from terminal.decision.bus.cover import CONTRACT_SLOTS, Cover
from terminal.decision.bus.effects import ContractEffect, PassEffect
from terminal.decision.bus.limits import unreadable, use
from terminal.decision.outcome import Message
from terminal.decision.tap import Tap, Trail
from terminal.policy.fares.index import Quote
from terminal.policy.rights.index import RidePack, RidePass, RidePlan, RideProduct
from terminal.policy.scopes import Ride, inside

MINUTE_S: Final = 60


def by_pass(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail) -> Cover | None:  # noqa: ARG001 free
    """The first pass that holds here and now."""
    for slot, contract, product in tap.bought:
        if not isinstance(product, RidePass) or _outside(product, ride, trail):
            continue
        held = _held(tap, slot, contract, product, trail)
        if held is None:
            continue
        until, counters = held
        used = use(product.limits, tap, ride, trail, Message.PASS_USED_UP)
        if isinstance(used, Message):
            trail.lapsed = used
            continue
        trail.reasons += used.steps
        if product.length_s is not None:
            counter = tap.policy.card.contracts[slot]
            counters = counter.write(used.counters, counter.read(counters))
        else:
            counters = used.counters
        return Cover(CONTRACT_SLOTS[slot], Message.OK_PASS, counters, values={"date": until})
    return None


def _held(tap: Tap, slot: int, contract: Contract, product: RidePass, trail: Trail) -> tuple[str, int] | None:
    """Until when the pass holds and the counters with its start, or None when it does not."""
    if product.length_s is not None:
        return _held_from_first_ride(tap, slot, contract, product.length_s, trail)
    until = contract.valid_to.isoformat()
    inputs: dict[str, int | str] = {"product": contract.product, "valid_to": until}
    if not _dated(tap, contract):
        trail.note(PassEffect.NOT_TODAY, inputs)
        return None
    trail.note(PassEffect.COVERS, inputs)
    return until, tap.counters


def _held_from_first_ride(
    tap: Tap, slot: int, contract: Contract, length_s: int, trail: Trail
) -> tuple[str, int] | None:
    """The slot's counter holds the minute of the first ride since the contract's first midnight, plus one."""
    if not tap.counters_known:
        trail.note(PassEffect.START_UNREADABLE, {"product": contract.product})
        return None
    counter, first = tap.policy.card.contracts[slot], contract.valid_from
    midnight = datetime(first.year, first.month, first.day, tzinfo=tap.policy.zone)
    started = counter.read(tap.counters)
    counters = tap.counters
    if not started:
        if not _dated(tap, contract):
            trail.note(PassEffect.CANNOT_START, {"product": contract.product})
            return None
        started = -(-int((tap.at - midnight).total_seconds()) // MINUTE_S) + 1
        if started > counter.mask:
            trail.note(PassEffect.FIRST_USE_LATE, {"product": contract.product})
            return None
        counters = counter.write(tap.counters, started)
    since = midnight.astimezone(tap.at.tzinfo) + timedelta(minutes=started - 1)
    ends = since + timedelta(seconds=length_s)
    inputs: dict[str, int | str] = {
        "product": contract.product,
        "since_at": int(since.timestamp()),
        "length_s": length_s,
    }
    if tap.at > ends:
        trail.note(PassEffect.RUN_OUT, inputs)
        return None
    trail.note(PassEffect.FROM_FIRST_RIDE, inputs)
    return ends.astimezone(tap.policy.zone).date().isoformat(), counters


def by_pack(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail) -> Cover | None:  # noqa: ARG001 prepaid
    """One trip of the first pack that has one. Trips that lapse monthly are those of the contract's first month."""
    for slot, contract, product in tap.bought:
        if not isinstance(product, RidePack) or _outside(product, ride, trail):
            continue
        if not _dated(tap, contract):
            trail.note(ContractEffect.PACK_NOT_TODAY, {"product": contract.product})
            continue
        if product.monthly and _month(tap.service_date) > _month(contract.valid_from):
            month = f"{contract.valid_from:%Y-%m}"
            trail.note(ContractEffect.PACK_LAPSED, {"product": contract.product, "month": month})
            trail.lapsed = Message.PACK_LAPSED
            continue
        counter, sold = tap.policy.card.contracts[slot], min(contract.trips, product.most)
        if not tap.counters_known:
            trail.lapsed = unreadable(trail)
            continue
        used = counter.read(tap.counters)
        inputs = {"product": contract.product, "used": used, "of": sold}
        if used >= sold:
            trail.note(ContractEffect.PACK_USED_UP, inputs)
            trail.lapsed = Message.PACK_USED_UP
            continue
        effect = ContractEffect.PACK_TRIP if product.monthly else ContractEffect.CARRIED_OVER_PACK_TRIP
        trail.note(effect, inputs)
        counters = counter.write(tap.counters, used + 1)
        return Cover(CONTRACT_SLOTS[slot], Message.OK_PACK, counters, values={"n": sold - used - 1})
    return None


def by_plan(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail) -> Cover | None:  # noqa: ARG001 own fare
    """The purse pays, at the fare of the first tariff plan that holds here and now."""
    for slot, contract, product in tap.bought:
        if not isinstance(product, RidePlan) or _outside(product, ride, trail):
            continue
        inputs = {"product": contract.product, "fare_minor": product.fare_minor}
        if not _dated(tap, contract):
            trail.note(ContractEffect.PLAN_NOT_TODAY, inputs)
            continue
        trail.note(ContractEffect.PLAN_FARE, inputs)
        return Cover(
            CONTRACT_SLOTS[slot],
            Message.OK_PAID,
            tap.counters,
            price_minor=product.fare_minor,
            opens=tap.policy.transfer_by_id.get(product.transfer or ""),
        )
    return None


def _dated(tap: Tap, contract: Contract) -> bool:
    """First and last day are included (M-20); the day is the service day (T-14)."""
    return contract.valid_from <= tap.service_date <= contract.valid_to


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month


def _outside(product: RideProduct, ride: Ride, trail: Trail) -> bool:
    if not product.areas or inside(product.areas, ride):
        return False
    trail.note(ContractEffect.NOT_ON_THIS_RIDE, {"product": product.id})
    return True
