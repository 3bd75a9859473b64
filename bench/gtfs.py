"""GTFS-Fares v2: import of 10 000 leg rules, one decision beside the number of rules, memory of the loaded fares."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bench.gtfs_feed import write_city
from bench.result import Result, at_most, median_us
from terminal.policy.gtfs.card import Written
from terminal.policy.gtfs.charging import Charged, alight
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.importer import import_feed
from terminal.policy.gtfs.matching import Leg
from terminal.policy.gtfs.section import Destination, GtfsFares
from terminal.policy.gtfs.state import NOTHING, second_of
from terminal.policy.gtfs.tables import UNLIMITED, FareTransferRule, GtfsTables, LimitType, TransferType
from tests.terminal.policy.gtfs.feeds import board

LEG_RULES = 10_000
SIZES = (10, 100, 1_000, LEG_RULES)
MORNING = datetime(2026, 9, 15, 5, 0, tzinfo=UTC)
RIDER, MEDIUM = ("adult", "student"), "card"
MEMORY = """
import gc, sys
from pathlib import Path
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.section import Destination, GtfsFares, parse_tables

def resident_bytes():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

before = resident_bytes()
tables = parse_tables(Path(sys.argv[1]).read_bytes(), "bench")
fares = FeedFares.of(GtfsFares(destination=Destination.DEAREST, tables=tables))
for name, stop in fares.index.places.numbers.items():
    fares.index.rules_onward(1, fares.index.places.stops[stop].origin)
print(resident_bytes() - before)
"""
APART = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "terminal.cli.app", "policy", "import-gtfs", sys.argv[1]], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss // 1024, used.ru_utime + used.ru_stime)
"""
"""Started apart, because a process begins with the size of the one that starts it."""


def importing() -> Iterator[Result]:
    """From files of text to checked tables, then from the written tables to an index."""
    with tempfile.TemporaryDirectory() as folder:
        feed = write_city(Path(folder) / "feed", LEG_RULES)
        begun = time.process_time()
        tables = import_feed(feed).tables
        rules = len(tables.fare_leg_rules)
        yield at_most(f"GTFS import of {rules} leg rules", time.process_time() - begun, "s", 0.2, "CPU")
        content = msgspec.json.encode(tables)
        begun = time.process_time()
        _fares(msgspec.json.decode(content, type=GtfsTables))
        loading = (time.process_time() - begun) * 1000
        yield at_most(f"loading and indexing {rules} leg rules", loading, "ms", 150.0, "CPU")


def _stops_of(folder: Path, rows: int) -> int:
    """Give the feed in `folder` a stops.txt of as many rows, each of more than a kilobyte; returns its size."""
    described = "a stop with a long description, " * 36
    with (folder / "stops.txt").open("w", encoding="utf-8") as file:
        file.write("stop_id,stop_desc\n")
        file.writelines(f'stop_{number:06},"{described}"\n' for number in range(rows))
    return (folder / "stops.txt").stat().st_size


