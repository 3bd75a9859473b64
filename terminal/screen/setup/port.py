"""What the pages ask of the composition root: it holds the keys and makes a terminal of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from terminal.errors import Mistake
from terminal.screen.setup.asked import Texts
from terminal.screen.setup.draft import DraftStaff


class SetupMaker(Protocol):
    """Every method may take a second, and raises `TerminalError` for what cannot be done."""

    def key_mistake(self, texts: Texts) -> Mistake | None:
        """What is wrong with the key file among the answers."""
        ...

    def own_key(self) -> str:
        """The public key of this till, as the others need it."""
        ...

    def keys_name(self, texts: Texts) -> str:
        """Changes with the keys that PINs are hashed with."""
        ...

    def hash_pin(self, texts: Texts, pin: str) -> str:
        """A PIN as a staff list keeps it; raises `StaffError` for one that is too easy to guess."""
        ...

    def document_mistakes(self, texts: Texts) -> Sequence[Mistake]:
        """What the document made of sound answers would still be refused for."""
        ...

    def finish(self, texts: Texts, staff: Sequence[DraftStaff], passphrase: str) -> None:
        """Write everything; the configuration file last, which closes the first run for good."""
        ...

    def demonstrate(self, texts: Texts) -> Sequence[tuple[str, str, str]]:
        """The same for a made-up school; its staff: number, role, PIN."""
        ...
