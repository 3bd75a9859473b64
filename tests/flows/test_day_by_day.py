"""docs/operations.md, day by day: its commands as pasted, and the stolen validator as a drill with real processes."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from sim.profile import LAB_KEYS
from terminal.app.collector import collector_process
from terminal.clock import SystemClock, unix_ms
from terminal.collector.alarms import Alarm, AlarmKind
from terminal.collector.office import office_at
from terminal.collector.users import OfficeRole
from terminal.publish import key_files
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.cli.inside import Run, runner
from tests.terminal.collector.office import user_of
from tests.terminal.publish.office import DEMO, Office
from tests.test_project import ROOT

PAGE: Final = (ROOT / "docs/operations.md").read_text("utf-8").partition("\n## Day by day\n")[2]
WORKERS: Final = (OfficeRole.OPERATE, OfficeRole.MONEY, OfficeRole.PUBLISH)


def lines(title: str) -> list[str]:
    """What is pasted of one part of the page."""
    part = PAGE.split(f"\n### {title}\n")[1].partition("\n### ")[0]
    return "".join(re.findall(r"^```sh\n(.*?)^```", part, re.MULTILINE | re.DOTALL)).splitlines()


def tokens(folder: Path) -> None:
    """Users 17 and 18 of the collector in `town`, each with a token."""
    for ref in ("17", "18"):
        path = folder / f"{ref}.token"
        path.write_text(user_of(folder / "town", ref, *WORKERS))
        path.chmod(0o600)


def version_of(document: str) -> int:
    found = re.search(r"^version = ([0-9]+)$", document, re.MULTILINE)
    assert found is not None
    return int(found[1])


@contextmanager
def town(folder: Path) -> Iterator[str]:
    """A running collector."""
    with collector_process(folder / "town") as url:
        tokens(folder)
        yield url


def test_the_pages_commands_run_as_they_stand_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Morning, wrong tariff and leaked key, in the page's order, one office through all three."""
    monkeypatch.setattr(key_files, "LOG_N", 14)
    run = runner(tmp_path, monkeypatch, capfd)
    office = Office(tmp_path, run)
    office.begin()
    monkeypatch.setenv("RESIDENT_PASSPHRASE_FILE", "pass")
    monkeypatch.setenv("RESIDENT_COLLECTOR", "town")
    shutil.copy(DEMO, tmp_path / "region.toml")
    office.publish("add", "tariff/city", "region.toml")
    office.sign("tariff", "tariff-1", "tariff-2")
    shutil.copy(LAB_KEYS, tmp_path / "keys.toml")
    assert run("deny", "init", "--folder", "deny").returncode == 0
    (tmp_path / "town/staged").mkdir(parents=True)
    with town(tmp_path):
        with office_at(tmp_path / "town") as books:
            books.store.keep_alarm(Alarm(AlarmKind.TMC_TWICE, 7, 9, "counter"), unix_ms(SystemClock().now()))
        pasted(run, "Every morning")
        assert json.loads(run("collector", "alarms", "--json").stdout)["alarms"] == []
        document = (tmp_path / "region.toml").read_text("utf-8")
        later = version_of(document) + 1
        (tmp_path / "region.toml").write_text(
            re.sub(r"(?m)^version = [0-9]+$", f"version = {later}", document, count=1)
        )
        pasted(run, "A wrong tariff")
        pasted(run, "A leaked key")
        served = json.loads((tmp_path / "town/bundles/metadata/3.tariff.json").read_bytes())["signed"]
        (target,) = [name for name in served["targets"] if name.endswith("region.toml")]
        file = f"{served['targets'][target]['hashes']['sha256']}.region.toml"
        (content,) = (tmp_path / "town/bundles/targets").rglob(file)
        assert version_of(content.read_text("utf-8")) == later
        refused = (
            run("collector", "alarms", "--json"),
            run("collector", "revoke", "7", "--token-file", "17.token"),
        )
        assert [one.returncode for one in refused] == [0, 51], "the token that leaked counts no more"


def pasted(run: Run, title: str) -> None:
    found = lines(title)
    assert len(found) >= 3, title
    for line in found:
        program, *words = shlex.split(line)
        assert program == "terminal"
        said = run(*words)
        assert said.returncode == 0, f"{line}: {said.stderr}"


def test_a_stolen_validator_from_the_first_minutes_to_the_new_one(tmp_path: Path) -> None:
    """Collector, terminals and thief are processes of their own; the page's blocks are pasted in between."""
    environment = ENVIRONMENT | {"RESIDENT_COLLECTOR": "town"}

    def ran(*words: object, code: int = 0, said: str = "") -> str:
        done = subprocess.run(
            command(words),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            input=said,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def bus(number: int, state: str, url: str, code: str) -> tuple[object, ...]:
        """A bus with this number is enrolled, takes a ride and uploads."""
        (tmp_path / f"{number}.code").write_text(code)
        where = ("--state", state, "--number", number, "--profile", "bus")
        uplink = ("--state", state, "--number", number, "--collector", url)
        ran("enrol", *uplink, "--code-file", f"{number}.code")
        ran("run", *where, "--reader", "sim:adult_purse", "--taps", 1)
        ran("sync", *uplink)
        return where, uplink

    shutil.copy(LAB_KEYS, tmp_path / "keys.toml")
    ran("deny", "init", "--folder", "deny")
    ran("deny", "issue", "--folder", "deny", "--base", "--out", "published", "--keys", "keys.toml")
    ran("keys", "init", "--role", "office", "--region", 34, "--out", "office.keys", "--components", 2)
    ran("keys", "init", "--role", "bus", "--terminal", 70002)
    with town(tmp_path) as url:

        def code(number: int) -> str:
            made = ran("collector", "enrol", number, "--token-file", "17.token", "--json")
            return str(json.loads(made)["code"])

        where, uplink = bus(70001, "stolen", url, code(70001))
        held = rows(ran("collector", "terminals", "--json"), 70001)
        assert held > 0
        blocks = [shlex.split(line)[1:] for line in lines("A stolen validator")]
        revoke, *others, enrol = blocks
        assert (revoke[1], enrol[1]) == ("revoke", "enrol")
        ran(*revoke)
        ran("run", *where, "--reader", "sim:adult_purse", "--taps", 1)
        refused = ran("sync", *uplink, code=40)
        assert "unknown_terminal" in refused.strip()
        assert "\n" not in refused.strip()
        assert rows(ran("collector", "terminals", "--json"), 70001) == held, (
            "what the thief taps is not taken"
        )
        for block in others:
            ran(*block)
        done = json.loads(ran("collector", "operations", "--terminal", 70001, "--json"))["operations"]
        assert [(one["code"], one["by"]) for one in done][-1] == ("revoked", "17")
        until_s = time.monotonic() + 30.0  # they are written together, a moment after they were turned away
        tried: list[tuple[str, int]] = []
        while ("unknown_terminal", 70001) not in tried and time.monotonic() < until_s:
            said = json.loads(ran("collector", "strangers", "--json"))["strangers"]
            tried = [(one["kind"], one["terminal"]) for one in said]
        assert ("unknown_terminal", 70001) in tried
        new = ran(*enrol).partition("\n")[0]
        bus(int(enrol[2]), "new", url, new)
        assert rows(ran("collector", "terminals", "--json"), int(enrol[2])) > 0


def rows(said: str, number: int) -> int:
    """How many rows of that terminal are held."""
    (found,) = [one["held"] for one in json.loads(said)["terminals"] if one["terminal"] == number]
    return int(found)
