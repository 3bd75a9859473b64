"""A `terminal.toml` as a test needs it, from keyword arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def config_file(folder: Path, **tables: Mapping[str, object]) -> Path:
    """Write folder/terminal.toml: `config_file(folder, shift={"operator": "17"})`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for table, values in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{key} = {_value(value)}" for key, value in values.items()]
    path = folder / "terminal.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _value(value: object) -> str:
    plain = value if isinstance(value, bool | int | float | list) else str(value)
    return json.dumps(plain, ensure_ascii=False)
