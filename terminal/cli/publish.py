"""`terminal publish`: signed bundles, from the first key to the stick (docs/bundles.md)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import Json
from terminal.cli.signing import KeyFiles, PassphraseFile, first_line, open_signing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from terminal.keys.file import FileKeys
    from terminal.publish.overview import NextTask, RoleStanding
    from terminal.publish.repository import Repository

app = typer.Typer(
    help="Publish signed bundles: documents and lists that terminals take from no one else (docs/bundles.md).",
    no_args_is_help=True,
)

REPOSITORY_VARIABLE = "RESIDENT_BUNDLES"
Folder = Annotated[
    Path,
    typer.Option("--repository", "-r", envvar=REPOSITORY_VARIABLE, help="Folder of the repository."),
]
BUNDLES = Path("bundles")
Group = Annotated[
    str,
    typer.Argument(
        help="ROLE/NAME (tariff/volgograd), or ROLE/OPERATOR/NAME for rosters and prices (roster/17/school-42)."
    ),
]
RoleName = Annotated[str, typer.Argument(help="Role: root, targets, tariff, roster.17, …")]


@app.command()
def key(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="ROLE-NUMBER: root-1, tariff-2, roster.17-1.")
    ],
    folder: Annotated[Path, typer.Option(help="Folder for NAME.key and NAME.pub.")] = Path(),
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make keys that sign: NAME.key stays with its holder under a passphrase, NAME.pub goes to the office."""
    from terminal.publish.key_files import make_key, require_name

    for name in names:
        require_name(name)
    for name in names:
        private, public = make_key(folder, name, _new_passphrase(name, passphrase_file))
        print(f"{private}: keep it where only its holder comes; {public}: bring it to the office")


@app.command()
def init(
    keys: Annotated[
        Path | None, typer.Option("--keys", help="Folder of public keys, called ROLE-NUMBER.pub.")
    ] = None,
    stand_alone: Annotated[
        bool,
        typer.Option("--stand-alone", help="One school signs for itself, with one key. A fleet refuses it."),
    ] = False,
    key: Annotated[
        Path | None, typer.Option("--key", help="With --stand-alone: the public key, NAME.pub.")
    ] = None,
    repository: Folder = BUNDLES,
) -> None:
    """Begin a repository: draft root and targets with the keys of every role. Nothing is signed yet."""
    from terminal.publish.drafting import begin, begin_alone, keys_by_role
    from terminal.publish.key_files import read_named

    if stand_alone != (key is not None) or stand_alone == (keys is not None):
        raise typer.BadParameter("give --keys FOLDER, or --stand-alone with --key NAME.pub")
    office, now = _office(repository), _now()
    given = {} if keys is None else keys_by_role(keys)
    with office.changing():
        if key is not None:
            begin_alone(office, read_named(key), now)
        else:
            begin(office, given, now)
    print(f"{repository}: root and targets wait for signatures: `terminal publish status`")


@app.command()
def role(
    name: RoleName,
    key: Annotated[
        list[Path],
        typer.Option(
            "--key",
            help="Public key of the role, NAME.pub; give all of them, the old ones that stay included.",
        ),
    ],
    repository: Folder = BUNDLES,
) -> None:
    """Give a role other keys, or a new role its first. What is published stays until the change is signed."""
    from terminal.publish.drafting import set_keys
    from terminal.publish.key_files import read_named

    office, now, given = _made(repository), _now(), [read_named(path) for path in key]
    with office.changing():
        waiting = set_keys(office, name, given, now)
    print(f"to sign for the change: {', '.join(waiting)}")


