"""`terminal collector enrol` and `revoke`: which terminals may upload."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from terminal.cli.enrolling import By, EnrolmentOffice, Numbered, enrol_by_code, enrol_by_key, revoke_terminal
from terminal.cli.options import DEFAULT_COLLECTOR_FOLDER, Bundles, CollectorFolder, Json


def enrol(
    terminal: Numbered,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Register this public key (terminal.pub) at once, without a code."),
    ] = None,
    by: By = "operator",
    bundles: Bundles = None,
    json: Json = False,
) -> None:
    """Enrol a terminal: print a one-time code for it, or register its public key.

    Where bundles are published, the code carries the SHA-256 of their root. An existing key is replaced; the terminal's
    records are kept.
    """
    with _office(folder, by, bundles) as office:
        if key is not None:
            enrol_by_key(office, terminal, key, json=json)
        else:
            enrol_by_code(office, terminal, json=json)


def revoke(
    terminal: Numbered, folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, by: By = "operator"
) -> None:
    """Revoke a terminal at once. Its records are kept."""
    with _office(folder, by) as office:
        revoke_terminal(office, terminal)


@contextmanager
def _office(folder: Path, by: str, bundles: Path | None = None) -> Iterator[EnrolmentOffice]:
    from terminal.collector.bundles import bundles_of
    from terminal.collector.enrolment import Enrolment
    from terminal.collector.service import DATABASE_FILE, TERMINALS_FOLDER
    from terminal.collector.store import CollectorStore

    terminals = folder / TERMINALS_FOLDER
    terminals.mkdir(parents=True, exist_ok=True)
    with closing(CollectorStore(folder / DATABASE_FILE)) as store:
        yield EnrolmentOffice(Enrolment(terminals), store.note, by, bundles_of(folder, bundles))
