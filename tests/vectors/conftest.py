"""One test per entry of a vector file; `pytest tests/vectors --vectors FILE` runs another such file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

OWN_FILE = Path(__file__).with_name("desfire.json")


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
    path = Path(metafunc.config.invocation_params.dir, chosen) if chosen else OWN_FILE
    entries = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    if not entries:
        raise pytest.UsageError(f"{path} holds no vectors")
    names = [str(entry.get("id", f"entry-{at}")) for at, entry in enumerate(entries)]
    metafunc.parametrize("vector", [pytest.param(e, id=name) for e, name in zip(entries, names, strict=True)])
