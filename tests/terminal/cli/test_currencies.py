"""A region whose currency is not the rouble, through the product's commands: two decimals, none, three, and tenge."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.config_file import config_file
from tests.currencies import demo_in
from tests.terminal.cli.conftest import Run
from tests.terminal.cli.test_faults import assert_one_line
from tests.terminal.cli.test_policy import SCENARIO

# 24.00, 25.00, 48.00, 64.00 of two decimals
SUMS = {
    "EUR": ("EUR 24.00", "EUR 48.00 → EUR 50.00", "EUR 64.00", "24.00", "24,00 €"),
    "JPY": ("JPY 2,400", "JPY 4,800 → JPY 5,000", "JPY 6,400", "2400", "2\N{NO-BREAK SPACE}400 ¥"),
    "BHD": ("BHD 2.400", "BHD 4.800 → BHD 5.000", "BHD 6.400", "2.400", "2,400 BHD"),
    "KZT": ("KZT 24.00", "KZT 48.00 → KZT 50.00", "KZT 64.00", "24.00", "24,00 ₸"),
}
BUS = ("--config", "terminal.toml")
TAP = ("run", *BUS, "--reader", "sim:card.json", "--taps", "1")


@pytest.fixture
def document(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A folder with the document, a terminal's configuration, and a card of its region with 50000 minor units."""
    currency: str = request.param
    (tmp_path / "region.toml").write_text(demo_in(currency), "utf-8")
    config_file(
        tmp_path,
        terminal={"profile": "bus", "state": "state", "region": "region.toml", "language": "en"},
        shift={"operator": "17", "route": 15},
    )
    return currency


@pytest.mark.parametrize("document", SUMS, indirect=True)
def test_an_author_reads_sums_in_the_documents_currency(run: Run, tmp_path: Path, document: str) -> None:
    (tmp_path / "ride.toml").write_text(SCENARIO, "utf-8")
    dearer = demo_in(
        document, ("transport_card = 2400", "transport_card = 2500"), ("version = 1\n", "version = 2\n")
    )
    (tmp_path / "dearer.toml").write_text(dearer, "utf-8")
    checked = run("policy", "check", "region.toml", "--json")
    assert json.loads(checked.stdout)["currency"] == document, checked.stderr
    assert run("policy", "run", "region.toml", "ride.toml").stdout == "1 scenarios, 2 taps: 0 differ\n"
    fare, sums, _, _, russian = SUMS[document]
    assert (
        f"charged {fare}" in run("policy", "explain", "region.toml", "ride.toml", "--language", "en").stdout
    )
    assert (
        f"списано {russian}"
        in run("policy", "explain", "region.toml", "ride.toml", "--language", "ru").stdout
    )
    assert (
        f"in all {sums}"
        in run("policy", "diff", "region.toml", "dearer.toml", "--scenarios", "ride.toml").stdout
    )


def rows(run: Run, kind: str) -> list[dict[str, Any]]:
    shown = run("journal", "show", "--state", "state", "--kind", kind, "--json").stdout
    return [json.loads(line) for line in shown.splitlines()]


@pytest.mark.parametrize("document", SUMS, indirect=True)
def test_a_terminal_takes_sells_and_reports_in_the_documents_currency(
    run: Run, tmp_path: Path, document: str
) -> None:
    fare, _, tickets, amount, _ = SUMS[document]
    assert run("card", "new", "card.json", "--profile", "adult_purse", program="sim.cli.app").returncode == 0
    tap = run(*TAP)
    assert f"ok_paid  {amount}  (committed" in tap.stderr + tap.stdout, tap.stderr
    (intent,) = rows(run, "Intent")
    assert (intent["currency"], intent["charge_minor"], intent["balance_after_minor"]) == (
        document,
        2400,
        47600,
    )
    read = run("card", "read", "--reader", "sim:card.json", "--region", "region.toml")
    assert amount in read.stdout, read.stderr
    sold = run("receipt", "sell", "--persons", "2", "--to", "receipts", *BUS)
    assert sold.stdout.endswith(f"2 × cash fare, {tickets}\n"), sold.stderr
    (ticket,) = (tmp_path / "receipts/tickets").iterdir()
    printed = json.loads(ticket.read_text("utf-8"))
    assert (printed["sum_minor"], printed["currency"]) == (6400, document)
    assert json.loads(run("receipt", "send", "--to", "receipts", *BUS, "--json").stdout)["requests"] == 0
    assert list((tmp_path / "receipts/requests").iterdir()) == [], "54-FZ is about roubles"
    exported = list(
        csv.DictReader(io.StringIO(run("export", "tides", *BUS, "--region", "region.toml").stdout))
    )
    assert (exported[0]["amount"], exported[0]["currency_type"]) == (amount, document)
    shifts = list(
        csv.DictReader(io.StringIO(run("export", "csv", "shift", *BUS, "--region", "region.toml").stdout))
    )
    assert {row["currency"] for row in shifts} == {document}
    closed = run("shift", "close", *BUS).stdout
    assert f"charged                  {fare}\n" in closed
    assert f"cash                     {tickets}\n" in closed
    assert run("journal", "recompute", *BUS, "--region", "region.toml").returncode == 0


