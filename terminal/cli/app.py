"""The `terminal` command, assembled: one file per command, loaded only when it is asked for.

A validator that starts loads and makes the options of `run` alone, not those of seventy other commands.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, Final, TypeAlias

import typer

from cardcli import output, version_line
from terminal.errors import TerminalError

Place: TypeAlias = tuple[str, str]
"""A module of this package and a function there; the commands of a group are `app` or another `Typer` there."""

COMMANDS: Final[Mapping[str, Place]] = {
    "run": ("run", "run"),
    "setup": ("setup", "setup"),
    "health": ("health", "health"),
    "peers": ("peers", "peers"),
    "backup": ("backup", "backup"),
    "restore": ("backup", "restore"),
    "demo": ("demo", "demo"),
    "desk": ("desk", "desk"),
    "storm": ("storm", "storm"),
    "city": ("city", "city"),
    "sync": ("sync", "sync"),
    "enrol": ("identity", "enrol"),
    "trust": ("identity", "trust"),
    "explain": ("explain", "explain"),
}
GROUPS: Final = (
    "audit",
    "collector",
    "fleet",
    "config",
    "shift",
    "staff",
    "card",
    "clock",
    "journal",
    "identity",
    "keys",
    "canteen",
    "export",
    "policy",
    "publish",
    "deny",
    "receipt",
    "updates",
)
"""Each is the module of its name, and has what `WITHIN` adds."""
WITHIN: Final[Mapping[str, Mapping[str, Place]]] = {
    "collector": {
        "audit": ("audit", "audit"),
        "status": ("collector_views", "status"),
        "terminals": ("collector_views", "terminals"),
        "ride": ("collector_views", "ride"),
        "alarms": ("collector_views", "alarms"),
        "strangers": ("collector_views", "strangers"),
        "trials": ("collector_views", "trials"),
        "shadows": ("collector_views", "shadows"),
        "ack": ("collector_office", "ack"),
        "report": ("collector_views", "report"),
        "backup": ("collector_views", "backup"),
        "documents": ("collector_recompute", "documents_app"),
        "recompute": ("collector_recompute", "recompute"),
        "verdicts": ("collector_recompute", "verdicts"),
        "enrol": ("collector_office", "enrol"),
        "revoke": ("collector_office", "revoke"),
        "roll-out": ("collector_office", "roll_out"),
        "requests": ("collector_office", "requests"),
        "confirm": ("collector_office", "confirm"),
        "reject": ("collector_office", "reject"),
        "operations": ("collector_office", "operations"),
        "users": ("collector_users", "app"),
        "bank": ("collector_bank", "app"),
        "statement": ("collector_bank", "statement"),
        "settlement": ("collector_settlement", "app"),
        "card": ("collector_cards", "app"),
        "person": ("collector_person", "app"),
    },
    "card": {"acceptance": ("card_acceptance", "acceptance"), "order": ("card_order", "order")},
    "journal": {"recompute": ("recompute", "recompute")},
    "policy": {
        "import-gtfs": ("policy_gtfs", "import_gtfs"),
        "impact": ("policy_impact", "impact"),
        "gtfs-routes": ("policy_gtfs", "gtfs_routes"),
    },
    "publish": {"rollout": ("publish_rollout", "app")},
    "canteen": {
        "roster": ("canteen_lists", "roster_app"),
        "prices": ("canteen_lists", "prices_app"),
        "payments": ("canteen_lists", "payments_app"),
        "pupils": ("canteen_pupils", "pupils_app"),
        "report": ("canteen_reports", "report"),
        "month": ("canteen_reports", "month"),
    },
}


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version_line("terminal"))
        raise typer.Exit


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
        from terminal.cli.fault import explain

        sys.exit(explain(error))


def whole() -> typer.Typer:
    """Every command."""
    return _made(COMMANDS, GROUPS)


def _asked_for(words: list[str]) -> typer.Typer:
    """The command that begins with `words` alone, or all of them where it is none."""
    commands = {name: place for name, place in COMMANDS.items() if name in words}
    groups = [name for name in GROUPS if name in words]
    return _made(commands, groups) if commands or groups else whole()


def _made(commands: Mapping[str, Place], groups: Sequence[str]) -> typer.Typer:
    app = typer.Typer(name="terminal", no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(terminal)
    for name, place in commands.items():
        app.command(name)(_at(place))
    for name in groups:
        app.add_typer(_group(name), name=name)
    return app


@cache
def _group(name: str) -> typer.Typer:
    group: typer.Typer = _at((name, "app"))
    for below, place in WITHIN.get(name, {}).items():
        thing = _at(place)
        if isinstance(thing, typer.Typer):
            group.add_typer(thing, name=below)
        else:
            group.command(below)(thing)
    return group


def _at(place: Place) -> Any:
    module, name = place
    return getattr(import_module(f"terminal.cli.{module}"), name)


if __name__ == "__main__":
    main()
