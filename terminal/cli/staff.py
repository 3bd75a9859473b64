"""`terminal staff`: who may work at this terminal's console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import (
    Config,
    Json,
    Keys,
    Region,
    State,
    Wait,
    station_config,
)
from terminal.screen.console.roles import Role

if TYPE_CHECKING:
    from terminal.access.attempts import Attempts
    from terminal.app.config.settings import StationConfig
    from terminal.screen.console.staff import Member, StaffList

app = typer.Typer(
    help="Staff list of the operator's console: staff numbers and roles, no names. Also while the terminal runs.",
    no_args_is_help=True,
)

Reference = Annotated[str, typer.Argument(help="Staff number, not a name.")]
CardReader = Annotated[
    str | None,
    typer.Option("--card", help="Reader for the service card: pcsc, pcsc:NAME or sim:RESIDENT."),
]
NoPin = Annotated[bool, typer.Option("--no-pin", help="Set no PIN yet; signing in needs one.")]


@app.command()
def add(
    ref: Reference,
    role: Annotated[Role, typer.Option(help="Role.")],
    card: CardReader = None,
    no_pin: NoPin = False,
    wait: Wait = 30,
    config: Config = None,
    state: State = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Add a member of staff; asks for the PIN."""
    from terminal.errors import StaffError
    from terminal.screen.console.staff import Member

    at = station_config(config, reader=card, state=state, region=region, keys=keys)
    staff = _list(at)
    if staff.get(ref) is not None:
        raise StaffError(
            f"{ref} is on the staff list already", "Remove him first, or see `terminal staff pin`."
        )
    staff.put(Member(ref=ref, role=role))  # refuses a wrong reference before a PIN is typed
    try:
        reference = _card(at, wait) if card else ""
        staff.put(Member(ref=ref, role=role, pin="" if no_pin else _ask_pin(at), card=reference))
    except BaseException:
        staff.remove(ref)
        raise
    print(f"{ref} added as {role.value}")


@app.command("list")
def show(config: Config = None, state: State = None, json: Json = False) -> None:
    """Show the staff list, without PINs and cards."""
    from terminal.app.output import print_json

    members = [_shown(member) for member in _list(station_config(config, state=state)).members()]
    if json:
        print_json({"staff": members})
        return
    for one in members:
        have = ", ".join(what for what in ("pin", "card") if one[what]) or "cannot sign in yet"
        print(f"{one['ref']:<16}  {one['role']:<12}  {have}")
    if not members:
        print("no staff yet: see `terminal staff add`")


@app.command()
def remove(ref: Reference, config: Config = None, state: State = None) -> None:
    """Remove a member of staff; ends their session."""
    _list(station_config(config, state=state)).remove(ref)
    print(f"{ref} removed")


@app.command()
def pin(ref: Reference, config: Config = None, state: State = None, keys: Keys = None) -> None:
    """Set a new PIN; ends sessions opened with the old one."""
    import msgspec

    at = station_config(config, state=state, keys=keys)
    staff = _list(at)
    member = _known(staff, ref)
    staff.put(msgspec.structs.replace(member, pin=_ask_pin(at)))
    _attempts(at).unlock(ref)
    print(f"PIN of {ref} changed")


@app.command("card")
def service_card(
    ref: Reference,
    reader: Annotated[str, typer.Option("--reader", help="Reader with the new service card.")] = "pcsc",
    wait: Wait = 30,
    config: Config = None,
    state: State = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Replace the service card: its holder's cards are accepted, those of the former holder no longer."""
    import msgspec

    at = station_config(config, reader=reader, state=state, region=region, keys=keys)
    staff = _list(at)
    member = _known(staff, ref)
    staff.put(msgspec.structs.replace(member, card=_card(at, wait)))
    print(f"service card of {ref} changed")


@app.command()
def unlock(ref: Reference, config: Config = None, state: State = None) -> None:
    """Clear the waiting time after wrong PINs."""
    at = station_config(config, state=state)
    _known(_list(at), ref)
    print(f"{ref} unlocked" if _attempts(at).unlock(ref) else f"{ref} was not locked")


def _list(at: StationConfig) -> StaffList:
    from terminal.screen.console.staff import StaffList

    return StaffList(at.terminal.state)


def _attempts(at: StationConfig) -> Attempts:
    from terminal.access.attempts import Attempts
    from terminal.screen.console.console import CONSOLE_FOLDER

    return Attempts(at.terminal.state / CONSOLE_FOLDER)


def _known(staff: StaffList, ref: str) -> Member:
    from terminal.errors import StaffError

    member = staff.get(ref)
    if member is None:
        raise StaffError(f"{ref} is not on the staff list", "See `terminal staff list`.")
    return member


def _shown(member: Member) -> dict[str, str | bool]:
    return {"ref": member.ref, "role": member.role.value, "pin": bool(member.pin), "card": bool(member.card)}


def _ask_pin(at: StationConfig) -> str:
    from terminal.app.simulated import laboratory_keys
    from terminal.keys.file import load_file_keys
    from terminal.screen.console.pins import hash_pin

    provider = load_file_keys(at.keys.file or laboratory_keys())
    said: str = typer.prompt("PIN (4 to 8 digits)", hide_input=True, confirmation_prompt=True)
    return hash_pin(said.strip(), provider)


def _card(at: StationConfig, wait_s: float) -> str:
    """How the staff list knows the card on the reader of `at`; changes nothing on it."""
    from terminal.app.serve import resident_on
    from terminal.app.simulated import laboratory_keys
    from terminal.keys.file import load_file_keys
    from terminal.screen.console.staff import card_reference

    provider = load_file_keys(at.keys.file or laboratory_keys())
    return card_reference(provider, resident_on(at, wait_s).rights.pseudonym).hex()
