"""What happens in a storm, decided before it begins: a list of plain steps that follows from the seed.

A plan can be written down, cut short and played again; that is how a violation is shrunk to a replay one can read.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from terminal.errors import ProfileError


class Kind(StrEnum):
    """A fault of a tap, of a terminal between taps, or of an upload."""

    # a tap
    TEAR_BEFORE = "tear_before"
    TEAR_AFTER = "tear_after"
    CORRUPT_BIT = "corrupt_bit"
    SILENCE = "silence"
    CRASH_EXCHANGE = "crash_at_exchange"
    CRASH_BEGIN = "crash_before_intent"
    CRASH_DURABLE = "crash_after_intent"
    CRASH_SIGNAL = "crash_after_signal"
    CRASH_OUTCOME = "crash_after_outcome"
    POWER_CUT = "power_cut"
    DISK_FULL = "disk_full"
    DISK_READ_ONLY = "disk_read_only"
    UNPLUGGED = "reader_unplugged"
    MOVED = "unresolved_card_moved"
    SYNC_BESIDE = "sync_beside_tap"
    LYING_DISK = "disk_lies"
    FALSE_ROWS = "false_rows"
    # a terminal
    CLOCK_FORWARD = "clock_forward"
    CLOCK_BACK = "clock_back"
    RESTART = "restart"
    BIT_ROT = "bit_rot"
    TWIN = "two_machines_one_number"
    REPLACED = "hardware_replaced"
    # staff and lists
    TURN = "crew_turns"
    PLACE = "crew_sets_place"
    COMPANIONS = "crew_counts_companions"
    SHIFT = "crew_changes_shift"
    BREAK = "crew_takes_break"
    CASH = "crew_sells_for_cash"
    CANCELLED = "crew_cancels_ticket"
    CLASS_LIST = "class_served_by_list"
    DENY_LIST = "deny_list_changed"
    # cards
    EV1_CARD = "card_without_proof"
    RANDOM_UID = "card_with_random_uid"
    CLONED = "card_cloned"
    ROLLED_BACK = "card_rolled_back"
    # an upload
    NETWORK_CUT = "network_cut"
    ACK_LOST = "ack_lost"
    ACK_FORGED = "ack_forged"
    ACK_GARBAGE = "ack_garbage"
    DUPLICATED = "batch_duplicated"
    DELAYED = "batch_delayed_and_reordered"
    COLLECTOR_KILLED = "collector_killed_in_commit"
    BOOKS_KILLED = "collector_killed_while_booking"
    BUSY = "collector_busy"
    OVER_TLS = "batch_over_tls"


TEARS: Final = (Kind.TEAR_BEFORE, Kind.TEAR_AFTER, Kind.CORRUPT_BIT, Kind.SILENCE, Kind.UNPLUGGED)
CRASHES: Final = (
    Kind.CRASH_EXCHANGE,
    Kind.CRASH_BEGIN,
    Kind.CRASH_DURABLE,
    Kind.CRASH_SIGNAL,
    Kind.CRASH_OUTCOME,
)
DISKS: Final = (Kind.POWER_CUT, Kind.DISK_FULL, Kind.DISK_READ_ONLY)
BETWEEN: Final = (Kind.CLOCK_FORWARD, Kind.CLOCK_BACK, Kind.RESTART)
LINKS: Final = (
    Kind.NETWORK_CUT,
    Kind.ACK_LOST,
    Kind.ACK_FORGED,
    Kind.ACK_GARBAGE,
    Kind.DUPLICATED,
    Kind.DELAYED,
    Kind.COLLECTOR_KILLED,
    Kind.BOOKS_KILLED,
    Kind.BUSY,
    Kind.OVER_TLS,
)
STAFF: Final = (
    Kind.TURN,
    Kind.PLACE,
    Kind.COMPANIONS,
    Kind.SHIFT,
    Kind.BREAK,
    Kind.CASH,
    Kind.CANCELLED,
    Kind.CLASS_LIST,
    Kind.DENY_LIST,
)
BESIDE: Final = (Kind.SYNC_BESIDE, Kind.FALSE_ROWS)
"""Of a tap that ends as any other."""
LIES: Final = (Kind.LYING_DISK,)
MACHINES: Final = (Kind.BIT_ROT, Kind.TWIN, Kind.REPLACED)
COPIES: Final = (Kind.CLONED, Kind.ROLLED_BACK)
BETWEEN_TAPS: Final = frozenset((*BETWEEN, *STAFF, *MACHINES, *COPIES))
CARDS: Final = (Kind.EV1_CARD, Kind.RANDOM_UID)
"""Of these some are issued; the others befall what was issued."""
NEEDS_APSW: Final = frozenset((*DISKS, Kind.LYING_DISK, Kind.COLLECTOR_KILLED, Kind.BOOKS_KILLED))
CHANCE: Final = (
    (TEARS, 0.10),
    (CRASHES, 0.03),
    (DISKS, 0.02),
    (BETWEEN, 0.004),
    (STAFF, 0.03),
    (COPIES, 0.002),
    (BESIDE, 0.01),
    (LIES, 0.003),
    (MACHINES, 0.004),
)
SYNC_CHANCE: Final = 0.02
LINK_FAULT_CHANCE: Final = 0.5
TAP_EXCHANGES: Final = 9
DISK_OPERATIONS: Final = 12


class StressStep(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """`what`: "tap" (a card is presented), "sync" (a journal is uploaded) or "between" (something befalls a terminal).

    `at` says at which exchange, disk operation or bit a fault strikes, `value` how much (seconds, bit).
    """

    what: str
    terminal: int
    gap_s: float = 0.0
    card: int = 0
    fault: str = ""
    at: int = 0
    value: int = 0


def faults_named(names: Sequence[str]) -> frozenset[Kind]:
    """The faults with these names; raises `ProfileError` naming those there are."""
    known = {kind.value: kind for kind in Kind}
    wrong = [name for name in names if name not in known]
    if wrong:
        raise ProfileError(f"no fault is called {wrong[0]}", f"There are: {', '.join(known)}.")
    return frozenset(known[name] for name in names)


class Planner:
    """Draws steps; the same seed and numbers give the same plan."""

    def __init__(
        self, seed: int, buses: Sequence[int], canteens: Sequence[int], riders: int, pupils: int
    ) -> None:
        """`buses` and `canteens` are terminal indices; terminals 2k and 2k+1 of a kind stand together."""
        self._rng = random.Random(seed)  # noqa: S311 a seeded storm blows the same way again
        self._buses, self._canteens = list(buses), list(canteens)
        self._riders, self._pupils = riders, pupils

    def plan(self, taps: int, faults: frozenset[Kind]) -> list[StressStep]:
        """`taps` presentations and what goes on around them."""
        steps: list[StressStep] = []
        planned = 0
        while planned < taps:
            for step in self._one(faults):
                steps.append(step)
                planned += step.what == "tap"
        return steps

    def _one(self, faults: frozenset[Kind]) -> list[StressStep]:
        rng = self._rng
        if rng.random() < SYNC_CHANCE:
            return [self._sync(faults)]
        group, (terminal, card) = self._group(faults), self._terminal_and_card()
        gap_s = round(rng.expovariate(1 / 15), 1)
        fault = self._pick(group, faults) if group else ""
        if group == BETWEEN or fault in BETWEEN_TAPS:
            value = rng.choice((5, 45, 600, 7200, 90_000)) if group == BETWEEN else rng.randrange(1000)
            return [StressStep("between", terminal, gap_s, card, fault, 0, value)]
        first = StressStep(
            "tap", terminal, gap_s, card, fault, self._when(fault), rng.choice((0, 1, 3, rng.randrange(200)))
        )
        return [first, *self._again(first, faults)] if fault else [first]

    def _again(self, first: StressStep, faults: frozenset[Kind]) -> list[StressStep]:
        """After a disturbed tap most people try again at once, some at the other door, some torn once more."""
        rng = self._rng
        steps: list[StressStep] = []
        while rng.random() < 0.75 and len(steps) < 4:
            terminal, fault = first.terminal, ""
            if rng.random() < 0.2 and Kind.MOVED in faults:
                terminal = self._neighbour(terminal)
                fault = Kind.MOVED
            elif rng.random() < 0.3:
                fault = self._pick(TEARS + CRASHES, faults)
            gap_s = round(rng.uniform(1.0, 9.0), 1)
            at, value = self._when(fault), rng.randrange(200)
            if fault == Kind.MOVED and value % 2 and first.terminal in self._buses:
                terminal = self._buses[
                    value % len(self._buses)
                ]  # on another route, where it is a ride of its own
            steps.append(StressStep("tap", terminal, gap_s, first.card, fault, at, value))
            if not fault:
                break
        return steps

    def _sync(self, faults: frozenset[Kind]) -> StressStep:
        rng = self._rng
        fault = self._pick(LINKS, faults) if rng.random() < LINK_FAULT_CHANCE else ""
        everyone = self._buses + self._canteens
        return StressStep("sync", rng.choice(everyone), 0.0, 0, fault, rng.randint(1, DISK_OPERATIONS))

    def _group(self, faults: frozenset[Kind]) -> tuple[Kind, ...]:
        drawn = self._rng.random()
        for group, chance in CHANCE:
            if drawn < chance:
                return group if faults.intersection(group) else ()
            drawn -= chance
        return ()

    def _pick(self, group: tuple[Kind, ...], faults: frozenset[Kind]) -> str:
        possible = [kind for kind in group if kind in faults]
        return self._rng.choice(possible).value if possible else ""

    def _when(self, fault: str) -> int:
        """Late exchanges and the first disk operations are where it hurts most."""
        rng = self._rng
        if fault in DISKS:
            return rng.randint(1, DISK_OPERATIONS)
        return TAP_EXCHANGES - min(int(rng.expovariate(0.4)), TAP_EXCHANGES - 1)

    def _terminal_and_card(self) -> tuple[int, int]:
        rng = self._rng
        if self._canteens and (rng.random() < 0.15 or not self._buses):
            return rng.choice(self._canteens), self._riders + rng.randrange(self._pupils)
        return rng.choice(self._buses), rng.randrange(self._riders)

    def _neighbour(self, terminal: int) -> int:
        kind = self._buses if terminal in self._buses else self._canteens
        other = kind.index(terminal) ^ 1
        return kind[other] if other < len(kind) else terminal
