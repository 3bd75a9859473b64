"""What decisions were made from, in one folder, each file under its SHA-256: region documents, the tables of their
feeds, grants lists. Nothing in it is secret but to whom a grants list speaks, and that only under its key.

A journal's `SetActivated` rows name the hash of what came into force, so a row's document is known by the place of the
row. Files never change under their names; what is added twice is there once.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterable
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from terminal.decision.recompute import RecomputeGap
from terminal.errors import CollectorError, RegionDocumentError
from terminal.files import SHARED, create_file
from terminal.mistakes.reading import Unreadable, content_of, text_of, toml_of
from terminal.policy.deny_list import DENY_LIST, EMPTY_DENY_LIST, DenyList
from terminal.policy.grants import GRANTS_LIST, GrantList, load_grants
from terminal.policy.gtfs.section import MOST_TABLES_BYTES, parse_tables
from terminal.policy.load import parse_region
from terminal.policy.policy import Policy
from terminal.recompute.rows import Verdict, unproven
from terminal.updates.parts import MOST_LIST_BYTES, MOST_REGION_BYTES

HASH_NAME: Final = re.compile("[0-9a-f]{64}")
MOST_BYTES: Final = max(MOST_LIST_BYTES, MOST_TABLES_BYTES)
MOST_LOADED: Final = 64
"""Documents in memory at once: those of every region and version that rows follow one another with."""
SHORTEST_PREFIX: Final = 8


class DocumentKind(StrEnum):
    """What a file in the folder is."""

    REGION = "region"
    FEED = "feed"
    """The tables of a GTFS feed, as `terminal policy import-gtfs` writes them."""
    GRANTS = "grants"


class KeptDocument(Struct, frozen=True):
    """One file of the folder. `edition` is "id:version" of a region document, the version of a list, else empty."""

    sha256: str
    kind: DocumentKind
    bytes: int
    edition: str = ""
    feed: str = ""
    """The hash of the tables that a region document needs besides; empty for none."""


class DocumentFolder:
    """The folder of one collector, fleet, auditor or terminal. Every method may raise `CollectorError`."""

    def __init__(
        self, path: Path, grants_key: bytes | None = None, deny_list: DenyList = EMPTY_DENY_LIST
    ) -> None:
        """`grants_key` is the list key "grants" of the region's terminals; without it no grants list can be asked. A
        terminal has a `deny_list`, too.
        """
        self.path = path
        self._grants_key = grants_key
        self._deny_list = deny_list
        self._policies: OrderedDict[tuple[str, str], Policy] = OrderedDict()
        self._marks: dict[str, tuple[int, int, int]] = {}
        self._seen: frozenset[str] = frozenset()
        """What decides until the next `refresh`."""

    # Keeping

    def add(self, source: Path) -> list[KeptDocument]:
        """Check the file at `source` and keep it, with the tables that lie beside a region document; what is there
        already stays as it is. Raises `CollectorError` or `RegionDocumentError` saying what is wrong, and then nothing
        was kept.
        """
        content = _read(source)
        kind = _kind_of(content, source)
        kept: list[tuple[bytes, KeptDocument]] = []
        if kind is DocumentKind.REGION:
            kept = self._region(content, source)
        elif kind is DocumentKind.FEED:
            parse_tables(content, str(source))
            kept = [(content, _kept(content, kind))]
        else:
            kept = [(content, self._grants(content, source))]
        for one, document in kept:
            self._keep(document.sha256, one)
        return [document for _, document in kept]

    def _region(self, content: bytes, source: Path) -> list[tuple[bytes, KeptDocument]]:
        """The document, and the tables beside it where it names any that are not kept yet."""
        if len(content) > MOST_REGION_BYTES:
            raise RegionDocumentError(
                f"{source} is longer than {MOST_REGION_BYTES} bytes",
                "Give a region document as it was published.",
            )
        feed = _feed_of(content)
        tables = None if feed is None or (self.path / feed.sha256).is_file() else source.with_name(feed.file)
        parse_region(content, str(source), self.path if tables is None else source.parent)
        found = [(content, _kept(content, DocumentKind.REGION))]
        if tables is not None:
            beside = _read(tables)
            found.append((beside, _kept(beside, DocumentKind.FEED)))
        return found

    def _grants(self, content: bytes, source: Path) -> KeptDocument:
        if self._grants_key is not None:
            load_grants(source, self._grants_key).close()
        return _kept(content, DocumentKind.GRANTS)

    def _keep(self, name: str, content: bytes) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            create_file(self.path / name, content, SHARED)
        except OSError as error:
            raise CollectorError(
                f"{self.path / name} cannot be written: {error.strerror}",
                "Check the folder's room and rights.",
            ) from error

    def listed(self) -> list[KeptDocument]:
        """Everything that is kept, by hash; a file that is no longer what its name says is an error."""
        return [self._known(name) for name in sorted(self.names())]

    def names(self) -> frozenset[str]:
        """The hashes of what is kept; other files in the folder are passed over."""
        try:
            return frozenset(name for name in os.listdir(self.path) if HASH_NAME.fullmatch(name))
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise CollectorError(
                f"{self.path} cannot be read: {error.strerror}", "Check its rights."
            ) from error

    def _known(self, name: str) -> KeptDocument:
        content = _read(self.path / name)
        _require_own(name, content, self.path)
        return _kept(content, _kind_of(content, self.path / name))

    def remove(self, prefix: str) -> str:
        """Remove what has this hash, or the only one that begins so; return its hash. Verdicts already given stay."""
        found = [name for name in self.names() if name.startswith(prefix.lower())]
        if len(prefix) < SHORTEST_PREFIX or len(found) != 1:
            many = "several documents begin" if len(found) > 1 else "no document begins"
            raise CollectorError(
                f"{many} with {prefix}",
                f"Give at least {SHORTEST_PREFIX} digits of one hash of `terminal collector documents list`.",
            )
        (self.path / found[0]).unlink(missing_ok=True)
        return found[0]

    # Deciding again

    def refresh(self) -> frozenset[str]:
        """Look what is there; from now until the next call exactly that decides. Returns the hashes. A file that is
        not what its name says decides nothing, as if it were not there.
        """
        marks = {name: mark for name in self.names() if (mark := _mark_of(self.path / name)) is not None}
        if marks != self._marks:
            changed = {name for name, mark in marks.items() if self._marks.get(name) != mark}
            kept = (self._seen & marks.keys()) - changed
            self._seen = kept | {name for name in changed if self._is_sound(name)}
            self._marks = marks
            self._policies.clear()
        return self._seen

    def _is_sound(self, name: str) -> bool:
        try:
            return sha256(_read(self.path / name)).hexdigest() == name
        except CollectorError:
            return False

    def policy(self, document: str, grants: str = "") -> Policy | Verdict:
        """What decides under the region document of this hash, with the grants list whose hash begins with `grants`
        (empty: none is asked); the verdict on rows for which something of it is not at hand.
        """
        known = self._policies.get((document, grants))
        if known is not None:
            self._policies.move_to_end((document, grants))
            return known
        found = self._loaded(document, grants)
        if isinstance(found, Policy):
            self._policies[document, grants] = found
            if len(self._policies) > MOST_LOADED:
                self._policies.popitem(last=False)
        return found

    def used(self) -> tuple[bytes, ...]:
        """The hashes of the region documents that have decided since the last change."""
        return tuple(sorted({bytes.fromhex(document) for document, _ in self._policies}))

    def _loaded(self, document: str, grants: str) -> Policy | Verdict:
        if grants:
            plain = self.policy(document)
            if isinstance(plain, Verdict):
                return plain
            listed = self._grants_named(grants)
            return listed if isinstance(listed, Verdict) else replace(plain, grants=listed)
        if document not in self._seen:
            return unproven(RecomputeGap.REGION if document else RecomputeGap.UNNAMED, document)
        return self._region_of(document)

    def _region_of(self, document: str) -> Policy | Verdict:
        path = self.path / document
        content = _read(path)
        feed = _feed_of(content)
        if feed is not None and feed.sha256 not in self._seen:
            return unproven(RecomputeGap.FEED, feed.sha256)
        try:
            region = parse_region(content, str(path), self.path)
        except RegionDocumentError:
            return unproven(RecomputeGap.UNUSABLE)
        if region.gtfs is not None:
            region = replace(region, gtfs=region.gtfs.without_tables())
        return Policy.of(region, self._deny_list)

    def _grants_named(self, prefix: str) -> GrantList | Verdict:
        found = [name for name in self._seen if name.startswith(prefix)]
        if len(found) != 1 or self._grants_key is None:
            return unproven(RecomputeGap.GRANTS, prefix)
        try:
            return load_grants(self.path / found[0], self._grants_key)
        except RegionDocumentError:
            return unproven(RecomputeGap.UNUSABLE)


class _NamedFeed(Struct, frozen=True):
    file: str
    sha256: str


def _feed_of(content: bytes) -> _NamedFeed | None:
    """The tables a region document names by a file; None for one without, or for what is none."""
    try:
        gtfs = toml_of(text_of(content)).get("gtfs")
        feed = msgspec.convert(gtfs, _NamedFeed)
    except (Unreadable, msgspec.ValidationError):
        return None
    return feed if HASH_NAME.fullmatch(feed.sha256) and Path(feed.file).name == feed.file else None


def _kept(content: bytes, kind: DocumentKind) -> KeptDocument:
    name, edition, feed = sha256(content).hexdigest(), "", ""
    if kind is DocumentKind.REGION:
        header = toml_of(text_of(content)).get("header", {})
        edition = f"{header.get('id', '')}:{header.get('version', '')}"
        needed = _feed_of(content)
        feed = "" if needed is None else needed.sha256
    return KeptDocument(name, kind, len(content), edition, feed)


def _kind_of(content: bytes, path: Path) -> DocumentKind:
    """By the first bytes; raises `CollectorError` for what is none of these."""
    if content.startswith(GRANTS_LIST.magic):
        return DocumentKind.GRANTS
    if content.startswith(DENY_LIST.magic):
        raise CollectorError(
            f"{path} is a deny list",
            "It is not needed here: what a deny list refused is recomputed on the terminal.",
        )
    if content.lstrip()[:1] == b"{":
        return DocumentKind.FEED
    try:
        known = "header" in toml_of(text_of(content))
    except Unreadable:
        known = False
    if not known:
        raise CollectorError(
            f"{path} is no region document, no tables of a feed and no grants list",
            "Give the files as they were published to the terminals.",
        )
    return DocumentKind.REGION


def _read(path: Path) -> bytes:
    try:
        return content_of(path, MOST_BYTES)
    except Unreadable as unreadable:
        raise CollectorError(
            f"{path} cannot be read ({unreadable.mistakes[0].code.value})",
            f"Give a file of at most {MOST_BYTES >> 20} MiB that can be read.",
        ) from unreadable


def _require_own(name: str, content: bytes, folder: Path) -> None:
    if sha256(content).hexdigest() != name:
        raise CollectorError(
            f"{folder / name} is not what its name says: it was changed",
            "Remove it and add the document again.",
        )


def _mark_of(path: Path) -> tuple[int, int, int] | None:
    """By what a changed file is known; None for one that has just gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def missing(named: Iterable[str], names: frozenset[str]) -> list[str]:
    """Which of the hashes, or beginnings of hashes, stand for nothing that is kept."""
    return sorted(one for one in set(named) if not any(name.startswith(one) for name in names))


def in_order_to_add(files: Iterable[Path]) -> list[Path]:
    """Tables before the documents that name them, so that one command may bring both in any order."""
    return sorted(files, key=lambda path: path.suffix == ".toml")
