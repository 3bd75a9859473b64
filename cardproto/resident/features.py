"""What a resident card may be issued without."""

from __future__ import annotations

from enum import StrEnum


class CardFeature(StrEnum):
    """What a card may be issued without, where its chip does not do it as assumed."""

    TIMER = "timer"
    KEY_SETS = "key_sets"
    """Such a card is never rolled."""
    ADDITIONAL_RIGHTS = "additional_rights"
    """The files have the rights of an EV1 card: no card orders, and inspectors read with the validate key."""
