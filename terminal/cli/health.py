"""`terminal health`: is this terminal all right? For monitoring and for staff on call."""

from __future__ import annotations

from typing import Final

import typer

from terminal.cli.options import Config, Json, State, station_config

MARKS: Final = ("ok", "LOOK", "OUT OF ORDER")


def health(config: Config = None, state: State = None, json: Json = False) -> None:
    """Check a terminal, running or not. Exit code 0: ok; 1: needs attention; 2: out of order."""
    from terminal.app.output import print_json
    from terminal.app.station import JOURNAL_FILE
    from terminal.clock import SystemClock
    from terminal.operations.health import examine

    folder = station_config(config, state=state).terminal.state
    found = examine(folder, folder / JOURNAL_FILE, SystemClock().now())
    if json:
        checks = {
            check.name: {
                "level": check.level.name.lower(),
                "says": check.says,
                "value": check.value,
                "unit": check.unit,
            }
            for check in found.checks
        }
        print_json({"exit_code": found.exit_code, "checks": checks})
    else:
        for check in found.checks:
            print(f"{MARKS[check.level]:<12}  {check.name:<10} {check.says}")
    raise typer.Exit(found.exit_code)
