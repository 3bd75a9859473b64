"""A terminal's identity through the years, with moved clocks: the product's own processes over TLS, and a preloaded
library that moves what the operating system says the time is.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from terminal.app.station import open_journal
from terminal.collector.certify import LIFE
from terminal.collector.identities import RENEWABLE_MS
from tests.config_file import config_file
from tests.flows.test_moved_clock import COMPILER, Machine
from tests.terminal.cli.conftest import command
from tests.terminal.journal.samples import day
from tests.terminal.sync.test_on_the_way import shown
from tests.terminal.sync.test_tls import Authority

NUMBERED = ("--number", 7, "--state", "state")
DAY = timedelta(days=1)
AWAY = timedelta(weeks=3)

pytestmark = pytest.mark.skipif(
    COMPILER is None, reason="no C compiler to build the library that moves the clock"
)


class Fleet(Machine):
    """A collector over TLS and terminal 7, whose clocks are moved together."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.authority = Authority(folder, "operator")
        self.where: tuple[object, ...] = ()

    @contextmanager
    def collecting(self) -> Iterator[None]:
        certificate, key = self.authority.certify("collector")
        words = ("collector", "--folder", "collector", "--json", "--port", 0, "--any-clock", "--no-recompute")
        process = subprocess.Popen(
            command((*words, "--tls-cert", certificate, "--tls-key", key)),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            url = json.loads(process.stdout.readline())["url"]
            self.where = ("--collector", url, "--tls-ca", self.authority.path)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=60)

    def enrol(self) -> None:
        made = self.json("collector", "enrol", 7, "--folder", "collector")
        (self.folder / "code").write_text(made["code"])
        done = self.run("enrol", *NUMBERED, *self.where, "--code-file", "code")
        assert done.returncode == 0, done.stderr

    def identity(self) -> dict[str, object]:
        found = self.json("identity", "show", "--state", "state")
        assert isinstance(found, dict)
        return found

    def sends_a_row(self) -> subprocess.CompletedProcess[str]:
        with open_journal(self.folder / "state", 7) as journal:
            journal.append(day(1)[0])
        return self.run("sync", *NUMBERED, *self.where)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    with made.collecting():
        made.enrol()
        yield made


def test_three_weeks_away_at_the_worst_moment(fleet: Fleet) -> None:
    """Switched off the moment before it would have renewed; back, it uploads, and renews while it runs."""
    fleet.move(LIFE * 2 / 3 - DAY)
    assert fleet.identity()["due"] is False
    fleet.move(LIFE * 2 / 3 - DAY + AWAY)
    first = fleet.identity()
    assert first["due"] is True
    assert fleet.sends_a_row().returncode == 0, "the certificate still counts"
    config = config_file(
        fleet.folder,
        shift={"operator": "17"},
        collector={"url": fleet.where[1], "tls_ca": str(fleet.authority.path)},
    )
    words = ("run", "--config", config, "--profile", "bus", "--reader", "sim:", *NUMBERED)
    process = subprocess.Popen(
        command(words), cwd=fleet.folder, env=fleet.environment, stdout=subprocess.DEVNULL
    )
    try:
        before = int(str(first["until_ms"]))
        shown(fleet.folder / "state", lambda status: (status.certificate_until_ms or 0) > before)
    finally:
        process.terminate()
        assert process.wait(60) == 0
    assert fleet.identity()["key"] != first["key"]
    assert fleet.sends_a_row().returncode == 0
    fleet.move(LIFE * 2 / 3 - DAY)
    assert fleet.sends_a_row().returncode == 0, "all clocks had been three weeks ahead when it renewed"


def test_a_certificate_that_has_ended_is_renewed_for_some_time_and_then_takes_a_code(fleet: Fleet) -> None:
    fleet.move(LIFE + DAY)
    ended = fleet.sends_a_row()
    assert ended.returncode == 40
    assert any(says in ended.stderr for says in ("does not accept this terminal's", "broke off")), (
        ended.stderr
    )
    assert fleet.run("identity", "renew", *NUMBERED, *fleet.where).returncode == 0
    assert fleet.sends_a_row().returncode == 0
    fleet.move(LIFE + DAY + LIFE + timedelta(milliseconds=RENEWABLE_MS) + DAY)
    late = fleet.run("identity", "renew", *NUMBERED, *fleet.where)
    assert (late.returncode, "renewal_too_late" in late.stderr) == (40, True), late.stderr
    fleet.enrol()
    assert fleet.sends_a_row().returncode == 0
    assert fleet.run("journal", "verify", "--state", "state").returncode == 0
