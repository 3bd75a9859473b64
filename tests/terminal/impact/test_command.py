"""The command beside running terminals, over backups, interrupted, and what it writes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from terminal.impact.replay import ImpactReplay
from tests.config_file import config_file
from tests.terminal.cli.conftest import Start
from tests.terminal.cli.inside import Run
from tests.terminal.impact.conftest import Impact, changed, group, ride, totals_of, town
from tests.terminal.screen.browser import NewPage, assert_accessible

FARE = "transport_card = 2400"


@pytest.fixture
def dearer(tmp_path: Path) -> Path:
    return changed(tmp_path, FARE, "transport_card = 2600")


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """An adult refused at last, and a student."""
    with town(tmp_path / "days", "adult_purse", "student_half_price") as opened:
        ride(opened, "adult_purse", 21)
        ride(opened, "student_half_price", 2)
    return tmp_path / "days"


def test_beside_a_running_terminal(tmp_path: Path, start: Start, impact: Impact, dearer: Path) -> None:
    """The journal of `terminal run` while it takes taps: two purses have paid 24.00 and 20.00 at least."""
    config_file(tmp_path, terminal={"language": "en"}, shift={"operator": "17", "route": 15})
    cards = "sim:adult_purse,student_half_price,blocked"
    terminal = start(*("run", "--profile", "bus", "--state", "days/one", "--reader", cards, "--pace", "0.2"))
    assert terminal.stdout is not None
    while "Card blocked" not in (line := terminal.stdout.readline()):
        assert line, "the terminal ended"
    found = impact("demo", dearer, tmp_path / "days")
    assert terminal.poll() is None, "it goes on"
    assert found["cards"] == 3
    assert found["recorded_minor"] == found["total"]["old_minor"] >= 4_400
    adult = group(found, "rule", "t-01:ordinary_fare")
    assert adult["difference_minor"] == adult["changed"] * 200 >= 200
    assert group(found, "route", "15")["difference_minor"] == adult["difference_minor"]


def test_a_backup_is_replayed_as_the_journal_in_it(
    tmp_path: Path, run: Run, impact: Impact, days: Path, dearer: Path
) -> None:
    expected = totals_of(impact("demo", dearer, days))
    made = run("backup", tmp_path / "kept" / "one.backup", "--state", days / "70001")
    assert made.returncode == 0, made.stderr
    assert totals_of(impact("demo", dearer, tmp_path / "kept")) == expected


def test_the_table_fits_80_columns_in_both_languages(run: Run, days: Path, dearer: Path) -> None:
    for language, said in (("en", "Newly refused"), ("ru", "Новые отказы")):
        answer = run("policy", "impact", "demo", dearer, "--journal", days, "--language", language)
        assert answer.returncode == 0, answer.stderr
        assert said in answer.stdout
        assert max(map(len, answer.stdout.splitlines())) <= 80
        assert answer.stderr == "", "no progress bar where no terminal is"


def test_no_card_is_named(run: Run, days: Path, dearer: Path, tmp_path: Path) -> None:
    """Neither references nor pseudonyms: cards are numbers of this replay."""
    written = [tmp_path / "page.html", tmp_path / "picture.svg"]
    answer = run(
        *("policy", "impact", "demo", dearer, "--journal", days, "--json"),
        *("--html", written[0], "--svg", written[1]),
    )
    everything = answer.stdout + "".join(path.read_text(encoding="utf-8") for path in written)
    rows = run("journal", "show", "--state", days / "70001", "--json").stdout.splitlines()
    references = {str(_field(json.loads(row), "card_ref")) for row in rows} - {"None"}
    assert len(references) == 2
    assert not [reference for reference in references if reference in everything]


def _field(value: Any, name: str) -> object:
    """A field of that name, wherever it stands."""
    if isinstance(value, dict):
        if name in value:
            return value[name]
        return next((found for one in value.values() if (found := _field(one, name)) is not None), None)
    return None


def test_the_picture_is_an_svg_that_stands_alone(run: Run, days: Path, dearer: Path, tmp_path: Path) -> None:
    run("policy", "impact", "demo", dearer, "--journal", days, "--svg", tmp_path / "p.svg")
    root = ET.parse(tmp_path / "p.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    assert "href" not in (tmp_path / "p.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("ru", "dark")])
def test_the_page_stands_alone_and_axe_finds_nothing(
    run: Run,
    days: Path,
    dearer: Path,
    tmp_path: Path,
    new_page: NewPage,
    language: str,
    scheme: str,
) -> None:
    page_file = tmp_path / "impact.html"
    run(
        *("policy", "impact", "demo", dearer, "--journal", days),
        *("--html", page_file, "--language", language),
    )
    text = page_file.read_text(encoding="utf-8")
    assert "<script" not in text
    page = new_page(1024, 768, color_scheme=scheme)
    page.set_content(text)
    assert page.locator("svg").count() >= 3
    assert (
        page.locator("h1").inner_text() == {"en": "Impact of a tariff", "ru": "Последствия тарифа"}[language]
    )
    assert_accessible(page)
    page.set_viewport_size({"width": 360, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_file_that_cannot_be_written_is_said_before_the_replay(
    run: Run, days: Path, dearer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImpactReplay, "take", None)
    for file, words in ((tmp_path / "none" / "p.html", "No such file"), (tmp_path, "Is a directory")):
        for option in ("--html", "--svg"):
            answer = run("policy", "impact", "demo", dearer, "--journal", days, option, file)
            assert (answer.returncode, answer.stdout) == (1, "")
            assert words in answer.stderr


def test_an_interrupt_ends_it_in_one_line_and_writes_nothing(
    run: Run, days: Path, dearer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0
    take = ImpactReplay.take

    def interrupted(self: ImpactReplay, passed: Any) -> None:
        nonlocal taken
        taken += 1
        if taken == 5:
            raise KeyboardInterrupt
        take(self, passed)

    monkeypatch.setattr(ImpactReplay, "take", interrupted)
    answer = run("policy", "impact", "demo", dearer, "--journal", days, "--html", tmp_path / "p.html")
    assert answer.returncode == 130
    assert answer.stdout == ""
    assert answer.stderr == "terminal: interrupted; nothing was written\n"
    assert not (tmp_path / "p.html").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "15.09.2026"), "is no day; write it as 2026-09-01"),
        (("--from", "2026-09-16", "--to", "2026-09-15"), "lies before"),
        (("--routes", "15,tram"), "is no list of route numbers"),
        (("--from", "2030-01-01"), "there is no tap to replay"),
    ],
)
def test_options_that_cannot_be_meant_are_answered_with_how_to_write_them(
    run: Run, days: Path, options: tuple[str, ...], said: str
) -> None:
    answer = run("policy", "impact", "demo", "demo", "--journal", days, *options)
    assert answer.returncode
    assert said in " ".join(answer.stderr.replace("│", " ").split())


def test_a_document_of_another_region_is_refused(run: Run, days: Path, tmp_path: Path) -> None:
    other = changed(tmp_path, "region = 34", "region = 35", "other")
    answer = run("policy", "impact", "demo", other, "--journal", days)
    assert answer.returncode == 10
    assert "of regions 34 and 35" in answer.stderr
