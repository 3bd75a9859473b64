"""Marks: that a terminal gave something to a person on a day, or what a medium without a memory holds since a tap
there, as the others of the place may know it.

A mark of a meal makes the terminal that holds it ask; it refuses nothing. No mark moves money. Whom it is about is a
digest of the pseudonym and the day, so that who reads along can neither name him nor join two days. `MarkBook` holds
what others said, within limits, and answers at once from memory; any thread may ask it.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Final, NamedTuple, TypeAlias

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
    STATE = "state"
    """What a medium without a memory holds now: the newest counts, `what` is sealed (`terminal.link.states`)."""
    TAKEN = "taken"
    """What was taken from a bank card in a service day, counted up: the newest counts, `what` is sealed likewise."""
    RIDE = "ride"
    """`what` is the run, ROUTE-DIRECTION."""
    RUN = "run"
    """The vehicle begins the run `what`, or none; about no one."""


NEWEST_COUNTS: Final = frozenset({MarkKind.STATE, MarkKind.TAKEN})


class LinkMark(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`number` is the journal row of the terminal that says so, `at_s` the time in Unix seconds. `undoes`: the row
    whose mark counts no more, 0 for a mark that says something was given. `kind` is a `MarkKind`, or one of newer
    software, which is kept and asked for by no one here.
    """

    number: Annotated[int, Meta(ge=1, le=1 << 48)]
    kind: Annotated[str, Meta(min_length=1, max_length=16)]
    who: Annotated[bytes, Meta(min_length=WHO_BYTES, max_length=WHO_BYTES)]
    what: Annotated[str, Meta(max_length=80)]
    at_s: Annotated[int, Meta(ge=0, le=1 << 40)]
    undoes: Annotated[int, Meta(ge=0, le=1 << 48)] = 0


class PeerSaid(NamedTuple):
    """Which terminal gave it, and when (Unix seconds)."""

    terminal: int
    at_s: int


_Named: TypeAlias = tuple[int, str]
"""A peer's mark by row and kind: a row may give a meal and change a phone's state."""


def _named(mark: LinkMark) -> _Named:
    return mark.number, mark.kind


def who_of(place: str, pseudonym: bytes, day: str) -> bytes:
    """Whom a mark is about; `place` keeps two schools apart, `day` two days of one person."""
    parts = (place.encode(), pseudonym, day.encode())
    content = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return blake2b(content, digest_size=WHO_BYTES, person=b"rct mark").digest()


class MarkBook:
    """What others said, by peer. One thread writes, any thread asks."""

    def __init__(self) -> None:
        self._of_peer: dict[int, dict[_Named, LinkMark]] = {}
        self._given: dict[tuple[str, bytes, str], tuple[int, int]] = {}
        """By what was given to whom: the peer and the number of its newest mark."""
        self._undone: set[tuple[int, int]] = set()
        self._newest: dict[tuple[str, bytes], dict[int, LinkMark]] = {}
        """Of marks of a state, by whose it is: the newest of each peer."""

    def take(self, peer: int, mark: LinkMark) -> bool:
        """Take in a mark of `peer`, which is no older than `KEPT_S`; whether there was room for it."""
        marks = self._of_peer.setdefault(peer, {})
        if _named(mark) not in marks and len(marks) >= MOST_MARKS:
            return False
        if mark.kind in NEWEST_COUNTS:
            return self._take_state(peer, marks, mark)
        marks[_named(mark)] = mark
        if mark.undoes:
            self._undone.add((peer, mark.undoes))
            undone = marks.get((mark.undoes, mark.kind))
            if undone is not None:
                self._forget(peer, undone)
        elif (peer, mark.number) not in self._undone:
            self._given[mark.kind, mark.who, mark.what] = (peer, mark.number)
        return True

    def _take_state(self, peer: int, marks: dict[_Named, LinkMark], mark: LinkMark) -> bool:
        """Only the newest is kept: a vehicle that runs all day says many."""
        of_peer = self._newest.get((mark.kind, mark.who), {})
        before = of_peer.get(peer)
        if before is not None and before.number >= mark.number:
            return True
        if before is not None:
            marks.pop(_named(before), None)
        marks[_named(mark)] = mark
        self._newest[mark.kind, mark.who] = {
            **of_peer,
            peer: mark,
        }  # who asks meanwhile sees one or the other
        return True

    def said(self, kind: MarkKind, who: bytes, what: str) -> PeerSaid | None:
        """Who gave it already, as far as others said."""
        found = self._given.get((kind, who, what))
        if found is None:
            return None
        mark = self._of_peer[found[0]].get((found[1], kind))
        return None if mark is None else PeerSaid(found[0], mark.at_s)

    def newest(self, kind: MarkKind, who: bytes) -> tuple[tuple[int, LinkMark], ...]:
        """Each peer's newest mark of a state of `who`, with the peer."""
        return tuple(self._newest.get((kind, who), {}).items())

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
            for name in [name for name, mark in marks.items() if mark.at_s < at_s]:
                self._forget(peer, marks[name])
                self._undone.discard((peer, marks[name].undoes))
                del marks[name]

    def _forget(self, peer: int, mark: LinkMark) -> None:
        if mark.kind in NEWEST_COUNTS:
            of_peer = {
                one: held for one, held in self._newest.pop((mark.kind, mark.who), {}).items() if one != peer
            }
            if of_peer:
                self._newest[mark.kind, mark.who] = of_peer
            return
        key = (mark.kind, mark.who, mark.what)
        if self._given.get(key) == (peer, mark.number):
            del self._given[key]
