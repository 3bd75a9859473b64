"""The first start of a terminal, by `terminal run --config`: what is published is taken as it was corrected, from
wherever it lies, and documents of two regions are refused with both numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from terminal.app.active import Publication, open_active, parts_of
from terminal.app.simulated import laboratory_keys
from terminal.codes import SetKind, UpdateFault
from terminal.errors import RegionDocumentError
from terminal.keys.file import load_file_keys
from terminal.policy.document.schema import RegionDocument
from terminal.policy.routes import RouteBook
from terminal.updates.watch import SourceFile, SourceWatch
from tests.config_file import config_file
from tests.terminal.cli.conftest import Run
from tests.terminal.updates.published import REGION, region, routes
from tests.terminal.updates.test_watch import NOW, said

NEEDS_MODE = """
[[fares.rules]]
id = "metro"
kind = "flat"
modes = ["metro"]
by_medium = { transport_card = 5000, bank_card = 5000, cash = 5000 }
"""
STATED = '\nmode = "tram"'
Start = Callable[..., tuple[int, str]]


@pytest.fixture
def start(run: Run, tmp_path: Path) -> Start:
    """Start the terminal for one tap on this tariff: the exit code, and what it says."""

    def start(text: bytes, **tables: Mapping[str, object]) -> tuple[int, str]:
        (tmp_path / "region.toml").write_bytes(text)
        file = config_file(
            tmp_path,
            terminal={"profile": "bus", "state": "state", "region": "region.toml"},
            reader={"name": "sim:adult_purse", "taps": 1},
            **tables,
        )
        done = run("run", "--config", file)
        return done.returncode, done.stdout + done.stderr

    return start


def needs_mode() -> bytes:
    return region(1) + NEEDS_MODE.encode()


def test_routes_corrected_after_a_failed_start_need_no_other_version(start: Start, tmp_path: Path) -> None:
    listed = tmp_path / "routes.toml"
    listed.write_text(routes(1).decode().replace(STATED, ""))
    code, says = start(needs_mode(), lists={"routes": listed})
    assert code == RegionDocumentError.exit_code
    assert "depends on the mode" in says
    listed.write_bytes(routes(1))
    code, says = start(needs_mode(), lists={"routes": listed})
    assert (code, "ready" in says) == (0, True), says


def test_routes_that_lie_in_the_folder_alone_count_at_the_first_start(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "routes.toml").write_bytes(routes(1))
    code, says = start(needs_mode(), updates={"folder": folder})
    assert (code, "ready" in says) == (0, True), says


def test_documents_of_two_regions_are_refused_with_both_numbers(start: Start, tmp_path: Path) -> None:
    listed = tmp_path / "routes.toml"
    listed.write_bytes(routes(1, region=31))
    code, says = start(region(1), lists={"routes": listed})
    assert code == RegionDocumentError.exit_code
    assert "demo is of region 34, city_routes of region 31" in says
    listed.write_bytes(routes(1, region=REGION))
    assert start(region(1), lists={"routes": listed})[0] == 0


def test_what_a_start_refuses_is_said_once(tmp_path: Path) -> None:
    def unread(_document: RegionDocument, _routes: RouteBook) -> None:
        """Nothing is required."""

    parts = parts_of(load_file_keys(laboratory_keys()), 7, "bus", unread)
    document, folder = tmp_path / "region.toml", tmp_path / "published"
    folder.mkdir()
    document.write_bytes(region(1))
    (folder / "routes.toml").write_bytes(b"never whole")
    active = open_active(tmp_path / "state", parts, Publication({SetKind.REGION: document}, folder), NOW)
    try:
        watch = SourceWatch(active, (SourceFile(SetKind.ROUTES, folder / "routes.toml"),), lambda: NOW)
        for _ in range(3):
            watch.look()
        assert said(active) == [UpdateFault.UNREADABLE]
    finally:
        active.close()
