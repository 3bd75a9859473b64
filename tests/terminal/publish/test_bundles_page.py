"""The commands of docs/bundles.md, as pasted, from the first key to the rotation."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

import msgspec
import pytest

from sim.profile import LAB_KEYS
from terminal.collector.enrolment import Enrolment
from terminal.sync.credentials import make_keys
from terminal.sync.enrolment import enrolment_request
from terminal.updates.bundle.assignment import read_assignment
from tests.terminal.cli.inside import Run
from tests.terminal.publish.office import DEMO, Office, OutsideClient
from tests.terminal.publish.test_lists import write_roster
from tests.terminal.screen.console.cab import everybody
from tests.test_project import ROOT

PAGE: Final = (ROOT / "docs/bundles.md").read_text("utf-8")
PASTED: Final = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLE: Final = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_publishes_as_it_says(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    for line in "".join(PASTED).splitlines():
        pasted(line, office.run, tmp_path, monkeypatch)
    assert set(re.findall('"missing":([0-9]+)', office.publish("status", "--json").stdout)) == {"0"}
    root = (office.bundles / "metadata/1.root.json").read_bytes()
    for source in (office.bundles, tmp_path / "stick"):
        client = OutsideClient(tmp_path / f"client-{source.name}", source, root)
        for name, file in (
            ("tariff/city/region.toml", DEMO),
            ("deny/fleet/deny-list", tmp_path / "deny-list"),
        ):
            assert client.get(name) == file.read_bytes()


def test_a_school_alone_publishes_as_the_page_says(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    monkeypatch.setenv("RESIDENT_PASSPHRASE_FILE", "pass")
    for line in re.findall(r"^    (terminal .*)$", PAGE.split("\n## One school alone\n")[1], re.MULTILINE):
        pasted(line, office.run, tmp_path, monkeypatch)
    root = (office.bundles / "metadata/1.root.json").read_bytes()
    client = OutsideClient(tmp_path / "client", office.bundles, root)
    assert client.get("tariff/city/region.toml") == DEMO.read_bytes()


def prepare(folder: Path) -> None:
    """What the page takes for granted."""
    shutil.copy(DEMO, folder / "region.toml")
    shutil.copy(LAB_KEYS, folder / "list.keys")
    (folder / "entries.csv").write_text("kind,identity\ncard,04010203040506\n")
    (example,) = EXAMPLE
    assert read_assignment(example.encode()).names == {"tariff/city", "deny/fleet"}
    (folder / "assignment.json").write_text(example)
    write_roster(folder).rename(folder / "roster.json")
    (folder / "staff.json").write_bytes(msgspec.json.encode({"kind": "staff", "members": everybody()}))
    enrolment = Enrolment(folder / "registry")
    for number in (70001, 80001):
        code = enrolment.make_code(number, 0)
        enrolment.redeem(enrolment_request(number, make_keys(), code), 0)


def pasted(line: str, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line)
    if words[0] == "terminal":
        told = run(*words[1:])
        assert told.returncode == 0, f"{line}: {told.stderr}"
    elif words[0] == "export":
        monkeypatch.setenv(*words[1].split("=", 1))
    else:
        subprocess.run(["sh", "-c", f"umask 077; {line}"], cwd=folder, check=True)
