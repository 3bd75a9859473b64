"""From a terminal's state folder to a sync client: its identity, the collector's public key, address."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from terminal.app.config.settings import CollectorTable
from terminal.app.station import IDENTITY_FILE
from terminal.clock import Clock, unix_ms
from terminal.codes import StartFault, SyncFault
from terminal.decoding import SMALL_BYTES, decode_json, read_within
from terminal.errors import (
    CollectorError,
    JournalDamaged,
    JournalError,
    JournalSealed,
    KeyFileError,
    OtherSoftware,
)
from terminal.files import replace_file
from terminal.journal.journal import Journal
from terminal.sync.address import TlsFiles, parse_address
from terminal.sync.background import BackgroundSync, Backoff
from terminal.sync.client import SealedParts, SyncClient, SyncReport
from terminal.sync.credentials import TerminalKeys, load_keys, load_or_make_keys
from terminal.sync.exchange import CollectorLink, LateLink
from terminal.sync.identity import read_public_key
from terminal.sync.renewal import CollectorAsk, IdentityState, OwnIdentity, Renewal, validity
from terminal.sync.wire import MAX_BATCH_RECORDS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

REPORT_LIMIT_S: Final = 15.0
"""An error waits no longer than that for a slow collector."""
START_FAULTS: Final[Mapping[type[JournalError], StartFault]] = MappingProxyType(
    {
        JournalDamaged: StartFault.JOURNAL_DAMAGED,
        JournalSealed: StartFault.JOURNAL_SEALED,
        OtherSoftware: StartFault.JOURNAL_OF_OTHER_SOFTWARE,
    }
)
NOT_KNOWN: Final = frozenset({SyncFault.REFUSED, SyncFault.OWN_CERTIFICATE, SyncFault.CUT})
"""How a collector shows that it does not know a terminal's present keys; TLS may break off instead of saying so."""
COLLECTOR_KEY_FILE: Final = "collector.pub"
PACE_FILE: Final = "pace.json"


class BatchPace(msgspec.Struct, frozen=True):
    """What a line let pass: the content of `PACE_FILE`."""

    rows: int


def uplink_of(state: Path, collector: CollectorTable) -> Uplink:
    """Where the terminal in `state` sends to by its configuration, or by default."""
    return Uplink(state, collector.url_or_default, TlsFiles(collector.tls_ca))


class Uplink(NamedTuple):
    """Where a terminal sends to: its folder, the address, and whom it trusts there."""

    state: Path
    url: str
    tls: TlsFiles = TlsFiles()

    @property
    def identity(self) -> Path:
        return self.state / IDENTITY_FILE

    def shown(self, keys: TerminalKeys) -> TlsFiles:
        """What the connection is made with: this terminal's own certificate, once it has one. A damaged one is not
        shown: the running terminal renews it first of all.
        """
        return TlsFiles(self.tls.ca, self.identity if validity(keys) else None)

    def collector_key(self) -> Ed25519PublicKey:
        """Raises `KeyFileError` when the terminal is not enrolled yet."""
        path = self.state / COLLECTOR_KEY_FILE
        if not path.exists():
            raise KeyFileError(
                f"this terminal does not know the collector's public key ({path} is missing)",
                "Enrol it: `terminal collector enrol NUMBER` at the collector prints a code for `terminal enrol` here.",
            )
        return read_public_key(path)


@contextmanager
def sync_client(
    journal: Journal,
    uplink: Uplink,
    clock: Clock,
    *,
    batch_records: int = MAX_BATCH_RECORDS,
    on_time: Callable[[int], None] = lambda _signed_ms: None,
    on_withdrawn: Callable[[tuple[str, ...]], None] = lambda _editions: None,
    sealed: SealedParts | None = None,
) -> Iterator[SyncClient]:
    """A client for the journal of the terminal of `uplink`; raises `KeyFileError` when it is not enrolled yet or TLS
    files are unusable, `CollectorError` for an address that is none. A laboratory sends shorter batches. `on_time`
    hears what time the collector signed, `on_withdrawn` which region documents it takes back. What size of batches
    passed is remembered in the folder.
    """
    keys, collector = load_or_make_keys(uplink.identity), uplink.collector_key()
    link, memory = _link(uplink, keys), uplink.state / PACE_FILE
    client = SyncClient(
        journal,
        link,
        keys,
        collector,
        clock,
        batch_records=batch_records,
        begin_with=_passed_last(memory),
        on_time=on_time,
        on_withdrawn=on_withdrawn,
        sealed=sealed,
    )
    try:
        yield client
    finally:
        link.close()
        _remember(memory, client.batch_rows, batch_records)


