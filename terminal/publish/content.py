"""What may be published: a file goes into a draft only when terminals could load it, by the parts they load it with.

A tariff that a terminal would refuse is refused here, before a person is asked to sign it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from terminal.canteen.documents import (
    ListFile,
    ListHeader,
    PriceListDocument,
    RosterDocument,
    header_problems,
)
from terminal.canteen.price_list import price_list_problems
from terminal.canteen.roster import roster_problems
from terminal.codes import SetKind
from terminal.decoding import TooManyBytes, read_within
from terminal.errors import PublishError
from terminal.keys.bank_ca import load_bank_ca
from terminal.keys.file import FileKeys, load_issuers
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.publish.drafting import NewFile
from terminal.screen.console.staff import MOST_MEMBERS, members_in
from terminal.updates.bundle.assignment import MOST_BYTES as MOST_ASSIGNMENT
from terminal.updates.bundle.assignment import read_assignment
from terminal.updates.bundle.roles import BundleRole
from terminal.updates.edition import MOST_BESIDE_BYTES, Edition, PlainPart, Published
from terminal.updates.parts import DenyPart, GrantsPart, RegionPart, RoutesPart

MOST_SMALL: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Basis:
    """What files are checked by: the moment, a region document for rosters and prices, keys for lists. The last two
    are asked for where they are needed, and may raise.
    """

    now: datetime
    region: Callable[[], Path] = field(repr=False)
    keys: Callable[[], FileKeys] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Checked:
    """Files that terminals can load, the document first, and what it says of itself where it has a version."""

    files: tuple[NewFile, ...]
    id: str = ""
    version: int = 0

    @classmethod
    def of(cls, edition: Edition, files: Iterator[NewFile]) -> Checked:
        first, *beside = files
        custom: dict[str, Any] = {"id": edition.id, "version": edition.version}
        if edition.valid_from is not None:
            custom["valid_from"] = edition.valid_from.isoformat()
        return cls((NewFile(first.name, first.content, custom), *beside), edition.id, edition.version)


def checked(role: BundleRole, path: Path, basis: Basis) -> Checked:
    """What `path` is as a file of `role`. Raises `TerminalError` with what a terminal would say."""
    return _CHECKS[role](path, basis)


def _tariff(path: Path, _basis: Basis) -> Checked:
    return _with_part(RegionPart(), path, "region.toml")


def _routes(path: Path, _basis: Basis) -> Checked:
    return _with_part(RoutesPart(), path, "routes.toml")


def _deny(path: Path, basis: Basis) -> Checked:
    return _with_part(DenyPart(partial(basis.keys().list_key, SetKind.DENY.value)), path, "deny-list")


def _grants(path: Path, basis: Basis) -> Checked:
    return _with_part(GrantsPart(partial(basis.keys().list_key, SetKind.GRANTS.value)), path, "grants-list")


def _with_part(part: PlainPart[Any], path: Path, name: str) -> Checked:
    """As a terminal does: what lies beside the document, a slot, and all of it loaded from there."""
    content = content_of(path, part.most_bytes)  # type: ignore[attr-defined]  # every part has it, as the port says
    beside = {one: content_of(path.parent / one, MOST_BESIDE_BYTES) for one in part.beside(content)}
    with _slot() as slot:
        for file, held in part.slot_files(Published(path.name, content, beside)).items():
            (slot / file).write_bytes(held)
        edition = part.load(slot, str(path)).edition
    files = {name: content, **beside}
    return Checked.of(edition, (NewFile(one, held) for one, held in files.items()))


def _roster(path: Path, basis: Basis) -> Checked:
    came, policy = ListFile.read(path), _policy(basis)
    document = came.document(RosterDocument)
    found = [*header_problems(document.header, policy.document.header.region, basis.now)]
    came.require_sound(RosterDocument, [*found, *roster_problems(document, policy)])
    return _list(came, document.header, "roster")


def _prices(path: Path, basis: Basis) -> Checked:
    came, policy = ListFile.read(path), _policy(basis)
    document = came.document(PriceListDocument)
    found = [*header_problems(document.header, policy.document.header.region, basis.now)]
    came.require_sound(PriceListDocument, [*found, *price_list_problems(document)])
    return _list(came, document.header, "prices")


def _list(came: ListFile, header: ListHeader, name: str) -> Checked:
    """A list says nothing of itself outside the seal."""
    suffix = "json" if came.json else "toml"
    return Checked((NewFile(f"{name}.{suffix}", came.content),), header.school, header.sequence)


def _staff(path: Path, _basis: Basis) -> Checked:
    content = content_of(path, MOST_SMALL)
    members = members_in(content, path)
    if not members or len(members) > MOST_MEMBERS:
        raise PublishError(
            f"{path} lists {len(members)} members of staff",
            f"A list has 1 to {MOST_MEMBERS}: `terminal staff add`.",
        )
    unable = next((one.ref for one in members if not one.pin), None)
    if unable is not None:
        raise PublishError(f"{unable} has no PIN in {path}", "Set it: `terminal staff pin`.")
    return Checked((NewFile("staff.json", content),))


def _issuers(path: Path, _basis: Basis) -> Checked:
    load_issuers(path)
    return Checked((NewFile("issuers.toml", content_of(path, MOST_SMALL)),))


def _ca(path: Path, _basis: Basis) -> Checked:
    load_bank_ca(path)
    return Checked((NewFile("bank-ca.json", content_of(path, MOST_SMALL)),))


def _assign(path: Path, _basis: Basis) -> Checked:
    content = content_of(path, MOST_ASSIGNMENT)
    read_assignment(content, str(path))
    return Checked((NewFile("assignment.json", content),))


_CHECKS: Final[dict[BundleRole, Callable[[Path, Basis], Checked]]] = {
    BundleRole.TARIFF: _tariff,
    BundleRole.ROUTES: _routes,
    BundleRole.DENY: _deny,
    BundleRole.GRANTS: _grants,
    BundleRole.ROSTER: _roster,
    BundleRole.PRICES: _prices,
    BundleRole.STAFF: _staff,
    BundleRole.ISSUERS: _issuers,
    BundleRole.CA: _ca,
    BundleRole.ASSIGN: _assign,
}


def _policy(basis: Basis) -> Policy:
    return Policy.of(load_region(basis.region()))


def content_of(path: Path, most_bytes: int) -> bytes:
    """What is in a file that is given. Raises `PublishError`."""
    try:
        return read_within(path, most_bytes)
    except OSError as error:
        raise PublishError(f"{path}: {error.strerror}", "Check the path and its rights.") from error
    except TooManyBytes as error:
        raise PublishError(
            f"{path} is longer than {most_bytes} bytes", "Terminals take no longer one."
        ) from error


@contextmanager
def _slot() -> Iterator[Path]:
    with TemporaryDirectory(prefix="publish-") as folder:
        yield Path(folder)
