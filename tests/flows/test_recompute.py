"""A morning's journals decided again, as an auditor would: nothing differs, and a changed document does."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from cardproto.resident.records.event import build_event, parse_event
from sim.profile import profile_names
from terminal.app.station import journal_reader, open_journal
from terminal.canteen.facts import Replay
from terminal.canteen.roster import Roster
from terminal.codes import Admission
from terminal.decision.recompute import RecomputeGap
from terminal.journal.records import Intent, Unwritten, parse_record
from terminal.lab.town import DAY, Town
from terminal.lab.world import DENY_LIST_FILE
from terminal.policy.load import DEMO_REGION
from terminal.recompute.own import OwnSources, judged
from terminal.recompute.rows import RECOMPUTED, Verdict, VerdictKind
from terminal.trip.build import InspectionRound
from terminal.trip.shifts import close_shift
from tests.config_file import config_file
from tests.flows.conftest import COUNTER_A, COUNTER_B, FRONT, OpenTown
from tests.flows.test_canteen import A, _grants, by_list, enrol
from tests.terminal.cli.inside import Run, runner

RESIDENTS = (
    "adult_purse",
    "month_pass",
    "student_half_price",
    "social_pack_45",
    "pupil_grade3",
    "adult_purse_ev1",
    "empty_purse",
)
EVERY_RESIDENT = sorted(name for name in profile_names() if not name.startswith("blank"))
TAPS_IN_BUS = 7
"""The last of them is refused: its purse is empty."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


@pytest.fixture
def bus(town_of: OpenTown, tmp_path: Path) -> Path:
    """The state folder of a bus terminal that everybody has tapped."""
    with town_of(*RESIDENTS, stops=(FRONT, COUNTER_A)) as town:
        for resident in RESIDENTS:
            town.tap(FRONT.number, resident)
            town.clock.advance(20)
        town.tap(COUNTER_A.number, "pupil_grade3")
    return tmp_path / "town" / str(FRONT.number)


