"""Region documents: from a TOML file to a checked `RegionDocument`, or all its mistakes.

A document is read in three steps: TOML, types (`terminal.policy.document.schema`), meaning
(`terminal.policy.checks`). It is used only when all three pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from terminal.errors import Mistake, MistakeCode, RegionDocumentError
from terminal.mistakes.document import Mistakes, judged, parsed, read
from terminal.mistakes.form import FileForm, other_schema
from terminal.mistakes.places import steps_of
from terminal.money import DECIMALS
from terminal.policy.checks import problems
from terminal.policy.document.schema import SCHEMA_VERSION, Header, RegionDocument
from terminal.policy.ends import DocumentEnd, end_of
from terminal.policy.gtfs.section import section_with_tables
from terminal.policy.keyed_file import IssuedList
from terminal.policy.mistakes import NameMistake, RuleMistake, SchemaMistake
from terminal.policy.policy import Policy

__all__ = [
    "DEMO_REGION",
    "RegionDocument",
    "load_header",
    "load_region",
    "parse_region",
    "policy_from_text",
    "require_in_force",
    "require_of_region",
    "require_successor",
]

REGIONS: Final = Path(__file__).with_name("regions")
DEMO_REGION: Final = REGIONS / "demo.toml"
_OF_SCHEMA_2: Final = ("transfers", "caps", "checkin", "grace", "timeframes", "trip_calendars", "gtfs")
"""Tables that no document of schema 1 could have."""


def _of_other_schema(raw: dict[str, Any]) -> Iterator[Mistake]:
    for mistake in other_schema(raw, "header.schema", SCHEMA_VERSION):
        yield _of_schema_1(raw) if mistake.values["schema"] == 1 else mistake


def _of_schema_1(raw: dict[str, Any]) -> Mistake:
    newer: list[str] = [name for name in _OF_SCHEMA_2 if name in raw]
    newer += ["concessions.limits"] if any("limits" in one for one in _tables(raw, "concessions")) else []
    if newer:
        return Mistake("header.schema", SchemaMistake.ONE_WITH_TWO, {"newer": ", ".join(newer)})
    return Mistake("header.schema", SchemaMistake.ONE)


def _tables(raw: dict[str, Any], name: str) -> list[dict[str, Any]]:
    listed = raw.get(name)
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


_UNKNOWN: Final[frozenset[MistakeCode]] = frozenset(
    {NameMistake.UNKNOWN, NameMistake.UNKNOWN_NEAR, NameMistake.NONE_KNOWN}
)
_NOT_USED: Final[frozenset[MistakeCode]] = frozenset(
    {
        RuleMistake.TIMEFRAME_NOT_USED,
        RuleMistake.CALENDAR_NOT_USED,
        RuleMistake.TRANSFER_NOT_OPENED,
        RuleMistake.GRACE_FOR_NONE,
    }
)
_NAMELESS: Final = frozenset(
    {"header", "messages", "profiles", "ages", "guards", "vehicle", "fares", "products"}
)
"""Tables without names that others refer to; but they may refer to those of others."""
_UNITS: Final[frozenset[MistakeCode]] = frozenset(
    {
        RuleMistake.DOES_NOT_FIT,
        RuleMistake.CAP_UNIT,
        RuleMistake.CAP_UNIT_BY_DISTANCE,
        RuleMistake.RESERVE_UNIT,
    }
)
_PRICES: Final[frozenset[MistakeCode]] = _UNITS | {
    RuleMistake.TAKES_TOO_MUCH,
    RuleMistake.TRANSFER_NOT_CHEAPER,
    RuleMistake.CHECK_IN_FOR_NOTHING,
    RuleMistake.CHECK_IN_ON_FLAT_ROUTE,
    RuleMistake.BOARDING_NOT_KEPT,
    RuleMistake.RIDES_WITHOUT_FARES,
    RuleMistake.NO_FEED,
    RuleMistake.FEED_NOT_USED,
    RuleMistake.NO_FARE,
}
_COUNTERS: Final[frozenset[MistakeCode]] = _UNITS | {
    RuleMistake.OTHER_PERIOD,
    RuleMistake.NO_JOURNEY_COUNTER,
    RuleMistake.COUNTER_USED,
}
_RIGHTS: Final[frozenset[MistakeCode]] = frozenset(
    {
        RuleMistake.TRANSFER_NOT_ASKED,
        RuleMistake.CONCESSION_NOT_ASKED,
        RuleMistake.PRODUCT_NOT_ASKED,
        RuleMistake.NO_TRANSFERS,
        RuleMistake.RIDES_WITHOUT_FARES,
    }
)
_DAYS: Final[frozenset[MistakeCode]] = frozenset(
    {
        RuleMistake.MONTH_MISSING,
        RuleMistake.SEASON_NEVER,
        RuleMistake.STEP_TOO_EARLY,
        RuleMistake.STEP_TOO_LATE,
    }
)
_OF_TABLE: Final[Mapping[str, frozenset[MistakeCode]]] = {
    "header": _DAYS,
    "profiles": _RIGHTS,
    "counters": _COUNTERS,
    "fares": _PRICES,
    "gtfs": _PRICES,
    "zones": _PRICES,
    "timeframes": _PRICES,
    "transfers": _COUNTERS | _RIGHTS,
    "trip_calendars": _UNITS,
    "caps": _UNITS,
}
_NAMED_BY: Final = ("id", "name", "code", "number", "kind")


def follows(path: str) -> frozenset[MistakeCode]:
    """What may be found only because something else is wrong at `path`, and is not said while it is."""
    steps = steps_of(path)
    codes = _OF_TABLE.get(str(steps[0]), frozenset()) if steps else frozenset()
    named = len(steps) < 2 or isinstance(steps[-1], int) or steps[-1] in _NAMED_BY
    if not named:
        return codes
    return codes | _NOT_USED | (frozenset() if steps and steps[0] in _NAMELESS else _UNKNOWN)


REGION: Final = FileForm(
    RegionDocument,
    RegionDocumentError,
    checks=problems,
    beforehand=_of_other_schema,
    follows=follows,
    decimals=DECIMALS,
)


class _Headed(msgspec.Struct, frozen=True):
    header: Header


HEADED: Final = FileForm(_Headed, RegionDocumentError, beforehand=_of_other_schema, decimals=DECIMALS)


def load_region(source: str | Path, called: str = "") -> RegionDocument:
    """Return the checked document in a TOML file, or the supplied one of that name ("demo").

    Raises `RegionDocumentError` with all its mistakes, each with file (or what it is `called`), line and path.
    """
    path = region_path(source)
    _require_there(path, source)
    return read(_beside(path.parent), path, called)


def load_header(source: str | Path) -> Header:
    """What the document says of itself; the rest of it is not looked at. Raises as `load_region`."""
    path = region_path(source)
    _require_there(path, source)
    return read(HEADED, path).header


def region_path(source: str | Path) -> Path:
    """Where the document lies: a file, or a supplied one by its name."""
    path = Path(source)
    supplied = not path.suffix and path.name == str(source) and not path.exists()
    return REGIONS / f"{source}.toml" if supplied else path


def _require_there(path: Path, source: str | Path) -> None:
    if not path.exists():
        supplied = ", ".join(sorted(file.stem for file in REGIONS.glob("*.toml")))
        raise RegionDocumentError(
            f"no region document {source}", f"Give a TOML file or one of the supplied regions: {supplied}."
        )


def parse_region(text: str | bytes, name: str, folder: Path | None = None) -> RegionDocument:
    """Return the checked document in TOML `text`; `name` is the file in `RegionDocumentError`s. The tables of its feed
    lie in `folder`, beside the file where that is left out."""
    content = text if isinstance(text, bytes) else text.encode()
    return parsed(_beside(Path(name).parent if folder is None else folder), content, name)


def policy_from_text(content: bytes, name: str, folder: Path | None = None) -> Policy | Mistakes:
    """What a document says, without a file: a policy to decide with, or all its mistakes. `name` stands for the file in
    them; `folder` is where the tables of a feed lie, if the document has one.
    """
    document = judged(_beside(folder), content, name)
    return document if isinstance(document, Mistakes) else Policy.of(document)


def _beside(folder: Path | None) -> FileForm[RegionDocument]:
    """The form of documents whose feed lies in `folder`."""

    def with_feed(document: RegionDocument) -> RegionDocument:
        if document.gtfs is None:
            return document
        return msgspec.structs.replace(document, gtfs=section_with_tables(document.gtfs, folder))

    return replace(REGION, complete=with_feed)


def require_in_force(document: RegionDocument, now: datetime, *, canteen: bool = False) -> None:
    """Raise `RegionDocumentError` unless `document` decides at `now`: from `valid_from` until `valid_to`, and as long
    as it says itself that it goes on without a successor. A canteen's entitled meals do not wait for one at all.
    """
    header = document.header
    if now < header.valid_from:
        raise RegionDocumentError(
            f"region document {header.id} version {header.version} is not valid before {header.valid_from}",
            "Use the version in force, or check the terminal's clock.",
        )
    if end_of(document, now) is DocumentEnd.PAST and not canteen:
        days = document.ended.go_on_days
        raise RegionDocumentError(
            f"region document {header.id} version {header.version} ended on {header.valid_to}"
            + (f", and the {days} days are over for which it says to go on" if days else ""),
            "Load its successor, or check the terminal's clock.",
        )


def require_successor(document: RegionDocument, present: RegionDocument) -> None:
    """Raise `RegionDocumentError` unless `document` may replace `present` on a terminal (O-01).

    It has to be a later version of the same tariff for the same region: an older one never comes back by itself.
    """
    new, old = document.header, present.header
    if (new.id, new.region) != (old.id, old.region):
        raise RegionDocumentError(
            f"region document {new.id} of region {new.region} cannot replace {old.id} of region {old.region}",
            "Give the document of this terminal's region, or set the terminal up anew.",
        )
    if new.version <= old.version:
        raise RegionDocumentError(
            f"region document {new.id} version {new.version} is not newer than version {old.version} in force",
            "Publish it under a higher version.",
        )


def require_of_region(document: RegionDocument, issued: IssuedList) -> None:
    """Raise `RegionDocumentError` for a list of another region than that of `document`; no list is of any."""
    header = document.header
    if issued.name and issued.region != header.region:
        raise RegionDocumentError(
            f"list {issued.name} is of region {issued.region}, region document {header.id} of region {header.region}",
            "Give the list of this terminal's region.",
        )
