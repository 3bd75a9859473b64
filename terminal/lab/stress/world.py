"""A town in a storm: several terminals, their residents and a collector, in one process and on one virtual clock.

A crash is an exception nothing in the terminal catches, after which its journal is dropped without close() and
opened anew; `terminal.lab.stress.process` kills real processes. Journals lie on whatever disk the folder is on: for
volume a memory file system, because a million real flushes measure the disk and not the terminal.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardproto.connection import CardConnection
from cardproto.desfire.crypto import AesKey
from sim.air import VirtualClock
from sim.card.virtual import VirtualCard
from sim.issuing import issue
from sim.profile import CardProfile
from sim.reader import SimReader
from terminal.app.active import Activations
from terminal.app.station import IDENTITY_FILE, Station
from terminal.collector.books import BOOKS_FILE, Books
from terminal.collector.enrolment import Enrolment
from terminal.collector.intake import Intake
from terminal.collector.registry import CardRegistry, CardSecret
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError
from terminal.journal.journal import Journal
from terminal.journal.records import AnyRecord
from terminal.journal.sealed import JournalKey
from terminal.keys.provider import person_token
from terminal.lab.oracle.tariff import Tariff
from terminal.lab.stress.faults.disk import Disk, stormy_disks
from terminal.lab.stress.faults.parts import StormJournal, StormLink, TerminalClock
from terminal.lab.stress.faults.plan import Kind, StressStep
from terminal.lab.stress.faults.wire import TlsCollector
from terminal.lab.stress.residents import LABORATORY, residents, routes_document, special, ways
from terminal.lab.stress.riders import StressRider
from terminal.lab.stress.school import SCHOOL, grade_of, listed_pupils, load_roster, write_roster
from terminal.lab.stress.truth import TruePost, TrueWay, Truth
from terminal.lab.town import DAY
from terminal.lab.world import NEVER_OLD, World, open_world, pseudonym_on, purse_minor
from terminal.policy.deny_list import DenyKind, build_deny_list
from terminal.policy.keyed_file import ListIssue
from terminal.policy.load import load_region, region_path
from terminal.policy.policy import Policy
from terminal.sync.client import SyncClient
from terminal.sync.credentials import load_or_make_keys
from terminal.sync.wire import MAX_BATCH_RECORDS
from terminal.tap import Terminal
from terminal.trip.shifts import open_shift

OPENS: Final = time(7, 35)
FIRST_NUMBER: Final = 71_000
LEFT: Final = timedelta(days=60)
"""A town ends before its document does."""
ASKS_NOTHING: Final = """[meals.ask]
without_order = "serve"
other_entitlement = "serve"
not_listed = "serve"
"""
SELLS_ALL: Final = """[cash]
cancel_within_s = 300
child_percent = 45
luggage_minor = 1900
"""
BATCH_RECORDS: Final = 50
BOOKED_AT_ONCE: Final = 40
"""Fewer than a batch, so that the books always lag behind a little."""


@dataclass(slots=True)
class Post:
    """One terminal with what is around it. `place` is shared by the two doors of one bus."""

    number: int
    place: int
    station: Station
    clock: TerminalClock
    reader: SimReader
    link: StormLink
    disk: Disk | None
    terminal: Terminal = field(init=False)
    journal: StormJournal = field(init=False)
    client: SyncClient = field(init=False)
    activations: Activations = field(init=False)
    program: ExitStack = field(default_factory=ExitStack)
    """Everything the terminal's program has open."""

    def confirm_clock(self) -> None:
        """The crew's service card, so that a bus whose clock is in doubt sells on (O-05)."""
        self.terminal.clock_watch.look()
        self.terminal.clock_watch.confirm("storm")


@dataclass(frozen=True, slots=True)
class Twin:
    """A copy of a terminal's whole folder, key and all, as it was after row `through`."""

    number: int
    folder: Path
    through: int


@dataclass(slots=True)
class Storm:
    """What has been counted so far."""

    taps: int = 0
    granted: int = 0
    restarts: int = 0
    charged_twice: list[str] = field(default_factory=list)
    copied: list[tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=list)
    """The newest tap on each of two cards that were one."""
    forged: set[tuple[int, int]] = field(default_factory=set)
    """Taps of which a stolen terminal has written something false."""
    replaced: set[int] = field(default_factory=set)
    """Terminals that were restored onto new hardware."""
    refused_starts: int = 0
    """Starts that a damaged journal refused, as it has to."""
    let_in: set[tuple[int, int]] = field(default_factory=set)
    """Taps that were answered "go" with something written, by terminal and sequence."""
    faults: Counter[str] = field(default_factory=Counter)


