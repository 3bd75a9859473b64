"""From a card on the reader of the office to a refusal by a running terminal: `terminal deny` and `terminal run`."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from sim.card.virtual import VirtualCard
from sim.image_file import save_card
from sim.phone import VirtualPhone
from terminal.app.collector import collector_process, enrol, trust
from terminal.app.simulated import issue_residents, laboratory_keys
from terminal.clock import SystemClock
from terminal.codes import SetKind
from terminal.errors import CollectorError, PublishError, RegionDocumentError
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import Unwritten
from terminal.keys.file import load_file_keys
from terminal.policy.deny_list import CARD, load_deny_list
from terminal.policy.load import load_region
from terminal.publish.deny import register as register_module
from terminal.publish.deny.issuing import DenyIssue, issue_base, issue_increment
from terminal.publish.deny.register import DeniedIdentity, DenyReason, DenyRegister, begin_register
from tests.by_hand import PATIENCE_S, SOCKET, TerminalByHand, started
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.media.test_phone_link import of_the_person_with
from tests.terminal.updates.served import Served, serving


@dataclass(frozen=True)
class Office:
    """A folder with the register, and the folder that terminals look in."""

    folder: Path
    published: Path

    def deny(self, *arguments: object, code: int = 0) -> str:
        done = subprocess.run(
            command(("deny", *arguments, "--folder", self.folder)),
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def issue(self, *arguments: object) -> dict[str, Any]:
        said = json.loads(self.deny("issue", "--out", self.published, "--json", *arguments))
        return dict(said["issue"])

    def why(self, *arguments: object) -> list[dict[str, Any]]:
        return list(json.loads(self.deny("why", *arguments, "--json"))["entries"])


@pytest.fixture
def card(tmp_path: Path) -> str:
    """The reader with one resident's pass on it, as terminal and office have it."""
    (made,) = issue_residents(["month_pass"], load_region("demo").header.region, SystemClock().now().date())
    assert isinstance(made, VirtualCard)
    save_card(made, tmp_path / "resident.json")
    return f"sim:{tmp_path / 'resident.json'}"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path / "office", tmp_path / "published")
    made.deny("init")
    return made


def activated(served: Served) -> list[tuple[str, int]]:
    return [
        (row.kind, row.version)
        for row in served.rows()
        if isinstance(row, SetActivated) and "deny" in row.kind
    ]


def refusals(served: Served) -> list[dict[str, str]]:
    return [row.lists for row in served.rows() if isinstance(row, Unwritten) and row.lists]


def test_a_card_is_stopped_by_an_increment_let_in_by_the_next_and_the_base_holds_both(
    office: Office, card: str, tmp_path: Path
) -> None:
    office.deny("add", "--card", "04000000000001", "--reason", "copied", "--by", "17")
    assert office.issue("--base")["number"] == 0
    with serving(tmp_path, card.removeprefix("sim:"), updates={"folder": office.published}) as served:
        assert served.tap()["admission"] == "let_in"
        office.deny("add", "--reader", card, "--reason", "lost", "--by", "17")
        assert office.issue() == {"number": 1, "version": 1, "added": 1, "removed": 0, "is_base": False}
        served.said("in_force", kind="deny_changes", edition="deny_changes:1")
        served.tap(lambda tap: tap["message"] == "blocked")
        assert all(name.startswith("1.1:") for row in refusals(served) for name in row.values())
        office.deny("remove", "--reader", card, "--by", "18")
        assert (office.issue()["added"], office.why("--reader", card)[0]["ended_by"]) == (0, "18")
        served.said("in_force", kind="deny_changes", edition="deny_changes:2")
        served.tap(lambda tap: tap["message"] != "blocked")
        office.deny("add", "--reader", card, "--holder", "--reason", "debt", "--by", "17")
        assert office.issue("--base")["version"] == 2
        served.said("in_force", kind="deny", edition="deny:2")
        served.tap(lambda tap: tap["message"] == "deny_list")
        assert refusals(served)[-1].popitem()[1].startswith("2:")
        assert activated(served) == [
            (SetKind.DENY, 1),
            (SetKind.DENY_CHANGES, 1),
            (SetKind.DENY_CHANGES, 2),
            (SetKind.DENY, 2),
        ]


