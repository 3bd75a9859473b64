"""Plays a plan in a storm's town: presents cards, uploads journals, and lets faults strike where the plan says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from typing import Final

from cardproto.errors import ReaderGone
from sim.faults import NO_FAULTS, FaultPlan, corrupt, silence, tear_after, tear_before
from terminal.clock import unix_ms
from terminal.decision.outcome import Outcome
from terminal.errors import CollectorError, JournalError
from terminal.journal.taps import End
from terminal.keys.provider import card_token
from terminal.lab.stress.crew import end_break, work
from terminal.lab.stress.faults.parts import Died, StormConnection
from terminal.lab.stress.faults.plan import BESIDE, CRASHES, DISKS, Kind, StressStep
from terminal.lab.stress.forging import forger
from terminal.lab.stress.machines import befall, start_twins
from terminal.lab.stress.riders import RideAttempt, StressRider
from terminal.lab.stress.world import OPENS, Post, Storm, StormTown
from terminal.lab.world import purse_minor
from terminal.media.port import PURPOSE
from terminal.sync.background import RETENTION_MS
from terminal.tap import take_tap
from terminal.tap_report import TapReport

CLOSES: Final = time(14, 20)
COPY_GAP_S: Final = 4000.0
"""Longer than any guard of a region, so that both taps are rides of their own."""
LOOK_EVERY: Final = 4
"""Presentations of one card between two looks at its events; it keeps more than that."""
SOON_S: Final = 50.0
"""Below the region's window in which trying again is no new ride."""
DRAIN_TRIES: Final = 30


def play(town: StormTown, steps: Sequence[StressStep], on_step: Callable[[Storm], None]) -> None:
    """Play a whole plan and let the storm settle down."""
    playing = Playing(town)
    for step in steps:
        playing.play(step)
        on_step(town.count)
    playing.settle_down()


