"""A town in a storm: several terminals, their residents and a collector, in one process and on one virtual clock.

A crash is an exception nothing in the terminal catches, after which its journal is abandoned without a goodbye and
opened anew; `terminal.lab.stress.process` kills real processes. Journals lie on whatever disk the folder is on: for
volume a memory file system, because a million real flushes measure the disk and not the terminal.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardproto.connection import CardConnection
from cardproto.desfire.crypto import AesKey
from cardproto.errors import ReaderGone
from cardproto.resident.records.event import Event, parse_event
from cardproto.resident.records.rights import parse_rights
from sim.air import VirtualClock
from sim.card.virtual import VirtualCard
from sim.faults import NO_FAULTS, FaultPlan, corrupt, silence, tear_after, tear_before
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
from terminal.decision.outcome import Outcome
from terminal.errors import CollectorError, JournalError
from terminal.journal.key_file import load_or_create_key
from terminal.journal.records import AnyRecord, Started
from terminal.keys.file import FileKeys, load_file_keys
from terminal.lab.stress.disk import Disk, stormy_disks
from terminal.lab.stress.parts import Died, StormConnection, StormJournal, StormLink, TerminalClock
from terminal.lab.stress.plan import CRASHES, DISKS, Kind, Step
from terminal.lab.town import file_on, purse_minor
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.shift import open_shift
from terminal.sync.client import SyncClient
from terminal.tap import PURPOSE, Terminal, take_tap
from terminal.tap_report import End, TapReport

DAY: Final = date(2026, 9, 15)
OPENS, CLOSES = time(7, 35), time(14, 20)
FIRST_NUMBER: Final = 71_000
RICH_MINOR: Final = 1_500_000
RIDERS: Final = (
    "adult_purse", "adult_purse", "month_pass", "social_pack_45", "student_half_price", "adult_purse",
    "free_pensioner", "empty_purse",
)  # fmt: skip
PUPILS: Final = ("pupil_grade3", "pupil_two_meals", "pupil_large_family")
LOOK_EVERY: Final = 4
"""Presentations of one card between two looks at its events; it keeps more than that."""
SOON_S: Final = 50.0
"""Below the region's window in which trying again is no new ride."""
BATCH_RECORDS: Final = 50
BOOKED_AT_ONCE: Final = 40
"""Fewer than a batch, so that the books always lag behind a little."""
DRAIN_TRIES: Final = 30


@dataclass(slots=True)
class Wish:
    """One passenger's ride until the terminal says "go": what it wrote on the card meanwhile."""

    place: int
    clocks: tuple[int, ...]
    began_s: float
    events: int = 0


