"""A collector as its own process, for simulated terminals: started, enrolled with, asked, ended by its own id."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from terminal.app.station import IDENTITY_FILE
from terminal.app.uplink import COLLECTOR_KEY_FILE
from terminal.collector.enrolment import Enrolment
from terminal.collector.office import TERMINALS_FOLDER
from terminal.collector.service import PUBLIC_KEY_FILE
from terminal.decoding import SMALL_BYTES, decode_json
from terminal.errors import CollectorError
from terminal.files import open_own
from terminal.sync.credentials import load_or_make_keys
from terminal.sync.link import HttpLink

START_S: Final = 20.0
REPORT_TRIES: Final = 30
"""The collector answers after two seconds of booking at the latest, and says how much is left."""
MOST_REPORT_BYTES: Final = 64 << 20
LOG: Final = "collector.log"


def enrol(state: Path, number: int, collector: Path) -> None:
    """Let terminal `number` upload: its public key goes to the collector's folder, which must exist or is made."""
    keys = load_or_make_keys(state / IDENTITY_FILE)
    Enrolment(collector / TERMINALS_FOLDER).enrol(number, keys.signing.public_key())


def trust(state: Path, collector: Path) -> None:
    """Let the terminal in `state` believe this collector's acknowledgements."""
    shutil.copyfile(collector / PUBLIC_KEY_FILE, state / COLLECTOR_KEY_FILE)


@contextmanager
def collector_process(
    folder: Path, registry: Path | None = None, options: Sequence[str] = ()
) -> Iterator[str]:
    """A running collector on any free loopback port; yields its address, ends it afterwards."""
    process, address = start_collector(folder, registry, options)
    try:
        yield address
    finally:
        process.terminate()
        process.wait(START_S)
        assert process.stdout is not None
        process.stdout.close()


def start_collector(
    folder: Path, registry: Path | None = None, options: Sequence[str] = ()
) -> tuple[subprocess.Popen[bytes], str]:
    """The process, answering requests, and its address; the caller ends it and closes its output."""
    command = [
        sys.executable,
        "-m",
        "terminal.cli.app",
        "collector",
        "--json",
        "--any-clock",
        "--no-recompute",
        "--port",
        "0",
        "--folder",
        str(folder),
        *options,
    ]
    if registry is not None:
        command += ["--registry", str(registry)]
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(open_own(folder / LOG), "wb") as log:
        log.truncate()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)  # noqa: S603 our own program
    try:
        return process, _address(process, folder / LOG)
    except CollectorError:
        process.wait(START_S)
        assert process.stdout is not None
        process.stdout.close()
        raise


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address the collector prints first, once it answers requests."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise CollectorError(
            f"the collector did not start: {log.read_text('utf-8').strip()}", "See the reason above."
        )
    address = decode_json(line, dict[str, Any], SMALL_BYTES)
    return str(address["url"])


def report(url: str) -> dict[str, Any]:
    """The collector's reconciliation of everything it holds; raises `CollectorError`."""
    found: dict[str, Any] = {"behind": 1}
    link = HttpLink(url)
    try:
        for _ in range(REPORT_TRIES):
            answer = link.exchange("/operator/v1/report", None, most_bytes=MOST_REPORT_BYTES)
            if answer.status != 200:
                raise CollectorError(
                    f"no report from {url}: status {answer.status}", "Check that the collector runs."
                )
            found = decode_json(answer.body, dict[str, Any], MOST_REPORT_BYTES)
            if found["behind"] == 0:
                return found
    finally:
        link.close()
    raise CollectorError(f"the books of {url} stay {found['behind']} records behind", "See its log.")


def asked_to_end() -> Callable[[], bool]:
    """Whether SIGTERM or Ctrl-C has come since this was called."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    return asked.is_set
