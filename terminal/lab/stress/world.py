"""A town in a storm: several terminals, their residents and a collector, in one process and on one virtual clock.

A crash is an exception nothing in the terminal catches, after which its journal is abandoned without a goodbye and
opened anew; `terminal.lab.stress.process` kills real processes. Journals lie on whatever disk the folder is on: for
volume a memory file system, because a million real flushes measure the disk and not the terminal.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardproto.connection import CardConnection
from cardproto.desfire.crypto import AesKey
from cardproto.resident.records.rights import parse_rights
from sim.air import VirtualClock
from sim.card.virtual import VirtualCard
from sim.issue import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from sim.reader import SimReader
from terminal.app.simulated import laboratory_keys
from terminal.app.station import JOURNAL_FILE, SOFTWARE
from terminal.clock import unix_ms
from terminal.collector.books import BOOKS_FILE, Books
from terminal.collector.enrolment import Enrolment
from terminal.collector.intake import Intake
from terminal.collector.registry import CardRegistry, CardSecret
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError
from terminal.journal.key_file import load_or_create_key
from terminal.journal.records import AnyRecord, Started
from terminal.keys.file import FileKeys, load_file_keys
from terminal.lab.stress.faults.disk import Disk, stormy_disks
from terminal.lab.stress.faults.parts import StormJournal, StormLink, TerminalClock
from terminal.lab.stress.faults.plan import Kind, Step
from terminal.lab.stress.riders import Rider
from terminal.lab.town import DAY
from terminal.lab.world import file_on, purse_minor
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.shift import open_shift
from terminal.sync.client import SyncClient
from terminal.tap import PURPOSE, Terminal

OPENS: Final = time(7, 35)
FIRST_NUMBER: Final = 71_000
RICH_MINOR: Final = 1_500_000
RIDERS: Final = (
    "adult_purse", "adult_purse", "month_pass", "social_pack_45", "student_half_price", "adult_purse",
    "free_pensioner", "empty_purse",
)  # fmt: skip
PUPILS: Final = ("pupil_grade3", "pupil_two_meals", "pupil_large_family")
BATCH_RECORDS: Final = 50
BOOKED_AT_ONCE: Final = 40
"""Fewer than a batch, so that the books always lag behind a little."""


@dataclass(slots=True)
class Post:
    """One terminal with what is around it. `place` is shared by the two doors of one bus."""

    number: int
    place: int
    folder: Path
    terminal: Terminal
    journal: StormJournal
    clock: TerminalClock
    reader: SimReader
    link: StormLink
    signer: Ed25519PrivateKey
    client: SyncClient
    disk: Disk | None


@dataclass(slots=True)
class Storm:
    """What has been counted so far."""

    taps: int = 0
    granted: int = 0
    restarts: int = 0
    charged_twice: list[str] = field(default_factory=list)
    told: set[tuple[int, int]] = field(default_factory=set)
    """Taps that were answered "go" with something written, by terminal and sequence."""
    faults: Counter[str] = field(default_factory=Counter)


class StormTown:
    """Built by `open_storm_town`."""

    def __init__(self, folder: Path, clock: VirtualClock, policy: Policy, keys: FileKeys) -> None:
        self.folder, self.clock, self.policy, self.keys = folder, clock, policy, keys
        self.posts: list[Post] = []
        self.riders: list[Rider] = []
        self.registry = CardRegistry()
        self.count = Storm()
        self.collector_key = Ed25519PrivateKey.generate()
        self.collector_folder = folder / "collector"
        self.collector_disk: Disk | None = None
        self.listen: Callable[[int, CardConnection], CardConnection] = lambda _terminal, connection: (
            connection
        )
        """Put between a terminal, by number, and each card presented to it."""
        self.store: CollectorStore
        self.books: Books | None = None
        self.intake: Intake

    # The collector

    def open_collector(self) -> None:
        self.collector_folder.mkdir(exist_ok=True)
        self.store = CollectorStore(self.collector_folder / "collector.db")
        enrolment = Enrolment(self.collector_folder / "terminals")
        self.intake = Intake(self.store, enrolment, self.collector_key, self.clock)

    def close_collector(self) -> None:
        if self.books is not None:
            self.books.close()
            self.books = None
        self.store.close()

    def book(self, rows: int = BOOKED_AT_ONCE) -> int:
        """Let the collector's books follow the records by at most `rows`; how many they were."""
        if self.books is None:
            self.books = Books(self.collector_folder / BOOKS_FILE, self.store, self.registry)
        return self.books.catch_up(rows)

    def book_a_little(self, step: Step | None) -> None:
        if step is not None and step.fault == Kind.BOOKS_KILLED and self.collector_disk is not None:
            # Either the power goes, or only the process: then what it wrote last is still there.
            self.collector_disk.arm("power_cut" if step.at % 2 else "disk_full", step.at)
        try:
            self.book()
        except CollectorError:
            assert self.collector_disk is not None
            assert self.collector_disk.failing, "the books fail only when the power does"
            self.count.faults[Kind.BOOKS_KILLED] += 1
            self._collector_back_up(self.collector_disk)
        if self.collector_disk is not None:
            self.collector_disk.repair()

    def collector_after(self) -> None:
        """If the power went while it wrote, the collector comes back with what its disk really holds."""
        disk = self.collector_disk
        if disk is None:
            return
        if disk.failing:
            self.count.faults[Kind.COLLECTOR_KILLED] += 1
            self._collector_back_up(disk)
        disk.repair()

    def _collector_back_up(self, disk: Disk) -> None:
        power_cut = disk.failing == Kind.POWER_CUT
        self.close_collector()
        disk.repair()
        if power_cut:
            disk.power_off()
        self.open_collector()

    # A terminal's life

    def restart(self, post: Post, *, power_cut: bool = False, well: bool = False) -> None:
        """End a terminal's program and start it again on what its disk holds."""
        self.count.restarts += 1
        old = post.journal
        old.dies = ""
        if well:
            old.close()
        else:
            old.abandon()
        if post.disk is not None and power_cut:
            post.disk.power_off()
        self.start(post, old.promised, old.reused)

    def start(self, post: Post, promised: dict[int, AnyRecord], reused: int = 0) -> None:
        path = post.folder / JOURNAL_FILE
        journal = StormJournal.open(path, post.number, key=load_or_create_key(path, self.keys.sealer))
        assert isinstance(journal, StormJournal)
        journal.promised, journal.reused, journal.steady = promised, reused, post.journal.steady
        journal.append(Started(at_ms=unix_ms(post.clock.now()), software=SOFTWARE))
        post.journal = post.terminal.journal = journal
        post.client = self._client(post)

    def _client(self, post: Post) -> SyncClient:
        return SyncClient(
            post.journal,
            post.link,
            post.signer,
            self.collector_key.public_key(),
            post.clock,
            batch_records=BATCH_RECORDS,
        )

    def close(self) -> None:
        for post in self.posts:
            post.journal.close()
        self.close_collector()


