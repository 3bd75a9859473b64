"""`sim`: look at the simulator's residents and put their cards into the operating system's PC/SC service."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Final

import typer
from rich.table import Table

from cardcli import output, version_line
from cardcli.console import ReadableConsole
from sim.cli import card, periphery, phone, transcript, vehicle, vpcd
from sim.image_file import ImageFault
from sim.periphery.play import PeripherySimFault
from sim.phone_page.serve import PhonePageFault
from sim.profile import CardProfile, ProfileFault, load_profile, profile_names
from sim.transcript import TranscriptFault
from sim.vehicle.trip import VehicleSimFault
from sim.vpcd import VpcdFault

EXIT_READER_FAULT: Final = 30
EXIT_PROFILE_FAULT: Final = 50
WIDTH: Final = 150
"""Columns of a table that is not shown in a window."""

app = typer.Typer(
    name="sim",
    no_args_is_help=True,
    add_completion=True,
)
app.command("vpcd")(vpcd.vpcd)
app.command("vehicle")(vehicle.vehicle)
app.command("periphery")(periphery.periphery)
app.command("phone")(phone.phone)
app.add_typer(card.app, name="card")
app.add_typer(transcript.app, name="transcript")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version_line("sim"))
        raise typer.Exit


@app.callback()
def sim(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Software cards of synthetic residents for the resident-card terminal."""


@app.command()
def profiles(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """List the residents whose cards can be simulated."""
    found = [load_profile(name) for name in profile_names()]
    if as_json:
        print(json.dumps([_summary(profile) for profile in found]))
        return
    ReadableConsole(WIDTH).print(_table(found, russian=_can_show_russian()))


def _can_show_russian() -> bool:
    if output.shows_cyrillic():
        return True
    print(f"sim: {sys.stdout.encoding} shows no Cyrillic: Russian descriptions are left out", file=sys.stderr)
    return False


def _table(found: list[CardProfile], russian: bool) -> Table:
    table = Table()
    table.add_column("profile", no_wrap=True)
    for heading in (*(["по-русски"] if russian else []), "in English", "on the card"):
        table.add_column(heading, overflow="fold")
    for profile in found:
        described = [profile.description.ru] if russian else []
        table.add_row(profile.name, *described, profile.description.en, _on_card(profile))
    return table


def _summary(profile: CardProfile) -> dict[str, object]:
    return {
        "name": profile.name,
        "ru": profile.description.ru,
        "en": profile.description.en,
        "kind": profile.card.kind,
        "purse_minor": profile.card.purse_minor,
        "concessions": [c.code for c in profile.concessions],
        "contracts": [c.product for c in profile.contracts],
    }


def _on_card(profile: CardProfile) -> str:
    """One line for the table: what a terminal can find there."""
    if profile.bank is not None and profile.card.kind == "bank":
        return f"bank application, {profile.bank.method}, {profile.bank.digits} digits"
    if profile.card.kind not in ("resident", "phone") or profile.card.stop_after is not None:
        return "no resident application in use"
    parts = ["phone" if profile.card.kind == "phone" else f"purse {profile.card.purse_minor}"]
    parts += [f"concession {c.code}" for c in profile.concessions]
    parts += [f"product {c.product}" for c in profile.contracts]
    parts += [] if profile.bank is None else [f"bank application, {profile.bank.method}"]
    flags = {"blocked": profile.card.blocked, "inactive": profile.card.inactive}
    return ", ".join(parts + [name for name, is_set in flags.items() if is_set])


def main() -> None:
    """Entry point: a fault becomes one line and its exit code, 50 for a profile and 30 for the virtual reader."""
    output.run("sim", _command)


def _command() -> None:
    try:
        app()
    except (
        ProfileFault,
        ImageFault,
        TranscriptFault,
        VehicleSimFault,
        PeripherySimFault,
        PhonePageFault,
        VpcdFault,
    ) as fault:
        print(f"sim: {fault.what}. {fault.advice}", file=sys.stderr)
        sys.exit(EXIT_READER_FAULT if isinstance(fault, VpcdFault) else EXIT_PROFILE_FAULT)


if __name__ == "__main__":
    main()
