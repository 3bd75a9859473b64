"""`terminal demo`: a morning in a little town, from the first tap to the reconciled collector."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import DEFAULT_LANGUAGE, Json, ShownLang

if TYPE_CHECKING:
    from terminal.lab.demo.run import DemoResult


def demo(
    language: ShownLang = DEFAULT_LANGUAGE,
    seed: Annotated[int, typer.Option(help="Seed of cards and random numbers.")] = 1,
    keep: Annotated[
        Path | None, typer.Option(help="Keep journals and the collector's database in this folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Play a morning of taps on a bus and a canteen terminal: software cards, real journals, a real collector.

    The morning is played on a virtual clock. Ends by itself; exits with 1 if money or records do not add up.
    """
    from terminal.app.output import print_json
    from terminal.lab.demo.table import print_demo

    if keep is not None:
        result = _in(keep, seed, quiet=json)
    else:
        with tempfile.TemporaryDirectory(prefix="resident-card-demo-") as folder:
            result = _in(Path(folder), seed, quiet=json)
    if json:
        print_json(result.as_json(language))
    else:
        print_demo(result, language)
    if not result.balanced:
        raise typer.Exit(1)


def _in(folder: Path, seed: int, quiet: bool) -> DemoResult:
    from rich.progress import Progress

    from cardcli.console import progress_console
    from terminal.lab.demo.run import play

    folder.mkdir(parents=True, exist_ok=True)
    console = progress_console()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("issuing cards", total=None)
        return play(
            folder,
            seed,
            lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
        )
