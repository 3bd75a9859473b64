"""The collector as a process: HTTP around the intake, one folder that holds everything.

FOLDER/collector.db        records, receipts, terminals, alarms
FOLDER/books.db            what they add up to; made again when deleted
FOLDER/recomputed.db       what was found when decisions were made again; made again when deleted
FOLDER/documents/          what decisions are made from, each file under its SHA-256
FOLDER/collector.key       made at the first start; never leaves the machine
FOLDER/collector.pub       copy it to every terminal (enrolment with a code does that)
FOLDER/office/             users, who is signed in, wrong passwords (`terminal.collector.users`)
FOLDER/staged/             signed bundles that wait for two people to have them served
FOLDER/ca.key, ca.crt      the authority that certifies terminals, made at the first start
FOLDER/terminals/7.json    the keys of terminal 7: enrolled with a code, or by hand

Terminals use /v1 (`terminal.collector.terminal_routes`), operators /operator
(`terminal.collector.operator_routes`) and Prometheus /metrics. What each route takes and gives is described by
/openapi.json.

A thread keeps the books up with what arrives and looks once a minute for what did not; systemd is notified when the
service is ready, alive while its loop runs, and stopping."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from terminal.clock import Clock, SystemClock, unix_ms
from terminal.collector import openapi
from terminal.collector.books import BOOKS_FILE, Books, BooksSettings
from terminal.collector.books_keeper import BooksBeside, BooksKeeper, keep_books
from terminal.collector.books_reader import FollowingBooks
from terminal.collector.bundles import DEFAULT_FOLDER, BundleFiles
from terminal.collector.callers import ConnectionShares, Proxies
from terminal.collector.certify import CERTIFICATE_FILE, Authority
from terminal.collector.denying import CardDenials
from terminal.collector.enrolment import Enrolment, RecordFiles
from terminal.collector.entrance import Entrance
from terminal.collector.erasing import ErasureFiles
from terminal.collector.front import FrontServer, answering, base_url, ended_by_signals, front_config, listen
from terminal.collector.gate import gate_of
from terminal.collector.identity_routes import JSON, IdentitySide
from terminal.collector.intake import Intake, NowAndThen
from terminal.collector.issuers import KnownIssuers
from terminal.collector.limits import DiskRoom, Limits, TokenBuckets
from terminal.collector.office import DATABASE_FILE, TERMINALS_FOLDER, Office
from terminal.collector.operator_routes import OperatorSide
from terminal.collector.recompute.run import FollowerProcess
from terminal.collector.registry import CardRegistry, open_registry, registry_keys
from terminal.collector.store import CollectorStore
from terminal.collector.strangers import Strangers
from terminal.collector.terminal_routes import TerminalSide
from terminal.collector.tls import ServerTls
from terminal.collector.users import OFFICE_FOLDER, USERS_FILE
from terminal.collector.views import OperatorViews
from terminal.collector.watch import WatchLimits, watch
from terminal.errors import CollectorError
from terminal.journal.lock import FileLock
from terminal.keys.file import require_private
from terminal.operations import notify
from terminal.operations.notify import PINGS_PER_DEADLINE, ServiceManager
from terminal.sync.identity import load_or_create_key

KEY_FILE: Final = "collector.key"
PUBLIC_KEY_FILE: Final = "collector.pub"
DEFAULT_PORT: Final = 8470
log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FollowerOptions:
    """Of the follower that recomputes, a child of this process. `keys` has the list key of grants."""

    keys: Path | None = None


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """`folder` as above. `registry` (optional) lets the books check the cards' own proofs. Port 0: any free one.
    Over `tls` a terminal's batches are taken only with the certificate of that terminal. `proxies` are the addresses
    or networks of proxies: their X-Forwarded-For is believed, no other's. Without `recompute` decisions are not made
    again.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    registry: Path | None = None
    books: BooksSettings = field(default_factory=BooksSettings)
    limits: Limits = field(default_factory=Limits)
    watch: WatchLimits = field(default_factory=WatchLimits)
    tls: ServerTls | None = None
    recompute: FollowerOptions | None = None
    shares: ConnectionShares = field(default_factory=ConnectionShares)
    proxies: tuple[str, ...] = ()
    proxy_tls: bool = False
    """Whether browsers reach the proxies over TLS only, whatever these say of it: cookies are for TLS alone then."""
    registry_keys: Path | None = None
    """What opens a sealed `registry`; None: what systemd handed over."""
    issuers: Path | None = None
    """The issuers whose phones' proofs the books check; None: those of the bundles that are served."""
    bundles: Path | None = None
    """A repository of signed bundles that is served."""
    denials: CardDenials | None = None
    """The deny register, where the office's page may have cards refused."""

    @property
    def terminals(self) -> Path:
        return self.folder / TERMINALS_FOLDER

    @property
    def public_key(self) -> Path:
        return self.folder / PUBLIC_KEY_FILE

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """What no other user of the machine may read. The database and the books are made so."""
        own = (self.folder / KEY_FILE, self.folder / OFFICE_FOLDER / USERS_FILE)
        return own if self.tls is None else (*own, self.tls.key)

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach it: not through a proxy that runs here either."""
        if self.proxies:
            return False
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def run(
    settings: CollectorSettings,
    on_ready: Callable[[str], None],
    clock: Clock | None = None,
    make: Callable[[CollectorSettings, Clock, BooksKeeper], Collector] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready(base_url)` is called once requests are answered. `make`: another kind of
    collector over the same folder.

    Raises `PortInUse`, `CollectorError` (folder, database, certificates, second process) or `KeyFileError`.
    """
    clock = clock or SystemClock()
    with (
        closing(_books_keeper(settings)) as keeper,
        closing(listen(settings.host, settings.port)) as listening,
        closing((make or Collector)(settings, clock, keeper)) as collector,
        ended_by_signals(),
    ):
        app = collector.app(lambda: on_ready(base_url(listening, settings.tls)))
        tls = settings.tls.asking(settings.folder / CERTIFICATE_FILE) if settings.tls else None
        config = front_config(app, Proxies(settings.proxies), tls)
        server = FrontServer(config, listening, collector.gate.callers, collector.enrolment.counts)
        follower = _follower(settings)
        try:
            if follower is not None:
                follower.start()
            server.run()
        finally:
            if follower is not None:
                follower.stop()


