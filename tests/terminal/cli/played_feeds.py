"""Feeds as a tariff author works with them: imported by the product's own command, then played in a small region."""

from __future__ import annotations

from pathlib import Path

from tests.terminal.cli.inside import Run, Told
from tests.terminal.decision.region import text_of
from tests.terminal.policy.gtfs.feeds import write_feed

PRODUCTS = "fare_product_id,amount,currency\nsingle,24.00,RUB\nfree,0.00,RUB\nother,40.00,RUB\n"
STOPS = {
    "stops": "stop_id,stop_name\n1,One\n2,Two\n3,Three\n",
    "routes": "route_id,route_type,network_id\n5,3,city\n6,3,city\n9,0,trams\n",
}
FEED_FARES = '[fares]\nbase_minor = 3000\nsource = "gtfs"\n'
HEAD = """
schema = 1
region = "small"
about = "rides by a feed"

[[scenarios]]
name = "rides"
rider = "adult"
card = {{ balance_minor = 100000 }}
rules = ["G-01"]
taps = [
  {taps}
]
"""
PAYS = (
    '{{ at = 2026-09-15T{at}, route = {route}, stop = {stop}, expect = {{ message = "{message}"{more} }} }}'
)


def imports(folder: Path, run: Run, files: dict[str, str], *options: str) -> Told:
    write_feed(folder / "feed", **(STOPS | {"fare_products": PRODUCTS} | files))
    return run("policy", "import-gtfs", "feed", "--out", "city.json", *options)


def tap(at: str, charge_minor: int | None, route: int = 5, stop: int = 1, message: str = "ok_paid") -> str:
    """A tap that is to cost `charge_minor`; None: it is to be refused because the fare is not known."""
    more = f", charge_minor = {charge_minor}"
    if charge_minor is None:
        message, more = "fare_unknown", ""
    return PAYS.format(at=f"{at}:00", route=route, stop=stop, message=message, more=more)


def region(imported: Told, *parts: str, destination: str = "not_used", slots: str = "") -> str:
    """The region document with the lines the import printed."""
    assert imported.returncode == 0, imported.stderr
    printed = imported.stdout[imported.stdout.index("[gtfs]") :]
    section = f'{printed}destination = "{destination}"\n'
    return text_of(section, *parts, fares=FEED_FARES, slots=slots)


def charges(folder: Path, run: Run, imported: Told, *taps: str, document: str = "") -> None:
    """Play taps of one rider in a region that uses the tables just written, by the product's own command."""
    (folder / "region.toml").write_text(document or region(imported), encoding="utf-8")
    (folder / "scenarios.toml").write_text(HEAD.format(taps=",\n  ".join(taps)), encoding="utf-8")
    told = run("policy", "run", "region.toml", "scenarios.toml")
    assert told.returncode == 0, told.stdout + told.stderr
