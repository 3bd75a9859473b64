"""`proof = false` under [media]: a terminal in service takes fares without asking cards for a proof, and the collector
counts what the registry says of each card."""

from __future__ import annotations

import random
from pathlib import Path

import httpx

from sim.image_file import load_card
from sim.lab_keys import load_lab_keys
from terminal.app.simulated import laboratory_keys
from terminal.collector.proof import EvidenceLimits, Proof, day_findings
from terminal.collector.registry import RegisteredCard, write_registry
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.keys.provider import card_token
from terminal.media.port import PURPOSE
from terminal.policy.load import load_region
from tests.flows.live import PATIENCE_S, live_terminal, run
from tests.flows.test_audit import BUS, DAY, TABLES, AuditedDay, enrolled, serving

KNOWN_NOT_TO_PROVE, KNOWN_TO_PROVE = "known_not_to_prove", "known_to_prove"


def registered(folder: Path, cards: dict[str, bool]) -> None:
    """The registry of these cards: their files, and whether they prove."""
    region = load_region("demo").header.region
    keys, masters = load_file_keys(laboratory_keys(), UNLIMITED), load_lab_keys()
    found = []
    for name, proves in cards.items():
        uid = load_card(folder / "bus" / name, random.Random(0).randbytes).uid
        key = masters.for_card(uid, region).transaction_mac
        found += [
            RegisteredCard(card_token(keys, purpose, uid), uid, key, proves) for purpose in PURPOSE.values()
        ]
    write_registry(folder / "registry.json", found)


def test_fares_are_taken_and_the_registry_decides_what_a_missing_proof_is(tmp_path: Path) -> None:
    day, bus = AuditedDay(tmp_path), tmp_path / "bus"
    with live_terminal(bus, **TABLES, media={"proof": False}) as live:
        cards = {
            live.card("adult_purse", KNOWN_NOT_TO_PROVE): False,
            live.card("adult_purse", KNOWN_TO_PROVE): True,
        }
        for card in cards:
            live.tap(card)
        rows = live.rows()
    committed = [row for row in rows if row["kind"] == "Committed"]
    assert [(row["tmc"], row["tmv"], row["how"]) for row in committed] == [(None, "", "answered")] * 2
    registered(tmp_path, cards)
    day.collector.mkdir()
    with serving(day) as url:
        enrolled(day, BUS, bus)
        run(bus, "sync", "--collector", url)
        while httpx.get(f"{url}/operator/v1/report", timeout=PATIENCE_S).json()["behind"]:
            pass
        report = httpx.get(f"{url}/operator/v1/report", timeout=PATIENCE_S).json()
        alarms = httpx.get(f"{url}/operator/v1/alarms", timeout=PATIENCE_S).json()
    one = {"taps": 1, "charged_minor": 2400, "overstated_minor": 0, "understated_minor": 0}
    assert report["total"]["proofs"] == {"cannot_prove": {"RUB": one}, "no_proof": {"RUB": one}}
    (alarm,) = alarms
    *_, last = [row["sequence"] for row in rows if row["kind"] == "Intent"]
    assert (alarm["kind"], alarm["terminal"], alarm["sequence"]) == ("no_proof", BUS, last)
    statement = day.audit()["statement"]
    (total,) = statement["totals"]
    fact = {"facts": 1, "sum_minor": 2400}
    assert total["proof"] == {"unproven:cannot_prove": fact, "unproven:no_proof": fact}
    assert statement["differing"] == 0


def test_a_fleet_of_cards_that_do_not_prove_is_an_alarm_until_the_limit_is_set() -> None:
    """The share that is meant for old cards: `terminal collector --ev1-share 100` says that all may be such."""
    taps = {Proof.CANNOT_PROVE: 60}
    (alarm,) = day_findings(BUS, DAY, taps, EvidenceLimits())
    assert str(alarm.detail).startswith("ev1_share")
    assert not day_findings(BUS, DAY, taps, EvidenceLimits(ev1_share=1.0))
