"""The kinds of files that every terminal's active set may hold: region document, routes document, the
deny list and its changes, list of grants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any, ClassVar, Final, TypeVar

import msgspec

from terminal.codes import CanteenFault, SetKind, UpdateFault
from terminal.errors import CanteenRefused, RegionDocumentError
from terminal.mistakes.reading import Unreadable, text_of, toml_of
from terminal.mistakes.words import refusal
from terminal.policy.deny_changes import (
    ADVICE,
    MOST_CHANGES_BYTES,
    DenyChanges,
    are_of,
    read_changes,
)
from terminal.policy.deny_list import DenyList, DenyListFile, load_deny_list
from terminal.policy.document.meals import BY_SHIFT
from terminal.policy.document.schema import Header, RegionDocument
from terminal.policy.ends import goes_on_until
from terminal.policy.grants import GrantList, load_grants
from terminal.policy.keyed_file import KeyedFile
from terminal.policy.load import load_header, load_region
from terminal.policy.policy import Policy
from terminal.policy.routes import MOST_BYTES, NO_ROUTES, RouteBook, load_routes
from terminal.updates.edition import Edition, LoadedEdition, Newest, Objection, PlainPart, Published

MOST_REGION_BYTES: Final = 4 << 20
MOST_LIST_BYTES: Final = 100 << 20
"""Thirteen million entries."""
REGION_FILE: Final = "region.toml"
ROUTES_FILE: Final = "routes.toml"


KeyedList = TypeVar("KeyedList", bound=KeyedFile)

Requirement = Callable[[RegionDocument, RouteBook], None]
"""Raises `RegionDocumentError` where a document needs what a terminal on these routes cannot know."""


def nothing_required(_document: RegionDocument, _routes: RouteBook) -> None:
    """Of a terminal that is composed by hand: who does that answers for the facts."""


class HeaderPart(PlainPart[Header]):
    """What a region document says of itself, for those who need no more of it."""

    kind: ClassVar = SetKind.REGION
    file: ClassVar = REGION_FILE
    most_bytes: ClassVar = MOST_REGION_BYTES

    def load(self, slot: Path, called: str = "") -> LoadedEdition[Header]:  # noqa: ARG002 nothing of it is published
        path = slot / self.file
        header = load_header(path)
        edition = Edition(header.id, header.version, header.region, header.valid_from)
        return LoadedEdition(edition, sha256(path.read_bytes()).digest(), header)


def require_meal(serving: str, policy: Policy) -> None:
    """Raise `CanteenRefused` where a till is set to a meal that the region document does not have."""
    if serving not in ("", BY_SHIFT, *policy.meals.kinds):
        known = ", ".join((*policy.meals.kinds, BY_SHIFT))
        raise CanteenRefused(
            f"no meal {serving!r} in the region document", f"It has: {known}.", CanteenFault.NO_MEAL
        )


@dataclass(frozen=True)
class RegionPart(PlainPart[Policy]):
    """A region document with the tables of its feed; ready as a `Policy` without lists."""

    require: Requirement = nothing_required
    canteen: bool = False
    """Whose entitled meals wait for no successor (O-01)."""
    serving: str = ""
    """The meal its till is set to; empty for none in particular."""

    kind: ClassVar = SetKind.REGION
    file: ClassVar = REGION_FILE
    most_bytes: ClassVar = MOST_REGION_BYTES

    def beside(self, content: bytes) -> tuple[str, ...]:
        """The file of the feed's tables, which has to be a name and no way to another folder."""
        file = _table(_toml(content), "gtfs").get("file")
        if file is None:
            return ()
        if not isinstance(file, str) or PurePath(file).name != file or file in ("..", REGION_FILE):
            raise RegionDocumentError(
                "gtfs.file is no name of a file beside the document",
                "Put the tables beside it and name them plainly.",
            )
        return (file,)

    def slot_files(self, published: Published) -> Mapping[str, bytes]:
        return {self.file: published.content, **published.beside}

    def against(self, value: Policy, newest: Newest) -> Objection | None:
        try:
            require_meal(self.serving, value)
        except CanteenRefused as error:
            return Objection(UpdateFault.NO_MEAL, error)
        present: Policy = newest(SetKind.REGION, value)
        if present.currency != value.currency:
            return Objection(UpdateFault.OTHER_CURRENCY, _other_currency(present.currency, value.currency))
        return _unknowable(self.require, value.document, newest(SetKind.ROUTES, NO_ROUTES))

    def load(self, slot: Path, called: str = "") -> LoadedEdition[Policy]:
        path = slot / self.file
        document = load_region(path, called)
        header = document.header
        until = None if self.canteen else goes_on_until(document)
        edition = Edition(
            header.id,
            header.version,
            header.region,
            header.valid_from,
            until,
            header.issued,
            stated_end=header.valid_to,
            trial_days=document.trial.days,
        )
        policy = Policy.of(_without_tables(document))
        return LoadedEdition(edition, sha256(path.read_bytes()).digest(), policy)


