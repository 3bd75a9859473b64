"""Report, exports, office and carriers' settlement of a bus day, each beside what the exported rows come to apart."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

from terminal.collector.users import OfficeRole
from terminal.texts import translator
from tests.bus_day.counted import counted_apart
from tests.bus_day.place import BusPlace
from tests.bus_day.walk import BusWalk
from tests.flows.live import PATIENCE_S, collector
from tests.flows.test_audit import registered
from tests.flows.test_recomputed import ask, until
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.collector.office import user_of
from tests.terminal.collector.settled_apart import Numbers, SettledAs, settled_apart

PASSWORD: Final = "correct horse battery"
CARRIER_OF: Final = {15: "trams", 16: "buses"}
CARRIER_NAMES: Final = {"trams": "Автоколонна", "buses": "Автобусный парк"}
CARRIERS: Final = """
split = "legs"
together = [11]

[header]
id = "carriers"
version = 1
region = 34
issued_at = 2026-01-01T00:00:00+03:00
""" + "".join(
    f'\n[[carriers]]\nid = "{one}"\nname = "{CARRIER_NAMES[one]}"\nroutes = [{{ number = {route} }}]\n'
    for route, one in CARRIER_OF.items()
)
TOGETHER: Final = (11,)
STRANGERS: Final = 4
"""Of so many cards the issuing point has not named one to the collector: nothing proves what it paid."""
NO_COLUMNS: Final = ("month", "correction", "carrier_name")
REPORTED: Final = {
    "Taps": "taps",
    "Accepted": "accepted",
    "Already inside": "inside",
    "Refused": "refused",
    "Card taken away too early": "not_committed",
    "End not known": "unresolved",
    "By card": "charged_minor",
    "Cash tickets": "cash_sales",
    "In cash": "cash_minor",
    "Handed over": "cash_handed_minor",
    "Missing at a change of driver": "cash_short_minor",
    "Surplus at a change of driver": "cash_over_minor",
    "Cash in the vehicle": "due_minor",
}
"""Lines of the shift's report, by what they are called in the source."""


def books_agree(walk: BusWalk, page: Page) -> dict[str, int]:
    """Shift, exports, office and settlement equal what the rows come to; the figures."""
    place = walk.place
    rows = walk.rows = place.rows()
    (closed,) = [row for row in rows if row["kind"] == "ShiftClosed"]
    turns = {(row["turn"], row["route"]) for row in rows if row["kind"] in ("Intent", "CashSale")}
    assert turns == {(1, 15), (2, 15), (3, 16)}, "whatever the on-board computer said"
    words = ("Committed", "NotCommitted")
    counted = counted_apart(
        row for row in rows if row["kind"] in words or row.get("shift") == closed["shift"]
    )
    _reported(walk.report, counted)
    assert {
        name: closed["totals"].get(name, 0) for name in counted if name not in ("due_minor", "open_minor")
    } == {name: count for name, count in counted.items() if name not in ("due_minor", "open_minor")}
    assert counted["taps"] == sum(
        counted[name] for name in ("accepted", "inside", "refused", "not_committed", "unresolved")
    )
    _exported(place, counted)
    registered(place.folder, [card for number, card in enumerate(walk.cards) if number % STRANGERS])
    with collector(place.folder, options=("--registry", place.folder / "registry.json")) as url:
        place.run("sync", "--collector", url)
        (place.folder / "carriers.toml").write_text(CARRIERS, "utf-8")
        _office("settlement", "carriers", place.folder / "carriers.toml", folder=place.folder)
        user_of(place.folder / "collector", "11", OfficeRole.MONEY, password=PASSWORD)
        _booked(place, counted)
        lines = _apart(place)
        _settled(place, lines, counted)
        _shown(place, page, url, counted, lines)
    return counted


def _reported(report: dict[str, str], counted: dict[str, int]) -> None:
    """The page of the report, line by line."""
    text = translator("ru").gettext
    found = {name: minor(report[text(line)]) for line, name in REPORTED.items() if text(line) in report}
    assert found == {name: counted[name] for name in found}
    assert set(REPORTED.values()) - set(found) == {
        name for name in ("cash_short_minor", "cash_over_minor") if not counted[name]
    }
    count, _, money = report[text("Cancelled tickets")].partition(", ")
    assert (int(count), minor(money)) == (counted["cancelled_sales"], counted["cancelled_minor"])
    assert int(report[text("Breaks")].partition(",")[0]) == counted["breaks"]


def minor(text: str) -> int:
    """A count, or an amount in minor units, as a page shows it."""
    return int("".join(re.findall(r"\d", text))) * (-1 if text.startswith(("-", "−")) else 1)


