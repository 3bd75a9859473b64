"""One uploaded batch at a gateway: checked, put into the stream, acknowledged on the stream's word.

A gateway keeps nothing. What it remembers of a terminal's line is only a guess that saves a look: the stream takes a
batch only when the guess is right. So gateways may come, go and be killed, and one terminal may use several at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from terminal.clock import Clock, unix_ms
from terminal.collector.alarms import Alarm, AlarmKind
from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet.placing import brings_rows
from terminal.collector.fleet.stream import FleetStream, Line, Overtaken
from terminal.collector.intake import Reply, refuse
from terminal.collector.limits import TokenBuckets
from terminal.collector.store import BatchRefused
from terminal.errors import CollectorError, KeyFileError
from terminal.journal.chain import Head
from terminal.journal.checkpoint import Signer
from terminal.sync.wire import (
    BATCH_TYPE,
    MAX_BATCH_RECORDS,
    Batch,
    Malformed,
    Reason,
    batch_is_genuine,
    build_ack,
    encode,
    parse_batch,
    row_hashes,
)

TRIES: Final = 5
RETRY_AFTER_S: Final = 10
MAX_GUESSES: Final = 200_000
ALARM_EVERY_S: Final = 60.0
MAX_ALARMS: Final = 1_000
"""Different alarms one gateway passes on in `ALARM_EVERY_S`; anybody can make up terminal numbers."""

DatabaseHead = Callable[[int], Awaitable[Head]]
"""The newest row of a terminal in the database; asked only for terminals the stream knows nothing of."""


class _Refused(Exception):
    def __init__(self, reason: Reason, advice: str, wants: int | None = None, retry_after_s: int = 0) -> None:
        super().__init__(reason)
        self.reply = refuse(reason, advice, wants, retry_after_s)


class Gateway:
    """Takes batches of enrolled terminals; every gateway of a fleet signs with the same key."""

    def __init__(
        self,
        stream: FleetStream,
        database_head: DatabaseHead,
        enrolment: Enrolment,
        signer: Signer,
        clock: Clock,
        buckets: TokenBuckets | None = None,
    ) -> None:
        """`buckets` (optional) bounds how often one terminal may upload here."""
        self._stream = stream
        self._database_head = database_head
        self._enrolment = enrolment
        self._signer = signer
        self._clock = clock
        self._buckets = buckets
        self._guesses: OrderedDict[int, Line] = OrderedDict()
        self._told: dict[Alarm, float] = {}

    def forget(self) -> None:
        """Look again at everything: the cluster may have come back with another history."""
        self._guesses.clear()

    async def take(self, data: bytes) -> Reply:
        """Never raises for anything a client can send; what looks like an attack leaves an alarm."""
        try:
            return await self._take(data)
        except _Refused as refused:
            return refused.reply
        except CollectorError as error:
            return refuse(Reason.UNAVAILABLE, error.advice, retry_after_s=RETRY_AFTER_S)

    async def _take(self, data: bytes) -> Reply:
        try:
            batch = parse_batch(data)
        except Malformed as error:
            raise _Refused(Reason.MALFORMED, f"Send a batch of this protocol version: {error}.") from error
        if len(batch.bodies) > MAX_BATCH_RECORDS:
            raise _Refused(Reason.TOO_LARGE, f"Send at most {MAX_BATCH_RECORDS} records at once.")
        hashes = row_hashes(batch)
        key = await self._key_of(batch.terminal)
        if not batch_is_genuine(batch, hashes[-1] if hashes else batch.previous_hash, key):
            await self._alarm(Alarm(AlarmKind.BAD_SIGNATURE, batch.terminal, 0, "batch refused"))
            advice = "Enrol this terminal's present public key, or find out who sends in its name."
            raise _Refused(Reason.BAD_SIGNATURE, advice)
        # Only now: a stranger who names a terminal must not use up what that terminal may send.
        wait_s = 0 if self._buckets is None else self._buckets.take(batch.terminal)
        if wait_s:
            raise _Refused(Reason.BUSY, "Send less often.", retry_after_s=wait_s)
        try:
            head = await self._keep(batch, hashes, data)
        except BatchRefused as refused:
            await self._alarm(refused.alarm)
            advice = f"{refused.alarm.detail}: {refused.advice}"
            raise _Refused(refused.reason, advice, refused.wants) from refused
        return Reply(200, encode(build_ack(batch.terminal, head, self._now_ms(), self._signer)), BATCH_TYPE)

    async def _key_of(self, terminal: int) -> Ed25519PublicKey:
        try:
            key = self._enrolment.key_of(terminal)
            revoked = key is None and self._enrolment.is_revoked(terminal)
            problem = "is revoked" if revoked else "is not enrolled"
        except KeyFileError as error:
            key, problem = None, error.what
        if key is None:
            await self._alarm(Alarm(AlarmKind.UNKNOWN_TERMINAL, terminal, 0, problem))
            advice = f"Put the public key of terminal {terminal} into each gateway's folder of terminals."
            raise _Refused(Reason.UNKNOWN_TERMINAL, advice)
        return key

    async def _keep(self, batch: Batch, hashes: list[bytes], data: bytes) -> Head:
        """Make the batch durable; return the newest row held without a gap before it. May raise `BatchRefused`."""
        for _ in range(TRIES):
            line, head = await self._line(batch)
            if not brings_rows(batch, hashes, head):
                await self._stream.keep_copy(batch.terminal, data)
                return head
            try:
                line = await self._stream.extend(batch, hashes[-1], data, line)
            except (Overtaken, CollectorError) as error:
                self._guesses.pop(batch.terminal, None)
                if isinstance(error, CollectorError):
                    raise
                continue
            self._remember(batch.terminal, line)
            return Head(batch.last, hashes[-1])
        raise CollectorError(
            f"terminal {batch.terminal} uploads through several gateways at once", "Try again later."
        )

    async def _line(self, batch: Batch) -> tuple[Line, Head]:
        """The terminal's line and the newest row held: guessed where the batch fits the guess, else looked up."""
        guess = self._guesses.get(batch.terminal)
        if guess is not None and guess.head == batch.previous:
            return guess, batch.previous
        line = await self._stream.line(batch.terminal)
        if line.head is None:
            return line, await self._database_head(batch.terminal)
        self._remember(batch.terminal, line)
        return line, line.head

    def _remember(self, terminal: int, line: Line) -> None:
        self._guesses[terminal] = line
        self._guesses.move_to_end(terminal)
        if len(self._guesses) > MAX_GUESSES:
            self._guesses.popitem(last=False)

    async def _alarm(self, alarm: Alarm) -> None:
        """Pass an alarm on, the same one once a minute."""
        now_s = self._clock.monotonic()
        if now_s - self._told.get(alarm, -ALARM_EVERY_S) < ALARM_EVERY_S:
            return
        if len(self._told) >= MAX_ALARMS:
            self._told = {told: at for told, at in self._told.items() if now_s - at < ALARM_EVERY_S}
        if len(self._told) >= MAX_ALARMS:
            alarm = Alarm(alarm.kind, 0, 0, "many more")
            if alarm in self._told:
                return
        await self._stream.keep_alarm(alarm, self._now_ms())
        self._told[alarm] = now_s

    def _now_ms(self) -> int:
        return unix_ms(self._clock.now())
