"""A terminal's verdict on its own rows, where more than a region document decided: a sealed roster, a list of grants,
the tables of a feed. Each by `terminal run` and `terminal sync` to `terminal collector`, whose commands show what came.

Every terminal also gets a row that its own keys chained and no decision leads to, which is named, and loses what it
decided with: another roster comes, or a document is not what its name says. Then nothing is decided.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from sim.card.virtual import VirtualCard
from sim.image_file import save_card
from terminal.app.simulated import issue_residents
from terminal.app.station import open_journal
from terminal.canteen.requests import IssueMeals
from terminal.journal.records import Unwritten, parse_record
from terminal.lab.world import pseudonym_on
from terminal.policy.grants import COLUMNS
from terminal.policy.load import DEMO_REGION
from terminal.recompute import DOCUMENTS_FOLDER
from tests.by_hand import BY_HAND
from tests.flows.live import DAY, STATE, LiveTerminal, collector, live_terminal, run
from tests.flows.test_live_canteen import BROKE, PAYER, School, canteen
from tests.flows.test_recomputed import ask, followed, stated, until
from tests.terminal.canteen.school import CASHIER, TEACHER, grant
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.cli.played_feeds import FEED_FARES, PRODUCTS, STOPS
from tests.terminal.decision.region import text_of
from tests.terminal.policy.gtfs.feeds import write_feed

BUS: Final[dict[str, Mapping[str, object]]] = {
    "terminal": {"profile": "bus", "number": 7, "region": "region.toml"},
    "shift": {"operator": "driver-7", "route": 5},
}
EVERY_HOUR: Final[dict[str, Mapping[str, object]]] = {"recompute": {"every_h": 1}}
NEXT_DAY: Final = {**BY_HAND, "starts_at": "2026-09-16T08:00:00+03:00"}
ISSUE: Final = ("--region", 34, "--version", 1, "--issued-at", "2026-09-15T07:00:00+03:00")


def verdict(terminal: LiveTerminal) -> dict[str, Any]:
    """What the running terminal puts on record when the hour has passed."""
    before = len(stated(terminal))
    terminal.hand.say("clock", step_s=3700)
    until(lambda: len(stated(terminal)) > before)
    return stated(terminal)[-1]


def found(row: Mapping[str, Any]) -> tuple[int, int, Mapping[str, int]]:
    return row["recomputed"], row["differing"], row["unproven"]


def forge(folder: Path) -> int:
    """Append the last refusal again with another answer; return its row."""
    with open_journal(folder / STATE, 7) as journal:
        rows = [parse_record(row.body) for row in journal.rows(limit=500)]
        refused = [row for row in rows if isinstance(row, Unwritten) and row.read][-1]
        return journal.append(structs.replace(refused, message="expired"))


@contextmanager
def spoilt(path: Path) -> Iterator[None]:
    """The document is not what its name says until the block ends. It is a link to what is in force: not changed."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    yield
    path.write_bytes(content)


def at_the_collector(folder: Path, row: int) -> None:
    """The statement has travelled, and its difference is an alarm."""
    with collector(folder) as url:
        run(folder, "sync", "--collector", url)
        followed(url)
        (shown,) = ask(folder, "verdicts")["statements"]
        assert (shown["terminal"], shown["differing"]) == (7, 1)
        alarms = [one["detail"] for one in ask(folder, "alarms")["alarms"] if one["kind"] == "recomputed"]
        assert f"terminal_differs count=1 row={row}" in alarms


def test_a_canteen_decides_again_with_its_sealed_roster(tmp_path: Path) -> None:
    tables = canteen(tmp_path, **EVERY_HOUR)
    pupils = {"free": {"grants": (grant(11),)}, "payer": PAYER, "broke": BROKE, "classmate": PAYER}
    with live_terminal(tmp_path, **tables) as terminal:
        school = School(terminal)
        school.enrol(7, **pupils)
        said = [school.tap(name)["message"] for name in ("free", "payer", "free", "stranger")]
        assert said == ["meal_ok", "meal_ok", "meal_already", "meal_not_arranged"]
        terminal.ask(
            IssueMeals(CASHIER, pupils=(school.ref("classmate"),), serving="breakfast", confirmed_by=TEACHER)
        )
        assert school.tap("classmate")["message"] == "meal_already"
        row = verdict(terminal)
        assert found(row) == (6, 0, {}), "taps, refusals and the portion of the list"
        # The roster is replaced, and with it what the rows before were decided with.
        school.tap("broke")
        school.enrol(8, **pupils)
        school.tap("payer")
        assert found(verdict(terminal)) == (1, 0, {"roster": 1})
    forged = forge(tmp_path)
    with live_terminal(tmp_path, **tables, laboratory=NEXT_DAY) as terminal:
        row = verdict(terminal)
        assert (row["differing"], row["rows"]) == (1, [forged])
    at_the_collector(tmp_path, forged)


