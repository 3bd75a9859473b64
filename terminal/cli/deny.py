"""`terminal deny`: the office's register of denied cards and people, and the lists that terminals get of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from terminal.app.output import print_json
from terminal.cli.options import Config, Json, Keys, Region, Wait, station_config
from terminal.clock import SystemClock
from terminal.publish.deny.register import DenyReason

if TYPE_CHECKING:
    from cardproto.connection import CardConnection
    from terminal.policy.deny_list import DenyKind
    from terminal.publish.deny.issuing import DenyIssue
    from terminal.publish.deny.register import DeniedIdentity, DenyEntry, DenyRegister

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

    identity = _identity(card, person, lambda: _presented(reader, holder, wait, config, region, keys))
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

    identity = _identity(card, person, lambda: _presented(reader, holder, wait, config, region, keys))
    with _register(folder) as register:
        if not register.end(identity, SystemClock().now(), _staff(by)):
            raise PublishError(f"{_named(identity)} is not denied", "See terminal deny show.")
    print(f"no longer denied: {_named(identity)}")


@app.command()
def why(
    card: CardUid = None,
    person: Person = None,
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
    identity = _identity(card, person, lambda: _presented(reader, holder, wait, config, region, keys))
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
    key = load_file_keys(at.keys.file or laboratory_keys()).list_key("deny")
    now = SystemClock().now().replace(microsecond=0)
    with _register(folder) as register:
        if base:
            number = load_region(at.terminal.region_or_demo).header.region
            made: DenyIssue | None = issue_base(register, key, number, now)
        else:
            made = issue_increment(register, key, now)
        put = () if out is None else put_for_terminals(register, out)
    if json:
        print_json({"issue": made, "files": [str(path) for path in put]})
    else:
        print(_said(made))
        for path in put:
            print(f"wrote {path}")


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


def _identity(
    card: str | None, person: str | None, presented: Callable[[], DeniedIdentity | None]
) -> DeniedIdentity:
    """What one option names. Raises `typer.BadParameter` for none, several, or another form."""
    from terminal.policy.deny_list import DenyKind

    given = [(DenyKind.CARD, card), (DenyKind.PERSON, person)]
    named = [_parsed(kind, written) for kind, written in given if written is not None]
    read = presented()
    named += [] if read is None else [read]
    if len(named) != 1:
        raise typer.BadParameter("name one: --card UID, --person PSEUDONYM, or --reader with the card on it")
    return named[0]


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
