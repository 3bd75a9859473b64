"""The active set by itself: what is taken, what is refused and goes on, and when what waits comes into force (O-01)."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from terminal.clock import unix_ms
from terminal.codes import SetKind, UpdateFault
from terminal.errors import ActiveSetError, RegionDocumentError
from terminal.journal.journal import Journal
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import parse_record
from terminal.journal.succession import begin_anew
from terminal.policy.routes import NO_ROUTES, RouteBook
from terminal.updates.active import ActiveSet
from terminal.updates.edition import Edition, Published, SetRefusal
from terminal.updates.floors import FLOORS_FILE, read_floors
from terminal.updates.parts import RegionPart, RoutesPart
from terminal.updates.store import ACTIVE_FILE, LEFT_BYTES
from tests.currencies import demo_in
from tests.terminal.updates.published import offered, opened, region, routes

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal.open(tmp_path / "journal.db", 7)
    yield made
    made.close()


@pytest.fixture
def active(tmp_path: Path, journal: Journal) -> Iterator[ActiveSet]:
    """Region 3 and routes 3 in force."""
    made = opened(tmp_path / "state")
    assert offered(made, SetKind.REGION, region(3), NOW) == ""
    assert offered(made, SetKind.ROUTES, routes(3), NOW) == ""
    made.activate(made.due(NOW), NOW, journal)
    yield made
    made.close()


def versions(active: ActiveSet) -> dict[str, int]:
    return {one.kind.value: one.in_force.version for one in active.status() if one.in_force is not None}


def rows(journal: Journal) -> list[tuple[str, int]]:
    records = (parse_record(row.body) for row in journal.rows())
    return [(one.kind, one.version) for one in records if isinstance(one, SetActivated)]


def test_a_newer_version_waits_for_the_next_activation_and_a_row_says_so_first(
    active: ActiveSet, journal: Journal
) -> None:
    assert offered(active, SetKind.ROUTES, routes(4, mode="metro"), NOW) == ""
    assert versions(active) == {"region": 3, "routes": 3}, (
        "only the thread that serves cards puts it in force"
    )
    (held,) = active.activate(active.due(NOW), NOW, journal)
    assert (held.kind, held.version) == (SetKind.ROUTES, 4)
    book = active.value(SetKind.ROUTES, NO_ROUTES)
    assert book.by_number[15].mode == "metro"
    assert rows(journal) == [("region", 3), ("routes", 3), ("routes", 4)]
    assert active.due(NOW) == ()


def test_a_tariff_in_another_currency_is_refused_while_purses_count_in_the_present_one(
    active: ActiveSet,
) -> None:
    """O-01: the same document, a newer version; the cards' purses would be worth something else over night."""
    assert offered(
        active, SetKind.REGION, demo_in("KZT", ("version = 1\n", "version = 4\n")).encode(), NOW
    ) == (UpdateFault.OTHER_CURRENCY)
    assert versions(active)["region"] == 3


def test_what_another_thread_has_put_in_force_meanwhile_is_not_put_there_twice(
    active: ActiveSet, journal: Journal
) -> None:
    """A till loads its roster on its own thread, while the one that serves cards has just seen that it is due."""
    assert offered(active, SetKind.ROUTES, routes(4, mode="metro"), NOW) == ""
    due = active.due(NOW)
    assert len(active.activate(due, NOW, journal)) == 1
    assert active.activate(due, NOW, journal) == ()
    assert rows(journal).count(("routes", 4)) == 1


