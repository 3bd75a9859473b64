"""A terminal on new hardware: no number lost unnoticed, none used twice, and two machines never pass for one."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from terminal.clock import from_unix_ms
from terminal.codes import SetKind, UpdateFault
from terminal.errors import BackupError, CollectorError, JournalDamaged, KeyFileError, RestoreRefused
from terminal.journal.chain import Head, link
from terminal.journal.key_file import load_key
from terminal.journal.operation_records import ClockAuthenticated, Restored, SetActivated
from terminal.journal.records import SettledBy, build_record
from terminal.journal.room import CAPACITY_ROWS
from terminal.journal.verify import verify
from terminal.keys.sealing import StorageKeys
from terminal.operations import restore as restore_module
from terminal.operations.archive import PIECE_BYTES, BackupHeader, read_archive, read_header, write_archive
from terminal.operations.restore import RESERVE
from terminal.sync.exchange import Answer
from terminal.sync.wire import build_batch, encode, parse_ack
from terminal.trip.clock_watch import floor_ms
from terminal.trip.shifts import open_shift
from tests.terminal.journal.samples import committed, intent
from tests.terminal.operations.machines import KEYS, NUMBER, Back, Machine, SteadyClock
from tests.terminal.sync.station import no_answer
from tests.terminal.updates.published import offered, opened, routes

Hardware = Callable[[str], Machine]


@pytest.fixture
def back(tmp_path: Path) -> Iterator[Back]:
    made = Back(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def hardware(tmp_path: Path, back: Back) -> Iterator[Hardware]:
    """`hardware("old")`: a machine with a new identity, whose journal is closed at the end."""
    made: list[Machine] = []

    def one(name: str) -> Machine:
        made.append(Machine(tmp_path / name, back))
        return made[-1]

    yield one
    for machine in made:
        machine.stop()


@pytest.fixture
def old(hardware: Hardware) -> Machine:
    """Enrolled, three rides on record, all of them sent."""
    machine = hardware("old")
    machine.enrol()
    machine.start()
    machine.take(3)
    assert machine.sync().problem is None
    return machine


def sound(machine: Machine) -> bool:
    return verify(machine.path, load_key(machine.path, machine.back.sealer)).ok


def test_taps_after_the_backup_that_were_sent_stay_and_their_numbers_are_passed_over(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    backup = tmp_path / "backup"
    assert old.back_up(backup).head == 6
    later = old.take(2)
    assert old.sync().problem is None
    new = hardware("new")
    new.enrol()
    done = new.restore(backup)
    assert (done.sent, done.held_through, done.first) == (0, 10, 10 + RESERVE + 1)
    new.start()
    numbers = new.take(4)
    assert new.sync().problem is None
    held = back.held()
    assert set(later) <= set(held)
    assert min(numbers) > 10 + RESERVE
    assert set(held) == {*range(1, 11), *new.rows()}
    assert back.alarms() == [("gap", 11)]
    assert sound(new)


def test_rows_of_the_backup_that_never_left_are_sent_before_anything_else(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    old.take(250)
    old.back_up(tmp_path / "backup")
    old.stop()
    new = hardware("new")
    new.enrol()
    done = new.restore(tmp_path / "backup")
    assert (done.sent, done.held_through) == (500, 506)
    assert set(back.held()) == {*range(1, 507), done.first, done.first + 1}


def test_a_collector_that_asks_for_a_pause_gets_one(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    old.take(300)
    old.back_up(tmp_path / "backup")
    new = hardware("new")
    new.enrol()
    answers: list[Answer] = []

    def busy_now_and_then(answer: Answer) -> Answer:
        answers.append(answer)
        return Answer(429, b'{"error": "rate", "advice": "Wait."}', 0.01) if len(answers) == 3 else answer

    new.wire.alter = busy_now_and_then
    done = new.restore(tmp_path / "backup")
    assert set(back.held()) == {*range(1, 607), done.first, done.first + 1}


def test_taps_that_only_the_old_hardware_knew_are_named_lost_and_their_numbers_never_come_back(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    old.back_up(tmp_path / "backup")
    on_cards = old.take(5)  # never sent: the machine burns
    new = hardware("new")
    new.enrol()
    done = new.restore(tmp_path / "backup")
    new.start()
    numbers = new.take(5)
    assert new.sync().problem is None
    assert not set(numbers) & set(on_cards)
    assert set(on_cards) <= set(range(done.held_through + 1, done.first))
    assert back.alarms() == [("gap", 7)]
    assert back.detail("gap") == f"rows_lost first=7 last={done.first - 1} backup=6"
    restored = back.held()[done.first]
    assert isinstance(restored, Restored)
    assert (restored.after, restored.backup, restored.software, restored.version) == (6, 6, "a_program", "2")


def test_the_chain_goes_through_the_gap(tmp_path: Path, back: Back, old: Machine, hardware: Hardware) -> None:
    """Whoever holds the records can prove that nothing but the declared range is missing."""
    old.back_up(tmp_path / "backup")
    assert old.journal is not None
    before = old.journal.head
    new = hardware("new")
    new.enrol()
    done = new.restore(tmp_path / "backup")
    journal = new.start()
    first = journal.rows(limit=1)[0]
    assert (first.sequence, first.hash) == (done.first, link(before.hash, first.body))


def test_restored_twice_from_one_backup(tmp_path: Path, back: Back, old: Machine, hardware: Hardware) -> None:
    """The second machine died before it sent a single tap; its numbers may be on cards all the same."""
    old.back_up(tmp_path / "backup")
    second, third = hardware("second"), hardware("third")
    second.enrol()
    second.restore(tmp_path / "backup")
    second.start()
    on_cards = second.take(3)
    third.enrol()
    done = third.restore(tmp_path / "backup")
    third.start()
    numbers = third.take(3)
    assert third.sync().problem is None
    assert min(numbers) > done.first > max(on_cards) + CAPACITY_ROWS
    assert [kind for kind, _ in back.alarms()] == ["gap", "gap"]
    assert second.sync().problem is not None
    assert back.strangers()[0][:2] == ("bad_signature", 7)


def test_the_old_machine_comes_back_and_is_locked_out(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    old.back_up(tmp_path / "backup")
    new = hardware("new")
    new.enrol()
    new.restore(tmp_path / "backup")
    old.take(1)
    report = old.sync()
    assert report.problem is not None
    assert "bad_signature" in report.problem.what
    assert back.strangers()[0][:2] == ("bad_signature", 7)


def test_both_machines_under_one_identity_are_found_out(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    """Somebody copied the private key to the new hardware; both go on taking taps."""
    old.back_up(tmp_path / "backup")
    new = Machine(tmp_path / "new", back, old.identity)
    done = new.restore(tmp_path / "backup")
    new.start()
    new.take(2)
    assert new.sync().problem is None
    old.take(2)
    assert old.sync().problem is not None
    assert ("other_hash", 7) in back.alarms()
    assert back.detail("other_hash").startswith("given_up ")
    new.take(1)
    assert new.sync().problem is None, "the restored machine goes on"
    assert set(back.held()) == {*range(1, 7), *range(done.first, done.first + 8)}
    new.stop()


def test_a_copied_folder_is_found_out(tmp_path: Path, back: Back, old: Machine) -> None:
    """The wrong way to move a terminal: everything copied, then both go on."""
    old.stop()
    shutil.copytree(old.folder, tmp_path / "copy")
    copy = Machine(tmp_path / "copy", back, old.identity)
    for machine in (old, copy):
        machine.start()
    assert old.journal is not None
    old.take(2)
    assert old.sync().problem is None
    copy.take_torn()
    assert copy.sync().problem is not None
    assert [kind for kind, _ in back.alarms()] == ["other_hash"]
    copy.stop()


def test_the_clock_is_not_before_what_the_collector_signed(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    """New hardware comes with any clock: it begins with the time that the collector has just signed, and where the two
    differ the old rows are a floor as well.
    """
    assert old.journal is not None
    known_ms = old.journal.clock.newest_ms
    old.back_up(tmp_path / "backup")
    for name, ahead_s, late in (
        ("right", 0, True),
        ("ahead", 600, True),
        ("behind", -600, True),
        ("set_back", 600, False),
    ):
        back.clock.at = from_unix_ms(known_ms) + timedelta(hours=1 if late else -1)
        new = hardware(name)
        new.enrol()
        signed: list[int] = []

        def reads(
            answer: Answer, new: Machine = new, signed: list[int] = signed, by: int = ahead_s
        ) -> Answer:
            if not signed:
                signed.append(parse_ack(answer.body).at_ms)
                new.clock.at += timedelta(seconds=by)
            return answer

        new.clock, new.wire.alter = SteadyClock(), reads
        new.clock.at = back.clock.at
        done = new.restore(tmp_path / "backup")
        journal = new.start()
        said = new.rows()[done.first + 1]
        assert isinstance(said, ClockAuthenticated)
        assert (said.stated_ms, round((said.at_ms - said.stated_ms) / 1000)) == (signed[0], ahead_s)
        floor = floor_ms(journal.clock, made_ms=0)
        assert floor - (signed[0] if late else known_ms) in range(10), name
        new.stop()


def test_unresolved_taps_go_along_and_a_shift_does_not(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    assert old.journal is not None
    shift = open_shift(old.journal, back.clock.now(), "17", "bus").shift
    torn = old.take_torn()
    old.back_up(tmp_path / "backup")
    new = hardware("new")
    new.enrol()
    done = new.restore(tmp_path / "backup")
    assert (done.unresolved, done.shift_ended) == (1, shift)
    journal = new.start()
    found = journal.unresolved(b"torncard")
    assert found is not None
    assert found[0] == torn
    assert journal.open_shift is None
    journal.append(committed(torn, how=SettledBy.RECOVERED))
    assert new.sync().problem is None
    assert journal.unresolved(b"torncard") is None


def test_without_the_collector_there_is_no_restore_and_it_can_be_tried_again(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    old.back_up(tmp_path / "backup")
    new = hardware("new")
    new.enrol()
    new.wire.alter = no_answer
    with pytest.raises(RestoreRefused, match="only the collector knows"):
        _restore(new, tmp_path / "backup")
    assert not new.path.exists()
    new.wire.alter = lambda answer: answer
    new.restore(tmp_path / "backup")
    with pytest.raises(RestoreRefused, match="a journal in"):
        new.restore(tmp_path / "backup")


def test_a_terminal_whose_numbers_end_gets_no_more_hardware(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers passed over and those of the new journal must fit the card's event."""
    old.back_up(tmp_path / "backup")
    new = hardware("new")
    new.enrol()
    monkeypatch.setattr(restore_module, "LAST_BEGUN", RESERVE + CAPACITY_ROWS)
    with pytest.raises(RestoreRefused, match="used up") as refused:
        _restore(new, tmp_path / "backup")
    assert "new terminal number" in refused.value.advice
    assert not new.path.exists()


