"""What thieves of keys, old sticks and accidents can do to a terminal that takes signed bundles: a table of ends.

What is delivered is what the active set would be offered. Nothing that was refused may take what lies ready away.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from terminal.clock import unix_ms
from terminal.fault_texts import fault_text
from tests.terminal.updates.bundle.conftest import Taker
from tests.terminal.updates.bundle.repository import ROLES, Publisher

HUGE = 1 << 31
HONEST = {"timestamp": 1, "snapshot": 1, "deny": 1}


def publish(publisher: Publisher, number: int) -> None:
    """The next issue of both roles."""
    publisher.put(
        "tariff", "city", {"region.toml": b"tariff %d" % number, "tables.zip": b"tables %d" % number}
    )
    publisher.put("deny", "all", {"deny-list": b"deny %d" % number})
    publisher.publish()


def forget(taker: Taker) -> None:
    """The whole memory of metadata is lost, and what was accepted with it, but for the floors."""
    for path in (taker.state / "bundles").glob("metadata-*"):
        shutil.rmtree(path)


def test_what_is_sound_lies_ready_and_a_successor_replaces_it(publisher: Publisher, taker: Taker) -> None:
    report = taker.look(publisher.folder)
    assert taker.faults(report) == {}
    assert {role.role: (role.name, role.version) for role in report.roles if role.name} == {
        "tariff": ("tariff/city", 1),
        "deny": ("deny/all", 1),
    }
    assert taker.has("tariff", "region.toml") == b"tariff 1"
    publish(publisher, 2)
    assert taker.faults(taker.look(publisher.folder)) == {}
    assert taker.has("tariff", "tables.zip") == b"tables 2"
    assert taker.has("deny", "deny-list") == b"deny 2"


def half_signed_tariff(publisher: Publisher) -> None:
    publish(publisher, 2)
    publisher.sign_role("tariff", publisher.signers["tariff"][:1])
    publisher.sign_snapshot()
    publisher.sign_timestamp()


def stolen_tariff_keys(publisher: Publisher) -> None:
    """All of them, and nothing else: what they sign is in no snapshot."""
    genuine = publisher.meta["tariff"].signed.version
    publish(publisher, 2)
    publisher.put("tariff", "city", {"region.toml": b"free rides"})
    publisher.sign_role("tariff", version=genuine + 1)
    publisher.meta["tariff"].to_file(str(publisher.metadata(f"{genuine + 1}.tariff.json")))


def tariff_by_old_keys(publisher: Publisher) -> None:
    """The owners of the delegations have exchanged them."""
    old = publisher.signers["tariff"]
    publisher.delegate(tariff=publisher.new_keys(3))
    publish(publisher, 2)
    publisher.sign_role("tariff", old)
    publisher.sign_snapshot()
    publisher.sign_timestamp()


def expired_tariff(publisher: Publisher) -> None:
    publisher.days["tariff"] = 0
    publish(publisher, 2)


def altered_tables(publisher: Publisher) -> None:
    publish(publisher, 2)
    for found in (publisher.folder / "targets/tariff/city").glob("*.tables.zip"):
        found.write_bytes(b"tables 9")


def missing_tables(publisher: Publisher) -> None:
    publish(publisher, 2)
    for found in (publisher.folder / "targets/tariff/city").glob("*.tables.zip"):
        found.unlink()


def link_in_the_place_of_tables(publisher: Publisher) -> None:
    publish(publisher, 2)
    for found in (publisher.folder / "targets/tariff/city").glob("*.tables.zip"):
        found.unlink()
        found.symlink_to("/etc/hostname")


def link_in_the_place_of_a_folder(publisher: Publisher) -> None:
    publish(publisher, 2)
    found = publisher.folder / "targets/tariff"
    found.rename(publisher.folder / "elsewhere")
    found.symlink_to(publisher.folder / "elsewhere")


def pipe_in_the_place_of_metadata(publisher: Publisher) -> None:
    publish(publisher, 2)
    publisher.metadata("2.tariff.json").unlink()
    os.mkfifo(publisher.metadata("2.tariff.json"))


def too_large_metadata(publisher: Publisher) -> None:
    publish(publisher, 2)
    publisher.metadata("2.tariff.json").write_bytes(b" " * (2 << 20))


def no_metadata(publisher: Publisher) -> None:
    publish(publisher, 2)
    publisher.metadata("2.tariff.json").write_bytes(b"[" * 5000)


def name_that_leads_elsewhere(publisher: Publisher) -> None:
    publish(publisher, 2)
    publisher.put("tariff", "city", {"region.toml": b"tariff 2", "a/../../b": b"x"})
    publisher.publish("tariff")


def two_names(publisher: Publisher) -> None:
    publish(publisher, 2)
    publisher.put("tariff", "suburb", {"region.toml": b"other"}, alone=False)
    publisher.publish("tariff")


@pytest.mark.parametrize(
    ("attack", "fault"),
    [
        (half_signed_tariff, "bundle:unsigned"),
        (stolen_tariff_keys, ""),
        (tariff_by_old_keys, "bundle:unsigned"),
        (expired_tariff, "bundle:expired"),
        (altered_tables, "bundle:mixed"),
        (missing_tables, "bundle:incomplete"),
        (link_in_the_place_of_tables, "bundle:unsafe"),
        (link_in_the_place_of_a_folder, "bundle:unsafe"),
        (pipe_in_the_place_of_metadata, "bundle:unsafe"),
        (too_large_metadata, "bundle:too_large"),
        (no_metadata, "bundle:unreadable"),
        (name_that_leads_elsewhere, "bundle:unsafe"),
        (two_names, "bundle:not_assigned"),
    ],
)
def test_a_bad_tariff_is_refused_by_itself_and_the_deny_list_comes(
    attack: Callable[[Publisher], None], fault: str, publisher: Publisher, taker: Taker
) -> None:
    taker.look(publisher.folder)
    attack(publisher)
    report = taker.look(publisher.folder)
    assert taker.faults(report) == ({"tariff": fault} if fault else {})
    assert taker.has("deny", "deny-list") == b"deny 2"
    if fault:
        pair = taker.has("tariff", "region.toml"), taker.has("tariff", "tables.zip")
        assert pair == (b"tariff 1", b"tables 1"), "the older pair, whole"
        assert [role.version for role in report.roles if role.role == "tariff"] == [1]


def older_stick(publisher: Publisher, taker: Taker) -> None:
    old = publisher.copy(taker.state.with_name("old"))
    publish(publisher, 2)
    taker.look(publisher.folder)
    shutil.rmtree(publisher.folder)
    old.rename(publisher.folder)


def older_stick_and_no_memory(publisher: Publisher, taker: Taker) -> None:
    older_stick(publisher, taker)
    forget(taker)


def emptied_memory(publisher: Publisher, taker: Taker) -> None:
    """As a power cut may leave a file system: files with names and nothing in them."""
    older_stick(publisher, taker)
    for path in (taker.state / "bundles").glob("metadata-*/*.json"):
        if not path.is_symlink():
            path.write_bytes(b"")


def stolen_online_keys(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    publish(publisher, 2)
    publisher.sign_timestamp(version=HUGE)


def stolen_snapshot_key(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    publish(publisher, 2)
    publisher.sign_role("deny", version=HUGE)
    publisher.sign_snapshot()
    publisher.sign_timestamp()


def stolen_tariff_and_online_keys(publisher: Publisher, taker: Taker) -> None:
    """A free tariff with all its signatures and a number so high that none of the owners' would count after it."""
    taker.look(publisher.folder)
    publisher.put("tariff", "city", {"region.toml": b"free rides"})
    publisher.sign_role("tariff", version=HUGE)
    publisher.sign_snapshot()
    publisher.sign_timestamp()


