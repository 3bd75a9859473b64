"""The storm leaves nothing lost, and a town with one deliberate mistake does not survive it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from terminal.collector import proof
from terminal.collector.proof import Proof
from terminal.errors import ProfileError
from terminal.journal.records import Intent, parse_record
from terminal.lab.stress.checkers.check import check
from terminal.lab.stress.faults.plan import (
    BESIDE,
    BETWEEN,
    CARDS,
    COPIES,
    CRASHES,
    DISKS,
    LIES,
    LINKS,
    MACHINES,
    STAFF,
    TEARS,
    Kind,
    StressStep,
    faults_named,
)
from terminal.lab.stress.play import play
from terminal.lab.stress.process import play_processes
from terminal.lab.stress.run import EndedTown, TownSeed, Violation, play_town, shrink, storm
from terminal.lab.stress.world import open_storm_town
from tests.planted import Mistake
from tests.storm import variants
from tests.storm.planted import NOTICED, mistakes, noticed
from tests.storm.variants import Patch, broken

ALL = frozenset(Kind)
SMALL = 6, 20


def faults(*groups: tuple[Kind, ...] | Kind) -> frozenset[Kind]:
    return frozenset(kind for group in groups for kind in ((group,) if isinstance(group, Kind) else group))


CAUGHT: tuple[tuple[Callable[[Patch], None], frozenset[Kind], int, int], ...] = (
    # the mistake, the faults that bring it to light, the seed, taps
    (variants.outcome_before_intent, faults(TEARS, CRASHES), 1, 300),
    (variants.unsigned_acknowledgement_trusted, faults(Kind.ACK_FORGED), 1, 400),
    (variants.sequence_reused_after_restart, faults(CRASHES), 1, 200),
    (variants.unknown_treated_as_failed, faults(Kind.TEAR_AFTER), 1, 300),
    (variants.flush_skipped, faults(Kind.POWER_CUT), 1, 300),
    (variants.dedupe_outside_the_transaction, faults(Kind.COLLECTOR_KILLED), 1, 600),
    (variants.recovery_forgets_another_terminal, faults(Kind.TEAR_AFTER, Kind.MOVED), 1, 600),
    (variants.rounding_in_the_sum, frozenset(), 1, 100),
    (variants.recovery_recorded_before_told, faults(Kind.TEAR_AFTER, Kind.CRASH_OUTCOME), 4, 600),
    (variants.acknowledged_before_stored, faults(Kind.COLLECTOR_KILLED), 2, 600),
    (variants.busy_taken_for_stored, faults(Kind.BUSY), 1, 300),
    (variants.newer_by_the_clock, faults(Kind.DELAYED, Kind.CLOCK_BACK, Kind.CLOCK_FORWARD), 4, 1200),
    (variants.books_marked_before_they_are_written, faults(Kind.BOOKS_KILLED), 3, 600),
)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost(seed: int) -> None:
    result = storm(900, seed, ALL, lambda _taps, _faults: None, terminals=6, cards=20)
    found = result.findings
    assert (found.lost, found.duplicated, found.money_mismatch_minor, found.unresolved_open) == (0, 0, 0, 0)
    assert found.problems == []
    assert result.violations == []
    assert found.taps >= 900
    assert found.charged_minor > 0
    assert found.unresolved_settled > 0
    assert found.faults_injected.total() > 60


def test_meals_are_given_by_the_roster(tmp_path: Path) -> None:
    """Listed and other pupils stand in one queue; both eat, and every meal names the roster in force."""
    town = TownSeed(1, 4, 20)
    with open_storm_town(tmp_path, town.seed, 4, town.riders, town.pupils, disks=False) as opened:
        play(opened, town.plan(200, frozenset()), lambda _count: None)
        school_counter = opened.posts[-1].terminal.canteen
        assert school_counter is not None
        assert school_counter.roster is not None
        listed = set(school_counter.roster.pupils)
        records = [parse_record(row.body) for row in opened.store.records()]
        meals = [record for record in records if isinstance(record, Intent) and record.meal is not None]
        assert {meal.meal.roster for meal in meals if meal.meal is not None} == {1}
        assert {meal.person_ref in listed for meal in meals} == {True, False}
        assert check(opened).sound


@pytest.mark.parametrize(
    "group",
    [TEARS, CRASHES, DISKS, BETWEEN, LINKS, STAFF, MACHINES + LIES + BESIDE + COPIES],
    ids=lambda group: group[0].value,
)
def test_each_kind_of_fault_really_strikes(group: tuple[Kind, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that never happens would prove nothing."""
    monkeypatch.setattr("terminal.lab.stress.faults.plan.CHANCE", ((group, 0.3),))
    monkeypatch.setattr("terminal.lab.stress.faults.plan.SYNC_CHANCE", 0.4 if group is LINKS else 0.02)
    town = TownSeed(9, *SMALL)
    found = play_town(town, town.plan(250, frozenset(group)))
    assert found.problems == []
    assert set(found.faults_injected) == set(group)


