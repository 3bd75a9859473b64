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
from terminal.collector.service import PUBLIC_KEY_FILE, TERMINALS_FOLDER
from terminal.decoding import SMALL_BYTES, decode_json
from terminal.errors import CollectorError
from terminal.files import open_own
from terminal.sync.identity import load_or_create_key, public_path

START_S: Final = 20.0
REPORT_TRIES: Final = 30
"""The collector answers after two seconds of booking at the latest, and says how much is left."""
LOG: Final = "collector.log"


def enrol(state: Path, number: int, collector: Path) -> None:
    """Let terminal `number` upload: its public key goes to the collector's folder, which must exist or is made."""
    identity = state / IDENTITY_FILE
    load_or_create_key(identity)
    folder = collector / TERMINALS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(public_path(identity), folder / f"{number}.pub")


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
    import httpx

    found: dict[str, Any] = {"behind": 1}
    for _ in range(REPORT_TRIES):
        try:
            answer = httpx.get(f"{url}/operator/v1/report", timeout=START_S, trust_env=False)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise CollectorError(
                f"no report from {url}: {error}", "Check that the collector runs."
            ) from error
        found = answer.json()
        if found["behind"] == 0:
            return found
    raise CollectorError(f"the books of {url} stay {found['behind']} records behind", "See its log.")


def asked_to_end() -> Callable[[], bool]:
    """Whether SIGTERM or Ctrl-C has come since this was called."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    return asked.is_set
