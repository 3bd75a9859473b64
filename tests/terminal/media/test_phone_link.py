"""Two validators of one vehicle that take phones, each `terminal run` in a process of its own, linked over IPv6: what a
phone did at one door the other knows, and what they did apart is seen at the collector.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import httpx
import pytest

from cardproto.credential.cose import parse_sign1
from cardproto.credential.grant import Credential, build_credential, parse_claims
from sim.image_file import load_image
from sim.lab_issuer import lab_issuer_key
from sim.phone import VirtualPhone
from terminal.app.collector import collector_process, enrol, report, trust
from terminal.collector.books import BOOKS_FILE
from terminal.operations.status import EVERY_S as STATUS_EVERY_S
from terminal.sync.credentials import load_or_make_keys
from tests.flows.test_link import free_port, marks, until
from tests.terminal.media.test_phone_live import (
    NOW,
    REFUSED,
    Scanned,
    phone_in,
    region_where_pensioners,
    said,
)
from tests.terminal.media.test_phone_proven import commanded
from tests.terminal.updates.bundle.repository import ROLES, Publisher
from tests.terminal.updates.bundle.test_live_bundles import lab_issuers_toml

FRONT, REAR = 70001, 70002
DOORS = (FRONT, REAR)
PAID = ("already_paid", "let_in", "nothing_written")
RIDES = ("ok_benefit", "let_in", "committed")
ONE_RIDE = 'limits = [{ kind = "trips", trips = 1, counter = "concession_month" }]'


@dataclass
class Door:
    """One validator: its folder, and its tables beside those of every bus here."""

    folder: Path
    tables: Mapping[str, Mapping[str, object]]
    metrics: int

    def opened(self) -> Scanned:
        return Scanned(self.folder, **self.tables)


@dataclass
class Story:
    """What was said in which part of the day, by what was done."""

    said: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    anew: dict[str, Any] = field(default_factory=dict)
    page: str = ""
    peers: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)
    verified: dict[str, Any] = field(default_factory=dict)


def doors(folder: Path) -> dict[int, Door]:
    """Front and rear, which know each other's identity."""
    ports = {number: free_port() for number in DOORS}
    region = str(region_where_pensioners(folder, ONE_RIDE))
    found = {}
    for number in DOORS:
        (folder / str(number) / "peers").mkdir(parents=True)
        load_or_make_keys(folder / str(number) / "state" / "terminal.key")
    for number, other in zip(DOORS, reversed(DOORS), strict=True):
        own, metrics = folder / str(number), free_port(socket.SOCK_STREAM)
        copyfile(folder / str(other) / "state" / "terminal.pub", own / "peers" / f"{other}.pub")
        link = {
            "listen": f"[::1]:{ports[number]}",
            "peers": [f"{other}@[::1]:{ports[other]}"],
            "identities": "peers",
        }
        terminal: dict[str, object] = {"number": number, "profile": "bus", "state": "state", "region": region}
        tables: Mapping[str, Mapping[str, object]] = {
            "terminal": terminal,
            "link": link,
            "metrics": {"port": metrics},
        }
        found[number] = Door(own, tables, metrics)
    return found


def tapped(door: Scanned, phone: Path) -> dict[str, Any]:
    """A tap by near field, whose line is read away."""
    tap = door.hand.tap(phone)
    door.heard()
    return tap


def claims_of(phone: VirtualPhone) -> Credential:
    payload = parse_sign1(phone.memory.credential).payload
    assert payload is not None
    return parse_claims(payload)


