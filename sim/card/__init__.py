"""Software cards: a DESFire with the true semantics, and other cards a terminal meets."""

from sim.card.virtual import VirtualCard

__all__ = ["VirtualCard"]
