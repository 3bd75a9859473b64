"""The section `gtfs` of a region document: which tables, and what a feed cannot say about charging.

The tables stand in a file of their own, pinned by its hash so that one signature covers both, or, when they are
small, in the document itself under `tables`.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct, field

from terminal.decoding import decode_json
from terminal.errors import Mistake, RegionDocumentError
from terminal.mistakes.reading import Unreadable, content_of
from terminal.mistakes.words import refusal
from terminal.policy.base import Code, Fare, Section
from terminal.policy.gtfs.index import Index
from terminal.policy.gtfs.indexing import index_of
from terminal.policy.gtfs.mistakes import FeedSectionMistake
from terminal.policy.gtfs.tables import FORMAT_UNSTATED, TABLES_FORMAT, GtfsTables

LONGEST_CHANGE_S: Final = 7200
MOST_TABLES_BYTES: Final = 64 << 20
"""Of the file that an import writes: a hundred times the largest feed that was seen."""


class Destination(StrEnum):
    """What a terminal knows of the end of a leg when the rider boards.

    `not_used`: no rule may depend on it, and the charge at boarding is final.
    `dearest`: the dearest fare that can be reached is taken at boarding and corrected when the rider taps off.
    """

    NOT_USED = "not_used"
    DEAREST = "dearest"


class Refuse(Section, frozen=True, tag_field="kind", tag="refuse"):
    """A ride of unknown fare is refused."""


class Fallback(Section, frozen=True, kw_only=True, tag_field="kind", tag="fixed_price"):
    """A ride of unknown fare costs this much, and no transfer follows from it."""

    price_minor: Fare


class MediaIds(Section, frozen=True, kw_only=True):
    """The feed's `fare_media_id` of each medium; without one only products for any medium can be bought."""

    transport_card: str | None = None
    bank_card: str | None = None
    cash: str | None = None


class ConcessionCategory(Section, frozen=True, kw_only=True):
    """Which `rider_category_id` a concession on the card stands for."""

    concession: Code
    rider_category: str


class GtfsFares(Section, frozen=True, kw_only=True, dict=True):
    """`file` is relative to the document. `longest_change_s`: after so long without a tap the journey is over,
    where the feed sets no limit of its own. `ordinary_category` is what everybody may pay as.

    `route_ids` and `stop_ids` give the feed's ids for the numbers terminals use, where they are not the same text.
    `timeframes_include_end` is for tariffs that were not GTFS to begin with: the specification excludes the end.
    """

    destination: Destination
    file: str | None = None
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")] | None = None
    tables: GtfsTables | None = None
    unknown_fare: Refuse | Fallback = Refuse()
    longest_change_s: Annotated[int, Meta(ge=0, le=24 * 3600)] = LONGEST_CHANGE_S
    ordinary_category: str | None = None
    concessions: tuple[ConcessionCategory, ...] = ()
    media: MediaIds = MediaIds()
    route_ids: dict[str, str] = field(default_factory=dict)
    stop_ids: dict[str, str] = field(default_factory=dict)
    timeframes_include_end: bool = False

    @cached_property
    def index(self) -> Index:
        """The tables indexed, which takes as long as reading them and is wanted for checking and for deciding."""
        assert self.tables is not None, "section_with_tables comes first"
        return index_of(self.tables, timeframes_include_end=self.timeframes_include_end)

    @property
    def is_read(self) -> bool:
        """Whether its tables are there, or their index alone."""
        return self.tables is not None or "index" in vars(self)

    def without_tables(self) -> GtfsFares:
        """The same with the index of its tables alone: decisions need no more, and ten thousand rules take 5 MB."""
        slim = msgspec.structs.replace(self, tables=None)
        vars(slim)["index"] = self.index
        return slim


def section_with_tables(section: GtfsFares, folder: Path | None) -> GtfsFares:
    """Return `section` with the tables of its file, which is looked for in `folder`, by its hash first and then by its
    name; the file is read here.

    Raises `RegionDocumentError` when it is missing, changed, or of another format; its meaning is checked by
    `section_checks`.
    """
    if section.file is None:
        return section
    if folder is None:
        raise refusal(
            RegionDocumentError, [_mistake("file", FeedSectionMistake.NO_FOLDER, file=section.file)]
        )
    path = folder / (section.sha256 or section.file)
    if not path.is_file():
        path = folder / section.file
    try:
        content = content_of(path, MOST_TABLES_BYTES)
    except Unreadable as unreadable:
        values = {"file": str(path), "error": unreadable.mistakes[0].code.value}
        mistake = _mistake("file", FeedSectionMistake.FILE_UNREADABLE, **values)
        raise refusal(RegionDocumentError, [mistake]) from unreadable
    digest = hashlib.sha256(content).hexdigest()
    if digest != section.sha256:
        mistake = _mistake("sha256", FeedSectionMistake.FILE_CHANGED, file=path.name, sha256=digest)
        raise refusal(RegionDocumentError, [mistake])
    return msgspec.structs.replace(section, tables=parse_tables(content, path.name))


def parse_tables(content: bytes, name: str) -> GtfsTables:
    """The tables `terminal policy import-gtfs` wrote; raises `RegionDocumentError` naming the file."""
    try:
        stated = decode_json(content, _Format, MOST_TABLES_BYTES).format
        if stated != TABLES_FORMAT:
            raise _other_format(stated, name)
        return decode_json(content, GtfsTables, MOST_TABLES_BYTES)
    except msgspec.DecodeError as error:
        mistake = _mistake("file", FeedSectionMistake.FILE_NOT_UNDERSTOOD, file=name, error=str(error))
        raise refusal(RegionDocumentError, [mistake]) from error


class _Format(Struct, frozen=True):
    """What is looked at first: tables of another format may have any fields."""

    format: int = FORMAT_UNSTATED


def _other_format(stated: int, name: str) -> RegionDocumentError:
    values: dict[str, int | str] = {"format": stated, "known": TABLES_FORMAT}
    return refusal(
        RegionDocumentError, [_mistake("file", FeedSectionMistake.FILE_FORMAT, file=name, **values)]
    )


def _mistake(key: str, code: FeedSectionMistake, **values: int | str) -> Mistake:
    return Mistake(f"gtfs.{key}", code, values)
