"""The routes terminals use: batches in, their identity, and whether the collector is alive."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.clock import Clock, unix_ms
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.gate import Gate, address_of, body_of, respond
from terminal.collector.identity_routes import JSON, IdentitySide
from terminal.collector.intake import Intake, Reply, refuse
from terminal.collector.limits import DiskRoom
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError
from terminal.sync.failed_start import FAILED_STARTS_PATH, FailedStart
from terminal.sync.wire import BATCHES_PATH, MAX_BATCH_BYTES, RefusalCode

HEALTH_PATH: Final = "/v1/health"
COLLECTOR_OK: Final = "ok"
"""The status in health, unless there is a cause for alarm."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TerminalSide:
    """What the routes for terminals work with. With `certificates` batches are taken only over a connection that shows
    the certificate of their terminal.
    """

    identity: IdentitySide
    intake: Intake
    store: CollectorStore
    room: DiskRoom
    behind: Callable[[], int]
    arrived: Callable[[], None]
    certificates: bool = False

    @property
    def gate(self) -> Gate:
        return self.identity.gate

    @property
    def clock(self) -> Clock:
        return self.identity.clock

    def routes(self) -> list[Route]:
        return [
            Route(BATCHES_PATH, self.batches, methods=["POST"]),
            *self.identity.routes(),
            Route(FAILED_STARTS_PATH, self.failed_start, methods=["POST"]),
            Route(HEALTH_PATH, self.health, methods=["GET"]),
        ]

    async def batches(self, request: Request) -> Response:
        if not self.room.enough:
            await self._thread(self._note_full_disk)
            advice = "The collector's disk is nearly full; the operator has been alarmed."
            wait_s = self.gate.limits.full_wait_s
            return respond(refuse(RefusalCode.UNAVAILABLE, advice, retry_after_s=wait_s))
        if refused := self.gate.pressure():
            return respond(refused)
        with self.gate.body():
            data = await body_of(request, MAX_BATCH_BYTES, self.gate.limits)
        if isinstance(data, Reply):
            return respond(data)
        if refused := self.gate.pressure():
            return respond(refused)
        certified = self.identity.certified(request) if self.certificates else None
        with self.gate.upload():
            reply = await self._thread(partial(self.intake.take, data, certified, address_of(request.scope)))
        if reply.status == 200:
            self.arrived()
        return self.identity.met(request, reply)

    async def failed_start(self, request: Request) -> Response:
        said = await self.identity.asked(request, FailedStart)
        if isinstance(said, Response):
            return said
        reply = await self._thread(partial(self.intake.failed_start, said, address_of(request.scope)))
        return self.identity.met(request, reply)

    async def health(self, _: Request) -> Response:
        return respond(await self._thread(self._health))

    def _health(self) -> Reply:
        try:
            states = self.store.terminals()
            health = {
                "status": COLLECTOR_OK if self.room.enough else AlarmCause.DISK_NEARLY_FULL,
                "terminals": len(states),
                "records": sum(state.rows for state in states),
                "alarms": self.store.open_alarms(),
                "behind": self.behind(),
            }
        except CollectorError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice)
        return Reply(200, msgspec.json.encode(health), JSON)

    def _note_full_disk(self) -> None:
        now = self.clock.now()
        detail = detail_of(AlarmCause.DISK_NEARLY_FULL, day=now.date().isoformat())
        with suppress(CollectorError):  # on a full disk even this may fail; health says it too
            self.store.keep_findings([Alarm(AlarmKind.DISK, 0, 0, detail)], unix_ms(now))

    async def _thread(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.gate.threads)
