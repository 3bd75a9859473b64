"""The routes terminals use: batches in, enrolment, and whether the collector is alive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar

import anyio.to_thread
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.clock import Clock, unix_ms
from terminal.collector import tls
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.enrolment import Enrolment, Granted, short_of
from terminal.collector.gate import Gate, address_of, body_of, respond
from terminal.collector.intake import Intake, Reply, refuse
from terminal.collector.limits import DiskRoom
from terminal.collector.store import BY_TERMINAL, CollectorStore, Operation, OperationCode
from terminal.collector.strangers import Strangers
from terminal.decoding import decode_json
from terminal.errors import CollectorError, KeyFileError, TerminalError
from terminal.sync.enrolment import (
    ENROLMENTS_PATH,
    MAX_REQUEST_BYTES,
    RENEWALS_PATH,
    Certified,
    EnrolmentRequest,
    IdentityReply,
    RenewalRequest,
    reply_digest,
    reply_proof,
)
from terminal.sync.failed_start import FAILED_STARTS_PATH, FailedStart
from terminal.sync.sealed import seal_to
from terminal.sync.wire import BATCHES_PATH, MAX_BATCH_BYTES, RefusalCode

HEALTH_PATH: Final = "/v1/health"
COLLECTOR_OK: Final = "ok"
"""The status in health, unless there is a cause for alarm."""
JSON: Final = "application/json"

ADVICE: Final[Mapping[RefusalCode, str]] = MappingProxyType(
    {
        RefusalCode.CODE_REFUSED: "Check number and code, or ask the operator for a new code.",
        RefusalCode.CODE_EXPIRED: "The code was good for a day: ask the operator for a new one.",
        RefusalCode.CODE_SPENT: "The code was good once, and another request used it: ask the operator for a new one.",
        RefusalCode.KEYS_UNPROVEN: "Send keys that are the sender's own, as this software does.",
        RefusalCode.KEYS_OUTDATED: "These keys are not in force: ask the operator for a code and enrol again.",
        RefusalCode.RENEWAL_TOO_LATE: "The certificate ended too long ago: enrol again, with a new code.",
        RefusalCode.UNKNOWN_TERMINAL: "Not enrolled, or revoked: ask the operator for a code.",
    }
)
"""What the terminal's staff should do about a refused enrolment or renewal."""

