"""From a terminal's state folder to a sync client: identity key, collector's public key, address."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from terminal.app.config.settings import CollectorTable
from terminal.app.station import IDENTITY_FILE
from terminal.clock import Clock
from terminal.errors import KeyFileError
from terminal.journal.journal import Journal
from terminal.sync.address import TlsFiles, parse_address
from terminal.sync.background import BackgroundSync, Backoff
from terminal.sync.client import SyncClient, SyncReport
from terminal.sync.exchange import CollectorLink, LateLink
from terminal.sync.identity import load_or_create_key, read_public_key
from terminal.sync.wire import MAX_BATCH_RECORDS

COLLECTOR_KEY_FILE: Final = "collector.pub"


def tls_of(collector: CollectorTable) -> TlsFiles:
    """The TLS files of a configuration."""
    return TlsFiles(collector.tls_ca, collector.tls_cert, collector.tls_key)


@contextmanager
def sync_client(
    journal: Journal,
    state: Path,
    url: str,
    clock: Clock,
    tls: TlsFiles | None = None,
    *,
    batch_records: int = MAX_BATCH_RECORDS,
    on_time: Callable[[int], None] = lambda _signed_ms: None,
) -> Iterator[SyncClient]:
    """A client for the journal of the terminal in `state`; raises `KeyFileError` when it is not enrolled yet or TLS
    files are unusable, `CollectorError` for an address that is none. A laboratory sends shorter batches. `on_time`
    hears what time the collector signed.
    """
    signer = load_or_create_key(state / IDENTITY_FILE)
    collector_key = state / COLLECTOR_KEY_FILE
    if not collector_key.exists():
        raise KeyFileError(
            f"this terminal does not know the collector's public key ({collector_key} is missing)",
            "Enrol it: `terminal collector enrol NUMBER` at the collector prints a code for `terminal enrol` here.",
        )
    link = _link(url, tls)
    try:
        collector = read_public_key(collector_key)
        yield SyncClient(
            journal, link, signer, collector, clock, batch_records=batch_records, on_time=on_time
        )
    finally:
        link.close()


def _link(url: str, tls: TlsFiles | None) -> CollectorLink:
    """An address that is none and TLS files that cannot be used are found now; the rest waits until it is needed."""

    def http() -> CollectorLink:
        from terminal.sync.link import HttpLink

        return HttpLink(url, tls)

    needs_tls = parse_address(url).secure or (tls is not None and tls.given)
    return http() if needs_tls else LateLink(http)


@contextmanager
def background_sync(
    journal: Journal,
    state: Path,
    url: str | None,
    clock: Clock,
    on_report: Callable[[SyncReport], None],
    tls: TlsFiles | None = None,
    *,
    on_time: Callable[[int], None],
) -> Iterator[BackgroundSync | None]:
    """Uploading beside the taps, from its `start` until the block ends; nothing when there is no `url`. `on_report`
    hears of each run: taps go on meanwhile, so without it a refused or copied journal would show only at the collector.
    `on_time` hears what time the collector signed.
    """
    if url is None:
        yield None
        return
    with sync_client(journal, state, url, clock, tls, on_time=on_time) as client:
        jitter = Backoff(random.Random())  # noqa: S311 spreads a fleet's retries; nothing secret
        sync = BackgroundSync(client, clock, jitter, on_report=on_report)
        try:
            yield sync
        finally:
            sync.stop()
