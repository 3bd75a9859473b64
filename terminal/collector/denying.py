"""A passenger's card is refused from the office: entered in the deny register, which is the publishing side's.
Terminals hear of it with the next list that is issued (`terminal deny issue`)."""

from __future__ import annotations

from typing import Final, Protocol

from terminal.texts import N_

DENY_REASONS: Final = {
    "lost": N_("lost by its holder"),
    "stolen": N_("stolen"),
    "copied": N_("copied"),
    "misuse": N_("misuse"),
    "other": N_("other reason"),
}
"""Those a person gives at the office's page, by the register's codes; the others are given by what is done."""
DEBT: Final = "debt"


class CardDenials(Protocol):
    """The register as far as cards that rows name are in it. Methods raise `TerminalError`."""

    def deny(self, card_ref: bytes, reason: str, by: str) -> bool:
        """Refuse it; False where it is denied already."""
        ...

    def reasons(self, card_ref: bytes) -> frozenset[str]:
        """Why it is denied now."""
        ...

    def forget(self, card_ref: bytes) -> int:
        """Delete what ended and is on no list; how many entries stay, because terminals still go by them."""
        ...
