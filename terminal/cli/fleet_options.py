"""A fleet's database among the options of a command. Passwords come from files, as systemd hands them over
(`LoadCredential`), or in the environment: what stands on a command line is read by every user of the machine (`ps`), so
a password there is refused.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Never

import typer

from terminal.errors import CollectorError, KeyFileError

DEFAULT_DATABASE: Final = "dbname=resident"
FEW_BYTES: Final = 4096
"""Of a file with a password."""


def visible(what: str, instead: str) -> Never:
    """Refuse a password on the command line."""
    raise typer.BadParameter(f"a password in {what} is seen by every user of this machine. {instead}")


def typed(context: typer.Context, parameter: typer.CallbackParam) -> bool:
    """Whether an option stands on the command line."""
    source = context.get_parameter_source(parameter.name or "")
    return source is not None and source.name == "COMMANDLINE"


def without_password(context: typer.Context, parameter: typer.CallbackParam, value: str | None) -> str | None:
    """The connection string of an option that is not to state a password."""
    if value is None or find_spec("psycopg") is None or not typed(context, parameter):
        return value
    from terminal.collector.fleet.database import password_in

    if password_in(value):
        visible("--database", "Give --database-password-file, use ~/.pgpass, or set FLEET_DATABASE.")
    return value


Database = Annotated[
    str,
    typer.Option(
        envvar="FLEET_DATABASE",
        callback=without_password,
        help="PostgreSQL connection string without password.",
    ),
]
DatabasePassword = Annotated[
    Path | None,
    typer.Option(
        "--database-password-file",
        envvar="FLEET_DATABASE_PASSWORD_FILE",
        help="File with the password of the database's user; default: ~/.pgpass.",
    ),
]


def dsn_of(database: str, password_file: Path | None) -> str:
    """The whole connection string. Raises `CollectorError` or `KeyFileError`."""
    from terminal.collector.fleet.database import completed

    return completed(database, password_of(password_file))


def password_of(path: Path | None) -> str:
    """The line in a file that only its owner may read; none without a file."""
    from terminal.keys.file import require_private
    from terminal.mistakes.reading import Unreadable, content_of, text_of

    if path is None:
        return ""
    require_private(path)
    try:
        lines = text_of(content_of(path, FEW_BYTES), private=True).splitlines()
    except Unreadable as error:
        raise KeyFileError(
            f"the password file {path} cannot be read", "Write the password into it as its one line."
        ) from error
    if len(lines) != 1:
        raise KeyFileError(
            f"the password file {path} has {len(lines)} lines", "Leave the password alone in it."
        )
    return lines[0]


def needs_extra() -> None:
    """Raises `CollectorError` where the software of a fleet is not installed."""
    missing = [name for name in ("nats", "psycopg") if find_spec(name) is None]
    if missing:
        raise CollectorError(
            f"the fleet collector needs {' and '.join(missing)}", "Install resident-card-terminal[fleet]."
        )
