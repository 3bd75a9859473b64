"""One test per entry of a vector file; `pytest tests/vectors --vectors FILE` runs another such file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

OWN_FILE = Path(__file__).with_name("desfire_ev2.json")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vectors",
        metavar="FILE",
        default=None,
        help="card vectors to run instead of the project's own copy",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "vector" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--vectors", default=None)
    entries = json.loads(Path(chosen or OWN_FILE).read_text(encoding="utf-8"))["vectors"]
    metafunc.parametrize("vector", [pytest.param(entry, id=entry["id"]) for entry in entries])
