"""Files whose change is an offer: what is read when, and what staff hear."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from terminal.codes import SetKind, UpdateFault
from terminal.errors import RegionDocumentError
from terminal.policy.routes import RouteBook
from terminal.updates.active import ActiveSet
from terminal.updates.parts import RegionPart, RoutesPart
from terminal.updates.watch import SourceFile, SourceWatch
from tests.terminal.updates.published import opened, region, routes

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def active(tmp_path: Path) -> Iterator[ActiveSet]:
    with closing(opened(tmp_path / "state")) as made:
        yield made


def watching(active: ActiveSet, *files: tuple[SetKind, Path]) -> SourceWatch:
    return SourceWatch(active, tuple(SourceFile(*file) for file in files), lambda: NOW)


def said(active: ActiveSet) -> list[str]:
    return [active.refusals.get().fault for _ in range(active.refusals.qsize())]


def waiting(active: ActiveSet) -> list[int]:
    return [one.pending.version for one in active.status() if one.pending is not None]


def test_a_file_half_written_is_read_again_before_staff_hear_of_it(active: ActiveSet, tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    watch = watching(active, (SetKind.ROUTES, file))
    watch.look()
    file.write_bytes(routes(1)[:-20])
    watch.look()
    assert said(active) == []
    file.write_bytes(routes(1))
    watch.look()
    assert (waiting(active), said(active)) == ([1], [])
    file.write_bytes(b"never whole")
    for _ in range(4):
        watch.look()
    assert said(active) == [UpdateFault.UNREADABLE]


def test_a_named_file_older_than_its_successors_is_passed_over_until_it_changes(
    active: ActiveSet, tmp_path: Path
) -> None:
    named, newer = tmp_path / "routes.toml", tmp_path / "published.toml"
    named.write_bytes(routes(2))
    newer.write_bytes(routes(3))
    watch = watching(active, (SetKind.ROUTES, newer), (SetKind.ROUTES, named))
    for _ in range(3):
        watch.look()
    watch.look(afresh=True)
    assert (waiting(active), said(active)) == ([3], [])
    named.write_bytes(routes(1))
    for _ in range(3):
        watch.look()
    assert said(active) == [UpdateFault.OLDER]


def test_a_tariff_waits_for_the_routes_that_are_published_after_it(tmp_path: Path) -> None:
    def require(_document: object, book: RouteBook) -> None:
        if not book.by_number:
            raise RegionDocumentError("it needs modes", "Publish routes.")

    parts = {SetKind.ROUTES: RoutesPart(require), SetKind.REGION: RegionPart(require)}
    tariff, listed = tmp_path / "region.toml", tmp_path / "routes.toml"
    tariff.write_bytes(region(1))
    with closing(ActiveSet(tmp_path / "state", parts)) as active:
        watch = watching(active, (SetKind.REGION, tariff), (SetKind.ROUTES, listed))
        for _ in range(5):
            watch.look()
        assert said(active) == [UpdateFault.UNKNOWABLE]
        listed.write_bytes(routes(1))
        watch.look()
        watch.look()
        assert sorted(one.kind for one in active.status() if one.pending) == ["region", "routes"]


def test_no_pipe_and_no_folder_is_waited_for(active: ActiveSet, tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    watch = watching(active, (SetKind.ROUTES, pipe), (SetKind.REGION, folder))
    watch.look()
    watch.look()
    assert said(active) == [UpdateFault.UNREADABLE] * 2
