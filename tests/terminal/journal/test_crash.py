"""Killed at any moment, or stopped by the disk: no acknowledged row is lost, no number reused or left out."""

from __future__ import annotations

import random
import subprocess
import sys

from terminal.journal.journal import Journal
from terminal.journal.records import Intent, parse_record
from terminal.journal.verify import verify

APPENDER = [sys.executable, "-m", "tests.terminal.journal.appender"]


def test_kill_9_again_and_again(tmp_path):
    path = tmp_path / "journal.db"
    rng = random.Random(20)
    promised = 0
    for _ in range(8):
        process = subprocess.Popen([*APPENDER, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(rng.randrange(1, 150)):
            assert int(process.stdout.readline()) == promised + 1
            promised += 1
        process.kill()
        rest = [int(line) for line in process.stdout.read().splitlines() if line]
        process.wait()
        process.stdout.close()
        promised = max([promised, *rest])

        found = verify(path)
        assert found.ok, found.problem
        assert promised <= found.last <= promised + 1  # a row may be durable before it could be announced
        journal = Journal.open(path, 7)
        check_open_intents(journal)
        journal.close()
        promised = found.last
    assert verify(path).first == 1


def check_open_intents(journal: Journal) -> None:
    """What the journal says is open must be what its rows say."""
    rows = [(row.sequence, parse_record(row.body)) for row in journal.rows(limit=10_000)]
    assert [number for number, _ in rows] == list(range(1, journal.head.sequence + 1))
    settled = {record.intent for _, record in rows if not isinstance(record, Intent)}
    assert journal.open_intents() == [
        (number, record) for number, record in rows if isinstance(record, Intent) and number not in settled
    ]


def test_a_disk_that_fails_in_the_middle_of_a_row(tmp_path):
    path = tmp_path / "journal.db"
    done = subprocess.run([*APPENDER, str(path), "200000"], capture_output=True, text=True, check=True)
    *stored, error = done.stdout.splitlines()
    assert "no room on the disk" in error
    assert "may not grow beyond 200000 bytes" in error
    assert "Free space" in error
    found = verify(path)
    assert (found.ok, found.last) == (True, int(stored[-1]))
    journal = Journal.open(path, 7)
    assert journal.next_sequence == found.last + 1
    journal.close()
