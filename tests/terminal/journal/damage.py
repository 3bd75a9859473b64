"""Damaged journals: what was reported as stored is there afterwards, or is named as lost and the collector hears it.

    python -m tests.terminal.journal.damage --damages 10000 --seed 1

A world is one terminal's folder as a crash or a power cut left it, with copies from earlier, beside a collector that
holds a part of its rows. Each damage hits one or two of its files. Then the terminal starts as in service, takes taps
and sends. The checker knows from outside which rows were reported as stored; it reads rows and alarms, never a state.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.collector.enrolment import Enrolment
from terminal.collector.intake import Intake
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError, JournalDamaged, JournalError
from terminal.journal import journal as journal_module
from terminal.journal.journal import Journal
from terminal.journal.key_file import load_or_create_key
from terminal.journal.operation_records import NumbersSkipped
from terminal.journal.records import AnyRecord, parse_record
from terminal.journal.succession import open_in_service
from terminal.keys.sealing import StorageKeys
from terminal.sync.client import SyncClient
from tests.terminal.journal.samples import committed, intent
from tests.terminal.sync.station import StepClock, Wire

TERMINAL: Final = 7
OTHER: Final = 8
SEALER: Final = StorageKeys({"journal": bytes(32)})
FILES: Final = ("", "-wal", "-shm", ".numbers", ".mark", ".key", ".key2")
PAGE: Final = 4_096
FRAME: Final = PAGE + 24
TAPS_AFTER: Final = 2


@dataclass
class World:
    """`stored` are the rows reported as stored, by number. `copies` are earlier states of the folder, oldest first."""

    folder: Path
    stored: dict[int, AnyRecord]
    copies: list[Path]
    other: Path
    key: Ed25519PrivateKey
    collector_key: Ed25519PrivateKey
    power_cut: bool


@dataclass
class Life:
    """A journal as it goes on, with what is known of it from outside."""

    folder: Path
    rng: random.Random
    number: int = TERMINAL
    stored: dict[int, AnyRecord] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "journal.db"

    def open(self) -> None:
        self.journal = Journal.open(self.path, self.number, key=load_or_create_key(self.path, SEALER))

    def taps(self, count: int) -> None:
        for _ in range(count):
            card = self.rng.randbytes(8)
            number = self.append(intent(card_ref=card, event=self.rng.randbytes(32)))
            self.append(committed(number, tmc=number))

    def append(self, record: AnyRecord) -> int:
        number = self.journal.append(record)
        assert self.stored.setdefault(number, record) == record, f"number {number} twice"
        return number


def make_world(folder: Path, seed: int) -> World:
    """One terminal's life up to a crash (or, with every second seed, a power cut that left an old mark)."""
    rng = random.Random(seed)
    key, collector_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    folder.mkdir(parents=True)
    other = Life(_made(folder / "other"), rng, OTHER)
    other.open()
    other.taps(rng.randint(3, 12))
    _copy(other.folder, folder / "other-copy")
    other.journal.close()
    life = Life(_made(folder / "living"), rng)
    life.open()
    copies: list[Path] = []
    with closing(CollectorStore(_made(folder / "collector") / "collector.db")) as store:
        Enrolment(folder / "collector" / "terminals").enrol(TERMINAL, key.public_key())
        for _ in range(rng.randint(2, 5)):
            life.taps(rng.randint(1, 12))
            step = rng.random()
            if step < 0.35:
                _send(life.journal, key, store, folder / "collector", collector_key)
                life.journal.purge(0, 1 << 50)  # leaves free pages
            elif step < 0.6:
                life.journal.checkpoint()
            elif step < 0.7:
                life.journal.close()
                life.open()
            _copy(life.folder, folder / f"copy-{len(copies)}")
            copies.append(folder / f"copy-{len(copies)}")
        life.taps(rng.randint(0, 6))
    _copy(life.folder, folder / "left")
    life.journal.abandon()
    power_cut = seed % 2 == 1
    if power_cut:
        shutil.copy(rng.choice(copies) / "journal.db.mark", folder / "left" / "journal.db.mark")
    return World(folder / "left", life.stored, copies, folder / "other-copy", key, collector_key, power_cut)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _copy(source: Path, target: Path) -> None:
    """The files of a folder as they are, beside a program that rests."""
    target.mkdir()
    for file in source.iterdir():
        if not file.name.endswith(".lock"):
            shutil.copy(file, target / file.name)


