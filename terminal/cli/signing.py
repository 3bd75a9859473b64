"""Options of commands that sign bundles, and how a private key is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from terminal.publish.key_files import SigningKey

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        envvar="RESIDENT_PASSPHRASE_FILE",
        help="File with the passphrase in its first line.",
        show_default="asked for",
    ),
]
KeyFiles = Annotated[
    list[Path],
    typer.Option("--key", help="Private key, NAME.key; repeat for each. One passphrase for all with a file."),
]


def open_signing(path: Path, passphrase_file: Path | None) -> SigningKey:
    """The private key in a file; its passphrase is asked for where no file has it. Raises `KeyFileError`."""
    from terminal.publish.key_files import open_key

    if passphrase_file is None:
        return open_key(path, typer.prompt(f"Passphrase of {path.name}", hide_input=True))
    return open_key(path, first_line(passphrase_file))


def first_line(file: Path) -> str:
    """The passphrase in a file that others cannot read. Raises `KeyFileError`."""
    from terminal.errors import KeyFileError
    from terminal.files import readable_by_others

    try:
        if readable_by_others(file):
            raise KeyFileError(
                f"passphrase file {file} can be read by other users", f"Close it: chmod 600 {file.name}"
            )
        with file.open("rb") as opened:
            return opened.readline(1_024).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"passphrase file {file} cannot be read: {error}", "Check the path.") from error