def _passed_last(path: Path) -> int | None:
    """How many rows a batch carried that passed last, where fewer than all did."""
    try:
        return decode_json(read_within(path, SMALL_BYTES), BatchPace).rows
    except (OSError, msgspec.DecodeError):
        return None  # the line is found out anew


def _remember(path: Path, rows: int, most: int) -> None:
    """For the next process: a line that takes little takes little still."""
    with suppress(OSError):  # only time is lost
        if rows < most:
            replace_file(path, msgspec.json.encode(BatchPace(rows)), durable=False)
        else:
            path.unlink(missing_ok=True)


def _link(uplink: Uplink, keys: TerminalKeys) -> CollectorLink:
    """An address that is none and TLS files that cannot be used are found now; the rest waits until it is needed."""

    def http() -> CollectorLink:
        from terminal.sync.link import HttpLink

        return HttpLink(uplink.url, uplink.shown(keys) if parse_address(uplink.url).secure else uplink.tls)

    needs_tls = parse_address(uplink.url).secure or uplink.tls.ca is not None
    return http() if needs_tls else LateLink(http)


@contextmanager
def background_sync(
    journal: Journal,
    uplink: Uplink | None,
    clock: Clock,
    on_report: Callable[[SyncReport], None],
    *,
    on_time: Callable[[int], None],
    on_withdrawn: Callable[[tuple[str, ...]], None],
    on_identity: Callable[[IdentityState], None],
    sealed: SealedParts | None = None,
) -> Iterator[BackgroundSync | None]:
    """Uploading beside the taps, from its `start` until the block ends; nothing without an `uplink`. `on_report`
    hears of each run: taps go on meanwhile, so without it a refused or copied journal would show only at the collector.
    `on_time` and `on_withdrawn` as `sync_client` has them; `on_identity` hears how long this terminal's certificate is
    valid.
    """
    if uplink is None:
        yield None
        return
    with sync_client(
        journal, uplink, clock, on_time=on_time, on_withdrawn=on_withdrawn, sealed=sealed
    ) as client:
        jitter = Backoff(random.Random())  # noqa: S311 spreads a fleet's retries; nothing secret
        renewal = _renewal(client, uplink, clock, on_identity)

        def reported(report: SyncReport) -> None:
            if report.problem is not None and report.problem.fault in NOT_KNOWN:
                renewal.refused()
            on_report(report)

        sync = BackgroundSync(client, clock, jitter, on_report=reported, errand=renewal.look)
        try:
            yield sync
        finally:
            sync.stop()


@contextmanager
def failed_starts_reported(
    uplink: Uplink | None, terminal: int, clock: Clock, say: Callable[[str], None]
) -> Iterator[None]:
    """Who cannot read the journal in the block says so to the collector, too; `say` says what came of that."""
    try:
        yield
    except tuple(START_FAULTS) as error:
        if uplink is not None:
            _report(uplink, failed_start_of(error), terminal, clock, say)
        raise


def failed_start_of(error: JournalError) -> StartFault:
    """What an error of the journal is to the collector."""
    return next(fault for kind, fault in START_FAULTS.items() if isinstance(error, kind))


def _report(
    uplink: Uplink, fault: StartFault, terminal: int, clock: Clock, say: Callable[[str], None]
) -> None:
    from terminal.sync.failed_start import failed_start, send
    from terminal.sync.link import HttpLink

    try:
        keys = load_keys(uplink.identity)
        link = HttpLink(uplink.url, uplink.shown(keys), REPORT_LIMIT_S)
        with closing(link):
            message = failed_start(terminal, fault, unix_ms(clock.now()), keys)
            send(link, message, uplink.collector_key())
    except (CollectorError, KeyFileError) as error:
        say(f"the collector does not know that this terminal does not start: {error}")
    else:
        say("the collector knows that this terminal does not start")


def _renewal(
    client: SyncClient, uplink: Uplink, clock: Clock, on_state: Callable[[IdentityState], None]
) -> Renewal:
    secure = parse_address(uplink.url).secure

    def take_into_use(keys: TerminalKeys) -> None:
        client.use_identity(keys, uplink.shown(keys) if secure else None)

    ask = CollectorAsk(uplink.url, uplink.tls.ca, client.journal.terminal, uplink.collector_key())
    return Renewal(OwnIdentity(uplink.identity), ask, clock, on_new=take_into_use, on_state=on_state)
