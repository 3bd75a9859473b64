"""From the tap and from the driver's cash box to receipt requests, through the journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terminal.policy.load import DEMO_REGION
from tests.flows.conftest import FRONT, OpenTown
from tests.terminal.cli.inside import Run, runner


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


def test_every_paid_ride_has_one_request_and_free_ones_none(
    town_of: OpenTown, tmp_path: Path, run: Run
) -> None:
    residents = ("adult_purse", "student_half_price", "free_pensioner", "month_pass", "empty_purse")
    with town_of(*residents, stops=(FRONT,)) as town:
        paid = [town.tap(FRONT.number, resident).report.outcome.charge_minor for resident in residents]
    options = ("--state", tmp_path / "town" / str(FRONT.number), "--json")
    first = json.loads(run("receipt", "send", *options).stdout)
    again = json.loads(run("receipt", "send", *options).stdout)
    assert (first["sales"], first["requests"], first["new"]) == (4, 2, 2)
    assert (again["requests"], again["new"]) == (2, 0)
    requests = [json.loads(path.read_text()) for path in (tmp_path / "var/receipts/requests").iterdir()]
    assert sorted(one["sum_minor"] for one in requests) == sorted(minor for minor in paid if minor)
    assert {(one["medium"], one["vat"], one["route"]) for one in requests} == {("transport_card", "none", 15)}


def test_t_53_cash_is_on_record_with_its_ticket_and_in_the_shifts_totals(tmp_path: Path, run: Run) -> None:
    early = run("receipt", "sell")
    assert early.returncode == 61
    assert "T-60" in early.stderr
    assert run("shift", "open", "--operator", "driver-7", "--route", 15).returncode == 0
    sold = json.loads(run("receipt", "sell", "--persons", 2, "--json").stdout)
    assert sold["sum_minor"] == 6400
    ticket = json.loads((tmp_path / "var/receipts/tickets" / f"{sold['ticket']}.json").read_text())
    assert (ticket["issue"], ticket["sum_minor"], ticket["persons"]) == ("printed", 6400, 2)
    assert json.loads(run("receipt", "send", "--json").stdout)["new"] == 0, "the sale asked for it at once"
    totals = json.loads(run("shift", "close", "--json").stdout)
    assert (totals["cash_sales"], totals["cash_minor"]) == (1, 6400)
    assert run("journal", "recompute").stdout.startswith(
        "Taps, sales and portions decided again: 1; differ: 0;"
    )
    assert ",1,0,RUB,64.00,64.00," in run("export", "csv", "shift").stdout
    assert ",64.00,RUB,Enter," in run("export", "tides").stdout


def test_t_53_a_canteens_terminal_sells_nothing_for_cash(tmp_path: Path, run: Run) -> None:
    """No ride in a canteen's shift, whichever way it is asked for."""
    assert run("shift", "open", "--operator", "cashier-1", "--profile", "canteen").returncode == 0
    refused = run("receipt", "sell")
    assert refused.returncode not in (0, 1), refused.stderr
    assert "was opened for profile canteen, not bus" in refused.stderr
    assert not (tmp_path / "var/receipts/tickets").exists() or not any(
        (tmp_path / "var/receipts/tickets").iterdir()
    )
    totals = json.loads(run("shift", "close", "--json").stdout)
    assert "cash_sales" not in totals


def test_t_55_a_ticket_of_each_kind_is_sold_and_one_that_the_document_has_not_is_refused(
    tmp_path: Path, run: Run
) -> None:
    assert run("shift", "open", "--operator", "driver-7", "--route", 15).returncode == 0
    refused = run("receipt", "sell", "--kind", "luggage")
    assert (refused.returncode, "T-55" in refused.stderr) == (61, True)
    cash = "[cash]\nchild_percent = 50\nluggage_minor = 2050\n"
    (tmp_path / "region.toml").write_text(DEMO_REGION.read_text("utf-8") + cash, "utf-8")
    child = run("receipt", "sell", "--kind", "child", "--region", "region.toml")
    assert child.stdout.rstrip().endswith("1 × child ticket, RUB 16.00")
    sold = json.loads(
        run(
            "receipt", "sell", "--kind", "luggage", "--persons", 3, "--region", "region.toml", "--json"
        ).stdout
    )
    assert (sold["kind"], sold["persons"], sold["sum_minor"]) == ("luggage", 3, 6150)
    totals = json.loads(run("shift", "close", "--json").stdout)
    assert (totals["cash_sales"], totals["cash_minor"]) == (2, 7750)
    rows = map(json.loads, run("journal", "show", "--json").stdout.splitlines())
    assert [row["ticket"] for row in rows if row["kind"] == "CashSale"] == ["child", "luggage"]
    assert "differ: 0;" in run("journal", "recompute", "--region", "region.toml").stdout