def another_root(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    stranger = Publisher(publisher.folder.with_name("stranger"))
    stranger.put("tariff", "city", {"region.toml": b"free rides"})
    stranger.rotate_root()
    stranger.publish()
    shutil.rmtree(publisher.folder)
    stranger.folder.rename(publisher.folder)


def half_signed_root(publisher: Publisher, taker: Taker) -> None:
    """One owner of three signs the next root for keys of his own."""
    taker.look(publisher.folder)
    publisher.signers["root"] = publisher.signers["root"][:1]
    publisher.rotate_root(root=publisher.new_keys(3))


def unsigned_timestamp(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    publish(publisher, 2)
    publisher.sign_timestamp(publisher.new_keys())


def mixed_snapshot(publisher: Publisher, taker: Taker) -> None:
    """Today's timestamp over yesterday's snapshot."""
    taker.look(publisher.folder)
    publish(publisher, 2)
    shutil.copy(publisher.metadata("1.snapshot.json"), publisher.metadata("2.snapshot.json"))


def half_a_copy(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    publish(publisher, 2)
    publisher.metadata("2.snapshot.json").unlink()


def nothing_there(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    shutil.rmtree(publisher.folder)


def no_root_any_more(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    (taker.state / "trust/root.json").unlink()


def broken_root(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    (taker.state / "trust/root.json").write_bytes(b"{}")


def school_of_its_own(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    publisher.stand_alone = True
    publisher.rotate_root()


def many_roles(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    for number in range(30):
        role = f"roster.{number}"
        publisher.signers[role], publisher.thresholds[role] = publisher.new_keys(), 1
        publisher.files[role], publisher.versions[role] = {}, 0
    publisher.delegate()
    publisher.publish()


@pytest.mark.parametrize(
    ("attack", "role", "fault"),
    [
        (older_stick, "timestamp", "bundle:older"),
        (older_stick_and_no_memory, "timestamp", "bundle:older"),
        (emptied_memory, "timestamp", "bundle:older"),
        (stolen_online_keys, "timestamp", "bundle:jump"),
        (stolen_snapshot_key, "deny", "bundle:jump"),
        (stolen_tariff_and_online_keys, "tariff", "bundle:jump"),
        (another_root, "root", "bundle:unsigned"),
        (half_signed_root, "root", "bundle:unsigned"),
        (unsigned_timestamp, "timestamp", "bundle:unsigned"),
        (mixed_snapshot, "snapshot", "bundle:older"),
        (half_a_copy, "snapshot", "bundle:incomplete"),
        (nothing_there, "timestamp", "bundle:unreachable"),
        (no_root_any_more, "root", "bundle:no_root"),
        (broken_root, "root", "bundle:bad_root"),
        (school_of_its_own, "root", "bundle:stand_alone"),
        (many_roles, "targets", "bundle:too_large"),
    ],
)
def test_a_bad_set_is_refused_whole_and_what_lies_ready_stays(
    attack: Callable[[Publisher, Taker], None], role: str, fault: str, publisher: Publisher, taker: Taker
) -> None:
    attack(publisher, taker)
    before = {kind: taker.has(kind, file) for kind, file in READY}
    assert before["tariff"] is not None
    assert taker.faults(taker.look(publisher.folder)) == {role: fault}
    assert {kind: taker.has(kind, file) for kind, file in READY} == before


READY = (("tariff", "region.toml"), ("deny", "deny-list"))


def test_an_honest_publisher_is_heard_after_a_stolen_high_number(publisher: Publisher, taker: Taker) -> None:
    """Refused numbers leave no trace: the library alone would lock the honest ones out."""
    taker.look(publisher.folder)
    honest = publisher.copy(publisher.folder.with_name("honest"))
    for role in ("timestamp", "snapshot", "deny"):
        getattr(publisher, f"sign_{role}", lambda **kept: publisher.sign_role("deny", **kept))(version=HUGE)
    publisher.sign_snapshot(version=HUGE)
    publisher.sign_timestamp(version=HUGE)
    assert "bundle:jump" in taker.faults(taker.look(publisher.folder)).values()
    publisher.folder, publisher.versions = honest, {**publisher.versions, **HONEST}
    publish(publisher, 2)
    assert taker.faults(taker.look(honest)) == {}
    assert taker.has("deny", "deny-list") == b"deny 2"


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp", "tariff", "deny"])
def test_every_key_can_be_exchanged(role: str, publisher: Publisher, taker: Taker) -> None:
    """And a number that its thief has raised counts no longer: within what a terminal accepts, it began anew."""
    taker.look(publisher.folder)
    fresh = publisher.new_keys(len(publisher.signers[role]))
    if role in publisher.files:
        publisher.delegate(**{role: fresh})
        publisher.publish(*publisher.files)
    else:
        publisher.rotate_root(**{role: fresh})
        publisher.delegate()
    publish(publisher, 2)
    assert taker.faults(taker.look(publisher.folder)) == {}
    assert taker.has("tariff", "region.toml") == b"tariff 2"


def test_a_new_timestamp_key_may_count_from_a_lower_number(publisher: Publisher, taker: Taker) -> None:
    publisher.sign_timestamp(version=900_000)
    assert taker.faults(taker.look(publisher.folder)) == {}
    publisher.rotate_root(timestamp=publisher.new_keys())
    publisher.versions["timestamp"] = 1
    publish(publisher, 2)
    assert taker.faults(taker.look(publisher.folder)) == {}
    assert taker.has("deny", "deny-list") == b"deny 2"


def test_one_that_was_away_over_three_roots_catches_up(publisher: Publisher, taker: Taker) -> None:
    for _ in range(3):
        publisher.rotate_root(root=publisher.new_keys(3), timestamp=publisher.new_keys())
    publish(publisher, 2)
    report = taker.look(publisher.folder)
    assert taker.faults(report) == {}
    assert report.versions["root"] == 4
    forget(taker)
    (taker.state / "bundles/kept.json").unlink()
    assert taker.faults(taker.look(publisher.folder)) == {}, "from the pinned root again"


def test_owners_who_were_replaced_are_not_heard_again_when_memory_is_lost(
    publisher: Publisher, taker: Taker
) -> None:
    """The floor of the root holds whoever signs it: its old keys may be a thief's."""
    old = publisher.copy(publisher.folder.with_name("old"))
    publisher.rotate_root(root=publisher.new_keys(3))
    assert taker.look(publisher.folder).versions["root"] == 2
    forget(taker)
    assert taker.faults(taker.look(old)) == {"root": "bundle:older"}


def test_the_root_that_is_pinned_anew_may_be_a_later_one(publisher: Publisher, taker: Taker) -> None:
    publisher.rotate_root()
    publish(publisher, 2)
    taker.look(publisher.folder)
    old = publisher.copy(publisher.folder.with_name("old"))
    publish(publisher, 3)
    taker.look(publisher.folder)
    publisher.pin(taker.state, 2)
    assert taker.faults(taker.look(old)) == {"timestamp": "bundle:older"}, "its floors stay"
    assert taker.faults(taker.look(publisher.folder)) == {}


def test_a_delegation_to_fewer_keys_than_a_fleet_demands_is_refused(tmp_path: Path) -> None:
    weak = Publisher(tmp_path / "weak", {"tariff": (1, 3), "deny": (1, 1)})
    weak.put("tariff", "city", {"region.toml": b"one key"})
    weak.put("deny", "all", {"deny-list": b"deny 1"})
    weak.publish()
    weak.pin(tmp_path / "state")
    taker = Taker(tmp_path / "state")
    assert taker.faults(taker.look(weak.folder)) == {"tariff": "bundle:weak"}
    assert taker.has("tariff", "region.toml") is None
    assert taker.has("deny", "deny-list") == b"deny 1"


def test_a_school_that_stands_alone_signs_with_one_key(tmp_path: Path) -> None:
    school = Publisher(tmp_path / "school", {"tariff": (1, 1)}, stand_alone=True)
    school.put("tariff", "canteen", {"region.toml": b"meals"})
    school.publish()
    school.pin(tmp_path / "state")
    taker = Taker(tmp_path / "state", stand_alone=True)
    assert taker.faults(taker.look(school.folder)) == {}
    assert taker.has("tariff", "region.toml") == b"meals"


def test_a_role_names_nothing_of_another(publisher: Publisher, taker: Taker) -> None:
    """Its own keys, all of them, and the online keys: still no word of another role's files is heard."""
    taker.look(publisher.folder)
    publisher.files["routes"] = {"deny/all/deny-list": b"nobody is denied"}
    publisher.publish("routes")
    report = taker.look(publisher.folder)
    assert taker.has("deny", "deny-list") == b"deny 1"
    assert taker.has("routes", "deny-list") is None
    assert taker.faults(report) == {}


@pytest.mark.parametrize(
    ("later", "fault"),
    [
        (timedelta(days=44), ""),
        (timedelta(days=46), "timestamp"),
        (timedelta(days=3 * 365), "root"),
    ],
)
def test_what_has_expired_ends_delivery(
    later: timedelta, fault: str, publisher: Publisher, taker: Taker
) -> None:
    taker.look(publisher.folder)
    publish(publisher, 2)
    found = taker.faults(taker.look(publisher.folder, later=later))
    assert found == ({fault: "bundle:expired"} if fault else {})
    assert taker.has("deny", "deny-list") == (b"deny 1" if fault else b"deny 2")


def test_a_clock_of_1970_accepts_nothing_that_has_expired(publisher: Publisher, taker: Taker) -> None:
    """Its floor is what the journal and the software know; what was accepted is a floor, too."""
    publish(publisher, 2)
    publisher.days["timestamp"] = 5
    publisher.publish()
    late_ms = unix_ms(publisher.issued + timedelta(days=6))
    found = taker.faults(taker.look(publisher.folder, now_ms=0, floor_ms=late_ms))
    assert found == {"timestamp": "bundle:expired"}
    publisher.issued += timedelta(days=30)
    publisher.publish()
    assert taker.faults(taker.look(publisher.folder, now_ms=0, floor_ms=late_ms)) == {}
    stale = publisher.copy(publisher.folder.with_name("stale"))
    shutil.rmtree(stale / "metadata")
    shutil.copytree(publisher.folder / "metadata", stale / "metadata")
    publisher.issued -= timedelta(days=10)
    publisher.publish()
    found = taker.faults(taker.look(publisher.folder, now_ms=0, floor_ms=late_ms))
    assert found == {"timestamp": "bundle:expired"}, "the highest time of issue that was accepted has passed"


def test_a_stolen_timestamp_key_does_not_move_the_clock_far(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    honest, publisher.issued = publisher.issued, publisher.issued + timedelta(days=2000)
    publisher.sign_timestamp()
    taker.look(publisher.folder)
    publisher.issued = honest
    publish(publisher, 2)
    assert taker.faults(taker.look(publisher.folder)) == {}


def test_a_stolen_timestamp_key_does_not_turn_the_clock_back(publisher: Publisher, taker: Taker) -> None:
    """A time of issue that is not believed leaves the highest that was: what has expired by it stays so."""
    taker.look(publisher.folder)
    honest, publisher.issued = publisher.issued, publisher.issued + timedelta(days=2000)
    publisher.sign_timestamp()
    taker.look(publisher.folder)
    publisher.issued, publisher.days["timestamp"] = honest - timedelta(days=10), 5
    publisher.publish()
    assert taker.faults(taker.look(publisher.folder, now_ms=0, floor_ms=0)) == {"timestamp": "bundle:expired"}


def test_a_frozen_source_shows_its_age(publisher: Publisher, taker: Taker) -> None:
    first = taker.look(publisher.folder)
    later = taker.look(publisher.folder, later=timedelta(days=20))
    assert later.fault is None
    assert later.issued_ms == first.issued_ms == unix_ms(publisher.issued)


def device_in_the_place_of_a_list(publisher: Publisher, taker: Taker) -> None:
    """Endless zeros, where a file system of devices is mounted by mistake."""
    (found,) = (publisher.folder / "targets/deny/all").glob("*.deny-list")
    found.unlink()
    try:
        os.mknod(found, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("to make a device takes root")


def gigabytes_of_a_list(publisher: Publisher, taker: Taker) -> None:
    (found,) = (publisher.folder / "targets/deny/all").glob("*.deny-list")
    os.truncate(found, 3 << 30)


def name_of_two_lines(publisher: Publisher, taker: Taker) -> None:
    publisher.put("deny", "all", {"deny-list": b"deny 2", "a\nb": b""})
    publisher.publish()


def folder_in_the_place_of_the_link(publisher: Publisher, taker: Taker) -> None:
    (taker.state / "bundles/delivered/deny/current").mkdir(parents=True)


@pytest.mark.parametrize(
    ("attack", "fault"),
    [
        (device_in_the_place_of_a_list, "bundle:unsafe"),
        (gigabytes_of_a_list, "bundle:too_large"),
        (name_of_two_lines, "bundle:not_its_file"),
        (folder_in_the_place_of_the_link, "bundle:no_room"),
    ],
)
def test_a_list_that_cannot_be_copied_is_refused_by_itself(
    attack: Callable[[Publisher, Taker], None], fault: str, publisher: Publisher, taker: Taker
) -> None:
    attack(publisher, taker)
    assert taker.faults(taker.look(publisher.folder)) == {"deny": fault}
    assert taker.has("tariff", "region.toml") == b"tariff 1"


@pytest.mark.parametrize("part", ["timestamp.json", "2.root.json"])
def test_gigabytes_of_metadata_are_not_read(part: str, publisher: Publisher, taker: Taker) -> None:
    publisher.metadata(part).touch()
    os.truncate(publisher.metadata(part), 3 << 30)
    assert list(taker.faults(taker.look(publisher.folder)).values()) == ["bundle:too_large"]


def test_a_folder_that_cannot_be_made_is_a_refusal_and_no_end_of_the_process(
    publisher: Publisher, taker: Taker
) -> None:
    """As on a disk that is full or read-only: a file stands where the folder would."""
    (taker.state / "bundles").write_bytes(b"")
    assert taker.faults(taker.look(publisher.folder)) == {"root": "bundle:no_room"}
    (taker.state / "bundles").unlink()
    assert taker.faults(taker.look(publisher.folder)) == {}


def test_what_cannot_be_withdrawn_is_a_refusal(publisher: Publisher, taker: Taker) -> None:
    content = json.dumps({"format": 1, "groups": [{"terminals": [70001], "takes": ["tariff/city"]}]}).encode()
    publisher.put("assign", "fleet", {"assignment.json": content})
    publisher.publish()
    folder_in_the_place_of_the_link(publisher, taker)
    assert taker.faults(taker.look(publisher.folder)) == {"deny": "bundle:no_room"}
    assert taker.has("tariff", "region.toml") == b"tariff 1"


def test_a_refusal_names_role_and_version_in_one_line(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    half_signed_tariff(publisher)
    report = taker.look(publisher.folder)
    (role,) = (role for role in report.roles if role.fault)
    assert role.fault is not None
    line = fault_text(role.fault, role.inputs)
    assert line == (
        "Signed bundles: tariff version 3 lacks signatures that count; have it signed and publish again"
    )


def test_kept_floors_are_one_file_that_names_them(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    kept = json.loads((taker.state / "bundles/kept.json").read_bytes())
    assert {kept["floors"][role][0] for role in ("root", "timestamp", "tariff", "deny")} == {1}
    (generation,) = (taker.state / "bundles").glob("metadata-*")
    assert generation.name == f"metadata-{kept['generation']}"


@pytest.mark.parametrize(
    ("role", "name", "file"),
    [("deny", "all", "terminal.toml"), ("tariff", "city", "terminal.toml"), ("deny", "all", "lists.key")],
)
def test_no_role_brings_a_terminals_settings(
    publisher: Publisher, taker: Taker, role: str, name: str, file: str
) -> None:
    """Also where every signature counts: the name is refused whole, and what lies ready stays."""
    taker.look(publisher.folder)
    before = sorted(taker.state.rglob("*"))
    first = {"deny": {"deny-list": b"deny 2"}, "tariff": {"region.toml": b"tariff 2"}}[role]
    publisher.put(role, name, {**first, file: b'[collector]\nurl = "https://elsewhere.example"\n'})
    publisher.publish()
    report = taker.look(publisher.folder)
    assert taker.faults(report) == {role: "bundle:not_its_file"}
    assert taker.has(role, file) is None
    assert taker.has(role, next(iter(first))) == f"{role} 1".encode()
    assert not [path for path in taker.state.rglob(file) if path not in before]


def test_a_role_that_is_unknown_here_brings_nothing(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "repository", {**ROLES, "settings": (1, 1)})
    publisher.put("deny", "all", {"deny-list": b"deny 1"})
    publisher.put("settings", "all", {"terminal.toml": b"[collector]\n"})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    taker = Taker(tmp_path / "state")
    assert taker.faults(taker.look(publisher.folder)) == {}
    assert taker.has("deny", "deny-list") == b"deny 1"
    assert not list(taker.state.rglob("terminal.toml"))
