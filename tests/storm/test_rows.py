"""A stress run of buses and canteens, with every kind of fault, writes codes and no sentences."""

from __future__ import annotations

from pathlib import Path

from terminal.journal.records import Committed, Intent, Started, Unresolved, Unwritten, parse_record
from terminal.lab.stress.faults.plan import Kind
from terminal.lab.stress.play import play
from terminal.lab.stress.run import TownSeed
from terminal.lab.stress.world import open_storm_town
from tests.journal_rows import assert_codes


def test_every_string_of_a_stress_run_is_a_code(tmp_path: Path) -> None:
    town = TownSeed(2, 6, 30)
    with open_storm_town(tmp_path, town.seed, 6, town.riders, town.pupils, disks=False) as opened:
        play(opened, town.plan(400, frozenset(Kind)), lambda _count: None)
        records = [parse_record(row.body) for row in opened.store.records()]
    assert assert_codes(records) > 400
    assert {Started, Intent, Committed, Unresolved, Unwritten} <= {type(one) for one in records}
