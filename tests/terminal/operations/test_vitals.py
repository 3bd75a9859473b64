"""What a terminal notices about itself, and that people hear of it once."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from terminal.clock import unix_ms
from terminal.codes import ClockFault, ExtensionFault, PeripheryFault, ReaderFault, SyncFault, Trouble
from terminal.devices import DeviceState
from terminal.errors import CollectorError, JournalFull
from terminal.journal.journal import Journal
from terminal.journal.records import Fault, Started
from terminal.operations.log import Form, Level, Log
from terminal.operations.metrics import terminal_metrics
from terminal.operations.notify import ServiceManager
from terminal.operations.status import EVERY_S, TerminalStatus, read_status
from terminal.operations.vitals import Identity, Vitals
from terminal.reader.presence import PresenceState
from terminal.sync.client import SyncReport
from terminal.trip.clock_watch import ClockWatch

NOW = datetime(2026, 9, 15, 7, tzinfo=UTC)


class TwoClocks:
    """The time of day and the time that runs, moved apart by hand."""

    def __init__(self) -> None:
        self.at, self.seconds = NOW, 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def run(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


class Watched:
    """Vitals over a real journal, with what they said."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self._said = folder, TwoClocks(), io.StringIO()
        self.journal = Journal.open(folder / "journal.db", 7)
        self.journal.append(Started(unix_ms(NOW), software="a program 1"))
        self.vitals = self.new()

    def new(self, manager: ServiceManager | None = None) -> Vitals:
        identity = Identity(7, "bus", "a program 1", self.folder, "a reader")
        log = Log(7, self.clock, Form.TEXT, Level.NOTICE, self._said.write)
        watch = ClockWatch(self.journal, self.clock, 30, NOW - timedelta(days=30))
        return Vitals(identity, self.journal, self.clock, watch, log, manager or ServiceManager())

    def beat(self) -> None:
        self.clock.run(EVERY_S)
        self.vitals.beat(PresenceState.WAIT_FOR_CARD)

    def said(self) -> list[str]:
        return self._said.getvalue().splitlines()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.journal.close()


def test_who_asks_as_soon_as_it_is_ready_gets_an_answer(watched: Watched) -> None:
    class Asks(ServiceManager):
        seen: TerminalStatus | None = None

        def ready(self, status: str) -> None:
            self.seen = read_status(watched.folder)

    manager = Asks()
    watched.new(manager).ready()
    assert manager.seen is not None
    assert (manager.seen.process, manager.seen.stopped) == (os.getpid(), False)


def test_a_clock_that_jumps_is_said_once_and_shown_until_it_is_over(watched: Watched) -> None:
    watched.beat()
    assert watched.vitals.status().clock_fault == ""
    watched.clock.at += timedelta(hours=2)
    for _ in range(3):
        watched.beat()
    status = read_status(watched.folder)
    assert status is not None
    assert (status.clock_fault, status.clock_inputs) == (ClockFault.JUMPED, {"jump_s": 7200})
    assert watched.said() == ["terminal 7: clock: Clock jumped by 7200 s code=clock:jumped jump_s=7200"]
    assert watched.vitals.clock_watch.jumps == 1
    watched.clock.run(24 * 3600)
    watched.beat()
    assert watched.vitals.status().clock_fault == ClockFault.JUMPED
    watched.clock.at -= timedelta(hours=2)
    watched.beat()
    assert watched.vitals.status().clock_fault == ""
    assert watched.said()[1:] == ["terminal 7: clock: in no doubt any more code=clock:works"]


def test_a_reader_that_fails_is_seen_from_outside_at_once(watched: Watched) -> None:
    watched.vitals.reader_failed(ReaderFault.GONE, "unplugged")
    status = read_status(watched.folder)
    assert status is not None
    assert status.reader_fault == ReaderFault.GONE
    page = {
        family.name: family.samples[0].value for family in terminal_metrics(watched.vitals) if family.samples
    }
    assert (page["resident_terminal_reader_up"], page["resident_terminal_reader_outages_total"]) == (0, 1)
    watched.vitals.reader_works()
    assert watched.said() == [
        "terminal 7: reader: Card reader disconnected: unplugged code=reader:gone",
        "terminal 7: reader: works again code=reader:works",
    ]


