"""The digest of a stress run: the same for the same behaviour, another one for one bit of difference anywhere."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from sim.card.files import DataFile
from sim.card.virtual import VirtualCard
from terminal.collector.books import BOOKS_FILE
from terminal.collector.store import Alarm, AlarmKind, connect
from terminal.journal.records import Intent
from terminal.lab.stress import run
from terminal.lab.stress.checkers.check import check
from terminal.lab.stress.checkers.digest import Digest, DigestListener, digest_of, together
from terminal.lab.stress.faults.plan import Kind, StressStep
from terminal.lab.stress.play import play
from terminal.lab.stress.run import TownSeed, play_town, storm
from terminal.lab.stress.world import StormTown, open_storm_town

ALL = frozenset(Kind)
PARTS = ("cards", "exchanges", "rows", "books")


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_same_seed_gives_the_same_digest(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two towns each time, so that with two jobs they end in any order."""
    monkeypatch.setattr(run, "TOWN_TAPS", 150)
    first, again = digested(seed=5), digested(seed=5, jobs=jobs)
    assert first == again
    other = digested(seed=6)
    assert all(getattr(first, part) != getattr(other, part) for part in PARTS)
    assert first.whole != other.whole


def test_the_command_prints_the_same_in_every_process(tmp_path: Path) -> None:
    arguments = ("--taps", "200", "--seed", "3", "--digest")
    (tmp_path / "elsewhere").mkdir()
    found = json.loads(digest_run("1", tmp_path, *arguments, "--json"))["digest"]
    assert set(found) == {*PARTS, "whole"}
    printed = digest_run("2", tmp_path / "elsewhere", *arguments).splitlines()
    lines = [line.split()[2:] for line in printed if line.startswith("  digest of ")]
    assert dict(lines) == found


def test_there_is_none_without_the_option() -> None:
    result = storm(20, 1, frozenset(), lambda _taps, _faults: None, terminals=2, cards=4)
    assert result.digest is None
    assert "digest" not in result.as_json()


def test_one_bit_of_an_answer_on_its_way_counts() -> None:
    low, high = (corrupted(bit) for bit in (0, 1))
    assert low.exchanges == corrupted(0).exchanges
    assert low.exchanges != high.exchanges


def test_towns_count_in_the_order_of_their_seeds() -> None:
    one, two = Digest("a", "b", "c", "d"), Digest("e", "f", "g", "h")
    assert together([(1, one), (2, two)]) == together([(2, two), (1, one)])
    assert together([(1, one), (2, two)]) != together([(1, two), (2, one)])


# One bit of a town that has settled down


@pytest.fixture
def settled(tmp_path: Path) -> Iterator[tuple[StormTown, DigestListener]]:
    town = TownSeed(3, 2, 6)
    with open_storm_town(tmp_path, town.seed, 2, town.riders, town.pupils, disks=False) as opened:
        listener = DigestListener(opened)
        play(opened, town.plan(30, frozenset()), lambda _count: None)
        assert check(opened).sound
        yield opened, listener


def card_content(town: StormTown, _listener: DigestListener) -> None:
    card = town.riders[0].card
    name, app = next((name, app) for name, app in card.memory.applications.items() if app.files)
    number, file = next((n, file) for n, file in app.files.items() if isinstance(file, DataFile))
    changed = {**app.files, number: dataclasses.replace(file, content=flipped(file.content))}
    applications = {**card.memory.applications, name: dataclasses.replace(app, files=changed)}
    memory = dataclasses.replace(card.memory, applications=applications)
    town.riders[0].card = VirtualCard(card.uid, bytes, generation=card.generation, memory=memory)


def one_more_exchange(_town: StormTown, listener: DigestListener) -> None:
    listener.hear(71_000, b"\x90", b"")


def promised_row(town: StormTown, _listener: DigestListener) -> None:
    promised = town.posts[0].journal.promised
    sequence, intent = next((n, record) for n, record in promised.items() if isinstance(record, Intent))
    promised[sequence] = msgspec.structs.replace(intent, charge_minor=intent.charge_minor ^ 1)


def one_more_held_row(town: StormTown, _listener: DigestListener) -> None:
    journal = town.posts[0].journal
    promised = dict(journal.promised)
    journal.append(next(iter(promised.values())))
    journal.promised = promised


def stored_row(town: StormTown, _listener: DigestListener) -> None:
    query = "SELECT terminal, sequence, body FROM record LIMIT 1"
    with closing(connect(town.store.path)) as store:
        terminal, sequence, body = store.execute(query).fetchone()
        change = "UPDATE record SET body = ? WHERE terminal = ? AND sequence = ?"
        store.execute(change, (flipped(body), terminal, sequence))


def booked_total(town: StormTown, _listener: DigestListener) -> None:
    with closing(connect(town.collector_folder / BOOKS_FILE)) as books:
        books.execute(
            "UPDATE charged SET sum_minor = sum_minor + 1 WHERE terminal = (SELECT min(terminal) FROM charged)"
        )


def alarm(town: StormTown, _listener: DigestListener) -> None:
    town.store.keep_alarm(Alarm(AlarmKind.CLOCK, 71_000, 1, "an hour behind"), 0)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (card_content, "cards"),
        (one_more_exchange, "exchanges"),
        (promised_row, "rows"),
        (one_more_held_row, "rows"),
        (stored_row, "rows"),
        (booked_total, "books"),
        (alarm, "books"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_one_change_is_seen_in_its_part_and_in_the_whole(
    settled: tuple[StormTown, DigestListener], change: Callable[[StormTown, DigestListener], None], part: str
) -> None:
    before = digest_of(*settled)
    assert digest_of(*settled) == before
    change(*settled)
    after = digest_of(*settled)
    assert [name for name in PARTS if getattr(before, name) != getattr(after, name)] == [part]
    assert before.whole != after.whole


def test_one_bit_one_terminal_and_the_reason_of_silence_count(
    settled: tuple[StormTown, DigestListener],
) -> None:
    town, _ = settled
    exchanges: list[tuple[int, bytes, bytes | str]] = [
        (71_000, b"\x90\x00", b"\x91\x00"),
        (71_001, b"\x90\x00", b"\x91\x00"),
        (71_000, b"\x90\x01", b"\x91\x00"),
        (71_000, b"\x90\x00", b"\x91\x01"),
        (71_000, b"\x90\x00", "gone"),
        (71_000, b"\x90\x00", "no answer"),
        (71_000, b"\x90\x00", b""),
    ]
    heard = set()
    for exchange in exchanges:
        listener = DigestListener(town)
        listener.hear(*exchange)
        heard.add(listener.exchanges)
    assert len(heard) == len(exchanges)


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def corrupted(bit: int) -> Digest:
    town = TownSeed(3, 2, 6)
    steps = [StressStep("tap", 0, 1.0, 0), StressStep("tap", 0, 1.0, 1, Kind.CORRUPT_BIT, 3, bit)]
    ((_, digest),) = play_town(town, steps, digest=True).digests
    return digest


def digested(seed: int, jobs: int = 1) -> Digest:
    result = storm(300, seed, ALL, lambda _taps, _faults: None, terminals=4, cards=16, jobs=jobs, digest=True)
    assert result.towns == 2
    assert isinstance(result.digest, Digest)
    return result.digest


def digest_run(hash_seed: str, folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "terminal.cli.app", "storm", *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TMPDIR": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