def _exported(place: BusPlace, counted: dict[str, int]) -> None:
    """The table of shifts, and TIDES: no row for a ticket that was taken back."""
    shift = next(csv.DictReader(io.StringIO(place.run("export", "csv", "shift"))))
    money = counted["charged_minor"] + counted["cash_minor"]
    assert (shift["cash"], shift["amount"]) == (in_major(counted["cash_minor"]), in_major(money))
    assert (shift["cancelled"], shift["cash_sales"]) == (
        str(counted["cancelled_sales"]),
        str(counted["cash_sales"]),
    )
    rides = list(csv.DictReader(io.StringIO(place.run("export", "tides"))))
    assert len(rides) == counted["accepted"] + counted["cash_sales"]
    assert sum(Decimal(row["amount"]) for row in rides) * 100 == money


def in_major(sum_minor: int) -> str:
    return f"{Decimal(sum_minor) / 100:.2f}"


def _booked(place: BusPlace, counted: dict[str, int]) -> None:
    """The collector's day, by terminal and by who pays."""
    day = place.day.isoformat()

    def lines(by: str) -> list[dict[str, Any]]:
        found: dict[str, Any] = ask(place.folder, "report", "--day", day, "--by", by)
        return [] if found["behind"] else found["lines"]

    (line,) = until(lambda: lines("terminal"))
    money = counted["charged_minor"] + counted["cash_minor"]
    assert line["counted_minor"] == money
    assert (line["rides"], line["cash_sales"]) == (counted["accepted"], counted["cash_sales"])
    assert line["annulled_minor"] == counted["cancelled_minor"]
    assert line["open_minor"] == counted["open_minor"]
    by_funder = {line["name"]: line["counted_minor"] for line in lines("funder")}
    assert (by_funder["purse"], by_funder["cash"]) == (counted["charged_minor"], counted["cash_minor"])


def _apart(place: BusPlace) -> dict[SettledAs, Numbers]:
    """The carriers' month from the records alone, with what the cards of the registry prove."""
    listed = json.loads((place.folder / "registry.json").read_text("utf-8"))["cards"]
    cards = {
        bytes.fromhex(one["card_ref"]): (
            bytes.fromhex(one["uid"]),
            bytes.fromhex(one["transaction_mac_key"]),
        )
        for one in listed
    }
    return settled_apart(place.bodies(), CARRIER_OF, "legs", {}, cards, TOGETHER)


def _settled(place: BusPlace, lines: dict[SettledAs, Numbers], counted: dict[str, int]) -> None:
    """The carriers' month, line by line and column by column: carrier, route, product, concession and day."""
    said = _office("settlement", "show", place.day.isoformat()[:7], "--json", folder=place.folder)
    found: dict[SettledAs, Numbers] = {}
    for line in said["lines"]:
        key = SettledAs(*(line[name] for name in SettledAs._fields))._replace(route=int(line["route"]))
        columns = {name: minor(line[name]) for name in line.keys() - {*SettledAs._fields, *NO_COLUMNS}}
        found[key] = {name: number for name, number in columns.items() if number}
    assert found == lines
    assert {key.carrier for key in lines} == set(CARRIER_NAMES), "both carriers ran"

    def sum_of(*names: str) -> int:
        return sum(line.get(name, 0) for line in lines.values() for name in names)

    assert sum_of("proven", "unproven") == counted["charged_minor"]
    assert sum_of("cash") == counted["cash_minor"]
    assert sum_of("moved_proven", "moved_unproven") == 0, "what one carrier is given another has given"
    assert sum_of("due") == counted["charged_minor"] + counted["cash_minor"]
    assert sum_of("proven"), "cards of the registry proved their rides"
    assert sum_of("unproven"), "cards that it does not know did not"


def _shown(
    place: BusPlace, page: Page, url: str, counted: dict[str, int], lines: dict[SettledAs, Numbers]
) -> None:
    """What the office's own pages say, in Russian."""
    page.goto(f"{url}/operator/sign-in?language=ru")
    page.fill("input[name=ref]", "11")
    page.fill("input[name=password]", PASSWORD)
    page.click("form.sign-in button")
    page.goto(f"{url}/operator/?day={place.day}&by=terminal")
    rows = page.locator("table tr").all_inner_texts()
    (line,) = [
        row.split("\t")
        for row in rows
        if row.startswith("7\t") and in_major(counted["cancelled_minor"]) in row
    ]
    assert (int(line[1]), int(line[3])) == (counted["accepted"], counted["cash_sales"])
    assert line[6:9] == [
        in_major(counted["charged_minor"] + counted["cash_minor"]),
        in_major(counted["open_minor"]),
        in_major(counted["cancelled_minor"]),
    ]
    page.goto(f"{url}/operator/settlement?month={place.day.isoformat()[:7]}")
    due: dict[str, int] = defaultdict(int)
    for key, numbers in lines.items():
        due[CARRIER_NAMES[key.carrier]] += numbers.get("due", 0)
    shown = page.locator("table").first.locator("tbody tr").all_inner_texts()
    assert {row.split("\t")[0]: minor(row.split("\t")[-1]) for row in shown} == due


def _office(*words: object, folder: Path) -> Any:
    """What a command at the collector's machine prints."""
    done = subprocess.run(
        command(("collector", *words, "--folder", "collector")),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout
