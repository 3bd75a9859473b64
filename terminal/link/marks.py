"""Marks: that a terminal gave something to a person on a day, as the others of the place may know it.

A mark makes the terminal that holds it ask; it refuses nothing and moves no money. Whom it is about is a digest of the
pseudonym and the day, so that who reads along can neither name him nor join two days. `MarkBook` holds what others
said, within limits, and answers at once from memory; any thread may ask it.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

WHO_BYTES: Final = 16
MOST_MARKS: Final = 20_000
"""Of one peer: five schools' meals of a day."""
KEPT_S: Final = 36 * 3600
"""After so long a mark is of another day, whatever the service day's hour."""
AHEAD_S: Final = 15 * 60
"""A mark from further ahead is of a terminal whose clock, or ours, is wrong."""


class MarkKind(StrEnum):
    """What was given. Another kind of terminal adds its own, and who makes its marks (`terminal.app.link`)."""

    MEAL = "meal"
    """`what` is the kind of meal."""
    RIDE = "ride"
    """`what` is the run, ROUTE-DIRECTION."""
    RUN = "run"
    """The vehicle begins the run `what`, or none; about no one."""


class LinkMark(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`number` is the journal row of the terminal that says so, `at_s` the time in Unix seconds. `undoes`: the row
    whose mark counts no more, 0 for a mark that says something was given. `kind` is a `MarkKind`, or one of newer
    software, which is kept and asked for by no one here.
    """

    number: Annotated[int, Meta(ge=1, le=1 << 48)]
    kind: Annotated[str, Meta(min_length=1, max_length=16)]
    who: Annotated[bytes, Meta(min_length=WHO_BYTES, max_length=WHO_BYTES)]
    what: Annotated[str, Meta(max_length=64)]
    at_s: Annotated[int, Meta(ge=0, le=1 << 40)]
    undoes: Annotated[int, Meta(ge=0, le=1 << 48)] = 0


class PeerSaid(NamedTuple):
    """Which terminal gave it, and when (Unix seconds)."""

    terminal: int
    at_s: int


def who_of(place: str, pseudonym: bytes, day: str) -> bytes:
    """Whom a mark is about; `place` keeps two schools apart, `day` two days of one person."""
    parts = (place.encode(), pseudonym, day.encode())
    content = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return blake2b(content, digest_size=WHO_BYTES, person=b"rct mark").digest()


class MarkBook:
    """What others said, by peer. One thread writes, any thread asks."""

    def __init__(self) -> None:
        self._of_peer: dict[int, dict[int, LinkMark]] = {}
        self._given: dict[tuple[str, bytes, str], tuple[int, int]] = {}
        """By what was given to whom: the peer and the number of its newest mark."""
        self._undone: set[tuple[int, int]] = set()

    def take(self, peer: int, mark: LinkMark) -> bool:
        """Take in a mark of `peer`, which is no older than `KEPT_S`; whether there was room for it."""
        marks = self._of_peer.setdefault(peer, {})
        if mark.number not in marks and len(marks) >= MOST_MARKS:
            return False
        marks[mark.number] = mark
        if mark.undoes:
            self._undone.add((peer, mark.undoes))
            undone = marks.get(mark.undoes)
            if undone is not None:
                self._forget(peer, undone)
        elif (peer, mark.number) not in self._undone:
            self._given[mark.kind, mark.who, mark.what] = (peer, mark.number)
        return True

    def said(self, kind: MarkKind, who: bytes, what: str) -> PeerSaid | None:
        """Who gave it already, as far as others said."""
        found = self._given.get((kind, who, what))
        if found is None:
            return None
        mark = self._of_peer[found[0]].get(found[1])
        return None if mark is None else PeerSaid(found[0], mark.at_s)

    @property
    def count(self) -> int:
        """How many are held."""
        return sum(map(len, tuple(self._of_peer.values())))

    def marks_of(self, peer: int) -> tuple[LinkMark, ...]:
        """All that is held of a peer, in its order."""
        marks = self._of_peer.get(peer, {})
        return tuple(marks[number] for number in sorted(marks))

    def drop_before(self, at_s: int) -> None:
        """Forget what is of another day."""
        for peer, marks in self._of_peer.items():
            for number in [number for number, mark in marks.items() if mark.at_s < at_s]:
                self._forget(peer, marks[number])
                self._undone.discard((peer, marks[number].undoes))
                del marks[number]

    def _forget(self, peer: int, mark: LinkMark) -> None:
        key = (mark.kind, mark.who, mark.what)
        if self._given.get(key) == (peer, mark.number):
            del self._given[key]
