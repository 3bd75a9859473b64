"""What commands of office users share: the token that says who asks, the comment, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from terminal.collector.office_says import OfficeAnswer

TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="RESIDENT_OFFICE_TOKEN_FILE",
        help="File with your personal token (`terminal collector users token`); needed once there are users.",
    ),
]


def token_in(path: Path | None) -> str | None:
    """The personal token in a file that is its owner's alone."""
    from terminal.decoding import SMALL_BYTES, read_within
    from terminal.errors import StaffError
    from terminal.keys.file import require_private

    if path is None:
        return None
    require_private(path)
    try:
        return read_within(path, SMALL_BYTES).decode().strip()
    except (OSError, ValueError) as error:
        raise StaffError(f"the token in {path} cannot be read: {error}", "Give its file.") from error


def checked(comment: str) -> str:
    """`comment`, unless it is longer than an office keeps: then a mistake of the command line."""
    from terminal.collector.office import MOST_COMMENT

    if len(comment) > MOST_COMMENT:
        raise typer.BadParameter(f"--comment has at most {MOST_COMMENT} characters")
    return comment


def said_of(answer: OfficeAnswer, done: str, what: str = "request") -> str:
    """The line for who asked: that `what` waits for a second person, or that it is `done`. Raises `OfficeRefused`."""
    from terminal.collector.office_says import OfficeCode, refusal

    if answer.says is OfficeCode.WAITS:
        number = answer.number
        return f"{what} {number} waits for a second person: terminal collector confirm {number}"
    if answer.says is OfficeCode.DONE:
        return done
    raise refusal(answer.says)