def _restore(machine: Machine, backup: Path) -> None:
    """The wire of the tests raises what a link raises; a real link does so in `upload`."""
    machine.restore(backup)


def test_the_last_answer_lost_wastes_numbers_and_repeats_none(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    """The collector has taken the first row, but nobody told the new machine: it begins once more, behind it."""
    old.back_up(tmp_path / "backup")
    new = hardware("new")
    new.enrol()
    answers: list[Answer] = []

    def lose_the_second(answer: Answer) -> Answer:
        answers.append(answer)
        return no_answer(answer) if len(answers) == 2 else answer

    new.wire.alter = lose_the_second
    with pytest.raises(RestoreRefused):
        new.restore(tmp_path / "backup")
    taken = max(back.held())
    done = new.restore(tmp_path / "backup")
    assert done.first == taken + RESERVE + 1
    assert set(back.held()) == {*range(1, 7), taken - 1, taken, done.first, done.first + 1}


def test_a_machine_that_is_not_enrolled_is_told_what_to_do(
    tmp_path: Path, old: Machine, hardware: Hardware
) -> None:
    old.back_up(tmp_path / "backup")
    new = hardware("new")
    with pytest.raises(RestoreRefused, match="bad_signature") as refused:
        new.restore(tmp_path / "backup")
    assert "Enrol this machine's own public key" in refused.value.advice


def test_an_old_answer_decides_nothing(tmp_path: Path, back: Back, old: Machine, hardware: Hardware) -> None:
    """Replayed, it would understate how far the old hardware came."""
    old.back_up(tmp_path / "backup")
    replayed = old.wire.answers[-1]
    back.clock.at += timedelta(hours=1)
    new = hardware("new")
    new.enrol()
    new.wire.alter = lambda _answer: replayed
    with pytest.raises(RestoreRefused, match="old, or a clock is wrong"):
        new.restore(tmp_path / "backup")


@pytest.mark.parametrize(
    ("after", "fits", "status"), [(6, True, 200), (5, True, 409), (6, False, 409), (None, True, 409)]
)
def test_a_gap_is_accepted_only_from_a_terminal_that_was_restored(
    back: Back, old: Machine, after: int | None, fits: bool, status: int
) -> None:
    """Its first row names the newest row held, and continues it."""
    assert old.journal is not None
    record = intent() if after is None else Restored(1, after=after, backup=6, backup_at_ms=0)
    body = build_record(record)
    previous = Head(1_000, old.journal.head.hash if fits else bytes(32))
    head = Head(1_001, link(previous.hash, body))
    batch = build_batch(NUMBER, previous, (body,), head, 1, old.identity)
    assert back.intake.take(encode(batch)).status == status
    assert back.alarms() == [("gap", 7)]
    assert (1_001 in back.held()) is (status == 200)
    assert back.intake.take(encode(batch)).status == status, "the same again changes nothing"


# the backup itself


def test_a_backup_holds_what_is_needed_and_not_the_identity(tmp_path: Path, back: Back, old: Machine) -> None:
    for name in ("terminal.key", "terminal.pub", "status.json", "collector.pub", "canteen/price_list.json"):
        (old.folder / name).parent.mkdir(exist_ok=True)
        (old.folder / name).write_text(name)
    old.back_up(tmp_path / "backup")
    read_archive(tmp_path / "backup", tmp_path / "out", back.sealer)
    names = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert names == {"journal.db", "journal.db.key", "collector.pub", "canteen/price_list.json"}
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".backup", ".check"))]


