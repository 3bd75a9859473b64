"""Whether a card was there: what a ride sealed is opened and its card's signature verified once more.

A terminal in other hands can write any row, but no card's signature: a ride that was invented, copied or changed stays
unproven, is shown as such, and never charged. No two rides have a card's counter or signature in common; the row that
came first keeps them.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cardproto.emv import tags
from cardproto.emv.keys import Trust
from cardproto.emv.numbers import parse_date
from cardproto.errors import FormatError
from terminal.bank_record import BankRecord, NoBankRecord, card_identity, open_record, record_verdict
from terminal.clock import from_unix_ms
from terminal.collector.bank.ledger import BankLedger
from terminal.collector.bank.rides import LedgerRide, RideState
from terminal.collector.bank.sources import RideSource
from terminal.collector.sealed_rows import bank_row
from terminal.journal.records import UnreadableRecord, parse_record
from terminal.keys.provider import BankToken
from terminal.sealed_box import NotSealedToUs

AT_ONCE: Final = 200
PROBE: Final = b"bank-office"
"""No card's number: what keys make of it shows which keys they are."""
NEAR: Final = timedelta(days=1)
"""What a card was shown is its terminal's local day; the row says the time alone."""


class UnprovenCause(StrEnum):
    """Why nothing shows that the card was there."""

    MISSING = "missing"
    """What the ride sealed has not come, or the ride sealed nothing."""
    NOT_OURS = "not_ours"
    """It does not open with the back office's keys, is bound to another row, or was changed."""
    MALFORMED = "malformed"
    """What was opened is no record, or contradicts itself."""
    NOT_GENUINE = "not_genuine"
    """The card's signature, or a certificate it stands on, is not right."""
    OTHER_TOKEN = "other_token"  # noqa: S105 a keyed hash
    """The row calls the card otherwise than its number and the tokens' key do."""
    OTHER_DAY = "other_day"
    """The card signed on another day than the row is of."""
    REPEATED = "repeated"
    """Another ride has this signature, or this counter of the card."""


BY_KEYS: Final = (UnprovenCause.NOT_OURS, UnprovenCause.NOT_GENUINE, UnprovenCause.OTHER_TOKEN)
"""What other keys may find otherwise: of the office, of the schemes, of the tokens."""


class Opened(NamedTuple):
    """A record that was proven, and its card by the back office's own hash."""

    record: BankRecord
    digest: bytes


@dataclass(frozen=True, slots=True)
class OfficeKeys:
    """What opens records, the newest first, what cards are known by here, and what terminals call a card in each live
    epoch. Shows no key.
    """

    private: Sequence[X25519PrivateKey] = field(repr=False)
    cards: bytes = field(repr=False)
    tokens: Callable[[bytes], Sequence[BankToken]] = field(repr=False)
    trust: Trust = field(repr=False)

    @property
    def fingerprints(self) -> tuple[str, str]:
        """What shows another key of cards, and other keys that rides are proven with; neither says anything of them."""
        private = sorted(key.public_key().public_bytes_raw() for key in self.private)
        tokens = sorted(one.token for one in self.tokens(PROBE))
        schemes = sorted(key.checksum for key in self.trust.keys)
        revoked = sorted(one.rid + bytes((one.index,)) + one.serial for one in self.trust.revoked)
        proving = sha256(b"".join((*private, *tokens, *schemes, *revoked)))
        return hmac.digest(self.cards, PROBE, "sha256").hex()[:32], proving.hexdigest()[:32]

    def called(self, record: BankRecord) -> frozenset[bytes]:
        """By which tokens a row may call the card of `record`."""
        identity = card_identity(record.pan, record.sequence)
        return frozenset(one.token for one in self.tokens(identity))

    def digest(self, record: BankRecord) -> bytes:
        """Stands for the card: its number and sequence number under the back office's own key."""
        sequence = "" if record.sequence is None else f"{record.sequence:02d}"
        return hmac.digest(self.cards, f"{record.pan}|{sequence}".encode(), "sha256")


