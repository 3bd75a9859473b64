"""Gateways enrol, certify and renew as an embedded collector does: the product's own processes, over TLS, with a real
PostgreSQL and NATS behind two gateways that share what they know of terminals.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from terminal.app.station import open_journal
from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet.database import prepare
from terminal.collector.users import OfficeRole
from terminal.errors import OfficeRefused, StaffError
from terminal.files import replace_file
from terminal.sync.credentials import keep_keys, load_keys
from tests.config_file import config_file
from tests.terminal.cli.conftest import command
from tests.terminal.cli.inside import Run, Told, runner
from tests.terminal.collector.office import user_of
from tests.terminal.fleet.servers import Postgres, until
from tests.terminal.fleet.town import Town
from tests.terminal.journal.samples import day
from tests.terminal.sync.test_tls import Authority
from tests.terminal.updates.bundle.repository import Publisher
from tests.terminal.updates.published import region

NUMBERED = ("--number", 7)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "operator")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


@dataclass
class Fleet:
    """Two gateways over TLS, and terminal 7 with the product's own commands."""

    town: Town
    operator: Authority
    run: Run

    def gateway(self, name: str, *more: str) -> str:
        """The address of a gateway that is started in a folder of its own."""
        certificate, key = self.operator.certify(name)
        files = (f"--tls-cert={certificate}", f"--tls-key={key}")
        folder = ("--folder", str(self.town.folder / name))
        return str(self.town.start("gateway", *folder, "--port", "0", *files, *more)[1]["url"])

    def second(self) -> str:
        """Another gateway, with what the document says is copied."""
        first, second = self.town.folder / "gateway", self.town.folder / "second"
        second.mkdir()
        for name in ("collector.key", "ca.key", "ca.crt"):
            (second / name).write_bytes((first / name).read_bytes())
            (second / name).chmod(0o600)
        return self.gateway("second")

    def at(self, url: str) -> tuple[object, ...]:
        return ("--state", "state", "--collector", url, "--tls-ca", self.operator.path)

    def operate(self, *words: object) -> Told:
        """A command of the operator, on a machine that is no gateway."""
        return self.run("fleet", *words, "--folder", "office", "--database", self.town.dsn)

    def enrol(self, url: str, *more: object) -> Told:
        """Terminal 7 at a gateway, with a code from the operator."""
        made = self.operate("enrol", 7, "--json", *more)
        assert made.returncode == 0, made.stderr
        code = self.town.folder / "code"
        code.write_text(json.loads(made.stdout)["code"])
        return self.run("enrol", *NUMBERED, *self.at(url), "--code-file", code)

    def tap(self, url: str) -> Told:
        """One more row, and an upload."""
        with open_journal(self.town.folder / "state", 7) as journal:
            journal.append(day(1)[0])
        return self.run("sync", *NUMBERED, *self.at(url), "--json")

    def followed(self, folder: str, signing: str) -> None:
        """Wait until a gateway has a key in force."""

        def has() -> bool:
            found = Enrolment(self.town.folder / folder / "terminals").record_of(7).in_force
            return found is not None and found.signing == signing

        until(f"{folder} follows", has)

    def key(self) -> str:
        return load_keys(self.town.folder / "state/terminal.key").name.hex()


@pytest.fixture
def fleet(town: Town, operator: Authority, run: Run) -> Fleet:
    return Fleet(town, operator, run)


def test_from_one_code_to_uploads_renewal_and_revocation_at_every_gateway(fleet: Fleet) -> None:
    first, second = fleet.gateway("gateway"), fleet.second()
    enrolled = fleet.enrol(first)
    assert f"terminal 7 is enrolled at {first}, its certificate is valid until" in enrolled.stdout, (
        enrolled.stderr
    )
    again = fleet.run("enrol", *NUMBERED, *fleet.at(second), "--code-file", "code")
    assert (again.returncode, "was good once" in again.stderr) == (40, True), "a code is spent everywhere"
    enrolled_with = fleet.key()
    fleet.followed("second", enrolled_with)
    for url in (first, second):
        sent = fleet.tap(url)
        assert json.loads(sent.stdout)["unsent"] == 0, sent.stderr
    renewed = fleet.run("identity", "renew", *NUMBERED, *fleet.at(second))
    assert renewed.returncode == 0, renewed.stderr
    assert fleet.key() != enrolled_with
    until("the first has heard", lambda: _waits(fleet, "gateway", fleet.key()))
    assert fleet.tap(first).returncode == 0, "the first gateway takes what the second renewed"
    fleet.followed("second", fleet.key())
    tokens = {}
    for ref, role in (("17", OfficeRole.OPERATE), ("18", OfficeRole.MONEY)):
        tokens[ref] = fleet.town.folder / f"{ref}.token"
        replace_file(tokens[ref], user_of(fleet.town.folder / "office", ref, role).encode())
    unproven = fleet.operate("revoke", 7)
    assert "the command has to know whose it is" in unproven.stderr
    other = fleet.operate("revoke", 7, "--token-file", tokens["18"])
    assert (unproven.returncode, other.returncode) == (StaffError.exit_code, OfficeRefused.exit_code)
    assert fleet.operate("revoke", 7, "--token-file", tokens["17"]).returncode == 0
    until("both have heard", lambda: all(_revoked(fleet, name) for name in ("gateway", "second")))
    for url in (first, second):
        refused = fleet.tap(url)
        assert (refused.returncode, "unknown_terminal" in refused.stderr) == (40, True)
    noted = fleet.town.ask("SELECT what, by FROM operation ORDER BY id")
    assert noted == [
        ("code_made", "machine"),
        ("enrolled_by_code", "terminal"),
        ("renewed", "terminal"),
        ("revoked", "17"),
    ]