def test_changes_outlive_a_restart(office: Office, card: str, tmp_path: Path) -> None:
    office.issue("--base")
    office.deny("add", "--reader", card, "--reason", "stolen", "--by", "17")
    office.issue()
    for _start in range(2):
        with serving(tmp_path, card.removeprefix("sim:"), updates={"folder": office.published}) as served:
            assert served.tap()["message"] == "blocked"


def test_a_card_is_stopped_by_a_row_of_the_collector_and_the_refusal_follows_from_its_row(
    office: Office, card: str, tmp_path: Path
) -> None:
    """No one but its holder has the card, and no UID is at hand: what there is, is the tap."""
    office.issue("--base")
    with serving(tmp_path, card.removeprefix("sim:"), updates={"folder": office.published}) as served:
        first = served.tap(lambda tap: tap["admission"] == "let_in")
        state = served.state
    collector = tmp_path / "collector"
    enrol(state, 70001, collector)
    with collector_process(collector) as url:
        trust(state, collector)
        commanded("sync", "--state", state, "--number", 70001, "--collector", url)
    code = first["support_code"]
    found = json.loads(commanded("collector", "ride", code, "--folder", collector, "--json"))
    assert (found["sequence"], found["end"], found["alarms"]) == (first["sequence"], first["end"], [])
    assert found["reasons"] == first["reasons"]
    assert first["card_ref"] not in str(found), "what a rider reads out shows no one whose card it was"
    as_heard = code.lower().replace("-", " ").replace("0", "о").replace("1", "l")
    of_code = ("--support-code", as_heard, "--collector", collector)
    misread = ("--support-code", code[:-1] + ("7" if code[-1] != "7" else "8"), "--collector", collector)
    for question in ("why", "add"):
        more = ("--reason", "stolen", "--by", "17") if question == "add" else ()
        assert "misread" in office.deny(question, *misread, *more, code=CollectorError.exit_code)
    office.deny("add", *of_code, "--reason", "stolen", "--by", "17")
    assert office.why(*of_code) == office.why("--row", f"70001:{first['sequence']}", "--collector", collector)
    (entry,) = office.why("--reference", first["card_ref"])
    assert (entry["kind"], entry["identity"]) == ("reference", first["card_ref"])
    missing = office.deny(
        "why", "--row", "70001:999999", "--collector", collector, code=PublishError.exit_code
    )
    assert "row 70001:999999 has not come to the collector" in missing
    office.issue("--base")
    with serving(tmp_path, card.removeprefix("sim:"), updates={"folder": office.published}) as served:
        refused = served.tap()
        assert refused["message"] == "blocked"
        (named,) = {name for row in refusals(served) for name in row}
        assert named == "deny.reference"
    said = json.loads(commanded("journal", "recompute", "--state", state, "--json"))
    assert (said["differ"], said["not_possible"]) == (0, 0), "which card it was, the row says itself"
    office.deny("remove", "--reference", first["card_ref"], "--by", "18")
    of_row = ("--row", f"70001:{first['sequence']}", "--collector", collector)
    office.deny("add", *of_row, "--moved", "--reason", "replaced", "--by", "17")
    office.issue("--base")
    with serving(tmp_path, card.removeprefix("sim:"), updates={"folder": office.published}) as served:
        assert served.tap()["message"] == "medium_inactive", "its holder has done nothing wrong"
        assert set(refusals(served)[-1]) == {"deny.medium"}