def opened(keys: OfficeKeys, source: RideSource, rides: Sequence[LedgerRide]) -> list[Opened | UnprovenCause]:
    """What each of `rides` sealed, proven; or why it is not. Raises `CollectorError` where the source fails."""
    rows = [(ride.terminal, ride.sequence) for ride in rides]
    sealed, bodies = source.sealed(rows), source.bodies(rows)
    return [
        _opened(keys, ride, sealed.get(row), bodies.get(row)) for ride, row in zip(rides, rows, strict=True)
    ]


def _opened(
    keys: OfficeKeys, ride: LedgerRide, sealed: bytes | None, body: bytes | None
) -> Opened | UnprovenCause:
    if sealed is None or body is None:
        return UnprovenCause.MISSING
    if sha256(sealed).digest() != _sealed_by(body):
        return UnprovenCause.NOT_OURS
    try:
        record = open_record(keys.private, sealed, ride.terminal, ride.at_ms)
        genuine = record_verdict(record, keys.trust).genuine
    except (NotSealedToUs, NoBankRecord) as error:
        return UnprovenCause.MALFORMED if isinstance(error, NoBankRecord) else UnprovenCause.NOT_OURS
    return _belonging(keys, record, ride) if genuine else UnprovenCause.NOT_GENUINE


def _belonging(keys: OfficeKeys, record: BankRecord, ride: LedgerRide) -> Opened | UnprovenCause:
    """Whether a proven record is this ride's."""
    if record.reference != ride.token or ride.token not in keys.called(record):
        return UnprovenCause.OTHER_TOKEN
    return Opened(record, keys.digest(record)) if _of_its_day(record) else UnprovenCause.OTHER_DAY


def _sealed_by(body: bytes) -> bytes:
    try:
        row = bank_row(parse_record(body))
    except UnreadableRecord:
        return b""
    return b"" if row is None else row.sealed


def _of_its_day(record: BankRecord) -> bool:
    try:
        signed = parse_date(record.given[tags.TAG_DATE])
        return abs(signed - from_unix_ms(record.at_ms).date()) <= NEAR
    except (FormatError, KeyError, OverflowError):
        return False


def prove_rides(keys: OfficeKeys, source: RideSource, ledger: BankLedger) -> int:
    """Judge every ride whose end is known and whose sealed record has come; return how many were."""
    judged, after = 0, (0, 0)
    while rides := ledger.rides.in_state(RideState.WAITING, AT_ONCE, after):
        after = rides[-1].terminal, rides[-1].sequence
        found = opened(keys, source, rides)
        with ledger.changing():
            for ride, one in zip(rides, found, strict=True):
                judged += _judge(ledger, ride, one)
    return judged


def _judge(ledger: BankLedger, ride: LedgerRide, found: Opened | UnprovenCause) -> bool:
    row = ride.terminal, ride.sequence
    if isinstance(found, Opened):
        card = ledger.cards.of(found.digest, ride.token)
        if not card:
            found = UnprovenCause.OTHER_TOKEN
        elif not ledger.rides.keep_proofs(_unique(found), row):
            found = UnprovenCause.REPEATED
        else:
            ledger.rides.judge(row, RideState.PROVEN, card=card)
            return True
    # What may still come is waited for, and shown as unproven meanwhile.
    waits = found is UnprovenCause.MISSING
    ledger.rides.judge(row, RideState.WAITING if waits else RideState.UNPROVEN, found)
    return not waits


def _unique(found: Opened) -> list[bytes]:
    """The signature is a proof of its own; so is the counter, where the card gave one."""
    record = found.record
    parts = [b"signature" + record.signature]
    if record.counter:
        parts.append(b"counter" + record.counter + record.aid)
    return [sha256(found.digest + part).digest()[:16] for part in parts]