@pytest.mark.parametrize("region", ["belgorod", "bashkortostan", "st_petersburg"])
def test_towns_of_other_regions_are_sound(region: str) -> None:
    town = TownSeed(5, *SMALL, region, tuple(CARDS))
    found = play_town(town, town.plan(150, ALL))
    assert found.problems == []
    assert found.sound
    assert found.decided >= 150
    assert {Kind.EV1_CARD, Kind.RANDOM_UID} <= set(found.faults_injected)


def test_a_fault_that_never_happens_fails_a_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terminal.lab.stress.run.ENOUGH_TAPS", 20)
    kinds = faults(Kind.TEAR_AFTER, Kind.LYING_DISK)
    monkeypatch.setattr("terminal.lab.stress.faults.plan.CHANCE", ((TEARS, 0.5),))
    result = storm(40, 1, kinds, lambda _taps, _faults: None, terminals=4, cards=10)
    assert result.findings.problems == ["disk_lies never happened"]


def test_a_storm_goes_on_behind_the_towns_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terminal.lab.stress.run.TOWN_TAPS", 30)
    log, played = tmp_path / "storm.jsonl", []

    def run_to(taps: int, kinds: frozenset[Kind]) -> int:
        before = len(log.read_bytes().splitlines()) if log.exists() else 0
        result = storm(taps, 3, kinds, lambda _taps, _faults: None, terminals=4, cards=10, log=log)
        played.append(len(log.read_bytes().splitlines()) - before)
        return result.findings.taps

    none: frozenset[Kind] = frozenset()
    assert run_to(60, none) == 60
    assert run_to(90, none) == 90
    assert run_to(60, faults(Kind.TEAR_AFTER)) >= 60
    assert played == [2, 1, 2], "towns of other faults are other towns"
    whole = log.read_bytes()
    log.write_bytes(whole[:-9])  # the power went while the last line was written
    assert run_to(60, faults(Kind.TEAR_AFTER)) >= 60
    ours, again = (
        [msgspec.json.decode(line, type=EndedTown) for line in data.splitlines()]
        for data in (whole, log.read_bytes())
    )
    assert [line.counts for line in again] == [line.counts for line in ours]
    log.write_text("no storm\n")
    with pytest.raises(ProfileError, match="no log of a storm"):
        run_to(60, none)


def test_two_events_of_one_number_are_seen(tmp_path: Path) -> None:
    town = TownSeed(1, 2, 4)
    with open_storm_town(tmp_path, town.seed, 2, town.riders, town.pupils, disks=False) as opened:
        play(opened, town.plan(20, frozenset()), lambda _count: None)
        assert check(opened).sound
        rider = next(rider for rider in opened.riders if rider.events)
        number = list(rider.records)[-1]
        rider.records[number] = bytes(
            len(rider.records[number])
        )  # as if the card had held another event of it
        rider.look()
        found = check(opened)
        assert found.duplicated == 1
        assert found.problems == [f"two events of one card carry number {number}"]


@pytest.mark.parametrize("mistake", mistakes()[::5], ids=lambda mistake: mistake.name)
def test_a_planted_mistake_is_noticed(mistake: Mistake) -> None:
    """Every fifth here; `python -m tests.storm.planted` tries all."""
    done = noticed(mistake)
    assert done.returncode == NOTICED, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variant", "kinds", "seed", "taps"), CAUGHT, ids=lambda v: getattr(v, "__name__", None)
)
def test_a_mistake_is_caught(
    variant: Callable[[Patch], None], kinds: frozenset[Kind], seed: int, taps: int
) -> None:
    town = TownSeed(seed, *SMALL)
    steps = town.plan(taps, kinds)
    with broken(variant):
        found = play_town(town, steps)
    assert not found.sound, f"{variant.__name__} survived seed {seed}"


def test_every_mistake_is_on_the_list() -> None:
    assert [variant for variant, *_ in CAUGHT] == list(variants.VARIANTS)


def test_a_violation_is_shrunk_to_a_story_that_can_be_played_again(tmp_path: Path) -> None:
    town = TownSeed(1, *SMALL)
    steps = town.plan(120, faults(Kind.TEAR_AFTER))
    with broken(variants.unknown_treated_as_failed):
        violation = shrink(town, steps, play_town(town, steps), limit_s=120)
        assert [step.fault for step in violation.replay] == [Kind.TEAR_AFTER]
        assert violation.planned_steps == len(steps)
        again = msgspec.json.decode(msgspec.json.encode(violation), type=Violation)
        assert not play_town(again.town, again.replay).sound
    assert play_town(town, violation.replay).sound, "without the mistake the same story ends well"


