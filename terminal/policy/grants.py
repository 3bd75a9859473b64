"""Concessions the terminal knows of itself: the local list beside the grants on the card (O-02)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from types import MappingProxyType
from typing import Final, Protocol

from cardproto.resident.records.rights import CONCESSION_SLOTS, Concession
from terminal.policy.deny_list import VERSION_DIGITS


@dataclass(frozen=True, slots=True)
class LocalGrants:
    """What the list says of one holder, and when that was issued. Slots as on a card."""

    issued_on: date
    concessions: tuple[Concession | None, ...]


class GrantList(Protocol):
    """Who has which concessions, whatever the card says."""

    def of(self, pseudonym: bytes) -> LocalGrants | None:
        """What the list says of the holder of `pseudonym` (8 bytes, as on the card); None: nothing."""
        ...

    @property
    def version(self) -> str:
        """Which list this is, as records name it; empty for none."""
        ...


class NoGrants:
    """A list without entries."""

    version: Final = ""

    def of(self, pseudonym: bytes) -> LocalGrants | None:  # noqa: ARG002 the protocol's argument
        return None


NO_GRANTS: Final = NoGrants()


class GrantTable:
    """A list in memory."""

    def __init__(self, entries: Iterable[tuple[bytes, date, Iterable[Concession]]]) -> None:
        """`entries`: pseudonym, day of issue, at most three concessions; the newest of a pseudonym counts."""
        newest: dict[bytes, LocalGrants] = {}
        for pseudonym, issued_on, concessions in entries:
            known = newest.get(pseudonym)
            if known is None or known.issued_on < issued_on:
                slots = (*concessions, *(None,) * CONCESSION_SLOTS)[:CONCESSION_SLOTS]
                newest[pseudonym] = LocalGrants(issued_on, slots)
        self._by_pseudonym: Final[Mapping[bytes, LocalGrants]] = MappingProxyType(newest)
        self.version: Final = sha256(repr(sorted(newest.items())).encode()).hexdigest()[:VERSION_DIGITS]

    def __len__(self) -> int:
        return len(self._by_pseudonym)

    def of(self, pseudonym: bytes) -> LocalGrants | None:
        """What the list says of the holder of `pseudonym`."""
        return self._by_pseudonym.get(pseudonym)
