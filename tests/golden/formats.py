"""Where each format states its version: golden file, what is read of it, and what stands there in this version.

The table of docs/compatibility.md has a row for each; `tests/golden/test_formats.py` holds both to the files.
"""

from __future__ import annotations

import re
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
    """A golden file (or a pattern that finds one), how to read the version in it, and what it is in this version."""

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
    """The value in a JSON or TOML file under these keys."""

    def read(path: Path) -> object:
        found: Any = (
            tomllib.loads(path.read_text())
            if path.suffix == ".toml"
            else msgspec.json.decode(path.read_bytes())
        )
        for name in names:
            found = found.get(name)
        return found

    return read


def field_of_toml(name: str) -> Reading:
    """The value of a key in a TOML file of another ending."""
    return lambda path: tomllib.loads(path.read_text())[name]


def of_first_line(path: Path) -> object:
    return msgspec.json.decode(path.read_bytes().splitlines()[0])["version"]


def of_specification(path: Path) -> object:
    """Major and minor: the third figure is the library's to say, and means the same."""
    said = msgspec.json.decode(path.read_bytes())["signed"]["spec_version"]
    return ".".join(said.split(".")[:2])


def fifth_byte(path: Path) -> object:
    """Behind a magic of four."""
    return path.read_bytes()[4]


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


def of_fleet(path: Path) -> object:
    """The newest row of the table `fleet_schema`."""
    return max(
        map(int, re.findall(r"^INSERT INTO \S*fleet_schema VALUES \((\d+)\);$", path.read_text(), re.M))
    )


AUDIT: Final = b"resident-audit-dossier-1\n"
STATES: Final[Mapping[str, Stated]] = {
    "journal": Stated("bus/var/terminal/journal.db", user_version, 2),
    "journal key": Stated(
        "bus/var/terminal/journal.db.key", begins(b"resident-journal-key-1\n"), b"resident-journal-key-1\n"
    ),
    "record": Stated("wire/bus", of_body, 1),
    "batch": Stated("wire/bus", of_exchange("request"), 1),
    "acknowledgement": Stated("wire/bus", of_exchange("answer"), 1),
    "active set": Stated("bus/var/terminal/active.db", user_version, 3),
    "region document": Stated("school/region.toml", field("header", "schema"), 2),
    "sealed roster": Stated(
        "school/var/terminal/active/roster/1/roster.sealed", begins(b"RCROST2\n"), b"RCROST2\n"
    ),
    "backup": Stated("bus.backup", begins(b"RCTBACK1"), b"RCTBACK1"),
    "collector's records": Stated("collector/collector.db", user_version, 5),
    "collector's books": Stated("collector/books.db", made_for, 7),
    "fleet's database": Stated("fleet.sql", of_fleet, 2),
    "audit statement": Stated("statement.json", field("statement", "version"), 1),
    "audit dossier": Stated("day.dossier", begins(AUDIT), AUDIT),
    "dossier's content": Stated("day.dossier", after_length(AUDIT), 1),
    "card image": Stated("office/resident_bank.json", field("version"), 5),
    "transcript": Stated("bus/taps.transcript", of_first_line, 1),
    "roster": Stated("school/roster.json", field("header", "schema"), 1),
    "price list": Stated("school/prices.json", field("header", "schema"), 1),
    "deny list": Stated("bus/deny.list", fifth_byte, 4),
    "changes of a deny list": Stated("office/deny-lists/deny-changes", fifth_byte, 1),
    "deny register": Stated("office/deny/register.db", user_version, 1),
    "list of grants": Stated("bus/grants.list", fifth_byte, 2),
    "metadata of bundles": Stated("office/bundles/metadata/1.root.json", of_specification, "1.0"),
    "assignment": Stated("office/assignment.json", field("format"), 1),
    "sealed bundle": Stated("office/bundles/targets/staff/*/*", begins(b"RCSEAL1\n"), b"RCSEAL1\n"),
    "signing key": Stated("office/signing/tariff-1.key", field("format"), 1),
    "signing request": Stated("office/requests/tariff-2.request", field("format"), 1),
    "signature": Stated("office/requests/tariff-2.tariff-1.signature", field("format"), 1),
    "accepted bundles": Stated("bundled/var/terminal/bundles/kept.json", field("format"), 1),
    "tables of a feed": Stated("office/city.json", field("format"), 2),
    "key file": Stated("office/bus.keys", field_of_toml("form"), "resident-keys-1"),
    "laboratory's key file": Stated(
        "office/laboratory.toml", field_of_toml("form"), "resident-laboratory-keys-1"
    ),
    "key component": Stated("office/component-1.txt", field_of_toml("form"), "resident-key-component-1"),
    "sealed card registry": Stated(
        "office/registry.sealed", begins(b"resident-card-registry-1\n"), b"resident-card-registry-1\n"
    ),
    "trusted issuers": Stated("bus/issuers.toml", field("schema"), 1),
    "configuration": Stated("school/terminal.toml", field("terminal", "schema"), 1),
    "staff list": Stated("school/var/terminal/staff.json", field("version"), 1),
    "terminal at the collector": Stated("collector/terminals/7.json", field("version"), 1),
    "card registry": Stated("registry.json", field("version"), 1),
}
