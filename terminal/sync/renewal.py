"""The terminal's identity through the years: new keys before the certificate ends, and nothing lost by a power cut.

    terminal.key        the keys in use, with their certificate
    renewal.key         keys that were asked for and are not certified yet
    renewals.json       how the keys in use follow from older ones (`terminal.sync.lineage`)

New keys are on the disk before they are asked for. Whatever ends a renewal early, the next one asks for the same keys
and gets the same answer; until then the keys in use go on working. Certified keys take the place of those in use in one
step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from terminal.clock import Clock, unix_ms
from terminal.codes import SyncFault
from terminal.errors import CollectorError, KeyFileError
from terminal.sync.credentials import TerminalKeys, keep_keys, load_keys, load_or_make_keys
from terminal.sync.lineage import keep_link, read_lineage

if TYPE_CHECKING:
    from terminal.sync.enrolment import RenewalRequest
    from terminal.sync.link import HttpLink

RENEWAL_FILE: Final = "renewal.key"
LEFT: Final = timedelta(days=30)
"""Renewed when so much of the certificate's life is left."""
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
    """Whether it is time to renew: `LEFT` of the certificate's life or less, or it is damaged."""
    valid = validity(keys)
    if valid is None:
        return bool(keys.certificate)
    return now >= valid[1] - LEFT


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


class CollectorAsk(Struct, frozen=True):
    """Asks the collector at `url`, over a connection of its own that shows no certificate: the one in use may have
    ended."""

    url: str
    tls_ca: Path | None
    terminal: int
    collector: Ed25519PublicKey

    def __call__(self, keys: TerminalKeys, known: TerminalKeys) -> TerminalKeys:
        """Has the collector certify `keys` in place of those `known` (`terminal.sync.enrolment.renew`)."""
        from terminal.sync.enrolment import renew  # noqa: PLC0415 only when it is time

        with self._link() as link:
            return renew(link, self.terminal, keys, known, self.collector)

    def show(self, links: Sequence[RenewalRequest], keys: TerminalKeys) -> TerminalKeys:
        """Has it follow the renewals `links` from the keys it knows to `keys`, the newest; return them certified."""
        from terminal.sync.enrolment import ask_for, show_again  # noqa: PLC0415 as above

        with self._link() as link:
            for earlier in links[:-1]:
                show_again(link, earlier)
            return ask_for(link, links[-1], keys, self.collector)

    def _link(self) -> closing[HttpLink]:
        from terminal.sync.address import TlsFiles  # noqa: PLC0415 as above
        from terminal.sync.link import HttpLink  # noqa: PLC0415

        return closing(HttpLink(self.url, TlsFiles(self.tls_ca)))


class Renewal:
    """Renews when it is time, beside the uploads. Used by one thread."""

    def __init__(
        self,
        identity: OwnIdentity,
        ask: CollectorAsk,
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
        self._refused = False
        self._show_from_s = 0.0

    def look(self) -> None:
        """Once a minute at most. A collector that cannot be asked is asked again later; raises `KeyFileError`."""
        if self._clock.monotonic() < self._due_s:
            return
        self._due_s = self._clock.monotonic() + LOOK_S
        if self._identity.reload():
            self._on_new(self._identity.keys)
        fault = None
        if is_due(self._identity.keys, self._clock.now()):
            fault = self._ask_by(renew_now)
        elif self._refused:
            fault = self._ask_by(show_lineage)
        self._refused = False
        valid = validity(self._identity.keys)
        self._show(IdentityState(None if valid is None else unix_ms(valid[1]), fault))

    def refused(self) -> None:
        """The collector does not take what these keys signed: it may know older ones only. In the same thread;
        what they follow from is shown before the next upload, and then not again for a while."""
        now_s = self._clock.monotonic()
        if now_s >= self._show_from_s:
            self._refused, self._due_s, self._show_from_s = True, now_s, now_s + AGAIN_S

    def _ask_by(self, way: Callable[[OwnIdentity, CollectorAsk], object]) -> SyncFault | None:
        try:
            way(self._identity, self._ask)
        except CollectorError as error:
            self._due_s = self._clock.monotonic() + AGAIN_S
            return error.fault
        self._on_new(self._identity.keys)
        return None

    def _show(self, state: IdentityState) -> None:
        if state != self._state:
            self._state = state
            self._on_state(state)


def renew_now(identity: OwnIdentity, ask: CollectorAsk) -> None:
    """Renew whether or not it is time; a collector that does not know the keys in use is shown where they come from.
    Raises `CollectorError` or `KeyFileError`: the keys in use go on working."""
    from terminal.sync.enrolment import renewal_request  # noqa: PLC0415 only when it is time

    asked, known = identity.asked_for(), identity.keys
    try:
        certified = ask(asked, known)
    except CollectorError as error:
        if error.fault is not SyncFault.REFUSED or not _shown(identity, ask):
            raise
        certified = ask(asked, known)
    keep_link(identity.path.parent, renewal_request(ask.terminal, asked, known))
    identity.adopt(certified)


def show_lineage(identity: OwnIdentity, ask: CollectorAsk) -> bool:
    """Show the collector how the keys in use follow from older ones; whether there was anything to show.

    Raises `CollectorError` when it does not believe it.
    """
    links = read_lineage(identity.path.parent)
    if not links or links[-1].keys.signing != identity.keys.name.hex():
        return False
    identity.adopt(ask.show(links, identity.keys))
    return True


def _shown(identity: OwnIdentity, ask: CollectorAsk) -> bool:
    try:
        return show_lineage(identity, ask)
    except CollectorError:
        return False  # the first refusal is the one to act on


def left_of(keys: TerminalKeys, now: datetime) -> timedelta | None:
    """How long the certificate is still valid; negative when it has ended, None without one that can be read."""
    valid = validity(keys)
    return None if valid is None else valid[1] - now
