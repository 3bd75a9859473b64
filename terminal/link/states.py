"""States of media that have no memory of their own (phones, codes, bank cards), as the terminals of a place say them.

A resident card carries its newest event; what else people hold carries none, so each terminal keeps it
(`terminal.media.held`) and says it to the others: the 32 bytes a card would hold, and the counter of the last code.
Whom a mark is about is a digest by day, as of every mark; what it says is sealed under the medium's reference, which
only a terminal that meets the medium knows. So who reads along learns no route and joins no two days.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from terminal.clock import from_unix_ms, unix_ms
from terminal.link.marks import AHEAD_S, KEPT_S, LinkMark, MarkBook, MarkKind, who_of

PLACE: Final = "state"
"""Keeps these marks apart from those of a school."""
TAKEN_PLACE: Final = "taken"
_COUNTER: Final = 4
_COUNT, _SUM = 2, 6
MOST_TAKEN: Final = 1_000
"""Rides of a card and day that a mark can state: no document allows more while a list is old."""
_EVENT: Final = 32


class SaidState(NamedTuple):
    """What a terminal keeps of a medium: its newest event (32 bytes, or none), and the counter of the last code it
    showed (0: none was).
    """

    terminal: int
    event: bytes
    counter: int


def state_mark(
    number: int, terminal: int, reference: bytes, event: bytes, counter: int, at_ms: int
) -> LinkMark:
    """The mark of row `number` of `terminal`: from then on the medium `reference` holds this."""
    at_s = at_ms // 1000
    content = counter.to_bytes(_COUNTER, "big") + event
    sealed = AESGCM(_key(reference)).encrypt(_nonce(terminal, number), content, None)
    return LinkMark(number, MarkKind.STATE, _who(reference, at_ms), b64encode(sealed).decode(), at_s)


class DaysTaken(NamedTuple):
    """What a terminal took from a card in a service day, and when last (Unix seconds)."""

    rides: int
    sum_minor: int
    at_s: int


def taken_mark(number: int, terminal: int, reference: bytes, day: date, taken: DaysTaken) -> LinkMark:
    """The mark of row `number` of `terminal`: in the service day `day` this was taken from the card so far."""
    content = min(taken.rides, MOST_TAKEN).to_bytes(_COUNT, "big") + taken.sum_minor.to_bytes(_SUM, "big")
    sealed = AESGCM(_key(reference, _TAKEN)).encrypt(_nonce(terminal, number), content, None)
    who = who_of(TAKEN_PLACE, reference, day.isoformat())
    return LinkMark(number, MarkKind.TAKEN, who, b64encode(sealed).decode(), taken.at_s)


def taken_said(book: MarkBook, reference: bytes, day: date) -> Iterator[DaysTaken]:
    """What each other terminal took from the card in the service day `day`; from memory, at once. What does not open
    is passed over.
    """
    for terminal, mark in book.newest(MarkKind.TAKEN, who_of(TAKEN_PLACE, reference, day.isoformat())):
        content = _unsealed(terminal, mark, _key(reference, _TAKEN))
        if content is not None and len(content) == _COUNT + _SUM:
            rides = min(int.from_bytes(content[:_COUNT], "big"), MOST_TAKEN)
            yield DaysTaken(rides, int.from_bytes(content[_COUNT:], "big"), mark.at_s)


def states_said(book: MarkBook, reference: bytes, now: datetime) -> Iterator[SaidState]:
    """What each other terminal said last of `reference`, on each day that still counts; from memory, at once. What
    does not open, or says nothing of a medium's form, was said by a terminal with other keys, and is passed over.
    """
    for day_ms in _days(now):
        for terminal, mark in book.newest(MarkKind.STATE, _who(reference, day_ms)):
            content = _opened(terminal, mark, reference)
            if content is not None:
                counter = int.from_bytes(content[:_COUNTER], "big")
                yield SaidState(terminal, content[_COUNTER:], counter)


def _opened(terminal: int, mark: LinkMark, reference: bytes) -> bytes | None:
    content = _unsealed(terminal, mark, _key(reference))
    return content if content is not None and len(content) in (_COUNTER, _COUNTER + _EVENT) else None


def _unsealed(terminal: int, mark: LinkMark, key: bytes) -> bytes | None:
    try:
        sealed = b64decode(mark.what, validate=True)
        return AESGCM(key).decrypt(_nonce(terminal, mark.number), sealed, None)
    except (ValueError, InvalidTag):
        return None


def _days(now: datetime) -> Iterator[int]:
    """A moment of each day of which a mark may be held."""
    last = now + timedelta(seconds=AHEAD_S)
    first = now - timedelta(seconds=KEPT_S)
    for back in range((last.date() - first.date()).days + 1):
        yield unix_ms(last - timedelta(days=back))


def _who(reference: bytes, at_ms: int) -> bytes:
    return who_of(PLACE, reference, from_unix_ms(at_ms).date().isoformat())


_STATE, _TAKEN = b"rct state", b"rct taken"
"""A row may say both, and its number is the nonce: each has a key of its own."""


def _key(reference: bytes, use: bytes = _STATE) -> bytes:
    return blake2b(reference, digest_size=32, person=use).digest()


def _nonce(terminal: int, number: int) -> bytes:
    """A row of a terminal seals once: a number is never used twice."""
    return terminal.to_bytes(4, "big") + number.to_bytes(8, "big")
