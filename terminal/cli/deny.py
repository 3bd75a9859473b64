"""`terminal deny`: the office's register of denied cards and people, and the lists that terminals get of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from terminal.app.output import print_json
from terminal.cli.options import Config, Json, Keys, Region, Wait, station_config, with_groups
from terminal.cli.signing import KeyFiles, PassphraseFile, open_signing
from terminal.clock import SystemClock
from terminal.publish.deny.register import DenyReason

if TYPE_CHECKING:
    from rich.progress import Progress

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
By = Annotated[str, typer.Option("--by", help="Staff number of the one who decides, not a name.")]


class Denying(NamedTuple):
    """Why something is denied, by which member of staff, and for how long."""

    reason: Annotated[DenyReason, typer.Option(help="Why; it never leaves the office.")]
    by: By
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="For so long. Default: until removed.")
    ] = None


class DenyEnd(NamedTuple):
    """Who lets it go."""

    by: By


class DenyQuestion(NamedTuple):
    """How the answer is printed."""

    json: Json = False


class DenySubject(NamedTuple):
    """What it is about: one of the first five, or the card on a reader. And where the register is."""

    card: Annotated[
        str | None, typer.Option("--card", metavar="UID", help="The card with this UID, 14 digits in hex.")
    ] = None
    person: Annotated[
        str | None,
        typer.Option(
            "--person",
            metavar="PSEUDONYM",
            help="The resident with this pseudonym, with any card: 16 digits in hex.",
        ),
    ] = None
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="HEX",
            help="The card that rows of one profile's terminals call so (card_ref): refused by these terminals alone.",
        ),
    ] = None
    moved: Annotated[
        bool,
        typer.Option(
            "--moved",
            help="With --reference, --row or --support-code: its holder has another card or phone that is active now. "
            "With --reference also the id of a phone's credential.",
        ),
    ] = False
    row: Annotated[
        str | None,
        typer.Option("--row", metavar="TERMINAL:SEQUENCE", help="The card of this tap, as --reference does."),
    ] = None
    support_code: Annotated[
        str | None,
        typer.Option(
            "--support-code",
            metavar="CODE",
            help="The card of the tap with this support code, as --row does.",
        ),
    ] = None
    collector: Annotated[
        Path, typer.Option("--collector", help="With --row or --support-code: the collector's folder.")
    ] = Path("var/collector")
    reader: Annotated[
        str | None,
        typer.Option("--reader", help="The card on this reader: pcsc, pcsc:NAME or sim:RESIDENT."),
    ] = None
    holder: Annotated[bool, typer.Option("--holder", help="With --reader: its holder, with any card.")] = (
        False
    )
    wait: Wait = 30
    folder: Folder = DEFAULT_FOLDER
    config: Config = None
    region: Region = None
    keys: Keys = None


@app.command()
def init(folder: Folder = DEFAULT_FOLDER) -> None:
    """Begin an empty register."""
    from terminal.publish.deny.register import REGISTER_FILE, begin_register

    begin_register(folder)
    print(f"began {folder / REGISTER_FILE}")


@app.command()
@with_groups
def add(denying: Denying, about: DenySubject) -> None:
    """Deny a card or a person; terminals hear of it with the next `terminal deny issue`."""
    from terminal.publish.deny.register import DenyEntry

    identity, now = _identity(about), SystemClock().now()
    until = None if denying.days is None else now + timedelta(days=denying.days)
    with _register(about.folder) as register:
        if not register.add(DenyEntry(identity, denying.reason, now, until, _staff(denying.by))):
            print(f"{_words(identity)} is denied already")
            return
    print(f"denied: {_words(identity)}, {denying.reason.value}")


@app.command()
@with_groups
def remove(end: DenyEnd, about: DenySubject) -> None:
    """Deny a card or a person no longer."""
    from terminal.errors import PublishError

    identity = _identity(about)
    with _register(about.folder) as register:
        if not register.end(identity, SystemClock().now(), _staff(end.by)):
            raise PublishError(f"{_words(identity)} is not denied", "See terminal deny show.")
    print(f"no longer denied: {_words(identity)}")


@app.command()
@with_groups
def why(about: DenySubject, asked: DenyQuestion) -> None:
    """Say why a card or person is or was denied, the newest entry first."""
    identity = _identity(about)
    with _register(about.folder) as register:
        entries = register.of(identity)
    _print_entries(entries, asked.json)
    if not entries and not asked.json:
        print(f"{_words(identity)} was never denied")


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
    """Deny what a file lists, all of it or nothing, however long it is."""
    from terminal.policy.deny_list import read_denied
    from terminal.publish.deny.register import DeniedIdentity

    now, staff = SystemClock().now(), _staff(by)
    with _register(folder) as register, _progress() as progress:
        reading = progress.add_task("reading", total=entries.stat().st_size if entries.is_file() else None)
        listed = read_denied(entries, lambda read: progress.advance(reading, read))
        identities = (DeniedIdentity(*one) for one in _then(listed, progress))
        done = register.add_all(identities, reason, now, staff)
    print(f"denied: {done.added} of {done.listed} entries, the others were already")


def _then(listed: Iterator[tuple[DenyKind, bytes]], progress: Progress) -> Iterator[tuple[DenyKind, bytes]]:
    """What is listed; after the last one it is sorted, and how far that is no one can say."""
    yield from listed
    progress.add_task("putting in", total=None)


def _progress() -> Progress:
    """Where a person looks on."""
    from rich.progress import Progress

    from cardcli.console import progress_console

    console = progress_console()
    return Progress(console=console, transient=True, disable=not console.is_terminal)


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
            with _progress() as progress:

                def watched(entries: Iterable[DeniedIdentity], count: int) -> Iterable[DeniedIdentity]:
                    return progress.track(entries, total=count, description="making the base")

                made: DenyIssue | None = issue_base(register, list_key, number, now, watched)
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


def _identity(about: DenySubject) -> DeniedIdentity:
    """What one option names. Raises `typer.BadParameter` for none or several."""
    from terminal.policy.deny_list import DenyKind

    written = {DenyKind.CARD: about.card, DenyKind.PERSON: about.person, DenyKind.REFERENCE: about.reference}
    looked_up = (
        *(_of_row(one, about.collector) for one in (about.row, about.support_code)),
        _presented(about),
    )
    found = [_parsed(kind, one) for kind, one in written.items() if one is not None]
    found += [one for one in looked_up if one is not None]
    if len(found) != 1:
        raise typer.BadParameter(
            "name one: --card UID, --person PSEUDONYM, --reference HEX, --row TERMINAL:SEQUENCE, --support-code CODE, "
            "or --reader with the card on it"
        )
    if not about.moved:
        return found[0]
    if found[0].kind is DenyKind.BANK_CARD:
        raise typer.BadParameter(
            "the concession of a bank card is moved by the list of grants, not by --moved"
        )
    if found[0].kind is not DenyKind.REFERENCE:
        raise typer.BadParameter("--moved goes with --reference, --row or --support-code")
    return found[0]._replace(kind=DenyKind.MEDIUM)


def _of_row(row: str | None, collector: Path) -> DeniedIdentity | None:
    """The card of a tap that the collector has."""
    if row is None:
        return None
    from terminal.collector.office import DATABASE_FILE
    from terminal.collector.ride import row_named
    from terminal.collector.store import CollectorStore
    from terminal.errors import PublishError
    from terminal.journal.records import parse_record
    from terminal.policy.deny_list import IDENTITY_BYTES, DenyKind
    from terminal.publish.deny.register import DeniedIdentity

    terminal, sequence = row_named(row)
    if not (collector / DATABASE_FILE).is_file():
        raise PublishError(f"there is no collector in {collector}", "Give its folder: --collector FOLDER.")
    store = CollectorStore(collector / DATABASE_FILE)
    try:
        body = store.record(terminal, sequence)
    finally:
        store.close()
    reference = None if body is None else getattr(parse_record(body), "card_ref", None)
    if not reference:
        raise PublishError(
            f"row {terminal}:{sequence} names no card"
            if body is not None
            else f"row {terminal}:{sequence} has not come to the collector",
            "Look for the tap: terminal collector status, or the terminal's own journal.",
        )
    by_token = len(reference) == IDENTITY_BYTES[DenyKind.BANK_CARD]
    return DeniedIdentity(DenyKind.BANK_CARD if by_token else DenyKind.REFERENCE, reference)


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


def _presented(about: DenySubject) -> DeniedIdentity | None:
    """The card on the reader, or its holder; changes nothing on it."""
    if about.reader is None:
        return None
    from terminal.app.serve import resident_on
    from terminal.policy.deny_list import DenyKind
    from terminal.publish.deny.register import DeniedIdentity

    at = station_config(about.config, reader=about.reader, region=about.region, keys=about.keys)
    found = resident_on(at, about.wait)
    if about.holder:
        return DeniedIdentity(DenyKind.PERSON, found.rights.pseudonym)
    return DeniedIdentity(DenyKind.CARD, found.uid)


def _words(identity: DeniedIdentity) -> str:
    return f"{identity.kind.value} {identity.value.hex().upper()}"


def _print_entries(entries: tuple[DenyEntry, ...], json: bool) -> None:
    if json:
        print_json({"entries": [_as_json(entry) for entry in entries]})
        return
    for entry in entries:
        print(f"{_words(entry.identity)}  {_story(entry)}")


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
