"""TLS between real processes: a terminal enrols over it, uploads with its own certificate, renews and is revoked."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from terminal.app.station import open_journal
from terminal.app.uplink import Uplink, background_sync
from terminal.clock import SystemClock
from terminal.collector.enrolment import Enrolment
from terminal.collector.tls import NO_TERMINAL, whose
from terminal.collector.users import OfficeRole
from terminal.journal.records import Started
from terminal.sync.address import TlsFiles
from terminal.sync.credentials import TerminalKeys, keep_keys, load_keys, make_keys
from terminal.sync.enrolment import renewal_request
from terminal.sync.identity import read_public_key
from terminal.sync.lineage import read_lineage
from terminal.sync.link import HttpLink
from terminal.sync.renewal import CollectorAsk, OwnIdentity, renew_now
from terminal.sync.wire import RefusalCode
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.cli.inside import Run, runner
from tests.terminal.collector.office import user_of
from tests.terminal.journal.samples import day
from tests.terminal.sync.test_tls import Authority

NUMBERED = ("--number", 7)


@contextmanager
def collector(folder: Path, authority: Authority) -> Iterator[str]:
    """A collector that serves HTTPS; yields its address."""
    certificate, key = authority.certify("collector")
    command = [sys.executable, "-m", "terminal.cli.app", "collector", "--json", "--port", "0"]
    command += [f"--folder={folder}", f"--tls-cert={certificate}", f"--tls-key={key}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def operator(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "operator")


@pytest.fixture
def run(tmp_path, monkeypatch, capfd) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


def enrolled(run: Run, tmp_path: Path, url: str, operator: Authority) -> tuple[object, ...]:
    """Terminal 7 through the product's own commands; the options that lead to its collector."""
    made = json.loads(run("collector", "enrol", 7, "--folder", "collector", "--json").stdout)
    (tmp_path / "code").write_bytes(
        b"\xef\xbb\xbf" + made["code"].encode() + b"\r\n"
    )  # as a Windows editor leaves it
    where = ("--state", "state", "--collector", url, "--tls-ca", operator.path)
    done = run("enrol", *NUMBERED, *where, "--code-file", "code")
    assert done.returncode == 0, done.stderr
    assert f"terminal 7 is enrolled at {url}, its certificate is valid until" in done.stdout
    return where


def test_from_one_enrolment_to_uploads_renewal_and_revocation(run, tmp_path, operator):
    with open_journal(tmp_path / "state", 7) as journal:
        for record in day(3):
            journal.append(record)
    with collector(tmp_path / "collector", operator) as url:
        where = enrolled(run, tmp_path, url, operator)
        sent = run("sync", *NUMBERED, *where, "--json")
        assert json.loads(sent.stdout)["unsent"] == 0, sent.stderr
        first = json.loads(run("identity", "show", "--state", "state", "--json").stdout)
        assert first["due"] is False
        renewed = run("identity", "renew", *NUMBERED, *where)
        assert renewed.returncode == 0, renewed.stderr
        second = json.loads(run("identity", "show", "--state", "state", "--json").stdout)
        assert second["key"] != first["key"]
        record = Enrolment(tmp_path / "collector/terminals").record_of(7)
        assert [keys.signing for keys in record.live] == [first["key"], second["key"]]
        with open_journal(tmp_path / "state", 7) as journal:
            journal.append(day(1)[0])
        assert run("sync", *NUMBERED, *where).returncode == 0
        record = Enrolment(tmp_path / "collector/terminals").record_of(7)
        assert [keys.signing for keys in record.live] == [second["key"]]
        assert [keys.signing for keys in record.former] == [first["key"]]
        assert run("journal", "verify", "--state", "state").returncode == 0, "rows of both keys"
        assert run("collector", "revoke", 7, "--folder", "collector").returncode == 0
        with open_journal(tmp_path / "state", 7) as journal:
            journal.append(day(1)[0])
        refused = run("sync", *NUMBERED, *where)
        assert (refused.returncode, "unknown_terminal" in refused.stderr) == (40, True)
        again = run("identity", "renew", *NUMBERED, *where)
        assert (again.returncode, "Not enrolled, or revoked" in again.stderr) == (40, True)
        where = enrolled(run, tmp_path, url, operator)
        assert run("sync", *NUMBERED, *where).returncode == 0


