"""`terminal fleet office`: the pages, metrics and settlement of a collector, over what PostgreSQL holds."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from terminal.clock import SystemClock, from_unix_ms, unix_ms
from terminal.collector.certify import Authority
from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet.shared_records import SharedRecords
from terminal.collector.reconcile import reconcile
from terminal.collector.registry import CardRegistry
from terminal.collector.users import OfficeRole
from terminal.journal.records import build_record, parse_record
from terminal.support_code import support_code
from terminal.sync.identity import load_or_create_key
from tests.terminal.collector.office import user_of
from tests.terminal.fleet.servers import until
from tests.terminal.fleet.test_commands import collector, terminal
from tests.terminal.fleet.town import Chain, Town, through
from tests.terminal.journal.samples import day

FALSE_ROW = 3
PASSWORD = "correct horse battery"


class FleetPages:
    """A fleet with a day of one bus, one row of it false, and its office."""

    def __init__(self, town: Town, folder: Path, chain: Chain) -> None:
        self.town, self.folder, self.chain = town, folder, chain
        self.process, self.url = self._start()

    def _start(self) -> tuple[subprocess.Popen[bytes], str]:
        options = ("--folder", str(self.folder), "--port", "0", "--database", self.town.dsn, "--json")
        command = [sys.executable, "-m", "terminal.cli.app", "fleet", "office", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())["url"]

    def again(self, number: int) -> None:
        self.end(number)
        self.process, self.url = self._start()

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=60, follow_redirects=True)

    def until_booked(self, rows: int) -> None:
        until(
            "the office has booked all",
            lambda: (
                (found := self.get("/operator/v1/status").json())["records"] >= rows and not found["behind"]
            ),
        )


@pytest.fixture
def pages(town: Town, tmp_path: Path) -> Iterator[FleetPages]:
    bodies = [build_record(record) for record in day(20)]
    false = msgspec.structs.replace(parse_record(bodies[FALSE_ROW - 1]), charge_minor=900_000)
    bodies[FALSE_ROW - 1] = build_record(false)
    chain = Chain(bodies)
    town.enrol(chain)

    async def play(batches: list[bytes]) -> None:
        async with town.gateways() as (gateway,):
            for batch in batches:
                through(await gateway.take(batch), town, chain)
        await town.consume()

    asyncio.run(play(chain.batches(8)))
    folder = tmp_path / "pages"
    folder.mkdir()
    load_or_create_key(folder / "collector.key")
    Authority(folder, unix_ms(SystemClock().now()))
    found = FleetPages(town, folder, chain)
    found.until_booked(len(bodies))
    yield found
    found.end(signal.SIGTERM)


def test_an_office_reads_a_fleet_as_one_collector(pages: FleetPages, tmp_path: Path) -> None:
    """Killed at any moment it goes on; sums, pages, metrics, settlement and rides are those of one collector with the
    same batches; an alarm that is acknowledged at its page is acknowledged in the database."""
    rows = len(pages.chain.bodies)
    pages.again(signal.SIGKILL)
    pages.until_booked(rows)
    totals = reconcile(pages.chain.records(), CardRegistry()).total
    own = pages.get("/operator/v1/report").json()
    assert own["total"]["charged_minor"] == {"RUB": totals.charged_in("RUB")} != {"RUB": 0}
    assert (own["total"]["taps"], own["behind"]) == (totals.taps, 0)
    metrics = pages.get("/metrics").text
    assert f"resident_collector_rows {rows}" in metrics
    assert 'resident_collector_open_alarms{kind="proof_differs"} 1' in metrics
    found = pages.get(f"/operator/ride?code={support_code(7, FALSE_ROW)}&language=ru").text
    assert "терминал 7, запись 3" in found
    month = f"{from_unix_ms(parse_record(pages.chain.bodies[0]).at_ms):%Y-%m}"
    settled = json.loads(
        collector("settlement", "show", month, "--folder", str(pages.folder), "--json").stdout
    )
    assert sum(int(line["rides_unproven"]) for line in settled["lines"]) > 0

    user_of(pages.folder, "11", OfficeRole.MONEY, password=PASSWORD)
    user_of(pages.folder, "12", OfficeRole.MONEY, password=PASSWORD)
    alarm = until("the alarm is there", lambda: alarm_of(pages))
    asked = acted(pages, "11", do="acknowledge", subject=alarm, comment="looked at")
    assert asked.status_code == 200, asked.text
    number = re.search(r"name=subject value='(\d+)'", asked.text.split("reject")[1])
    assert number is not None
    assert acted(pages, "11", do="confirm", subject=number[1]).status_code == 409
    assert acted(pages, "12", do="confirm", subject=number[1]).status_code == 200
    query = "SELECT acknowledged_by, comment FROM alarm WHERE kind = 'proof_differs'"
    until("the database has it", lambda: pages.town.ask(query) == [("11, 12", "looked at")])
    assert alarm_of(pages) == ""


def test_terminals_are_revoked_at_the_page_for_every_gateway(pages: FleetPages, tmp_path: Path) -> None:
    user_of(pages.folder, "13", OfficeRole.OPERATE, password=PASSWORD)
    gateway = tmp_path / "another"
    gateway.mkdir()
    elsewhere = Enrolment(gateway, files=SharedRecords(gateway, pages.town.dsn))
    elsewhere.enrol(9, pages.chain.key.public_key())
    until("the record is followed", lambda: 9 in Enrolment(pages.folder / "terminals").numbers())
    said = acted(pages, "13", do="revoke", subject="9")
    assert said.status_code == 200, said.text
    (content,) = pages.town.ask("SELECT content FROM enrolment_file WHERE name = '9.json'")[0]
    (gateway / "9.json").write_bytes(bytes(content))
    assert elsewhere.state_of(9) == "revoked"
    assert pages.get("/v1/health").status_code == 404, "it takes no batches"


def test_an_office_of_another_fleet_does_not_start(town: Town, tmp_path: Path) -> None:
    options = ("--folder", str(tmp_path / "none"), "--port", "0", "--database", town.dsn)
    done = terminal("office", *options)
    assert (done.returncode != 0, "Copy collector.key" in done.stderr) == (True, True), done.stderr


def alarm_of(pages: FleetPages) -> str:
    said = collector("alarms", "--folder", str(pages.folder), "--json").stdout
    alarms: list[dict[str, Any]] = json.loads(said)["alarms"]
    return next((str(one["id"]) for one in alarms if one["kind"] == "proof_differs"), "")


def acted(pages: FleetPages, ref: str, **form: str) -> httpx.Response:
    """What a user does at the page."""
    with httpx.Client(base_url=pages.url, timeout=60, follow_redirects=True) as browser:
        signed = browser.post("/operator/sign-in", data={"ref": ref, "password": PASSWORD})
        proof = re.search(r"name=proof value='([^']+)'", signed.text)
        assert proof is not None, signed.text
        return browser.post("/operator/do", data={"proof": proof[1], **form})
