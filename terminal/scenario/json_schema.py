"""JSON Schema of what tariff authors write, for editors that complete and check while one types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from terminal.errors import TerminalError
from terminal.policy.document.schema import RegionDocument
from terminal.scenario.schema import ScenarioFile

SCHEMAS: Final[Mapping[str, type]] = MappingProxyType({"region": RegionDocument, "scenarios": ScenarioFile})
"""Name to what it describes; docs/schema holds one file of each."""


def schema_text(described: type) -> str:
    """The JSON Schema (2020-12) of `described` as indented JSON with a final newline."""
    found = msgspec.json.schema(described)
    stated = {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
    return msgspec.json.format(msgspec.json.encode(stated), indent=2).decode() + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Write one file of each into `folder`; raises `TerminalError` when that cannot be done."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, described in SCHEMAS.items():
            path = folder / f"{name}.schema.json"
            path.write_text(schema_text(described), encoding="utf-8")
            paths.append(path)
    except OSError as error:
        raise TerminalError(f"{folder} cannot be written: {error}", "Give another folder.") from error
    return paths
