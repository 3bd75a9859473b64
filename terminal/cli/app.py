"""The `terminal` command, assembled: one file per command, heavy imports only inside the command that needs them."""

from __future__ import annotations

import sys
from copy import copy
from typing import Annotated

import typer

from cardcli import output, version_line
from terminal.cli import (
    backup,
    canteen,
    canteen_lists,
    canteen_reports,
    card,
    clock,
    collector,
    collector_terminals,
    collector_views,
    config,
    demo,
    desk,
    export,
    fleet,
    health,
    journal,
    policy,
    policy_gtfs,
    policy_impact,
    receipt,
    recompute,
    run,
    shift,
    staff,
    storm,
    sync,
)
from terminal.cli.fault import explain
from terminal.errors import TerminalError

app = typer.Typer(
    name="terminal",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("health")(health.health)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("demo")(demo.demo)
app.command("desk")(desk.desk)
app.command("storm")(storm.storm)
app.command("sync")(sync.sync)
app.command("enrol")(collector_terminals.enrol_here)
collector.app.command("status")(collector_views.status)
collector.app.command("terminals")(collector_views.terminals)
collector.app.command("alarms")(collector_views.alarms)
collector.app.command("ack")(collector_views.ack)
collector.app.command("report")(collector_views.report)
collector.app.command("backup")(collector_views.backup)
collector.app.command("enrol")(collector_terminals.enrol)
collector.app.command("revoke")(collector_terminals.revoke)
journal.app.command("recompute")(recompute.recompute)
policy.app.command("import-gtfs")(policy_gtfs.import_gtfs)
policy.app.command("impact")(policy_impact.impact)
policy.app.command("gtfs-routes")(policy_gtfs.gtfs_routes)
app.add_typer(collector.app, name="collector")
app.add_typer(fleet.app, name="fleet")
app.add_typer(config.app, name="config")
app.add_typer(shift.app, name="shift")
app.add_typer(staff.app, name="staff")
app.add_typer(card.app, name="card")
app.add_typer(clock.app, name="clock")
app.add_typer(journal.app, name="journal")
canteen.app.add_typer(canteen_lists.roster_app, name="roster")
canteen.app.add_typer(canteen_lists.prices_app, name="prices")
canteen.app.command("report")(canteen_reports.report)
canteen.app.command("month")(canteen_reports.month)
app.add_typer(canteen.app, name="canteen")
app.add_typer(export.app, name="export")
app.add_typer(policy.app, name="policy")
app.add_typer(receipt.app, name="receipt")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version_line("terminal"))
        raise typer.Exit


@app.callback()
def terminal(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Card terminal for resident cards: bus validator, school canteen, and the collector behind them."""


def main() -> None:
    """Run the command; an expected failure is one line on stderr and its own exit code."""
    output.run("terminal", _command)


def _command() -> None:
    try:
        _asked_for(sys.argv[1:2])()
    except TerminalError as error:
        sys.exit(explain(error))


def _asked_for(words: list[str]) -> typer.Typer:
    """`app` with the command that begins with `words` alone, or whole where it is none: a validator that starts need
    not wait until the options of seventy other commands are made.
    """
    commands = [one for one in app.registered_commands if one.name in words]
    groups = [one for one in app.registered_groups if one.name in words]
    if not commands and not groups:
        return app
    alone = copy(app)
    alone.registered_commands, alone.registered_groups = commands, groups
    return alone


if __name__ == "__main__":
    main()