@pytest.mark.parametrize(
    ("kind", "content", "fault"),
    [
        (SetKind.REGION, region(2), UpdateFault.OLDER),
        (SetKind.REGION, region(3, until="2035-01-01T00:00:00+03:00"), UpdateFault.CHANGED),
        (SetKind.REGION, region(4, name="other"), UpdateFault.OTHER_DOCUMENT),
        (SetKind.REGION, region(4, number=35), UpdateFault.OTHER_REGION),
        (SetKind.REGION, region(4, until="2026-11-30T12:00:00+00:00"), UpdateFault.ENDED),
        (SetKind.REGION, region(4)[:-40], UpdateFault.UNREADABLE),
        (SetKind.REGION, b"\xff\xfe", UpdateFault.UNREADABLE),
        (SetKind.REGION, b"a = " + b"[" * 5000, UpdateFault.UNREADABLE),
        (SetKind.REGION, b"#" * (5 << 20), UpdateFault.TOO_LARGE),
        (SetKind.ROUTES, routes(2), UpdateFault.OLDER),
        (SetKind.ROUTES, routes(3, mode="bus"), UpdateFault.CHANGED),
        (SetKind.ROUTES, routes(4, name="other"), UpdateFault.OTHER_DOCUMENT),
        (SetKind.ROUTES, routes(4, region=35), UpdateFault.OTHER_REGION),
        (SetKind.ROUTES, b"", UpdateFault.UNREADABLE),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_o_01_what_is_not_its_successor_is_refused_and_the_present_one_goes_on(
    active: ActiveSet, tmp_path: Path, kind: SetKind, content: bytes, fault: UpdateFault
) -> None:
    assert offered(active, kind, content, NOW) == fault
    assert versions(active) == {"region": 3, "routes": 3}
    assert active.due(LATER) == ()
    slots = [path for path in (tmp_path / "state/active").glob("*/*") if path.is_dir()]
    assert len(slots) == 2, "nothing is left of what was refused"


def test_the_same_again_is_no_offer(active: ActiveSet) -> None:
    assert offered(active, SetKind.REGION, region(3), NOW) == ""
    assert active.due(NOW) == ()


def test_a_tariff_of_tomorrow_waits_for_its_moment(active: ActiveSet, journal: Journal) -> None:
    assert offered(active, SetKind.REGION, region(4, since="2026-11-30T13:00:00+00:00"), NOW) == ""
    assert active.due(LATER - timedelta(milliseconds=1)) == ()
    assert active.due(None) == (), "a clock in doubt brings nothing into force"
    assert offered(active, SetKind.REGION, region(3), NOW) == "", "the present one is known still"
    active.activate(active.due(LATER), LATER, journal)
    assert versions(active)["region"] == 4
    (known,) = (one for one in active.status() if one.kind is SetKind.REGION)
    assert known.in_force is not None
    assert (known.in_force.at_ms, known.floor, known.pending) == (unix_ms(LATER), 4, None)


def test_what_waits_survives_a_restart_and_what_has_ended_by_then_is_dropped(
    tmp_path: Path, active: ActiveSet, journal: Journal
) -> None:
    first, last = "2026-11-30T13:00:00+00:00", "2026-11-30T14:00:00+00:00"
    assert offered(active, SetKind.REGION, region(4, since=first, until=last), NOW) == ""
    active.close()
    with closing(opened(tmp_path / "state")) as again:
        assert again.due(LATER) == (), "not read yet"
        again.load_pending()
        assert again.due(LATER) == (SetKind.REGION,)
        assert again.due(LATER + timedelta(hours=2)) == ()
        again.drop_ended(LATER + timedelta(hours=2))
        (known,) = (one for one in again.status() if one.kind is SetKind.REGION)
        assert known.pending is None
        assert known.refused is not None
        assert known.refused.fault is UpdateFault.ENDED
        again.resume(journal, LATER, trusted=True)
        assert versions(again)["region"] == 3


def test_a_start_with_its_clock_in_doubt_brings_nothing_new_into_force(
    tmp_path: Path, active: ActiveSet, journal: Journal
) -> None:
    assert offered(active, SetKind.ROUTES, routes(4), NOW) == ""
    active.close()
    with closing(opened(tmp_path / "state")) as again:
        again.load_pending(by=NOW)
        assert again.resume(journal, NOW, trusted=False) == ()
        assert versions(again) == {"region": 3, "routes": 3}
        assert again.resume(journal, NOW, trusted=True) == (SetKind.ROUTES,)


def test_a_start_that_came_no_further_than_the_offer_is_taken_up_again(
    tmp_path: Path, journal: Journal
) -> None:
    for _ in range(2):
        with closing(opened(tmp_path / "state")) as active:
            active.load_pending(by=NOW)
            assert offered(active, SetKind.REGION, region(1), None) == ""
            assert active.foreseen(SetKind.REGION, None, NOW) is not None
    with closing(opened(tmp_path / "state")) as active:
        active.load_pending(by=NOW)
        active.resume(journal, NOW, trusted=True)
        assert versions(active) == {"region": 1}


def test_a_document_that_needs_what_the_terminal_cannot_know_is_refused_until_the_routes_say_it(
    tmp_path: Path,
) -> None:
    def require(document: Any, book: RouteBook) -> None:
        if document.header.version > 1 and not book.by_number:
            raise RegionDocumentError("it needs modes", "Publish routes.")

    parts = {SetKind.ROUTES: RoutesPart(require), SetKind.REGION: RegionPart(require)}
    with closing(ActiveSet(tmp_path, parts)) as active:
        assert offered(active, SetKind.REGION, region(2), NOW) == UpdateFault.UNKNOWABLE
        assert offered(active, SetKind.ROUTES, routes(1), NOW) == ""
        assert offered(active, SetKind.REGION, region(2), NOW) == ""


@pytest.mark.parametrize("name", ["../tables.json", "/etc/hostname", "a/b", "..", "region.toml"])
def test_tables_lie_beside_the_document_and_nowhere_else(name: str) -> None:
    with pytest.raises(RegionDocumentError, match="no name of a file beside"):
        RegionPart().beside(f'[gtfs]\nfile = "{name}"\n'.encode())
    assert RegionPart().beside(b'[gtfs]\nfile = "tables.json"\n') == ("tables.json",)


TOMORROW = "2026-12-01T12:00:00+00:00"


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_while_nothing_is_in_force_what_has_its_moment_goes_before_what_has_not(
    tmp_path: Path, journal: Journal, order: tuple[int, int]
) -> None:
    """A terminal is set up while the tariff of tomorrow is published already, in whatever order they are found."""
    contents = {1: region(1), 2: region(2, since=TOMORROW)}
    with closing(opened(tmp_path / "new")) as made:
        made.load_pending(by=NOW)
        for version in order:
            assert offered(made, SetKind.REGION, contents[version], None) == ""
        made.resume(journal, NOW, trusted=True)
        assert versions(made) == {"region": 1}
        assert offered(made, SetKind.REGION, contents[2], NOW) == "", "offered again, it waits"
        assert [one.pending and one.pending.version for one in made.status()] == [2]
        made.sweep()
    assert len(list((tmp_path / "new/active/region").iterdir())) == 2


def test_what_was_in_force_is_taken_back_while_its_successor_waits(
    tmp_path: Path, active: ActiveSet, journal: Journal
) -> None:
    assert offered(active, SetKind.REGION, region(4, since=TOMORROW), NOW) == ""
    active.close()
    (tmp_path / "state/active/region/1/region.toml").write_bytes(b"damaged")
    with closing(opened(tmp_path / "state")) as again:
        again.load_pending(by=NOW)
        assert offered(again, SetKind.REGION, region(2), NOW) == UpdateFault.OLDER
        assert offered(again, SetKind.REGION, region(3, fare_minor=1), NOW) == UpdateFault.CHANGED
        assert offered(again, SetKind.REGION, region(3), NOW) == ""
        again.resume(journal, NOW, trusted=True)
        assert versions(again) == {"region": 3, "routes": 3}


def test_a_disk_that_fails_is_over_when_what_waited_has_come_into_force(
    active: ActiveSet, journal: Journal
) -> None:
    offered(active, SetKind.ROUTES, routes(4), NOW)
    later = SetRefusal(SetKind.ROUTES, UpdateFault.NO_ROOM, Edition("city_routes", 4, 34))
    active.refuse(later)
    active.activate(active.due(NOW), NOW, journal)
    assert [one.refused for one in active.status()] == [None, None]
    offered(active, SetKind.ROUTES, routes(5), NOW)
    unreadable = SetRefusal(SetKind.ROUTES, UpdateFault.UNREADABLE)
    active.refuse(unreadable)
    active.activate(active.due(NOW), NOW, journal)
    assert [one.refused for one in active.status()] == [None, unreadable], "which is of another file"


@pytest.mark.parametrize(("free", "code"), [(LEFT_BYTES + 5_000, UpdateFault.NO_ROOM), (1 << 30, "")])
def test_a_slot_leaves_the_journal_its_room(
    active: ActiveSet, monkeypatch: pytest.MonkeyPatch, free: int, code: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))
    content = routes(4) + b"#" * 10_000
    assert offered(active, SetKind.ROUTES, content, NOW) == code


def test_no_room_for_a_slot_leaves_everything_as_it_was(
    active: ActiveSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "link", full)
        assert offered(active, SetKind.ROUTES, routes(4), NOW) == UpdateFault.NO_ROOM
    assert versions(active) == {"region": 3, "routes": 3}
    assert offered(active, SetKind.ROUTES, routes(4), NOW) == ""


def test_a_refusal_is_said_once_and_is_over_when_something_better_comes(active: ActiveSet) -> None:
    refused = active.offer(SetKind.ROUTES, Published("routes.toml", routes(2)), NOW).refused
    assert refused is not None
    active.refuse(refused, b"a file")
    active.refuse(refused, b"a file")
    assert (active.refusals.qsize(), refused.inputs) == (1, {"kind": "routes", "version": 2, "known": 3})
    assert [one.refused for one in active.status()] == [None, refused]
    offered(active, SetKind.ROUTES, routes(4), NOW)
    assert [one.refused for one in active.status()] == [None, None]


# what lies on the disk is damaged, or older than the journal


def test_a_damaged_slot_is_replaced_by_the_same_version_and_by_no_older_one(
    tmp_path: Path, active: ActiveSet, journal: Journal
) -> None:
    active.close()
    for slot in (tmp_path / "state/active/routes").iterdir():
        (slot / "routes.toml").write_bytes(routes(3, mode="bus"))
    with closing(opened(tmp_path / "state")) as again:
        assert versions(again) == {"region": 3}
        assert [one.refused and one.refused.fault for one in again.status()] == [None, UpdateFault.DAMAGED]
        with pytest.raises(ActiveSetError, match="routes: version 3 was in force, and there is none"):
            again.resume(journal, NOW, trusted=True)
        assert offered(again, SetKind.ROUTES, routes(2), NOW) == UpdateFault.OLDER
        assert offered(again, SetKind.ROUTES, routes(3), NOW) == "", "what was in force, whole"
        again.resume(journal, NOW, trusted=True)
        assert versions(again) == {"region": 3, "routes": 3}


def test_a_damaged_database_is_put_aside_and_the_journal_is_the_floor(
    tmp_path: Path, active: ActiveSet, journal: Journal
) -> None:
    active.close()
    database = tmp_path / "state" / ACTIVE_FILE
    database.write_bytes(b"SQLite format 3\0" + bytes(4000))
    database.with_name(FLOORS_FILE).unlink()
    with closing(opened(tmp_path / "state")) as again:
        assert again.damaged
        assert database.with_name("active.db.damaged").exists()
        assert (
            offered(again, SetKind.REGION, region(2), NOW),
            offered(again, SetKind.ROUTES, routes(3), NOW),
        ) == ("", "")
        with pytest.raises(
            ActiveSetError, match="region: version 3 was in force, and what there is has version 2"
        ):
            again.resume(journal, NOW, trusted=True)
        with pytest.raises(ActiveSetError, match="region: version 3 was in force"):
            again.resume(journal, NOW, trusted=True)
    assert rows(journal) == [("region", 3), ("routes", 3)], "the floor is where it was"


def test_what_waits_in_an_older_copy_of_the_database_does_not_lower_the_floor(
    tmp_path: Path, active: ActiveSet, journal: Journal
) -> None:
    offered(active, SetKind.ROUTES, routes(4), NOW)
    active.close()
    database = tmp_path / "state" / ACTIVE_FILE
    before = database.read_bytes()
    with closing(opened(tmp_path / "state")) as newer:
        offered(newer, SetKind.ROUTES, routes(5), NOW)
        newer.activate(newer.due(NOW), NOW, journal)
    database.write_bytes(before)
    for _start in range(2):
        with closing(opened(tmp_path / "state")) as again:
            again.load_pending(by=NOW)
            with pytest.raises(ActiveSetError, match="routes: version 5 was in force"):
                again.resume(journal, NOW, trusted=True)
    assert rows(journal)[-1] == ("routes", 5)


def test_an_older_copy_of_the_database_is_no_way_back(
    tmp_path: Path, active: ActiveSet, journal: Journal
) -> None:
    database = tmp_path / "state" / ACTIVE_FILE
    before = database.read_bytes()
    offered(active, SetKind.ROUTES, routes(4), NOW)
    active.activate(active.due(NOW), NOW, journal)
    active.close()
    database.write_bytes(before)
    with (
        closing(opened(tmp_path / "state")) as again,
        pytest.raises(
            ActiveSetError, match="routes: version 4 was in force, and what there is has version 3"
        ),
    ):
        again.resume(journal, NOW, trusted=True)


def test_reading_makes_and_changes_nothing(tmp_path: Path) -> None:
    with closing(ActiveSet(tmp_path, {SetKind.ROUTES: RoutesPart()}, to_read=True)) as active:
        assert active.status() == ()
    assert list(tmp_path.iterdir()) == []


def test_with_journal_and_database_lost_the_file_beside_them_is_the_floor(
    tmp_path: Path, active: ActiveSet, journal: Journal
) -> None:
    active.close()
    state = tmp_path / "state"
    (state / ACTIVE_FILE).unlink()
    anew = journal_begun_anew(tmp_path, journal)
    with closing(anew), closing(opened(state)) as again:
        assert offered(again, SetKind.REGION, region(2), NOW) == UpdateFault.OLDER
        with pytest.raises(ActiveSetError, match="region: version 3 was in force, and there is none"):
            again.require_all()
        assert offered(again, SetKind.REGION, region(3), NOW) == "", "the very one"
        assert offered(again, SetKind.ROUTES, routes(4), NOW) == ""
        again.resume(anew, NOW, trusted=True)
        assert versions(again) == {"region": 3, "routes": 4}
        assert again.refusals.empty()


@pytest.mark.parametrize("harm", [lambda _: b"", lambda content: content.replace(b"[3,", b"[2,", 1)])
def test_where_nothing_is_left_of_the_floor_the_terminal_says_so(
    tmp_path: Path, active: ActiveSet, journal: Journal, harm: Any
) -> None:
    active.close()
    state = tmp_path / "state"
    (state / ACTIVE_FILE).unlink()
    floors = state / FLOORS_FILE
    floors.write_bytes(harm(floors.read_bytes()))
    anew = journal_begun_anew(tmp_path, journal)
    with closing(anew), closing(opened(state)) as again:
        assert offered(again, SetKind.REGION, region(2), NOW) == ""
        again.resume(anew, NOW, trusted=True)
        said = again.refusals.get_nowait()
        assert (said.kind, said.fault, said.version) == (SetKind.REGION, UpdateFault.FLOOR_LOST, 2)
        assert read_floors(state)[SetKind.REGION].version == 2, "from here on it is known again"
    with closing(Journal.open(tmp_path / "journal.db", 7)) as journal, closing(opened(state)) as later:
        later.resume(journal, NOW, trusted=True)
        assert later.refusals.empty(), "once"


def test_a_floor_file_that_was_lost_is_made_again_by_the_next_start(
    tmp_path: Path, active: ActiveSet, journal: Journal
) -> None:
    active.close()
    floors = tmp_path / "state" / FLOORS_FILE
    before = floors.read_bytes()
    floors.unlink()
    with closing(opened(tmp_path / "state")) as again:
        again.resume(journal, NOW, trusted=True)
    assert floors.read_bytes() == before


def journal_begun_anew(folder: Path, journal: Journal) -> Journal:
    """A new one in the place of `journal`, of which nothing could be read."""
    journal.close()
    assert begin_anew(folder / "journal.db", 7, None)
    return Journal.open(folder / "journal.db", 7)
