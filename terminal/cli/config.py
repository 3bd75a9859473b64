"""`terminal config init|check|show|schema`: the file that says what a terminal is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.cli.fault import mistakes_as
from terminal.cli.options import (
    CollectorUrl,
    Config,
    Json,
    Keys,
    Number,
    ProfileName,
    Region,
    State,
    options_of,
)

if TYPE_CHECKING:
    from terminal.app.config.read import Configured
    from terminal.errors import Mistake

app = typer.Typer(help="Make, check and explain terminal.toml.", no_args_is_help=True)

NewFile = Annotated[Path, typer.Argument(help="File to write; an existing file is not overwritten.")]
Folder = Annotated[Path | None, typer.Option(help="Folder of this terminal.")]


@app.command()
def init(
    file: NewFile = Path("terminal.toml"),
    profile: Annotated[ProfileName, typer.Option(help="Kind of terminal.")] = ProfileName.BUS,
    reader: Annotated[str, typer.Option(help="pcsc, pcsc:NAME, or sim:RESIDENT[,…].")] = "pcsc",
    number: Annotated[int, typer.Option(min=1, max=LARGEST_TERMINAL, help="Terminal number.")] = 1,
    state: Folder = None,
    region: Annotated[str | None, typer.Option(help="Region document.")] = None,
    keys: Annotated[Path | None, typer.Option(help="Key file.")] = None,
    collector: Annotated[str | None, typer.Option(help="Address of the collector.")] = None,
    service: Annotated[
        bool,
        typer.Option("--service", help="Add the settings the systemd units need, see docs/operations.md."),
    ] = False,
) -> None:
    """Write a configuration file with every key explained, using the given options."""
    from terminal.app.config.write import new_file, service_values, write_new

    values: dict[str, dict[str, object]] = {
        "terminal": {"number": number, "profile": profile.value, "state": state, "region": region},
        "reader": {"name": reader},
        "keys": {"file": keys},
        "collector": {"url": collector},
    }
    if service:
        values = service_values(number, values)
    write_new(file, new_file(values))
    print(f"wrote {file}: edit it, then `terminal config check --config {file}`")


@app.command()
def check(config: Config = None, json: Json = False) -> None:
    """Check the configuration: line, key and correction of each mistake. Exit code 15: mistakes found."""
    from terminal.app.config.mistakes import mistakes_in
    from terminal.app.config.read import find_text
    from terminal.app.output import print_json
    from terminal.errors import ConfigError
    from terminal.mistakes.words import refusal

    with mistakes_as(json):
        found = find_text(config)
        if found is None:
            raise ConfigError("there is no terminal.toml", "Make one with `terminal config init`.")
        path, text = found
        mistakes = mistakes_in(text, str(path), path.parent) or _unknown_facts(path, text)
        if mistakes:
            raise refusal(ConfigError, mistakes)
    if json:
        print_json({"ok": True, "file": str(path), "mistakes": []})
    else:
        print(f"{path} is sound")


def _unknown_facts(path: Path, text: str) -> list[Mistake]:
    """What the region document of a sound file needs and this terminal cannot know."""
    from terminal.app.config.codes import ConfigMistake
    from terminal.app.config.mistakes import placed
    from terminal.app.config.read import parse
    from terminal.app.knows import require_known, require_shift
    from terminal.app.station import station_of
    from terminal.errors import Mistake, RegionDocumentError
    from terminal.policy.load import load_region

    _, config = parse(path, text)
    try:
        document, routes = load_region(config.terminal.region_or_demo), station_of(config).load_routes()
        require_known(config, document, routes)
        require_shift(config, document, routes)
    except RegionDocumentError as error:
        values = {"what": error.what, "advice": error.advice}
        return placed([Mistake("terminal.region", ConfigMistake.REFUSED, values)], text, str(path))
    return []


@app.command()
def show(
    config: Config = None,
    profile: Annotated[ProfileName | None, typer.Option(help="Kind of terminal.")] = None,
    reader: Annotated[str | None, typer.Option(help="pcsc, pcsc:NAME, or sim:RESIDENT[,…].")] = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
    collector: CollectorUrl = None,
    json: Json = False,
) -> None:
    """Show the effective value of each key and its origin: option, file and line, or default."""
    from terminal.app.config.keys import toml
    from terminal.app.config.read import configured
    from terminal.app.output import print_json

    given = options_of(
        profile=profile and profile.value,
        reader=reader,
        state=state,
        number=number,
        region=region,
        keys=keys,
        collector=collector,
    )
    found = configured(config, given)
    values = list(_values(found))
    if json:
        listed = {key: {"value": value, "from": origin, "line": line} for key, value, origin, line in values}
        print_json({"file": str(found.file) if found.file else None, "keys": listed})
        return
    for key, value, origin, line in values:
        place = f"{found.file}:{line}" if line else origin
        print(f"{key:<26} {'not set' if value is None else toml(value):<42} {place}")


def _values(found: Configured) -> list[tuple[str, object, str, int]]:
    """Key, value, origin (option, file or default) and line (of the file, else 0) of every key."""
    from terminal.app.config.keys import in_force, keys_of, table_names
    from terminal.app.config.settings import EXTENSIONS
    from terminal.mistakes.toml_lines import toml_lines

    lines = toml_lines(found.text)
    values: list[tuple[str, object, str, int]] = []
    for table in table_names():
        for name in keys_of(table):
            value = getattr(in_force(found.config, table), name)
            chosen = name in found.options.get(table, {})
            line = 0 if chosen else lines.get((*table.split("."), name), 0)
            origin = "option" if chosen else "file" if line else "default"
            plain = str(value) if isinstance(value, Path) else value
            values.append((f"{table}.{name}", plain, origin, line))
    for name, options in found.config.extensions.items():
        for key, value in options.items():
            path = (EXTENSIONS, name, key)
            values.append((".".join(path), value, "file", lines.get(path, 0)))
    return values


@app.command()
def schema() -> None:
    """Print the JSON Schema of the file, for editors."""
    import json

    from terminal.app.config.write import schema as made

    print(json.dumps(made(), indent=2, ensure_ascii=False))
