"""Client certificates, with a CA made here and real TLS on loopback: a batch needs its own terminal's."""

from __future__ import annotations

import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from terminal.collector.enrolment import Enrolment
from terminal.collector.tls import NO_TERMINAL, whose
from terminal.journal.records import Started
from terminal.sync.wire import BATCHES_PATH
from tests.terminal.collector.office import HandClock, Terminal
from tests.terminal.journal.samples import INTENT

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


class Authority:
    """A CA in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.file = folder / f"{name}.pem"
        basic = x509.BasicConstraints(ca=True, path_length=0)
        signing = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = _builder(self.name, self.name, self.key)
        builder = builder.add_extension(basic, critical=True).add_extension(signing, critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.file.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key files for a common name."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = _builder(_name(name), self.name, key).add_extension(names, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        files = self.folder / f"{self.file.stem}-{name}.pem", self.folder / f"{self.file.stem}-{name}.key"
        files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)  # noqa: TID251 certificates are checked by the real clock
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), "operator")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("collector")
    Enrolment(made / "terminals").enrol(7, KEY.public_key())
    return made


@pytest.fixture(scope="module")
def url(folder, authority):
    certificate, key = authority.issue("collector")
    command = [sys.executable, "-m", "terminal.cli.app", "collector", "--json", "--port", "0"]
    command += [f"--folder={folder}", f"--tls-cert={certificate}", f"--tls-key={key}"]
    command += [f"--tls-client-ca={authority.file}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    line = process.stdout.readline()
    yield httpx.Response(200, content=line).json()["url"]
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()


def context(authority: Authority, files: tuple[Path, Path] | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(authority.file))
    if files:
        made.load_cert_chain(*map(str, files))
    return made


def post(url: str, authority: Authority, files: tuple[Path, Path] | None) -> httpx.Response:
    seven = Terminal(7, HandClock())
    seven.key = KEY
    seven.write(Started(INTENT.at_ms, "x"))
    with httpx.Client(verify=context(authority, files), trust_env=False) as client:
        return client.post(url + BATCHES_PATH, content=seven.batch(1, 1))


def test_only_the_terminals_own_certificate_opens_the_way(url, authority, folder):
    assert url.startswith("https://")
    for files in (None, authority.issue("terminal-8"), authority.issue("somebody")):
        refused = post(url, authority, files)
        assert (refused.status_code, refused.json()["error"]) == (403, "unknown_terminal")
        assert "own client certificate" in refused.json()["advice"]
    assert post(url, authority, authority.issue("terminal-7")).status_code == 200
    operator = {"authorization": f"Bearer {(folder / 'operator.token').read_text().strip()}"}
    with httpx.Client(verify=context(authority, None), trust_env=False) as client:
        counts = client.get(f"{url}/operator/v1/strangers", headers=operator).json()
    found = {(each["kind"], each["terminal"], each["detail"]): each["times"] for each in counts}
    owners = (("other_certificate owner=0", 2), ("other_certificate owner=8", 1))
    assert found == {("wrong_certificate", 7, detail): times for detail, times in owners}


def test_a_certificate_of_another_authority_gets_no_connection(url, authority, tmp_path):
    stranger = Authority(tmp_path, "stranger").issue("terminal-7")
    with pytest.raises(httpx.TransportError):
        post(url, authority, stranger)


def test_operators_come_without_a_certificate(url, authority):
    with httpx.Client(verify=context(authority, None), trust_env=False) as client:
        assert client.get(f"{url}/operator/v1/status").status_code == 200
        assert client.get(f"{url}/v1/health").status_code == 200


def test_whose_certificate_it_is(authority):
    def named(name: str) -> int:
        pem = authority.issue(name)[0].read_bytes()
        return whose(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))

    names = ["terminal-7", "terminal-1048575", "terminal-1048576", "terminal-07"]
    names += ["xterminal-7", "terminal-7.example", "7"]
    assert [named(name) for name in names] == [
        7,
        1_048_575,
        NO_TERMINAL,
        NO_TERMINAL,
        NO_TERMINAL,
        NO_TERMINAL,
        NO_TERMINAL,
    ]
    assert whose(b"no certificate") == NO_TERMINAL


def test_files_that_are_no_certificates(tmp_path):
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    command = [sys.executable, "-m", "terminal.cli.app", "collector", "--port", "0", f"--folder={tmp_path}"]
    done = subprocess.run(
        [*command, f"--tls-cert={bad}", f"--tls-key={bad}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "certificate cannot be used" in done.stderr) == (40, True)
    done = subprocess.run([*command, f"--tls-key={bad}"], capture_output=True, text=True, check=False)
    assert (done.returncode, "needs certificate and key" in done.stderr) == (40, True)
