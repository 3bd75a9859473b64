"""`terminal collector enrol` and `revoke`: which terminals may upload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.cli.options import (
    DEFAULT_COLLECTOR_FOLDER,
    Bundles,
    CollectorFolder,
    Json,
)
from terminal.clock import unix_ms

if TYPE_CHECKING:
    from terminal.collector.store import OperationCode

Numbered = Annotated[int, typer.Argument(min=1, max=LARGEST_TERMINAL, help="Terminal number.")]


def enrol(
    terminal: Numbered,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Register this public key (terminal.pub) at once, without a code."),
    ] = None,
    by: Annotated[str, typer.Option(help="Who enrols or revokes, for example a staff number.")] = "operator",
    bundles: Bundles = None,
    json: Json = False,
) -> None:
    """Enrol a terminal: print a one-time code for it, or register its public key.

    Where bundles are published, the code carries the SHA-256 of their root. An existing key is replaced; the terminal's
    records are kept.
    """
    from terminal.app.output import print_json
    from terminal.clock import SystemClock
    from terminal.collector.bundles import bundles_of, carried_code
    from terminal.collector.enrolment import Enrolment, short_of
    from terminal.collector.service import TERMINALS_FOLDER
    from terminal.collector.store import OperationCode
    from terminal.sync.identity import read_public_key

    enrolment, now_ms = Enrolment(folder / TERMINALS_FOLDER), unix_ms(SystemClock().now())
    if key is not None:
        public = read_public_key(key)
        replaced = enrolment.key_of(terminal) is not None
        enrolment.enrol(terminal, public, now_ms)
        noted = OperationCode.KEY_REPLACED if replaced else OperationCode.ENROLLED
        _note(folder, now_ms, terminal, noted, short_of(public), by)
        done = {"terminal": terminal, "key": short_of(public), "replaced": replaced}
        text = f"terminal {terminal} may upload with key {short_of(public)}"
    else:
        code = carried_code(enrolment, terminal, now_ms, bundles_of(folder, bundles))
        _note(folder, now_ms, terminal, OperationCode.CODE_MADE, "", by)
        done = {"terminal": terminal, "code": code}
        text = f"{code}\nValid once, for one day. At the terminal: terminal enrol --number {terminal}"
    if json:
        print_json(done)
    else:
        print(text)


def revoke(
    terminal: Numbered,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    by: Annotated[str, typer.Option(help="Who enrols or revokes, for example a staff number.")] = "operator",
) -> None:
    """Revoke a terminal at once. Its records are kept."""
    from terminal.clock import SystemClock
    from terminal.collector.enrolment import Enrolment
    from terminal.collector.service import TERMINALS_FOLDER
    from terminal.collector.store import OperationCode
    from terminal.errors import CollectorError

    now_ms = unix_ms(SystemClock().now())
    if not Enrolment(folder / TERMINALS_FOLDER).revoke(terminal, now_ms):
        raise CollectorError(f"terminal {terminal} is not enrolled", "See `terminal collector terminals`.")
    _note(folder, now_ms, terminal, OperationCode.REVOKED, "", by)
    print(f"terminal {terminal} is revoked")


def _note(folder: Path, at_ms: int, terminal: int, code: OperationCode, key: str, by: str) -> None:
    from terminal.collector.service import DATABASE_FILE
    from terminal.collector.store import CollectorStore, Operation

    store = CollectorStore(folder / DATABASE_FILE)
    try:
        store.note(Operation(at_ms, terminal, code, key, by))
    finally:
        store.close()
