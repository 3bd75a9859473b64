"""A stolen signing key against a running collector: every invented, changed or dropped ride ends where people see it.

Cards are issued, ridden with and sent by the product's own commands, and the collector is its own process; the thief is
`tests/attacks/forge.py`, a script that shares no line with the terminal.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from sim.image_file import load_card, save_card
from sim.issuing import ReloadPoint
from sim.lab_keys import load_lab_keys
from terminal.app.collector import collector_process, enrol, report, trust
from terminal.app.station import IDENTITY_FILE, journal_reader
from terminal.clock import SystemClock
from terminal.journal.records import Intent
from terminal.policy.load import region_path
from tests.attacks.between import REGION
from tests.config_file import config_file
from tests.sim.bench import SERVICE_DAY
from tests.terminal.cli.conftest import ENVIRONMENT, ROOT, command

HONEST, ROBBED = 1, 2
CHANGED = (
    "overstated",
    "understated",
    "no commands",
    "an old card",
    "another card",
    "another balance",
    "dropped",
)
"""What the thief does to the rides that the robbed terminal took, one card each."""
CLEAN = ("random-uid", "old-pass", "rolled", "reloaded")
"""What a day has besides: cards that hide their UID, cannot prove, have the next keys, are credited between rides."""
CARDS = (*(name.replace(" ", "-") for name in CHANGED), "left-alone")
FARE_MINOR = 2400
UNKNOWN = "00" * 8


@dataclass
class RobbedTown:
    """Two terminals of which one was robbed of its key, and what the collector says."""

    folder: Path
    url: str
    clean: dict[str, Any] = field(default_factory=dict)
    robbed: dict[str, Any] = field(default_factory=dict)
    stands: dict[str, int] = field(default_factory=dict)

    def run(self, *arguments: object) -> str:
        done = subprocess.run(
            command(arguments), cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ride(self, number: int, *labels: str) -> None:
        """These cards, one after another, on a bus whose rows stay in it, not in the second of an earlier ride."""
        begun = int(SystemClock().now().timestamp())
        while int(SystemClock().now().timestamp()) == begun:
            pass
        cards = ",".join(str(self.folder / "cards" / f"{label}.json") for label in labels)
        file = config_file(
            self.folder / f"{number}.config",
            terminal={
                "number": number,
                "profile": "bus",
                "state": self.folder / str(number),
                "region": self.folder / "region.toml",
            },
            reader={"name": f"sim:{cards}", "taps": len(labels)},
            shift={"operator": "17", "route": 15},
        )
        said = [json.loads(line) for line in self.run("run", "--config", file, "--json").splitlines()]
        assert [
            line["message"] in ("ok_paid", "ok_transfer", "ok_pass") for line in said if "message" in line
        ] == [True] * len(labels), said

    @contextmanager
    def desk(self, label: str) -> Iterator[ReloadPoint]:
        """An issuing point with this card, which is put back afterwards."""
        path = self.folder / "cards" / f"{label}.json"
        card = load_card(path, secrets.token_bytes)
        yield ReloadPoint(card, load_lab_keys().for_card(card.uid, REGION), secrets.token_bytes, SERVICE_DAY)
        card.power_off()
        save_card(card, path)

    def sync(self, number: int) -> None:
        self.run(
            "sync", f"--state={self.folder / str(number)}", f"--number={number}", f"--collector={self.url}"
        )

    def rides(self, number: int) -> list[tuple[int, list[str]]]:
        """Each ride's row, with its body and that of its end."""
        with journal_reader(self.folder / str(number)) as reader:
            rows = list(reader.all_rows())
        bodies = {row.sequence: row.body.hex() for row in rows}
        return [
            (row.sequence, [row.body.hex(), bodies[row.sequence + 1]])
            for row in rows
            if isinstance(row.record, Intent)
        ]

    def captured(self, number: int) -> list[str]:
        with journal_reader(self.folder / str(number)) as reader:
            return [row.body.hex() for row in reader.all_rows()]

    def references(self) -> list[str]:
        """A card reference of each card on a bus, in the order of `CARDS`, the EV1 card last."""
        listed = json.loads((self.folder / "cards" / "card-registry.json").read_bytes())["cards"]
        return [card["card_ref"] for card in listed[: 2 * (len(CARDS) + 1) : 2]]

    def forge(self) -> dict[str, int]:
        """Let the thief send the robbed terminal's rows as he likes, and rides that never were behind them."""
        references, rides = self.references(), self.rides(ROBBED)
        where = {row: kind for (row, _), kind in zip(rides, CHANGED, strict=False)}
        captured, stories, skip = self.captured(ROBBED), [], 0
        for row in range(1, len(captured) + 1):
            if row == skip:
                continue
            kind = where.get(row, "as it was")
            skip = row + 1 if kind != "as it was" else 0
            stories.append({"story": kind, "row": row, "card": references[-2]})
        genuine = rides[-1][1]
        stories += [
            {"story": "the key alone", "card": UNKNOWN},
            {"story": "a made-up proof", "card": references[-2]},
            {"story": "replayed", "bodies": genuine},
            {"story": "replayed with an event of its own", "bodies": genuine, "own event": True},
            {"story": "another terminal's proof", "bodies": self.rides(HONEST)[1][1]},
            {"story": "many old cards", "card": references[-1], "times": 60},
            {"story": "replaced proofs", "card": references[-2], "times": 20, "how": "recovered"},
        ]
        key = self.folder / str(ROBBED) / IDENTITY_FILE
        script = str(ROOT / "tests" / "attacks" / "forge.py")
        done = subprocess.run(
            [sys.executable, script, str(key), str(ROBBED), self.url],
            input=json.dumps({"captured": captured, "stories": stories}),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"]},
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, int] = json.loads(done.stdout)
        return found

    def alarms(self) -> dict[tuple[int, int], list[tuple[str, str]]]:
        """Kind and cause of each alarm, by terminal and row."""
        found: dict[tuple[int, int], list[tuple[str, str]]] = {}
        for alarm in self.robbed["alarms"]:
            cause = alarm["detail"].partition(" ")[0]
            found.setdefault((alarm["terminal"], alarm["sequence"]), []).append((alarm["kind"], cause))
        return found

    def of(self, story: str) -> list[tuple[str, str]]:
        return self.alarms().get((ROBBED, self.stands[story]), [])


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RobbedTown]:
    folder = tmp_path_factory.mktemp("robbed")
    orders = ["label,profile", *(f"{label},adult_purse" for label in CARDS), "old,adult_purse_ev1"]
    orders += ["random-uid,adult_purse_random_uid", "old-pass,month_pass_ev1"]
    orders += ["rolled,adult_purse", "reloaded,adult_purse"]
    (folder / "orders.csv").write_text("\n".join(orders) + "\n", "utf-8")
    region = (
        region_path("demo")
        .read_text("utf-8")
        .replace("retap_s = 60", "retap_s = 0")
        .replace("repeat_s = 2", "repeat_s = 0")
    )
    (folder / "region.toml").write_text(region, "utf-8")
    RobbedTown(folder, "").run("card", "issue-batch", "orders.csv", "--folder", "cards")
    collector = folder / "collector"
    for number in (HONEST, ROBBED):
        enrol(folder / str(number), number, collector)
    with collector_process(collector, folder / "cards" / "card-registry.json") as url:
        made = RobbedTown(folder, url)
        for number in (HONEST, ROBBED):
            trust(folder / str(number), collector)
        with made.desk("rolled") as desk:
            desk.roll(1)
        made.ride(HONEST, "old", "left-alone", *CLEAN)
        with made.desk("reloaded") as desk:
            desk.set_purse(60_000, SystemClock().now())
        made.ride(HONEST, "reloaded", "rolled")
        made.sync(HONEST)
        made.clean = report(url)
        made.ride(ROBBED, *CARDS)
        made.ride(HONEST, "dropped")
        made.sync(HONEST)
        made.stands = made.forge()
        made.robbed = report(url)
        yield made


