"""Where the collector is, as operators write it, and what TLS is spoken with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct

from terminal.errors import CollectorError, KeyFileError

if TYPE_CHECKING:
    from ssl import SSLContext

EXAMPLE: Final = "Give an address such as http://10.0.0.5:8470 or https://collector.example."
_HOST: Final = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?|[0-9A-Fa-f:.]+(%[0-9A-Za-z]+)?")
_PATH: Final = re.compile(r"(/[0-9A-Za-z._~-]+)*/?")
_PORTS: Final = {"http": 80, "https": 443}


class Address(NamedTuple):
    """A checked collector address; `path` comes before every path of the protocol."""

    secure: bool
    host: str
    port: int
    path: str


def parse_address(url: str) -> Address:
    """Raises `CollectorError` for what is no address of a collector."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _no_address(url, str(error)) from error
    host = parts.hostname or ""
    if parts.scheme not in _PORTS:
        raise _no_address(url, "it begins with neither http:// nor https://")
    if not _HOST.fullmatch(host) or port == 0:
        raise _no_address(url, "it names no host and port")
    if parts.query or parts.fragment or parts.username is not None or not _PATH.fullmatch(parts.path):
        raise _no_address(url, "it holds more than host, port and path")
    return Address(parts.scheme == "https", host, port or _PORTS[parts.scheme], parts.path.rstrip("/"))


def _no_address(url: str, why: str) -> CollectorError:
    return CollectorError(f"{without_password(url)!r} is no collector's address: {why}", EXAMPLE)


def without_password(url: str) -> str:
    """An address as it may be shown: whatever stands before an @ is left out."""
    scheme, joint, rest = url.rpartition("//")
    return f"{scheme}{joint}…@{rest.rpartition('@')[2]}" if "@" in rest else url


class TlsFiles(Struct, frozen=True):
    """PEM files: whom to trust (default: the system's list), and who this terminal is: certificate and key in one."""

    ca: Path | None = None
    own: Path | None = None


def tls_context(files: TlsFiles) -> SSLContext:
    """TLS 1.2 or later, the collector's name and certificate checked. Raises `KeyFileError` for unusable files."""
    import ssl  # noqa: PLC0415 no start without TLS waits for it

    # Only this authority is trusted where one is given.
    context = ssl.create_default_context() if files.ca is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.ca is not None:
        _load(files.ca, lambda: context.load_verify_locations(files.ca))
    if files.own is not None:
        own = files.own
        _load(own, lambda: context.load_cert_chain(own))
    return context


def _load(path: Path, load: Callable[[], None]) -> None:
    from ssl import SSLError  # noqa: PLC0415 as above

    try:
        load()
    except SSLError as error:
        raise KeyFileError(
            f"TLS file {path} cannot be used: {error.reason or 'no certificate and key that can be read'}",
            "Give PEM files that belong together; for a terminal's own, `terminal identity renew` gets a new one.",
        ) from error
    except OSError as error:
        raise KeyFileError(f"TLS file {path}: {error.strerror}", "Check the path and its rights.") from error
