"""Lists that terminals load: checked by the parts they load them with, sealed where they are personal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import pytest

from sim.profile import LAB_KEYS
from terminal.app.simulated import laboratory_keys
from terminal.collector.enrolment import Enrolment, Granted
from terminal.keys.file import load_file_keys
from terminal.publish.repository import Repository
from terminal.publish.sealing import SealedName, keep_name, sealed_group
from terminal.screen.console.pins import pin_fits
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import Member, members_in
from terminal.sealed_box import NotSealedToUs, open_as_one, seal_to_each
from terminal.sync.credentials import TerminalKeys, make_keys
from terminal.sync.enrolment import enrolment_request
from tests.terminal.canteen.school import child, roster_document
from tests.terminal.publish.office import DEMO, Office, OutsideClient
from tests.terminal.screen.console.cab import PIN, everybody

TERMINALS: Final = (70001, 70002)
REGISTRY: Final = ("--terminals", "registry")
ROSTER: Final = "roster/17/school-42"
LAST: Final = datetime(2099, 9, 1, tzinfo=UTC)


@pytest.fixture
def keys(office: Office) -> dict[int, TerminalKeys]:
    """Two terminals that have enrolled at a collector, whose records lie in registry/."""
    return enrolled(office, TERMINALS)


def enrolled(office: Office, numbers: Iterable[int]) -> dict[int, TerminalKeys]:
    enrolment, made = Enrolment(office.folder / "registry"), {}
    for number in numbers:
        made[number] = make_keys()
        code = enrolment.make_code(number, 0)
        assert isinstance(enrolment.redeem(enrolment_request(number, made[number], code), 0), Granted)
    return made


def test_a_sealed_name_tells_nothing_and_is_each_groups_own_in_its_office(tmp_path: Path) -> None:
    ours, theirs = Repository(tmp_path / "ours"), Repository(tmp_path / "theirs")
    for repository in (ours, theirs):
        repository.office.mkdir(parents=True)
    groups = ("roster/17/school-42", "roster/17/school-43", "roster/18/school-42", "staff/school-42")
    named = [sealed_group(repository, group) for repository in (ours, theirs) for group in groups]
    assert len({one.rpartition("/")[2] for one in named}) == len(named)
    assert [one.rpartition("/")[0] for one in named[:4]] == ["roster/17", "roster/17", "roster/18", "staff"]
    assert not any("school" in one for one in named)
    assert [sealed_group(Repository(ours.folder), group) for group in groups] == named[:4], "for every issue"
    keep_name(ours, named[0], SealedName(groups[0]))
    assert sealed_group(ours, named[0]) == named[0], "one that is sealed is not sealed again"
    keep_name(ours, named[0], None)
    assert sealed_group(ours, named[0]) != named[0]


@pytest.fixture
def schools(office: Office) -> Office:
    office.begin()
    return office


def write_roster(folder: Path, sequence: int = 1, pupil: int = 1) -> Path:
    document = roster_document(child(pupil), sequence=sequence, valid_to=LAST)
    path = folder / f"roster-{sequence}.json"
    path.write_bytes(msgspec.json.encode(document))
    return path


def test_a_roster_opens_at_the_schools_terminals_alone(
    schools: Office, keys: dict[int, TerminalKeys], tmp_path: Path
) -> None:
    path = write_roster(tmp_path)
    added = json.loads(
        schools.publish(
            "add", ROSTER, path, "--seal-to", "70001,70002", *REGISTRY, "--region", DEMO, "--json"
        ).stdout
    )
    name = f"{added['group']}/roster.json"
    shown = schools.sign("roster.17", "roster.17-1")
    schools.release()
    client = OutsideClient(tmp_path / "client", schools.bundles, _root(schools))
    sealed = client.get(name)
    assert sealed is not None
    for one in keys.values():
        assert open_as_one(one.sealing, sealed, name.encode()) == path.read_bytes()
    with pytest.raises(NotSealedToUs):
        open_as_one(make_keys().sealing, sealed, name.encode())
    with pytest.raises(NotSealedToUs):
        open_as_one(keys[70001].sealing, sealed, b"roster/17/other/roster.json")

    served = b"".join(
        path.name.encode() + path.read_bytes()
        for folder in ("metadata", "targets")
        for path in (schools.bundles / folder).rglob("*")
        if path.is_file()
    )
    for told in (b"school", b"school-42", child(1).ref.encode(), b"70001"):
        assert told not in served.replace(added["group"].encode(), b""), told
    assert "school" not in shown.replace(name, "")
    published = _roles(schools)["roster.17"]["published"]
    assert [(one["called"], one["id"], one["version"], one["terminals"]) for one in published] == [
        (ROSTER, "school_12", 1, [70001, 70002])
    ]


def test_a_later_roster_goes_under_the_same_name_and_an_older_one_is_refused(
    schools: Office, keys: dict[int, TerminalKeys], tmp_path: Path
) -> None:
    def add(path: Path) -> tuple[object, ...]:
        return "add", ROSTER, path, "--seal-to", "70001", *REGISTRY, "--region", DEMO

    first = schools.publish(*add(write_roster(tmp_path, 2))).stdout.split(":")[0]
    schools.sign("roster.17", "roster.17-1")
    schools.release()
    assert schools.publish(*add(write_roster(tmp_path, 3))).stdout.split(":")[0] == first
    assert "not later than version 3" in schools.refused(*add(write_roster(tmp_path, 1)))
    schools.publish("remove", ROSTER)
    assert "WITHDRAWN" in schools.sign("roster.17", "roster.17-1")


def test_what_is_personal_is_never_published_open(
    schools: Office, keys: dict[int, TerminalKeys], tmp_path: Path
) -> None:
    path = write_roster(tmp_path)
    assert "roster is personal" in schools.refused("add", ROSTER, path, "--region", DEMO)
    assert "terminal 9 has no sealing key" in schools.refused(
        "add", ROSTER, path, "--seal-to", "70001,9", *REGISTRY, "--region", DEMO
    )
    assert "lower number first" in schools.refused(
        "add", ROSTER, path, "--seal-to", "9-1", *REGISTRY, "--region", DEMO
    )
    assert "'x' is no terminal number" in schools.refused(
        "add", ROSTER, path, "--seal-to", "x", *REGISTRY, "--region", DEMO
    )
    assert _roles(schools)["roster.17"]["draft"] == 0


def test_a_roster_is_checked_as_the_canteen_does(
    schools: Office, keys: dict[int, TerminalKeys], tmp_path: Path
) -> None:
    document = roster_document(child(1, 999), valid_to=LAST)
    path = tmp_path / "roster.json"
    path.write_bytes(msgspec.json.encode(document))
    told = schools.run(
        "publish", "add", ROSTER, path, "--seal-to", "70001", *REGISTRY, "--region", DEMO, "--json"
    )
    assert told.returncode == 13
    assert json.loads(told.stdout)["mistakes"]


def test_a_thousand_drivers_sign_in_on_each_of_five_hundred_buses_by_what_was_published(
    schools: Office, keys: dict[int, TerminalKeys], tmp_path: Path
) -> None:
    keys |= enrolled(schools, range(70003, 70501))
    first = everybody()
    members = first + [
        Member(ref=f"D{n}", role=Role.DRIVER, pin=first[0].pin) for n in range(1000 - len(first))
    ]
    (tmp_path / "staff.json").write_bytes(
        msgspec.json.encode({"kind": "staff", "version": 1, "members": members})
    )
    added = json.loads(
        schools.publish(
            "add", "staff/depot", "staff.json", "--seal-to", "70001-70500", *REGISTRY, "--json"
        ).stdout
    )
    schools.sign("staff", "staff-1")
    schools.release()
    name = f"{added['group']}/staff.json"
    sealed = OutsideClient(tmp_path / "client", schools.bundles, _root(schools)).get(name)
    assert sealed is not None
    assert PIN.encode() not in sealed
    assert len(sealed) < 300_000
    opened = members_in(open_as_one(keys[70500].sealing, sealed, name.encode()), Path("staff.json"))
    provider = load_file_keys(laboratory_keys())
    assert {one.ref for one in opened} == {one.ref for one in members}
    assert pin_fits(PIN, opened[0].pin, provider)
    assert not pin_fits("9731", opened[0].pin, provider)


def test_staff_lists_that_no_terminal_could_use(schools: Office, tmp_path: Path) -> None:
    def add(*members: object) -> str:
        (tmp_path / "staff.json").write_bytes(msgspec.json.encode({"members": members}))
        return schools.refused("add", "staff/depot", "staff.json", "--seal-to", "70001", *REGISTRY)

    one = {"ref": "D-1", "role": "driver", "pin": "scrypt$x"}
    assert "lists 0 members" in add()
    assert "D-1 has no PIN" in add(one | {"pin": ""})
    assert "twice" in add(one, one)
    assert "lists 1001 members" in add(*(one | {"ref": f"D-{n}"} for n in range(1001)))


@pytest.mark.parametrize("role", ["deny", "grants"])
def test_lists_are_loaded_with_the_key_they_were_made_with(office: Office, tmp_path: Path, role: str) -> None:
    office.begin()
    rows = {
        "deny": "kind,identity\ncard,04010203040506\n",
        "grants": "pseudonym,issued_on,code,parameter,valid_from,valid_to\n0102030405060708,2026-01-01,,,,\n",
    }
    (tmp_path / "entries.csv").write_text(rows[role])
    made = office.run("policy", f"{role}-list", "entries.csv", "--out", "list", "--region", "34")
    assert made.returncode == 0, made.stderr
    assert "keys of the list are missing" in office.refused("add", f"{role}/fleet", "list")
    office.publish("add", f"{role}/fleet", "list", "--keys", LAB_KEYS)
    # one key signs daily lists: the release signs with it, on record
    assert f"{role} 1" in office.release(f"{role}-1").stdout
    client = OutsideClient(tmp_path / "client", office.bundles, _root(office))
    assert client.get(f"{role}/fleet/{role}-list") == (tmp_path / "list").read_bytes()
    (tmp_path / "list").write_bytes((tmp_path / "list").read_bytes()[:-1])
    assert office.run("publish", "add", f"{role}/fleet", "list", "--keys", LAB_KEYS).returncode == 10


def test_an_assignment_names_what_is_there(office: Office, tmp_path: Path) -> None:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)

    def write(**group: object) -> Path:
        path = tmp_path / "assignment.json"
        path.write_text(json.dumps({"format": 1, "groups": [{"terminals": ["1-9"], **group}]}))
        return path

    assert "tariff/other is assigned and not published" in office.refused(
        "add", "assign/fleet", write(takes=["tariff/other"])
    )
    assert "no assignment" in office.refused("add", "assign/fleet", write(takes=["tariff/demo"], when=1))
    assert "The assignment is assign/fleet" in office.refused(
        "add", "assign/depot", write(takes=["tariff/demo"])
    )
    assert office.publish("add", "assign/fleet", write(takes=["tariff/demo"])).stdout.startswith(
        "assign/fleet"
    )


def test_what_has_no_role_or_no_keys(office: Office) -> None:
    office.begin()
    assert "prices.18 has no keys" in office.refused("add", "prices/18/school", DEMO)
    for group in (
        "tariff",
        "tariff/a/b",
        "roster/17",
        "other/a",
        "tariff/..",
        "tariff/A",
        "tariff/-",
        "tariff/",
    ):
        assert "names nothing that is published" in office.refused("add", group, DEMO), group
    assert "none.toml" in office.refused("add", "tariff/demo", "none.toml")


def test_sealed_content_that_was_changed_opens_nowhere() -> None:
    keys, name = make_keys(), b"roster/17/x/roster.json"
    sealed = seal_to_each([keys.sealing.public_key().public_bytes_raw()], b"names", name)
    assert open_as_one(keys.sealing, sealed, name) == b"names"
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 0x40
        with pytest.raises(NotSealedToUs):
            open_as_one(keys.sealing, bytes(changed), name)
    for length in range(len(sealed)):
        with pytest.raises(NotSealedToUs):
            open_as_one(keys.sealing, sealed[:length], name)
    with pytest.raises(ValueError, match="0 keys"):
        seal_to_each([], b"", name)


def _root(office: Office) -> bytes:
    return (office.bundles / "metadata/1.root.json").read_bytes()


def _roles(office: Office) -> dict[str, dict[str, object]]:
    found = json.loads(office.publish("status", "--json").stdout)["roles"]
    return {one["role"]: one for one in found}
