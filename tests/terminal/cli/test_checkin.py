"""A running terminal of a region with check-in: in, out, and every decision can be made again from its journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terminal.policy.load import REGIONS
from tests.config_file import config_file
from tests.terminal.cli.conftest import Run

AT_ONCE = (("repeat_s = 2 ", "repeat_s = 0 "), ("retap_s = 60 ", "retap_s = 0 "))
"""So that the next tap is the exit; in service it is the same tap for a minute."""


def test_check_says_for_how_many_persons_the_reserve_has_room(run: Run) -> None:
    checked = run("policy", "check", "belgorod")
    assert checked.returncode == 0
    assert "room for the dearest fare of 6 of 7 persons" in checked.stdout
    assert "rounded down to a multiple of RUB 1.00" in checked.stdout
    assert json.loads(run("policy", "check", "belgorod", "--json").stdout)["persons_held"] == 6
    assert "check-in" not in run("policy", "check", "volgograd").stdout


SCOPE = "scope = [{ routes = [101, 105, 130] }]"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            SCOPE,
            "scope = [{ routes = [7] }]",
            "checkin.scope[0].routes[0]: every ride on route 7 costs the same",
        ),
        ("longest_s = 7200", "longest_s = 60", "checkin.longest_s: no tap could be an exit: for 60 s"),
        ("retap_s = 60", "retap_s = 0", ""),
    ],
)
def test_check_says_where_no_exit_could_be_tapped(
    run: Run, tmp_path: Path, old: str, new: str, line: str
) -> None:
    text = (REGIONS / "belgorod.toml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    (tmp_path / "mine.toml").write_text(text.replace(old, new), encoding="utf-8")
    checked = run("policy", "check", "mine.toml")
    assert line in checked.stdout + checked.stderr
    assert checked.returncode == (10 if line else 0)


@pytest.mark.parametrize(
    ("resident", "held_minor", "charge_minor"), [("adult_purse", 15_000, 3_000), ("month_pass", 0, 0)]
)
def test_t_07_a_card_goes_in_and_out_of_a_bus_in_service(
    run: Run, tmp_path: Path, resident: str, held_minor: int, charge_minor: int
) -> None:
    """Nothing reports the terminus or the place: the dearest fare is held, and it is charged at the exit."""
    text = (REGIONS / "belgorod.toml").read_text(encoding="utf-8")
    for old, new in AT_ONCE:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "at_once.toml").write_text(text, encoding="utf-8")
    config_file(tmp_path, shift={"operator": "driver-7", "route": 101})
    reader = ("--reader", f"sim:{resident}", "--taps", "2", "--pace", "1.2")
    finished = run(
        "run", "--profile", "bus", *reader, "--state", "state", "--region", "at_once.toml", "--json"
    )
    assert finished.returncode == 0, finished.stderr
    went_in, went_out = (json.loads(line) for line in finished.stdout.splitlines())
    assert (went_in["message"], went_in["charge_minor"]) == ("ok_checkin", 0)
    assert (went_out["message"], went_out["charge_minor"]) == ("ok_checkout", charge_minor)
    shown = run("journal", "show", "--state", "state", "--kind", "Intent", "--json")
    first, second = (json.loads(line) for line in shown.stdout.splitlines())
    assert (first["values"]["held_minor"], second["values"]["left"]) == (held_minor, 1)
    again = run("journal", "recompute", "--state", "state", "--region", "at_once.toml", "--json")
    assert again.returncode == 0, again.stdout + again.stderr


def test_run_refuses_a_place_in_a_zone_that_the_document_does_not_have(run: Run, tmp_path: Path) -> None:
    """Such a ride falls under no table of zones: it would cost what a city bus costs, and nothing would be held."""
    (tmp_path / "slip.toml").write_text(
        'schema = 1\nregion = "belgorod"\nabout = "a slip"\n[[scenarios]]\nname = "to zone 9"\nrider = "adult"\n'
        "card = { balance_minor = 20000 }\nterminal = { route = 101, zone = 1, terminus_zone = 9 }\n"
        'taps = [{ at = 2026-03-10T08:00:00, expect = { message = "ok_checkin" } }]\n',
        encoding="utf-8",
    )
    refused = run("policy", "run", "belgorod", "slip.toml")
    assert refused.returncode == 10
    assert "terminus_zone: unknown zone 9. Known: 1, 2, 3, 4, 5, 6." in refused.stderr
