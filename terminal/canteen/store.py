"""Where a canteen terminal keeps its roster and price list: two files, each replaced whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from terminal.canteen.documents import (
    ListFile,
    ListHeader,
    PriceListDocument,
    RosterDocument,
    parse_document,
    require_sound,
)
from terminal.canteen.price_list import PriceList, price_list_problems
from terminal.canteen.roster import Roster, roster_problems
from terminal.errors import RosterError
from terminal.files import Sealer, replace_file
from terminal.policy.policy import Policy

PURPOSE: Final = "roster"
MAGIC: Final = b"RCROST1\n"
ROSTER_FILE: Final = "roster.sealed"
PRICE_LIST_FILE: Final = "price_list.json"
CANTEEN_FOLDER: Final = "canteen"
"""Where in a terminal's folder its lists, spare log and control file lie."""


@dataclass(frozen=True, slots=True)
class CanteenStore:
    """The folder of one canteen terminal's lists. A sealed roster opens on the terminal it was loaded on only."""

    folder: Path
    terminal: int
    sealer: Sealer

    def load_roster(self, policy: Policy) -> Roster | None:
        """The roster in force, or None when none was ever loaded; an old one is still in force (M-37).

        Raises `RosterError` or `KeyFileError` when there is one that cannot be used.
        """
        content = _read(self.folder / ROSTER_FILE)
        if content is None:
            return None
        return Roster.of(self._unseal(content), policy)

    def install_roster(self, source: ListFile, policy: Policy, now: datetime) -> Roster:
        """Check the roster in `source` and put it in force. Raises `RosterError`; then nothing has changed."""
        document = source.document(RosterDocument)
        require_sound(roster_problems(document, policy, now), source.name)
        held = _read(self.folder / ROSTER_FILE)
        if held is not None:
            _require_newer(document.header, self._unseal(held).header, source.name)
        sealed = self.sealer.seal(PURPOSE, msgspec.json.encode(document), self._bound_to())
        self._replace(ROSTER_FILE, MAGIC + sealed)
        return Roster.of(document, policy)

    def load_price_list(self) -> PriceList | None:
        """The price list in force, or None when none was ever loaded. Raises `RosterError`."""
        content = _read(self.folder / PRICE_LIST_FILE)
        if content is None:
            return None
        return PriceList.of(parse_document(content, PRICE_LIST_FILE, PriceListDocument, toml=False))

    def install_price_list(self, source: ListFile, policy: Policy, now: datetime) -> PriceList:
        """Check the price list in `source` and put it in force. Raises `RosterError`."""
        document = source.document(PriceListDocument)
        require_sound(price_list_problems(document, policy, now), source.name)
        held = self.load_price_list()
        if held is not None:
            _require_newer(document.header, held.header, source.name)
        self._replace(PRICE_LIST_FILE, msgspec.json.encode(document))
        return PriceList.of(document)

    def _unseal(self, content: bytes) -> RosterDocument:
        if not content.startswith(MAGIC):
            raise RosterError(f"{self.folder / ROSTER_FILE} is no sealed roster", "Load the roster again.")
        plain = self.sealer.unseal(PURPOSE, content[len(MAGIC) :], self._bound_to())
        return parse_document(plain, ROSTER_FILE, RosterDocument, toml=False)

    def _bound_to(self) -> bytes:
        return MAGIC + self.terminal.to_bytes(4, "big")

    def _replace(self, name: str, content: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(self.folder / name, content)
        except OSError as error:
            raise RosterError(
                f"{self.folder / name} cannot be written ({error.strerror})",
                "Check the folder and its rights.",
            ) from error


def _require_newer(new: ListHeader, held: ListHeader, name: str) -> None:
    """O-01: a list never goes back, and a terminal never changes its school by mistake."""
    if new.school != held.school:
        raise RosterError(
            f"{name}: made for {new.school}, this terminal stands in {held.school}",
            "Load the list of this school, or give the terminal a folder of its own.",
        )
    if new.sequence <= held.sequence:
        raise RosterError(
            f"{name}: sequence {new.sequence}, the one in force is {held.sequence}", "Load a newer list."
        )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RosterError(f"{path} cannot be read ({error.strerror})", "Check its rights.") from error
