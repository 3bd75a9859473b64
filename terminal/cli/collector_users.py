"""`terminal collector users`: who works in the office, set up at the collector's own machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terminal.cli.options import DEFAULT_COLLECTOR_FOLDER, CollectorFolder, Json
from terminal.collector.users import OfficeRole

app = typer.Typer(
    help="Users of the office: staff numbers and roles, no names. Also while the collector runs.",
    no_args_is_help=True,
)

Reference = Annotated[str, typer.Argument(help="Staff number, not a name.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file", help="File with the password in its first line.", show_default="asked for"
    ),
]


@app.command()
def add(
    ref: Reference,
    role: Annotated[
        list[OfficeRole] | None, typer.Option(help="Role; repeat for each. Every user may look.")
    ] = None,
    password_file: PasswordFile = None,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="For a program: it has a token only.")
    ] = False,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
) -> None:
    """Add a user; asks for the password. From the first one on, commands need a personal token."""
    from terminal.access.references import require_reference
    from terminal.collector.office import office_at
    from terminal.collector.store import OperationCode
    from terminal.collector.users import User

    require_reference(ref)
    hashed = "" if no_password else _password(password_file)
    roles = tuple(one for one in OfficeRole if one in (role or ()) or one is OfficeRole.LOOK)
    with office_at(folder, make=True) as office:
        office.users.add(User(ref=ref, roles=roles, password=hashed))
        office.note_at_machine(OperationCode.USER_ADDED, ref)
    print(f"{ref} added: {', '.join(roles)}")


@app.command("list")
def show(folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, json: Json = False) -> None:
    """Show the users, without passwords and tokens."""
    from terminal.app.output import print_json
    from terminal.collector.users import Users

    found = Users(folder).all().values()
    if json:
        shown = [
            {"ref": one.ref, "roles": one.roles, "password": bool(one.password), "token": bool(one.token)}
            for one in found
        ]
        print_json({"users": shown})
        return
    for one in found:
        have = ", ".join(what for what in ("password", "token") if getattr(one, what)) or "cannot come in yet"
        print(f"{one.ref:<16}  {', '.join(one.roles):<32}  {have}")
    if not found:
        print("no users yet: see `terminal collector users add`")


@app.command()
def remove(ref: Reference, folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER) -> None:
    """Remove a user; ends sessions and token, and the requests made by the user are confirmed no more."""
    from terminal.collector.office import office_at
    from terminal.collector.store import OperationCode

    with office_at(folder) as office:
        office.users.remove(ref)
        office.note_at_machine(OperationCode.USER_REMOVED, ref)
    print(f"{ref} removed")


@app.command()
def password(
    ref: Reference, password_file: PasswordFile = None, folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER
) -> None:
    """Set a new password; ends sessions opened with the old one, and waits after wrong ones."""
    from terminal.access.attempts import Attempts
    from terminal.collector.office import office_at
    from terminal.collector.store import OperationCode

    hashed = _password(password_file)
    with office_at(folder) as office:
        office.users.set_password(ref, hashed)
        office.note_at_machine(OperationCode.USER_CHANGED, ref)
        Attempts(office.users.folder).unlock(ref)
    print(f"password of {ref} changed")


@app.command()
def token(
    ref: Reference,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="Write it to this new file, readable by its owner only.", show_default="printed"
        ),
    ] = None,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
) -> None:
    """Make a personal token for commands and programs. It is shown once; the one before counts no more."""
    from terminal.collector.office import office_at
    from terminal.collector.store import OperationCode
    from terminal.errors import StaffError
    from terminal.files import create_file

    if to is not None and to.exists():
        raise StaffError(f"{to} is there already", "Name a new file.")
    with office_at(folder) as office:
        made = office.users.new_token(ref)
        office.note_at_machine(OperationCode.USER_CHANGED, ref)
    if to is None:
        print(made)
        return
    try:
        written = create_file(to, f"{made}\n".encode())
    except OSError as error:
        raise StaffError(
            f"{to} cannot be written ({error.strerror})", "Name another file: the token is made anew."
        ) from error
    if not written:
        raise StaffError(f"{to} is there already", "Name a new file: the token is made anew.")
    print(f"{to}: bring it to {ref} only")


@app.command()
def unlock(ref: Reference, folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER) -> None:
    """Clear the waiting time after wrong passwords."""
    from terminal.access.attempts import Attempts
    from terminal.collector.office import office_at
    from terminal.collector.store import OperationCode

    with office_at(folder) as office:
        found = Attempts(office.users.folder).unlock(ref)
        if found:
            office.note_at_machine(OperationCode.USER_CHANGED, ref)
    print(f"{ref} unlocked" if found else f"{ref} was not locked")


def _password(path: Path | None) -> str:
    """The hash of a password that is typed twice, or in a file."""
    from terminal.collector.users import hash_password
    from terminal.decoding import SMALL_BYTES, read_within
    from terminal.errors import StaffError

    if path is None:
        said: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return hash_password(said)
    try:
        return hash_password(read_within(path, SMALL_BYTES).decode().partition("\n")[0])
    except (OSError, ValueError) as error:
        raise StaffError(f"the password in {path} cannot be read: {error}", "Give its file.") from error
