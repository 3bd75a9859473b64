"""One uploaded batch, from bytes to a signed acknowledgement or a refusal that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

import msgspec

from terminal.clock import Clock, from_unix_ms, unix_ms
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of, detail_words
from terminal.collector.enrolment import Enrolment
from terminal.collector.identities import TerminalKeySet
from terminal.collector.limits import TokenBuckets
from terminal.collector.sealed_rows import not_of_its_row
from terminal.collector.store import BatchRefused, CollectorStore
from terminal.collector.strangers import Strangers
from terminal.errors import CollectorError, KeyFileError
from terminal.journal.chain import Head
from terminal.journal.checkpoint import Signer
from terminal.sync.enrolment import signature_is_genuine
from terminal.sync.failed_start import FailedStart, StartHeard
from terminal.sync.wire import (
    BATCH_TYPE,
    MAX_BATCH_RECORDS,
    Batch,
    Malformed,
    Refusal,
    RefusalCode,
    batch_is_genuine,
    build_ack,
    encode,
    parse_batch,
    row_hashes,
)

STORE_WAIT_S: Final = 5
ASK_EVERY_S: Final = 1.0
STATUS = {
    RefusalCode.MALFORMED: 400,
    RefusalCode.UNKNOWN_TERMINAL: 403,
    RefusalCode.BAD_SIGNATURE: 403,
    RefusalCode.GAP: 409,
    RefusalCode.OTHER_HASH: 409,
    RefusalCode.TOO_LARGE: 413,
    RefusalCode.CODE_REFUSED: 403,
    RefusalCode.CODE_EXPIRED: 403,
    RefusalCode.CODE_SPENT: 403,
    RefusalCode.KEYS_UNPROVEN: 403,
    RefusalCode.KEYS_OUTDATED: 403,
    RefusalCode.RENEWAL_TOO_LATE: 403,
    RefusalCode.BUSY: 429,
    RefusalCode.UNAVAILABLE: 503,
}


class Reply(NamedTuple):
    """HTTP status, body and content type; `retry_after_s` (0: none) asks the sender to wait; `genuine` is the terminal
    that has shown that it is the sender (0: none).
    """

    status: int
    body: bytes
    content_type: str
    retry_after_s: int = 0
    genuine: int = 0


class UploadRefused(Exception):
    """Why something is not taken, as the answer to it."""

    def __init__(
        self, reason: RefusalCode, advice: str, wants: int | None = None, retry_after_s: int = 0
    ) -> None:
        super().__init__(reason)
        self.reply = refuse(reason, advice, wants, retry_after_s)


class GenuineBatch(NamedTuple):
    """A batch that its terminal signed: the hash of each row, and the keys it was signed with."""

    batch: Batch
    hashes: list[bytes]
    keys: TerminalKeySet


@dataclass(frozen=True, slots=True)
class Senders:
    """Which terminal has sent something: the same checks before a collector's store and before a fleet's stream. What
    is not believed is counted as a stranger's. `buckets` limit how often a terminal may send; None: no limit.

    Every method raises `UploadRefused`.
    """

    enrolment: Enrolment
    strangers: Strangers
    clock: Clock
    buckets: TokenBuckets | None = None

    def batch(self, data: bytes, certified: int | None, address: str) -> GenuineBatch:
        """The batch in `data`. `certified` is the terminal the sender's client certificate belongs to (0 for none),
        where one is asked for.
        """
        try:
            batch = parse_batch(data)
        except Malformed as error:
            raise UploadRefused(
                RefusalCode.MALFORMED, f"Send a batch of this protocol version: {error}."
            ) from error
        if len(batch.bodies) > MAX_BATCH_RECORDS:
            raise UploadRefused(RefusalCode.TOO_LARGE, f"Send at most {MAX_BATCH_RECORDS} records at once.")
        if certified is not None and certified != batch.terminal:
            detail = detail_of(AlarmCause.OTHER_CERTIFICATE, owner=certified)
            self.strangers.note(AlarmKind.WRONG_CERTIFICATE, address, batch.terminal, detail, self.now_ms)
            raise UploadRefused(
                RefusalCode.UNKNOWN_TERMINAL, "Send with this terminal's own client certificate."
            )
        # First: what strangers send is not worth its hashes.
        keys = self._keys_of(batch.terminal, address)
        hashes = row_hashes(batch)
        last_hash = hashes[-1] if hashes else batch.previous_hash
        signed_with = next((one for one in keys if batch_is_genuine(batch, last_hash, one.key)), None)
        if signed_with is None:
            self._refuse_signature(batch.terminal, address)
        if (row := not_of_its_row(batch)) is not None:
            raise UploadRefused(
                RefusalCode.MALFORMED, f"What row {row} sealed was changed on the way: send it again."
            )
        return GenuineBatch(batch, hashes, signed_with)

    def failed_start(self, said: FailedStart, address: str) -> Alarm:
        """What a terminal says of a start that failed: one alarm for each of its days and faults."""
        keys = self._keys_of(said.terminal, address)
        if not any(signature_is_genuine(one.signing, said.signature, said.digest) for one in keys):
            self._refuse_signature(said.terminal, address)
        self.pace(said.terminal)
        day = from_unix_ms(said.at_ms).date().isoformat()
        detail = detail_of(AlarmCause.CANNOT_START, fault=said.fault.value, day=day)
        return Alarm(AlarmKind.NO_START, said.terminal, 0, detail)

    def pace(self, terminal: int) -> None:
        """Once the signature is good: a stranger who names a terminal must not use up what that terminal may send."""
        wait_s = 0 if self.buckets is None else self.buckets.take(terminal)
        if wait_s:
            raise UploadRefused(RefusalCode.BUSY, "Send less often.", retry_after_s=wait_s)

    @property
    def now_ms(self) -> int:
        return unix_ms(self.clock.now())

    def _refuse_signature(self, terminal: int, address: str) -> NoReturn:
        self.strangers.note(AlarmKind.BAD_SIGNATURE, address, terminal, AlarmCause.BATCH_REFUSED, self.now_ms)
        advice = "Enrol this terminal's present public key, or find out who sends in its name."
        raise UploadRefused(RefusalCode.BAD_SIGNATURE, advice)

    def _keys_of(self, terminal: int, address: str) -> tuple[TerminalKeySet, ...]:
        try:
            keys = self.enrolment.record_of(terminal).live
            revoked = not keys and self.enrolment.is_revoked(terminal)
            cause = AlarmCause.REVOKED if revoked else AlarmCause.NOT_ENROLLED
        except KeyFileError:
            keys, cause = (), AlarmCause.KEY_UNUSABLE
        if not keys:
            self.strangers.note(AlarmKind.UNKNOWN_TERMINAL, address, terminal, cause, self.now_ms)
            advice = f"Have the operator enrol terminal {terminal} (terminal collector enrol, terminal fleet enrol)."
            raise UploadRefused(RefusalCode.UNKNOWN_TERMINAL, advice)
        return keys


class NowAndThen:
    """What `ask` says, asked once a second at most: acknowledgements are many, and withdrawals few. Where it cannot be
    asked now, what it said before.
    """

    def __init__(self, ask: Callable[[], tuple[str, ...]], monotonic: Callable[[], float]) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._said: tuple[str, ...] = ()
        self._due_s = float("-inf")

    def __call__(self) -> tuple[str, ...]:
        now_s = self._monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + ASK_EVERY_S
            with suppress(CollectorError):
                self._said = self._ask()
        return self._said


class Intake:
    """Takes batches of enrolled terminals into the store and signs for what is durably held."""

    def __init__(
        self,
        store: CollectorStore,
        enrolment: Enrolment,
        signer: Signer,
        clock: Clock,
        buckets: TokenBuckets | None = None,
        strangers: Strangers | None = None,
        withdrawn: Callable[[], tuple[str, ...]] = lambda: (),
    ) -> None:
        """`buckets` limit how often a terminal may send; without them there is no limit. `withdrawn` are the region
        documents that terminals are to give up.
        """
        self._withdrawn = withdrawn
        self.strangers = strangers or Strangers()
        self._senders = Senders(enrolment, self.strangers, clock, buckets)
        self._store = store
        self._signer = signer

    def take(self, data: bytes, certified: int | None = None, address: str = "") -> Reply:
        """Never raises for anything a client can send; what looks like an attack is counted, or leaves an alarm.

        `certified` is the terminal the sender's client certificate belongs to (0 for none), where one is asked for.
        """
        try:
            return self._take(data, certified, address)
        except UploadRefused as refused:
            return refused.reply
        except CollectorError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice, retry_after_s=STORE_WAIT_S)

    def _take(self, data: bytes, certified: int | None, address: str) -> Reply:
        at_ms, senders = self._senders.now_ms, self._senders
        genuine = senders.batch(data, certified, address)
        terminal = genuine.batch.terminal
        senders.enrolment.used(terminal, genuine.keys, at_ms)
        senders.pace(terminal)
        try:
            return self._store_and_sign(genuine, at_ms)
        except UploadRefused as refused:
            return refused.reply._replace(genuine=terminal)

    def failed_start(self, said: FailedStart, address: str = "") -> Reply:
        """Keep what a terminal says of a start that failed. As `take`."""
        try:
            alarm = self._senders.failed_start(said, address)
            self._store.keep_findings([alarm], self._senders.now_ms)
        except UploadRefused as refused:
            return refused.reply
        except CollectorError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice, retry_after_s=STORE_WAIT_S)
        return heard(said, self._signer)

    def _store_and_sign(self, genuine: GenuineBatch, at_ms: int) -> Reply:
        try:
            head = self._store.receive(genuine.batch, genuine.hashes, at_ms)
        except BatchRefused as refused:
            raise UploadRefused(
                refused.reason, f"{detail_words(refused.alarm.detail)}: {refused.advice}", refused.wants
            ) from refused
        return acknowledged(genuine.batch, head, at_ms, self._signer, self._withdrawn())


def acknowledged(
    batch: Batch, head: Head, at_ms: int, signer: Signer, withdrawn: tuple[str, ...] = ()
) -> Reply:
    """The signed reply to a `batch` whose terminal's rows are held up to `head`, with all that came sealed."""
    sealed = tuple(row for row, _ in batch.sealed)
    ack = build_ack(batch.terminal, head, at_ms, signer, withdrawn, sealed)
    return Reply(200, encode(ack), BATCH_TYPE, genuine=batch.terminal)


def heard(said: FailedStart, signer: Signer) -> Reply:
    """The signed reply to a message of a failed start that is kept."""
    body = msgspec.json.encode(StartHeard(signer.sign(said.heard_digest).hex()))
    return Reply(200, body, "application/json", genuine=said.terminal)


def refuse(reason: RefusalCode, advice: str, wants: int | None = None, retry_after_s: int = 0) -> Reply:
    """The reply for a refusal."""
    body = msgspec.json.encode(Refusal(error=reason, advice=advice, wants=wants))
    return Reply(STATUS[reason], body, "application/json", retry_after_s)
