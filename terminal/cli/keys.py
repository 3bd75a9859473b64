"""`terminal keys`: a region's keys at the office, and the files that are cut out of them for each role."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import typer

from cardproto.resident.layout import KEY_VERSION, SPARE_KEY_SETS
from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.cli.options import Config, Json, station_config
from terminal.keys.roles import KeyRole

if TYPE_CHECKING:
    from datetime import date

    from terminal.keys.signed import CeilingTables, Environment, KeyDocument

app = typer.Typer(
    help="Keys in service: make, import, cut, roll, show. Keys are never on the command line and never printed.",
    no_args_is_help=True,
)
FILE_NAME: Final = "{name}.keys"
MOST_INPUT: Final = 1 << 20
Given = TypeVar("Given")

Out = Annotated[Path, typer.Option("--out", help="The office's file to write; it must not be there yet.")]
RegionNumber = Annotated[
    int, typer.Option("--region", min=0, max=0xFFFF, help="Region number, as in its document.")
]
OfficeFile = Annotated[
    Path, typer.Option("--office", help="The region's own file, of the office.", show_default="office.keys")
]
Until = Annotated[
    datetime | None,
    typer.Option(
        "--until", formats=["%Y-%m-%d"], help="Day by which to roll.", show_default="never reminded"
    ),
]
LimitsFile = Annotated[
    Path | None,
    typer.Option(
        "--limits", help="TOML file whose table 'limits' says how often terminals may use their keys."
    ),
]


@app.command()
def init(
    role: Annotated[KeyRole, typer.Option(help="What the file is for.")],
    region: Annotated[
        int | None,
        typer.Option("--region", min=0, max=0xFFFF, help="Region number, as in its document (office)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The office's file to write; it must not be there yet.")
    ] = None,
    components: Annotated[
        int, typer.Option(min=0, max=9, help="Split the new root for so many custodians (office).")
    ] = 0,
    laboratory: Annotated[
        bool, typer.Option("--laboratory", help="Mark the keys as a laboratory's, for good (office).")
    ] = False,
    until: Until = None,
    limits: LimitsFile = None,
    office: OfficeFile = Path("office.keys"),
    folder: Annotated[Path, typer.Option(help="Where to write role files: NUMBER.keys or ROLE.keys.")] = Path(
        "keys"
    ),
    terminal: Annotated[
        list[int] | None,
        typer.Option(
            "--terminal",
            min=1,
            max=LARGEST_TERMINAL,
            help="Terminal number; repeat for each. Each gets storage keys of its own.",
        ),
    ] = None,
    ahead: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Versions prepared ahead of the one in service.",
            show_default=f"office and issue {SPARE_KEY_SETS}, else 1",
        ),
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option("--with", help="A further master key the role may have: order, roll.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace role files that are there: after rolling.")
    ] = False,
) -> None:
    """Make a region's keys (--role office), or cut the file of another role out of the office's."""
    if role is KeyRole.OFFICE:
        _init_office(region, out, components, until, limits, ahead, laboratory=laboratory)
        return
    if region is not None or out is not None or components or laboratory or until or limits:
        raise typer.BadParameter(
            "a role file takes region, environment, last day and limits from the office's"
        )
    from terminal.clock import SystemClock
    from terminal.keys.file import key_tables, require_private
    from terminal.keys.office import RoleOrder, cut, require_absent, write_keys
    from terminal.keys.signed import verified

    require_private(office)
    source, today = verified(key_tables(office), office), SystemClock().now().date()
    numbers: list[int | None] = list(dict.fromkeys(terminal)) if terminal else [None]
    prepared = _or(ahead, SPARE_KEY_SETS if role is KeyRole.ISSUE else 1)
    orders = [
        RoleOrder(role=role, made_on=today, terminal=number, ahead=prepared, added=tuple(add or ()))
        for number in numbers
    ]
    cuts = [cut(source, order) for order in orders]  # all are sound before one is written
    paths = [folder / FILE_NAME.format(name=order.terminal or order.role) for order in orders]
    if not replace:
        for path in paths:
            require_absent(path)
    for path, document in zip(paths, cuts, strict=True):
        write_keys(path, document, replaced=replace)
        print(f"{path}: {_said(document)}")


def _init_office(
    region: int | None,
    out: Path | None,
    components: int,
    until: datetime | None,
    limits: Path | None,
    ahead: int | None,
    *,
    laboratory: bool,
) -> None:
    import secrets

    from terminal.keys.components import split, write_component
    from terminal.keys.office import ROOT_BYTES, OfficeOrder, office_document, write_keys

    number, path = _needed(region, "--region"), _needed(out, "--out")
    root, environment = secrets.token_bytes(ROOT_BYTES), _environment(laboratory=laboratory)
    order = OfficeOrder(
        region=number,
        made_on=_today(),
        environment=environment,
        ahead=_or(ahead, SPARE_KEY_SETS),
        until=_day(until),
        limits=_limits(limits),
    )
    document = office_document(root, order)
    parts = split(root, components, number, environment) if components else []
    for one in parts:
        held = path.with_name(f"{path.stem}-component-{one.part}.txt")
        write_component(held, one)
        print(f"{held}: component {one.part} of {one.parts}, check value {one.check}, root {one.root_check}")
    write_keys(path, document)
    print(f"{path}: {_said(document)}")


@app.command("import")
def import_(
    out: Out,
    component: Annotated[
        list[Path] | None,
        typer.Option("--component", help="File of a custodian's component; give all of them."),
    ] = None,
    masters: Annotated[
        Path | None,
        typer.Option(
            "--masters",
            help="TOML file with 'masters' made elsewhere and their 'check' values; - reads stdin.",
        ),
    ] = None,
    region: Annotated[
        int | None,
        typer.Option("--region", min=0, max=0xFFFF, help="Region number, where components name none."),
    ] = None,
    key_version: Annotated[int, typer.Option(min=0, max=255, help="Key version in service.")] = KEY_VERSION,
    ahead: Annotated[int, typer.Option(min=0, help="Versions prepared ahead of it.")] = SPARE_KEY_SETS,
    until: Until = None,
    limits: LimitsFile = None,
) -> None:
    """Make the office's file again from the custodians' components, or from master keys made elsewhere.

    Keys are read from files or standard input, never from the command line, which every user can see. With --masters
    and no components, what was not made elsewhere follows from a new root.
    """
    import secrets

    from terminal.keys.components import combined, read_component
    from terminal.keys.file import require_private
    from terminal.keys.imported import read_masters
    from terminal.keys.office import NO_MASTERS, ROOT_BYTES, OfficeOrder, office_document, write_keys

    files = component or []
    require_private(*files, *([masters] if masters not in (None, Path("-")) else []))
    parts = [read_component(path) for path in files]
    if not parts and masters is None:
        raise typer.BadParameter("give every --component, or --masters")
    root = combined(parts) if parts else secrets.token_bytes(ROOT_BYTES)
    if masters is None:
        given = NO_MASTERS
    else:
        given = read_masters(masters, sys.stdin.buffer.read(MOST_INPUT) if masters == Path("-") else None)
    environment: Environment = parts[0].environment if parts else "production"
    order = OfficeOrder(
        region=_of_parts(region, parts[0].region if parts else None),
        made_on=_today(),
        environment=environment,
        key_version=key_version,
        ahead=ahead,
        until=_day(until),
        limits=_limits(limits),
    )
    document = office_document(root, order, given)
    write_keys(out, document)
    print(f"{out}: {_said(document)}")


@app.command()
def roll(
    office: Annotated[Path, typer.Argument(help="The region's own file, of the office.")],
    ahead: Annotated[
        int, typer.Option(min=0, help="Versions prepared ahead of the next one.")
    ] = SPARE_KEY_SETS,
    until: Until = None,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Only the next epoch of bank cards' tokens, no card's key.")
    ] = False,
) -> None:
    """Take the next key version into service in the office's file. Cut the role files anew afterwards (--replace)."""
    from terminal.keys.file import key_tables, require_private
    from terminal.keys.office import rolled, with_next_epoch, write_keys
    from terminal.keys.signed import verified

    require_private(office)
    source = verified(key_tables(office), office)
    if tokens:
        if until is not None:
            raise typer.BadParameter("--until is a day of the cards' keys", param_hint="--until")
        document = with_next_epoch(source, _today())
    else:
        document = rolled(source, ahead, _today(), _day(until))
    write_keys(office, document, replaced=True)
    print(f"{office}: {_said(document)}")


