"""A new `terminal.toml` with every key explained, its JSON schema, and its chapter of the documentation."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

import msgspec

from terminal.app.config.keys import (
    OPTION_WANTED,
    OPTIONS_PURPOSE,
    Key,
    keys_of,
    purpose_of,
    table_names,
    toml,
)
from terminal.app.config.settings import CONFIG_SCHEMA, EXTENSIONS, StationConfig
from terminal.errors import ConfigError
from terminal.files import SHARED, create_file

WIDTH: Final = 100
BEGIN: Final = "<!-- keys -->"
END: Final = "<!-- end of keys -->"
HEAD: Final = (
    "# The configuration of one terminal: `terminal config check` reads it, `terminal config show` says what holds.",
    "# Paths are relative to the folder of this file. A key behind # is not set; it shows the default or an example.",
)


def new_file(values: Mapping[str, Mapping[str, object]]) -> str:
    """The text of a `terminal.toml` that sets `values`, by table and key, and explains all the others."""
    lines = list(HEAD)
    stated = {**values, "terminal": {"schema": CONFIG_SCHEMA, **values.get("terminal", {})}}
    for table in table_names():
        lines += ["", f"[{table}]  # {purpose_of(table)}"]
        for key in keys_of(table).values():
            lines += _explained(key, stated.get(table, {}).get(key.name))
    lines += ["", f"# [{EXTENSIONS}.NAME]  # {OPTIONS_PURPOSE}"]
    return "\n".join(lines) + "\n"


def _explained(key: Key, value: object) -> Iterator[str]:
    yield from (f"# {line}" for line in wrap(key.description, WIDTH - 2))
    if value is not None:
        yield f"{key.name} = {toml(value)}"
    else:
        yield f"# {key.example_line if key.default in (None, '', ()) else f'{key.name} = {toml(key.default)}'}"


def service_values(number: int, values: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """`values`, and where they say nothing what the systemd units expect of terminal `number`."""
    expected: dict[str, dict[str, object]] = {
        "terminal": {"state": f"/var/lib/resident-terminal/{number}", "region": "region.toml"},
        "keys": {"file": "keys.toml"},
        "metrics": {"port": 9701},
        "log": {"format": "json"},
    }
    for table, keys in values.items():
        expected.setdefault(table, {}).update({key: v for key, v in keys.items() if v is not None})
    return expected


def write_new(path: Path, text: str) -> None:
    """Write `path`, whole or not at all, and never over a file that is there; raises `ConfigError`."""
    try:
        made = create_file(path, text.encode(), SHARED)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror})", "Name a folder you may write."
        ) from error
    if not made:
        raise ConfigError(f"{path} is there already", "Edit it, or give another name.")


def schema() -> dict[str, Any]:
    """The JSON schema of the file, for editors and other people's tools."""
    made = msgspec.json.schema(StationConfig, schema_hook=_path_schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "terminal.toml", **made}


def _path_schema(kind: type) -> dict[str, Any]:
    if kind is Path:
        return {"type": "string", "minLength": 1}
    raise NotImplementedError(kind)


def reference() -> str:
    """Every key in tables, for docs/configuration.md."""
    parts = [f"### [{table}]\n\n{purpose_of(table)}\n\n{_reference_of(table)}" for table in table_names()]
    parts.append(f"### [{EXTENSIONS}.NAME]\n\n{OPTIONS_PURPOSE} A value is {OPTION_WANTED}.")
    return "\n\n".join(parts)


def _reference_of(table: str) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key in keys_of(table).values():
        default = "" if key.default is None else f"`{toml(key.default)}`"
        rows.append(f"| `{key.name}` | {key.wanted} | {default} | {key.description} |")
    return "\n".join(rows)


def main(path: Path) -> None:
    """Write the reference into the documentation, between its marks."""
    before, rest = path.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