@app.command()
def add(
    group: Group,
    file: Annotated[Path, typer.Argument(help="The document or list. What it needs lies beside it.")],
    seal_to: Annotated[
        str,
        typer.Option(
            "--seal-to", help="Terminals that can open it: 70001,70010-70020. For roster, prices and staff."
        ),
    ] = "",
    terminals: Annotated[
        Path,
        typer.Option(
            help="Folder with the terminals' public keys: the collector's, or a copy of its files.",
        ),
    ] = Path("var/collector/terminals"),
    region: Annotated[
        str | None,
        typer.Option(
            help="Region document that a roster or price list is checked by.",
            show_default="the only published tariff",
        ),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", help="Key file that a deny or grants list was made with.")
    ] = None,
    repository: Folder = BUNDLES,
    json: Json = False,
) -> None:
    """Check a file as terminals do, and draft it. A draft may be replaced until it is released."""
    from terminal.app.output import print_json
    from terminal.cli.fault import mistakes_as
    from terminal.policy.load import region_path
    from terminal.publish.adding import AddOrder
    from terminal.publish.adding import add as draft

    def list_keys() -> FileKeys:
        from terminal.keys.file import load_file_keys

        assert keys is not None
        return load_file_keys(keys)

    office, now = _made(repository), _now()
    document = None if region is None else region_path(region)
    order = AddOrder(group, file, seal_to, terminals, document, None if keys is None else list_keys)
    with mistakes_as(json), office.changing():
        added = draft(office, order, now)
    if json:
        print_json(added)
        return
    version = f"{added.id} version {added.version}, " if added.version else ""
    print(f"{added.group}: {version}{', '.join(added.files)}; {added.role} has to sign")


@app.command()
def remove(group: Group, repository: Folder = BUNDLES) -> None:
    """Draft a role without a name. Terminals that have taken it keep it."""
    from terminal.publish.adding import remove as withdraw

    office, now = _made(repository), _now()
    with office.changing():
        signer = withdraw(office, group, now)
    print(f"{group} is withdrawn; {signer} has to sign")


@app.command()
def renew(
    name: RoleName,
    above: Annotated[
        int, typer.Option(min=0, help="Go on above this version: a thief of keys published it.")
    ] = 0,
    repository: Folder = BUNDLES,
) -> None:
    """Draft the same content for further days."""
    from terminal.publish.drafting import renew as again

    office, now = _made(repository), _now()
    with office.changing():
        again(office, name, now, above)
    print(f"{name} has to sign")


@app.command()
def request(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the requests, to be carried to key holders.")
    ] = Path("requests"),
    repository: Folder = BUNDLES,
) -> None:
    """Write a request for each draft that lacks signatures."""
    from terminal.publish.ceremony import write_requests

    office = _made(repository)
    with office.changing():
        written = write_requests(office, out)
    for path in written:
        print(path)
    if not written:
        print("nothing waits for a signature")


@app.command()
def sign(
    requests: Annotated[list[Path], typer.Argument(metavar="REQUEST...", help="Requests from the office.")],
    key: Annotated[Path, typer.Option("--key", help="Private key, NAME.key.")],
    passphrase_file: PassphraseFile = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for signature files.", show_default="beside the request"),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Sign without asking: what is shown has been read.")
    ] = False,
) -> None:
    """At a key holder's machine: show what is signed in plain words, and sign it."""
    from terminal.errors import PublishError
    from terminal.publish.ceremony import read_request, words, write_signature
    from terminal.publish.ceremony import sign as signed

    asked = [(path, *read_request(path)) for path in requests]
    opened = open_signing(key, passphrase_file)
    for path, wanted, metadata in asked:
        for line in words(wanted, metadata):
            print(line)
        if not yes and not _agreed(f"Sign {wanted.role} with {opened.name}?"):
            raise PublishError(f"{wanted.role} was not signed", "Nothing was written for it.")
        print(write_signature(out or path.parent, signed(wanted, metadata, opened)))


@app.command()
def take(
    files: Annotated[
        list[Path], typer.Argument(metavar="SIGNATURE...", help="Signature files that came back.")
    ],
    repository: Folder = BUNDLES,
) -> None:
    """Put signatures under their drafts, and on record."""
    from terminal.publish.ceremony import take as taken

    office, now = _made(repository), _now()
    with office.changing():
        for path in files:
            came = taken(office, path, now)
            print(f"{came.role}, version {came.version}: signed with {came.key}")


