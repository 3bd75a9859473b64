"""What a gateway does with a batch: checked, put into the stream, and acknowledged on the stream's word."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import anyio.to_thread

from terminal.clock import Clock, unix_ms
from terminal.collector.alarms import Alarm, AlarmCause, detail_words
from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet.placing import brings_rows
from terminal.collector.fleet.stream import FleetStream, Overtaken, StreamLine
from terminal.collector.identities import TerminalKeySet
from terminal.collector.intake import Reply, Senders, UploadRefused, acknowledged, heard, refuse
from terminal.collector.limits import TokenBuckets
from terminal.collector.store import BatchRefused
from terminal.collector.strangers import Strangers
from terminal.errors import CollectorError
from terminal.journal.chain import Head
from terminal.journal.checkpoint import Signer
from terminal.sync.failed_start import FailedStart
from terminal.sync.wire import Batch, RefusalCode

log: Final = logging.getLogger(__name__)

TRIES: Final = 5
RETRY_AFTER_S: Final = 10
MAX_GUESSES: Final = 200_000
ALARM_EVERY_S: Final = 60.0
MAX_ALARMS: Final = 1_000
"""Different alarms one gateway passes on in `ALARM_EVERY_S`."""

DatabaseHead = Callable[[int], Awaitable[Head]]
"""The newest row of a terminal in the database; asked only for terminals the stream knows nothing of."""


class Gateway:
    """Takes batches of enrolled terminals; every gateway of a fleet signs with the same key."""

    def __init__(
        self,
        stream: FleetStream,
        database_head: DatabaseHead,
        enrolment: Enrolment,
        signer: Signer,
        clock: Clock,
        strangers: Strangers,
        buckets: TokenBuckets | None = None,
    ) -> None:
        """`buckets` (optional) bounds how often one terminal may upload here."""
        self._senders = Senders(enrolment, strangers, clock, buckets)
        self._strangers = strangers
        self._stream = stream
        self._database_head = database_head
        self._signer = signer
        self._clock = clock
        self._guesses: OrderedDict[int, StreamLine] = OrderedDict()
        self._raised_at: dict[Alarm, float] = {}
        self.withdrawn: tuple[str, ...] = ()
        """Region documents that terminals are to give up, as the database last said."""

    def forget(self) -> None:
        """Look again at everything: the cluster may have come back with another history."""
        self._guesses.clear()

    async def take(self, data: bytes, address: str = "", certified: int | None = None) -> Reply:
        """Never raises for anything a client can send; what looks like an attack is counted, or leaves an alarm.

        `certified` is the terminal the sender's client certificate belongs to (0 for none), where one is asked for.
        """
        try:
            return await self._take(data, address, certified)
        except UploadRefused as refused:
            return refused.reply
        except CollectorError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice, retry_after_s=RETRY_AFTER_S)

    async def failed_start(self, said: FailedStart, address: str = "") -> Reply:
        """Pass on what a terminal says of a start that failed. As `take`."""
        try:
            await self._alarm(self._senders.failed_start(said, address))
        except UploadRefused as refused:
            return refused.reply
        except CollectorError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice, retry_after_s=RETRY_AFTER_S)
        return heard(said, self._signer)

    async def _take(self, data: bytes, address: str, certified: int | None) -> Reply:
        genuine = self._senders.batch(data, certified, address)
        batch, hashes = genuine.batch, genuine.hashes
        await self._used(batch.terminal, genuine.keys)
        self._senders.pace(batch.terminal)
        try:
            head = await self._keep(batch, hashes, data)
        except BatchRefused as refused:
            await self._alarm(refused.alarm)
            advice = f"{detail_words(refused.alarm.detail)}: {refused.advice}"
            return refuse(refused.reason, advice, refused.wants)._replace(genuine=batch.terminal)
        return acknowledged(batch, head, self._now_ms(), self._signer, self.withdrawn)

    async def _used(self, terminal: int, keys: TerminalKeySet) -> None:
        """Keys that waited come into force with the first batch. Without the database they go on waiting, and count."""
        enrolment = self._senders.enrolment
        if enrolment.record_of(terminal).waiting != keys:
            return
        try:
            await anyio.to_thread.run_sync(enrolment.used, terminal, keys, self._now_ms())
        except CollectorError as error:
            log.warning("the new keys of terminal %d go on waiting: %s", terminal, error)

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

    async def _line(self, batch: Batch) -> tuple[StreamLine, Head]:
        """The terminal's line and the newest row held: guessed where the batch fits the guess, else looked up."""
        guess = self._guesses.get(batch.terminal)
        if guess is not None and guess.head == batch.previous:
            return guess, batch.previous
        line = await self._stream.line(batch.terminal)
        if line.head is None:
            return line, await self._database_head(batch.terminal)
        self._remember(batch.terminal, line)
        return line, line.head

    def _remember(self, terminal: int, line: StreamLine) -> None:
        self._guesses[terminal] = line
        self._guesses.move_to_end(terminal)
        if len(self._guesses) > MAX_GUESSES:
            self._guesses.popitem(last=False)

    async def _alarm(self, alarm: Alarm) -> None:
        """Pass an alarm on, the same one once a minute."""
        now_s = self._clock.monotonic()
        if now_s - self._raised_at.get(alarm, -ALARM_EVERY_S) < ALARM_EVERY_S:
            return
        if len(self._raised_at) >= MAX_ALARMS:
            self._raised_at = {
                raised: at for raised, at in self._raised_at.items() if now_s - at < ALARM_EVERY_S
            }
        if len(self._raised_at) >= MAX_ALARMS:
            alarm = Alarm(alarm.kind, 0, 0, AlarmCause.MANY_MORE)
            if alarm in self._raised_at:
                return
        await self._stream.keep_alarm(alarm, self._now_ms())
        self._raised_at[alarm] = now_s

    def _now_ms(self) -> int:
        return unix_ms(self._clock.now())