def test_a_gateway_serves_signed_bundles_to_a_terminal_that_one_code_enrolled(fleet: Fleet) -> None:
    folder = fleet.town.folder
    publisher = Publisher(folder / "bundles")
    publisher.put("tariff", "city", {"region.toml": region(7, fare_minor=3100)})
    publisher.publish()
    bundles = ("--bundles", str(publisher.folder))
    url = fleet.gateway("gateway", *bundles)
    assert fleet.enrol(url, *bundles).returncode == 0
    file = config_file(
        folder,
        terminal={"number": 7, "profile": "bus", "state": folder / "state"},
        collector={"url": url, "tls_ca": fleet.operator.path},
        reader={"name": "sim:adult_purse", "taps": 1},
        shift={"operator": "17", "route": 15},
    )
    ended = subprocess.run(
        command(("run", "--config", file, "--json")), cwd=folder, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[0])["charge_minor"] == 3100


def test_only_the_terminals_own_certificate_opens_a_gateway(fleet: Fleet) -> None:
    url = fleet.gateway("gateway")
    assert fleet.enrol(url).returncode == 0
    own = fleet.town.folder / "state/terminal.key"
    keys = load_keys(own)
    keep_keys(own, keys.certified(""))
    refused = fleet.tap(url)
    assert (refused.returncode, "own client certificate" in refused.stderr) == (40, True)
    keep_keys(own, keys)
    assert fleet.tap(url).returncode == 0


def test_a_terminal_goes_on_with_new_hardware_at_a_gateway(fleet: Fleet) -> None:
    """Backup, another folder, a new code, restore: what is declared lost is an alarm, and uploads go on."""
    url, keys = fleet.gateway("gateway"), ("--keys", "laboratory")
    assert fleet.enrol(url).returncode == 0
    assert fleet.tap(url).returncode == 0
    copy = fleet.town.folder / "70007.backup"
    made = fleet.run("backup", copy, "--state", "state", *keys)
    assert made.returncode == 0, made.stderr
    fleet.tap(url)
    (fleet.town.folder / "state").rename(fleet.town.folder / "old")
    assert fleet.enrol(url).returncode == 0
    restored = fleet.run("restore", copy, *NUMBERED, *fleet.at(url), *keys, "--json")
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["held_through"] == 2, "it asked the gateway"
    assert fleet.tap(url).returncode == 0
    (fleet.town.folder / "state").rename(fleet.town.folder / "new")
    (fleet.town.folder / "old").rename(fleet.town.folder / "state")
    locked_out = fleet.tap(url)
    assert locked_out.returncode == 40, "the old hardware"


def test_without_the_database_uploads_go_on_and_enrolments_wait(
    fleet: Fleet, lone_postgres: Postgres
) -> None:
    fleet.town.dsn = lone_postgres.new_database()
    prepare(fleet.town.dsn)
    url = fleet.gateway("gateway")
    assert fleet.enrol(url).returncode == 0
    assert fleet.tap(url).returncode == 0
    assert fleet.run("identity", "renew", *NUMBERED, *fleet.at(url)).returncode == 0
    lone_postgres.kill()
    assert fleet.tap(url).returncode == 0, "the stream knows this terminal, and the folder its keys"
    assert _waits(fleet, "gateway", fleet.key()), "what is new comes into force when the database knows"
    waits = fleet.run("identity", "renew", *NUMBERED, *fleet.at(url))
    assert (waits.returncode, "Traceback" in waits.stderr) == (40, False)
    made = fleet.operate("enrol", 8)
    assert (made.returncode, made.stderr.count("\n"), "PostgreSQL" in made.stderr) == (40, 1, True)
    lone_postgres.start()
    assert fleet.tap(url).returncode == 0
    fleet.followed("gateway", fleet.key())
    assert fleet.run("identity", "renew", *NUMBERED, *fleet.at(url)).returncode == 0


def test_a_gateway_with_other_keys_is_refused_and_one_with_a_forged_name_changes_nothing(
    fleet: Fleet, tmp_path: Path
) -> None:
    """What is not the fleet's does not serve it; a name that leads elsewhere is no record."""
    url = fleet.gateway("gateway")
    assert fleet.enrol(url).returncode == 0
    where = ("--nats", *fleet.town.stream.servers, "--stream", fleet.town.stream.name)
    other = fleet.run(
        "fleet", "gateway", *where, "--database", fleet.town.dsn, "--folder", "other", "--port", "0"
    )
    assert (other.returncode, "Copy collector.key, ca.key and ca.crt" in other.stderr) == (40, True)
    before = load_keys(tmp_path / "state/terminal.key").name.hex()
    fleet.town.tell("INSERT INTO enrolment_file VALUES ('../7.json', 'x', 90), ('8.json', 'x', 91)")
    fleet.town.tell("NOTIFY resident_enrolment")
    until("it follows", (tmp_path / "gateway/terminals/8.json").exists)
    assert not (tmp_path / "gateway/7.json").exists()
    assert Enrolment(tmp_path / "gateway/terminals").record_of(7).live[0].signing == before
    assert fleet.tap(url).returncode == 0


@pytest.fixture
def lone_postgres() -> Iterator[Postgres]:
    """One that may be killed."""
    server = Postgres()
    server.start()
    yield server
    server.remove()


def _waits(fleet: Fleet, folder: str, signing: str) -> bool:
    waiting = Enrolment(fleet.town.folder / folder / "terminals").record_of(7).waiting
    return waiting is not None and waiting.signing == signing


def _revoked(fleet: Fleet, folder: str) -> bool:
    return Enrolment(fleet.town.folder / folder / "terminals").is_revoked(7)