def _books_keeper(settings: CollectorSettings) -> BooksKeeper:
    """What keeps the books, in a process of its own; before anything is open here."""
    books, database, registry = (
        settings.folder / BOOKS_FILE,
        settings.folder / DATABASE_FILE,
        _registry(settings),
    )
    return BooksKeeper(lambda pipe: keep_books(books, database, registry, settings.books, pipe), log.warning)


def _registry(settings: CollectorSettings) -> CardRegistry:
    issuers = KnownIssuers(settings.issuers, settings.bundles or settings.folder / DEFAULT_FOLDER)
    return open_registry(settings.registry, settings.registry_keys, issuers)


def _follower(settings: CollectorSettings) -> FollowerProcess | None:
    """What decides again, in a process of its own: the intake never waits for it."""
    options, books = settings.recompute, settings.books
    if options is None:
        return None
    days = ("--zone", books.zone, "--day-ends-at", str(books.day_ends_at))
    keys = () if options.keys is None else ("--keys", str(options.keys))
    return FollowerProcess(("--folder", str(settings.folder), *days, *keys, "--child"), log.warning)


class Collector:
    """Everything in the collector's folder, opened, with a lock against a second process."""

    def __init__(
        self,
        settings: CollectorSettings,
        clock: Clock,
        keeper: BooksKeeper | None = None,
        files: RecordFiles | None = None,
    ) -> None:
        """Without a `keeper` the books are kept in this process; `files`: where the records of terminals are kept, if
        not in the folder alone. Raises `CollectorError` or `KeyFileError`."""
        database = settings.folder / DATABASE_FILE
        try:
            settings.terminals.mkdir(parents=True, exist_ok=True)
            lock = FileLock.acquire(database)
        except OSError as error:
            raise CollectorError(
                f"collector folder {settings.folder} cannot be used: {error.strerror}",
                "Check its path and rights.",
            ) from error
        if isinstance(lock, int):
            raise CollectorError(
                f"another collector process ({lock}) uses {settings.folder}",
                "Stop it, or choose another folder.",
            )
        self._lock = lock
        require_private(*settings.secret_files)
        self._settings = settings
        self._clock = clock
        self.key = load_or_create_key(settings.folder / KEY_FILE)
        authority = Authority(settings.folder, unix_ms(clock.now()))
        self.enrolment = Enrolment(settings.terminals, authority, files)
        self.store = CollectorStore(database)
        self.books = self._books(settings, keeper)
        self.strangers = Strangers()
        self.follower = Follower(self.books, self.store, self.strangers, settings.watch, clock)
        limits = settings.limits
        buckets = TokenBuckets(limits.terminal_per_s, limits.terminal_burst, clock.monotonic)
        withdrawn = NowAndThen(self.store.withdrawn, clock.monotonic)
        self.intake = Intake(self.store, self.enrolment, self.key, clock, buckets, self.strangers, withdrawn)
        self.room = DiskRoom(settings.folder, limits.free_bytes, clock.monotonic)
        self.gate = gate_of(limits, settings.shares, Proxies(settings.proxies), clock.monotonic)
        bundles, now_ms = settings.bundles, self._now_ms
        self.office = Office(settings.folder, self.store, self.enrolment, bundles, now_ms)
        self.entrance = Entrance(self.office, self.gate, now_ms, readers_need_it=not settings.on_loopback)

    def _books(self, settings: CollectorSettings, keeper: BooksKeeper | None) -> FollowingBooks:
        path = settings.folder / BOOKS_FILE
        if keeper is None:
            return Books(path, self.store, _registry(settings), settings.books)
        return BooksBeside(path, self.store, settings.books, keeper)

    def _now_ms(self) -> int:
        return unix_ms(self._clock.now())

    def app(self, on_ready: Callable[[], None]) -> Starlette:
        """The ASGI application. Work on the databases runs in threads, so that a slow disk does not stop the others."""
        settings, clock = self._settings, self._clock
        views = OperatorViews(
            self.store, self.books, self.enrolment, settings.watch.silent_ms, self.follower.keep_strangers
        )
        keys = None if settings.registry is None else registry_keys(settings.registry_keys)
        files = ErasureFiles(settings.folder, settings.registry, keys, settings.denials)
        operator = OperatorSide(
            views, self.books, clock, self.office, self.entrance, self.gate, files, settings.proxy_tls
        )

        async def document(_: Request) -> Response:
            return Response(openapi.as_json(), media_type=JSON)

        def begun() -> AbstractAsyncContextManager[None]:
            self.begin()
            on_ready()
            return watched(notify.connect(), "collector: answering requests")

        routes = [
            *self.terminal_routes(),
            Route(openapi.PATH, document, methods=["GET"]),
            operator.metrics_route(),
            operator.mount(),
        ]
        return Starlette(routes=routes, lifespan=answering(begun), middleware=[Middleware(self.gate.paced)])

    def begin(self) -> None:
        """Work beside the requests, from the time they are answered."""
        self.follower.start()

    def terminal_routes(self) -> list[BaseRoute]:
        """What terminals use."""
        settings, clock = self._settings, self._clock
        bundles = settings.bundles or settings.folder / DEFAULT_FOLDER
        terminals = TerminalSide(
            identity=IdentitySide(
                self.enrolment, self.strangers, self.gate, clock, self.key, note=self.store.note
            ),
            intake=self.intake,
            store=self.store,
            room=self.room,
            behind=self.books.behind,
            arrived=self.follower.wake,
            certificates=settings.tls is not None,
        )
        return [*terminals.routes(), *BundleFiles(bundles, self.gate).routes()]

    def close(self) -> None:
        self.follower.stop()
        with suppress(CollectorError):  # the counts of strangers are not worth an end that fails
            self.follower.keep_strangers()
        self.books.close()
        self.store.close()
        self._lock.release()