def phone_of(folder: Path, name: str, other: Path | None = None) -> Path:
    """A phone that is valid today, of the person who has that other one."""
    (made,) = issue_residents(["phone_pensioner"], 34, SystemClock().now().date())
    assert isinstance(made, VirtualPhone)
    if other is not None:
        of_the_person_with(other)(made)
    save_card(made, folder / f"{name}.json")
    return folder / f"{name}.json"


def bus_with_phones(folder: Path, number: int, looks_in: Path, **more: Mapping[str, object]) -> Path:
    """The configuration of a bus that takes phones, and its lists from a folder."""
    return config_file(
        folder,
        terminal={"number": number, "profile": "bus", "state": "state", "region": "demo"},
        reader={"name": "sim:"},
        media={"order": ["resident", "phone"]},
        shift={"operator": "17", "route": 15},
        updates={"folder": looks_in},
        laboratory={"control": SOCKET},
        **more,
    )


def test_k_01_a_lost_phone_is_replaced_within_one_update_also_where_there_is_no_network(
    office: Office, tmp_path: Path
) -> None:
    """The office has a row of the lost phone, and neither the phone nor a word of its holder's name."""
    office.issue("--base")
    stick, collector = tmp_path / "stick", tmp_path / "collector"
    copytree(office.published, stick)
    lost = phone_of(tmp_path, "lost")
    new = phone_of(tmp_path, "new", lost)

    def until_refused(terminal: TerminalByHand) -> None:
        """Its next look at the lists is soon; until then the lost phone is let in."""
        ends = time.monotonic() + PATIENCE_S
        while (said := terminal.tap(lost))["message"] != "medium_inactive":
            assert said["admission"] == "let_in"
            assert time.monotonic() < ends
            time.sleep(0.2)

    with ExitStack() as stack:
        near, far = tmp_path / "near", tmp_path / "far"
        for folder in (near, far):
            folder.mkdir()
        enrol(near / "state", 70001, collector)
        uplink = {"collector": {"url": stack.enter_context(collector_process(collector))}}
        trust(near / "state", collector)
        online, offline = (
            stack.enter_context(started(config.parent, config))
            for config in (
                bus_with_phones(near, 70001, office.published, **uplink),
                bus_with_phones(far, 70002, stick),
            )
        )
        rode = online.tap(lost)
        assert [rode["admission"], offline.tap(lost)["admission"]] == ["let_in"] * 2
        of_row = ("--row", f"70001:{rode['sequence']}", "--collector", collector)
        ends = time.monotonic() + PATIENCE_S
        while not knows(office, of_row):
            assert time.monotonic() < ends, "the row has not come to the office"
        office.deny("add", *of_row, "--moved", "--reason", "lost", "--by", "17")
        office.issue()
        until_refused(online)
        assert offline.tap(lost)["admission"] == "let_in", "it cannot have heard"
        copytree(office.published, stick, dirs_exist_ok=True)
        until_refused(offline)
        for terminal in (online, offline):
            assert terminal.tap(new)["message"] == "ok_benefit_unlimited", "the same resident's new phone"
            assert terminal.tap(lost)["message"] == "medium_inactive"


def knows(office: Office, of_row: tuple[object, ...]) -> bool:
    """Whether the row has come to the collector."""
    asked = command(("deny", "why", *of_row, "--json", "--folder", office.folder))
    return (
        subprocess.run(asked, env=ENVIRONMENT, capture_output=True, check=False, timeout=60).returncode == 0
    )


