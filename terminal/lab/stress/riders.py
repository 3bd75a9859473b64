"""The passengers of a stress run, as their cards' memories show them."""

from __future__ import annotations

from dataclasses import dataclass, field

from cardproto.resident.records.event import parse_event
from sim.card.virtual import VirtualCard
from terminal.lab.world import events_on


@dataclass(slots=True)
class RideAttempt:
    """One passenger's ride until the terminal says "go": what it wrote on the card meanwhile."""

    place: int
    clocks: tuple[int, ...]
    began_s: float
    events: int = 0


@dataclass(slots=True)
class StressRider:
    """A card, and what its memory has shown so far."""

    card: VirtualCard
    start_minor: int
    events: dict[tuple[int, int], int] = field(default_factory=dict)
    """Amount of each event the card has ever held, by terminal and sequence."""
    records: dict[tuple[int, int], bytes] = field(default_factory=dict)
    doubled: list[tuple[int, int]] = field(default_factory=list)
    """Numbers that two different events of this card have had."""
    before: frozenset[tuple[int, int]] = frozenset()
    """Events that a copied card had before it was one."""
    copy: bool = False
    kinds: tuple[str, ...] = ()
    """What is special about this card."""
    unseen: int = 0
    attempt: RideAttempt | None = None

    def look(self) -> int:
        """Take in the events in the card's memory; how many are new."""
        self.unseen = 0
        before = len(self.events)
        for record in events_on(self.card):
            event = parse_event(record)
            tap = event.terminal, event.sequence
            if tap in self.before:
                continue
            if event.terminal and self.records.setdefault(tap, record) != record:
                self.doubled.append(tap)
            if event.terminal:
                self.events.setdefault(tap, event.amount_minor)
        return len(self.events) - before
