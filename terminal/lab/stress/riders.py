"""The passengers of a stress run, as their cards' memories show them."""

from __future__ import annotations

from dataclasses import dataclass, field

from cardproto.resident.records.event import Event, parse_event
from sim.card.virtual import VirtualCard
from terminal.lab.world import file_on


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
    unseen: int = 0
    attempt: RideAttempt | None = None

    def look(self) -> int:
        """Take in the events in the card's memory; how many are new."""
        self.unseen = 0
        before = len(self.events)
        records = file_on(self.card, "02")["records"]
        assert isinstance(records, list)
        for record in records:
            event: Event = parse_event(bytes.fromhex(str(record)))
            if event.terminal:
                self.events.setdefault((event.terminal, event.sequence), event.amount_minor)
        return len(self.events) - before
