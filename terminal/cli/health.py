"""`terminal health`: is this terminal all right? For monitoring and for staff on call."""

from __future__ import annotations

from typing import Final

import typer

from terminal.cli.options import Config, Json, ShownLang, State, station_config
from terminal.texts import N_, translator

MARKS: Final = (N_("ok"), N_("LOOK"), N_("OUT OF ORDER"))


def health(
    config: Config = None, state: State = None, json: Json = False, language: ShownLang = "en"
) -> None:
    """Check a terminal, running or not. Exit code 0: ok; 1: needs attention; 2: out of order."""
    from terminal.app.output import print_json
    from terminal.app.station import JOURNAL_FILE, secret_files
    from terminal.clock import SystemClock
    from terminal.operations.health import examine

    at = station_config(config, state=state)
    folder = at.terminal.state
    found = examine(folder, folder / JOURNAL_FILE, SystemClock().now(), secret_files(at), at.keys.credential)
    if json:
        checks = {
            one.name: {
                "level": one.level.name.lower(),
                "code": one.code.value,
                "inputs": dict(one.inputs),
                "says": one.says(language),
                "value": one.value,
                "unit": one.unit,
            }
            for one in found.findings
        }
        print_json({"exit_code": found.exit_code, "checks": checks})
    else:
        words = translator(language)
        for one in found.findings:
            print(f"{words.gettext(MARKS[one.level]):<12}  {one.name:<10} {one.says(language)}")
    raise typer.Exit(found.exit_code)
