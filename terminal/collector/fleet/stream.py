"""The replicated log between gateways and consumers: two JetStream streams.

    NAME         NAME.batch.7    batches that continue the rows of terminal 7, one per message
    NAME_NOTES   NAME.copy.7     batches that brought no row: copies sent again, greetings; to be compared
                 NAME.alarm.7    what a gateway noticed
    and          NAME.strangers.all    what was tried at a gateway without a good signature, added up

A message enters `NAME.batch.7` only when the newest there is still the one its gateway looked at, so that its
messages are one unbroken chain of rows, whichever gateways wrote them. The newest message of each terminal stays for
good: it says what is held. Nothing else may leave before it is in the database, so a full stream takes nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    Header,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from terminal.collector.alarms import Alarm
from terminal.collector.fleet.settings import ConsumerSettings, StreamSettings
from terminal.collector.strangers import StrangerCount
from terminal.errors import CollectorError
from terminal.journal.chain import Head
from terminal.sync.wire import MAX_BATCH_BYTES, Batch, Malformed, parse_batch, row_hashes

DURABLE: Final = "postgresql"
NOTES_SUFFIX: Final = "_NOTES"
MAX_WAITING_BATCHES: Final = 5_000
"""Batches of one terminal that may wait for the database: a million rows."""
MAX_NOTES: Final = 100_000
MAX_TERMINAL_NOTES: Final = 1_000
DUPLICATE_WINDOW_S: Final = 120
HEADER_BYTES: Final = 1_024
_NO_MESSAGE: Final = 10_037
_WRONG_LAST_SEQUENCE: Final = (10_071, 10_164)
_DUPLICATE_IN_FLIGHT: Final = 10_158
_MAX_PENDING: Final = 2_000


class Overtaken(Exception):
    """Something else entered the terminal's part of the stream since it was looked at; nothing was stored."""


class StreamLine(NamedTuple):
    """The end of one terminal's chain in the stream: the newest message's number (0: none) and its last row."""

    message: int
    head: Head | None


class AlarmNote(msgspec.Struct, frozen=True, array_like=True):
    """An alarm on its way to the database."""

    kind: str
    terminal: int
    sequence: int
    detail: str
    at_ms: int