@pytest.mark.parametrize("document", ["KZT"], indirect=True)
def test_a_terminal_that_has_taken_one_currency_takes_no_other(
    run: Run, tmp_path: Path, document: str
) -> None:
    run("card", "new", "card.json", "--profile", "adult_purse", program="sim.cli.app")
    assert run(*TAP).returncode == 0
    (tmp_path / "region.toml").write_text(demo_in("EUR", ("version = 1\n", "version = 2\n")), "utf-8")
    refused = run(*TAP)
    said = (
        assert_one_line(refused.stderr) if "terminal: " in refused.stderr else refused.stderr + refused.stdout
    )
    assert document in said
    assert "EUR" in said
    assert len(rows(run, "Intent")) == 1


@pytest.mark.parametrize("document", ["KZT"], indirect=True)
def test_a_card_of_another_region_is_charged_nothing(run: Run, tmp_path: Path, document: str) -> None:
    """A purse counts minor units and does not say of what: its region does, and no other region's keys open it."""
    run("card", "new", "card.json", "--profile", "adult_purse", program="sim.cli.app")
    elsewhere = demo_in(document, ("region = 34", "region = 35"))
    (tmp_path / "region.toml").write_text(elsewhere, "utf-8")
    tap = run(*TAP, "--json")
    (shown,) = [json.loads(line) for line in tap.stdout.splitlines()]
    assert (shown["admission"], shown["charge_minor"]) == ("refused", 0), tap.stderr
    assert rows(run, "Intent") == []
    assert (
        json.loads(run("card", "read", "--reader", "sim:card.json", "--region", "demo", "--json").stdout)[
            "purse_minor"
        ]
        == 50000
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            demo_in("EUR", ("[receipts]\n", '[receipts]\nvat = "none"\n')),
            "receipts of 54-FZ are in RUB, the document",
        ),
        (demo_in("RUB"), "a receipt of 54-FZ cannot be asked for without it"),
        (demo_in("XYZ"), 'unknown currency "XYZ"'),
    ],
)
def test_receipts_of_54_fz_and_roubles_belong_together(
    run: Run, tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "region.toml").write_text(text, "utf-8")
    done = run("policy", "check", "region.toml")
    assert (done.returncode, says in done.stderr) == (10, True), done.stderr


def test_check_lists_who_is_refused_for_want_of_a_fare(run: Run, tmp_path: Path) -> None:
    rule = (
        '[[fares.rules]]\nid = "suburban"\nkind = "distance"\nmodes = ["suburban_bus"]\nroutes = [111]\n'
        'first = { transport_card = 2600, bank_card = 2600, cash = 3000 }\nlongest_m = 60000\nbase = "cash"\n'
        "per_km = { transport_card = 200, bank_card = 200, cash = 200 }\n\n"
    )
    anchor = "# ---------------------------------------------------------------- fares\n"
    (tmp_path / "region.toml").write_text(demo_in("KZT") + "\n" + rule, "utf-8")
    assert anchor in demo_in("KZT")
    ride = {"route": "111", "mode": "suburban_bus", "when": "*"}
    expected = [ride | {"from": "*", "to": "?"}, ride | {"from": "?", "to": "*"}]
    found = json.loads(run("policy", "check", "region.toml", "--json").stdout)
    assert (found["fare_unknown"], found["fare_unknown_more"]) == (expected, False)
    said = run("policy", "check", "region.toml").stdout
    assert "  route 111, mode suburban_bus, from * to ?, when *\n" in said
    assert json.loads(run("policy", "check", "demo", "--json").stdout)["fare_unknown"] == []