@app.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(help="A key file.", show_default="that of terminal.toml")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show whose keys a file holds, by check values: role, region, version, environment, office, last day."""
    from terminal.app.output import print_json
    from terminal.errors import KeyFileError
    from terminal.keys.file import key_tables
    from terminal.keys.shown import as_data, as_lines, shown

    path = file or station_config(config).keys.file
    if path is None:
        raise KeyFileError("terminal.toml names no keys", "Name a key file.")
    found = shown(key_tables(path), path)
    if json:
        print_json(as_data(found))
    else:
        print("\n".join(as_lines(found)))


@app.command("seal-registry")
def seal_registry(
    registry: Annotated[Path, typer.Argument(help="Card registry in the clear, of the issuing point.")],
    keys: Annotated[Path, typer.Option("--keys", help="Key file of the role issue, collector or audit.")],
    out: Annotated[Path, typer.Option("--out", help="The sealed registry; replaced if it is there.")],
) -> None:
    """Seal a card registry, so that only the region's collector and auditor open it."""
    from terminal.collector.registry import seal_file
    from terminal.keys.file import load_file_keys, require_private

    require_private(registry, keys)
    cards = seal_file(registry, load_file_keys(keys), out)
    print(f"{out}: {cards} card references sealed; now delete {registry}")


def _said(document: KeyDocument) -> str:
    header = document.header()
    terminal = f", terminal {header.terminal}" if header.terminal else ""
    return (
        f"{header.environment} keys, role {header.role}, region {header.region}{terminal}, "
        f"version {header.key_version}, office {header.office}"
    )


def _limits(path: Path | None) -> CeilingTables:
    from terminal.keys.imported import read_limits
    from terminal.keys.signed import CeilingTables

    return CeilingTables() if path is None else read_limits(path)


def _environment(*, laboratory: bool) -> Literal["production", "laboratory"]:
    return "laboratory" if laboratory else "production"


def _today() -> date:
    from terminal.clock import SystemClock

    return SystemClock().now().date()


def _day(until: datetime | None) -> date | None:
    """Raises `typer.BadParameter` for a day on which the keys would already have had to be rolled."""
    if until is not None and until.date() <= _today():
        raise typer.BadParameter(
            f"--until {until.date()} is past: name the day, from tomorrow on, by which these keys are to be rolled"
        )
    return None if until is None else until.date()


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


def _of_parts(region: int | None, stated: int | None) -> int:
    from terminal.errors import KeyFileError

    if region is not None and stated is not None and region != stated:
        raise KeyFileError(
            f"the components are of region {stated}, not {region}", "Bring those of the region."
        )
    return _needed(region if stated is None else stated, "--region")


def _needed(value: Given | None, option: str) -> Given:
    if value is None:
        raise typer.BadParameter(f"give {option} with --role office")
    return value
