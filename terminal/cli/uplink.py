"""From a terminal's state folder to a sync client: identity key, collector's public key, address."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from terminal.clock import Clock
from terminal.errors import KeyFileError
from terminal.journal.journal import Journal
from terminal.sync.background import BackgroundSync, Backoff
from terminal.sync.client import SyncClient, SyncReport
from terminal.sync.identity import load_or_create_key, read_public_key
from terminal.sync.link import HttpLink

IDENTITY_FILE: Final = "terminal.key"
COLLECTOR_KEY_FILE: Final = "collector.pub"


@contextmanager
def sync_client(journal: Journal, state: Path, url: str, clock: Clock) -> Iterator[SyncClient]:
    """A client for the journal of the terminal in `state`; raises `KeyFileError` when it is not enrolled yet."""
    signer = load_or_create_key(state / IDENTITY_FILE)
    collector_key = state / COLLECTOR_KEY_FILE
    if not collector_key.exists():
        raise KeyFileError(
            f"this terminal does not know the collector's public key ({collector_key} is missing)",
            "Copy the collector's .pub file there, and give the collector this terminal's terminal.pub.",
        )
    link = HttpLink(url)
    try:
        yield SyncClient(journal, link, signer, read_public_key(collector_key), clock)
    finally:
        link.close()


@contextmanager
def background_sync(
    journal: Journal, state: Path, url: str | None, clock: Clock, told: SyncConsole
) -> Iterator[BackgroundSync | None]:
    """Uploading beside the taps while the block runs, `told` how it goes; nothing when there is no `url`."""
    if url is None:
        yield None
        return
    with sync_client(journal, state, url, clock) as client:
        jitter = Backoff(random.Random())  # noqa: S311 spreads a fleet's retries; nothing secret
        sync = BackgroundSync(client, clock, jitter, on_report=told)
        sync.start()
        try:
            yield sync
        finally:
            sync.stop()


class SyncConsole:
    """Tells staff on stderr what keeps records from leaving: once when it begins or changes, and when it is over.

    Taps go on meanwhile, so without this line a refused or copied journal would show only at the collector.
    """

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._problem: str | None = None

    @property
    def offline(self) -> bool:
        """Whether the last attempt to send failed."""
        return self._problem is not None

    def __call__(self, report: SyncReport) -> None:
        problem = None if report.problem is None else str(report.problem)
        if problem == self._problem:
            return
        self._problem = problem
        print(f"terminal {self._terminal}: sync: {problem or 'works again'}", file=sys.stderr, flush=True)
