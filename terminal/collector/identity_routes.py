"""The routes by which terminals get and renew their identity, of a collector and of a fleet's gateways alike: enrolment
with a code, renewal, and the word of a terminal that does not start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from terminal.collector.alarms import AlarmCause, AlarmKind
from terminal.collector.enrolment import Enrolment, Granted, short_of
from terminal.collector.gate import Gate, address_of, body_of, respond
from terminal.collector.intake import Reply, refuse
from terminal.collector.store import BY_TERMINAL, Operation, OperationCode
from terminal.collector.strangers import Strangers
from terminal.decoding import decode_json
from terminal.errors import KeyFileError, TerminalError
from terminal.sealed_box import seal_to
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
from terminal.sync.wire import RefusalCode

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

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class IdentitySide:
    """What these routes work with. `key` signs answers to renewals; `note` keeps what was done about a terminal. Both
    work in threads, and raise `CollectorError` when a disk or a database fails.
    """

    enrolment: Enrolment
    strangers: Strangers
    gate: Gate
    clock: Clock
    key: Ed25519PrivateKey
    note: Callable[[Operation], None]

    def routes(self) -> list[Route]:
        return [
            Route(ENROLMENTS_PATH, self.enrol, methods=["POST"]),
            Route(RENEWALS_PATH, self.renew, methods=["POST"]),
        ]

    async def enrol(self, request: Request) -> Response:
        asked = await self.asked(request, EnrolmentRequest)
        return (
            asked if isinstance(asked, Response) else await self._answer(request, partial(self._enrol, asked))
        )

    async def renew(self, request: Request) -> Response:
        asked = await self.asked(request, RenewalRequest)
        return (
            asked if isinstance(asked, Response) else await self._answer(request, partial(self._renew, asked))
        )

    async def asked(self, request: Request, kind: type[A]) -> A | Response:
        """A small signed request, or its refusal. It needs no certificate: the one in use may have ended."""
        data = await body_of(request, MAX_REQUEST_BYTES, self.gate.limits)
        if isinstance(data, Reply):
            return respond(data)
        try:
            return msgspec.convert(_whole(decode_json(data, object)), kind)
        except msgspec.DecodeError as error:
            return respond(
                refuse(RefusalCode.MALFORMED, f"Send such a request as this software does: {error}.")
            )

    def met(self, request: Request, reply: Reply) -> Response:
        """The response; a sender that has shown which terminal it is is no stranger any more."""
        if reply.genuine:
            self.gate.meet(request.scope, reply.genuine)
        return respond(reply)

    def certified(self, request: Request) -> int:
        """The terminal whose certificate counts and was shown; `NO_TERMINAL` for any other, or none."""
        shown = tls.certificate_of(request.scope)
        named = tls.whose(shown) if shown else tls.NO_TERMINAL
        try:
            counts = named != tls.NO_TERMINAL and self.enrolment.holds_certificate(named, shown or b"")
        except KeyFileError:
            return named  # who checks the signature says what is wrong with its record
        return named if counts else tls.NO_TERMINAL

    async def _answer(self, request: Request, answer: Callable[[str], Reply]) -> Response:
        address = address_of(request.scope)
        reply = await anyio.to_thread.run_sync(partial(answer, address), limiter=self.gate.threads)
        return self.met(request, reply)

    def _enrol(self, asked: EnrolmentRequest, address: str) -> Reply:
        at_ms = self._now_ms()
        try:
            found = self.enrolment.redeem(asked, at_ms)
            if not isinstance(found, Granted):
                if found is RefusalCode.CODE_REFUSED:  # who has the code is no stranger
                    self._strange(asked.terminal, address, at_ms)
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
                self._strange(asked.terminal, address, at_ms)
                return refuse(found, ADVICE[found])
            self._note(asked.terminal, found, OperationCode.RENEWED, at_ms)
        except TerminalError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice)
        sealed, own = self._sealed(found, asked.digest), self.key.public_key().public_bytes_raw()
        signature = self.key.sign(reply_digest(asked.digest, own, sealed))
        return self._granted(asked.terminal, sealed, signature.hex())

    def _strange(self, terminal: int, address: str, at_ms: int) -> None:
        cause = AlarmCause.CODE_REFUSED
        self.strangers.note(AlarmKind.ENROLMENT_REFUSED, address, terminal, cause, at_ms)

    def _note(self, terminal: int, found: Granted, done: OperationCode, at_ms: int) -> None:
        if not found.again:
            self.note(Operation(at_ms, terminal, done, short_of(found.keys.key), BY_TERMINAL))

    @staticmethod
    def _sealed(found: Granted, digest: bytes) -> bytes:
        made = Certified(found.keys.certificate, found.keys.until_ms)
        return seal_to(bytes.fromhex(found.keys.sealing), msgspec.json.encode(made), digest)

    def _granted(self, terminal: int, sealed: bytes, proof: str) -> Reply:
        own = self.key.public_key().public_bytes_raw().hex()
        body = msgspec.json.encode(IdentityReply(terminal, own, sealed.hex(), proof))
        return Reply(201, body, JSON, genuine=terminal)

    def _now_ms(self) -> int:
        return unix_ms(self.clock.now())


def _whole(fields: object) -> object:
    """JSON knows one kind of number: 7.0 is the terminal 7."""
    if not isinstance(fields, dict):
        return fields
    whole = {name: int(n) for name, n in fields.items() if isinstance(n, float) and n.is_integer()}
    return {**fields, **whole}
