"""The JSON Schemas in docs/schema are those of the types, and the supplied files are what the schemas describe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terminal.errors import TerminalError
from terminal.scenario.schema import SCHEMAS, schema_text, write_schemas

DOCS = Path(__file__).resolve().parents[3] / "docs" / "schema"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_published_schema_is_that_of_the_types(name: str) -> None:
    published = (DOCS / f"{name}.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(SCHEMAS[name]), "run: terminal policy schema --write docs/schema"


@pytest.mark.parametrize("name", SCHEMAS)
def test_unknown_keys_are_refused_by_the_schema_too(name: str) -> None:
    schema = json.loads(schema_text(SCHEMAS[name]))
    tables = [kind for kind in schema["$defs"].values() if kind.get("type") == "object"]
    assert tables
    assert [kind["title"] for kind in tables if kind.get("additionalProperties") is not False] == []


def test_both_are_written_where_one_says(tmp_path: Path) -> None:
    paths = write_schemas(tmp_path / "new" / "schema")
    assert [path.name for path in paths] == ["region.schema.json", "scenarios.schema.json"]
    (tmp_path / "file").write_text("")
    with pytest.raises(TerminalError, match="cannot be written"):
        write_schemas(tmp_path / "file")
