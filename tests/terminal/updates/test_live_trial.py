"""A region document on trial at `terminal run`: what takes it back, what keeps it, and what a restart remembers (O-12)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from terminal.clock import SystemClock
from terminal.codes import ReturnCause, SetKind
from terminal.journal.operation_records import SetActivated, SetReturned
from terminal.journal.records import Intent, Unwritten
from tests.terminal.cli.conftest import Run
from tests.terminal.updates.published import region
from tests.terminal.updates.served import Served, serving

TOO_DEAR = 9_000_000
"""Kopecks for a ride: every purse of the laboratory is short of it."""
FAST = {"pace_s": 0.01}


def publish(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(content)
    os.replace(draft, path)


def say(folder: Path, **verdicts: list[str]) -> None:
    """What a publisher says of documents on trial."""
    publish(folder / "assignment.json", json.dumps({"format": 1, "groups": [], **verdicts}).encode())


@contextmanager
def on_trial(tmp_path: Path, cards: str = "adult_purse", fare_minor: int = TOO_DEAR) -> Iterator[Served]:
    """A terminal that has decided by version 1, and decides by version 2 on trial."""
    folder = tmp_path / "published"
    folder.mkdir(exist_ok=True)
    publish(folder / "region.toml", region(1))
    with serving(tmp_path, cards, updates={"folder": folder}, reader=FAST) as served:
        served.tap()
        publish(folder / "region.toml", region(2, fare_minor=fare_minor, trial_days=7))
        served.said("in_force", kind="region", edition="demo:2")
        yield served


def returns(served: Served) -> list[SetReturned]:
    return [row for row in served.rows() if isinstance(row, SetReturned)]


def activated(served: Served) -> list[int]:
    rows = served.rows()
    return [row.version for row in rows if isinstance(row, SetActivated) and row.kind == SetKind.REGION]


def test_a_tariff_that_refuses_too_many_takes_itself_back_and_is_not_taken_again(
    run: Run, tmp_path: Path
) -> None:
    with on_trial(tmp_path) as served:
        served.tap(lambda tap: tap["message"] == "no_funds")
        served.said("update", code="update:taken_back", version=2)
        served.said("in_force", kind="region", edition="demo:1")
        served.tap(lambda tap: tap["admission"] == "let_in")
        served.hang_up()
        (row,) = returns(served)
        assert (row.version, row.cause, row.back_to) == (2, ReturnCause.REFUSALS, 1)
        assert row.taps >= 200
        assert row.refused == row.taps
        assert row.refused_before == 0
        assert activated(served) == [1, 2, 1]
    checks = json.loads(run("health", "--state", served.state, "--json").stdout)["checks"]
    assert checks["update:region"]["inputs"]["fault"] == "update:taken_back"
    folder = tmp_path / "published"
    with serving(tmp_path, "adult_purse", updates={"folder": folder}, reader=FAST) as served:
        assert served.said("ready")["tariff"] == "demo:1", "version 2 still lies there"
        served.said("update", code="update:taken_back")
        publish(folder / "region.toml", region(3))
        served.said("in_force", kind="region", edition="demo:3")
        assert activated(served) == [1, 2, 1, 3]


def test_counts_survive_the_end_of_the_process(tmp_path: Path) -> None:
    """Refused on both sides of a power cut, and on neither as often as the rule wants."""
    with on_trial(tmp_path) as served:
        served.tap(lambda tap: tap["message"] == "no_funds")
        served.process.kill()
        served.process.wait(20)
        before = refused_by(served, "demo:2")
        assert 0 < before < 200
    with serving(tmp_path, "adult_purse", updates={"folder": tmp_path / "published"}, reader=FAST) as served:
        assert served.said("ready")["tariff"] == "demo:2"
        served.said("in_force", kind="region", edition="demo:1")
        (row,) = returns(served)
        assert row.taps == refused_by(served, "demo:2")


def refused_by(served: Served, tariff: str) -> int:
    return sum(isinstance(row, Unwritten) and row.tariff == tariff for row in served.rows())


def test_what_is_confirmed_stays_and_what_is_withdrawn_goes(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    with on_trial(tmp_path, fare_minor=3100) as served:
        say(folder, confirmed=["demo:2"])
        served.said("confirmed", edition="demo:2")
        say(folder, confirmed=["demo:2"], withdrawn=["demo:2"])
        publish(folder / "region.toml", region(3, fare_minor=3200, trial_days=7))
        served.said("in_force", kind="region", edition="demo:3")
        say(folder, confirmed=["demo:2"], withdrawn=["demo:3"])
        served.said("in_force", kind="region", edition="demo:2")
        (row,) = returns(served)
        assert (row.version, row.cause, row.back_to) == (3, ReturnCause.WITHDRAWN, 2)
        assert activated(served) == [1, 2, 3, 2]
        assert {row.tariff for row in served.rows() if isinstance(row, Intent)} <= {"demo:1", "demo:2", "demo:3"}


def test_what_no_person_confirms_in_its_days_goes_back(tmp_path: Path) -> None:
    """A laboratory's clock is eight days further at the next start."""
    later = SystemClock().now() + timedelta(days=8)
    with on_trial(tmp_path, fare_minor=3100) as served:
        served.tap()
    folder = tmp_path / "published"
    laboratory = {"clock": True, "starts_at": later.isoformat(), "control": "127.0.0.1:0"}
    with serving(
        tmp_path, "adult_purse", updates={"folder": folder}, reader=FAST, laboratory=laboratory
    ) as served:
        served.said("in_force", kind="region", edition="demo:1")
        (row,) = returns(served)
        assert row.cause is ReturnCause.UNCONFIRMED