def commanded(*arguments: object) -> str:
    done = subprocess.run(
        command(arguments), env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_changes_of_another_list_wait_for_theirs(office: Office, card: str, tmp_path: Path) -> None:
    office.issue("--base")
    with serving(tmp_path, card.removeprefix("sim:"), updates={"folder": office.published}) as served:
        served.tap()
        other = Office(tmp_path / "other", tmp_path / "elsewhere")
        other.deny("init")
        other.deny("add", "--card", "04000000000002", "--reason", "lost", "--by", "1")
        other.issue("--base")
        other.deny("add", "--reader", card, "--reason", "lost", "--by", "1")
        other.issue()
        (other.published / "deny-changes").replace(office.published / "deny-changes")
        served.said("update", code="update:unsound")
        assert served.tap()["message"] != "blocked"


def test_an_entry_ends_by_itself_and_what_is_wrong_is_said(office: Office) -> None:
    assert "no base yet" in office.deny("issue", "--out", office.published, code=PublishError.exit_code)
    office.deny("add", "--card", "04AA00000000BB", "--reason", "lost", "--by", "17", "--days", "1")
    assert "denied already" in office.deny(
        "add", "--card", "04:AA:00:00:00:00:BB", "--reason", "debt", "--by", "9"
    )
    assert "is not denied" in office.deny(
        "remove", "--card", "04AA00000000BC", "--by", "1", code=PublishError.exit_code
    )
    assert "there already" in office.deny("init", code=PublishError.exit_code)
    assert "hexadecimal digits" in office.deny("why", "--card", "04AA", code=2)
    assert "name one" in office.deny("why", code=2)
    (entry,) = office.why("--card", "04AA00000000BB")
    assert (entry["reason"], entry["by"], entry["published"]) == ("lost", "17", False)
    assert office.issue("--base")["added"] == 1
    assert "nothing has changed" in office.deny("issue")


def test_more_than_an_increment_says_makes_a_base_from_nothing_also_after_a_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, so that an increment may say less than it does in service."""
    monkeypatch.setattr(register_module, "MOST_DUE", 20)
    key, now = load_file_keys(laboratory_keys()).list_key("deny"), SystemClock().now().replace(microsecond=0)
    begin_register(tmp_path / "office")
    cards = [DeniedIdentity(CARD, number.to_bytes(7, "big")) for number in range(30)]

    def cut(entries: Iterable[DeniedIdentity], _count: int) -> Iterable[DeniedIdentity]:
        yield next(iter(entries))
        raise KeyboardInterrupt

    with closing(DenyRegister(tmp_path / "office")) as register:
        register.add_all(cards[:1], DenyReason.LOST, now, "17")
        assert issue_base(register, key, 34, now).version == 1
        register.add_all(cards[:3], DenyReason.LOST, now, "17")
        assert issue_increment(register, key, now) == DenyIssue(1, 1, 2, 0, False)
        assert register.add_all([*cards, *cards], DenyReason.STOLEN, now, "17") == (60, 27)
        with pytest.raises(PublishError, match="more than 20") as refused:
            issue_increment(register, key, now)
        assert "terminal deny issue --base" in refused.value.advice
        with pytest.raises(KeyboardInterrupt):
            issue_base(register, key, 34, now, cut)
        with pytest.raises(PublishError, match="not finished"):
            issue_increment(register, key, now)
        assert issue_base(register, key, 34, now) == DenyIssue(1, 2, 30, 0, True)
        assert issue_increment(register, key, now) is None
        assert not (tmp_path / "office/merge").exists(), "nothing makes it of the one before"
        register.end(cards[0], now, "17")
        assert issue_increment(register, key, now) == DenyIssue(2, 2, 0, 1, False)
        assert issue_base(register, key, 34, now).version == issue_base(register, key, 34, now).version - 1
    with closing(load_deny_list(tmp_path / "office/bases/4", key)) as listed:
        assert [listed.contains(CARD, card.value) for card in cards] == [False, *[True] * 29]


def test_an_import_with_a_wrong_row_denies_nothing(office: Office, tmp_path: Path) -> None:
    (tmp_path / "listed.csv").write_text("kind,identity\ncard,04000000000001\ncard,04\n")
    said = office.deny(
        "import",
        tmp_path / "listed.csv",
        "--reason",
        "lost",
        "--by",
        "17",
        code=RegionDocumentError.exit_code,
    )
    assert "listed.csv:3" in said
    assert office.deny("show").strip() == "0 denied"
