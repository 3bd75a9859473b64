"""A terminal that cannot start because of its journal, and a collector that hears of it all the same.

    POST /v1/failed-starts   JSON `FailedStart`   → `StartHeard`, or a refusal (`terminal.sync.wire`)

Rows are how a collector hears of everything else; a terminal that cannot read its journal can write none. What it says
is signed with its identity's key, once per start, and kept as an alarm for each day and fault: said again, or played
again by a stranger, it changes nothing. The answer is signed as an acknowledgement is: only the collector's own word
says that it was heard.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from terminal.codes import StartFault, SyncFault
from terminal.decoding import SMALL_BYTES, decode_json
from terminal.errors import CollectorError
from terminal.journal.checkpoint import Signer
from terminal.sync.enrolment import JSON_TYPE, Hex64, Numbered
from terminal.sync.exchange import RequestLink
from terminal.sync.failures import not_the_collectors, printable, refusal_in

FAILED_STARTS_PATH: Final = "/v1/failed-starts"
_DOMAIN: Final = b"resident-failed-start-1"
_HEARD: Final = b"resident-failed-start-heard-1"
LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999: the collector names days."""

KnownDay = Annotated[int, Meta(ge=0, le=LAST_MS)]


class FailedStart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a terminal did not start, and when by its own clock (ms since 1970), signed with its identity's key."""

    terminal: Numbered
    fault: StartFault
    at_ms: KnownDay
    signature: Hex64

    @property
    def digest(self) -> bytes:
        """What the signature covers."""
        numbers = self.terminal.to_bytes(4, "big") + self.at_ms.to_bytes(8, "big")
        return sha256(_DOMAIN + numbers + self.fault.value.encode("ascii")).digest()

    @property
    def heard_digest(self) -> bytes:
        """What the collector's signature covers: that it keeps this very message."""
        return sha256(_HEARD + self.digest + bytes.fromhex(self.signature)).digest()


class StartHeard(msgspec.Struct, frozen=True):
    """The collector's answer: its signature."""

    signature: Hex64


def failed_start(terminal: int, fault: StartFault, at_ms: int, signer: Signer) -> FailedStart:
    """The signed message; a moment that no calendar has is stated as the nearest that one has."""
    bare = FailedStart(terminal, fault, min(max(at_ms, 0), LAST_MS), "")
    return msgspec.structs.replace(bare, signature=signer.sign(bare.digest).hex())


def send(link: RequestLink, message: FailedStart, collector: Ed25519PublicKey) -> None:
    """Let the collector whose key this is hear of it; raises `CollectorError` when it does not say that it did."""
    answer = link.exchange(FAILED_STARTS_PATH, msgspec.json.encode(message), JSON_TYPE)
    if answer.status == 200:
        if not _is_genuine(answer.body, message, collector):
            raise CollectorError(
                f"the answer to the message of terminal {message.terminal} is not signed by its collector",
                "Find out what answers at the collector's address.",
                SyncFault.NOT_TRUSTED,
            )
        return
    refusal = refusal_in(answer)
    if refusal is None:
        raise not_the_collectors(answer, f"the message of terminal {message.terminal}")
    raise CollectorError(
        f"the collector refused terminal {message.terminal}: {refusal.error}",
        printable(refusal.advice),
        SyncFault.REFUSED,
    )


def _is_genuine(body: bytes, message: FailedStart, collector: Ed25519PublicKey) -> bool:
    try:
        heard = decode_json(body, StartHeard, SMALL_BYTES)
        collector.verify(bytes.fromhex(heard.signature), message.heard_digest)
    except (msgspec.DecodeError, InvalidSignature):
        return False
    return True
