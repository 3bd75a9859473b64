"""Region documents: from a TOML file to a checked `RegionDocument`, or one precise error.

A document is read in three steps: TOML, types (`terminal.policy.document.schema`), meaning
(`terminal.policy.checks`). It is used only when all three pass. One of an earlier schema is brought to the
present one before its types are looked at."""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from terminal.errors import RegionDocumentError
from terminal.policy.checks import problems
from terminal.policy.document.schema import SCHEMA_VERSION, Header, RegionDocument
from terminal.policy.ends import DocumentEnd, end_of
from terminal.policy.gtfs.section import section_with_tables
from terminal.policy.keyed_file import IssuedList

__all__ = [
    "DEMO_REGION",
    "RegionDocument",
    "load_header",
    "load_region",
    "parse_region",
    "require_in_force",
    "require_of_region",
    "require_successor",
]

REGIONS: Final = Path(__file__).with_name("regions")
DEMO_REGION: Final = REGIONS / "demo.toml"


def load_region(source: str | Path, called: str = "") -> RegionDocument:
    """Return the checked document in a TOML file, or the supplied one of that name ("demo").

    Raises `RegionDocumentError` naming the file (or what it is `called`), the path inside it and what to change.
    """
    path = region_path(source)
    return parse_region(_text_of(path, source), called or str(path), path.parent)


def load_header(source: str | Path) -> Header:
    """What the document says of itself; the rest of it is not looked at. Raises as `load_region`."""
    path = region_path(source)
    try:
        return msgspec.convert(_toml(_text_of(path, source), str(path)).get("header"), Header)
    except msgspec.ValidationError as error:
        raise RegionDocumentError(f"{path}: header: {error}", "Correct that line.") from error


def region_path(source: str | Path) -> Path:
    """Where the document lies: a file, or a supplied one by its name."""
    path = Path(source)
    supplied = not path.suffix and path.name == str(source) and not path.exists()
    return REGIONS / f"{source}.toml" if supplied else path


def _text_of(path: Path, source: str | Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        supplied = ", ".join(sorted(file.stem for file in REGIONS.glob("*.toml")))
        raise RegionDocumentError(
            f"no region document {source}", f"Give a TOML file or one of the supplied regions: {supplied}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RegionDocumentError(f"{path} cannot be read: {error}", "Give a TOML file in UTF-8.") from error


def parse_region(text: str, name: str, folder: Path | None = None) -> RegionDocument:
    """Return the checked document in TOML `text`; `name` is the file in `RegionDocumentError`s. The tables of its feed
    lie in `folder`, beside the file where that is left out."""
    raw = _toml(text, name)
    raw = upgraded(raw, _known_schema(raw, name))
    try:
        document = msgspec.convert(raw, RegionDocument)
    except msgspec.ValidationError as error:
        from terminal.policy.explain import explain  # noqa: PLC0415 only needed when something is wrong

        raise explain(error, raw, name) from error
    document = _with_feed(document, name, Path(name).parent if folder is None else folder)
    found = list(problems(document))
    if found:
        first, others = found[0], len(found) - 1
        more = f" (and {others} more)" if others else ""
        raise RegionDocumentError(f"{name}: {first.path}: {first.what}{more}", first.advice)
    return document


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of the parser, and of numbers and tables without end
        raise RegionDocumentError(f"{name} is not TOML: {error}", "Correct that line.") from error


def _with_feed(document: RegionDocument, name: str, folder: Path) -> RegionDocument:
    """`document` with the tables of its feed, which lie in `folder`."""
    if document.gtfs is None:
        return document
    try:
        section = section_with_tables(document.gtfs, folder)
    except RegionDocumentError as error:
        raise RegionDocumentError(f"{name}: {error.what}", error.advice) from error
    return msgspec.structs.replace(document, gtfs=section)


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


def _known_schema(raw: dict[str, object], name: str) -> int:
    """A newer schema may have any keys, so this comes before the types."""
    header = raw.get("header")
    schema = header.get("schema") if isinstance(header, dict) else None
    if not isinstance(schema, int) or OLDEST_SCHEMA <= schema <= SCHEMA_VERSION:
        return schema if isinstance(schema, int) else SCHEMA_VERSION
    raise RegionDocumentError(
        f"{name}: header.schema: schema {schema}, this terminal knows {OLDEST_SCHEMA} to {SCHEMA_VERSION}",
        "Update the terminal's software, or export the document for its schema.",
    )


OLDEST_SCHEMA: Final = 1
ORDINARY: Final = "ordinary"


def upgraded(raw: dict[str, Any], schema: int) -> dict[str, Any]:
    """`raw` of `schema` in the words of the present schema; what is not a document stays what it is.

    Schema 1 had one `transfer` and one `limit` of kind `monthly_trips` per concession.
    """
    return _from_1(raw) if schema == 1 else raw


def _from_1(raw: dict[str, Any]) -> dict[str, Any]:
    new = dict(raw)
    if isinstance(new.get("transfer"), dict) and isinstance(new.get("fares"), dict):
        new["transfers"] = [{"id": ORDINARY, **new.pop("transfer")}]
        new["fares"] = {**new["fares"], "transfer": ORDINARY}
    if isinstance(new.get("concessions"), list):
        new["concessions"] = [_concession_of_1(concession) for concession in new["concessions"]]
    return new


def _concession_of_1(concession: Any) -> Any:
    if not isinstance(concession, dict) or not isinstance(concession.get("limit"), dict):
        return concession
    new = {key: value for key, value in concession.items() if key != "limit"}
    limit = {key: value for key, value in concession["limit"].items() if key != "over_limit"}
    if limit.get("kind") == "monthly_trips":
        limit["kind"] = "trips"
    new["limits"] = [limit]
    return new