def test_a_backup_of_a_busy_terminal_is_one_moment(tmp_path: Path, back: Back, old: Machine) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            old.take(1)

    busy = threading.Thread(target=work)
    busy.start()
    try:
        heads = [old.back_up(tmp_path / f"backup{n}").head for n in range(5)]
    finally:
        stop.set()
        busy.join()
    assert heads == sorted(heads)
    for number in range(5):
        folder = tmp_path / f"out{number}"
        read_archive(tmp_path / f"backup{number}", folder, back.sealer)
        found = verify(folder / "journal.db", load_key(folder / "journal.db", back.sealer))
        assert (found.problem, found.last) == (None, heads[number])


def test_a_damaged_journal_is_not_backed_up_as_if_it_were_well(tmp_path: Path, old: Machine) -> None:
    old.stop()
    connection = sqlite3.connect(old.path)
    connection.execute("UPDATE row SET body = zeroblob(90) WHERE sequence = 2")
    connection.commit()
    connection.close()
    with pytest.raises(JournalDamaged, match="so is every backup"):
        old.back_up(tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    old.journal = None


def test_a_backup_into_its_own_folder_is_refused(old: Machine) -> None:
    with pytest.raises(BackupError, match="lies in the folder"):
        old.back_up(old.folder / "backups" / "backup")


@pytest.fixture
def archive(tmp_path: Path, back: Back) -> Path:
    """An archive of three pieces."""
    content = tmp_path / "content"
    content.write_bytes(random.Random(1).randbytes(2 * PIECE_BYTES + 100))
    header = BackupHeader(terminal=NUMBER, profile="bus", software="x", at_ms=1, head=6, name="n")
    with (tmp_path / "archive").open("wb") as file:
        write_archive(file, header, {"folder/content": content}, back.sealer)
    return tmp_path / "archive"


def test_an_archive_gives_back_what_was_put_in(tmp_path: Path, back: Back, archive: Path) -> None:
    assert read_header(archive) == read_archive(archive, tmp_path / "out", back.sealer)
    assert (tmp_path / "out" / "folder" / "content").read_bytes() == (tmp_path / "content").read_bytes()


@pytest.mark.parametrize("place", [0, 9, 30, 200, 2_000_000, -20, -1])
def test_no_byte_of_an_archive_can_be_changed(tmp_path: Path, back: Back, archive: Path, place: int) -> None:
    data = bytearray(archive.read_bytes())
    data[place] ^= 1
    archive.write_bytes(data)
    with pytest.raises(BackupError):
        read_archive(archive, tmp_path / "out", back.sealer)


def test_an_archive_cut_between_two_pieces_does_not_open(tmp_path: Path, back: Back, archive: Path) -> None:
    data = archive.read_bytes()
    place = 8 + 4 + int.from_bytes(data[8:12], "big")
    pieces = []
    while place < len(data):
        end = place + 4 + int.from_bytes(data[place : place + 4], "big")
        pieces.append(data[place:end])
        place = end
    assert len(pieces) == 3
    head = data[: len(data) - sum(map(len, pieces))]
    for wrong in (pieces[:2], [pieces[1], pieces[0], pieces[2]], pieces[1:], [*pieces, pieces[2]], []):
        archive.write_bytes(head + b"".join(wrong))
        with pytest.raises(BackupError):
            read_archive(archive, tmp_path / "out", back.sealer)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)