T = TypeVar("T")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class TerminalSide:
    """What the routes for terminals work with. `key` signs acknowledgements and answers to renewals; with
    `certificates` batches are taken only over a connection that shows the certificate of their terminal.
    """

    intake: Intake
    store: CollectorStore
    enrolment: Enrolment
    strangers: Strangers
    gate: Gate
    room: DiskRoom
    clock: Clock
    key: Ed25519PrivateKey
    behind: Callable[[], int]
    arrived: Callable[[], None]
    certificates: bool = False

    def routes(self) -> list[Route]:
        return [
            Route(BATCHES_PATH, self.batches, methods=["POST"]),
            Route(ENROLMENTS_PATH, self.enrol, methods=["POST"]),
            Route(RENEWALS_PATH, self.renew, methods=["POST"]),
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
        certified = self._certified(request) if self.certificates else None
        with self.gate.upload():
            reply = await self._thread(partial(self.intake.take, data, certified, address_of(request.scope)))
        if reply.genuine:
            self.gate.meet(request.scope, reply.genuine)
        if reply.status == 200:
            self.arrived()
        return respond(reply)

    async def enrol(self, request: Request) -> Response:
        return await self._asked(request, EnrolmentRequest, self._enrol)

    async def renew(self, request: Request) -> Response:
        return await self._asked(request, RenewalRequest, self._renew)

    async def failed_start(self, request: Request) -> Response:
        return await self._asked(request, FailedStart, self.intake.failed_start)

    async def _asked(self, request: Request, kind: type[A], answer: Callable[[A, str], Reply]) -> Response:
        """The answer to a small signed request. It needs no certificate: the one in use may have ended."""
        data = await body_of(request, MAX_REQUEST_BYTES, self.gate.limits)
        if isinstance(data, Reply):
            return respond(data)
        try:
            asked = msgspec.convert(_whole(decode_json(data, object)), kind)
        except msgspec.DecodeError as error:
            return respond(
                refuse(RefusalCode.MALFORMED, f"Send such a request as this software does: {error}.")
            )
        reply = await self._thread(partial(answer, asked, address_of(request.scope)))
        if reply.genuine:
            self.gate.meet(request.scope, reply.genuine)
        return respond(reply)

    def _certified(self, request: Request) -> int:
        """The terminal whose certificate counts and was shown; `NO_TERMINAL` for any other, or none."""
        shown = tls.certificate_of(request.scope)
        named = tls.whose(shown) if shown else tls.NO_TERMINAL
        try:
            counts = named != tls.NO_TERMINAL and self.enrolment.holds_certificate(named, shown or b"")
        except KeyFileError:
            return named  # the intake says what is wrong with its record
        return named if counts else tls.NO_TERMINAL

    async def health(self, _: Request) -> Response:
        return respond(await self._thread(self._health))

    def _enrol(self, asked: EnrolmentRequest, address: str) -> Reply:
        at_ms = self._now_ms()
        try:
            found = self.enrolment.redeem(asked, at_ms)
            if not isinstance(found, Granted):
                if found is RefusalCode.CODE_REFUSED:  # who has the code is no stranger
                    cause = AlarmCause.CODE_REFUSED
                    self.strangers.note(AlarmKind.ENROLMENT_REFUSED, address, asked.terminal, cause, at_ms)
                return refuse(found, ADVICE[found])
            done = OperationCode.KEY_REPLACED_BY_CODE if found.replaced else OperationCode.ENROLLED_BY_CODE
            self._note(asked.terminal, found, done, at_ms)
        except TerminalError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice)
        sealed, own = self._sealed(found, asked.digest), self.key.public_key().public_bytes_raw()
        return self._granted(asked.terminal, sealed, reply_proof(found.code, asked.digest, own, sealed))

    def _renew(self, asked: RenewalRequest, address: str) -> Reply:
        at_ms = self._now_ms()
        try:
            found = self.enrolment.renew(asked, at_ms)
            if not isinstance(found, Granted):
                cause = AlarmCause.CODE_REFUSED
                self.strangers.note(AlarmKind.ENROLMENT_REFUSED, address, asked.terminal, cause, at_ms)
                return refuse(found, ADVICE[found])
            self._note(asked.terminal, found, OperationCode.RENEWED, at_ms)
        except TerminalError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice)
        sealed, own = self._sealed(found, asked.digest), self.key.public_key().public_bytes_raw()
        signature = self.key.sign(reply_digest(asked.digest, own, sealed))
        return self._granted(asked.terminal, sealed, signature.hex())

    def _note(self, terminal: int, found: Granted, done: OperationCode, at_ms: int) -> None:
        if not found.again:
            self.store.note(Operation(at_ms, terminal, done, short_of(found.keys.key), BY_TERMINAL))

    @staticmethod
    def _sealed(found: Granted, digest: bytes) -> bytes:
        made = Certified(found.keys.certificate, found.keys.until_ms)
        return seal_to(bytes.fromhex(found.keys.sealing), msgspec.json.encode(made), digest)

    def _granted(self, terminal: int, sealed: bytes, proof: str) -> Reply:
        own = self.key.public_key().public_bytes_raw().hex()
        body = msgspec.json.encode(IdentityReply(terminal, own, sealed.hex(), proof))
        return Reply(201, body, JSON, genuine=terminal)

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
        detail = detail_of(AlarmCause.DISK_NEARLY_FULL, day=self.clock.now().date().isoformat())
        with suppress(CollectorError):  # on a full disk even this may fail; health says it too
            self.store.keep_findings([Alarm(AlarmKind.DISK, 0, 0, detail)], self._now_ms())

    async def _thread(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.gate.threads)

    def _now_ms(self) -> int:
        return unix_ms(self.clock.now())


def _whole(fields: object) -> object:
    """JSON knows one kind of number: 7.0 is the terminal 7."""
    if not isinstance(fields, dict):
        return fields
    whole = {name: int(n) for name, n in fields.items() if isinstance(n, float) and n.is_integer()}
    return {**fields, **whole}
