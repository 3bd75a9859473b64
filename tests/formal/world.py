"""One resident with up to two cards, two terminals and the collector as a small world of values, every step of which
may be the last.

The world decides nothing itself: whether a write is unresolved, and what becomes of it, is said by the table
(`terminal.media.resident.machine`) and by `settle`, the very ones the terminal runs; what a tap means by `decide`
(`tests.formal.rides`); what the journals add up to by the collector's own `reconcile`.

A presentation is a move of the rider: *soon*, seconds after the last one, which is the same wish tried again; *on*, ten
minutes and one stop later on the same trip; *late*, hours later on another trip; *tomorrow*. Its terminal's clock may
be any of those the walk allows, and so may what is known of where the vehicle is.

What is left out: reading errors before anything is on record (they change nothing), and the collector's transport,
which delivers any prefix of a journal at any time. One card is on a terminal at a time: two terminals share nothing
but the cards.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cardproto.resident.records.event import Event
from terminal.journal.taps import TapId
from terminal.media.resident.machine import WriteState
from terminal.media.resident.settle import tap_of
from tests.formal.rides import (
    Inside,
    issued,
)

KEPT_EVENTS: Final = 3
"""A real card keeps at least six; fewer make it forget sooner, which is the hard case."""


class Row(NamedTuple):
    """A journal row: `kind` is "intent", "committed", "not_committed" or "refused"; `about` is the event found on the
    card, or the intent's sequence."""

    kind: str
    card: int
    about: TapId


class Presentation(NamedTuple):
    """One card held to one terminal: `at_s` is that terminal's time."""

    card: int
    terminal: int  # 0 or 1; its number is one more
    clock: str
    at_s: int
    trip: int
    mark_m: int
    sighting: str


class Running(NamedTuple):
    """What a terminal has only in memory while a card is on it."""

    stage: str  # "opened", "served", "course", "tell", "tell then record", "record"
    shown: Presentation
    newest: TapId
    sequence: int = 0
    state: WriteState = WriteState.BEGUN
    planned: int = -1
    recovered: bool = False


class Card(NamedTuple):
    """One card and what the model saw of it.

    `events` is all it ever held, oldest first, by number in `EVENTS`; it keeps the last KEPT_EVENTS. `wish` is when and
    on which trip the rider wants the ride at hand, `wish_events` what was written for it, and how many days off. Once
    told, the rider may let the next person in with the same card.
    """

    events: tuple[int, ...]
    wish: tuple[int, int] | None = None
    wish_events: tuple[tuple[TapId, int], ...] = ()
    told: bool = False
    inside: Inside | None = None
    used: int = 0
    begun: int = 0
    misled: bool = False
    """A clock that is wrong, and that nobody suspects, has written it."""

    @property
    def newest(self) -> Event:
        return EVENTS[self.events[-1]]

    @property
    def held(self) -> set[TapId]:
        return {tap_of(EVENTS[number]) for number in self.events}


class World(NamedTuple):
    """`now_s` is the true time in seconds; `trip` is 0 or 1, hours apart; `mark_m` is where the vehicle is."""

    cards: tuple[Card, ...]
    journals: tuple[tuple[Row, ...], tuple[Row, ...]] = ((), ())
    running: Running | None = None
    now_s: int = 0
    trip: int = 0
    mark_m: int = 0
    denied: bool = False
    presentations: int = 0
    crashes: int = 0
    pulls: int = 0


class Bounds(NamedTuple):
    """How far a walk goes: how many presentations, crashes of a terminal and cards pulled in the middle, and which of
    the world's parts take part."""

    presentations: int = 4
    crashes: int = 1
    pulls: int = 4
    cards: int = 1
    terminals: int = 2
    check_in: bool = False
    denial: bool = False
    moves: tuple[str, ...] = ("soon", "late")
    clocks: tuple[str, ...] = ("right",)
    sightings: tuple[str, ...] = ("exact",)


EVENTS: Final[list[Event]] = []
_NUMBERS: Final[dict[Event, int]] = {}


def number_of(event: Event) -> int:
    """The event as a small number, so that worlds compare fast."""
    number = _NUMBERS.setdefault(event, len(EVENTS))
    if number == len(EVENTS):
        EVENTS.append(event)
    return number


def start(bounds: Bounds) -> World:
    return World(tuple(Card((number_of(issued(card)),)) for card in range(bounds.cards)))