GATHER_S: Final = 0.2
IDLE_S: Final = 5.0
AGAIN_S: Final = 5.0
LOOK_S: Final = 60.0


class Follower:
    """Runs until stopped. Uploads never wait for it: an acknowledgement promises the records, not the sums."""

    def __init__(
        self,
        books: FollowingBooks,
        store: CollectorStore,
        strangers: Strangers,
        limits: WatchLimits,
        clock: Clock,
    ) -> None:
        self._books = books
        self._store = store
        self._strangers = strangers
        self._kept_at: float | None = None
        self._limits = limits
        self._clock = clock
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._looked_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="books", daemon=True)
        self.failure: CollectorError | None = None
        """Why the books cannot be kept at present; None when they can."""

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Rows have arrived. Returns at once."""
        self._wake.set()

    def stop(self) -> None:
        """End after the stretch in progress; the rest is booked after the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def keep_strangers(self) -> None:
        """Write down what strangers have tried so far. Raises `CollectorError`; it is not lost then."""
        self._kept_at = self._clock.monotonic()
        counts = self._strangers.take()
        if counts:
            try:
                self._store.keep_strangers(counts)
            except CollectorError:
                self._strangers.put_back(counts)
                raise

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                while self._books.catch_up() and not self._stop.is_set():
                    pass
                self._look()
                self.failure = None
            except CollectorError as error:
                self.failure = error
                self._stop.wait(AGAIN_S)
                continue
            if self._wake.wait(IDLE_S):
                self._stop.wait(GATHER_S)

    def _look(self) -> None:
        now = self._clock.monotonic()
        if self._kept_at is None or now - self._kept_at >= IDLE_S:
            self.keep_strangers()
        if self._looked_at is None or now - self._looked_at >= LOOK_S:
            self._looked_at = now
            watch(self._store, self._books, self._limits, unix_ms(self._clock.now()))


@asynccontextmanager
async def watched(manager: ServiceManager, status: str) -> AsyncIterator[None]:
    """Notify `manager` that the service is ready, and that its loop is alive as long as the block runs."""
    manager.ready(status)
    pings = None if manager.watchdog_s is None else asyncio.create_task(_ping(manager, manager.watchdog_s))
    try:
        yield
    finally:
        if pings is not None:
            pings.cancel()
        manager.stopping()
        manager.close()


async def _ping(manager: ServiceManager, deadline_s: float) -> None:
    while True:
        manager.alive()
        await asyncio.sleep(deadline_s / PINGS_PER_DEADLINE)
