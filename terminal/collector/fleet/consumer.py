"""From the stream into the database: a group of messages is one transaction, confirmed to NATS after its commit.

A consumer that dies before the commit has stored nothing, one that dies after it has its messages delivered again,
and the database sees that they are held. Any number of consumers may run.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeAlias

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from terminal.clock import unix_ms
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.fleet.database import FleetDatabase
from terminal.collector.fleet.settings import ConsumerSettings
from terminal.collector.fleet.shelving import Arrival
from terminal.collector.fleet.stream import AlarmNote, FleetStream, NoteKind, note_kind
from terminal.collector.strangers import StrangerCount
from terminal.decoding import decode_msgpack
from terminal.errors import CollectorError
from terminal.sync.wire import Malformed

LATE_DELIVERIES: Final = 10
"""So often a batch may come before its predecessor until that is an alarm."""
FIRST_PAUSE_S: Final = 0.5
LAST_PAUSE_S: Final = 20.0

log: Final = logging.getLogger(__name__)

Task: TypeAlias = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class Consumer:
    """Runs until it is stopped; the loss of either server is waited out."""

    def __init__(self, stream: FleetStream, dsn: str, settings: ConsumerSettings) -> None:
        self._stream = stream
        self._dsn = dsn
        self._settings = settings
        self._newest: dict[int, int] = {}
        self.stored_rows = 0

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None] = lambda: None) -> None:
        """Raises `CollectorError` when a server cannot be reached at the start, never later."""
        work = [await self._open(notes=notes) for notes in (False, True)]
        on_ready()
        async with asyncio.TaskGroup() as group:
            for worker in work:
                group.create_task(worker(stop))
            group.create_task(self._keep_trimming(stop))

    async def _open(self, *, notes: bool) -> Task:
        subscription = await self._stream.subscribe(notes=notes)
        database = await FleetDatabase.open(self._dsn)
        handle = self._notes if notes else self._batches

        async def worker(stop: asyncio.Event) -> None:
            nonlocal database
            pause_s = FIRST_PAUSE_S
            while not stop.is_set():
                messages = await self._fetch(subscription, stop)
                try:
                    await handle(database, messages)
                    pause_s = FIRST_PAUSE_S
                except CollectorError as error:
                    log.warning("%s", error)
                    await self._again(messages, pause_s)
                    await _wait(stop, pause_s * random.uniform(0.5, 1.0))  # noqa: S311 spreads load, no secret
                    pause_s = min(pause_s * 2, LAST_PAUSE_S)
                    database = await self._reopened(database)
            await database.close()

        return worker

    async def _reopened(self, database: FleetDatabase) -> FleetDatabase:
        await database.close()
        try:
            return await FleetDatabase.open(self._dsn)
        except CollectorError as error:
            log.warning("%s", error)
            return database  # closed: the next group fails at once, and is tried again later

    async def _fetch(
        self, subscription: JetStreamContext.PullSubscription, stop: asyncio.Event
    ) -> Sequence[Msg]:
        try:
            return await subscription.fetch(self._settings.messages, timeout=self._settings.idle_s)
        except (TimeoutError, nats.errors.TimeoutError):
            return ()
        except (nats.errors.Error, OSError) as error:
            log.warning("NATS: %s", error or type(error).__name__)
            await _wait(stop, FIRST_PAUSE_S)
            return ()

    async def _again(self, messages: Sequence[Msg], delay_s: float) -> None:
        """Give messages back; without an answer they come again by themselves."""
        for message in messages:
            try:
                await message.nak(delay=delay_s)
            except (nats.errors.Error, OSError) as error:
                log.warning("NATS: %s", error or type(error).__name__)
                return

    async def _confirm(self, messages: Sequence[Msg]) -> None:
        """Only after the commit. A confirmation that is lost costs a second delivery."""
        for message in messages:
            try:
                await message.ack()
            except (nats.errors.Error, OSError) as error:
                log.warning("NATS: %s", error or type(error).__name__)
                return

    async def _batches(self, database: FleetDatabase, messages: Sequence[Msg]) -> None:
        arrivals, by_number = await self._readable(database, messages)
        if not arrivals:
            return
        done = await database.store(arrivals)
        self.stored_rows += len(done.rows)
        late = [by_number[arrival.number] for arrival in done.late]
        await self._say_gaps(database, done.late, by_number)
        await self._confirm([by_number[a.number] for a in arrivals if by_number[a.number] not in late])
        await self._again(late, self._settings.again_s)
        for arrival in done.stored:
            self._newest[arrival.terminal] = max(self._newest.get(arrival.terminal, 0), arrival.number)

    async def _say_gaps(
        self, database: FleetDatabase, late: Sequence[Arrival], by_number: dict[int, Msg]
    ) -> None:
        """Gateways leave no gap, so one that lasts means that the database lost rows: an old back-up was restored."""
        lasting = [a for a in late if by_number[a.number].metadata.num_delivered >= LATE_DELIVERIES]
        alarms: dict[int, tuple[Alarm, int]] = {}
        for arrival in lasting:
            detail = detail_of(AlarmCause.ROWS_NOT_STORED, first=arrival.batch.first)
            alarm = Alarm(AlarmKind.GAP, arrival.terminal, arrival.batch.first, detail)
            alarms.setdefault(arrival.terminal, (alarm, arrival.at_ms))
        if alarms:
            await database.keep_alarms(alarms.values())

    async def _notes(self, database: FleetDatabase, messages: Sequence[Msg]) -> None:
        kinds = [note_kind(message.subject) for message in messages]
        copies = [message for message, kind in zip(messages, kinds, strict=True) if kind is NoteKind.COPY]
        for message, kind in zip(messages, kinds, strict=True):
            if kind is not NoteKind.COPY:
                await self._said(database, message, kind)
        arrivals, by_number = await self._readable(database, copies)
        ready: list[Arrival] = []
        early: list[Arrival] = []
        for arrival in arrivals:  # a copy stores nothing: its rows must be there before it can be compared
            held = await database.head(arrival.terminal)
            (ready if arrival.batch.last <= held.sequence else early).append(arrival)
        if ready:
            await database.store(ready)
            await self._confirm([by_number[arrival.number] for arrival in ready])
        await self._again([by_number[arrival.number] for arrival in early], self._settings.again_s)

    async def _said(self, database: FleetDatabase, message: Msg, kind: NoteKind) -> None:
        """Keep an alarm, or what strangers tried; what is neither is put aside."""
        try:
            if kind is NoteKind.ALARM:
                note = decode_msgpack(message.data, AlarmNote)
                alarm = Alarm(AlarmKind(note.kind), note.terminal, note.sequence, note.detail)
                await database.keep_alarms([(alarm, note.at_ms)])
            else:
                await database.keep_strangers(decode_msgpack(message.data, list[StrangerCount]))
        except ValueError as error:  # a decoding error is one as well
            meta = message.metadata
            number, at_ms = meta.sequence.stream, unix_ms(meta.timestamp)
            await database.refuse(meta.stream, number, f"malformed: {error}", message.data, at_ms)
        await self._confirm([message])

    async def _readable(
        self, database: FleetDatabase, messages: Sequence[Msg]
    ) -> tuple[list[Arrival], dict[int, Msg]]:
        """The messages that are batches, in the order of the stream; what is none is put aside."""
        arrivals: list[Arrival] = []
        by_number: dict[int, Msg] = {}
        for message in messages:
            meta = message.metadata
            number, at_ms = meta.sequence.stream, unix_ms(meta.timestamp)
            try:
                arrivals.append(Arrival.parse(meta.stream, number, at_ms, message.data))
                by_number[number] = message
            except Malformed as error:
                await database.refuse(meta.stream, number, f"malformed: {error}", message.data, at_ms)
                await self._confirm([message])
        arrivals.sort(key=lambda arrival: arrival.number)
        return arrivals, by_number

    async def _keep_trimming(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await _wait(stop, self._settings.trim_s)
            await self.trim()

    async def trim(self) -> None:
        """Let the messages go that are stored, but for each terminal's newest."""
        newest, self._newest = self._newest, {}
        for terminal, number in newest.items():
            try:
                await self._stream.trim(terminal, number)
            except CollectorError as error:
                log.warning("%s", error)
                self._newest = newest | self._newest
                return


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
