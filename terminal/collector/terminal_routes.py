"""The routes terminals use: batches in, enrolment, and whether the collector is alive."""

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
from terminal.collector import tls
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.enrolment import Enrolment, short_of
from terminal.collector.gate import Gate, address_of, body_of, respond
from terminal.collector.intake import Intake, Reply, refuse
from terminal.collector.limits import DiskRoom
from terminal.collector.store import BY_TERMINAL, CollectorStore, Operation, OperationCode
from terminal.collector.strangers import Strangers
from terminal.decoding import decode_json
from terminal.errors import CollectorError, TerminalError
from terminal.sync.enrolment import ENROLMENTS_PATH, EnrolmentReply, EnrolmentRequest, reply_proof
from terminal.sync.wire import BATCHES_PATH, MAX_BATCH_BYTES, RefusalCode

HEALTH_PATH: Final = "/v1/health"
COLLECTOR_OK: Final = "ok"
"""The status in health, unless there is a cause for alarm."""
MAX_REQUEST_BYTES: Final = 4_096
JSON: Final = "application/json"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TerminalSide:
    """What the routes for terminals work with. `collector_key` is the raw public key acknowledgements verify with."""

    intake: Intake
    store: CollectorStore
    enrolment: Enrolment
    strangers: Strangers
    gate: Gate
    room: DiskRoom
    clock: Clock
    collector_key: bytes
    behind: Callable[[], int]
    arrived: Callable[[], None]
    certificates: bool = False

    def routes(self) -> list[Route]:
        return [
            Route(BATCHES_PATH, self.batches, methods=["POST"]),
            Route(ENROLMENTS_PATH, self.enrol, methods=["POST"]),
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
        certified = tls.terminal_of(request.scope) if self.certificates else None
        with self.gate.upload():
            reply = await self._thread(partial(self.intake.take, data, certified, address_of(request.scope)))
        if reply.genuine:
            self.gate.meet(request.scope, reply.genuine)
        if reply.status == 200:
            self.arrived()
        return respond(reply)

    async def enrol(self, request: Request) -> Response:
        data = await body_of(request, MAX_REQUEST_BYTES, self.gate.limits)
        if isinstance(data, Reply):
            return respond(data)
        try:
            asked = msgspec.convert(_whole(decode_json(data, object)), EnrolmentRequest)
        except msgspec.DecodeError as error:
            return respond(refuse(RefusalCode.MALFORMED, f"Send a request to enrol: {error}."))
        certified = tls.terminal_of(request.scope) if self.certificates else None
        reply = await self._thread(partial(self._enrol, asked, certified, address_of(request.scope)))
        if reply.genuine:
            self.gate.meet(request.scope, reply.genuine)
        return respond(reply)

    async def health(self, _: Request) -> Response:
        return respond(await self._thread(self._health))

    def _enrol(self, asked: EnrolmentRequest, certified: int | None, address: str) -> Reply:
        at_ms = self._now_ms()
        try:
            known = self.enrolment.key_of(asked.terminal) is not None
            code = None
            if certified in (None, asked.terminal):
                code = self.enrolment.redeem(asked, at_ms)
            if code is None:
                cause = AlarmCause.CODE_REFUSED
                self.strangers.note(AlarmKind.ENROLMENT_REFUSED, address, asked.terminal, cause, at_ms)
                return refuse(RefusalCode.UNKNOWN_TERMINAL, "Ask the operator for a new code.")
            key = self.enrolment.key_of(asked.terminal)
            assert key is not None, "it has just been put there"
            done = OperationCode.KEY_REPLACED_BY_CODE if known else OperationCode.ENROLLED_BY_CODE
            self.store.note(Operation(at_ms, asked.terminal, done, short_of(key), BY_TERMINAL))
        except TerminalError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice)
        proof = reply_proof(code, asked.terminal, bytes.fromhex(asked.public_key), self.collector_key)
        reply = EnrolmentReply(asked.terminal, self.collector_key.hex(), proof)
        return Reply(201, msgspec.json.encode(reply), JSON, genuine=asked.terminal)

    def _health(self) -> Reply:
        try:
            states = self.store.terminals()
            health = {
                "status": COLLECTOR_OK if self.room.enough else AlarmCause.DISK_NEARLY_FULL,
                "terminals": len(states),
                "records": sum(state.sequence for state in states),
                "alarms": self.store.open_alarms(),
                "behind": self.behind(),
            }
        except CollectorError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice)
        return Reply(200, msgspec.json.encode(health), JSON)

    def _note_full_disk(self) -> None:
        detail = detail_of(AlarmCause.DISK_NEARLY_FULL, day=self.clock.now().date().isoformat())
        with suppress(CollectorError):  # on a full disk even this may fail; health says it too
            self.store.keep_findings([Alarm(AlarmKind.DISK, 0, 0, detail)], self._now_ms())

    async def _thread(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.gate.threads)

    def _now_ms(self) -> int:
        return unix_ms(self.clock.now())


def _whole(fields: object) -> object:
    """JSON knows one kind of number: 7.0 is the terminal 7."""
    number = fields.get("terminal") if isinstance(fields, dict) else None
    if isinstance(fields, dict) and isinstance(number, float) and number.is_integer():
        return {**fields, "terminal": int(number)}
    return fields
