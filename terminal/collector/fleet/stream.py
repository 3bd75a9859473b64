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
from nats.errors import AuthorizationError
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
_NO_STREAM: Final = 10_059
_UNAUTHORISED: Final = "authorization violation"
"""NATS' protocol says so, with a capital or without."""
_PREPARE: Final = "Run `terminal fleet prepare`."
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
        self._heard: tuple[int, Exception | None] = 0, None
        """What the connection reported by itself: how many errors, and the newest. A server that forbids something says
        it so, and lets the request time out."""

    @classmethod
    async def open(cls, settings: StreamSettings) -> FleetStream:
        """Connect; afterwards the connection is kept up for ever."""
        opened = cls(settings, Client())
        with opened._reported():
            await opened._connect()
        return opened

    async def _connect(self) -> None:
        settings, refused = self.settings, asyncio.Event()

        async def reconnected() -> None:
            self.on_reconnect()

        async def heard(error: Exception) -> None:
            if (
                _UNAUTHORISED in str(error).lower()
            ):  # while it connects, the library hands on the server's line
                error = AuthorizationError()
            self._heard = self._heard[0] + 1, error
            if isinstance(error, AuthorizationError):
                refused.set()

        connecting = asyncio.ensure_future(
            self._client.connect(
                servers=list(settings.servers),
                user=settings.user or None,
                password=settings.password or None,
                user_credentials=str(settings.credentials) if settings.credentials else None,
                max_reconnect_attempts=-1,
                reconnect_time_wait=settings.reconnect_s,
                reconnected_cb=reconnected,
                error_cb=heard,
            )
        )
        refusal = asyncio.ensure_future(refused.wait())
        try:
            await asyncio.wait(
                (connecting, refusal), timeout=settings.connect_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not connecting.done():
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)
                await self._client.close()
                raise AuthorizationError if refused.is_set() else self._heard[1] or TimeoutError
            connecting.result()
        finally:
            refusal.cancel()

    async def require_streams(self) -> None:
        """Raise `CollectorError` unless the streams are there and their leaders answer."""
        for name in (self.settings.name, self.settings.name + NOTES_SUFFIX):
            with self._reported():
                try:
                    await self._jetstream.get_last_msg(name, f"{self.settings.name}.batch.0")
                except NotFoundError as error:
                    if error.err_code == _NO_STREAM:
                        raise CollectorError(f"NATS has no stream {name}", _PREPARE) from error

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
        with self._reported():
            for stream in (batches, notes):
                try:
                    await self._jetstream.update_stream(stream)
                except NotFoundError:
                    await self._jetstream.add_stream(stream)
                await self._jetstream.add_consumer(str(stream.name), _consumer(consumer))

    async def subscribe(self, *, notes: bool = False) -> JetStreamContext.PullSubscription:
        """The durable consumer of batches, or of notes; any number of processes share it."""
        stream = self.settings.name + (NOTES_SUFFIX if notes else "")
        with self._reported():
            return await self._jetstream.pull_subscribe_bind(durable=DURABLE, stream=stream)

    # Gateways

    async def line(self, terminal: int) -> StreamLine:
        """Where the terminal's chain ends, as the stream's leader has it."""
        with self._reported():
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
        with self._reported():
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
        with self._reported():
            await self._jetstream.publish(subject, data, stream=self.settings.name + NOTES_SUFFIX)

    # Consumers

    async def trim(self, terminal: int, message: int) -> None:
        """Let go of the terminal's messages before `message`, which is in the database and stays."""
        with self._reported():
            await self._jetstream.purge_stream(
                self.settings.name, seq=message, subject=self._batches_of(terminal)
            )

    @contextmanager
    def _reported(self) -> Iterator[None]:
        heard, where = self._heard[0], f"NATS at {self.settings.shown_servers}"
        try:
            yield
        except AuthorizationError as error:
            raise CollectorError(
                f"{where} refuses {self.settings.asks_as or 'a connection without a user'}: authorization failed",
                "Check user and password (--nats-user, --nats-password-file) against `authorization` in nats.conf.",
            ) from error
        except (nats.errors.Error, OSError) as error:
            count, said = self._heard
            forbidden = said if isinstance(error, TimeoutError) and count > heard else None
            raise CollectorError(
                f"{where}: {str(forbidden or error) or type(error).__name__}",
                "Check that the cluster has a leader, room on its disks, the streams `terminal fleet prepare` makes, "
                "and what `authorization` in nats.conf lets this user do.",
            ) from error

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
