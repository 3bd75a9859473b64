"""`terminal deny`: the office's register of denied cards and people, and the lists that terminals get of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from terminal.app.output import print_json
from terminal.cli.options import Config, Json, Keys, Region, Wait, station_config
from terminal.cli.signing import KeyFiles, PassphraseFile, open_signing
from terminal.clock import SystemClock
from terminal.publish.deny.register import DenyReason

if TYPE_CHECKING:
    from cardproto.connection import CardConnection
    from terminal.policy.deny_list import DenyKind
    from terminal.publish.deny.issuing import DenyIssue
    from terminal.publish.deny.register import DeniedIdentity, DenyEntry, DenyRegister
    from terminal.publish.key_files import SigningKey

app = typer.Typer(
    help="Deny cards and people: a register with reasons at the office, lists of hashes alone for terminals.",
    no_args_is_help=True,
)

DEFAULT_FOLDER: Final = Path("deny")
Folder = Annotated[Path, typer.Option("--folder", help="Folder of the register.")]
CardUid = Annotated[
    str | None, typer.Option("--card", metavar="UID", help="The card with this UID, 14 digits in hex.")
]
Person = Annotated[
    str | None,
    typer.Option(
        "--person",
        metavar="PSEUDONYM",
        help="The resident with this pseudonym, with any card: 16 digits in hex.",
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="HEX",
        help="The card that rows of one profile's terminals call so (card_ref): refused by these terminals alone.",
    ),
]
TapRow = Annotated[
    str | None,
    typer.Option("--row", metavar="TERMINAL:SEQUENCE", help="The card of this tap, as --reference does."),
]
Collector = Annotated[Path, typer.Option("--collector", help="With --row: the collector's folder.")]
DEFAULT_COLLECTOR: Final = Path("var/collector")
Reader = Annotated[
    str | None,
    typer.Option("--reader", help="The card on this reader: pcsc, pcsc:NAME or sim:RESIDENT."),
]
Holder = Annotated[bool, typer.Option("--holder", help="With --reader: its holder, with any card.")]
By = Annotated[str, typer.Option("--by", help="Staff number of the one who decides, not a name.")]


@app.command()
def init(folder: Folder = DEFAULT_FOLDER) -> None:
    """Begin an empty register."""
    from terminal.publish.deny.register import REGISTER_FILE, begin_register

    begin_register(folder)
    print(f"began {folder / REGISTER_FILE}")


@app.command()
def add(
    reason: Annotated[DenyReason, typer.Option(help="Why; it never leaves the office.")],
    by: By,
    card: CardUid = None,
    person: Person = None,
    reference: Reference = None,
    row: TapRow = None,
    collector: Collector = DEFAULT_COLLECTOR,
    reader: Reader = None,
    holder: Holder = False,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="For so long. Default: until removed.")
    ] = None,
    wait: Wait = 30,
    folder: Folder = DEFAULT_FOLDER,
    config: Config = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Deny a card or a person; terminals hear of it with the next `terminal deny issue`."""
    from terminal.publish.deny.register import DenyEntry

    identity = _identity(
        _written(card, person, reference),
        lambda: _of_row(row, collector) or _presented(reader, holder, wait, config, region, keys),
    )
    now = SystemClock().now()
    until = None if days is None else now + timedelta(days=days)
    with _register(folder) as register:
        if not register.add(DenyEntry(identity, reason, now, until, _staff(by))):
            print(f"{_named(identity)} is denied already")
            return
    print(f"denied: {_named(identity)}, {reason.value}")