@app.command()
def release(
    key: KeyFiles,
    passphrase_file: PassphraseFile = None,
    above: Annotated[
        list[str] | None,
        typer.Option(
            "--above", metavar="ROLE=VERSION", help="Go on above this version of snapshot or timestamp."
        ),
    ] = None,
    repository: Folder = BUNDLES,
    json: Json = False,
) -> None:
    """Publish what is signed, with a new timestamp. Run it daily: it also renews what one of the keys signs alone."""
    from terminal.app.output import print_json
    from terminal.publish.release import release as publish

    office, now, raised = _made(repository), _now(), _above(above or [])
    opened = [open_signing(path, passphrase_file) for path in key]
    with office.changing():
        released = publish(office, opened, now, raised)
    if json:
        print_json(released)
    else:
        print("published: " + ", ".join(f"{name} {version}" for name, version in released.versions.items()))


@app.command()
def status(repository: Folder = BUNDLES, json: Json = False) -> None:
    """Show for each role: version, missing signatures, days left, what is published."""
    from terminal.app.output import print_json
    from terminal.publish.overview import overview

    found = overview(_made(repository), _now())
    if json:
        print_json(found)
        return
    if found.stand_alone:
        print("one school signs for itself")
    for state in found.roles:
        for line in _lines(state):
            print(line)
    for task in found.next:
        print(f"next: {_task(task)}")


@app.command()
def log(repository: Folder = BUNDLES, json: Json = False) -> None:
    """Show what was signed and published, when and with which key."""
    from terminal.app.output import print_json

    for line in _made(repository).logged():
        if json:
            print_json(line)
        else:
            by = f" with {line.key}" if line.key else ""
            print(f"{line.at}  {line.role} {line.version} {line.did}{by}  {line.sha256}")


@app.command()
def stick(
    folder: Annotated[Path, typer.Argument(help="Folder of the stick.")],
    repository: Folder = BUNDLES,
) -> None:
    """Copy what is published onto a stick. A copy that broke off is no repository to terminals."""
    from terminal.publish.stick import copy_to

    office = _made(repository)
    with office.changing():
        copied = copy_to(office, folder)
    print(f"{folder}: {copied.files} files, {copied.size} bytes")


def _lines(state: RoleStanding) -> Iterator[str]:
    from terminal.publish.overview import WARN_DAYS

    left = state.days_left
    here = "not published" if left is None else f"version {state.version}, {left} days left"
    late = "" if left is None or left > WARN_DAYS else " (renew)" if left >= 0 else " (EXPIRED)"
    yield f"{state.role:<12} {here}{late}"
    if state.draft:
        if state.missing:
            yield f"  draft {state.draft}: {state.missing} more of {', '.join(state.unsigned)} to sign"
        else:
            yield f"  draft {state.draft}: signed, {'released next' if state.ready else 'waits for another role'}"
    for group in state.published:
        version = f" version {group.version}" if group.version else ""
        called = f" ({group.called})" if group.called else ""
        yield f"  {group.name}{called}: {group.id}{version}".rstrip(": ")


def _task(task: NextTask) -> str:
    from terminal.publish.overview import OfficeTask

    names = ", ".join(task.roles)
    match task.task:
        case OfficeTask.ADD:
            return "check and draft a file: `terminal publish add ROLE/NAME FILE`"
        case OfficeTask.SIGN:
            return f"have {names} signed: `terminal publish request`, `sign` at the key holders', `take`"
        case OfficeTask.RELEASE:
            return f"publish {names or 'with a new timestamp'}: `terminal publish release --key NAME.key ...`"
        case OfficeTask.RENEW:
            return f"draft for further days: `terminal publish renew` for {names}"


def _office(folder: Path) -> Repository:
    from terminal.publish.repository import Repository

    return Repository(folder)


def _made(folder: Path) -> Repository:
    office = _office(folder)
    office.require_made()
    return office


def _now() -> datetime:
    from terminal.clock import SystemClock

    return SystemClock().now()


def _above(given: Sequence[str]) -> dict[str, int]:
    found = {}
    for one in given:
        name, _, version = one.partition("=")
        if name not in ("snapshot", "timestamp") or not (version.isascii() and version.isdecimal()):
            raise typer.BadParameter(f"--above {one}: write snapshot=VERSION or timestamp=VERSION")
        found[name] = int(version)
    return found


def _new_passphrase(name: str, file: Path | None) -> str:
    if file is not None:
        return first_line(file)
    said: str = typer.prompt(f"Passphrase for {name}", hide_input=True, confirmation_prompt=True)
    return said


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    return typer.confirm(question)
