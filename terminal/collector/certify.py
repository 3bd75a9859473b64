"""The authority that certifies terminals for TLS: the collector's own, made at its first start.

    FOLDER/ca.key    its private key, for its owner only
    FOLDER/ca.crt    its certificate: who offers a certificate signed by it is one of our terminals

An operator with an authority of his own puts a subordinate one there before the first start: `ca.key`, and in `ca.crt`
its certificate with those above it. What is checked of a certificate: it is signed by this authority, it is valid now,
and it is the one on record for the keys that are in force or wait (`terminal.collector.enrolment`).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from terminal.clock import from_unix_ms, unix_ms
from terminal.errors import KeyFileError
from terminal.files import create_file
from terminal.sync.enrolment import Certified

LIFE: Final = timedelta(days=90)
"""A third of it, 30 days, is left when a terminal renews: one that is away for three weeks just then still comes in."""
BACKDATED: Final = timedelta(days=1)
"""The clocks of terminals are not all right."""
AUTHORITY_LIFE: Final = timedelta(days=365 * 30)
KEY_FILE: Final = "ca.key"
CERTIFICATE_FILE: Final = "ca.crt"


class Authority:
    """Certifies the TLS keys of terminals."""

    def __init__(self, folder: Path, now_ms: int) -> None:
        """Opens the one in `folder`, or makes it. Raises `KeyFileError`."""
        self._key_path, self.path = folder / KEY_FILE, folder / CERTIFICATE_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                self._make(now_ms)
            self._key = load_pem_private_key(self._key_path.read_bytes(), password=None)
            self._own = x509.load_pem_x509_certificates(self.path.read_bytes())[0]
        except OSError as error:
            raise KeyFileError(
                f"the terminals' certificate authority in {folder}: {error.strerror}",
                "Put ca.key and ca.crt back from a backup, or remove both and enrol the terminals again.",
            ) from error
        except (ValueError, TypeError, IndexError, UnsupportedAlgorithm) as error:
            raise _unusable(folder) from error
        if not isinstance(self._key, EllipticCurvePrivateKey):
            raise _unusable(folder)
        if self._own.public_key() != self._key.public_key():
            raise _unusable(folder)

    def certify(self, terminal: int, key: EllipticCurvePublicKey, now_ms: int) -> Certified:
        """A certificate that names `terminal` as the owner of `key`."""
        now = from_unix_ms(now_ms)
        until = now.replace(microsecond=0) + LIFE
        made = (
            x509.CertificateBuilder()
            .subject_name(_named(f"terminal-{terminal}"))
            .issuer_name(self._own.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._signer, SHA256())
        )
        return Certified(made.public_bytes(Encoding.PEM).decode("ascii"), unix_ms(until))

    @property
    def _signer(self) -> EllipticCurvePrivateKey:
        assert isinstance(self._key, EllipticCurvePrivateKey)
        return self._key

    def _make(self, now_ms: int) -> None:
        """A certificate for the key, which is made first: one without the other is what a power cut leaves."""
        new = generate_private_key(SECP256R1())
        create_file(self._key_path, new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key, now = load_pem_private_key(self._key_path.read_bytes(), password=None), from_unix_ms(now_ms)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise _unusable(self.path.parent)
        name = _named("resident terminals")
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, SHA256())
        )
        create_file(self.path, made.public_bytes(Encoding.PEM), 0o644)


def requested_key(request: str, point: str) -> EllipticCurvePublicKey | None:
    """The TLS key that a certificate request (PEM) is for, signed by its owner, where it is that `point` (hex); None
    for anything else."""
    try:
        asked = x509.load_pem_x509_csr(request.encode("ascii"))
        sound, key = asked.is_signature_valid, asked.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    if not sound or not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        return None
    return key if key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint).hex() == point else None


def as_der(certificate: str) -> bytes:
    """A certificate in PEM as TLS shows it."""
    return x509.load_pem_x509_certificate(certificate.encode("ascii")).public_bytes(Encoding.DER)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _unusable(folder: Path) -> KeyFileError:
    return KeyFileError(
        f"ca.key and ca.crt in {folder} are no authority on P-256 that belongs together",
        "Put both back from a backup, or remove both and enrol the terminals again.",
    )
