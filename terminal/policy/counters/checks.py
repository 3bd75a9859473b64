"""What the counters of a region document must satisfy: room on the card, and one meaning each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from terminal.policy.base import Problem, unique, unknown
from terminal.policy.document.counters import COUNTER_BITS, Period
from terminal.policy.document.journeys import AmountCap, MixedWindow, TopUpWindow
from terminal.policy.document.rights import Pass, TimedPass
from terminal.policy.document.schema import RegionDocument
from terminal.policy.scopes import counter_problems

CONTRACT_SLOTS: Final = 2
CONTRACT_TRIP_BITS: Final = 8
FIRST_RIDE_BITS: Final = 16
"""The minute of a pass's first ride, up to 45 days after its contract begins."""
LIMIT: Final = "the rides of a limit"
COMPANIONS: Final = "companions"
ENTRIES: Final = "entries of a journey"
PAID: Final = "what a journey cost"
SHARED: Final = (LIMIT, COMPANIONS, ENTRIES, PAID)


def counters_problems(document: RegionDocument) -> Iterator[Problem]:
    """Everything wrong with `counters`, in reading order."""
    counters = document.counters
    yield from unique("counters.slots", (slot.name for slot in counters.slots), key="name")
    used = sum(slot.bits for slot in counters.slots)
    if used > COUNTER_BITS:
        yield Problem(
            "counters.slots",
            f"the counters need {used} bits, the card has {COUNTER_BITS}",
            f"Take {used - COUNTER_BITS} bits away.",
        )
    yield from _contracts(document)
    yield from _journey(document)
    yield from _meanings(document)


def _contracts(document: RegionDocument) -> Iterator[Problem]:
    counters = document.counters
    if len(counters.contracts) != CONTRACT_SLOTS:
        yield Problem(
            "counters.contracts",
            f"{len(counters.contracts)} names for {CONTRACT_SLOTS} contract slots on the card",
            f"Name {CONTRACT_SLOTS} counters, for slot A and slot B.",
        )
    yield from unique("counters.contracts", counters.contracts)
    known = {slot.name: slot for slot in counters.slots}
    timed = any(isinstance(product, TimedPass) for product in document.products)
    bits, what = (
        (FIRST_RIDE_BITS, "a pass may start with its first ride")
        if timed
        else (CONTRACT_TRIP_BITS, "a contract may hold 255 trips")
    )
    for index, name in enumerate(counters.contracts):
        path, slot = f"counters.contracts[{index}]", known.get(name)
        if slot is None:
            yield unknown(path, "counter", name, known)
        elif slot.period is not Period.CONTRACT:
            yield Problem(path, f"`{name}` counts per {slot.period}", 'Give it period = "contract".')
        elif slot.bits < bits:
            yield Problem(path, f"`{name}` has {slot.bits} bits but {what}", f"Give it {bits} bits.")


def _journey(document: RegionDocument) -> Iterator[Problem]:
    name, transfers = document.counters.journey, len(document.transfers)
    if name is not None:
        yield from counter_problems("counters.journey", name, document, (Period.JOURNEY,), transfers)
    elif transfers > 1:
        yield Problem(
            "counters",
            f"the card cannot tell which of {transfers} transfers a journey follows",
            f'Add a slot of period "journey" with {transfers.bit_length()} bits and name it in `journey`.',
        )


def _meanings(document: RegionDocument) -> Iterator[Problem]:
    """One counter, one meaning; what may share a counter is listed in `SHARED`."""
    first: dict[str, str] = {}
    for path, name, meaning in _uses(document):
        other = first.setdefault(name, "")
        if other and not (other == meaning and meaning in SHARED):
            yield Problem(path, f"`{name}` already counts {other}", "Give each its own counter.")
        first[name] = other or meaning


def _uses(document: RegionDocument) -> Iterator[tuple[str, str, str]]:
    """Everything that counts: path, counter, what it counts."""
    for index, name in enumerate(document.counters.contracts):
        yield f"counters.contracts[{index}]", name, "a contract"
    if document.counters.journey is not None:
        yield "counters.journey", document.counters.journey, "the rule of a journey"
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
        yield "grace.counter", document.grace.counter, "unpaid rides"
    yield from _journey_uses(document)


def _journey_uses(document: RegionDocument) -> Iterator[tuple[str, str, str]]:
    for index, transfer in enumerate(document.transfers):
        if isinstance(transfer, MixedWindow):
            yield f"transfers[{index}].counter", transfer.counter, ENTRIES
        if isinstance(transfer, TopUpWindow):
            yield f"transfers[{index}].paid", transfer.paid, PAID
    for index, rule in enumerate(document.returns):
        yield f"returns[{index}].outward", rule.outward, f"outward rides of `{rule.id}`"
        if rule.began is not None:
            yield f"returns[{index}].began", rule.began, f"when outward rides of `{rule.id}` began"
    if document.checkin is not None:
        for key in ("reserve", "zone", "mark"):
            name = getattr(document.checkin, key)
            if name is not None:
                yield f"checkin.{key}", name, f"check-in: {key}"
    for index, cap in enumerate(document.caps):
        path = f"caps[{index}]"
        if isinstance(cap, AmountCap):
            yield f"{path}.spent", cap.spent, f"the money of cap `{cap.id}`"
            if cap.level is not None:
                yield f"{path}.level", cap.level, f"the tier of cap `{cap.id}`"
        else:
            yield f"{path}.counter", cap.counter, f"the rides of cap `{cap.id}`"