def until_it_follows(folder: Path, url: str, tls_ca: Path) -> None:
    """`terminal run`, until it says that the collector, which refused it, takes its rows again."""
    tables = {"shift": {"operator": "17"}, "collector": {"url": url, "tls_ca": str(tls_ca)}}
    config = config_file(folder, **tables)
    words = ("run", "--profile", "bus", "--reader", "sim:", *NUMBERED, "--state", "state")
    process = subprocess.Popen(
        command((*words, "--config", config)),
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    given_up = threading.Timer(60, process.kill)  # its lines end then
    given_up.start()
    try:
        said = ""
        for line in process.stderr:
            said += line
            if "sync" in line and "works again" in line:
                break
        assert "works again" in said, said
    finally:
        given_up.cancel()
        process.terminate()
        process.communicate()
    assert process.returncode == 0
    in_force = Enrolment(folder / "collector/terminals").record_of(7).in_force
    assert in_force is not None
    assert in_force.signing == load_keys(folder / "state/terminal.key").name.hex()


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_collector_from_an_older_backup_follows_to_the_present_keys(run, tmp_path, operator, by_itself):
    """The backup is two renewals old: the running terminal shows how its keys follow, or `identity renew` does."""
    with open_journal(tmp_path / "state", 7) as journal:
        journal.append(day(1)[0])
    known = tmp_path / "collector/terminals/7.json"
    with collector(tmp_path / "collector", operator) as url:
        where = enrolled(run, tmp_path, url, operator)
        assert run("sync", *NUMBERED, *where).returncode == 0
        backup = known.read_bytes()
        for _ in range(2):
            assert run("identity", "renew", *NUMBERED, *where).returncode == 0
            with open_journal(tmp_path / "state", 7) as journal:
                journal.append(day(1)[0])
            assert run("sync", *NUMBERED, *where).returncode == 0
    known.write_bytes(backup)
    present = load_keys(tmp_path / "state/terminal.key")
    with collector(tmp_path / "collector", operator) as url:
        where = (*where[:3], url, *where[4:])
        with open_journal(tmp_path / "state", 7) as journal:
            journal.append(day(1)[0])
        refused = run("sync", *NUMBERED, *where)
        assert refused.returncode == 40, "it does not know these keys"
        if by_itself:
            until_it_follows(tmp_path, url, operator.path)
            assert load_keys(tmp_path / "state/terminal.key").name == present.name
        else:
            assert run("identity", "renew", *NUMBERED, *where).returncode == 0
        sent = run("sync", *NUMBERED, *where, "--json")
        assert json.loads(sent.stdout)["unsent"] == 0, sent.stderr
        record = Enrolment(tmp_path / "collector/terminals").record_of(7)
        assert present.name.hex() in {keys.signing for keys in record.ever}
    # A renewal that the key before did not approve is followed nowhere.
    first, *_ = read_lineage(tmp_path / "state")
    stranger = make_keys()
    forged = msgspec.structs.replace(renewal_request(7, stranger, stranger), known=first.known)
    found = Enrolment(tmp_path / "collector/terminals").renew(forged, 1)
    assert found is RefusalCode.KEYS_UNPROVEN


def test_only_the_terminals_own_certificate_opens_the_way(run, tmp_path, operator):
    with open_journal(tmp_path / "state", 7) as journal:
        journal.append(Started(1, "x"))
    with collector(tmp_path / "collector", operator) as url:
        where = enrolled(run, tmp_path, url, operator)
        own = tmp_path / "state/terminal.key"
        keys = load_keys(own)
        keep_keys(own, keys.certified(""))
        refused = run("sync", *NUMBERED, *where)
        assert (refused.returncode, "own client certificate" in refused.stderr) == (40, True)
        other = operator.own("terminal-7")
        with pytest.raises(Exception, match=r"does not accept|broke off"):
            HttpLink(url, TlsFiles(operator.path, other)).upload(b"x")
        keep_keys(own, keys)
        assert run("sync", *NUMBERED, *where).returncode == 0
        with httpx.Client(
            verify=ssl.create_default_context(cafile=str(operator.path)), trust_env=False
        ) as client:
            assert client.get(f"{url}/operator/v1/status").status_code == 200
            assert client.get(f"{url}/v1/health").status_code == 200
            token = user_of(tmp_path / "collector", "17", OfficeRole.OPERATE)
            as_operator = {"authorization": f"Bearer {token}"}
            counts = client.get(f"{url}/operator/v1/strangers", headers=as_operator).json()
    found = {(each["kind"], each["terminal"], each["detail"]): each["times"] for each in counts}
    assert found == {("wrong_certificate", 7, "other_certificate owner=0"): 1}


def test_an_ended_certificate_has_no_share_of_its_terminals_connections(run, tmp_path, operator):
    """A copy of the keys from before a renewal is a stranger's afterwards, and displaces nothing of the terminal."""
    with collector(tmp_path / "collector", operator) as url:
        where = enrolled(run, tmp_path, url, operator)
        copied = tmp_path / "copied.key"
        copied.write_bytes((tmp_path / "state/terminal.key").read_bytes())
        copied.chmod(0o600)
        token = user_of(tmp_path / "collector", "17", OfficeRole.OPERATE)
        trusting = ssl.create_default_context(cafile=str(operator.path))
        headers = {"authorization": f"Bearer {token}"}

        def known_with(own: Path) -> int:
            host, _, port = url.removeprefix("https://").partition(":")
            shown = ssl.create_default_context(cafile=str(operator.path))
            shown.load_cert_chain(own)
            with (
                httpx.Client(verify=trusting, trust_env=False, headers=headers) as client,
                socket.create_connection((host, int(port))) as bare,
                shown.wrap_socket(bare, server_hostname=host) as one,
            ):
                one.sendall(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n")
                assert one.recv(65_536).startswith(b"HTTP/1.1 200")
                client.get(f"{url}/v1/health")
                lines = client.get(f"{url}/metrics").text.splitlines()
                (found,) = (line for line in lines if 'connections{standing="known"}' in line)
                return int(float(found.rpartition(" ")[2]))

        before = known_with(copied)
        assert run("identity", "renew", *NUMBERED, *where).returncode == 0
        assert run("sync", *NUMBERED, *where).returncode == 0
        assert known_with(tmp_path / "state/terminal.key") == before
        assert known_with(copied) == before - 1


def test_a_damaged_certificate_is_renewed(run, tmp_path, operator):
    """The keys beside it count all the same."""
    with collector(tmp_path / "collector", operator) as url:
        enrolled(run, tmp_path, url, operator)
        path = tmp_path / "state/terminal.key"
        whole = path.read_bytes()
        for place, bits in ((29, 4), (130, 0x80)):
            content = bytearray(whole)
            content[content.index(b"-----BEGIN CERTIFICATE") + place] ^= bits
            path.write_bytes(content)
            found = run("identity", "show", "--state", "state")
            assert (found.returncode, "certificate damaged" in found.stdout) == (0, True), found.stderr
            assert "it is time to renew" in found.stdout
        with open_journal(tmp_path / "state", 7) as journal:
            journal.append(day(1)[0])
            uplink = Uplink(tmp_path / "state", url, TlsFiles(operator.path))
            arrived = threading.Event()
            with background_sync(
                journal,
                uplink,
                SystemClock(),
                lambda report: arrived.set() if report.problem is None else None,
                on_time=lambda _: None,
                on_withdrawn=lambda _: None,
                on_identity=lambda _: None,
            ) as sync:
                sync.start()
                assert arrived.wait(30), "the running terminal gets a new one first of all"
        assert "valid until" in run("identity", "show", "--state", "state").stdout


def test_a_damaged_record_of_a_terminal_is_named_and_no_trace_back(run, tmp_path, operator):
    with collector(tmp_path / "collector", operator) as url:
        where = enrolled(run, tmp_path, url, operator)
        record = tmp_path / "collector/terminals/7.json"
        whole = record.read_text()
        for good, bad in (('"signing":"', '"signing":"x'), ("BEGIN CERT", "BEGIN-CERT")):
            record.write_text(whole.replace(good, bad))
            refused = run("sync", *NUMBERED, *where)
            assert (refused.returncode, "Have the operator enrol terminal 7" in refused.stderr) == (
                40,
                True,
            ), bad
        record.write_text(whole)
        assert run("sync", *NUMBERED, *where).returncode == 0


class Killed(Exception):
    """The power goes."""


def test_the_power_goes_at_any_step_of_a_renewal(run, tmp_path, operator, monkeypatch):
    """Whatever was done by then, the next attempt ends it, and uploads go on before and after."""
    with collector(tmp_path / "collector", operator) as url:
        where = enrolled(run, tmp_path, url, operator)
        collector_key = read_public_key(tmp_path / "state/collector.pub")
        path = tmp_path / "state/terminal.key"

        def dies(*_: object, **__: object) -> None:
            raise Killed

        def renewed_with(patch: str) -> TerminalKeys:
            ask = CollectorAsk(url, operator.path, 7, collector_key)
            with monkeypatch.context() as broken:
                broken.setattr(patch, dies)
                with pytest.raises(Killed):
                    renew_now(OwnIdentity(path), ask)
            with open_journal(tmp_path / "state", 7) as journal:
                journal.append(day(1)[0])
            sent = run("sync", *NUMBERED, *where)
            assert sent.returncode == 0, (patch, sent.stderr)
            return load_keys(path)

        before = load_keys(path)
        steps = (
            "terminal.sync.link.HttpLink.exchange",  # not asked yet
            "terminal.sync.enrolment._certified",  # asked, the answer lost
            "terminal.sync.renewal.keep_keys",  # not adopted yet
        )
        assert {renewed_with(step).name for step in steps} == {before.name}
        identity = OwnIdentity(path)
        draft = identity.asked_for()
        keep_keys(path, CollectorAsk(url, operator.path, 7, collector_key)(draft, identity.keys))
        assert OwnIdentity(path).keys.name == draft.name != before.name, "adopted, the draft still there"
        assert not (tmp_path / "state/renewal.key").exists()
        assert run("identity", "renew", *NUMBERED, *where).returncode == 0
        assert run("sync", *NUMBERED, *where).returncode == 0
        assert run("journal", "verify", "--state", "state").returncode == 0


def test_whose_certificate_it_is(operator):
    def named(name: str) -> int:
        pem = operator.certify(name)[0].read_bytes()
        return whose(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))

    names = ["terminal-7", "terminal-1048575", "terminal-1048576", "terminal-07"]
    names += ["xterminal-7", "terminal-7.example", "7"]
    assert [named(name) for name in names] == [7, 1_048_575, *[NO_TERMINAL] * 5]
    assert whose(b"no certificate") == NO_TERMINAL


def test_files_that_are_no_certificates(tmp_path):
    bad = tmp_path / "bad.pem"
    bad.touch(0o600)
    bad.write_text("nothing")
    command = [sys.executable, "-m", "terminal.cli.app", "collector", "--port", "0", f"--folder={tmp_path}"]
    done = subprocess.run(
        [*command, f"--tls-cert={bad}", f"--tls-key={bad}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "certificate cannot be used" in done.stderr) == (40, True)
    done = subprocess.run([*command, f"--tls-key={bad}"], capture_output=True, text=True, check=False)
    assert (done.returncode, "needs certificate and key" in done.stderr) == (40, True)
