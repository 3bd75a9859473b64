"""`terminal setup`: the first run of a school's terminal, by pages or from a file of answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.app.config.rules import require_known_reader
from terminal.app.config.settings import DEFAULT_CONSOLE_PORT, DEFAULT_SCREEN_PORT
from terminal.cli.options import DEFAULT_LANGUAGE, DEFAULT_STATE, known_language
from terminal.cli.signing import PassphraseFile
from terminal.texts import languages

if TYPE_CHECKING:
    from terminal.app.setup.making import SetupPlace


def setup(
    answers: Annotated[
        Path | None,
        typer.Argument(help="File of answers (TOML): sets schools up without pages.", show_default="pages"),
    ] = None,
    config: Annotated[
        Path, typer.Option("--config", help="Configuration file to write; it must not be there yet.")
    ] = Path("terminal.toml"),
    state: Annotated[Path, typer.Option("--state", help="Terminal folder.")] = DEFAULT_STATE,
    number: Annotated[
        int | None,
        typer.Option(
            "--number", min=1, max=LARGEST_TERMINAL, help="Terminal number.", show_default="asked for"
        ),
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option("--reader", help="pcsc, pcsc:NAME or sim:RESIDENT[,…].", show_default="asked for"),
    ] = None,
    pace: Annotated[
        float | None, typer.Option(min=0.2, help="Simulated reader: seconds between cards.")
    ] = None,
    screen_port: Annotated[
        int, typer.Option(min=1, max=0xFFFF, help="Port of the display, which shows the code.")
    ] = DEFAULT_SCREEN_PORT,
    console_port: Annotated[
        int, typer.Option(min=1, max=0xFFFF, help="Port of the pages, then of the console.")
    ] = DEFAULT_CONSOLE_PORT,
    language: Annotated[
        str,
        typer.Option(
            metavar=f"[{'|'.join(languages())}]",
            parser=known_language,
            help="Language of pages and terminal.",
        ),
    ] = DEFAULT_LANGUAGE,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="End when the terminal is set up; a unit starts it.")
    ] = False,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="With a file of answers: the folder for a folder NUMBER of each terminal."
        ),
    ] = Path("terminals"),
    passphrase_file: PassphraseFile = None,
    questions: Annotated[
        bool, typer.Option("--questions", help="Print a file of answers with every question and its default.")
    ] = False,
) -> None:
    """Set a school's terminal up: pages on this machine alone, opened by the one-time code on its display.

    Ends as `terminal run` once the last page is left. What was entered is kept: stop it and start it again at any time.
    """
    from terminal.app.setup.making import SetupPlace

    if questions:
        _print_questions(language)
        return
    if answers is not None:
        _by_command(answers, out, language, passphrase_file)
        return
    if reader is not None:
        require_known_reader(reader)
    place = SetupPlace(
        config=config, state=state, screen_port=screen_port, console_port=console_port, pace_s=pace
    )
    _by_pages(place, number, reader, language)
    if not no_run:
        _become_terminal(config)


def _by_pages(place: SetupPlace, number: int | None, reader: str | None, language: str) -> None:
    from terminal.app.setup.making import SchoolMaker
    from terminal.app.setup.running import first_run
    from terminal.clock import SystemClock
    from terminal.lab.school import demonstration_school
    from terminal.operations.memory import forbid_dumps

    forbid_dumps()
    clock = SystemClock()
    given = {"terminal.number": None if number is None else str(number), "terminal.reader": reader}
    fixed = {name: text for name, text in given.items() if text is not None}
    maker = SchoolMaker(place, clock, demonstration_school)
    first_run(place, maker, fixed, language, clock, lambda line: print(line, flush=True))


def _by_command(answers: Path, out: Path, language: str, passphrase_file: Path | None) -> None:
    from terminal.app.setup.by_command import set_up_all
    from terminal.cli.signing import first_line

    passphrase = (
        typer.prompt("Passphrase of the schools", hide_input=True, confirmation_prompt=True)
        if passphrase_file is None
        else first_line(passphrase_file)
    )
    for made in set_up_all(answers, out, language, passphrase):
        print(made)


def _print_questions(language: str) -> None:
    from terminal.app.setup.by_command import questions_text
    from terminal.clock import SystemClock

    print(questions_text(SystemClock().now().date(), language), end="")


def _become_terminal(config: Path) -> None:
    """This process goes on as the terminal, at the addresses of the pages."""
    import os

    words = [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config)]
    os.execv(sys.executable, words)  # noqa: S606 our own interpreter and module
