"""Files whose change is an offer: what is read when, and what staff hear."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import terminal.updates.watch as watching_files
from terminal.codes import SetKind, UpdateFault
from terminal.errors import ActiveSetError, RegionDocumentError
from terminal.policy.routes import NO_ROUTES, RouteBook
from terminal.updates.active import ActiveSet
from terminal.updates.edition import Published
from terminal.updates.held import HeldEdition, Offered
from terminal.updates.parts import RegionPart, RoutesPart
from terminal.updates.store import SetStore
from terminal.updates.watch import SourceFile, SourceWatch
from tests.terminal.updates.published import offered, opened, region, routes

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


def test_a_file_is_read_when_it_rests(active: ActiveSet, tmp_path: Path) -> None:
    """Half a document can be a sound one. Its other half would be another content under the same version."""
    file = tmp_path / "routes.toml"
    watch = watching(active, (SetKind.ROUTES, file))
    watch.look()
    whole = routes(1) + b'\n[[routes]]\nnumber = 16\nname = "Depot"\nmode = "bus"\n'
    for part in (routes(1), whole):
        file.write_bytes(part)
        watch.look()
        assert (waiting(active), said(active)) == ([], [])
    watch.look()
    assert (waiting(active), said(active)) == ([1], [])
    assert set(active.newest(SetKind.ROUTES, NO_ROUTES).by_number) == {15, 16}
    file.write_bytes(b"never whole")
    watch.look()
    assert said(active) == []
    for _ in range(4):
        watch.look()
    assert said(active) == [UpdateFault.UNREADABLE]


def test_asked_to_look_it_reads_what_lies_there(active: ActiveSet, tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    watch = watching(active, (SetKind.ROUTES, file))
    file.write_bytes(routes(1))
    watch.look(afresh=True)
    assert waiting(active) == [1]


def test_a_file_of_the_same_size_and_time_is_another_file(active: ActiveSet, tmp_path: Path) -> None:
    """Copied over the old one with its time kept; rights that were given later show by the same mark."""
    file = tmp_path / "routes.toml"
    file.write_bytes(routes(1))
    watch = watching(active, (SetKind.ROUTES, file))
    watch.look()
    before = file.stat()
    file.write_bytes(routes(2))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    watch.look()
    watch.look()
    assert waiting(active) == [2]


@pytest.mark.parametrize("rested_ns", [-1, 10**15])
def test_a_large_file_that_is_held_is_not_read_again_by_a_later_start(
    rested_ns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it was written just now: what is written within one tick of the file system's clock has the same mark."""
    monkeypatch.setattr(watching_files, "RESTED_NS", rested_ns)
    monkeypatch.setattr(watching_files, "LARGE_BYTES", 1)
    read: list[Path] = []
    reading = watching_files.read_source

    def noted_reading(path: Path, *others: Any) -> Published | HeldEdition | UpdateFault:
        read.append(path)
        return reading(path, *others)

    monkeypatch.setattr(watching_files, "read_source", noted_reading)
    file = tmp_path / "routes.toml"
    file.write_bytes(routes(1))

    def reads_of_a_start(*, afresh: bool = False) -> int:
        read.clear()
        with closing(opened(tmp_path / "state")) as active:
            active.load_pending()
            watching(active, (SetKind.ROUTES, file)).look(afresh=afresh)
            assert (active.knows(SetKind.ROUTES), said(active)) == (True, [])
        return len(read)

    noted = rested_ns < 0
    assert [reads_of_a_start() for _ in range(4)] == [1, 1, int(not noted), int(not noted)]
    assert reads_of_a_start(afresh=True) == 1, "staff asked for it"
    file.write_bytes(routes(2))
    assert [reads_of_a_start() for _ in range(3)] == [1, 1, int(not noted)]


def test_a_document_that_is_held_is_not_parsed_again_by_a_later_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []
    beside = RegionPart.beside

    def noted(part: RegionPart, content: bytes) -> tuple[str, ...]:
        parsed.append(content)
        return beside(part, content)

    monkeypatch.setattr(RegionPart, "beside", noted)
    file = tmp_path / "region.toml"

    def parsed_by_a_start(version: int) -> int:
        file.write_bytes(region(version))
        parsed.clear()
        with closing(opened(tmp_path / "state")) as active:
            active.load_pending()
            watching(active, (SetKind.REGION, file)).look(afresh=True)
            assert (active.knows(SetKind.REGION), said(active)) == (True, [])
        return len(parsed)

    assert [parsed_by_a_start(version) for version in (1, 1, 2, 2)] == [1, 0, 1, 0]


def test_what_was_refused_and_is_gone_is_refused_no_more(active: ActiveSet, tmp_path: Path) -> None:
    named, other = tmp_path / "routes.toml", tmp_path / "other.toml"
    watch = watching(active, (SetKind.ROUTES, named), (SetKind.ROUTES, other))
    other.write_bytes(routes(1))
    named.write_bytes(b"damaged")
    watch.look(afresh=True)
    watch.look(afresh=True)
    assert [one.refused and one.refused.fault for one in active.status()] == [UpdateFault.UNREADABLE]
    other.unlink()
    watch.look()
    assert [one.refused is None for one in active.status()] == [False], "the other one lies there still"
    named.unlink()
    watch.look()
    assert [one.refused for one in active.status()] == [None]


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
        for _ in range(3):
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


def test_a_failing_disk_ends_no_watch_and_many_requests_are_one_look(
    active: ActiveSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended before it came into force cannot be dropped, nothing can be swept; the next file is taken."""

    def fails(*_: object) -> None:
        raise ActiveSetError("active.db cannot be written (disk I/O error)", "Check the disk.")

    reads, taken = [], Event()
    ends = region(1, since="2026-12-01T00:00:00+00:00", until="2026-12-02T00:00:00+00:00")
    assert offered(active, SetKind.REGION, ends, NOW) == ""
    monkeypatch.setattr(SetStore, "drop_pending", fails)
    monkeypatch.setattr(SetStore, "sweep", fails)
    offer = active.offer

    def counted(kind: SetKind, published: Published, now: datetime | None) -> Offered:
        reads.append(kind)
        came = offer(kind, published, now)
        taken.set()
        return came

    monkeypatch.setattr(active, "offer", counted)
    later = datetime(2026, 12, 3, tzinfo=UTC)
    file = tmp_path / "routes.toml"
    file.write_bytes(routes(1))
    watch = SourceWatch(active, (SourceFile(SetKind.ROUTES, file),), lambda: later, every_s=0.01)
    file.write_bytes(routes(2))
    for _ in range(1000):
        watch.look_now()
    watch.start()
    assert taken.wait(20)
    watch.stop()
    assert waiting(active) == [2], "and what has ended waits no longer"
    assert len(reads) < 10
    assert said(active) == [UpdateFault.ENDED]