def test_a_sync_that_fails_is_told_once_until_it_changes(watched: Watched) -> None:
    refused = CollectorError("refused", "Wait.", SyncFault.REFUSED)
    for problem in (refused, refused, CollectorError("unreachable", "Wait."), None, None):
        watched.vitals.synced(SyncReport(0, 1, 0, 1, problem))
    assert watched.said() == [
        "terminal 7: sync: refused. Wait. code=sync:refused",
        "terminal 7: sync: unreachable. Wait. code=sync:unreachable",
        "terminal 7: sync: works again",
    ]
    assert watched.vitals.tally.sync_failures == 3
    assert watched.vitals.collector_heard_at_ms == unix_ms(NOW)


def test_a_status_that_cannot_be_written_stops_nothing_and_is_told_once(watched: Watched) -> None:
    (watched.folder / "status.json.new").mkdir()
    for _ in range(3):
        watched.beat()
    assert [line for line in watched.said() if ": status: " in line] == [
        "terminal 7: status: cannot be written: Is a directory"
    ]


def test_the_oldest_unsent_row_is_told_by_its_own_time(watched: Watched) -> None:
    watched.clock.run(3600)
    watched.journal.append(Started(unix_ms(watched.clock.at), software="x"))
    status = watched.vitals.status()
    assert (status.rows, status.unsent) == (2, 2)
    assert status.oldest_unsent_at_ms == unix_ms(NOW)
    watched.journal.acknowledge(2, watched.journal.head.hash, 1)
    assert watched.vitals.status().oldest_unsent_at_ms is None


def test_a_device_that_fails_is_in_the_status_until_it_works(watched: Watched) -> None:
    vitals = watched.vitals
    led, gps = "signal:led", "vehicle_source:gps"
    watched.beat()
    vitals.device_is(led, DeviceState.RAISES, "OSError: no lamp")
    vitals.device_is(gps, DeviceState.HANGS, "")
    assert vitals.status().devices_failing == {led: DeviceState.RAISES, gps: DeviceState.HANGS}
    watched.beat()
    status = read_status(watched.folder)
    assert status is not None, "the next beat shows it, not the next of every 15 s"
    assert status.devices_failing == vitals.status().devices_failing
    vitals.device_is(led, DeviceState.WORKS, "")
    assert vitals.status().devices_failing == {gps: DeviceState.HANGS}
    assert watched.said()[0] == "terminal 7: device: OSError: no lamp device=signal:led state=raises"


def test_the_journal_records_each_failure_of_an_extension_once_and_leaves_media_to_their_taps(
    watched: Watched,
) -> None:
    for state in (DeviceState.RAISES, DeviceState.WORKS, DeviceState.RAISES, DeviceState.HANGS):
        watched.vitals.device_is("signal:led", state, "")
        watched.vitals.device_is("medium:gym", state, "")
        watched.beat()
    faults = [row.record for row in watched.journal.rows() if isinstance(row.record, Fault)]
    assert [(fault.code, fault.inputs) for fault in faults] == [
        (ExtensionFault.FAILED, {"extension": "signal:led"}),
        (ExtensionFault.HANGS, {"extension": "signal:led"}),
    ]


def test_a_full_journal_and_a_failing_device_at_once_end_nothing(watched: Watched) -> None:
    journal = watched.journal
    watched.journal = watched.vitals.journal = Journal.open(watched.folder / "full.db", 7, capacity_rows=1)
    journal.close()
    watched.journal.append(Started(unix_ms(NOW), software="a program 1"))
    with pytest.raises(JournalFull):
        watched.journal.append(Started(unix_ms(NOW), software="a program 1"))
    watched.vitals.device_is("periphery:printer", DeviceState.RAISES, "OSError: no paper")
    watched.vitals.periphery_says(Trouble(PeripheryFault.FORCED, {"times": 1}))
    watched.beat()
    status = read_status(watched.folder)
    assert status is not None
    assert status.devices_failing == {"periphery:printer": DeviceState.RAISES}
    assert any("Barrier passed or open without a tap" in line for line in watched.said())


def test_a_device_around_the_reader_is_on_record_under_its_own_code(watched: Watched) -> None:
    watched.vitals.device_is("periphery:printer", DeviceState.HANGS, "")
    watched.beat()
    (fault,) = [row.record for row in watched.journal.rows() if isinstance(row.record, Fault)]
    assert (fault.code, fault.inputs) == (PeripheryFault.HANGS, {"device": "printer"})
