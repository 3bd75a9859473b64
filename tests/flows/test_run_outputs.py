"""What a running terminal prints may be lost; its taps may not: each ends on record whatever becomes of the output."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from terminal.app.station import journal_reader
from terminal.codes import OutputFault
from terminal.journal.records import Committed, Fault, parse_record
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, command

FULL = Path("/dev/full")
ASCII = {"PYTHONIOENCODING": "ascii"}
KOI8 = {"PYTHONIOENCODING": "koi8-r"}
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here (Linux has it)")


PAGES = {"screen": {"enabled": True, "port": 0}, "console": {"enabled": True, "port": 0}}


def config_of(folder: Path, tables: Mapping[str, Mapping[str, object]]) -> Path:
    return config_file(
        folder,
        terminal={"number": 7, "profile": "bus", "state": folder / "state", "language": "ru"},
        reader={"name": "sim:month_pass,adult_purse"},
        shift={"operator": "17", "route": 15},
        **tables,
    )


def served(folder: Path, *options: str, **how: object) -> subprocess.CompletedProcess[bytes]:
    """`terminal run` with a pass and a purse, to its end."""
    config = config_of(folder, how.pop("tables", {}))  # type: ignore[arg-type]
    environment = {**ENVIRONMENT, **how.pop("environment", {})}  # type: ignore[dict-item]
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        command(("run", "--config", config, *options)), env=environment, check=False, timeout=60, **how
    )


def faults(folder: Path) -> list[Fault]:
    """The faults on record, after it is sure that both taps were committed and closed."""
    with journal_reader(folder / "state") as reader:
        records = [parse_record(row.body) for row in reader.all_rows()]
    assert sum(isinstance(record, Committed) for record in records) == 2
    return [record for record in records if isinstance(record, Fault)]


@contextmanager
def full() -> Iterator[int]:
    with FULL.open("wb") as file:
        yield file.fileno()


@contextmanager
def left() -> Iterator[int]:
    """A pipe from which nothing is read any more."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@needs_full
@pytest.mark.parametrize("lost", [full, left], ids=["full", "left"])
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["people", "programs"])
def test_standard_output_may_be_lost(
    tmp_path: Path, lost: Callable[[], Iterator[int]], options: tuple[str, ...]
) -> None:
    with lost() as descriptor:  # type: ignore[attr-defined]
        done = served(tmp_path, *options, stdout=descriptor, stderr=subprocess.PIPE)
    assert done.returncode == 0
    assert done.stderr.count(b"device=output:stdout state=raises") == 1, "said once, however much is lost"
    (fault,) = faults(tmp_path)
    assert (fault.code, fault.inputs) == (OutputFault.FAILED, {"output": "output:stdout"})


@needs_full
@pytest.mark.parametrize("tables", [{}, PAGES], ids=["alone", "with pages"])
def test_the_log_may_be_lost(tmp_path: Path, tables: dict[str, object]) -> None:
    with full() as descriptor:
        done = served(tmp_path, stdout=subprocess.PIPE, stderr=descriptor, tables=tables)
    assert done.returncode == 0
    assert done.stdout.decode().count("committed") == 2
    assert [fault.inputs for fault in faults(tmp_path)] == [{"output": "output:log"}]


@pytest.mark.parametrize("closed", ["1", "2", "1 2"])
def test_an_output_that_was_closed_before_the_start_is_none(tmp_path: Path, closed: str) -> None:
    """As a wrapper's `>&-` does."""
    config = config_of(tmp_path, PAGES)
    outputs = " ".join(f"{descriptor}>&-" for descriptor in closed.split())
    line = f"{shlex.join(command(('run', '--config', config)))} {outputs}"
    done = subprocess.run(["/bin/sh", "-c", line], env=ENVIRONMENT, check=False, timeout=60)
    assert done.returncode == 0
    assert faults(tmp_path) == []


@needs_full
def test_both_may_be_lost(tmp_path: Path) -> None:
    with full() as descriptor:
        assert served(tmp_path, stdout=descriptor, stderr=descriptor).returncode == 0
    assert {fault.inputs["output"] for fault in faults(tmp_path)} == {"output:log", "output:stdout"}


def test_a_reader_that_stops_reading_holds_up_no_tap(tmp_path: Path) -> None:
    """A pipe that is full to the last byte from the start: a write to it waits for ever."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, bytes(65536)):
            pass
    os.set_blocking(writing, True)
    try:
        done = served(tmp_path, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(reading)
        os.close(writing)
    assert done.returncode == 0
    faults(tmp_path)


@pytest.mark.parametrize(
    ("environment", "encoding", "says"),
    [(ASCII, "ascii", "Oplacheno"), (KOI8, "koi8-r", "Оплачено")],
    ids=["ascii", "koi8-r"],
)
def test_a_locale_without_our_letters(
    tmp_path: Path, environment: dict[str, str], encoding: str, says: str
) -> None:
    done = served(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, environment=environment)
    assert done.returncode == 0
    assert says in done.stdout.decode(encoding)
    assert faults(tmp_path) == []