class Playing:
    """Takes the steps of a plan in `town`, one after the other; `settle_down` ends the run."""

    def __init__(self, town: StormTown) -> None:
        self.town = town

    def play(self, step: StressStep) -> None:
        """One step of the plan."""
        self.town.clock.advance(step.gap_s)
        post = self.town.posts[step.terminal]
        match step.what:
            case "tap":
                self._night()
                self._tap(post, self.town.riders[step.card], step)
            case "sync":
                self.sync(post, step)
            case _:
                self._between(post, step)

    def _night(self) -> None:
        local = self.town.clock.now().astimezone(self.town.policy.zone)
        if OPENS <= local.time() <= CLOSES:
            return
        day = local.date() + timedelta(days=local.time() > CLOSES)
        opening = datetime.combine(day, OPENS, self.town.policy.zone)
        self.town.clock.advance((opening - self.town.clock.now()).total_seconds())

    def _between(self, post: Post, step: StressStep) -> None:
        match step.fault:
            case Kind.RESTART:
                self.town.restart(post, well=True)
            case Kind.CLOCK_FORWARD | Kind.CLOCK_BACK:
                ahead = step.value if step.fault == Kind.CLOCK_FORWARD else -step.value
                post.clock.jump(-post.clock.ahead_s or ahead)
                self._confirm_clock(step.terminal)
            case Kind.BIT_ROT | Kind.TWIN | Kind.REPLACED:
                end_break(post, self.town.truth.posts[step.terminal])
                if not befall(self.town, post, step):
                    return
            case Kind.CLONED | Kind.ROLLED_BACK:
                if not self._copy(step):
                    return
            case "":
                return
            case _:
                if not work(self.town, step):
                    return
        self.town.count.faults[step.fault] += 1

    def _copy(self, step: StressStep) -> bool:
        """A card is tapped, and again from the state it had before: by a clone elsewhere, or rolled back and here."""
        rider = self.town.riders[step.card]
        rider.look()
        if not self.town.truth.clear(step.card):
            return False
        rider.attempt = None
        copy = StressRider(
            rider.card.clone(), purse_minor(rider.card), before=frozenset(rider.events), copy=True
        )
        self.town.riders.append(copy)
        number = self.town.truth.copied(step.card)
        other = step.terminal if step.fault == Kind.ROLLED_BACK else self._neighbour(step.terminal)
        taps = [self.town.truth.newest_tap(step.card)]
        for terminal, index in ((step.terminal, number), (other, step.card)):
            self.town.clock.advance(COPY_GAP_S)
            self._tap(
                self.town.posts[terminal], self.town.riders[index], StressStep("tap", terminal, 0.0, index)
            )
            self.town.riders[index].look()
            taps.append(self.town.truth.newest_tap(index))
        if len(set(taps)) == len(taps):  # both were written
            self.town.count.copied.append((taps[1], taps[2]))
        copy.attempt = None
        return True

    def _neighbour(self, terminal: int) -> int:
        posts = self.town.posts
        other = terminal ^ 1
        alike = other < len(posts) and posts[other].station.profile == posts[terminal].station.profile
        return other if alike else terminal

    def _confirm_clock(self, terminal: int) -> None:
        self.town.look_at_clock(terminal)
        self.town.posts[terminal].confirm_clock()

    def sync(self, post: Post, step: StressStep | None = None) -> bool:
        """Upload a journal; let go of what is acknowledged. Whether everything is at the collector now."""
        fault = step.fault if step else ""
        if fault == Kind.COLLECTOR_KILLED and self.town.collector_disk is not None and step is not None:
            self.town.collector_disk.arm("power_cut", step.at)
        elif fault and fault != Kind.BOOKS_KILLED:
            post.link.fault = fault
        report = post.client.sync_once()
        if fault and not post.link.fault and fault not in (Kind.COLLECTOR_KILLED, Kind.BOOKS_KILLED):
            self.town.count.faults[fault] += 1
        post.link.fault = ""
        self.town.collector_after()
        self.town.book_a_little(step)
        post.journal.purge(
            retention_ms(post), unix_ms(post.clock.now())
        )  # as in service, whatever came of it
        if report.problem is None:
            post.journal.checkpoint()
        return report.problem is None

    def _tap(self, post: Post, rider: StressRider, step: StressStep) -> None:
        self.town.count.taps += 1
        self.town.count.faults.update(rider.kinds)
        attempt = self._attempt(post, rider)
        heard: list[Outcome] = []
        report, died = self._present(post, rider, step, heard)
        granted = any(outcome.accepted for outcome in heard)
        self.town.count.granted += granted
        if report is not None and report.end in (End.COMMITTED, End.RECOVERED):
            assert report.sequence is not None
            self.town.count.let_in.add((post.number, report.sequence))
        rider.unseen += 1
        if step.fault or attempt.events or died or rider.unseen >= LOOK_EVERY or not granted:
            self._look(rider, attempt, step, charged_before=granted and not step.fault)
        if granted:
            rider.attempt = None

    def _look(
        self, rider: StressRider, attempt: RideAttempt, step: StressStep, *, charged_before: bool
    ) -> None:
        unseen_before = rider.unseen > 1
        new = rider.look()
        attempt.events += min(new, 1) if unseen_before or charged_before else new
        if attempt.events > 1:
            self.town.count.charged_twice.append(f"card {step.card} charged twice before it was let in")
            attempt.events = 1

    def _attempt(self, post: Post, rider: StressRider) -> RideAttempt:
        """What this passenger wants: the same ride as before when they come back to the same place soon."""
        clocks = tuple(p.clock.jumps for p in self.town.posts if p.place == post.place)
        level = len({p.clock.ahead_s for p in self.town.posts if p.place == post.place}) == 1
        now_s, old = self.town.clock.monotonic(), rider.attempt
        if old and level and (old.place, old.clocks) == (post.place, clocks) and now_s - old.began_s < SOON_S:
            return old
        if rider.unseen:
            rider.look()
        rider.attempt = RideAttempt(post.place, clocks, now_s)
        return rider.attempt

    def _present(
        self, post: Post, rider: StressRider, step: StressStep, heard: list[Outcome]
    ) -> tuple[TapReport | None, bool]:
        """Lay the card on the reader and take it away again; the report, and whether the terminal went down."""
        reader, fault, true = post.reader, step.fault, self.town.truth.posts[step.terminal]
        if true.break_until_s is not None and self.town.clock.monotonic() >= true.break_until_s:
            end_break(post, true)
        self._confirm_clock(step.terminal)
        post.activations.look()
        post.terminal.signal = self._signal(heard, dies=fault == Kind.CRASH_SIGNAL)
        post.journal.dies = fault if fault in CRASHES else ""
        if fault in DISKS and post.disk is not None:
            post.disk.arm(fault, step.at)
        reader.present(rider.card, _air_fault(step))
        connection = reader.wait_for_card(0)
        assert connection is not None, "a card has just been presented"
        heard_by = self.town.listen(post.number, connection)
        after = bool(step.value & 1)
        expected = self.town.truth.expect(
            step.terminal, step.card, post.clock.now(), post.clock.ahead_s, self.town.clock.monotonic()
        )
        beside = self._sync_beside(post, step)
        post.journal.forge = forger(step.value) if fault == Kind.FALSE_ROWS else None
        if fault == Kind.LYING_DISK and post.disk is not None:
            post.disk.lying = True
        try:
            report = take_tap(StormConnection(heard_by, reader, fault, step.at, after=after), post.terminal)
            down = False
        except (Died, JournalError) as end:
            report, down = None, True
            if isinstance(end, Died):
                self.town.count.faults[fault] += 1
        beside()
        self._note_forged(post)
        self._tidy(post, step)
        post.journal.dies = ""
        if post.disk is not None and post.disk.lying:
            self.town.count.faults[Kind.LYING_DISK] += 1
            self.town.lose(post)
            down = True
        cut = post.disk is not None and post.disk.failing
        if cut:
            self.town.count.faults[str(cut)] += 1
        if fault == Kind.LYING_DISK and down:
            pass
        elif down or cut:
            self._back_up(post)
        elif post.disk is not None:
            post.disk.repair()
        disturbed = fault not in ("", *BESIDE) or down or bool(cut)
        last_heard = heard[-1] if heard else None
        self.town.truth.came(step.terminal, step.card, expected, rider.card, last_heard, disturbed=disturbed)
        return report, down or bool(cut)

    def _sync_beside(self, post: Post, step: StressStep) -> Callable[[], None]:
        """Upload and let go of rows while a card is served; what comes out waits for the end of it."""
        if step.fault != Kind.SYNC_BESIDE or self.town.truth.posts[step.terminal].clock.suspect:
            return lambda: None
        failed: list[BaseException] = []

        def work() -> None:
            try:
                if post.client.sync_once().problem is None:
                    post.journal.purge(retention_ms(post), unix_ms(post.clock.now()))
            except (CollectorError, JournalError) as error:
                failed.append(error)

        self.town.count.faults[Kind.SYNC_BESIDE] += 1
        thread = threading.Thread(target=work, name="storm sync")
        thread.start()
        if post.journal.steady:
            thread.join()

        def wait() -> None:
            thread.join()
            assert not failed, f"a sync beside a tap failed: {failed}"

        return wait

    def _note_forged(self, post: Post) -> None:
        post.journal.forge = None
        self.town.count.forged.update((post.number, sequence) for sequence in post.journal.forged)
        if post.journal.forged:
            self.town.count.faults[Kind.FALSE_ROWS] += 1
        post.journal.forged.clear()

    def _back_up(self, post: Post) -> None:
        """After a crash: the power comes back, the disk gets room, the program starts."""
        disk = post.disk
        power_cut = disk is not None and disk.failing == Kind.POWER_CUT
        if disk is not None and not power_cut:
            disk.repair()
        self.town.restart(post, power_cut=power_cut)

    def _tidy(self, post: Post, step: StressStep) -> None:
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
                self.town.count.faults[Kind.UNPLUGGED] += 1
            reader.plug_in()
        elif step.fault == Kind.MOVED or (struck and _air_fault(step) is not NO_FAULTS):
            self.town.count.faults[step.fault] += 1

    @staticmethod
    def _signal(heard: list[Outcome], *, dies: bool) -> Callable[[Outcome], None]:
        def signal(outcome: Outcome) -> None:
            heard.append(outcome)
            if dies:
                raise Died

        return signal

    def settle_down(self) -> None:
        """The storm is over: everything arrives, and each card with an open tap comes back once more."""
        for index, post in enumerate(self.town.posts):
            post.link.deliver_late()
            if post.clock.ahead_s:
                post.clock.jump(-post.clock.ahead_s)
                self._confirm_clock(index)
        self.drain()
        by_ref: dict[bytes, StressRider] = {}
        for rider in (rider for rider in self.town.riders if not rider.copy):
            uid, keys = rider.card.uid, self.town.keys
            by_ref |= {card_token(keys, purpose, uid): rider for purpose in PURPOSE.values()}
        for index, post in enumerate(self.town.posts):
            for _, intent in post.journal.open_intents():
                self.town.clock.advance(7200)
                rider = by_ref[intent.card_ref]
                self.play(StressStep("tap", index, 0.0, self.town.riders.index(rider)))
        self.drain()
        for rider in self.town.riders:
            rider.look()
        start_twins(self.town)

    def drain(self) -> None:
        for post in self.town.posts:
            for _ in range(DRAIN_TRIES):
                if self.sync(post):
                    break


def retention_ms(post: Post) -> int:
    """How long acknowledged rows stay: not at all on a bus; a canteen knows by them what it has served (M-19)."""
    return 0 if post.terminal.canteen is None else RETENTION_MS


def _air_fault(step: StressStep) -> FaultPlan:
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
