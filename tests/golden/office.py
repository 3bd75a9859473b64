"""What a region's offices make for the golden files: lists, issuers, key files, tables of a feed, a bank's card.

The region's root is a published figure, and its files are marked as a laboratory's: they open nothing else.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from sim.image_file import load_card, save_card
from sim.lab_issuer import lab_issuer_key
from terminal.app.simulated import issue_residents
from terminal.canteen.documents import PriceListDocument
from terminal.keys.components import split, write_component
from terminal.keys.office import OfficeOrder, office_document, write_keys
from terminal.lab.world import pseudonym_on
from tests.golden.asked import REGION, SIM, Version
from tests.terminal.canteen.school import PRICES, child, roster_document
from tests.terminal.cli.played_feeds import FEED_FARES, HEAD, PRODUCTS, STOPS, tap
from tests.terminal.decision.region import text_of
from tests.terminal.policy.gtfs.feeds import write_feed

ROOT_TEXT: Final = b"golden files of the resident-card terminal: a root without a secret"
MADE_ON: Final = date(2026, 9, 1)
KNOWN_AT: Final = "2026-09-14T06:00:00+03:00"
DENIED: Final = "denied"
GRANTED: Final = "granted"
CONCESSION: Final = 1
LATER_PUPILS: Final = (1, 2)
ISSUERS: Final = """\
schema = 1
[[issuers]]
issuer = "ru-{region}"
x = "{x:064x}"
y = "{y:064x}"
not_before = 2026-01-01T00:00:00Z
not_after = 2028-01-01T00:00:00Z
"""
LISTS: Final[Mapping[str, object]] = {
    "deny": "deny.list",
    "grants": "grants.list",
    "issuers": "issuers.toml",
    "verify_credential": "always",
}


def make_lists(bus: Path, day: date) -> None:
    """Two cards in `bus` of which lists speak, the lists, and the issuers that `LISTS` names."""
    bus.mkdir(parents=True, exist_ok=True)
    for name, card in zip((DENIED, GRANTED), issue_residents(["adult_purse"] * 2, REGION, day), strict=True):
        save_card(card, bus / f"{name}.json")
    denied, granted = (
        load_card(bus / f"{name}.json", random.Random(0).randbytes) for name in (DENIED, GRANTED)
    )
    holder = pseudonym_on(granted)
    assert holder is not None
    (bus / "deny.csv").write_text(f"kind,identity\ncard,{denied.uid.hex()}\n", "utf-8")
    (bus / "grants.csv").write_text(
        "pseudonym,issued_on,code,parameter,valid_from,valid_to\n"
        f"{holder.hex()},{MADE_ON},{CONCESSION},0,{MADE_ON},2027-05-31\n",
        "utf-8",
    )
    issue = ("--version", 1, "--issued-at", KNOWN_AT, "--region", REGION, "--keys", "laboratory")
    for kind in ("deny", "grants"):
        Version().run(bus, "policy", f"{kind}-list", f"{kind}.csv", "--out", f"{kind}.list", *issue)
    numbers = lab_issuer_key().public_key().public_numbers()
    (bus / "issuers.toml").write_text(ISSUERS.format(region=REGION, x=numbers.x, y=numbers.y), "utf-8")


def make_keys(office: Path, registry: Path) -> None:
    """The region's own file, two custodians' components, three role files, and a registry sealed under one of them."""
    root = hashlib.sha256(ROOT_TEXT).digest()
    order = OfficeOrder(region=REGION, made_on=MADE_ON, environment="laboratory")
    write_keys(office / "office.keys", office_document(root, order))
    for component in split(root, 2, REGION, "laboratory"):
        write_component(office / f"component-{component.part}.txt", component)
    for role in ("bus", "canteen"):
        Version().run(office, "keys", "init", "--role", role, "--office", "office.keys", "--terminal", 7)
        (office / "keys" / "7.keys").rename(office / f"{role}.keys")
    for role in ("issue", "collector"):
        Version().run(office, "keys", "init", "--role", role, "--office", "office.keys", "--folder", ".")
    sealing = ("--keys", "collector.keys", "--out", "registry.sealed")
    Version().run(office, "keys", "seal-registry", registry, *sealing)


def make_tables(office: Path) -> None:
    """A feed, the tables imported of it, a small region that uses them, and its scenario; a routes document."""
    write_feed(office / "feed", **STOPS, fare_products=PRODUCTS, fare_leg_rules="fare_product_id\nsingle\n")
    printed = Version().run(office, "policy", "import-gtfs", "feed", "--out", "city.json")
    section = printed[printed.index("[gtfs]") :] + 'destination = "not_used"\n'
    (office / "small.toml").write_text(text_of(section, fares=FEED_FARES, slots=""), "utf-8")
    (office / "scenarios.toml").write_text(HEAD.format(taps=tap("08:00", 2400)), "utf-8")


def make_bank_card(office: Path, day: date) -> None:
    made = ("--profile", "resident_bank", "--seed", 1, "--issued-on", day)
    Version().run(office, "card", "emv", "new", "resident_bank.json", *made, program=SIM)


def make_successors(school: Path) -> None:
    """The lists that come after those in force, as a school receives them: prices, and a roster of two other pupils."""
    header = msgspec.structs.replace(PRICES.header, sequence=2)
    prices = PriceListDocument(header=header, products=tuple(PRICES.products.values()))
    roster = roster_document(*map(child, LATER_PUPILS), sequence=8)
    for name, document in (("prices", prices), ("roster", roster)):
        (school / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))
