"""What a canteen keeps of its pupils besides the roster, sealed for this terminal only: whose a card is, and a list
that is being checked (D-02)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from terminal.canteen.card_book import HeldCard
from terminal.canteen.pupils.comparing import PupilRefs
from terminal.canteen.pupils.draft import PupilDraft
from terminal.decoding import decode_msgpack
from terminal.errors import JournalError, KeyFileError, RosterError
from terminal.files import Sealer, replace_file
from terminal.keys.provider import KeyProvider

PURPOSE: Final = "roster"
"""The storage key: names, numbers and cards are of one kind."""
CARDS_FILE: Final = "cards.sealed"
DRAFT_FILE: Final = "draft.sealed"
CARDS_MAGIC: Final = b"RCCARDS1"
DRAFT_MAGIC: Final = b"RCDRAFT1"
SCHOOL: Final = "school"
LIST_KEY: Final = (b"list of pupils, 1", b"list of pupils, 2")
"""Two tokens make the key that references of a list are made with; no card's identity is as long."""
MOST_BYTES: Final = 32 << 20
DAMAGED: Final = ".damaged"


class _KeptCards(msgspec.Struct, frozen=True):
    cards: tuple[HeldCard, ...]


class PupilFiles:
    """The sealed files in a canteen's folder."""

    def __init__(self, folder: Path, sealer: Sealer, terminal: int, keys: KeyProvider) -> None:
        """`keys` has the purpose "school", by which pupils of a list get references."""
        self._keys = keys
        self._folder = folder
        self._sealer = sealer
        self._terminal = terminal
        self._kept: tuple[HeldCard, ...] = ()
        self._draft: tuple[tuple[int, int, int], PupilDraft] | None = None

    @property
    def refs(self) -> PupilRefs:
        """Makes references for pupils of a list who have none. Raises `KeyLimitReached`."""
        return PupilRefs(b"".join(self._keys.token(SCHOOL, part) for part in LIST_KEY))

    def cards(self) -> tuple[HeldCard, ...]:
        """As they were kept. A file that is damaged is put aside: serving goes on, and the rows that are held say again
        what they said."""
        try:
            content = self._read(CARDS_FILE, CARDS_MAGIC)
            self._kept = () if content is None else decode_msgpack(content, _KeptCards, MOST_BYTES).cards
        except (KeyFileError, msgspec.DecodeError):
            with suppress(OSError):
                (self._folder / CARDS_FILE).replace(self._folder / (CARDS_FILE + DAMAGED))
        return self._kept

    def keep_cards(self, cards: Iterable[HeldCard]) -> None:
        """Keep them where they changed. Raises `JournalError`."""
        now = tuple(cards)
        if now == self._kept:
            return
        self._write(CARDS_FILE, CARDS_MAGIC, msgspec.msgpack.encode(_KeptCards(now)))
        self._kept = now

    def draft(self) -> PupilDraft | None:
        """The list that is being checked, or None; the same value for as long as its file stays the same."""
        state = self._state_of_draft()
        if state is None or (self._draft is not None and self._draft[0] == state):
            return None if state is None or self._draft is None else self._draft[1]
        try:
            content = self._read(DRAFT_FILE, DRAFT_MAGIC)
            draft = None if content is None else decode_msgpack(content, PupilDraft, MOST_BYTES)
            self._draft = None if draft is None else (state, draft)
            return draft
        except (KeyFileError, msgspec.DecodeError) as error:
            self.drop_draft()
            raise RosterError("the list that was being checked is damaged", "Load the file again.") from error

    def keep_draft(self, draft: PupilDraft) -> None:
        """From now on this one is being checked. Raises `JournalError`."""
        self._write(DRAFT_FILE, DRAFT_MAGIC, msgspec.msgpack.encode(draft))

    def drop_draft(self) -> None:
        """It was loaded or given up."""
        (self._folder / DRAFT_FILE).unlink(missing_ok=True)

    def _state_of_draft(self) -> tuple[int, int, int] | None:
        try:
            found = (self._folder / DRAFT_FILE).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self, name: str, magic: bytes) -> bytes | None:
        try:
            sealed = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RosterError(f"{name} cannot be read ({error.strerror})", "Check the disk.") from error
        return self._sealer.unseal(PURPOSE, sealed, self._bound_to(magic))

    def _write(self, name: str, magic: bytes, content: bytes) -> None:
        sealed = self._sealer.seal(PURPOSE, content, self._bound_to(magic))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_file(self._folder / name, sealed)
        except OSError as error:
            raise JournalError(f"{name} cannot be written ({error.strerror})", "Check the disk.") from error

    def _bound_to(self, magic: bytes) -> bytes:
        return magic + self._terminal.to_bytes(4, "big")