def _without_tables(document: RegionDocument) -> RegionDocument:
    """For as long as it decides: the tables of its feed have been checked and are indexed."""
    if document.gtfs is None:
        return document
    return msgspec.structs.replace(document, gtfs=document.gtfs.without_tables())


@dataclass(frozen=True)
class RoutesPart(PlainPart[RouteBook]):
    """A routes document."""

    require: Requirement = nothing_required

    kind: ClassVar = SetKind.ROUTES
    file: ClassVar = ROUTES_FILE
    most_bytes: ClassVar = MOST_BYTES

    def against(self, value: RouteBook, newest: Newest) -> Objection | None:
        policy: Policy | None = newest(SetKind.REGION, None)
        return None if policy is None else _unknowable(self.require, policy.document, value)

    def load(self, slot: Path, called: str = "") -> LoadedEdition[RouteBook]:
        path = slot / self.file
        book = load_routes(path, called)
        assert book.document is not None, "what was loaded from a file is a document"
        header = book.document.header
        edition = Edition(
            header.id, header.version, header.region, header.valid_from, issued_at=header.issued_at
        )
        return LoadedEdition(edition, sha256(path.read_bytes()).digest(), book)


@dataclass(frozen=True, repr=False)
class DenyPart(PlainPart[DenyList]):
    """A deny list, mapped where it lies. `key` gives the one that it was made with."""

    key: Callable[[], bytes]

    kind: ClassVar = SetKind.DENY
    most_bytes: ClassVar = MOST_LIST_BYTES

    def load(self, slot: Path, called: str = "") -> LoadedEdition[DenyList]:
        return _keyed(self.kind, load_deny_list(slot / self.file, self.key(), called))

    def load_again(self, slot: Path, sha256: bytes) -> LoadedEdition[DenyList]:
        return _keyed(self.kind, load_deny_list(slot / self.file, self.key(), sorted_digest=sha256))


class DenyChangesPart(PlainPart[DenyChanges]):
    """All changes since a deny list; they wait for the one they are of."""

    kind: ClassVar = SetKind.DENY_CHANGES
    most_bytes: ClassVar = MOST_CHANGES_BYTES

    def against(self, value: DenyChanges, newest: Newest) -> Objection | None:
        base: DenyList | None = newest(SetKind.DENY, None)
        if isinstance(base, DenyListFile) and are_of(value, base):
            return None
        return Objection(
            UpdateFault.UNSOUND,
            RegionDocumentError(
                "the changes are of another deny list", "They wait for the list they are of."
            ),
        )

    def load(self, slot: Path, called: str = "") -> LoadedEdition[DenyChanges]:
        path = slot / self.file
        content = path.read_bytes()
        changes = read_changes(content, called or str(path))
        if not changes.is_whole or not changes.last:
            raise RegionDocumentError("the file holds not all changes since the deny list", ADVICE)
        edition = Edition(self.kind.value, changes.last, changes.base.region, issued_at=changes.issued_at)
        return LoadedEdition(edition, sha256(content).digest(), changes)


@dataclass(frozen=True, repr=False)
class GrantsPart(PlainPart[GrantList]):
    """The terminal's own list of concessions (O-02), mapped where it lies."""

    key: Callable[[], bytes]

    kind: ClassVar = SetKind.GRANTS
    most_bytes: ClassVar = MOST_LIST_BYTES

    def load(self, slot: Path, called: str = "") -> LoadedEdition[GrantList]:
        return _keyed(self.kind, load_grants(slot / self.file, self.key(), called))

    def load_again(self, slot: Path, sha256: bytes) -> LoadedEdition[GrantList]:
        return _keyed(self.kind, load_grants(slot / self.file, self.key(), sorted_digest=sha256))


def _keyed(kind: SetKind, listed: KeyedList) -> LoadedEdition[KeyedList]:
    edition = Edition(kind.value, listed.version, listed.region, issued_at=listed.issued_at)
    return LoadedEdition(edition, listed.digest, listed)


def _other_currency(present: str, offered: str) -> RegionDocumentError:
    return RegionDocumentError(
        f"it is in {offered}, what is in force in {present}",
        "The cards' purses go on counting: give the new currency a region, a document and terminals of its own.",
    )


def _unknowable(require: Requirement, document: RegionDocument, routes: RouteBook) -> Objection | None:
    try:
        require(document, routes)
    except RegionDocumentError as error:
        return Objection(UpdateFault.UNKNOWABLE, error)
    return None


def _toml(content: bytes) -> dict[str, Any]:
    try:
        return toml_of(text_of(content))
    except Unreadable as unreadable:
        raise refusal(RegionDocumentError, unreadable.mistakes) from unreadable


def _table(raw: dict[str, Any], name: str) -> dict[str, Any]:
    table = raw.get(name)
    return table if isinstance(table, dict) else {}
