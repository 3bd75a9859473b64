"""What a region's offices make for the golden files: lists, issuers, key files, tables of a feed, a bank's card, a
register of denied cards, signed bundles.

The region's root is a published figure, and its files are marked as a laboratory's: they open nothing else.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from sim.image_file import load_card, save_card
from sim.lab_issuer import lab_issuer_key
from terminal.app.simulated import issue_residents
from terminal.canteen.documents import PriceListDocument
from terminal.collector.identities import TerminalKeySet, TerminalRecord
from terminal.keys.components import split, write_component
from terminal.keys.office import OfficeOrder, office_document, write_keys
from terminal.lab.world import pseudonym_on
from terminal.sync.credentials import load_or_make_keys
from tests.flows.live import live_terminal
from tests.golden.asked import BUNDLED, REGION, SIM, STATE, Version
from tests.terminal.canteen.school import PRICES, child, roster_document
from tests.terminal.cli.played_feeds import FEED_FARES, HEAD, PRODUCTS, STOPS, tap
from tests.terminal.decision.region import text_of
from tests.terminal.policy.gtfs.feeds import write_feed
from tests.terminal.updates.published import region

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
PASSPHRASE: Final = "six words that are not in a book"
"""Of every key that signs bundles here."""
PASSPHRASE_FILE: Final = "pass"
ROOT_KEYS: Final = ("root-1", "root-2", "root-3")
TARGETS_KEYS: Final = ("targets-1", "targets-2")
ONLINE_KEYS: Final = ("snapshot-1", "timestamp-1", "assign-1", "staff-1")
TARIFF_KEYS: Final = ("tariff-1", "tariff-2", "tariff-3")
TAKEN: Final = (2, 3100)
"""Version and fare of the tariff that is published; its successor has one signature of two."""
ASSIGNMENT: Final = f"""\
{{"format": 1, "groups": [{{"terminals": ["1-{BUNDLED}"], "takes": ["tariff/city"]}}]}}
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


def make_register(office: Path) -> None:
    """A register of denied cards with one card in it, a base list, and the change that follows it."""
    issue = ("deny", "issue", "--folder", "deny", "--out", "deny-lists", "--region", "demo")
    Version().run(office, "deny", "init", "--folder", "deny")
    Version().run(office, *issue, "--base")
    card = ("--card", "04000000000001", "--reason", "lost", "--by", "17")
    Version().run(office, "deny", "add", *card, "--folder", "deny")
    Version().run(office, *issue)


def make_bundles(office: Path) -> None:
    """A repository: an assignment and a tariff are out, and the next tariff waits for the second of two signatures."""
    for file, text in ((PASSPHRASE_FILE, PASSPHRASE), ("assignment.json", ASSIGNMENT)):
        (office / file).write_text(text, "utf-8")
        (office / file).chmod(0o600)
    keys = (*ROOT_KEYS, *TARGETS_KEYS, *ONLINE_KEYS, *TARIFF_KEYS)
    publish(office, "key", *keys, "--folder", "signing")
    Version().run(office, "publish", "init", "--keys", "signing")
    _signed(office, "root-1", *ROOT_KEYS[:2])
    _signed(office, "targets-1", *TARGETS_KEYS)
    version, fare = TAKEN
    (office / "tariff.toml").write_bytes(region(version, fare_minor=fare))
    Version().run(office, "publish", "add", "tariff/city", "tariff.toml")
    Version().run(office, "publish", "add", "assign/fleet", "assignment.json")
    _signed(office, "tariff-1", *TARIFF_KEYS[:2])
    release(office)
    (office / "tariff.toml").write_bytes(region(version + 1, fare_minor=fare + 100))
    Version().run(office, "publish", "add", "tariff/city", "tariff.toml")
    Version().run(office, "publish", "request", "--out", "requests")
    publish(office, "sign", "requests/tariff-2.request", *_key(TARIFF_KEYS[0]), "--yes")


def publish(office: Path, *words: object) -> str:
    """`terminal publish …` with keys that the passphrase opens."""
    return Version().run(office, "publish", *words, "--passphrase-file", PASSPHRASE_FILE)


def release(office: Path) -> None:
    """What has its signatures, with the keys that lie on the publishing machine."""
    publish(office, "release", *(word for key in ONLINE_KEYS for word in _key(key)))


def _key(name: str) -> tuple[str, str]:
    return "--key", f"signing/{name}.key"


def _signed(office: Path, draft: str, *keys: str) -> None:
    """The ceremony of a draft; nothing of it is kept."""
    folder = office / "requests"
    Version().run(office, "publish", "request", "--out", folder)
    for key in keys:
        publish(office, "sign", folder / f"{draft}.request", *_key(key), "--yes")
    Version().run(office, "publish", "take", *folder.glob("*.signature"))
    shutil.rmtree(folder)


def make_bundled(folder: Path) -> None:
    """A terminal in `folder`, beside the office, that trusts its root, and pays by the tariff it has taken."""
    root = folder.parent / "office/bundles/metadata/1.root.json"
    own = ("--state", STATE, "--sha256", hashlib.sha256(root.read_bytes()).hexdigest())
    folder.mkdir()
    Version().run(folder, "trust", root, *own)
    tables: dict[str, Mapping[str, object]] = {
        "terminal": {"schema": 1, "profile": "bus", "number": BUNDLED},
        "shift": {"operator": "17", "route": 15},
        "bundles": {"folder": "../office/bundles"},
    }
    with live_terminal(folder, **tables) as live:
        assert live.tap(live.card("adult_purse"))["charge_minor"] == TAKEN[1]


def seal_staff(office: Path, bundled: Path) -> None:
    """The staff list of that terminal, sealed to it by the key that an enrolment brings."""
    keys = load_or_make_keys(bundled / STATE / "terminal.key")
    sealing = keys.sealing.public_key().public_bytes_raw().hex()
    record = TerminalRecord(TerminalKeySet(keys.name.hex(), 0, sealing))
    (office / "enrolled").mkdir()
    (office / "enrolled" / f"{BUNDLED}.json").write_bytes(msgspec.json.encode(record))
    own = ("--seal-to", BUNDLED, "--terminals", "enrolled")
    Version().run(office, "publish", "add", "staff/depot", bundled / STATE / "staff.json", *own)
    release(office)
