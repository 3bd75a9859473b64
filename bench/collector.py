"""The collector: how many records a second it takes, and whether that stays so as they grow.

Batches of 200 records (100 rides), each signed by its terminal; 200 terminals, 50 000 cards, one ride in a hundred of
unknown end. Costs are CPU seconds of the process that does the work, so that a busy machine does not blur them; what
two cores reach over HTTP is measured by the clock as well.

`python -m bench.collector 4000000` measures the growth to so many records (some minutes and some 2 GB of disk).
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.result import Result, at_least, at_most
from cardproto.desfire.commands import INS_DEBIT, INS_READ_DATA, INS_READ_RECORDS, INS_WRITE_RECORD
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import DataCommand, tmi, transaction_mac_value
from cardproto.resident.limits import LARGEST_MINOR
from cardproto.resident.records.event import Event, EventKind, build_event
from terminal.app.collector import start_collector
from terminal.clock import SystemClock, from_unix_ms
from terminal.collector.books import BOOKS_FILE, Books
from terminal.collector.days import By
from terminal.collector.enrolment import Enrolment
from terminal.collector.intake import Intake
from terminal.collector.proof import Proof
from terminal.collector.registry import CardRegistry, CardSecret, RegisteredCard, write_registry
from terminal.collector.store import CollectorStore
from terminal.collector.totals import total_of
from terminal.journal.chain import Head, genesis, link
from terminal.journal.records import Committed, Intent, SettledBy, Unresolved, UnresolvedCause, build_record
from terminal.sync import wire
from terminal.trail import TrailEntry

GOAL_PER_S: Final = 20_000
WHOLE_PER_S: Final = 40_000
"""With the books, on two cores that do nothing else."""
BATCH: Final = wire.MAX_BATCH_RECORDS
TERMINALS: Final = 200
CARDS: Final = 50_000
CLIENTS: Final = 2
RECORDS: Final = 200_000
LONG_LIFE: Final = 1_000_000
ROUNDS: Final = 10
ROUND_BATCHES: Final = 10
START_MS: Final = 1_770_000_000_000
FARE_MINOR: Final = 3_400
AT: Final = from_unix_ms(START_MS)
CARD_KEY: Final = AesKey(bytes(range(16)))
PROVEN_RECORDS: Final = 40_000
KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def _uid(card: int) -> bytes:
    return card.to_bytes(7, "big")


def _reference(card: int) -> bytes:
    return card.to_bytes(8, "big")


class Fleet:
    """Terminals that write rides of a population of cards, and sign their batches."""

    def __init__(
        self, first: int, terminals: int, cards: int, taps_before: int = 0, *, proving: bool = False
    ) -> None:
        """`taps_before`: the cards' counters stand there. Fleets of the same cards are told apart by it.
        `proving`: their proofs are genuine, which takes time to make.
        """
        self._proving = proving
        self._rng = random.Random(first)
        self._numbers = range(first, first + terminals)
        self._heads = {number: genesis(number) for number in self._numbers}
        self._on_card = [(0, 0)] * cards
        self._balance = [LARGEST_MINOR] * cards
        self._tmc = [taps_before] * cards
        self._at_ms = START_MS
        self._turn = 0

    def batches(self, records: int) -> Iterator[bytes]:
        """Signed batches with so many records in all, the terminals in turn."""
        for _ in range(records // BATCH):
            self._turn = (self._turn + 1) % len(self._numbers)
            yield self._batch(self._numbers[self._turn])

    def _batch(self, terminal: int) -> bytes:
        previous = head = self._heads[terminal]
        bodies: list[bytes] = []
        while len(bodies) < BATCH:
            for body in self._ride(terminal, head.sequence + 1):
                bodies.append(body)
                head = Head(head.sequence + 1, link(head.hash, body))
        self._heads[terminal] = head
        return wire.encode(wire.build_batch(terminal, previous, tuple(bodies), head, self._at_ms, KEY))

    def _ride(self, terminal: int, sequence: int) -> tuple[bytes, bytes]:
        card = self._rng.randrange(len(self._tmc))
        previous, lost = self._on_card[card], self._rng.random() < 0.01
        before = self._balance[card] if self._balance[card] >= FARE_MINOR else LARGEST_MINOR
        self._on_card[card], self._balance[card] = (terminal, sequence), before - FARE_MINOR
        self._tmc[card] += 1
        self._at_ms += 40
        found = build_event(Event(EventKind.RIDE, AT, *previous, before, FARE_MINOR, terminal % 40))
        event = Event(EventKind.RIDE, AT, terminal, sequence, before - FARE_MINOR, FARE_MINOR, terminal % 40)
        written = build_event(event)
        commands = (
            (INS_READ_DATA, bytes.fromhex("01000000400000"), bytes(64)),
            (INS_READ_RECORDS, bytes.fromhex("02000000010000"), found),
            (INS_DEBIT, b"\x03" + FARE_MINOR.to_bytes(4, "little"), b""),
            (INS_WRITE_RECORD, bytes.fromhex("02000000200000"), written),
        )
        intent = Intent(
            at_ms=self._at_ms,
            card_ref=_reference(card),
            profile="bus",
            shift=1,
            turn=sequence,
            route=terminal % 40,
            direction=0,
            message="ok_paid",
            charge_minor=FARE_MINOR,
            balance_before_minor=before,
            balance_after_minor=before - FARE_MINOR,
            paid_by=1,
            tariff="demo:1",
            reasons=(TrailEntry("t-01:ordinary_fare"),),
            prev_terminal=previous[0],
            prev_sequence=previous[1],
            event=written,
            proof=commands,
            values={"n": 6_600},
            currency="RUB",
        )
        end = (
            Unresolved(self._at_ms, sequence, UnresolvedCause.CARD_GONE)
            if lost
            else Committed(
                self._at_ms, sequence, self._tmc[card], self._tmv(card, commands), SettledBy.ANSWERED
            )
        )
        return build_record(intent), build_record(end)

    def _tmv(self, card: int, commands: tuple[tuple[int, bytes, bytes], ...]) -> bytes:
        """What the card says of them, where the collector is to ask."""
        if not self._proving:
            return bytes(8)
        made = tmi(DataCommand(*command) for command in commands)
        return transaction_mac_value(CARD_KEY, _uid(card), self._tmc[card], made)


class Bench:
    """A collector's folder in this process."""

    def __init__(self, folder: Path, registry: CardRegistry | None = None) -> None:
        enrolment = Enrolment(folder / "terminals")
        for number in range(1, 3 * TERMINALS + 1):
            enrolment.enrol(number, KEY.public_key())
        self.store = CollectorStore(folder / "collector.db")
        self.books = Books(folder / BOOKS_FILE, self.store, registry or CardRegistry())
        self.intake = Intake(self.store, enrolment, KEY, SystemClock())

    def take(self, batches: list[bytes]) -> tuple[int, int]:
        """Take them in, then book them; CPU nanoseconds of each."""
        start = time.process_time_ns()
        for batch in batches:
            reply = self.intake.take(batch)
            assert reply.status == 200, reply.body
        middle = time.process_time_ns()
        while self.books.catch_up():
            pass
        return middle - start, time.process_time_ns() - middle

    def close(self) -> None:
        self.books.close()
        self.store.close()