@app.command()
def remove(
    by: By,
    card: CardUid = None,
    person: Person = None,
    reference: Reference = None,
    row: TapRow = None,
    collector: Collector = DEFAULT_COLLECTOR,
    reader: Reader = None,
    holder: Holder = False,
    wait: Wait = 30,
    folder: Folder = DEFAULT_FOLDER,
    config: Config = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Deny a card or a person no longer."""
    from terminal.errors import PublishError

    identity = _identity(
        _written(card, person, reference),
        lambda: _of_row(row, collector) or _presented(reader, holder, wait, config, region, keys),
    )
    with _register(folder) as register:
        if not register.end(identity, SystemClock().now(), _staff(by)):
            raise PublishError(f"{_named(identity)} is not denied", "See terminal deny show.")
    print(f"no longer denied: {_named(identity)}")


@app.command()
def why(
    card: CardUid = None,
    person: Person = None,
    reference: Reference = None,
    row: TapRow = None,
    collector: Collector = DEFAULT_COLLECTOR,
    reader: Reader = None,
    holder: Holder = False,
    json: Json = False,
    wait: Wait = 30,
    folder: Folder = DEFAULT_FOLDER,
    config: Config = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Say why a card or person is or was denied, the newest entry first."""
    identity = _identity(
        _written(card, person, reference),
        lambda: _of_row(row, collector) or _presented(reader, holder, wait, config, region, keys),
    )
    with _register(folder) as register:
        entries = register.of(identity)
    _print_entries(entries, json)
    if not entries and not json:
        print(f"{_named(identity)} was never denied")


@app.command()
def show(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many of the newest.")] = 50,
    json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Show what is denied."""
    with _register(folder) as register:
        entries, count = register.newest(limit), register.count()
    _print_entries(entries, json)
    if not json:
        print(f"{count} denied")


@app.command("import")
def import_(
    entries: Annotated[
        Path, typer.Argument(help="CSV with the columns kind and identity, as `policy deny-list`.")
    ],
    reason: Annotated[DenyReason, typer.Option(help="Why, for all of them.")],
    by: By,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Deny what a file lists, all of it or nothing."""
    from terminal.policy.deny_list import read_denied
    from terminal.publish.deny.register import DeniedIdentity, DenyEntry

    now, staff = SystemClock().now(), _staff(by)
    listed = [
        DenyEntry(DeniedIdentity(kind, value), reason, now, None, staff)
        for kind, value in read_denied(entries)
    ]
    with _register(folder) as register:
        added = register.add_all(listed)
    print(f"denied: {added} of {len(listed)} entries, the others were already")


@app.command()
def issue(
    out: Annotated[
        Path | None, typer.Option(help="Folder that terminals look in: deny-list and deny-changes go there.")
    ] = None,
    bundles: Annotated[
        Path | None,
        typer.Option(help="Repository of signed bundles: publish it there as well, signed with each --key."),
    ] = None,
    name: Annotated[
        str, typer.Option("--as", help="With --bundles: the name it is published under.")
    ] = "deny/all",
    key: KeyFiles = [],  # noqa: B006 read only
    passphrase_file: PassphraseFile = None,
    base: Annotated[
        bool, typer.Option("--base", help="A new base of everything: nightly, and first of all.")
    ] = False,
    json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
    config: Config = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Make what changed since the last time into an increment that terminals take."""
    from terminal.app.simulated import laboratory_keys
    from terminal.keys.file import load_file_keys
    from terminal.policy.load import load_region
    from terminal.publish.deny.issuing import issue_base, issue_increment, put_for_terminals

    at = station_config(config, region=region, keys=keys)
    list_key = load_file_keys(at.keys.file or laboratory_keys()).list_key("deny")
    if (bundles is None) != (not key):
        raise typer.BadParameter(
            "give --bundles and the --key files of deny, snapshot and timestamp together"
        )
    signing = [open_signing(path, passphrase_file) for path in key]
    now = SystemClock().now().replace(microsecond=0)
    with _register(folder) as register:
        if base:
            number = load_region(at.terminal.region_or_demo).header.region
            made: DenyIssue | None = issue_base(register, list_key, number, now)
        else:
            made = issue_increment(register, list_key, now)
        put = () if out is None else put_for_terminals(register, out)
        released = {} if bundles is None else _released(register, bundles, name, signing, now)
    if json:
        print_json({"issue": made, "files": [str(path) for path in put], "published": released})
    else:
        print(_said(made))
        for path in put:
            print(f"wrote {path}")
        if released:
            print("published: " + ", ".join(f"{role} {version}" for role, version in released.items()))


def _released(
    register: DenyRegister, bundles: Path, name: str, signing: Sequence[SigningKey], now: datetime
) -> Mapping[str, int]:
    """What was issued last, signed and published with everything else that is signed; the versions of the roles."""
    from terminal.publish.deny.bundling import draft_deny
    from terminal.publish.release import release
    from terminal.publish.repository import Repository

    repository = Repository(bundles)
    repository.require_made()
    with repository.changing():
        draft_deny(register, repository, name, now)
        return release(repository, signing, now).versions


def _said(made: DenyIssue | None) -> str:
    if made is None:
        return "nothing has changed since the last issue"
    what = f"base {made.version}, with" if made.is_base else f"on base {made.version},"
    return f"{what} increment {made.number}: {made.added} added, {made.removed} removed"


@contextmanager
def _register(folder: Path) -> Iterator[DenyRegister]:
    from terminal.publish.deny.register import DenyRegister

    register = DenyRegister(folder)
    try:
        yield register
    finally:
        register.close()


def _staff(by: str) -> str:
    from terminal.publish.deny.register import MOST_STAFF_CHARACTERS

    if not by.strip() or len(by) > MOST_STAFF_CHARACTERS or not by.isprintable():
        raise typer.BadParameter(f"--by is a staff number of at most {MOST_STAFF_CHARACTERS} characters")
    return by.strip()


def _written(card: str | None, person: str | None, reference: str | None) -> list[DeniedIdentity]:
    """What is written out, of each kind."""
    from terminal.policy.deny_list import DenyKind

    given = [(DenyKind.CARD, card), (DenyKind.PERSON, person), (DenyKind.REFERENCE, reference)]
    return [_parsed(kind, written) for kind, written in given if written is not None]


def _identity(
    written: list[DeniedIdentity], looked_up: Callable[[], DeniedIdentity | None]
) -> DeniedIdentity:
    """What one option names. Raises `typer.BadParameter` for none or several."""
    read = looked_up()
    named = [*written, *([] if read is None else [read])]
    if len(named) != 1:
        raise typer.BadParameter(
            "name one: --card UID, --person PSEUDONYM, --reference HEX, --row TERMINAL:SEQUENCE, or --reader with the "
            "card on it"
        )
    return named[0]


def _of_row(row: str | None, collector: Path) -> DeniedIdentity | None:
    """The card of a tap that the collector has."""
    if row is None:
        return None
    from terminal.collector.service import DATABASE_FILE
    from terminal.collector.store import CollectorStore
    from terminal.errors import PublishError
    from terminal.journal.records import parse_record
    from terminal.policy.deny_list import DenyKind
    from terminal.publish.deny.register import DeniedIdentity

    terminal, _, sequence = row.partition(":")
    if re.fullmatch(r"[0-9]{1,7}:[0-9]{1,9}", row, re.ASCII) is None:
        raise typer.BadParameter("--row is TERMINAL:SEQUENCE, like 70001:5123")
    if not (collector / DATABASE_FILE).is_file():
        raise PublishError(f"there is no collector in {collector}", "Give its folder: --collector FOLDER.")
    store = CollectorStore(collector / DATABASE_FILE)
    try:
        body = store.record(int(terminal), int(sequence))
    finally:
        store.close()
    reference = None if body is None else getattr(parse_record(body), "card_ref", None)
    if not reference:
        raise PublishError(
            f"row {row} names no card" if body is not None else f"row {row} has not come to the collector",
            "Look for the tap: terminal collector status, or the terminal's own journal.",
        )
    return DeniedIdentity(DenyKind.REFERENCE, reference)


def _parsed(kind: DenyKind, written: str) -> DeniedIdentity:
    from terminal.policy.deny_list import IDENTITY_BYTES
    from terminal.publish.deny.register import DeniedIdentity

    digits = 2 * IDENTITY_BYTES[kind]
    try:
        value = bytes.fromhex(written.replace(":", "").replace(" ", ""))
    except ValueError:
        value = b""
    if 2 * len(value) != digits:
        raise typer.BadParameter(f"a {kind.value} is {digits} hexadecimal digits")
    return DeniedIdentity(kind, value)


def _presented(
    reader: str | None, holder: bool, wait: float, config: Path | None, region: str | None, keys: Path | None
) -> DeniedIdentity | None:
    """The card on `reader`, or its holder; changes nothing on it."""
    if reader is None:
        return None
    from terminal.app.serve import with_card
    from terminal.app.simulated import laboratory_keys
    from terminal.errors import ReaderError
    from terminal.keys.file import load_file_keys
    from terminal.keys.provider import FittingVersions, ValidationKeys
    from terminal.media.port import UnsupportedCard, open_channel
    from terminal.media.resident.open import open_resident
    from terminal.policy.deny_list import DenyKind
    from terminal.policy.load import load_region
    from terminal.publish.deny.register import DeniedIdentity

    at = station_config(config, reader=reader, region=region, keys=keys)
    provider = load_file_keys(at.keys.file or laboratory_keys())
    number = load_region(at.terminal.region_or_demo).header.region

    def read(connection: CardConnection) -> DeniedIdentity:
        try:
            found = open_resident(
                open_channel(connection), ValidationKeys(provider, number, FittingVersions())
            ).snapshot
        except UnsupportedCard as card:
            raise ReaderError(
                f"this is no resident card: {card.why}", "Use a resident card of this region."
            ) from card
        return (
            DeniedIdentity(DenyKind.PERSON, found.rights.pseudonym)
            if holder
            else DeniedIdentity(DenyKind.CARD, found.uid)
        )

    return with_card(at, wait, read)


def _named(identity: DeniedIdentity) -> str:
    return f"{identity.kind.value} {identity.value.hex().upper()}"


def _print_entries(entries: tuple[DenyEntry, ...], json: bool) -> None:
    if json:
        print_json({"entries": [_as_json(entry) for entry in entries]})
        return
    for entry in entries:
        print(f"{_named(entry.identity)}  {_story(entry)}")


def _story(entry: DenyEntry) -> str:
    """Why, since when, until when, and whether terminals know."""
    parts = [entry.reason.value, f"since {entry.since:%Y-%m-%d %H:%M} by {entry.by}"]
    if entry.ended_at is not None:
        parts.append(f"until {entry.ended_at:%Y-%m-%d %H:%M} by {entry.ended_by or 'its own end'}")
    elif entry.until is not None:
        parts.append(f"until {entry.until:%Y-%m-%d %H:%M}")
    return ", ".join(parts) + (" (terminals have it)" if entry.published else " (not issued)")


def _as_json(entry: DenyEntry) -> dict[str, object]:
    return {
        "kind": entry.identity.kind.value,
        "identity": entry.identity.value.hex(),
        "reason": entry.reason.value,
        "since": entry.since.isoformat(),
        "until": None if entry.until is None else entry.until.isoformat(),
        "by": entry.by,
        "ended_at": None if entry.ended_at is None else entry.ended_at.isoformat(),
        "ended_by": entry.ended_by,
        "published": entry.published,
    }