def _send(
    journal: Journal, key: Ed25519PrivateKey, store: CollectorStore, folder: Path, own: Ed25519PrivateKey
) -> CollectorError | None:
    clock = StepClock()
    intake = Intake(store, Enrolment(folder / "terminals"), own, clock)
    return SyncClient(journal, Wire(intake), key, own.public_key(), clock).sync_once().problem


# Damages


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 1, 3, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_in_header(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(min(len(data), 100))] ^= 1 << rng.randrange(8)


def free_page_list(data: bytearray, rng: random.Random) -> None:
    """Where the first free page is, or how many there are; of a database that has some, or in one of them."""
    first = int.from_bytes(data[32:36], "big")
    page = slice((first - 1) * PAGE, (first - 1) * PAGE + 12)
    at = rng.choice((*range(32, 40), *(range(*page.indices(len(data))) if first else ())))
    data[at % len(data)] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def cut_at_frame(data: bytearray, rng: random.Random) -> None:
    del data[32 + FRAME * rng.randrange(1 + len(data) // FRAME) :]


def zero(data: bytearray, rng: random.Random) -> None:
    size = rng.choice((512, PAGE, 2 * PAGE))
    at = rng.randrange(0, len(data), 512)
    data[at : at + size] = bytes(len(data[at : at + size]))


def garble(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(0, len(data), 512)
    data[at : at + 512] = rng.randbytes(len(data[at : at + 512]))


def swap(data: bytearray, rng: random.Random) -> None:
    size, start = rng.choice(((PAGE, 0), (FRAME, 32), (512, 0)))
    count = (len(data) - start) // size
    if count < 2:
        return flip(data, rng)
    one, two = (start + size * n for n in rng.sample(range(count), 2))
    data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]
    return None


CHANGES: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    flip, flip_in_header, free_page_list, cut, cut_at_frame, zero, garble, swap,
)  # fmt: skip
KINDS: Final = (*(change.__name__ for change in CHANGES), "missing", "old_copy", "of_another")


def hurt(folder: Path, end: str, kind: str, world: World, rng: random.Random) -> None:
    """Do damage of `kind` to one file; a file that is not there can only come back from a copy."""
    file = folder / f"journal.db{end}"
    if kind == "missing":
        file.unlink(missing_ok=True)
    elif kind in ("old_copy", "of_another"):
        source = (rng.choice(world.copies) if kind == "old_copy" else world.other) / file.name
        if source.exists():
            shutil.copy(source, file)
    elif file.exists() and file.stat().st_size:
        data = bytearray(file.read_bytes())
        {change.__name__: change for change in CHANGES}[kind](data, rng)
        file.write_bytes(data)


# What comes of it


class Silent(AssertionError):
    """A row is gone and nothing says so, or a number was used twice."""


def try_damage(world: World, hits: list[tuple[str, str]], rng: random.Random, scratch: Path) -> str:
    """How a damaged folder goes on: `whole`, `named` or `refused`. Raises `Silent`."""
    folder = scratch / "terminal"
    shutil.copytree(world.folder, folder)
    shutil.copytree(world.folder.parent / "collector", scratch / "collector")
    for end, kind in hits:
        hurt(folder, end, kind, world, rng)
    boot = bytes(16) if world.power_cut else journal_module.boot_id()
    with patch.object(journal_module, "boot_id", lambda: boot):
        life = Life(folder, rng, TERMINAL)
        found = _files(folder)
        try:
            life.journal = open_in_service(
                life.path, TERMINAL, key=load_or_create_key(life.path, SEALER, TERMINAL)
            )
        except JournalError as error:
            return _refused(error, world, folder, found)
        with closing(CollectorStore(scratch / "collector" / "collector.db")) as store:
            return _goes_on(world, life, store, scratch / "collector")


def _files(folder: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if not file.name.endswith((".lock", "-shm", ".damaged"))
    }


def _refused(error: JournalError, world: World, folder: Path, found: dict[str, bytes]) -> str:
    """Nothing was changed: with the right file brought back everything is there."""
    left = _files(folder)
    for name, content in found.items():
        if content and left.get(name) != content:
            raise Silent(f"refused ({error.what}), but {name} was changed")
    return f"refused: {type(error).__name__}"


def _goes_on(world: World, life: Life, store: CollectorStore, collector: Path) -> str:
    before = {n: body for _, n, body in store.records()}
    restarts = 0
    while True:
        try:
            life.taps(TAPS_AFTER)
            problem = _send(life.journal, world.key, store, collector, world.collector_key)
            kept = {row.sequence: row.record for row in life.journal.rows(limit=100_000)}
            break
        except JournalDamaged as error:  # the program ends, and is started again
            restarts += 1
            if restarts > 1:
                raise Silent(f"damaged again: {error.what}") from error
            life.journal.abandon()
            life.journal = open_in_service(
                life.path, TERMINAL, key=load_or_create_key(life.path, SEALER, TERMINAL)
            )
    life.journal.abandon()
    after = {n: parse_record(body) for _, n, body in store.records()}
    twice = life.stored.keys() & (world.stored.keys() | before.keys())
    if twice:
        raise Silent(f"numbers {sorted(twice)} were used twice ({problem})")
    skips = [record for record in after.values() if isinstance(record, NumbersSkipped)]
    named: set[int] = set()
    for skip in skips:
        named |= {n for n in world.stored.keys() | life.stored.keys() if skip.first <= n <= skip.last}
    heard = [a for a in store.alarms() if a.kind in ("rows_lost", "gap", "cut_tail", "other_hash")]
    for alarm in heard:
        inputs = dict(part.partition("=")[::2] for part in alarm.detail.split(" ")[1:])
        if alarm.kind == "rows_lost" and inputs:
            named |= set(range(int(inputs["first"]), int(inputs["last"]) + 1))
    ever = world.stored | life.stored
    gone = [n for n, record in ever.items() if kept.get(n) != record and after.get(n) != record]
    if unnamed := [n for n in gone if n not in named]:
        raise Silent(f"rows {unnamed} are gone and not named: {skips}, {heard}, {problem}")
    if gone and not heard:
        raise Silent(f"rows {gone} are gone and the collector heard nothing")
    if problem is not None:
        raise Silent(f"the collector does not take what comes: {problem.what}")
    if skips and not heard:
        raise Silent("numbers were passed over and the collector shows nothing")
    return "named" if gone else "skipped" if skips else "whole"


def damages(count: int, seed: int, worlds: int) -> Iterator[tuple[str, str]]:
    """Run `count` damages; give what hit and what came of it. Raises `Silent`, with the seed that repeats it."""
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as place:
        made = [make_world(Path(place) / str(n), seed * 1_000 + n) for n in range(worlds)]
        for number in range(count):
            rng = random.Random(f"{seed}-{number}")
            world = made[number % worlds]
            ends = rng.sample(FILES, rng.choice((1, 2)))
            hits = [(end, rng.choice(KINDS)) for end in ends]
            what = " and ".join(f"{end or 'database'}:{kind}" for end, kind in hits)
            scratch = Path(place) / "scratch"
            scratch.mkdir()
            try:
                yield what, try_damage(world, hits, rng, scratch)
            except Silent as error:
                raise Silent(
                    f"seed {seed}, damage {number}, {what}, power cut {world.power_cut}: {error}"
                ) from error
            finally:
                shutil.rmtree(scratch)


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(description="Damage journals and look what becomes of their rows.")
    options.add_argument("--damages", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--worlds", type=int, default=40)
    given = options.parse_args(arguments)
    came: Counter[str] = Counter()
    for what, result in damages(given.damages, given.seed, given.worlds):
        came[result] += 1
        if result.startswith("refused") and ".key" not in what:
            print(f"{result}: {what}")
    for result, times in came.most_common():
        print(f"{times:>7}  {result}")
    print(f"{sum(came.values())} damages: none silent, no number twice")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
