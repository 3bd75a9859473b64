"""`terminal city` as it is called: table, JSON, picture, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from terminal.lab.city.contact import CONTACTS
from tests.terminal.cli.inside import runner

SMALL = ("city", "--terminals", 300)


def test_the_command_shows_tables_data_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = runner(tmp_path, monkeypatch, capfd)
    said = run(*SMALL, "--json", "--picture", "city.svg")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert [one["name"] for one in found["contacts"]] == [contact.name for contact in CONTACTS]
    drawn = ET.parse(tmp_path / "city.svg").getroot()
    lines = [one for one in drawn.iter() if one.tag.endswith("polyline")]
    assert len(lines) == len(CONTACTS)
    heights = [float(point.split(",")[1]) for point in lines[0].attrib["points"].split()]
    assert heights == sorted(heights, reverse=True), "more and more terminals know"
    table = run(*SMALL).stdout
    for one in found["contacts"]:
        (line, *_others) = (line for line in table.splitlines() if line.startswith(f"{one['name']}  "))
        assert f"{one['lost_rides']:.2f}" in line
    assert run(*SMALL, "--json", "--seed", 2).stdout != said.stdout


def test_what_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = runner(tmp_path, monkeypatch, capfd)
    for words, said in (
        (("--picture", tmp_path), "is a folder"),
        (("--picture", "nowhere/city.svg"), "there is no folder nowhere"),
    ):
        ended = run(*SMALL, *words)
        assert ended.returncode == 1
        assert said in ended.stderr
        assert ended.stderr.count("\n") == 1
    assert run("city", "--terminals", 0).returncode == 2