def test_a_late_batch_and_a_clock_set_back_are_no_cut_journal() -> None:
    """Found by a long run: the collector took the later time for the newer batch."""
    story = [
        StressStep("sync", 3, fault=Kind.DELAYED),
        StressStep("tap", 3, 32.9, 17),
        StressStep("between", 3, 9.8, fault=Kind.CLOCK_BACK, value=7200),
        StressStep("sync", 3),
    ]
    found = play_town(TownSeed(1001003004), story)
    assert found.sound, found.problems


ANNOUNCED = StressStep("between", 3, 4000.0, fault=Kind.COMPANIONS, value=989)
"""Three friends ride with the next card, an hour after what was before."""
TORN = StressStep("tap", 3, 5.0, 3, Kind.TEAR_AFTER, 8)


def test_new_hardware_does_not_doubt_its_clock_for_the_old_one(tmp_path: Path) -> None:
    """A doubt that outlived a restart ends with the machine: the new one's clock agreed with the collector, and lifts
    the cards' periods the next day (ADR 12, ADR 26)."""
    town = TownSeed(1, 4, 20)
    day_s = 24 * 3600.0
    jump = StressStep("between", 1, 5.0, 0, Kind.CLOCK_FORWARD, value=90_000)
    restart, replace = (StressStep("between", 1, 5.0, 0, kind) for kind in (Kind.RESTART, Kind.REPLACED))
    taps = [StressStep("tap", 1, day_s if not card else 20.0, card) for card in range(town.riders)]
    with open_storm_town(tmp_path, town.seed, 4, town.riders, town.pupils, disks=False) as opened:
        play(opened, [jump, restart, jump], lambda _count: None)
        assert opened.truth.posts[1].clock.suspect
        play(opened, [replace, *taps], lambda _count: None)
        assert not opened.posts[1].terminal.clock_watch.state.suspect
        assert opened.count.granted >= town.riders // 4
        assert check(opened).problems == []


def test_a_deny_list_that_a_start_took_up_stays_when_the_clock_jumps() -> None:
    """Found by a long run: the checker had it wait for a tap, and after the jump for a clock in no doubt."""
    story = [
        StressStep("between", 4, 1.5, 24, Kind.DENY_LIST, value=845),
        StressStep("between", 5, 5.0, 0, Kind.RESTART),
        StressStep("between", 5, 5.0, 0, Kind.CLOCK_FORWARD, value=7200),
        StressStep("tap", 5, 5.0, 24),
    ]
    found = play_town(TownSeed(9001027004, region="volgograd"), story)
    assert found.problems == []


