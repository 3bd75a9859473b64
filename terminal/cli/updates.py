"""`terminal updates`: signed bundles of this terminal, from its folder and through its running process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from terminal.cli.options import Config, Json, ShownLang, State, station_config

if TYPE_CHECKING:
    from terminal.app.config.settings import StationConfig
    from terminal.operations.status import BundleStatus, TerminalStatus

app = typer.Typer(
    help="Signed bundles: what of them is in use, where it comes from, and what is refused and why.",
    no_args_is_help=True,
)
PATIENCE_S: Final = 60.0
EVERY_S: Final = 0.2


@app.command()
def status(
    config: Config = None, state: State = None, json: Json = False, language: ShownLang = "en"
) -> None:
    """Show what is in use and from where, and what is refused: role, version, what to do. Exit code 1: something is."""
    at = station_config(config, state=state)
    _show(_said(at), json=json, language=language)


@app.command()
def now(config: Config = None, state: State = None, json: Json = False, language: ShownLang = "en") -> None:
    """Let the running terminal look for bundles at once, wait for the end of that look, and show what came of it."""
    import os
    import signal
    import time

    from terminal.app.station import JOURNAL_FILE
    from terminal.errors import ActiveSetError
    from terminal.operations.health import holder_of

    at = station_config(config, state=state)
    folder = at.terminal.state
    process, before = holder_of(folder / JOURNAL_FILE), _said(at)
    known = None if before is None else before.bundles
    if process is None or before is None or before.process != process or known is None:
        raise ActiveSetError(
            "no terminal that takes signed bundles runs in this folder",
            "Start it: it looks when it is ready. See [bundles] in terminal.toml.",
        )
    os.kill(process, signal.SIGHUP)
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        said = _said(at)
        if said is not None and said.bundles is not None and said.bundles.looks > known.looks:
            if said.bundles.without_source > known.without_source:
                raise ActiveSetError(
                    "no stick is in, and no other source is set",
                    "Put it in: it is looked at as soon as it is mounted. See [bundles] in terminal.toml.",
                )
            _show(said, json=json, language=language)
        time.sleep(EVERY_S)
    raise ActiveSetError(
        f"the look did not end within {PATIENCE_S:g} s",
        "A slow source goes on being looked at: see `terminal updates status`.",
    )


def _said(at: StationConfig) -> TerminalStatus | None:
    from terminal.operations.status import read_status

    return read_status(at.terminal.state)


def _show(said: TerminalStatus | None, *, json: bool, language: str) -> None:
    """Print it, and end with 1 where something is refused."""
    from terminal.app.output import print_json

    bundles = None if said is None else said.bundles
    found = _found(said, bundles, language)
    if json:
        print_json(found)
    else:
        for line in _lines(found):
            print(line)
    refused = [one for one in (*found["sources"], *found["roles"]) if one["fault"]]
    refused += [one for one in found["in_force"] if one["refused"]]
    raise typer.Exit(1 if refused or bundles is None else 0)


def _found(said: TerminalStatus | None, bundles: BundleStatus | None, language: str) -> dict[str, Any]:
    from terminal.clock import from_unix_ms
    from terminal.fault_texts import fault_text
    from terminal.operations.status import BundleStatus

    known = bundles or BundleStatus()

    def moment(ms: int | None) -> str:
        return from_unix_ms(ms).isoformat(timespec="seconds") if ms else ""

    def says(fault: str, inputs: dict[str, int | str]) -> str:
        return fault_text(fault, inputs, language) if fault else ""

    return {
        "taken": bundles is not None,
        "signed_at": moment(known.issued_at_ms),
        "sources": [
            {
                "source": one.source,
                "looked_at": moment(one.looked_at_ms),
                "heard_at": moment(one.heard_at_ms),
                "fault": one.fault,
                "says": says(one.fault, one.inputs),
            }
            for one in known.sources
        ],
        "roles": [
            {
                "role": one.role,
                "name": one.name,
                "version": one.version,
                "signed_at": moment(one.issued_at_ms),
                "fault": one.fault,
                "says": says(one.fault, one.inputs),
            }
            for one in known.roles
        ],
        "in_force": [
            {
                "kind": one.kind.value,
                "edition": one.edition,
                "waits": one.pending,
                "waits_until": moment(one.pending_from_ms),
                "refused": one.refused,
                "says": says(one.refused, one.not_taken_inputs),
            }
            for one in (said.active if said is not None else ())
        ],
    }


def _lines(found: dict[str, Any]) -> list[str]:
    if not found["taken"]:
        lines = [
            "no signed bundles are taken here: see [bundles] in terminal.toml, or the terminal never ran"
        ]
    elif found["signed_at"]:
        lines = [f"newest set signed {found['signed_at']}"]
    else:
        lines = ["no set was accepted yet"]
    lines += [
        f"from {one['source']}: {one['says'] or 'heard ' + one['heard_at']}" for one in found["sources"]
    ]
    for one in found["roles"]:
        said = f"{one['role']:<12} {one['name'] or '—':<24} version {one['version']}"
        lines.append(f"{said}; {one['says']}" if one["says"] else said)
    for one in found["in_force"]:
        until = f" until {one['waits_until']}" if one["waits_until"] else ""
        waits = f", {one['waits']} waits{until}" if one["waits"] else ""
        why = f"; {one['says']}" if one["says"] else ""
        lines.append(f"in force     {one['kind']:<12} {one['edition'] or '—'}{waits}{why}")
    return lines