@dataclass(slots=True)
class Rider:
    """A card, and what its memory has shown so far."""

    card: VirtualCard
    start_minor: int
    events: dict[tuple[int, int], int] = field(default_factory=dict)
    """Amount of each event the card has ever held, by terminal and sequence."""
    unseen: int = 0
    wish: Wish | None = None

    def look(self) -> int:
        """Take in the events in the card's memory; how many are new."""
        self.unseen = 0
        before = len(self.events)
        records = file_on(self.card, "02")["records"]
        assert isinstance(records, list)
        for record in records:
            event: Event = parse_event(bytes.fromhex(str(record)))
            if event.terminal:
                self.events.setdefault((event.terminal, event.sequence), event.amount_minor)
        return len(self.events) - before


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

    def _book_a_little(self, step: Step | None) -> None:
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

    def _collector_after(self) -> None:
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

    # Steps

    def play(self, step: Step) -> None:
        """One step of the plan."""
        self.clock.advance(step.gap_s)
        post = self.posts[step.terminal]
        match step.what:
            case "tap":
                self._night()
                self._tap(post, self.riders[step.card], step)
            case "sync":
                self.sync(post, step)
            case _:
                self._between(post, step)

    def _night(self) -> None:
        local = self.clock.now().astimezone(self.policy.zone)
        if OPENS <= local.time() <= CLOSES:
            return
        day = local.date() + timedelta(days=local.time() > CLOSES)
        opening = datetime.combine(day, OPENS, self.policy.zone)
        self.clock.advance((opening - self.clock.now()).total_seconds())

    def _between(self, post: Post, step: Step) -> None:
        match step.fault:
            case Kind.RESTART:
                self.restart(post, well=True)
            case Kind.CLOCK_FORWARD | Kind.CLOCK_BACK:
                ahead = step.value if step.fault == Kind.CLOCK_FORWARD else -step.value
                post.clock.jump(-post.clock.ahead_s or ahead)
            case _:
                return
        self.count.faults[step.fault] += 1

    def sync(self, post: Post, step: Step | None = None) -> bool:
        """Upload a journal; let go of what is acknowledged. Whether everything is at the collector now."""
        fault = step.fault if step else ""
        if fault == Kind.COLLECTOR_KILLED and self.collector_disk is not None and step is not None:
            self.collector_disk.arm("power_cut", step.at)
        elif fault and fault != Kind.BOOKS_KILLED:
            post.link.fault = fault
        report = post.client.sync_once()
        if fault and not post.link.fault and fault not in (Kind.COLLECTOR_KILLED, Kind.BOOKS_KILLED):
            self.count.faults[fault] += 1
        post.link.fault = ""
        self._collector_after()
        self._book_a_little(step)
        if report.problem is None:
            post.journal.purge(0, unix_ms(post.clock.now()))
            post.journal.checkpoint()
        return report.problem is None

    def _tap(self, post: Post, rider: Rider, step: Step) -> None:
        self.count.taps += 1
        wish = self._wish(post, rider)
        heard: list[Outcome] = []
        report, died = self._present(post, rider, step, heard)
        granted = any(outcome.accepted for outcome in heard)
        self.count.granted += granted
        if report is not None and report.end in (End.COMMITTED, End.RECOVERED):
            assert report.sequence is not None
            self.count.told.add((post.number, report.sequence))
        rider.unseen += 1
        if step.fault or wish.events or died or rider.unseen >= LOOK_EVERY or not granted:
            self._look(rider, wish, step, charged_before=granted and not step.fault)
        if granted:
            rider.wish = None

    def _look(self, rider: Rider, wish: Wish, step: Step, *, charged_before: bool) -> None:
        unseen_before = rider.unseen > 1
        new = rider.look()
        wish.events += min(new, 1) if unseen_before or charged_before else new
        if wish.events > 1:
            self.count.charged_twice.append(f"card {step.card} charged twice before it was let in")
            wish.events = 1

    def _wish(self, post: Post, rider: Rider) -> Wish:
        """What this passenger wants: the same ride as before when they come back to the same place soon."""
        clocks = tuple(p.clock.jumps for p in self.posts if p.place == post.place)
        level = len({p.clock.ahead_s for p in self.posts if p.place == post.place}) == 1
        now_s, old = self.clock.monotonic(), rider.wish
        if old and level and (old.place, old.clocks) == (post.place, clocks) and now_s - old.began_s < SOON_S:
            return old
        if rider.unseen:
            rider.look()
        rider.wish = Wish(post.place, clocks, now_s)
        return rider.wish

    def _present(
        self, post: Post, rider: Rider, step: Step, heard: list[Outcome]
    ) -> tuple[TapReport | None, bool]:
        """Lay the card on the reader and take it away again; the report, and whether the terminal went down."""
        reader, fault = post.reader, step.fault
        post.terminal.signal = self._signal(heard, dies=fault == Kind.CRASH_SIGNAL)
        post.journal.dies = fault if fault in CRASHES else ""
        if fault in DISKS and post.disk is not None:
            post.disk.arm(fault, step.at)
        reader.present(rider.card, _air_fault(step))
        connection = reader.wait_for_card(0)
        assert connection is not None, "a card has just been presented"
        heard_by = self.listen(post.number, connection)
        after = bool(step.value & 1)
        try:
            report = take_tap(StormConnection(heard_by, reader, fault, step.at, after=after), post.terminal)
            down = False
        except (Died, JournalError) as end:
            report, down = None, True
            if isinstance(end, Died):
                self.count.faults[fault] += 1
        self._tidy(post, step)
        post.journal.dies = ""
        cut = post.disk is not None and post.disk.failing
        if cut:
            self.count.faults[str(cut)] += 1
        if down or cut:
            self._back_up(post)
        elif post.disk is not None:
            post.disk.repair()
        return report, down or bool(cut)

    def _back_up(self, post: Post) -> None:
        """After a crash: the power comes back, the disk gets room, the program starts."""
        disk = post.disk
        power_cut = disk is not None and disk.failing == Kind.POWER_CUT
        if disk is not None and not power_cut:
            disk.repair()
        self.restart(post, power_cut=power_cut)

    def _tidy(self, post: Post, step: Step) -> None:
        """Take the card away, plug the reader in, and count what struck."""
        reader = post.reader
        assert reader.last is not None
        struck = reader.last.exchanges >= step.at
        reader.release()
        reader.remove()
        if step.fault == Kind.UNPLUGGED:
            try:
                reader.wait_for_card(0)
            except ReaderGone:
                self.count.faults[Kind.UNPLUGGED] += 1
            reader.plug_in()
        elif step.fault == Kind.MOVED or (struck and _air_fault(step) is not NO_FAULTS):
            self.count.faults[step.fault] += 1

    @staticmethod
    def _signal(heard: list[Outcome], *, dies: bool) -> Callable[[Outcome], None]:
        def signal(outcome: Outcome) -> None:
            heard.append(outcome)
            if dies:
                raise Died

        return signal

    # The end

    def settle_down(self) -> None:
        """The storm is over: everything arrives, and each card with an open tap comes back once more."""
        for post in self.posts:
            post.link.deliver_late()
            if post.clock.ahead_s:
                post.clock.jump(-post.clock.ahead_s)
        self.drain()
        by_ref = {
            self.keys.pseudonym(PURPOSE[profile], _pseudonym(rider.card)): rider
            for rider in self.riders
            for profile in PURPOSE
        }
        for index, post in enumerate(self.posts):
            for _, intent in post.journal.open_intents():
                self.clock.advance(7200)
                rider = by_ref[intent.card_ref]
                self.play(Step("tap", index, 0.0, self.riders.index(rider)))
        self.drain()
        for rider in self.riders:
            rider.look()

    def drain(self) -> None:
        for post in self.posts:
            for _ in range(DRAIN_TRIES):
                if self.sync(post):
                    break

    def close(self) -> None:
        for post in self.posts:
            post.journal.close()
        self.close_collector()


def _pseudonym(card: VirtualCard) -> bytes:
    return parse_rights(bytes.fromhex(str(file_on(card, "01")["content"]))).pseudonym


def _air_fault(step: Step) -> FaultPlan:
    match step.fault:
        case Kind.TEAR_BEFORE:
            return tear_before(step.at)
        case Kind.TEAR_AFTER:
            return tear_after(step.at)
        case Kind.CORRUPT_BIT:
            return corrupt(step.at, step.value)
        case Kind.SILENCE:
            return silence(step.at, lasts_s=1.5, executed=bool(step.value & 1))
        case _:
            return NO_FAULTS


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
            secrets[town.keys.pseudonym(purpose, _pseudonym(card))] = secret
    town.registry = CardRegistry(secrets)


def play(town: StormTown, steps: Sequence[Step], on_step: Callable[[Storm], None]) -> None:
    """Play a whole plan and let the storm settle down."""
    for step in steps:
        town.play(step)
        on_step(town.count)
    town.settle_down()