def test_a_clean_day_raises_nothing(town: RobbedTown) -> None:
    assert town.clean["alarms"] == []
    proofs = town.clean["total"]["proofs"]
    assert {proof: sums["RUB"]["taps"] for proof, sums in proofs.items()} == {"proven": 6, "cannot_prove": 2}
    assert town.robbed["terminals"][str(HONEST)]["proofs"]["proven"]["RUB"]["taps"] == 7
    assert [row for row in town.alarms() if row[0] == HONEST] == []


@pytest.mark.parametrize(
    ("story", "kind", "cause"),
    [
        ("overstated", "proof_differs", "debit_differs"),
        ("understated", "proof_differs", "debit_differs"),
        ("another balance", "proof_differs", "balance_differs"),
        ("no commands", "no_proof", "proof_missing"),
        ("an old card", "no_proof", "proof_missing"),
        ("another card", "tmv_mismatch", "proof_failed"),
        ("dropped", "dropped_tap", "not_in_journal"),
        ("a made-up proof", "tmv_mismatch", "proof_failed"),
        ("replayed", "proof_differs", "row_differs"),
        ("replayed with an event of its own", "proof_differs", "row_differs"),
        ("another terminal's proof", "proof_differs", "row_differs"),
    ],
)
def test_a_false_row_is_an_alarm_that_names_it(town: RobbedTown, story: str, kind: str, cause: str) -> None:
    assert town.of(story) == [(kind, cause)]


