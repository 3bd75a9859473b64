"""`terminal publish rollout`: a tariff for some terminals first, then for more, confirmed or withdrawn by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from terminal.cli.options import Json

if TYPE_CHECKING:
    from terminal.publish.repository import Repository

app = typer.Typer(
    help="Give a new tariff to some terminals first, then to more; confirm it, or take it back (docs/bundles.md).",
    no_args_is_help=True,
)

Folder = Annotated[
    Path,
    typer.Option("--repository", "-r", envvar="RESIDENT_BUNDLES", help="Folder of the repository."),
]
BUNDLES: Final = Path("bundles")
By = Annotated[
    str, typer.Option("--by", metavar="NAME", help="Who answers for it; kept in the office's log.")
]
Edition = Annotated[str, typer.Argument(metavar="ID:VERSION", help="The region document: volgograd:8.")]
NEXT: Final = "assign has to sign"


@app.command()
def start(
    group: Annotated[str, typer.Argument(help="The tariff as it was added: tariff/volgograd-8.")],
    to: Annotated[str, typer.Option("--to", help="Terminals: 70001,70010-70099.")],
    impact: Annotated[
        Path, typer.Option("--impact", help="What `terminal policy impact … --json` has found for it.")
    ],
    by: By,
    percent: Annotated[
        int | None,
        typer.Option("--percent", min=1, max=100, help="So many of them in a hundred.", show_default="all"),
    ] = None,
    begins: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            formats=["%Y-%m-%dT%H:%M:%S%z"],
            help="From when, with an offset: 2026-12-01T03:00:00+03:00.",
            show_default="at once",
        ),
    ] = None,
    repository: Folder = BUNDLES,
) -> None:
    """Draft a step: these terminals, or a share of them, take the tariff. A later step with a larger share includes
    them.
    """
    from terminal.publish.rollout import Step, written_terminals
    from terminal.publish.rollout import start as begin

    with _changing(repository) as (office, now):
        edition = begin(office, Step(group, written_terminals(to), percent, begins), by, impact, now)
    print(f"{edition} for {percent or 100} % of {to}; {NEXT}")


@app.command()
def shadow(
    group: Annotated[str, typer.Argument(help="The tariff as it was added: tariff/volgograd-8.")],
    by: By,
    to: Annotated[
        str, typer.Option("--to", help="Terminals: 70001,70010-70099.", show_default="none: it ends")
    ] = "",
    percent: Annotated[
        int | None,
        typer.Option("--percent", min=1, max=100, help="So many of them in a hundred.", show_default="all"),
    ] = None,
    repository: Folder = BUNDLES,
) -> None:
    """Draft that these terminals decide each tap once more by a tariff, in shadow: they charge by theirs, and what
    differs is shown by `terminal collector shadows`. Without --to it ends everywhere.
    """
    from terminal.publish.rollout import Step, end_shadow, written_terminals
    from terminal.publish.rollout import shadow as begin

    with _changing(repository) as (office, now):
        if to:
            edition = begin(office, Step(group, written_terminals(to), percent, None), by, now)
        else:
            edition = end_shadow(office, group, by, now)
    where = f"in shadow at {percent or 100} % of {to}" if to else "in shadow nowhere any more"
    print(f"{edition} {where}; {NEXT}")


@app.command()
def confirm(edition: Edition, by: By, repository: Folder = BUNDLES) -> None:
    """Draft the word that a tariff on trial is in force for good."""
    from terminal.publish.rollout import confirm as say

    with _changing(repository) as (office, now):
        say(office, edition, by, now)
    print(f"{edition} is confirmed; {NEXT}")


@app.command()
def withdraw(edition: Edition, by: By, repository: Folder = BUNDLES) -> None:
    """Draft the word that terminals on trial go back from a tariff, and end its steps."""
    from terminal.publish.rollout import withdraw as say

    with _changing(repository) as (office, now):
        say(office, edition, by, now)
    print(f"{edition} is withdrawn; {NEXT}")


@app.command()
def status(repository: Folder = BUNDLES, json: Json = False) -> None:
    """Show which terminals take which tariff, and what was said of it."""
    from terminal.app.output import print_json
    from terminal.publish.repository import Repository
    from terminal.publish.rollout import standing

    office = Repository(repository)
    office.require_made()
    found = standing(office)
    if json:
        print_json(found)
        return
    for one in found:
        since = f" from {one.begins}" if one.begins else ""
        terminals = ", ".join(map(str, one.terminals))
        print(f"{one.group} ({one.edition}): {one.percent} % of {terminals}{since} {one.said}".rstrip())


@contextmanager
def _changing(repository: Path) -> Iterator[tuple[Repository, datetime]]:
    from terminal.clock import SystemClock
    from terminal.publish.repository import Repository

    office = Repository(repository)
    office.require_made()
    with office.changing():
        yield office, SystemClock().now()
