"""A real wire: the collector of a town behind HTTPS on loopback, in a thread, asked by the terminals' own link."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn
from anyio import to_thread
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.collector.gate import respond
from terminal.collector.intake import Reply
from terminal.lab.stress.faults.parts import BatchSink
from terminal.sync.address import TlsFiles
from terminal.sync.link import HttpLink
from terminal.sync.wire import BATCH_TYPE, BATCHES_PATH

HOST: Final = "127.0.0.1"
START_S: Final = 20.0
VALID_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
VALID_FOR: Final = timedelta(days=36_500)


class TlsCollector:
    """Takes batches over HTTPS for the collector that `sink` names at that moment."""

    def __init__(self, folder: Path, sink: Callable[[], BatchSink]) -> None:
        """Serve from a free port on, with a certificate made for it in `folder`."""
        self._sink = sink
        certificate, key = _certificate(folder)
        self._listening = socket.create_server((HOST, 0))
        app = Starlette(routes=[Route(BATCHES_PATH, self._batches, methods=["POST"])])
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", ssl_certfile=str(certificate), ssl_keyfile=str(key)
        )
        self._server = uvicorn.Server(config)
        serve = partial(self._server.run, sockets=[self._listening])
        self._thread = threading.Thread(target=serve, name="storm collector", daemon=True)
        self._thread.start()
        url = f"https://{HOST}:{self._listening.getsockname()[1]}"
        self._link = HttpLink(url, TlsFiles(ca=certificate))

    def take(self, data: bytes) -> Reply:
        """One batch over the wire. Raises `CollectorError`."""
        answer = self._link.upload(data)
        return Reply(answer.status, answer.body, BATCH_TYPE, int(answer.retry_after_s or 0))

    def close(self) -> None:
        self._link.close()
        self._server.should_exit = True
        self._thread.join(START_S)
        self._listening.close()

    async def _batches(self, request: Request) -> Response:
        data = await request.body()
        return respond(await to_thread.run_sync(self._sink().take, data))


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_FROM + VALID_FOR)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "wire.pem", folder / "wire.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, private
