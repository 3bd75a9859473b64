"""TLS of what this package serves, and client certificates: which terminal one belongs to, and how the application gets
to see it.

The certificate of terminal 7 has the common name `terminal-7` and is signed by the collector's own authority
(`terminal.collector.certify`). uvicorn checks the signature but does not pass the certificate on, so the protocol below
does.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID
from uvicorn.protocols.http.h11_impl import H11Protocol

from cardproto.resident.limits import LARGEST_TERMINAL

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

NO_TERMINAL: Final = 0
_NAME: Final = re.compile(r"terminal-([1-9][0-9]{0,7})")
_CERTIFICATE: Final = "resident.client_certificate"


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files to serve HTTPS with. Clients may show a certificate signed by an authority in `clients`, or must where
    that is `required`.
    """

    certificate: Path
    key: Path
    clients: Path | None = None
    required: bool = False

    def asking(self, clients: Path) -> ServerTls:
        """The same, asking for certificates of that authority and doing without: operators have none, and who enrols
        has none yet.
        """
        return replace(self, clients=clients)

    @property
    def of_uvicorn(self) -> dict[str, Any]:
        """The same as uvicorn names it."""
        asks = ssl.CERT_REQUIRED if self.required else ssl.CERT_OPTIONAL
        return {
            "ssl_certfile": self.certificate,
            "ssl_keyfile": self.key,
            "ssl_ca_certs": None if self.clients is None else str(self.clients),
            "ssl_cert_reqs": ssl.CERT_NONE if self.clients is None else asks,
        }


class CertificateProtocol(H11Protocol):
    """HTTP/1.1 that shows the application the sender's certificate (DER)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        tls: Any = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self.app = _with_certificate(self.app, certificate)


def _with_certificate(app: ASGIApp, certificate: bytes | None) -> ASGIApp:
    async def shown(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, _CERTIFICATE: certificate}, receive, send)

    return shown


def certificate_of(scope: Scope) -> bytes | None:
    """The sender's certificate (DER), which TLS has checked; None without one."""
    certificate: bytes | None = scope.get(_CERTIFICATE)
    return certificate


def whose(certificate: bytes) -> int:
    """The terminal a DER certificate names."""
    try:
        names = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(
            NameOID.COMMON_NAME
        )
    except ValueError:
        return NO_TERMINAL
    found = [_NAME.fullmatch(str(name.value)) for name in names]
    number = int(found[0][1]) if len(found) == 1 and found[0] else NO_TERMINAL
    return number if number <= LARGEST_TERMINAL else NO_TERMINAL
