"""The terminal's identity through the years: new keys before the certificate ends, and nothing lost by a power cut.

    terminal.key        the keys in use, with their certificate
    renewal.key         keys that were asked for and are not certified yet

New keys are on the disk before they are asked for. Whatever ends a renewal early, the next one asks for the same keys
and gets the same answer; until then the keys in use go on working. Certified keys take the place of those in use in one
step.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from terminal.clock import Clock, unix_ms
from terminal.codes import SyncFault
from terminal.errors import CollectorError, KeyFileError
from terminal.sync.credentials import TerminalKeys, keep_keys, load_keys, load_or_make_keys

RENEWAL_FILE: Final = "renewal.key"
LEFT_SHARE: Final = 3
"""Renewed when one part of so many of the certificate's life is left."""
LOOK_S: Final = 60.0
AGAIN_S: Final = 600.0
"""Between two attempts when one has failed."""


class IdentityState(Struct, frozen=True):
    """How long the certificate is valid, None without one, and why it could not be renewed last time."""

    until_ms: int | None = None
    fault: SyncFault | None = None


def validity(keys: TerminalKeys) -> tuple[datetime, datetime] | None:
    """From when until when the certificate is valid; None without one that can be read."""
    from cryptography import x509  # noqa: PLC0415 no tap waits for it

    if not keys.certificate:
        return None
    try:
        made = x509.load_pem_x509_certificate(keys.certificate.encode("ascii"))
        return made.not_valid_before_utc, made.not_valid_after_utc
    except (ValueError, x509.InvalidVersion):
        return None


def is_due(keys: TerminalKeys, now: datetime) -> bool:
    """Whether it is time to renew: a third of the certificate's life is left, or less, or it is damaged."""
    valid = validity(keys)
    if valid is None:
        return bool(keys.certificate)
    return now >= valid[1] - (valid[1] - valid[0]) / LEFT_SHARE


class OwnIdentity:
    """The identity of a terminal in the file `path`. Several processes may use it: all ask for the same new keys."""

    def __init__(self, path: Path) -> None:
        """Makes keys where there are none yet. Raises `KeyFileError`."""
        self.path = path
        self.keys = load_or_make_keys(path)
        draft = self._drafted()
        if draft is not None and draft.name == self.keys.name:
            self._draft.unlink(missing_ok=True)  # it had been adopted when the power went

    @property
    def _draft(self) -> Path:
        return self.path.with_name(RENEWAL_FILE)

    def asked_for(self) -> TerminalKeys:
        """New keys, the same ones until they are adopted."""
        return load_or_make_keys(self._draft, publish=False)

    def first_or_new(self) -> TerminalKeys:
        """The keys to enrol with: those in use where they were never certified, else new ones."""
        return self.asked_for() if self.keys.certificate else self.keys

    def adopt(self, certified: TerminalKeys) -> None:
        """Use `certified` from here on."""
        keep_keys(self.path, certified)
        try:
            self._draft.unlink(missing_ok=True)
        except OSError as error:
            raise KeyFileError(f"{self._draft}: {error.strerror}", "Check the directory's rights.") from error
        self.keys = load_or_make_keys(self.path)

    def reload(self) -> bool:
        """Look what another process has made of it; whether there are other keys now."""
        keys = load_or_make_keys(self.path)
        changed = (keys.name, keys.certificate) != (self.keys.name, self.keys.certificate)
        self.keys = keys
        return changed

    def _drafted(self) -> TerminalKeys | None:
        return load_keys(self._draft) if self._draft.exists() else None


Ask = Callable[[TerminalKeys, TerminalKeys], TerminalKeys]
"""Has the collector certify the first keys in place of the second (`terminal.sync.enrolment.renew`)."""


class Renewal:
    """Renews when it is time, beside the uploads. Used by one thread."""

    def __init__(
        self,
        identity: OwnIdentity,
        ask: Ask,
        clock: Clock,
        *,
        on_new: Callable[[TerminalKeys], None],
        on_state: Callable[[IdentityState], None] = lambda _state: None,
    ) -> None:
        """`on_new` takes new keys into use, `on_state` hears how things stand whenever that changes."""
        self._identity = identity
        self._ask = ask
        self._clock = clock
        self._on_new = on_new
        self._on_state = on_state
        self._due_s = -LOOK_S
        self._state: IdentityState | None = None

    def look(self) -> None:
        """Once a minute at most. A collector that cannot be asked is asked again later; raises `KeyFileError`."""
        if self._clock.monotonic() < self._due_s:
            return
        self._due_s = self._clock.monotonic() + LOOK_S
        if self._identity.reload():
            self._on_new(self._identity.keys)
        fault = None
        if is_due(self._identity.keys, self._clock.now()):
            fault = self._renew()
        valid = validity(self._identity.keys)
        self._show(IdentityState(None if valid is None else unix_ms(valid[1]), fault))

    def _renew(self) -> SyncFault | None:
        try:
            renew_now(self._identity, self._ask)
        except CollectorError as error:
            self._due_s = self._clock.monotonic() + AGAIN_S
            return error.fault
        self._on_new(self._identity.keys)
        return None

    def _show(self, state: IdentityState) -> None:
        if state != self._state:
            self._state = state
            self._on_state(state)


def renew_now(identity: OwnIdentity, ask: Ask) -> None:
    """Renew whether or not it is time. Raises `CollectorError` or `KeyFileError`: the keys in use go on working."""
    identity.adopt(ask(identity.asked_for(), identity.keys))


def left_of(keys: TerminalKeys, now: datetime) -> timedelta | None:
    """How long the certificate is still valid; negative when it has ended, None without one that can be read."""
    valid = validity(keys)
    return None if valid is None else valid[1] - now


def collector_ask(url: str, tls_ca: Path | None, terminal: int, collector: Ed25519PublicKey) -> Ask:
    """Asks the collector at `url`, over a connection of its own that shows no certificate: the one in use may have
    ended."""

    def ask(keys: TerminalKeys, known: TerminalKeys) -> TerminalKeys:
        from terminal.sync.address import TlsFiles  # noqa: PLC0415 only when it is time
        from terminal.sync.enrolment import renew  # noqa: PLC0415
        from terminal.sync.link import HttpLink  # noqa: PLC0415

        link = HttpLink(url, TlsFiles(tls_ca))
        try:
            return renew(link, terminal, keys, known, collector)
        finally:
            link.close()

    return ask
