"""A document that needs what a terminal cannot know is refused when it is checked and when the terminal starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terminal.app.station import journal_file
from terminal.errors import JournalError
from tests.config_file import config_file
from tests.terminal.cli.conftest import Run

METRO = """
[header]
id = "metro_routes"
version = 1
region = 78
issued_at = 2026-01-01T00:00:00+03:00

[[routes]]
number = 901
name = "Метро"
mode = "metro"
"""
RUN = ("run", "--json", "--region", "st_petersburg", "--reader", "sim:adult_purse", "--taps", "1")


def bus(folder: Path, routes: str = "") -> Path:
    """A bus's configuration, with a routes document where one is given."""
    if not routes:
        return config_file(folder, terminal={"profile": "bus"}, shift={"operator": "d", "route": 901})
    (folder / "routes.toml").write_text(routes, encoding="utf-8")
    return config_file(
        folder,
        terminal={"profile": "bus"},
        shift={"operator": "d", "route": 901},
        lists={"routes": "routes.toml"},
    )


def test_the_start_is_refused_with_rule_fact_and_advice_and_nothing_is_written(
    run: Run, tmp_path: Path
) -> None:
    bus(tmp_path)
    refused = run(*RUN)
    assert refused.returncode == 10
    assert "fares.rules[0].modes depends on the mode of the vehicle (T-01)" in refused.stderr
    assert "Name a routes document (`routes` under [lists])" in refused.stderr
    with pytest.raises(JournalError, match="there is no journal"):
        journal_file(tmp_path / "var/terminal")


def test_with_its_routes_the_same_terminal_takes_the_fare_of_its_mode(run: Run, tmp_path: Path) -> None:
    """As the region's own scenario says of the metro."""
    bus(tmp_path, METRO)
    served = run(*RUN)
    assert served.returncode == 0, served.stderr
    assert json.loads(served.stdout)["charge_minor"] == 7000


def test_routes_of_another_mode_leave_the_other_fare(run: Run, tmp_path: Path) -> None:
    bus(tmp_path, METRO.replace('"metro"', '"tram"'))
    assert json.loads(run(*RUN).stdout)["charge_minor"] == 6000


UNLISTED = "and the routes document does not state that of route 901"


def test_a_route_that_is_not_listed_is_sold_at_no_other_modes_price(run: Run, tmp_path: Path) -> None:
    """By [shift], which every check sees, and by a shift that is open when the terminal starts."""
    file = bus(tmp_path, METRO.replace("901", "902"))
    for refused in (run(*RUN), run("policy", "check", "st_petersburg", "--terminal", file)):
        assert (refused.returncode, UNLISTED in refused.stderr) == (10, True), refused.stderr
    text = file.read_text("utf-8")
    file.write_text(text.replace("route = 901", "route = 902"), "utf-8")
    begun = run("shift", "open", "--operator", "d", "--route", "901", "--config", file)
    assert begun.returncode == 0, begun.stderr
    again = run(*RUN)
    assert (again.returncode, UNLISTED in again.stderr) == (10, True), again.stderr
    assert run("shift", "close", "--config", file).returncode == 0
    assert json.loads(run(*RUN).stdout)["charge_minor"] == 7000


def test_a_document_that_asks_no_modes_runs_any_route(run: Run, tmp_path: Path) -> None:
    file = bus(tmp_path, METRO.replace("901", "902").replace("78", "34"))
    assert run("policy", "check", "demo", "--terminal", file).returncode == 0
    served = run("run", "--json", "--region", "demo", "--reader", "sim:adult_purse", "--taps", "1")
    assert json.loads(served.stdout)["charge_minor"] == 2400


@pytest.mark.parametrize(
    ("more", "where"),
    [
        (
            "[[routes.directions]]\nname = 'A'\nstops = [{number = 7, name = 'B', zone = 9}, {number = 8, name = 'C'}]",
            "route 901, stop 7",
        ),
        ("[zones]\n'Zone 9' = 9", "zones.Zone 9"),
    ],
)
def test_a_zone_that_the_region_does_not_have_is_no_place(
    run: Run, tmp_path: Path, more: str, where: str
) -> None:
    """A ride from a zone of nowhere would cost what rides outside all zones do."""
    routes = METRO.replace("78", "31").replace('mode = "metro"', 'mode = "bus"') + more
    file = bus(tmp_path, routes)
    for refused in (
        run("policy", "check", "belgorod", "--terminal", file),
        run("run", "--region", "belgorod", "--reader", "sim:adult_purse", "--taps", "1"),
    ):
        assert refused.returncode == 10
        assert (
            f"{where} lies in zone 9, which region document belgorod version 1 does not have"
            in refused.stderr
        )
    bus(tmp_path, routes.replace("zone = 9", "zone = 2").replace("= 9", "= 2"))
    assert run("policy", "check", "belgorod", "--terminal", file).returncode == 0


def test_check_names_everything_a_terminal_cannot_know(run: Run, tmp_path: Path) -> None:
    file = bus(tmp_path)
    checked = run("policy", "check", "st_petersburg", "--terminal", file)
    assert checked.returncode == 10
    assert [line.split(" depends")[0] for line in checked.stdout.splitlines()] == [
        "refused: fares.rules[0].modes",
        "refused: transfers[0].once",
    ]
    assert "(and 1 more)" in checked.stderr
    told = json.loads(run("policy", "check", "st_petersburg", "--terminal", file, "--json").stdout)
    assert (told["ok"], [need["rule"] for need in told["unknown"]]) == (False, ["T-01", "T-32"])
    assert run("policy", "check", "st_petersburg", "--terminal", bus(tmp_path, METRO)).returncode == 0


def test_the_check_of_a_configuration_says_the_same(run: Run, tmp_path: Path) -> None:
    for routes, code in (("", 15), (METRO, 0)):
        file = bus(tmp_path, routes)
        text = file.read_text("utf-8").replace("[terminal]", '[terminal]\nregion = "st_petersburg"\n')
        file.write_text(text + '[reader]\nname = "sim:"\n', "utf-8")
        checked = run("config", "check", "--config", file)
        assert checked.returncode == code, checked.stdout + checked.stderr
        assert ("the mode of the vehicle (T-01)" in checked.stderr) == (code != 0)


def test_what_the_document_answers_itself_is_a_warning(run: Run, tmp_path: Path) -> None:
    file = bus(tmp_path)
    checked = run("policy", "check", "belgorod", "--terminal", file)
    assert checked.returncode == 0, checked.stderr
    assert "warning: fares.rules[0] depends on the zone of boarding (T-01)" in checked.stdout
    told = json.loads(run("policy", "check", "belgorod", "--terminal", file, "--json").stdout)
    assert told["ok"]
    assert {need["answered"] for need in told["unknown"]} == {True}
    assert json.loads(run("policy", "check", "belgorod", "--json").stdout)["unknown"] == []


def test_a_configuration_that_is_wrong_is_named_and_nothing_is_checked(run: Run, tmp_path: Path) -> None:
    config_file(tmp_path, terminal={"profile": "tram"})
    refused = run("policy", "check", "belgorod", "--terminal", "terminal.toml")
    assert refused.returncode != 0
    assert "terminal.toml:2" in refused.stderr
    missing = run("policy", "check", "belgorod", "--terminal", "other.toml")
    assert "other.toml: there is no such file" in missing.stderr
