"""The routes terminals use: batches in, enrolment, and whether the collector is alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.clock import Clock, unix_ms
from terminal.collector import tls
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.enrolment import Enrolment, short_of
from terminal.collector.intake import Intake, Reply, refuse
from terminal.collector.limits import DiskRoom, Limits, TokenBuckets
from terminal.collector.store import BY_TERMINAL, CollectorStore, Operation, OperationCode
from terminal.errors import CollectorError, TerminalError
from terminal.sync.enrolment import ENROLMENTS_PATH, EnrolmentReply, EnrolmentRequest, reply_proof
from terminal.sync.wire import BATCHES_PATH, MAX_BATCH_BYTES, RefusalCode

HEALTH_PATH: Final = "/v1/health"
COLLECTOR_OK: Final = "ok"
"""The status in health, unless there is a cause for alarm."""
MAX_REQUEST_BYTES: Final = 4_096
JSON: Final = "application/json"
STORE_THREADS: Final = 4
"""The store takes one batch at a time; the others have their hashes and signatures checked meanwhile."""

T = TypeVar("T")


@dataclass(slots=True)
class Gate:
    """Who may come in now. Used in the event loop only."""

    limits: Limits
    room: DiskRoom
    addresses: TokenBuckets
    in_hand: int = 0
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(STORE_THREADS))

    def refusal(self, request: Request) -> Reply | None:
        """Why this request must wait, before a byte of its body is read."""
        address = request.client.host if request.client else ""
        if wait_s := self.addresses.take(address):
            return refuse(RefusalCode.BUSY, "Send less often.", retry_after_s=wait_s)
        return None

    def pressure(self) -> Reply | None:
        """Why uploads are refused at present."""
        if not self.room.enough:
            advice = "The collector's disk is nearly full; the operator has been alarmed."
            return refuse(RefusalCode.UNAVAILABLE, advice, retry_after_s=self.limits.full_wait_s)
        if self.in_hand >= self.limits.in_hand:
            return refuse(RefusalCode.UNAVAILABLE, "The collector has its hands full.", retry_after_s=1)
        return None


@dataclass(frozen=True, slots=True)
class TerminalSide:
    """What the routes for terminals work with. `collector_key` is the raw public key acknowledgements verify with."""

    intake: Intake
    store: CollectorStore
    enrolment: Enrolment
    gate: Gate
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
        refused = self.gate.refusal(request) or self.gate.pressure()
        if refused is not None:
            if not self.gate.room.enough:
                await self._thread(self._note_full_disk)
            return respond(refused)
        self.gate.in_hand += 1
        try:
            data = await body_of(request, MAX_BATCH_BYTES, self.gate.limits.body_s)
            if isinstance(data, Reply):
                return respond(data)
            certified = tls.terminal_of(request.scope) if self.certificates else None
            reply = await self._thread(partial(self.intake.take, data, certified))
        finally:
            self.gate.in_hand -= 1
        if reply.status == 200:
            self.arrived()
        return respond(reply)

    async def enrol(self, request: Request) -> Response:
        if refused := self.gate.refusal(request):
            return respond(refused)
        data = await body_of(request, MAX_REQUEST_BYTES, self.gate.limits.body_s)
        if isinstance(data, Reply):
            return respond(data)
        try:
            asked = msgspec.convert(_whole(msgspec.json.decode(data)), EnrolmentRequest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return respond(refuse(RefusalCode.MALFORMED, f"Send a request to enrol: {error}."))
        certified = tls.terminal_of(request.scope) if self.certificates else None
        return respond(await self._thread(partial(self._enrol, asked, certified)))

    async def health(self, _: Request) -> Response:
        return respond(await self._thread(self._health))

    def _enrol(self, asked: EnrolmentRequest, certified: int | None) -> Reply:
        at_ms = self._now_ms()
        try:
            known = self.enrolment.key_of(asked.terminal) is not None
            code = None
            if certified in (None, asked.terminal):
                code = self.enrolment.redeem(asked, at_ms)
            if code is None:
                self.store.keep_alarm(
                    Alarm(AlarmKind.ENROLMENT_REFUSED, asked.terminal, 0, AlarmCause.CODE_REFUSED), at_ms
                )
                return refuse(RefusalCode.UNKNOWN_TERMINAL, "Ask the operator for a new code.")
            key = self.enrolment.key_of(asked.terminal)
            assert key is not None, "it has just been put there"
            done = OperationCode.KEY_REPLACED_BY_CODE if known else OperationCode.ENROLLED_BY_CODE
            self.store.note(Operation(at_ms, asked.terminal, done, short_of(key), BY_TERMINAL))
        except TerminalError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice)
        proof = reply_proof(code, asked.terminal, bytes.fromhex(asked.public_key), self.collector_key)
        reply = EnrolmentReply(asked.terminal, self.collector_key.hex(), proof)
        return Reply(201, msgspec.json.encode(reply), JSON)

    def _health(self) -> Reply:
        try:
            states = self.store.terminals()
            health = {
                "status": COLLECTOR_OK if self.gate.room.enough else AlarmCause.DISK_NEARLY_FULL,
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


async def body_of(request: Request, most_bytes: int, most_s: float) -> bytes | Reply:
    """The body, or the refusal of one that is too long or too slow."""
    data = bytearray()
    try:
        async with asyncio.timeout(most_s):
            async for piece in request.stream():
                data += piece
                if len(data) > most_bytes:
                    return refuse(RefusalCode.TOO_LARGE, f"Send at most {most_bytes} bytes at once.")
    except TimeoutError:
        return refuse(RefusalCode.MALFORMED, f"Send a whole request within {most_s:g} seconds.")
    except ClientDisconnect:
        return refuse(RefusalCode.MALFORMED, "Send a whole request.")
    return bytes(data)


def respond(reply: Reply) -> Response:
    """The HTTP response of a reply."""
    headers = {"retry-after": str(reply.retry_after_s)} if reply.retry_after_s else None
    return Response(reply.body, reply.status, headers, reply.content_type)
