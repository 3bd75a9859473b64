"""Everything one tap read from a resident card, frozen."""

from __future__ import annotations

from dataclasses import dataclass

from cardproto.resident.records.event import Event
from cardproto.resident.records.rights import Rights


@dataclass(frozen=True, slots=True)
class CardSnapshot:
    """What the decision may know. `uid` is the real 7-byte UID, which never leaves the terminal in clear; `reference`
    is what records say in its place, empty where none is made.
    """

    uid: bytes
    rights: Rights
    event: Event
    reference: bytes = b""

    @property
    def balance_minor(self) -> int:
        """The purse as the newest event states it; the transaction MAC covers that statement."""
        return self.event.balance_after_minor