class FleetStream:
    """One connection to the cluster. Every method raises `CollectorError` when the cluster does not answer."""

    def __init__(self, settings: StreamSettings, client: Client) -> None:
        self.settings = settings
        self.on_reconnect: Callable[[], None] = lambda: None
        """Called when the connection was lost and is back."""
        self._client = client
        self._jetstream: JetStreamContext = client.jetstream(timeout=settings.answer_s)

    @classmethod
    async def open(cls, settings: StreamSettings) -> FleetStream:
        """Connect; afterwards the connection is kept up for ever."""
        opened = cls(settings, Client())

        async def reconnected() -> None:
            opened.on_reconnect()

        async def quietly(_: Exception) -> None:
            """Each request that fails says so itself."""

        with _reported(settings):
            connecting = opened._client.connect(
                servers=list(settings.servers),
                user_credentials=str(settings.credentials) if settings.credentials else None,
                max_reconnect_attempts=-1,
                reconnect_time_wait=settings.reconnect_s,
                reconnected_cb=reconnected,
                error_cb=quietly,
            )
            try:
                await asyncio.wait_for(connecting, settings.connect_s)
            except TimeoutError:
                await opened._client.close()
                raise
        return opened

    @property
    def connected(self) -> bool:
        return self._client.is_connected

    async def close(self) -> None:
        await self._client.close()

    # Set-up

    async def prepare(self, replicas: int, max_bytes: int, consumer: ConsumerSettings) -> None:
        """Create the streams and the durable consumers, or bring those there are to these settings."""
        name = self.settings.name
        batches = StreamConfig(
            name=name,
            subjects=[f"{name}.batch.*"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            num_replicas=replicas,
            discard=DiscardPolicy.NEW,
            discard_new_per_subject=True,
            max_msgs_per_subject=MAX_WAITING_BATCHES,
            max_bytes=max_bytes,
            max_msg_size=MAX_BATCH_BYTES + HEADER_BYTES,
            duplicate_window=DUPLICATE_WINDOW_S,
            allow_direct=False,  # heads are read from the leader: a follower may lag behind
        )
        notes = StreamConfig(
            name=name + NOTES_SUFFIX,
            subjects=[f"{name}.copy.*", f"{name}.alarm.*", f"{name}.strangers.*"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            num_replicas=replicas,
            discard=DiscardPolicy.NEW,
            discard_new_per_subject=True,
            max_msgs=MAX_NOTES,
            max_msgs_per_subject=MAX_TERMINAL_NOTES,
            max_msg_size=MAX_BATCH_BYTES + HEADER_BYTES,
        )
        with _reported(self.settings):
            for stream in (batches, notes):
                try:
                    await self._jetstream.update_stream(stream)
                except NotFoundError:
                    await self._jetstream.add_stream(stream)
                await self._jetstream.add_consumer(str(stream.name), _consumer(consumer))

    async def subscribe(self, *, notes: bool = False) -> JetStreamContext.PullSubscription:
        """The durable consumer of batches, or of notes; any number of processes share it."""
        stream = self.settings.name + (NOTES_SUFFIX if notes else "")
        with _reported(self.settings):
            return await self._jetstream.pull_subscribe_bind(durable=DURABLE, stream=stream)

    # Gateways

    async def line(self, terminal: int) -> StreamLine:
        """Where the terminal's chain ends, as the stream's leader has it."""
        with _reported(self.settings):
            try:
                newest = await self._jetstream.get_last_msg(self.settings.name, self._batches_of(terminal))
            except NotFoundError as error:
                if error.err_code != _NO_MESSAGE:
                    raise
                return StreamLine(0, None)
        try:
            batch = parse_batch(newest.data or b"")
            last_hash = row_hashes(batch)[-1]
        except (Malformed, IndexError) as error:
            raise CollectorError(
                f"the stream's newest message of terminal {terminal} is no batch: {error}",
                "Only gateways may publish there: look at message "
                f"{newest.seq} of {self.settings.name}, then delete it.",
            ) from error
        return StreamLine(newest.seq or 0, Head(batch.last, last_hash))

    async def extend(self, batch: Batch, last_hash: bytes, data: bytes, line: StreamLine) -> StreamLine:
        """Append `data`, the encoded `batch`, behind `line`; return when it is stored on most servers.

        Raises `Overtaken` when the line has moved. After a `CollectorError` it may or may not be stored.
        """
        headers = {
            Header.MSG_ID.value: f"{batch.terminal}:{batch.first}:{last_hash.hex()}",
            Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(line.message),
        }
        with _reported(self.settings):
            try:
                stored = await self._jetstream.publish(
                    self._batches_of(batch.terminal), data, headers=headers, stream=self.settings.name
                )
            except APIError as error:
                if error.err_code in _WRONG_LAST_SEQUENCE or error.err_code == _DUPLICATE_IN_FLIGHT:
                    raise Overtaken from error
                raise
        if stored.duplicate:  # stored by an earlier attempt, perhaps not as the newest: look again
            raise Overtaken
        return StreamLine(stored.seq, Head(batch.last, last_hash))

    async def keep_copy(self, terminal: int, data: bytes) -> None:
        """Have a batch without new rows compared with what is held."""
        await self._note(f"{self.settings.name}.copy.{terminal}", data)

    async def keep_alarm(self, alarm: Alarm, at_ms: int) -> None:
        """Have an alarm kept."""
        note = msgspec.msgpack.encode(AlarmNote(str(alarm.kind), *alarm[1:], at_ms))
        await self._note(f"{self.settings.name}.alarm.{alarm.terminal}", note)

    async def keep_strangers(self, counts: list[StrangerCount]) -> None:
        """Have what strangers tried added to what is kept of it."""
        await self._note(f"{self.settings.name}.strangers.all", msgspec.msgpack.encode(counts))

    async def _note(self, subject: str, data: bytes) -> None:
        with _reported(self.settings):
            await self._jetstream.publish(subject, data, stream=self.settings.name + NOTES_SUFFIX)

    # Consumers

    async def trim(self, terminal: int, message: int) -> None:
        """Let go of the terminal's messages before `message`, which is in the database and stays."""
        with _reported(self.settings):
            await self._jetstream.purge_stream(
                self.settings.name, seq=message, subject=self._batches_of(terminal)
            )

    def _batches_of(self, terminal: int) -> str:
        return f"{self.settings.name}.batch.{terminal}"


class NoteKind(StrEnum):
    """What a message of the notes is, as its subject says."""

    COPY = "copy"
    ALARM = "alarm"
    STRANGERS = "strangers"


def note_kind(subject: str) -> NoteKind:
    """The kind of a note; the stream takes no other subjects."""
    return NoteKind(subject.split(".")[-2])


def _consumer(settings: ConsumerSettings) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=DURABLE,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=settings.redeliver_s,
        max_deliver=-1,
        max_ack_pending=_MAX_PENDING,
    )


@contextmanager
def _reported(settings: StreamSettings) -> Iterator[None]:
    try:
        yield
    except (nats.errors.Error, OSError) as error:
        what = str(error) or type(error).__name__
        raise CollectorError(
            f"NATS at {', '.join(settings.servers)}: {what}",
            "Check that the cluster has a leader, room on its disks, and the streams `terminal fleet prepare` makes.",
        ) from error
