"""What the counters of a region document must satisfy: room on the card, and one meaning each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from terminal.errors import Mistake
from terminal.policy.base import Thing, unique, unknown
from terminal.policy.document.counters import COUNTER_BITS, Period
from terminal.policy.document.journeys import AmountCap, MixedWindow, TopUpWindow
from terminal.policy.document.rights import Pass, TimedPass, TripPack
from terminal.policy.document.schema import RegionDocument
from terminal.policy.mistakes import RuleMistake
from terminal.policy.scopes import counter_problems

CONTRACT_SLOTS: Final = 2
CONTRACT_TRIP_BITS: Final = 8
FIRST_RIDE_BITS: Final = 16
"""The minute of a pass's first ride, up to 45 days after its contract begins."""
LIMIT: Final = "limit"
COMPANIONS: Final = "companions"
ENTRIES: Final = "entries"
PAID: Final = "paid"
ALONE: Final = ""
"""Of what shares its counter with nothing."""
SHARED: Final = (LIMIT, COMPANIONS, ENTRIES, PAID)


def counters_problems(document: RegionDocument) -> Iterator[Mistake]:
    """Everything wrong with `counters`, in reading order."""
    counters = document.counters
    yield from unique("counters.slots", (slot.name for slot in counters.slots), key="name")
    used = sum(slot.bits for slot in counters.slots)
    if used > COUNTER_BITS:
        yield Mistake(
            "counters.slots",
            RuleMistake.TOO_MANY_BITS,
            {"used": used, "bits": COUNTER_BITS, "surplus": used - COUNTER_BITS},
        )
    yield from _contracts(document)
    yield from _journey(document)
    yield from _meanings(document)


def _contracts(document: RegionDocument) -> Iterator[Mistake]:
    counters = document.counters
    counting = any(isinstance(product, TimedPass | TripPack) for product in document.products)
    if len(counters.contracts) != CONTRACT_SLOTS and (counting or counters.contracts):
        yield Mistake(
            "counters.contracts",
            RuleMistake.CONTRACT_SLOTS,
            {"stated": len(counters.contracts), "slots": CONTRACT_SLOTS},
        )
    yield from unique("counters.contracts", counters.contracts)
    known = {slot.name: slot for slot in counters.slots}
    timed = any(isinstance(product, TimedPass) for product in document.products)
    bits = FIRST_RIDE_BITS if timed else CONTRACT_TRIP_BITS
    for index, name in enumerate(counters.contracts):
        path, slot = f"counters.contracts[{index}]", known.get(name)
        if slot is None:
            yield unknown(path, Thing.COUNTER, name, known)
        elif slot.period is not Period.CONTRACT:
            yield Mistake(path, RuleMistake.NOT_PER_CONTRACT, {"counter": name, "period": slot.period})
        elif slot.bits < bits:
            yield Mistake(
                path, RuleMistake.CONTRACT_BITS, {"counter": name, "bits": slot.bits, "needed": bits}
            )


def _journey(document: RegionDocument) -> Iterator[Mistake]:
    name, transfers = document.counters.journey, len(document.transfers)
    if name is not None:
        yield from counter_problems("counters.journey", name, document, (Period.JOURNEY,), transfers)
    elif transfers > 1:
        yield Mistake(
            "counters",
            RuleMistake.NO_JOURNEY_COUNTER,
            {"transfers": transfers, "bits": transfers.bit_length()},
        )


def _meanings(document: RegionDocument) -> Iterator[Mistake]:
    """One counter, one meaning; what may share a counter is listed in `SHARED`."""
    first: dict[str, tuple[str, str]] = {}
    for path, name, meaning in _uses(document):
        other, counted = first.setdefault(name, (path, meaning))
        if other != path and not (counted == meaning and meaning in SHARED):
            yield Mistake(path, RuleMistake.COUNTER_USED, {"counter": name, "other": other})


def _uses(document: RegionDocument) -> Iterator[tuple[str, str, str]]:
    """Everything that counts: path, counter, what it counts."""
    for index, name in enumerate(document.counters.contracts):
        yield f"counters.contracts[{index}]", name, ALONE
    if document.counters.journey is not None:
        yield "counters.journey", document.counters.journey, ALONE
    limited = [
        *((f"concessions[{i}]", concession.limits) for i, concession in enumerate(document.concessions)),
        *(
            (f"products[{i}]", product.limits)
            for i, product in enumerate(document.products)
            if isinstance(product, Pass | TimedPass)
        ),
    ]
    for path, limits in limited:
        for index, limit in enumerate(limits):
            yield f"{path}.limits[{index}].counter", limit.counter, LIMIT
    for index, concession in enumerate(document.concessions):
        if concession.companions is not None:
            yield f"concessions[{index}].companions.counter", concession.companions.counter, COMPANIONS
    if document.grace is not None:
        yield "grace.counter", document.grace.counter, ALONE
    yield from _journey_uses(document)


def _journey_uses(document: RegionDocument) -> Iterator[tuple[str, str, str]]:
    for index, transfer in enumerate(document.transfers):
        if isinstance(transfer, MixedWindow):
            yield f"transfers[{index}].counter", transfer.counter, ENTRIES
        if isinstance(transfer, TopUpWindow):
            yield f"transfers[{index}].paid", transfer.paid, PAID
    for index, rule in enumerate(document.returns):
        yield f"returns[{index}].outward", rule.outward, ALONE
        if rule.began is not None:
            yield f"returns[{index}].began", rule.began, ALONE
    if document.checkin is not None:
        for key in ("reserve", "zone", "mark"):
            name = getattr(document.checkin, key)
            if name is not None:
                yield f"checkin.{key}", name, ALONE
    for index, cap in enumerate(document.caps):
        path = f"caps[{index}]"
        if isinstance(cap, AmountCap):
            yield f"{path}.spent", cap.spent, ALONE
            if cap.level is not None:
                yield f"{path}.level", cap.level, ALONE
        else:
            yield f"{path}.counter", cap.counter, ALONE
