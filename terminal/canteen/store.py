"""A canteen terminal's lists as parts of its active set (`terminal.updates`): roster and price list.

A list is kept as it came, with the name by which it is TOML or JSON. The roster is sealed, and opens only on the
terminal it was loaded on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Struct

from terminal.canteen.documents import (
    ListFile,
    ListHeader,
    PriceListDocument,
    RosterDocument,
    lasting_problems,
)
from terminal.canteen.price_list import PriceList, price_list_problems
from terminal.canteen.roster import Roster, roster_problems
from terminal.codes import SetKind, UpdateFault
from terminal.decoding import decode_msgpack
from terminal.errors import Mistake, RosterError
from terminal.files import Sealer
from terminal.journal.journal import Journal
from terminal.mistakes.words import refusal
from terminal.policy.policy import Policy
from terminal.updates.active import ActiveSet
from terminal.updates.edition import (
    Edition,
    LoadedEdition,
    Newest,
    Objection,
    PlainPart,
    Published,
    SetRefusal,
)
from terminal.updates.held import HeldEdition

PURPOSE: Final = "roster"
MAGIC: Final = b"RCROST2\n"
MOST_BYTES: Final = 16 << 20
"""A roster of some thousand pupils with their orders has about nine megabytes."""
CANTEEN_FOLDER: Final = "canteen"
"""Where in a terminal's folder its spare log and control file lie."""


@dataclass(frozen=True, repr=False)
class RosterPart(PlainPart[RosterDocument]):
    """The list of pupils, sealed as a whole."""

    terminal: int
    sealer: Sealer

    kind: ClassVar = SetKind.ROSTER
    file: ClassVar = "roster.sealed"
    most_bytes: ClassVar = MOST_BYTES

    def slot_files(self, published: Published) -> Mapping[str, bytes]:
        content = msgspec.msgpack.encode(ListFile(published.name, published.content))
        return {self.file: MAGIC + self.sealer.seal(PURPOSE, content, self._bound_to)}

    def against(self, value: Any, newest: Newest) -> Objection | None:
        policy: Policy | None = newest(SetKind.REGION, None)
        return None if policy is None else _objection(roster_problems(value, policy))

    def load(self, slot: Path, called: str = "") -> LoadedEdition[RosterDocument]:
        kept = _read(slot / self.file)
        if not kept.startswith(MAGIC):
            raise RosterError(f"{slot / self.file} is no sealed roster", "Load the roster again.")
        plain = self.sealer.unseal(PURPOSE, kept[len(MAGIC) :], self._bound_to)
        came = decode_msgpack(plain, ListFile)
        document = came.document(RosterDocument)
        return _loaded(came, called, document.header, document)

    @property
    def _bound_to(self) -> bytes:
        return MAGIC + self.terminal.to_bytes(4, "big")


class PricesPart(PlainPart[PriceListDocument]):
    """What the buffet sells."""

    kind: ClassVar = SetKind.PRICES
    file: ClassVar = "prices"
    most_bytes: ClassVar = MOST_BYTES

    def slot_files(self, published: Published) -> Mapping[str, bytes]:
        return {self.file: msgspec.msgpack.encode(ListFile(published.name, published.content))}

    def against(self, value: Any, newest: Newest) -> Objection | None:  # noqa: ARG002 the port's argument
        return _objection(price_list_problems(value))

    def load(self, slot: Path, called: str = "") -> LoadedEdition[PriceListDocument]:
        try:
            came = decode_msgpack(_read(slot / self.file), ListFile)
        except msgspec.DecodeError as error:
            raise RosterError(f"{slot / self.file} is no price list", "Load it again.") from error
        document = came.document(PriceListDocument)
        return _loaded(came, called, document.header, document)


class CanteenLists(Struct, frozen=True):
    """The two lists of a canteen in an active set."""

    active: ActiveSet

    def roster(self, policy: Policy) -> Roster | None:
        """The roster in force, or None when none was ever loaded; an old one is still in force (M-37)."""
        document: RosterDocument | None = self.active.value(SetKind.ROSTER, None)
        return None if document is None else Roster.of(document, policy)

    def price_list(self) -> PriceList | None:
        """The price list in force, or None when none was ever loaded."""
        document: PriceListDocument | None = self.active.value(SetKind.PRICES, None)
        return None if document is None else PriceList.of(document)

    def offer(self, kind: SetKind, came: ListFile, now: datetime | None) -> HeldEdition:
        """Check a list and let it wait for its moment. Raises `RosterError`; then nothing has changed."""
        offered = self.active.offer(kind, Published(came.name, came.content), now)
        if offered.refused is not None:
            raise refused_list(came.name, offered.refused) from None
        assert offered.held is not None, "what is not refused is held"
        return offered.held

    def put(self, kind: SetKind, came: ListFile, now: datetime, journal: Journal | None = None) -> bool:
        """As `offer`, and in force at once where its moment has come; whether it is. May raise `JournalError`, too."""
        held = self.offer(kind, came, now)
        if kind in self.active.due(now):
            self.active.activate((kind,), now, journal)
        return held.sha256 == self.active.digest(kind)


def refused_list(name: str, refused: SetRefusal) -> RosterError:
    """Why the list called `name` is not taken, for the staff that load it."""
    edition, why = refused.edition, refused.error
    if edition is None:
        large = RosterError(f"{name} is too large", f"A list has at most {MOST_BYTES >> 20} MB.")
        return large if why is None else RosterError(why.what, why.advice)
    if why is not None:
        return RosterError(f"{name}: {why.what}", why.advice)
    newer = f"sequence {edition.version}, the one in force is {refused.known}", "Load a newer list."
    school = "Load the list of this school, or give the terminal a folder of its own."
    elsewhere = f"header.region: made for region {edition.region}, this terminal works in another"
    what, advice = {
        UpdateFault.OLDER: newer,
        UpdateFault.CHANGED: newer,
        UpdateFault.OTHER_DOCUMENT: (
            f"made for {edition.id}, this terminal stands in another school",
            school,
        ),
        UpdateFault.OTHER_REGION: (elsewhere, "Load the list of this region."),
        UpdateFault.ENDED: (f"header.valid_to: ended on {edition.valid_to}", "Load its successor."),
    }[refused.fault]
    return RosterError(f"{name}: {what}", advice)


def _loaded(came: ListFile, called: str, header: ListHeader, document: Any) -> LoadedEdition[Any]:
    came.require_sound(type(document), lasting_problems(header), called)
    edition = Edition(
        id=header.school,
        version=header.sequence,
        region=header.region,
        valid_from=header.valid_from,
        valid_to=header.valid_to,
        issued_at=header.issued_at,
    )
    return LoadedEdition(edition, sha256(came.content).digest(), document)


def _objection(found: Iterator[Mistake]) -> Objection | None:
    mistakes = tuple(found)
    return Objection(UpdateFault.UNSOUND, refusal(RosterError, mistakes)) if mistakes else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RosterError(f"{path} cannot be read ({error.strerror})", "Check its rights.") from error