def growth(records: int = RECORDS) -> Iterator[Result]:
    """Intake and books alone: what a record costs, and whether it costs the same with so many records held."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-collector-") as full,
        tempfile.TemporaryDirectory(prefix="bench-collector-") as empty,
        closing(Bench(Path(full))) as bench,
        closing(Bench(Path(empty))) as beginner,
    ):
        taking, booking = _fill(bench, records)
        note = f"{records} records; CPU of one core"
        yield at_least("collector_intake", records * 1e9 / taking, "records/s", GOAL_PER_S, note)
        both = records * 1e9 / (taking + booking)
        yield at_least("collector_intake_and_books", both, "records/s", GOAL_PER_S, note)
        yield from compare(bench, beginner, records)
        yield from _reports(bench, records)


def proven(records: int = PROVEN_RECORDS) -> Iterator[Result]:
    """Intake and books of a collector that checks every card's proof."""
    registry = CardRegistry({_reference(card): CardSecret(_uid(card), CARD_KEY) for card in range(CARDS)})
    with (
        tempfile.TemporaryDirectory(prefix="bench-collector-") as folder,
        closing(Bench(Path(folder), registry)) as bench,
    ):
        taking, booking = _fill(bench, records, proving=True)
        counted = total_of(bench.books.totals().values())
        settled = counted.unresolved_settled  # by a later tap of the card; no row states their proof
        assert counted.proven(Proof.PROVEN) == counted.accepted - settled > 0
        both = records * 1e9 / (taking + booking)
        note = f"{records} records, every proof checked; CPU of one core"
        yield at_least("collector_intake_and_proofs", both, "records/s", GOAL_PER_S, note)


def _fill(bench: Bench, records: int, *, proving: bool = False) -> tuple[int, int]:
    """A little at a time, so that neither the batches nor what is not booked yet fill the memory."""
    fleet, taking, booking = Fleet(1, TERMINALS, CARDS, proving=proving), 0, 0
    for part in range(0, records, 20 * BATCH):
        taken, booked = bench.take(list(fleet.batches(min(20 * BATCH, records - part))))
        taking, booking = taking + taken, booking + booked
        if records > RECORDS and part % 500_000 == 0:  # a long run tells where it is
            print(f"{part} of {records} records", file=sys.stderr, flush=True)
    return taking, booking


