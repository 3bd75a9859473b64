"""What a card holds, line by line, and what a tap changed of it, read from the card's own memory.

`XX` stands for what must not be shown (D-05): the resident's pseudonym and all but the end of the UID.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import zip_longest
from typing import Final, TypeAlias, TypeVar

from cardproto.errors import FormatError
from cardproto.resident.layout import AID, FILE_EVENTS, FILE_PURSE, FILE_RIGHTS, FILE_TRANSACTION_MAC
from cardproto.resident.records.event import Event, parse_event
from cardproto.resident.records.rights import Concession, Contract, Rights, parse_rights
from sim.card.image import Json
from sim.card.port import SimCard

T = TypeVar("T")
UID_SHOWN: Final = 4
MASKED_PSEUDONYM: Final = "XX" * 8
Counters = Callable[[int], Mapping[str, int]]
"""The counter bits of an event by name; which bits count what is the region document's business."""


@dataclass(frozen=True)
class CardWords:
    """What a line says, as words to be filled in: days, moments, sums (`*_minor`) and words are shown as the reader's
    language and zone have them. As a string: in English and UTC.
    """

    words: str
    inputs: Mapping[str, date | int | str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.words.format_map({name: _plain(value) for name, value in self.inputs.items()})


CardValue: TypeAlias = str | CardWords


@dataclass(frozen=True, slots=True)
class CardLine:
    """One line of a card: the part of it, what it is, and what it says."""

    part: str
    name: str
    value: CardValue


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line before and after; None where there was none."""

    part: str
    name: str
    before: CardValue | None
    after: CardValue | None

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Holding:
    """A card read from its memory. None and nothing where it holds no such thing, or not ours."""

    uid: bytes
    rights: Rights | None = None
    event: Event | None = None
    events: int = 0
    purse_minor: int | None = None
    transaction_counter: int | None = None


def holding_of(card: SimCard) -> Holding:
    """What is committed on `card` now."""
    image = card.image()
    records = _at(image, FILE_EVENTS, "records")
    events = records if isinstance(records, list) else []
    purse, counter = _at(image, FILE_PURSE, "value"), _at(image, FILE_TRANSACTION_MAC, "counter")
    return Holding(
        card.uid,
        _parsed(parse_rights, _at(image, FILE_RIGHTS, "content")),
        _parsed(parse_event, events[0] if events else None),
        len(events),
        purse if isinstance(purse, int) else None,
        counter if isinstance(counter, int) else None,
    )


def lines_of(holding: Holding, counters: Counters) -> list[CardLine]:
    """Everything worth reading, from the outside in."""
    lines = [CardLine("card", "uid", "…" + holding.uid.hex().upper()[-UID_SHOWN:])]
    if holding.purse_minor is not None:
        lines.append(CardLine("purse", "balance", _sum(holding.purse_minor)))
    if holding.transaction_counter is not None:
        lines.append(CardLine("purse", "transaction counter", str(holding.transaction_counter)))
    if holding.rights is not None:
        lines += _rights(holding.rights)
    if holding.event is not None:
        lines += _event(holding.event, counters)
    return lines


def changes(before: Sequence[CardLine], after: Sequence[CardLine]) -> list[LineChange]:
    """Both columns in the order of the card, lines that went or came in their place."""
    old, new = ({(line.part, line.name): line.value for line in lines} for lines in (before, after))
    order = list(new) + [key for key in old if key not in new]
    parts = list(dict.fromkeys(part for part, _ in order))
    order.sort(key=lambda key: parts.index(key[0]))
    return [LineChange(*key, old.get(key), new.get(key)) for key in order]


def _rights(rights: Rights) -> Iterator[CardLine]:
    flags = [name for name in ("blocked", "inactive") if getattr(rights, name)]
    yield CardLine("rights", "pseudonym", MASKED_PSEUDONYM)
    yield CardLine("rights", "region", str(rights.region))
    yield CardLine("rights", "valid", _span(rights.valid_from, rights.valid_to))
    yield CardLine("rights", "revision", str(rights.revision))
    if flags:
        yield CardLine("rights", "flags", CardWords(", ".join(flags)))
    for letter, right in zip_longest("abc", rights.concessions):
        if isinstance(right, Concession):
            span = _span(right.valid_from, right.valid_to).inputs
            says = CardWords("code {code}, {first} to {last}", {"code": right.code, **span})
            yield CardLine("rights", f"concession {letter}", says)
    for letter, contract in zip("ab", rights.contracts, strict=True):
        if isinstance(contract, Contract):
            words = "product {product}, trips: {trips}, {first} to {last}"
            words = words if contract.trips else "product {product}, {first} to {last}"
            span = _span(contract.valid_from, contract.valid_to).inputs
            says = CardWords(words, {"product": contract.product, "trips": contract.trips, **span})
            yield CardLine("rights", f"contract {letter}", says)


def _event(event: Event, counters: Counters) -> Iterator[CardLine]:
    yield CardLine("newest event", "kind", CardWords(event.kind.name.lower()))
    yield CardLine("newest event", "at", CardWords("{at}", {"at": event.at}))
    written = {"terminal": event.terminal, "sequence": event.sequence}
    yield CardLine("newest event", "terminal", CardWords("{terminal}, row {sequence}", written))
    yield CardLine("newest event", "route", f"{event.route}/{event.direction}")
    yield CardLine("newest event", "amount", _sum(event.amount_minor))
    yield CardLine("newest event", "balance after", _sum(event.balance_after_minor))
    yield CardLine("newest event", "paid by", CardWords(event.paid_by.name.lower()))
    if event.journey_age_s is not None:
        journey = {"age_s": event.journey_age_s, "transfers": event.transfers}
        yield CardLine("newest event", "journey", CardWords("{age_s} s, transfers: {transfers}", journey))
    if event.inside:
        yield CardLine("newest event", "inside", str(event.inside))
    if event.last_order:
        yield CardLine("newest event", "last order", str(event.last_order))
    if event.period_ahead:
        ahead = {"days": f"{event.period_ahead:+}"}
        yield CardLine("counters", "period day", CardWords("days from the event's: {days}", ahead))
    yield CardLine("counters", "meals", f"{event.meals:08b}")
    for name, value in counters(event.counters).items():
        yield CardLine("counters", name, str(value))


def _span(first: date, last: date) -> CardWords:
    return CardWords("{first} to {last}", {"first": first, "last": last})


def _sum(minor: int) -> CardWords:
    return CardWords("{sum_minor}", {"sum_minor": minor})


def _plain(value: date | int | str) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    return str(value)


def _at(image: Mapping[str, Json], number: int, key: str) -> Json:
    value: Json = dict(image)
    for step in ("applications", AID.hex().upper(), "files", f"{number:02X}", key):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _parsed(parse: Callable[[bytes], T], text: Json) -> T | None:
    content = bytes.fromhex(text) if isinstance(text, str) else b""
    try:
        return parse(content) if any(content) else None
    except FormatError:
        return None
