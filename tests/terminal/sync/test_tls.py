"""TLS both ways against a real server: who may speak with whom."""

from __future__ import annotations

import datetime
import ssl
import threading
import time
from contextlib import contextmanager
from ipaddress import ip_address

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from terminal.codes import SyncFault
from terminal.errors import CollectorError, KeyFileError
from terminal.sync.address import TlsFiles, parse_address
from terminal.sync.link import HttpLink
from terminal.sync.wire import BATCHES_PATH
from tests.terminal.journal.samples import day

BEGIN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """Certifies for the length of a test."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.path = folder / f"{name}.pem"
        builder = self._builder(self.name, self.key).add_extension(x509.BasicConstraints(True, None), True)
        self.path.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def own(self, name):
        """One file with a key and its certificate, as a terminal has it."""
        cert, key = self.certify(name)
        both = self.folder / f"{name}.both"
        both.write_bytes(key.read_bytes() + cert.read_bytes())
        return both

    def _builder(self, subject, key, begin=BEGIN, end=END):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )

    def certify(self, name, address="127.0.0.1", begin=BEGIN, end=END):
        """Paths of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        builder = self._builder(subject, key, begin, end).add_extension(names, False)
        cert, private = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        cert.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return cert, private


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("region"), "region")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@contextmanager
def collector_over_tls(intake, authority, *, clients=None, address="127.0.0.1"):
    cert, key = authority.certify("collector", address)

    async def batches(request):
        reply = intake.take(await request.body())
        return Response(reply.body, reply.status)

    config = uvicorn.Config(
        Starlette(routes=[Route(BATCHES_PATH, batches, methods=["POST"])]),
        port=0,
        log_level="critical",
        lifespan="off",
        ssl_certfile=cert,
        ssl_keyfile=key,
        ssl_ca_certs=str(clients.path) if clients else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if clients else ssl.CERT_NONE,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"https://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def sync(station, url, tls=None):
    link = HttpLink(url, tls)
    station.client._link = link
    report = station.client.sync_once()
    link.close()
    return report


def test_both_sides_show_who_they_are(station, collector, region):
    station.append(day(25))
    with collector_over_tls(collector.intake, region, clients=region) as url:
        report = sync(station, url, TlsFiles(region.path, region.own("terminal-7")))
    assert (report.problem, report.unsent) == (None, 0)
    assert collector.stored(7) == station.rows()


def test_a_terminal_without_certificate_or_with_a_strangers_is_turned_away(
    station, collector, region, stranger
):
    station.append(day(1))
    with collector_over_tls(collector.intake, region, clients=region) as url:
        for files in (TlsFiles(region.path), TlsFiles(region.path, stranger.own("terminal-7"))):
            report = sync(station, url, files)
            assert report.problem.fault in (SyncFault.OWN_CERTIFICATE, SyncFault.CUT)
            assert "Nothing is lost" in report.problem.advice
    assert collector.stored(7) == []


def test_a_strangers_collector_is_not_spoken_to(station, collector, region, stranger):
    station.append(day(1))
    for authority, address in ((stranger, "127.0.0.1"), (region, "127.0.0.2")):
        with collector_over_tls(collector.intake, authority, address=address) as url:
            report = sync(station, url, TlsFiles(region.path))
        assert "is not who it should be" in report.problem.what
    assert collector.stored(7) == []


def test_plain_http_at_a_tls_port_and_the_other_way_round(station, collector, region):
    station.append(day(1))
    with collector_over_tls(collector.intake, region) as url:
        assert sync(station, url.replace("https", "http")).problem is not None
    with pytest.raises(CollectorError, match="not secured"):
        HttpLink("http://127.0.0.1:1", TlsFiles(region.path))


def test_files_that_cannot_be_used(region, stranger, tmp_path):
    cert, key = region.certify("terminal-7")
    _, other = stranger.certify("terminal-8")
    (tmp_path / "text.pem").write_text("no certificate")
    (tmp_path / "mixed.pem").write_bytes(cert.read_bytes() + other.read_bytes())
    for files in (
        TlsFiles(tmp_path / "missing.pem"),
        TlsFiles(tmp_path / "text.pem"),
        TlsFiles(region.path, tmp_path / "mixed.pem"),
        TlsFiles(region.path, cert),
        TlsFiles(region.path, key),
    ):
        with pytest.raises(KeyFileError) as caught:
            HttpLink("https://127.0.0.1:1", files)
        assert caught.value.advice


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://10.0.0.5:8470", (False, "10.0.0.5", 8470, "")),
        ("https://collector.example", (True, "collector.example", 443, "")),
        ("http://collector/region/34/", (False, "collector", 80, "/region/34")),
        ("http://[::1]:8470", (False, "::1", 8470, "")),
    ],
)
def test_addresses(url, found):
    assert parse_address(url) == found


@pytest.mark.parametrize(
    "url",
    ["", "..", "collector", "ftp://c", "http://", "http://c:99999", "http://c:0", "http://c d", "http://u:p@c",
     "http://c?x=1", "http://c#x", "http://c/a b", "http://-c", "http://c\r\nx: y", "//c", "http://[::1"],
)  # fmt: skip
def test_what_is_no_address(url):
    with pytest.raises(CollectorError, match="no collector's address") as caught:
        parse_address(url)
    assert "http://10.0.0.5:8470" in caught.value.advice