class StormTown:
    """Built by `open_storm_town`."""

    def __init__(self, world: World, clock: VirtualClock) -> None:
        self.world, self.clock = world, clock
        self.policy, self.keys = world.policy, world.keys
        self.posts: list[Post] = []
        self.pupil_refs: dict[bytes, int] = {}
        self._deny_version = 1
        self._wire: TlsCollector | None = None
        self.twins: list[Twin] = []
        self.day = first_day(world.policy)
        self.ways: list[TrueWay] = []
        self.routes_file = world.folder / "routes.toml"
        self.riders: list[StressRider] = []
        self.registry = CardRegistry()
        self.count = Storm()
        self.truth = Truth(Tariff(region_path(world.region)), SCHOOL)
        self.collector_key = Ed25519PrivateKey.generate()
        self.collector_folder = world.folder / "collector"
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

    def book_a_little(self, step: StressStep | None) -> None:
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
        else:
            # Otherwise a power cut hours later would take back, and so heal, what the killed process left half done.
            disk.write_back()
        self.open_collector()

    # Ways, lists and clocks

    def lay_ways(self, found: list[TrueWay]) -> None:
        """Publish the routes document of the town."""
        self.ways = found
        text = routes_document(self.truth.tariff, found, self.clock.now())
        self.routes_file.write_text(text, encoding="utf-8")

    def publish_denied(self, denied: Mapping[int, str]) -> None:
        """The next deny list, with these riders on it, each as a card or as a person."""
        self._deny_version += 1
        rows: list[tuple[DenyKind, bytes]] = []
        for rider, kind in denied.items():
            card = self.riders[rider].card
            pseudonym = pseudonym_on(card)
            assert pseudonym is not None, "riders hold resident cards"
            rows.append((DenyKind(kind), card.uid if kind == DenyKind.CARD else pseudonym))
        issue = ListIssue(self._deny_version, self.policy.document.header.region, NEVER_OLD)
        build_deny_list(self.world.deny_list, self.keys.list_key("deny"), issue, rows)
        self.truth.published = denied

    def look_at_clock(self, terminal: int) -> None:
        """As the terminal's loop does between two taps."""
        post = self.posts[terminal]
        post.terminal.clock_watch.look()
        self.truth.posts[terminal].clock.look(post.clock.ahead_s, self.clock.monotonic())

    # A terminal's life

    def restart(self, post: Post, *, power_cut: bool = False, well: bool = False) -> None:
        """End a terminal's program and start it again on what its disk holds."""
        self.count.restarts += 1
        old = post.journal
        self.stop(post, crashed=not well)
        if post.disk is not None and power_cut:
            post.disk.power_off()
        self.start(post, old.promised, old.reused, steady=old.steady)

    def stop(self, post: Post, *, crashed: bool) -> None:
        """End a terminal's program, in order or as a crash does."""
        post.journal.dies = ""
        if crashed:
            post.journal.abandon()
        post.program.close()

    def lose(self, post: Post) -> None:
        """The power goes after a disk answered flushes that it had not done; start again on what is left."""
        self.count.restarts += 1
        old = post.journal
        self.stop(post, crashed=True)
        assert post.disk is not None, "only a simulated disk lies"
        post.disk.power_off()
        self.start(post, old.promised, old.reused, steady=old.steady)

    def start(
        self, post: Post, promised: dict[int, AnyRecord], reused: int = 0, *, steady: bool = False
    ) -> None:
        """Start a terminal's program; `promised` and `reused` are what is known of its journal's life so far."""

        def open_journal(path: Path, terminal: int, *, key: JournalKey | None) -> Journal:
            journal = StormJournal.open(path, terminal, key=key)
            assert isinstance(journal, StormJournal)
            journal.promised, journal.reused, journal.steady = promised, reused, steady
            journal.forged = set()
            post.journal = journal
            return journal

        # As in service until the first restart, then small ones: both sizes are met.
        batch_records = BATCH_RECORDS if promised else MAX_BATCH_RECORDS
        opened = self.world.open_terminal(post.station, post.clock, journal=open_journal)
        post.terminal = post.program.enter_context(opened)
        assert post.terminal.active is not None, "a terminal that is composed has an active set"
        post.activations = Activations(post.terminal.active, post.terminal, nullcontext(), lambda _held: None)
        truth = self.truth.posts[post.number - FIRST_NUMBER]
        truth.clock.restarted(post.clock.ahead_s)
        truth.clock.look(post.clock.ahead_s, self.clock.monotonic())
        truth.offered, truth.companions = self.truth.published, 0
        truth.take_up()
        post.client = SyncClient(
            post.journal,
            post.link,
            load_or_make_keys(post.station.state / IDENTITY_FILE),
            self.collector_key.public_key(),
            post.clock,
            batch_records=batch_records,
            on_time=post.terminal.clock_watch.hear,
        )
        post.link.carried = post.journal.opened_after
        post.link.on_time = lambda: truth.clock.signed(self.clock.monotonic())
        post.confirm_clock()

    @property
    def wire(self) -> TlsCollector:
        """The collector behind HTTPS; there from the first time it is asked for."""
        if self._wire is None:
            self._wire = TlsCollector(self.world.folder, lambda: self.intake)
        return self._wire

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
        for post in self.posts:
            post.program.close()
        self.close_collector()


def split_terminals(terminals: int) -> tuple[list[int], list[int]]:
    """Which terminal indices are bus doors and which canteen counters: about one in four is a counter."""
    canteens = terminals // 4
    return list(range(terminals - canteens)), list(range(terminals - canteens, terminals))


