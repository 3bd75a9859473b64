"""`terminal card acceptance` through a real pcscd: the card is another process's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.pcscd, pytest.mark.usefixtures("pcscd")]

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
READER = "pcsc:Virtual PCD 00 00"


def command(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def card(profile: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    process = command("sim.cli.app", "vpcd", "--profile", profile, *more)
    try:
        assert process.stdout is not None
        assert "virtual reader" in process.stdout.readline()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def acceptance(*more: str) -> subprocess.Popen[str]:
    return command(
        "terminal.cli.app",
        "card",
        "acceptance",
        "--reader",
        READER,
        "--keys",
        "laboratory",
        "--expendable",
        "--json",
        "--language",
        "en",
        *more,
    )


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if word in line:
            return
    process.communicate(timeout=60)
    raise AssertionError(f"the command ended without {word!r}: {''.join(said)}")


def rows(out: str) -> dict[str, Any]:
    report = json.loads(out)
    return {row["assumption"]: row for row in report["rows"]} | {"report": report}


def test_a_card_that_is_as_assumed_then_one_pulled_by_hand(tmp_path: Path) -> None:
    transcript = tmp_path / "transcript"
    with card("blank_ev3", "--image-out", str(tmp_path / "image.json")) as held:
        process = acceptance("--transcript", str(transcript), "--pulls", "1")
        wait_for(process, "take the card off")
        held.send_signal(signal.SIGUSR1)
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    found = rows(out)
    assert found["report"]["usable"]
    assert found["tears"]["saw"] == {"tears": 16, "by_hand": 1, "wrong": 0}
    assert found["twin"]["saw"]["different"] == 0
    image = json.loads((tmp_path / "image.json").read_text())
    assert list(image["applications"]) == ["000000"], "as the factory delivers it"
    assert image["uid"] not in transcript.read_text()


def test_ordered_to_stop_while_it_waits_for_a_person_and_taken_up_again(tmp_path: Path) -> None:
    with card("blank_ev2", "--image-out", str(tmp_path / "image.json")):
        process = acceptance("--pulls", "1")
        wait_for(process, "take the card off")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 30
        assert "Traceback" not in err
        assert "run the same command again" in err
        killed = acceptance()
        wait_for(killed, "tearing")
        killed.kill()
        killed.communicate(timeout=60)
        again = acceptance()
        out, err = again.communicate(timeout=90)
    assert again.returncode == 0, err
    assert rows(out)["report"]["usable"]
    image = json.loads((tmp_path / "image.json").read_text())
    assert list(image["applications"]) == ["000000"]


def test_the_card_is_taken_away_for_good() -> None:
    with card("blank_ev2"):
        process = acceptance("--wait", "1")
        wait_for(process, "tearing")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 30
    assert "Traceback" not in err
    assert "run the same command again" in err


def test_a_chip_that_deviates_through_the_service() -> None:
    with card("blank_ev3", "--deviation", "timer-refused", "--deviation", "no-roll"):
        out, err = acceptance().communicate(timeout=90)
    found = rows(out)
    assert (found["timer_form"]["verdict"], found["roll"]["verdict"]) == ("fails", "fails"), err
    assert found["report"]["usable"]