def compare(full: Bench, beginner: Bench, held: int) -> Iterator[Result]:
    """The same load to a collector that holds much and to one that holds nothing, by turns: a busy machine slows
    both alike. The beginner's first round is left out: its tables are not even there yet.
    """
    much = Fleet(1 + TERMINALS, TERMINALS, CARDS, LONG_LIFE)
    little = Fleet(1 + 2 * TERMINALS, TERMINALS, CARDS, 2 * LONG_LIFE)
    records, ratios = ROUND_BATCHES * BATCH, []
    for _ in range(ROUNDS + 1):
        (taken, booked), (taken_0, booked_0) = (
            bench.take(list(fleet.batches(records))) for bench, fleet in ((full, much), (beginner, little))
        )
        ratios.append((taken / taken_0, (taken + booked) / (taken_0 + booked_0)))
    note = f"CPU of a record with {held} held to one with less than {(ROUNDS + 1) * records} held"
    for place, name in enumerate(("collector_growth_intake", "collector_growth_with_books")):
        ratio = statistics.median(each[place] for each in ratios[1:])
        yield at_most(name, ratio, "times", 1.2, note)


def _reports(bench: Bench, records: int) -> Iterator[Result]:
    day = bench.books.days(1)[0]
    for by in (By.TERMINAL, By.ROUTE):
        samples = []
        for _ in range(15):
            start = time.process_time_ns()
            lines = bench.books.day(day, by)
            samples.append((time.process_time_ns() - start) / 1e6)
        note = f"{len(lines)} lines, {records} records held; CPU"
        yield at_most(f"collector_report_by_{by}", statistics.median(samples), "ms", 100, note)


def over_http(records: int = RECORDS) -> Iterator[Result]:
    """A collector process and client processes on this machine: every core busy, by the clock and by its CPU."""
    with tempfile.TemporaryDirectory(prefix="bench-collector-") as name:
        folder = Path(name)
        enrolment = Enrolment(folder / "terminals")
        for number in range(1, CLIENTS * TERMINALS + 1):
            enrolment.enrol(number, KEY.public_key())
        write_registry(folder / "registry.json", map(_registered, range(CARDS)))
        process, url = start_collector(folder, folder / "registry.json")
        try:
            context = multiprocessing.get_context("spawn")
            ready, go = context.Barrier(CLIENTS + 1), context.Barrier(CLIENTS + 1)
            share = records // CLIENTS
            clients = [
                context.Process(target=_client, args=(url, 1 + n * TERMINALS, share, ready, go))
                for n in range(CLIENTS)
            ]
            for client in clients:
                client.start()
            ready.wait()
            before, start = _cpu_s(process.pid), time.perf_counter()
            books_before = _cpu_s(_books_of(process.pid))
            go.wait()
            for client in clients:
                client.join()
            taken_s = time.perf_counter() - start
            assert all(client.exitcode == 0 for client in clients)
            taken_cpu_s = _cpu_s(process.pid) - before
            _wait_until_booked(url)
            booked_s = time.perf_counter() - start
            books_cpu_s = _cpu_s(_books_of(process.pid)) - books_before
        finally:
            process.terminate()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    proofs = "every proof checked"
    load = f"{CLIENTS} clients, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    yield at_least("collector_http", records / taken_s, "records/s", GOAL_PER_S, f"by the clock; {load}")
    yield at_least(
        "collector_http_cpu", records / taken_cpu_s, "records/s", GOAL_PER_S, "per CPU second of the process"
    )
    note = f"until everything is in the books too; {proofs}"
    yield at_least("collector_http_booked", records / booked_s, "records/s", GOAL_PER_S, note)
    taking, booking = records / taken_cpu_s, records / books_cpu_s
    each = f"intake {taking:.0f}, books {booking:.0f} per CPU second, {booking / taking:.2f} of it"
    note = f"the slower of two processes, each on a core; {each}; {proofs}"
    yield at_least("collector_two_cores", min(taking, booking), "records/s", WHOLE_PER_S, note)


def _client(url: str, first: int, records: int, ready: object, go: object) -> None:
    """Make the batches beforehand, then send them one after another over one connection."""
    batches = list(Fleet(first, TERMINALS, CARDS, first * LONG_LIFE, proving=True).batches(records))
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    connection.connect()
    ready.wait()  # type: ignore[attr-defined]  # a barrier; multiprocessing's types name no common class
    go.wait()  # type: ignore[attr-defined]  # the same
    for batch in batches:
        status = 0
        while status != 200:
            connection.request("POST", wire.BATCHES_PATH, batch, {"content-type": wire.BATCH_TYPE})
            answer = connection.getresponse()
            answer.read()
            status = answer.status
            if status in (429, 503):
                time.sleep(0.05)
            elif status != 200:
                sys.exit(f"status {status}")
    connection.close()


def _wait_until_booked(url: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    while True:
        connection.request("GET", "/v1/health")
        if b'"behind":0' in connection.getresponse().read():
            connection.close()
            return
        time.sleep(0.02)


def _registered(card: int) -> RegisteredCard:
    return RegisteredCard(_reference(card), _uid(card), bytes(range(16)))


def _books_of(collector: int) -> int:
    """The process that keeps its books, as the kernel tells."""
    (keeper,) = _children_of(collector)
    (books,) = _children_of(keeper)
    return books


def _children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    for part in (growth(wanted), proven(), over_http()):
        for result in part:
            result.print()