def first_day(policy: Policy) -> date:
    """The town's first day: the laboratory's, or one before the document ends."""
    header = policy.document.header
    last = header.valid_to.astimezone(policy.zone).date() - LEFT
    return min(DAY, last)


@contextmanager
def open_storm_town(
    folder: Path,
    seed: int,
    terminals: int,
    riders: int,
    pupils: int,
    *,
    disks: bool,
    region: str = LABORATORY,
    cards: Collection[str] = (),
) -> Iterator[StormTown]:
    """Issue cards, some of the kinds named by `cards`, open terminals and collector; with `disks` every other terminal
    and the collector lie on a disk that can lose power."""
    rng = random.Random(seed)  # noqa: S311 a seeded storm blows the same way again
    document = _document(folder, region, seed)
    policy = Policy.of(load_region(document))
    day = first_day(policy)
    clock = VirtualClock(datetime.combine(day, OPENS, policy.zone).astimezone(UTC))
    town = StormTown(open_world(folder, document, policy, rng.randbytes), clock)
    buses, canteens = split_terminals(terminals)
    stormy: dict[int, Disk] = {}
    with ExitStack() as stack:
        if disks:
            stormy = {n: Disk(folder / str(n), rng) for n in range(0, terminals, 2)}
            town.collector_disk = Disk(town.collector_folder, rng)
            stack.enter_context(stormy_disks([*stormy.values(), town.collector_disk]))
        town.open_collector()
        drawn = random.Random(f"{region} {seed}")  # noqa: S311 as above
        roster = _issue(town, drawn, riders, pupils, frozenset(map(Kind, cards)))
        town.lay_ways(ways(town.truth.tariff, drawn, 1 + (terminals - 1) // 2))
        try:
            for index in buses + canteens:
                _open_post(town, index, stormy.get(index), roster if index in canteens else None)
            yield town
        finally:
            town.close()


def _document(folder: Path, region: str, seed: int) -> str:
    """The region's document; in every other town one whose tills ask their cashier nothing, so that both ways are
    played (what is asked about is not served by a tap), and whose drivers sell tickets for children and luggage.
    """
    text = region_path(region).read_text("utf-8")
    more = (ASKS_NOTHING if "[meals" in text else "") + (SELLS_ALL if "[fares" in text else "")
    if not seed % 2 or not more:
        return region
    path = folder / "region.toml"
    path.write_text(f"{text}\n{more}", "utf-8")
    return str(path)


def _open_post(town: StormTown, index: int, disk: Disk | None, roster: Path | None) -> None:
    """A bus door, or with a `roster` a canteen's counter, with an open shift."""
    number, state, place = FIRST_NUMBER + index, town.world.folder / str(index), index // 2
    station = town.world.station(number, "bus" if roster is None else "canteen", state)
    station = msgspec.structs.replace(station, routes=town.routes_file)
    clock = TerminalClock(town.clock)
    identity = load_or_make_keys(state / IDENTITY_FILE)
    Enrolment(town.collector_folder / "terminals").enrol(number, identity.signing.public_key())
    if roster is not None:
        load_roster(town.world, station, roster, clock.now())
    link = StormLink(lambda: town.intake, Ed25519PrivateKey.generate())
    link.wire = lambda: town.wire
    reader = SimReader(f"reader of terminal {number}", town.clock)
    post = Post(number, place, station, clock, reader, link, disk)
    town.posts.append(post)
    way = town.ways[place] if roster is None else TrueWay()
    town.truth.posts.append(TruePost(number, roster is not None, way))
    town.start(post, {})
    open_shift(post.journal, clock.now(), "storm", station.profile, way.route)


def _issue(town: StormTown, rng: random.Random, riders: int, pupils: int, kinds: frozenset[Kind]) -> Path:
    """Give every resident a card, and the collector their registry; the school's roster."""
    profiles = residents(town.truth.tariff, rng, riders, pupils, kinds)
    holders = [(profile, _card(town, profile)) for profile in profiles]
    town.riders += [
        StressRider(card, purse_minor(card), kinds=special(profile, kinds)) for profile, card in holders
    ]
    for profile, card in holders:
        town.truth.issued(card, profile, town.day)
    registered = town.world.registered(card for _, card in holders)
    town.registry = CardRegistry(
        {card.card_ref: CardSecret(card.uid, AesKey(card.key), card.proves) for card in registered}
    )
    eaters = [one for one in holders[riders:] if grade_of(one[0])]
    for number, pupil in listed_pupils(eaters, town.day):
        rider = next(n for n, one in enumerate(town.riders) if one.card is eaters[number][1])
        town.truth.pupils[rider] = pupil
        pseudonym = pseudonym_on(eaters[number][1])
        assert pseudonym is not None, "pupils hold resident cards"
        town.pupil_refs[person_token(town.world.keys, "school", pseudonym)] = rider
    return write_roster(town.world, eaters, town.clock.now())


def _card(town: StormTown, profile: CardProfile) -> VirtualCard:
    world = town.world
    card = issue(profile, world.masters, world.policy.document.header.region, town.day, world.random)
    assert isinstance(card, VirtualCard), "residents of a stress run hold resident cards"
    return card
