"""The power fails at any write, flush or new name while an edition is replaced: the old one or the new one is there."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from terminal import files
from terminal.codes import SetKind, UpdateFault
from terminal.errors import ActiveSetError, TerminalError
from terminal.journal.journal import Journal
from terminal.lab.stress.faults.disk import Disk, stormy_disks
from terminal.policy.routes import NO_ROUTES
from terminal.updates import store
from tests.terminal.updates.published import offered, opened, routes

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


class PowerCut(BaseException):
    """Nothing of the program runs on: no handler of ours may take it for an error."""


class Names:
    """File names that are not flushed yet: a power cut takes them, or not."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._new: list[Path] = []

    def operation(self) -> None:
        if self._disk.operation() is not None:
            raise PowerCut

    def linked(self, path: Path) -> None:
        self._new.append(path)

    def flushed(self, folder: Path) -> None:
        self._new = [path for path in self._new if path.parent != folder]

    def power_off(self, rng: random.Random) -> None:
        for path in self._new:
            if rng.random() < 0.5:
                path.unlink(missing_ok=True)


@contextmanager
def watched_names(names: Names) -> Iterator[None]:
    """Slot files go through these: `files.sync` and `files.sync_path` flush, `os.link` gives a name."""
    link, sync, sync_path = os.link, files.sync, files.sync_path

    def cut(work: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: Any) -> None:
            names.operation()
            work(*arguments)

        return counted

    def named(draft: Path, path: Path) -> None:
        link(draft, path)
        names.linked(path)

    def flushed(path: Path) -> None:
        sync_path(path)
        names.flushed(path)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "link", cut(named))
        patched.setattr(files, "sync", cut(sync))
        for module in (files, store):
            patched.setattr(module, "sync_path", cut(flushed))
        yield


def replace_routes(state: Path, version: int) -> None:
    """Offer this version, and put it in force between two taps."""
    journal = Journal.open(state / "journal.db", 7)
    with closing(journal), closing(opened(state)) as active:
        refused = offered(active, SetKind.ROUTES, routes(version), NOW)
        if refused:  # as a dead disk has it
            raise ActiveSetError(refused, "Nothing else may refuse it.")
        active.activate(active.due(NOW), NOW, journal)


def after_the_cut(state: Path) -> int:
    """The version in force after the next start, which must be whole and no older than the journal says."""
    journal = Journal.open(state / "journal.db", 7)
    with closing(journal), closing(opened(state)) as active:
        said = journal.activated[SetKind.ROUTES].version
        active.load_pending()
        active.resume(journal, NOW, trusted=True)
        (known,) = active.status()
        assert known.in_force is not None
        assert known.refused is None or known.refused.fault is not UpdateFault.DAMAGED
        document = active.value(SetKind.ROUTES, NO_ROUTES).document
        assert document is not None
        assert document.header.version == known.in_force.version == known.floor >= said
        assert journal.activated[SetKind.ROUTES].version == known.in_force.version
        return known.in_force.version


# The cut may come in the journal's own thread, while it notes that its disk is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("seed", [1, 2])
def test_a_power_cut_at_every_write_flush_and_name(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("apsw")
    rng, found, operation = random.Random(seed), set[int](), 0
    while True:
        operation += 1
        state = tmp_path / str(operation)
        disk = Disk(state, rng)
        state.mkdir()
        with stormy_disks([disk], also=[store]):
            replace_routes(state, 1)
            disk.write_back()
            disk.arm("power_cut", operation)
            names = Names(disk)
            try:
                with watched_names(names):
                    replace_routes(state, 2)
                finished = disk.failing is None
            except (
                PowerCut,
                TerminalError,
                OSError,
                sqlite3.Error,
            ):  # what a dead disk raises is not looked at
                finished = False
            disk.power_off()
            names.power_off(rng)
            found.add(after_the_cut(state))
        if finished:
            break
    assert found == {1, 2}
    assert operation > 20, "every write of slot, row and journal was cut once"


def test_killed_at_every_new_name_and_flush(tmp_path: Path) -> None:
    """kill -9 of a real process: its memory is lost, what it wrote is not."""
    found, operation, finished = set[int](), 0, False
    while not finished:
        operation += 1
        state = tmp_path / str(operation)
        state.mkdir()
        replace_routes(state, 1)
        finished = _killed_at(operation, state) == 0
        found.add(after_the_cut(state))
    assert found == {1, 2}
    assert operation > 5


def _killed_at(operation: int, state: Path) -> int:
    """The exit status of a child that kills itself there; 0 where it was done before."""
    child = os.fork()
    if child == 0:
        _child(operation, state)
    return os.waitpid(child, 0)[1]


def _child(operation: int, state: Path) -> None:
    left = operation

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)

    class Counting(Names):
        def __init__(self) -> None:
            self._new = []

        def operation(self) -> None:
            count()

    try:
        with watched_names(Counting()):
            replace_routes(state, 2)
    finally:
        os._exit(0)