def test_what_has_no_row_to_name_is_an_alarm_of_the_day_and_a_count(town: RobbedTown) -> None:
    of_day = sorted(town.alarms()[ROBBED, 0])
    assert of_day == [
        ("unknown_card", "cards_not_registered"),
        ("unproven_share", "ev1_share"),
        ("unproven_share", "replaced_share"),
    ]
    taps = {
        proof: sums["RUB"]["taps"] for proof, sums in town.robbed["terminals"][str(ROBBED)]["proofs"].items()
    }
    assert taps == {
        "proven": 1,
        "differing": 6,
        "no_proof": 2,
        "failed": 2,
        "unknown_card": 1,
        "cannot_prove": 60,
        "replaced": 20,
    }


def test_what_counts_is_what_the_cards_say(town: RobbedTown) -> None:
    sums = town.robbed["terminals"][str(ROBBED)]
    differing = sums["proofs"]["differing"]["RUB"]
    assert differing["charged_minor"] == 3 * FARE_MINOR, (
        "two wrong sums and a wrong balance, as the cards have them"
    )
    assert differing["overstated_minor"] == 900_000 - FARE_MINOR + 3 * FARE_MINOR, (
        "and three rides of other rows"
    )
    assert differing["understated_minor"] == FARE_MINOR - 900
    charged = sum(one["RUB"]["charged_minor"] for one in sums["proofs"].values())
    assert sums["charged_minor"] == {"RUB": charged}
    assert sums["proofs"]["proven"]["RUB"]["charged_minor"] == FARE_MINOR


def test_people_see_it_on_the_page_in_the_report_and_in_the_metrics(town: RobbedTown) -> None:
    page = httpx.get(f"{town.url}/operator/", trust_env=False).text
    for words in ("taps differing", "Tap is missing", "cannot prove", "overstated"):
        assert words in page
    metrics = httpx.get(f"{town.url}/metrics", trust_env=False).text
    assert 'resident_collector_committed_taps{proof="differing"} 6' in metrics
    assert 'resident_collector_charged_minor{proof="differing",currency="RUB"} 7200' in metrics
    table = town.run("collector", "report", f"--folder={town.folder / 'collector'}", "--by=proof", "--csv")
    lines = {line.split(",")[0]: line for line in table.splitlines()}
    assert lines["differing"].split(",")[:3] == ["differing", "RUB", "6"]
    status = json.loads(town.run("collector", "status", f"--folder={town.folder / 'collector'}", "--json"))
    assert (status["proven"], status["unproven"], status["differing"]) == (8, 87, 6)


def audited(town: RobbedTown) -> list[dict[str, Any]]:
    """The audit of each day, and what an auditor elsewhere finds in its dossier: the statement in it."""
    registry = ("--registry", "cards/card-registry.json", "--folder", "collector")
    town.run("collector", "documents", "add", "region.toml", "--folder", "collector")
    found = []
    for day in httpx.get(f"{town.url}/operator/v1/days").json():
        made = json.loads(
            town.run("collector", "audit", day, *registry, "--dossier", "day.dossier", "--json")
        )
        verified = json.loads(town.run("audit", "verify", "day.dossier", "--json"))
        assert (verified["equal"], verified["key"]) == (True, made["key"])
        found.append(made["statement"])
    return found


def test_an_audit_says_of_a_forged_day_what_the_books_say_and_an_auditor_finds_the_same(
    town: RobbedTown,
) -> None:
    """To the kopeck: what counts by each proof, what was overstated and understated, which rows differ."""
    proofs: dict[str, dict[str, int]] = {}
    overstated = understated = 0
    differing: dict[int, dict[str, Any]] = {}
    for statement in audited(town):
        for total in statement["totals"]:
            assert sum(one["sum_minor"] for one in total["proof"].values()) == total["sum_minor"]
            overstated += total["overstated_minor"]
            understated += total["understated_minor"]
            for code, one in total["proof"].items():
                sums = proofs.setdefault(code.removeprefix("unproven:"), {"taps": 0, "charged_minor": 0})
                sums["taps"] += one["facts"]
                sums["charged_minor"] += one["sum_minor"]
        differing |= {row["sequence"]: row for row in statement["differing_rows"]}
    booked = {proof: sums["RUB"] for proof, sums in town.robbed["total"]["proofs"].items()}
    assert {proof: (one["taps"], one["charged_minor"]) for proof, one in proofs.items()} == {
        proof: (one["taps"], one["charged_minor"]) for proof, one in booked.items()
    }
    assert overstated == sum(one["overstated_minor"] for one in booked.values())
    assert understated == sum(one["understated_minor"] for one in booked.values())
    for story in ("overstated", "understated", "another balance", "replayed", "another terminal's proof"):
        row = differing[town.stands[story]]
        assert (row["terminal"], bool(row["proof"])) == (ROBBED, True), story
    stated = {one[0] for one in differing[town.stands["overstated"]]["decision"]}
    assert {"charge_minor"} <= stated, "the decision made again charges the fare"