def printed_by(folder: Path, *words: object) -> str:
    """What an operator's command prints."""
    done = subprocess.run(
        command(words), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(folder: Path) -> list[Path]:
    """What the terminal keeps to decide again with."""
    return list((folder / STATE / DOCUMENTS_FOLDER).iterdir())


def listed(folder: Path) -> None:
    """A resident's card, and a list that grants free rides from today on."""
    (card,) = issue_residents(["adult_purse"], 34, DAY - timedelta(days=1))
    assert isinstance(card, VirtualCard)
    save_card(card, folder / "granted.json")
    pseudonym = pseudonym_on(card)
    assert pseudonym is not None
    line = f"{pseudonym.hex()},{DAY},1,,{DAY},{DAY + timedelta(days=300)}"
    (folder / "granted.csv").write_text("\n".join((",".join(COLUMNS), line)) + "\n", "utf-8")
    printed_by(folder, "policy", "grants-list", "granted.csv", "--out", "grants", *ISSUE)


def test_a_bus_decides_again_with_its_list_of_grants(tmp_path: Path) -> None:
    (tmp_path / "region.toml").write_text(DEMO_REGION.read_text("utf-8"), "utf-8")
    tables = BUS | EVERY_HOUR | {"lists": {"grants": "grants"}}
    listed(tmp_path)
    with live_terminal(tmp_path, **tables) as bus:
        granted, other = "granted.json", bus.card("empty_purse")
        said = [bus.tap(card)["message"] for card in (granted, other)]
        assert said == ["ok_benefit_unlimited", "no_funds"]
        assert found(verdict(bus)) == (2, 0, {})
        bus.tap(granted)
        (name,) = [path for path in documents(tmp_path) if path.read_bytes().startswith(b"RCGL")]
        with spoilt(name):
            assert found(verdict(bus)) == (0, 0, {"grants": 1})
    forged = forge(tmp_path)
    with live_terminal(tmp_path, **tables, laboratory=NEXT_DAY) as bus:
        row = verdict(bus)
        assert (row["differing"], row["rows"]) == (1, [forged])
    at_the_collector(tmp_path, forged)


def test_a_bus_decides_again_with_the_tables_of_its_feed(tmp_path: Path) -> None:
    legs = "leg_group_id,network_id,fare_product_id\nride,city,single\n"
    write_feed(tmp_path / "feed", **STOPS, fare_products=PRODUCTS, fare_leg_rules=legs)
    printed = printed_by(tmp_path, "policy", "import-gtfs", "feed", "--out", "city.json")
    section = printed[printed.index("[gtfs]") :] + 'destination = "not_used"\n'
    (tmp_path / "region.toml").write_text(text_of(section, fares=FEED_FARES), "utf-8")
    with live_terminal(tmp_path, **BUS, **EVERY_HOUR) as bus:
        cards = [bus.card(name) for name in ("adult_purse", "empty_purse")]
        said = [(row["message"], row.get("charge_minor")) for row in map(bus.tap, cards)]
        assert said == [("ok_paid", 2400), ("no_funds", None)]
        assert found(verdict(bus)) == (2, 0, {})
        bus.tap(cards[1])
        (tables,) = [path for path in documents(tmp_path) if path.read_bytes().startswith(b"{")]
        with spoilt(tables):
            assert found(verdict(bus)) == (0, 0, {"feed": 1})
    forged = forge(tmp_path)
    with live_terminal(tmp_path, **BUS, **EVERY_HOUR, laboratory=NEXT_DAY) as bus:
        row = verdict(bus)
        assert (row["differing"], row["rows"]) == (1, [forged])
    at_the_collector(tmp_path, forged)
