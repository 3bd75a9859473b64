"""Where each format states its version: golden file, what is read of it, and what stands there in this version.

The table of docs/compatibility.md has a row for each; `tests/golden/test_formats.py` holds both to the files.
"""

from __future__ import annotations

import sqlite3
import struct
import tomllib
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from tests.golden.wire import Exchange

Reading = Callable[[Path], object]


class Stated(NamedTuple):
    """A golden file, how to read the version in it, and what it is in this version."""

    file: str
    reading: Reading
    version: object


def begins(magic: bytes) -> Reading:
    return lambda path: path.read_bytes()[: len(magic)]


def user_version(path: Path) -> object:
    with closing(sqlite3.connect(path)) as opened:
        return opened.execute("PRAGMA user_version").fetchone()[0]


def made_for(path: Path) -> object:
    with closing(sqlite3.connect(path)) as opened:
        return int(opened.execute("SELECT value FROM made_for WHERE name = 'version'").fetchone()[0])


def field(*names: str) -> Reading:
    """The value in a JSON or TOML file (key files are TOML) under these keys."""

    def read(path: Path) -> object:
        found: Any = (
            tomllib.loads(path.read_text())
            if path.suffix in (".toml", ".keys", ".txt")
            else msgspec.json.decode(path.read_bytes())
        )
        for name in names:
            found = found.get(name)
        return found

    return read


def after_length(magic: bytes) -> Reading:
    """The first field of a MessagePack array behind a magic and a length of four bytes."""

    def read(path: Path) -> object:
        content = path.read_bytes()[len(magic) :]
        (length,) = struct.unpack(">I", content[:4])
        return msgspec.msgpack.decode(content[4 : 4 + length])[0]

    return read


def of_exchange(part: str) -> Reading:
    def read(path: Path) -> object:
        first = msgspec.msgpack.decode(path.read_bytes(), type=list[Exchange])[0]
        return msgspec.msgpack.decode(getattr(first, part))[0]

    return read


def of_body(path: Path) -> object:
    """The first byte of the first row sent; a greeting has none."""
    exchanges = msgspec.msgpack.decode(path.read_bytes(), type=list[Exchange])
    return next(bodies[0][0] for one in exchanges if (bodies := msgspec.msgpack.decode(one.request)[4]))


AUDIT: Final = b"resident-audit-dossier-1\n"
REGISTRY: Final = b"resident-card-registry-1\n"
STATES: Final[Mapping[str, Stated]] = {
    "journal": Stated("bus/var/terminal/journal.db", user_version, 2),
    "journal key": Stated(
        "bus/var/terminal/journal.db.key", begins(b"resident-journal-key-1\n"), b"resident-journal-key-1\n"
    ),
    "record": Stated("wire/bus", of_body, 1),
    "batch": Stated("wire/bus", of_exchange("request"), 1),
    "acknowledgement": Stated("wire/bus", of_exchange("answer"), 1),
    "active set": Stated("bus/var/terminal/active.db", user_version, 2),
    "region document": Stated("school/region.toml", field("header", "schema"), 2),
    "sealed roster": Stated(
        "school/var/terminal/active/roster/1/roster.sealed", begins(b"RCROST2\n"), b"RCROST2\n"
    ),
    "backup": Stated("bus.backup", begins(b"RCTBACK1"), b"RCTBACK1"),
    "collector's records": Stated("collector/collector.db", user_version, 3),
    "collector's books": Stated("collector/books.db", made_for, 6),
    "audit statement": Stated("statement.json", field("statement", "version"), 1),
    "audit dossier": Stated("day.dossier", begins(AUDIT), AUDIT),
    "dossier's content": Stated("day.dossier", after_length(AUDIT), 1),
    "key file": Stated("keys/7.keys", field("form"), "resident-keys-1"),
    "component of a root": Stated("keys/office-component-1.txt", field("form"), "resident-key-component-1"),
    "sealed card registry": Stated("keys/registry.sealed", begins(REGISTRY), REGISTRY),
    "card image": Stated("bus/adult_purse.json", field("version"), 3),
}
SILENT: Final[Mapping[str, Stated]] = {
    "configuration": Stated("bus/terminal.toml", field("version"), None),
    "staff list": Stated("bus/var/terminal/staff.json", field("version"), None),
    "terminal at the collector": Stated("collector/terminals/7.json", field("version"), None),
    "card registry": Stated("registry.json", field("version"), None),
}
"""They state none."""