def test_a_proof_left_out_of_a_late_end_stands_among_the_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a long run: the checker wanted an alarm, where a count of that terminal is what people see."""
    story = [
        StressStep("tap", 3, 5.0, 3, Kind.TEAR_AFTER, 7),
        StressStep("tap", 3, 5.0, 3, Kind.FALSE_ROWS, 8, 2),
    ]
    found = play_town(TownSeed(11, 6, 24, "demo"), story)
    assert found.problems == []
    assert found.faults_injected == {"tear_after": 1, "false_rows": 1}
    said_of = proof._proof_of
    kept_quiet = {Proof.REPLACED: Proof.CANNOT_PROVE}
    monkeypatch.setattr(proof, "_proof_of", lambda *row: kept_quiet.get(said_of(*row), said_of(*row)))
    found = play_town(TownSeed(11, 6, 24, "demo"), story)
    assert found.unnoticed == 1, found.problems


def test_luggage_has_a_price_of_its_own_where_a_document_has_no_fares() -> None:
    """Found by a long run: the checker had nothing sold there."""
    sales = [StressStep("between", 2, 5.0, 12, Kind.CASH, value=value) for value in (132, 133, 134)]
    found = play_town(TownSeed(31002093009, region="bashkortostan"), sales)
    assert found.problems == []
    assert found.faults_injected == {"crew_sells_for_cash": 1}


def test_a_torn_tap_stays_open_when_the_only_row_that_found_it_is_lost() -> None:
    """Found by a long run: the checker wanted an end of it, but a lying disk had taken what showed one, and the card
    had gone on further than it remembers."""
    torn, found_it = StressStep("tap", 3, 5.0, 0, Kind.TEAR_AFTER, 8), StressStep("tap", 0, 200.0, 0)
    later = [StressStep("tap", 1 + at % 2, 4000.0, 0) for at in range(5)]
    lost = structs.replace(found_it, fault=Kind.LYING_DISK, at=9)
    for story, named in (([torn, lost, *later], 2), ([torn, found_it, *later], 0)):
        found = play_town(TownSeed(11, 6, 24, "demo"), story)
        assert found.problems == []
        assert (found.sound, found.lost_and_named) == (True, named)


def test_a_copied_machine_is_noticed_however_little_was_written_since() -> None:
    """Found by a long run: both machines started in one millisecond and had written the same row."""
    found = play_town(TownSeed(11, 6, 24, "demo"), [StressStep("between", 0, 5.0, 3, Kind.TWIN)])
    assert found.problems == []
    assert found.faults_injected == {"two_machines_one_number": 1}


def test_those_announced_ride_once() -> None:
    """Found by a long run: the checker had them gone after any disturbed tap. Cards 1 and 3 are passes, 7 is denied."""
    first, other = StressStep("tap", 3, 5.0, 3), StressStep("tap", 3, 5.0, 1)
    stories = [
        # refused, or taken away too early: they ride with the next card
        ([StressStep("tap", 3, 5.0, 7, Kind.TEAR_BEFORE, 9), first], 3),
        ([StressStep("tap", 3, 5.0, 3, Kind.TEAR_BEFORE, 1), first], 3),
        # an end that is not known: with the other one who comes next, or not when the card itself says so
        ([TORN, other], 6),
        ([TORN, first, other], 3),
        # it says so later, after a ride on another route
        ([TORN, StressStep("tap", 0, 5.0, 3), first, other], 3),
    ]
    steps = [step for taps, _ in stories for step in (ANNOUNCED, *taps)]
    found = play_town(TownSeed(11, 6, 24, "demo"), steps)
    assert found.problems == []
    assert (found.charged_minor, found.misjudged) == (2400 * sum(rides for _, rides in stories), 0)


def test_the_same_seed_gives_the_same_plan() -> None:
    assert TownSeed(5).plan(300, ALL) == TownSeed(5).plan(300, ALL)
    assert TownSeed(5).plan(300, ALL) != TownSeed(6).plan(300, ALL)


def test_faults_by_name() -> None:
    assert faults_named(["power_cut", "ack_lost"]) == {Kind.POWER_CUT, Kind.ACK_LOST}
    with pytest.raises(ProfileError, match="tsunami"):
        faults_named(["tsunami"])


def test_the_command_prints_every_figure(tmp_path: Path) -> None:
    found = run("--taps", "150", "--seed", "3", "--faults", "tear_after,crash_before_intent", "--json")
    assert found.returncode == 0, found.stderr
    figures: dict[str, Any] = json.loads(found.stdout)
    zero = ("lost", "duplicated", "money_mismatch_minor", "unresolved_open")
    assert [figures[name] for name in zero] == [0, 0, 0, 0]
    assert figures["taps"] >= 150
    assert set(figures["faults_injected"]) == {"tear_after", "crash_before_intent"}
    assert figures["violations"] == []


def test_the_command_adds_up_logs(tmp_path: Path) -> None:
    logs = [tmp_path / f"{seed}.jsonl" for seed in (3, 4)]
    ran = [
        json.loads(
            run("--taps", "30", "--seed", log.stem, "--faults", "", "--log", str(log), "--json").stdout
        )
        for log in logs
    ]
    named = [part for log in (*logs, logs[0]) for part in ("--sum", str(log))]
    found = run(*named, "--json")
    assert found.returncode == 0, found.stderr
    total = json.loads(found.stdout)
    for name in (
        "towns",
        "taps",
        "decided",
        "rides_on_cards",
        "records",
        "charged_minor",
        "lost",
        "unnoticed",
    ):
        assert total[name] == sum(one[name] for one in ran)
    assert total["taps_per_cpu_s"] > 0
    (tmp_path / "other").write_text("no storm")
    other = run("--sum", str(tmp_path / "other"))
    assert (other.returncode, (tmp_path / "other").read_text()) == (50, "no storm")
    assert "no log of a storm" in other.stderr


def test_the_command_plays_a_replay(tmp_path: Path) -> None:
    town = TownSeed(1, *SMALL)
    story = Violation(town, [], 3, town.plan(3, frozenset()))
    (tmp_path / "story.json").write_bytes(msgspec.json.encode(story))
    found = run("--replay", str(tmp_path / "story.json"), "--json")
    assert (found.returncode, json.loads(found.stdout)["taps"]) == (0, 3)


def test_real_processes_killed() -> None:
    found = play_processes(1, seed=4)
    assert found.sound, found.problems
    assert found.faults_injected == {"kill_9_terminal": 1, "kill_9_collector": 1}
    assert found.rides > 0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "terminal.cli.app", "storm", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