def pseudonym_on(card: VirtualCard) -> bytes:
    return parse_rights(bytes.fromhex(str(file_on(card, "01")["content"]))).pseudonym


def split_terminals(terminals: int) -> tuple[list[int], list[int]]:
    """Which terminal indices are bus doors and which canteen counters: about one in four is a counter."""
    canteens = terminals // 4
    return list(range(terminals - canteens)), list(range(terminals - canteens, terminals))


@contextmanager
def open_storm_town(
    folder: Path, seed: int, terminals: int, riders: int, pupils: int, *, disks: bool
) -> Iterator[StormTown]:
    """Issue cards, open terminals and collector; with `disks` every other terminal and the collector lie on a disk
    that can lose power."""
    rng = random.Random(seed)  # noqa: S311 a seeded storm blows the same way again
    document = load_region("demo")
    policy = Policy.of(document)
    clock = VirtualClock(datetime.combine(DAY, OPENS, policy.zone).astimezone(UTC))
    town = StormTown(folder, clock, policy, load_file_keys(laboratory_keys()))
    buses, canteens = split_terminals(terminals)
    stormy: dict[int, Disk] = {}
    with ExitStack() as stack:
        if disks:
            stormy = {n: Disk(folder / str(n), rng) for n in range(0, terminals, 2)}
            town.collector_disk = Disk(town.collector_folder, rng)
            stack.enter_context(stormy_disks([*stormy.values(), town.collector_disk]))
        town.open_collector()
        for index in buses + canteens:
            _open_post(town, index, index in canteens, stormy.get(index), rng)
        _issue(town, riders, pupils, rng)
        try:
            yield town
        finally:
            town.close()


def _open_post(town: StormTown, index: int, canteen: bool, disk: Disk | None, rng: random.Random) -> None:
    number, folder = FIRST_NUMBER + index, town.folder / str(index)
    folder.mkdir()
    profile = "canteen" if canteen else "bus"
    clock, signer = TerminalClock(town.clock), Ed25519PrivateKey.generate()
    Enrolment(town.collector_folder / "terminals").enrol(number, signer.public_key())
    path = folder / JOURNAL_FILE
    journal = StormJournal.open(path, number, key=load_or_create_key(path, town.keys.sealer))
    assert isinstance(journal, StormJournal)
    journal.promised = {}
    terminal = Terminal(number, profile, town.policy, town.keys, journal, clock, rng.randbytes)
    link = StormLink(lambda: town.intake, Ed25519PrivateKey.generate())
    reader = SimReader(f"reader of terminal {number}", town.clock)
    client = SyncClient(journal, link, signer, town.collector_key.public_key(), clock)
    place = index // 2
    post = Post(number, place, folder, terminal, journal, clock, reader, link, signer, client, disk)
    open_shift(journal, clock.now(), "storm", profile, 0 if canteen else 10 + place)
    town.posts.append(post)


def _issue(town: StormTown, riders: int, pupils: int, rng: random.Random) -> None:
    masters, region = load_lab_keys(), town.policy.document.header.region
    secrets: dict[bytes, CardSecret] = {}
    names = [RIDERS[n % len(RIDERS)] for n in range(riders)] + [
        PUPILS[n % len(PUPILS)] for n in range(pupils)
    ]
    for name in names:
        profile = load_profile(name)
        if profile.card.purse_minor:
            richer = msgspec.structs.replace(profile.card, purse_minor=RICH_MINOR)
            profile = msgspec.structs.replace(profile, card=richer)
        card = issue(profile, masters, region, DAY, rng.randbytes)
        assert isinstance(card, VirtualCard)
        town.riders.append(Rider(card, purse_minor(card)))
        secret = CardSecret(card.uid, AesKey(masters.for_card(card.uid, region).transaction_mac))
        for purpose in PURPOSE.values():
            secrets[town.keys.pseudonym(purpose, pseudonym_on(card))] = secret
    town.registry = CardRegistry(secrets)
