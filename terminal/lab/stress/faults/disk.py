"""A disk that loses power, fills up or turns read-only, under the real SQLite.

It is a SQLite VFS (`apsw`, development only): reads and writes reach real files, but every write since a file's last
sync is remembered with what stood there before. When the power goes, those writes are taken back, and a random part
of them is put on again, whole, torn at a sector, or not at all, as a real disk may do. Only what was synced is sure.

`stormy_disks` leads the connections that the journal and the collector open below one folder to such a disk; apsw
brings its own, newer SQLite, so a file opened here is never opened with the standard library's in the same run.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import apsw

SECTOR_BYTES: Final = 512
ANSWERS: Final = {"disk_full": sqlite3.SQLITE_FULL, "disk_read_only": sqlite3.SQLITE_READONLY}


class Disk:
    """The unsynced writes of the files below `folder`, and the fault that waits for one of the next operations."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self._rng = rng
        self._unsynced: dict[str, list[tuple[int, bytes, bytes, int]]] = {}
        self._fault: tuple[str, int] | None = None
        self.failing: str | None = None
        """The fault that has struck; every write fails until `power_off` or `repair`."""
        self.lying = False
        """Flushes are answered and not done, until `power_off`."""

    def arm(self, fault: str, operation: int) -> None:
        """Let `fault` ("power_cut", "disk_full", "disk_read_only") strike at the n-th write or sync from now on."""
        self._fault = (fault, operation)

    def operation(self) -> str | None:
        """Count a write or sync; the fault it meets, if any."""
        if self._fault is not None:
            fault, left = self._fault
            self._fault = (fault, left - 1) if left > 1 else None
            if left <= 1:
                self.failing = fault
        return self.failing

    def wrote(self, name: str, offset: int, before: bytes, data: bytes, size: int) -> None:
        self._unsynced.setdefault(name, []).append((offset, before, data, size))

    def synced(self, name: str) -> None:
        if not self.lying:
            self._unsynced.pop(name, None)

    def repair(self) -> None:
        """Room again, writable again; nothing that was written is lost."""
        self._fault = self.failing = None

    def write_back(self) -> None:
        """What was written has reached the disk by itself, as it does within a minute while the power stays on."""
        self._unsynced.clear()

    def power_off(self) -> None:
        """Call with every connection closed: what had not been synced is dropped or torn."""
        self.repair()
        self.lying = False
        for name, writes in self._unsynced.items():
            if Path(name).exists():
                self._cut(Path(name), writes)
        self._unsynced.clear()
        for shared in self.folder.rglob("*-shm"):
            shared.unlink()

    def _cut(self, path: Path, writes: Sequence[tuple[int, bytes, bytes, int]]) -> None:
        with path.open("r+b") as file:
            for offset, before, _, size in reversed(writes):
                file.seek(offset)
                file.write(before)
                file.truncate(size)
            for offset, _, data, _ in writes:
                if self._rng.random() < 0.4:
                    file.seek(offset)
                    sectors = self._rng.randrange(1 + len(data) // SECTOR_BYTES)
                    file.write(data if self._rng.random() < 0.5 else data[: sectors * SECTOR_BYTES])


class _FetchedRows:
    """What `sqlite3.Cursor` gives, from rows already fetched."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = iter(rows)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


class _Connection:
    """As much of `sqlite3.Connection` as the journal and the collector use, over apsw; errors are `sqlite3`'s."""

    def __init__(self, database: apsw.Connection, disk: Disk) -> None:
        self._database = database
        self._disk = disk

    def execute(self, statement: str, values: Iterable[Any] = ()) -> _FetchedRows:
        with _as_sqlite3(self._disk):
            return _FetchedRows(self._database.execute(statement, tuple(values)).fetchall())

    def executemany(self, statement: str, rows: Iterable[Iterable[Any]]) -> None:
        with _as_sqlite3(self._disk):
            self._database.executemany(statement, [tuple(row) for row in rows])

    @property
    def in_transaction(self) -> bool:
        return self._database.in_transaction

    def rollback(self) -> None:
        self.execute("ROLLBACK")

    def close(self) -> None:
        """Always succeeds: `sqlite3` does not report that a dead disk could not take the last checkpoint either."""
        import apsw

        with suppress(apsw.Error):
            self._database.close(True)


@contextmanager
def _as_sqlite3(disk: Disk) -> Iterator[None]:
    import apsw

    try:
        yield
    except apsw.Error as error:
        ours = sqlite3.OperationalError(str(error))
        ours.sqlite_errorcode = ANSWERS.get(disk.failing or "", getattr(error, "result", 1))
        raise ours from error


def available() -> bool:
    """Whether apsw is installed; without it there are no disk faults."""
    from importlib.util import find_spec

    return find_spec("apsw") is not None


def _vfs(disk: Disk, name: str) -> apsw.VFS:
    import apsw

    class FaultyFile(apsw.VFSFile):
        def __init__(self, path: Any, flags: list[int]) -> None:
            super().__init__("", path, flags)
            self._path = path.filename() if isinstance(path, apsw.URIFilename) else str(path)

        def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 SQLite's name
            _refuse(disk.operation())
            size = self.xFileSize()
            before = self.xRead(min(len(data), size - offset), offset) if offset < size else b""
            super().xWrite(data, offset)
            disk.wrote(self._path, offset, before, bytes(data), size)

        def xTruncate(self, size: int) -> None:  # noqa: N802 SQLite's name
            _refuse(disk.operation())
            length = self.xFileSize()
            if size < length:
                disk.wrote(self._path, size, self.xRead(length - size, size), b"", length)
            super().xTruncate(size)

        def xSync(self, _flags: int) -> None:  # noqa: N802 SQLite's name
            _refuse(disk.operation())
            disk.synced(self._path)

    class Vfs(apsw.VFS):
        def xOpen(self, path: Any, flags: list[int]) -> FaultyFile:  # noqa: N802 SQLite's name
            return FaultyFile(path, flags)

    def _refuse(fault: str | None) -> None:
        if fault == "disk_full":
            raise apsw.FullError("no room")
        if fault is not None:
            raise apsw.IOError("the disk is gone")

    return Vfs(name, "")


@contextmanager
def stormy_disks(disks: Sequence[Disk], also: Sequence[Any] = ()) -> Iterator[None]:
    """While it lasts, journals and collector databases below a disk's folder live on that disk, and what the modules
    `also` open there.
    """
    from terminal.collector import store
    from terminal.journal import database

    mounted = [(disk, _vfs(disk, f"storm-{id(disk)}")) for disk in disks]

    def connect(path: Any, **options: Any) -> Any:
        target = str(path)
        for disk, vfs in mounted:
            if str(disk.folder.absolute()) + "/" in target:
                return _connect(disk, vfs, target)
        return sqlite3.connect(path, **options)

    names = {name: getattr(sqlite3, name) for name in dir(sqlite3) if not name.startswith("__")}
    ours: Any = SimpleNamespace(**{**names, "connect": connect})
    modules: tuple[Any, ...] = (database, store, *also)
    before = [module.sqlite3 for module in modules]
    for module in modules:
        module.sqlite3 = ours
    try:
        yield
    finally:
        for module, original in zip(modules, before, strict=True):
            module.sqlite3 = original
        for _, vfs in mounted:
            vfs.unregister()


def _connect(disk: Disk, vfs: apsw.VFS, target: str) -> _Connection:
    import apsw

    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
    with _as_sqlite3(disk):
        database = apsw.Connection(target, flags=flags, vfs=vfs_name(disk))
        database.set_busy_timeout(5000)
    assert vfs is not None
    return _Connection(database, disk)


def vfs_name(disk: Disk) -> str:
    return f"storm-{id(disk)}"
