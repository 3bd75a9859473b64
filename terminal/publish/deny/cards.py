"""Cards that rows name in the deny register: by UID where the card registry knows it, so that every profile's terminals
refuse it; else by the reference, which those terminals know whose rows name it so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

from terminal.clock import SystemClock
from terminal.collector.registry import CardRegistry, registry_keys
from terminal.policy.deny_list import DenyKind
from terminal.publish.deny.register import DeniedIdentity, DenyEntry, DenyReason, DenyRegister


class RegisteredDenials:
    """The register in a folder, as `terminal.collector.denying.CardDenials`; opened for each act. Methods raise
    `PublishError`, and `KeyFileError` for a registry that cannot be read."""

    def __init__(
        self, folder: Path, registry: Callable[[], CardRegistry | None], now: Callable[[], datetime]
    ) -> None:
        self._folder = folder
        self._registry = registry
        self._now = now

    def deny(self, card_ref: bytes, reason: str, by: str) -> bool:
        *_, identity = self._identities(card_ref)
        with closing(DenyRegister(self._folder)) as register:
            return register.add(DenyEntry(identity, DenyReason(reason), self._now(), None, by))

    def reasons(self, card_ref: bytes) -> frozenset[str]:
        with closing(DenyRegister(self._folder)) as register:
            entries = (one for identity in self._identities(card_ref) for one in register.of(identity))
            return frozenset(one.reason.value for one in entries if one.ended_at is None)

    def forget(self, card_ref: bytes) -> int:
        with closing(DenyRegister(self._folder)) as register:
            return sum(register.forget(identity) for identity in self._identities(card_ref))

    def _identities(self, card_ref: bytes) -> Iterator[DeniedIdentity]:
        """By what it may stand in the register, the widest last."""
        yield DeniedIdentity(DenyKind.REFERENCE, card_ref)
        registry = self._registry()
        uid = b"" if registry is None else registry.uid_of(card_ref)
        if uid:
            yield DeniedIdentity(DenyKind.CARD, uid)


def denials_at(folder: Path | None, registry: Path | None, keys: Path | None) -> RegisteredDenials | None:
    """For a running office: the card registry is read as it is when a card is denied; an issuing point adds to it."""
    if folder is None:
        return None

    def known() -> CardRegistry | None:
        return None if registry is None else CardRegistry.load(registry, registry_keys(keys))

    return RegisteredDenials(folder, known, SystemClock().now)