def of_the_person_with(other: Path) -> Callable[[VirtualPhone], None]:
    """Let a new phone be one more of the person who has that one."""
    has = load_image(other, os.urandom)
    assert isinstance(has, VirtualPhone)
    pseudonym = claims_of(has).pseudonym

    def change(phone: VirtualPhone) -> None:
        claims = replace(claims_of(phone), pseudonym=pseudonym)
        phone.memory = replace(phone.memory, credential=build_credential(claims, lab_issuer_key()))

    return change


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("vehicle")
    both, day = doors(folder), Story()
    near, late = phone_in(folder, "near"), phone_in(folder, "late")
    last = phone_in(folder, "last", change=of_the_person_with(late))
    shown = load_image(phone_in(folder, "shown"), os.urandom)
    assert isinstance(shown, VirtualPhone)
    picture = shown.code(NOW)
    with closing(both[FRONT].opened()) as front:  # the other door is dead
        day.said["apart, front"] = said(tapped(front, near))
        day.said["picture, front"] = front.scan(picture)
    with ExitStack() as stack:
        rear = stack.enter_context(closing(both[REAR].opened()))  # and so is this one's
        day.said["apart, rear"] = said(tapped(rear, near))
        day.said["picture, rear"] = rear.scan(picture)
        front = stack.enter_context(closing(both[FRONT].opened()))
        until(lambda: marks(both[FRONT].metrics) >= 2 and marks(both[REAR].metrics) >= 2)
        day.said["both heard"] = said(tapped(front, near))
        first = tapped(front, late)
        day.said["first"] = said(first)
        until(lambda: marks(both[REAR].metrics) >= 3)
        day.said["other door"] = tapped(rear, late)
        again = shown.code(NOW)
        day.said["again"] = front.scan(again)
        day.said["others"] = front.scan("https://qr.nspk.ru/AS10")  # the same twice on end is one scan
        day.said["again, a picture"] = front.scan(again)
        tapped(front, last)
        until(lambda: marks(both[REAR].metrics) >= 4)
        day.said["again, other door"] = rear.scan(again)

        def peers() -> dict[str, Any]:
            """The status is written every so many seconds of the clock, which goes on by hand."""
            rear.hand.say("clock", step_s=STATUS_EVERY_S)
            day.peers = json.loads(
                commanded("peers", "--config", both[REAR].folder / "terminal.toml", "--json")
            )
            return day.peers

        until(lambda: peers()["peers"][0]["heard_at_ms"] is not None)
    collector = folder / "collector"
    for number, door in both.items():
        enrol(door.folder / "state", number, collector)
    with collector_process(collector) as url:
        publisher = Publisher(collector / "bundles", {**ROLES, "issuers": (2, 3)})
        publisher.put("issuers", "region", {"issuers.toml": lab_issuers_toml()})
        publisher.publish()
        for number, door in both.items():
            trust(door.folder / "state", collector)
            commanded("sync", "--state", door.folder / "state", "--number", number, "--collector", url)
        day.report = report(url)
        day.page = httpx.get(f"{url}/operator/", headers={"accept-language": "en"}, timeout=60).text
    for books in collector.glob(f"{BOOKS_FILE}*"):
        books.unlink()
    with collector_process(collector) as url:
        day.anew = report(url)
    dossier = folder / "day.dossier"
    day.audit = json.loads(
        commanded("collector", "audit", "2026-09-15", "--folder", collector, "--dossier", dossier, "--json")
    )
    day.verified = json.loads(commanded("audit", "verify", dossier, "--json"))
    return day


def test_apart_both_doors_let_in_and_nothing_is_doubled_when_they_hear_of_each_other(story: Story) -> None:
    for door in ("front", "rear"):
        assert story.said[f"apart, {door}"] == RIDES, "no one is refused for what could not be heard"
        assert story.said[f"picture, {door}"] == RIDES
    assert story.said["both heard"][0] == "already_paid"


def test_together_the_other_door_knows_the_ride_and_the_code(story: Story) -> None:
    assert story.said["first"] == RIDES
    other = story.said["other door"]
    assert said(other) == PAID
    assert "phone:rode_elsewhere" in other["reasons"]
    assert story.said["again"] == PAID
    for picture in ("again, a picture", "again, other door"):
        assert story.said[picture] == ("code_used", *REFUSED), "it let its phone in, and no one else"


def test_what_was_done_apart_is_seen_at_the_collector(story: Story) -> None:
    proofs = story.report["total"]["proofs"]
    assert {proof: sums["RUB"]["taps"] for proof, sums in proofs.items()} == {"proven": 6}, (
        "by signed issuers"
    )
    found = sorted((alarm["kind"], alarm["terminal"]) for alarm in story.report["alarms"])
    passed, others = found[:2], found[2:]
    assert others == [("shown_twice", REAR), ("two_phones", FRONT)], "late and last are one person's"
    assert passed == [("limit_passed", REAR)] * 2, "one ride was allowed, and each door knew of its own only"


def test_rides_apart_are_added_up_once_for_each_phone(story: Story) -> None:
    """A ride that only one door saw passes no limit, and rows that come again add nothing."""
    details = [one["detail"] for one in story.report["alarms"] if one["kind"] == "limit_passed"]
    assert details == ["rides_apart count=2 of=1 since=2026-09-01"] * 2
    assert len({one["sequence"] for one in story.report["alarms"] if one["kind"] == "limit_passed"}) == 2
    assert len(story.anew["alarms"]) == len(story.report["alarms"]), "books made anew say the same"
    assert "More rides than the limit" in story.page, "the office sees it"
    assert "Two phones of one person" in story.page


def test_an_auditor_proves_the_same_from_the_dossier_alone(story: Story) -> None:
    (totals,) = story.audit["statement"]["totals"]
    assert totals["proof"] == {"proven": {"facts": 6, "sum_minor": 0}}
    assert story.verified["equal"]
    assert story.verified["totals"] == story.audit["statement"]["totals"]


def test_the_other_terminals_are_shown(story: Story) -> None:
    (peer,) = story.peers["peers"]
    assert (peer["terminal"], peer["waiting"]) == (FRONT, 0)
    assert peer["address"].startswith("[::1]:")
    assert story.peers["marks"] >= 4
    assert story.peers["refused"] == {}