def large_stops() -> Iterator[Result]:
    """The command on a feed with a stops.txt of 120 MB: the memory of its process, and its time."""
    with tempfile.TemporaryDirectory() as folder:
        feed = write_city(Path(folder) / "feed", 1)
        (feed / "stop_areas.txt").unlink()
        size = _stops_of(feed, 103_000)
        command = [sys.executable, "-c", APART, str(feed)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        most_mb, took_s = done.stdout.splitlines()[-1].split()
        note = f"{size // 10**6} MB"
        yield at_most("memory of a GTFS import with a large stops.txt", float(most_mb), "MB", 300.0, note)
        yield at_most("GTFS import with a large stops.txt", float(took_s), "s", 10.0, f"{note}, CPU")


def deciding() -> Iterator[Result]:
    """Each case for a small feed and for larger ones; the last line of a case compares them."""
    cases: dict[str, list[float]] = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            tables = import_feed(write_city(Path(folder) / "feed", size)).tables
        for name, decide in (*_cases(_fares(tables)).items(), *_everywhere_free(tables).items()):
            took_us = median_us(decide)
            cases.setdefault(name, []).append(took_us)
            yield at_most(f"GTFS {name}, {len(tables.fare_leg_rules)} leg rules", took_us, "us", 50.0)
    for name, took in cases.items():
        growth = took[-1] / took[0]
        yield at_most(f"GTFS {name}: {LEG_RULES} leg rules beside {SIZES[0]}", growth, "x", 1.5)


def memory() -> Iterator[Result]:
    """What a process grows by when it loads the tables, with every remembered lookup filled."""
    with tempfile.TemporaryDirectory() as folder:
        tables = import_feed(write_city(Path(folder) / "feed", LEG_RULES)).tables
        file = Path(folder) / "tables.json"
        file.write_bytes(msgspec.json.encode(tables))
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, file], capture_output=True, text=True, check=True
        )
        stops = len(tables.stops)
        note = f"{len(tables.fare_leg_rules)} leg rules, {stops} stops"
        yield at_most("memory of loaded GTFS fares", int(done.stdout) / 2**20, "MB", 20.0, note)


def _fares(tables: GtfsTables) -> FeedFares:
    return FeedFares.of(GtfsFares(destination=Destination.DEAREST, tables=tables))


def _cases(fares: FeedFares) -> dict[str, Callable[[], object]]:
    """What a validator does, with the card's bits read and written again."""
    first = Leg("net_0_0", MORNING, "zone_0_1")
    known = Leg("net_0_0", MORNING, "zone_0_1", "zone_1_2", MORNING)
    later = MORNING + timedelta(minutes=20)
    second = Leg("net_1_3", later, "zone_1_2")
    boarded = board(fares, NOTHING, first, RIDER, MEDIUM)
    assert isinstance(boarded, Charged)
    left = alight(fares, boarded.state, "zone_1_2", later, RIDER, MEDIUM)
    assert isinstance(left, Charged)
    open_ride, journey = (
        fares.card.write(boarded.state, second_of(MORNING)),
        fares.card.write(left.state, second_of(later)),
    )
    tap_on, tap_off = (
        Written(second_of(MORNING), "net_0_0", boarded.charge_minor),
        Written(second_of(later), "net_0_0", 0),
    )

    def transfer() -> None:
        state = fares.card.read(journey, tap_off, second_of(later))
        taken = board(fares, state, second, RIDER, MEDIUM)
        assert isinstance(taken, Charged)
        fares.card.write(taken.state, second_of(later))

    def leave() -> None:
        state = fares.card.read(open_ride, tap_on, second_of(later))
        taken = alight(fares, state, "zone_1_2", later, RIDER, MEDIUM)
        assert isinstance(taken, Charged)
        fares.card.write(taken.state, second_of(later))

    return {
        "first ride to a known stop": lambda: board(fares, NOTHING, known, RIDER, MEDIUM),
        "first ride, dearest end": lambda: board(fares, NOTHING, first, RIDER, MEDIUM),
        "transfer, dearest end": transfer,
        "tap-off": leave,
    }


def _everywhere_free(tables: GtfsTables) -> dict[str, Callable[[], object]]:
    """The feed with one rule for all transfers, so that no end is dearer than another."""
    rule = FareTransferRule(
        fare_transfer_type=TransferType.FROM_AND_TRANSFER,
        transfer_count=UNLIMITED,
        duration_limit=3600,
        duration_limit_type=LimitType.DEPARTURE_TO_DEPARTURE,
    )
    fares = _fares(msgspec.structs.replace(tables, fare_transfer_rules=(rule,)))
    return {"free transfer, any end": _cases(fares)["transfer, dearest end"]}


if __name__ == "__main__":
    for part in (importing, large_stops, deciding, memory):
        for result in part():
            result.print()