def test_another_key_opens_no_archive_and_a_missing_one_is_named(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(BackupError, match="does not open"):
        read_archive(archive, tmp_path / "out", StorageKeys({**KEYS, "backup": bytes(32)}))
    with pytest.raises(KeyFileError, match="no storage key 'backup'"):
        read_archive(archive, tmp_path / "out", StorageKeys({"journal": bytes(32)}))


def test_a_link_that_fails_is_no_answer(tmp_path: Path, old: Machine, hardware: Hardware) -> None:
    class Dead:
        def upload(self, batch: bytes) -> Answer:
            raise CollectorError("collector cannot be reached", "Wait.")

        def close(self) -> None: ...

    old.back_up(tmp_path / "backup")
    new = hardware("new")
    new.enrol()
    new.wire = Dead()
    with pytest.raises(RestoreRefused, match="cannot be reached"):
        new.restore(tmp_path / "backup")
    assert not (new.folder / "restoring").exists()


def test_the_active_set_comes_back_in_plain_view_and_is_the_floor(
    tmp_path: Path, back: Back, old: Machine, hardware: Hardware
) -> None:
    """What is in force after a restore is as old as the backup: rows say so before the first tap."""
    assert old.journal is not None
    at = back.clock.now()
    with closing(opened(old.folder)) as active:
        for version in (2, 3):
            assert offered(active, SetKind.ROUTES, routes(version), at) == ""
            active.activate(active.due(at), at, old.journal)
        old.back_up(tmp_path / "backup")
        assert offered(active, SetKind.ROUTES, routes(4), at) == ""
        active.activate(active.due(at), at, old.journal)
    old.sync()
    old.stop()
    new = hardware("new")
    new.enrol()
    done = new.restore(tmp_path / "backup")
    assert done.in_force == ("routes city_routes:3",)
    said = back.held()[done.first + 1]
    assert isinstance(said, SetActivated)
    assert (said.version, said.since_ms < said.at_ms) == (3, True)
    with closing(opened(new.folder)) as active:
        active.resume(new.start(), back.clock.now(), trusted=True)
        assert [one.in_force and one.in_force.version for one in active.status()] == [3]
        assert offered(active, SetKind.ROUTES, routes(2), at) == UpdateFault.OLDER