def test_every_tap_follows_from_what_is_recorded_with_it(run: Run, bus: Path) -> None:
    told = run("journal", "recompute", "--state", bus, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {"recomputed": TAPS_IN_BUS, "differ": 0, "not_possible": 0}
    canteen = run("journal", "recompute", "--state", bus.with_name(str(COUNTER_A.number)))
    assert canteen.stdout == "Taps, sales and portions decided again: 1; differ: 0; not possible: 0\n"


def test_a_terminal_of_any_number_states_its_own_rows_wherever_it_is_asked(run: Run, bus: Path) -> None:
    said = run("journal", "recompute", "--state", bus, "--record", "--json")
    assert said.returncode == 0, said.stderr
    counts = json.loads(said.stdout)
    assert counts["recomputed"] + sum(counts["unproven"].values()) == TAPS_IN_BUS
    assert counts["differing"] == 0


def test_a_document_changed_under_the_same_version_is_noticed(run: Run, bus: Path) -> None:
    text = DEMO_REGION.read_text(encoding="utf-8").replace("transport_card = 2400", "transport_card = 2300")
    (bus / "other.toml").write_text(text, encoding="utf-8")
    told = run("journal", "recompute", "--state", bus, "--region", bus / "other.toml")
    assert told.returncode == 24
    assert "charge_minor: recorded 2400, recomputed 2300" in told.stdout
    assert "4 records do not follow" in told.stderr, "three charges and what the empty purse lacked"


def test_taps_of_a_version_that_is_not_given_are_counted_apart(run: Run, bus: Path) -> None:
    text = DEMO_REGION.read_text(encoding="utf-8").replace("\nversion = 1", "\nversion = 2")
    (bus / "next.toml").write_text(text, encoding="utf-8")
    told = run("journal", "recompute", "--state", bus, "--region", bus / "next.toml")
    assert told.returncode == 0
    assert "region document demo:1 not given" in told.stdout
    assert f"not possible: {TAPS_IN_BUS}\n" in told.stdout
    both = run("journal", "recompute", "--state", bus, "--region", bus / "next.toml", "--region", "demo")
    assert both.stdout.endswith(
        f"Taps, sales and portions decided again: {TAPS_IN_BUS}; differ: 0; not possible: 0\n"
    )


def test_a_canteens_taps_follow_from_record_and_roster_together(town_of: OpenTown) -> None:
    pupils = ("pupil_grade3", "pupil_two_meals", "adult_purse")
    with town_of(*pupils, stops=(COUNTER_A, COUNTER_B)) as town:
        enrol(
            town, ("pupil_grade3", {}), ("pupil_two_meals", {"grants": _grants(town, 11), "class_id": "3b"})
        )
        for clock in ("09:45:00", "12:30:00"):
            town.at(DAY, clock)
            for pupil in pupils:
                town.tap(A, pupil)
        by_list(town, "pupil_grade3", serving="lunch")
        canteen = town.terminals[A].canteen
        assert canteen is not None
        assert canteen.roster is not None
        found = dict(_recomputed(town, Replay(A, town.policy, canteen.roster)))
        assert len(found) == 6
        assert set(found.values()) == {RECOMPUTED}
        without = [found for _, found in _recomputed(town, None)]
        gaps = [found.reason for found in without if found.kind is VerdictKind.UNPROVEN]
        assert gaps == [RecomputeGap.ROSTER] * 4
        assert without.count(RECOMPUTED) == 2, "the card that no roster lists"


def test_another_roster_is_not_taken_for_the_one_that_was_in_force(town_of: OpenTown) -> None:
    with town_of("pupil_grade3", stops=(COUNTER_A,)) as town:
        enrol(town, ("pupil_grade3", {}))
        town.tap(A, "pupil_grade3")
        canteen = town.terminals[A].canteen
        assert canteen is not None
        assert canteen.roster is not None
        document = canteen.roster.document
        header = structs.replace(document.header, sequence=4)
        later = Roster.of(structs.replace(document, header=header), town.policy)
        ((_, why),) = _recomputed(town, Replay(A, town.policy, later))
        assert why.reason is RecomputeGap.ROSTER


def test_every_resident_of_the_laboratory_is_decided_again_wherever_he_taps(town_of: OpenTown) -> None:
    with town_of(*EVERY_RESIDENT, stops=(FRONT, COUNTER_A)) as town:
        for site in (FRONT, COUNTER_A):
            for resident in EVERY_RESIDENT * 2:
                town.tap(site.number, resident)
                town.clock.advance(3)
        for site in (FRONT, COUNTER_A):
            with journal_reader(town.folder / str(site.number)) as reader:
                found = [verdict for _, _, verdict in judged(reader, _sources(town, None))]
            assert len(found) == 2 * len(EVERY_RESIDENT)
            assert [one for one in found if one.kind is VerdictKind.DIFFERING] == []
            why = {one.reason for one in found if one.kind is VerdictKind.UNPROVEN}
            assert why == {RecomputeGap.DENY_LIST, RecomputeGap.NOTHING_READ}


REFUSED_IN_BUS = ("blocked", "expired", "inactive_medium", "deny_listed", "empty_purse", "free_pensioner")


@pytest.fixture
def refusing(town_of: OpenTown, tmp_path: Path) -> Path:
    """The state folder of a bus that refused cards, was asked twice by one, and was inspected."""
    with town_of(*REFUSED_IN_BUS, "adult_purse", "foreign_desfire", stops=(FRONT,)) as town:
        terminal = town.terminals[FRONT.number]
        for resident in (*REFUSED_IN_BUS, "adult_purse", "adult_purse", "foreign_desfire"):
            town.tap(FRONT.number, resident)
            town.clock.advance(2)
        ends_at = town.clock.now() + timedelta(minutes=15)
        for misuse in (False, True):
            terminal.inspecting = InspectionRound(15, 0, ends_at, misuse)
            for resident in ("adult_purse", "free_pensioner", "empty_purse"):
                town.tap(FRONT.number, resident)
        terminal.inspecting = None
        close_shift(terminal.journal, town.clock.now())
        town.tap(FRONT.number, "adult_purse")
    return tmp_path / "town" / str(FRONT.number)


def test_refusals_and_inspections_are_decided_again(run: Run, refusing: Path) -> None:
    told = run("journal", "recompute", "--state", refusing, "--json")
    assert told.returncode == 0, told.stderr
    *rows, counts = map(json.loads, told.stdout.splitlines())
    assert counts == {"recomputed": 15, "differ": 0, "not_possible": 1}
    assert [row["not_possible"] for row in rows] == ["nothing_read"], (
        "the list that refused is still in force"
    )
    assert rows[0]["says"].partition(" (")[0] == "the row holds nothing to decide again from"
    lists = config_file(refusing, terminal={"state": refusing}, lists={"deny": deny_list_of(refusing)})
    with_list = run("journal", "recompute", "--config", lists, "--json")
    counts = json.loads(with_list.stdout.splitlines()[-1])
    assert counts == {"recomputed": 15, "differ": 0, "not_possible": 1}


def test_d_01_what_was_read_is_recorded_and_not_shown(run: Run, refusing: Path) -> None:
    with journal_reader(refusing) as reader:
        read = [row.record.read for row in reader.all_rows() if isinstance(row.record, Unwritten)]
    assert [sum(map(len, one)) for one in read].count(96) == len(read) - 1, "all but the unknown card"
    shown = run("journal", "show", "--state", refusing, "--json").stdout
    assert "96 bytes" in shown
    assert not [rights for rights, _ in filter(None, read) if rights.hex() in shown]


def deny_list_of(state: Path) -> Path:
    return state.parent / DENY_LIST_FILE


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"message": "expired"}, "message"),
        ({"admission": Admission.LET_IN}, "admission"),
        ({"reasons": ()}, "reasons"),
        ({"flags": ("capped",)}, "flags"),
        ({"prev_sequence": 77}, "previous"),
    ],
)
def test_a_refusal_that_does_not_follow_ends_with_code_24(
    run: Run, refusing: Path, changed: dict[str, object], what: str
) -> None:
    with open_journal(refusing, FRONT.number) as journal:
        rows = [parse_record(row.body) for row in journal.rows(limit=500)]
        refused = next(row for row in rows if isinstance(row, Unwritten) and row.message == "no_funds")
        sequence = journal.append(structs.replace(refused, **changed))
    told = run("journal", "recompute", "--state", refusing, "--json")
    assert told.returncode == 24
    differing = [row for row in map(json.loads, told.stdout.splitlines()) if row.get("sequence") == sequence]
    assert [set(row) - {"sequence"} for row in differing] == [{what}]


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"values": {"n": 99}}, "values"),
        ({"prev_terminal": 9}, "previous"),
        ({"balance_before_minor": 1}, "balance_before_minor"),
        ({"balance_after_minor": 1}, "balance_after_minor"),
        ({"paid_by": 7}, "paid_by"),
    ],
)
def test_what_a_written_tap_says_besides_is_compared_too(
    run: Run, bus: Path, changed: dict[str, object], what: str
) -> None:
    with open_journal(bus, FRONT.number) as journal:
        rows = [parse_record(row.body) for row in journal.rows(limit=500)]
        intent = next(row for row in rows if isinstance(row, Intent) and row.values)
        event = build_event(parse_event(intent.event)._replace(sequence=journal.head.sequence + 1))
        later = journal.append(structs.replace(intent, event=event, **changed))
        assert later == parse_event(event).sequence
    told = run("journal", "recompute", "--state", bus, "--json")
    assert told.returncode == 24
    differing = [row for row in map(json.loads, told.stdout.splitlines()) if row.get("sequence") == later]
    assert [set(row) - {"sequence"} for row in differing] == [{what}]


def test_a_time_that_no_calendar_has_is_counted_and_not_a_traceback(run: Run, refusing: Path) -> None:
    with open_journal(refusing, FRONT.number) as journal:
        rows = [parse_record(row.body) for row in journal.rows(limit=500)]
        refused = next(row for row in rows if isinstance(row, Unwritten) and row.message == "no_funds")
        sequence = journal.append(structs.replace(refused, at_ms=-(10**17)))
    told = run("journal", "recompute", "--state", refusing, "--json")
    assert told.returncode == 0, told.stderr
    gaps = {row.get("sequence"): row.get("not_possible") for row in map(json.loads, told.stdout.splitlines())}
    assert gaps[sequence] == "time"


def _sources(town: Town, replay: Replay | None) -> OwnSources:
    return OwnSources(otherwise={town.policy.tariff: town.policy}, replay=replay)


def _recomputed(town: Town, replay: Replay | None) -> list[tuple[int, Verdict]]:
    with journal_reader(town.folder / str(A)) as reader:
        return [(sequence, verdict) for sequence, _, verdict in judged(reader, _sources(town, replay))]
