"""Who may come in now: how often an address may ask, how many uploads are taken at once, how slow a body may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from terminal.collector.callers import Callers, CallerStage, ConnectionShares, Proxies, caller_of, grouped
from terminal.collector.front import files_for
from terminal.collector.intake import Reply, refuse
from terminal.collector.limits import KnownAddresses, Limits, TokenBuckets
from terminal.sync.wire import RefusalCode

STORE_THREADS: Final = 4
"""The store takes one batch at a time; the others have their hashes and signatures checked meanwhile."""


def gate_of(
    limits: Limits, shares: ConnectionShares, proxies: Proxies, monotonic: Callable[[], float]
) -> Gate:
    """A gate before which no one has come yet."""
    return Gate(
        limits,
        Callers(shares.within(files_for), KnownAddresses(monotonic), monotonic, proxies),
        TokenBuckets(limits.address_per_s, limits.address_burst, monotonic),
        TokenBuckets(limits.stranger_per_s, limits.stranger_burst, monotonic),
    )


@dataclass(slots=True)
class Gate:
    """Who may come in now. Used in the event loop only.

    `in_hand` uploads are whole and with the store; `bodies` are still on their way.
    """

    limits: Limits
    callers: Callers
    addresses: TokenBuckets
    strangers: TokenBuckets
    in_hand: int = 0
    bodies: int = 0
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(STORE_THREADS))

    def paced(self, app: ASGIApp) -> ASGIApp:
        """`app`, for senders that do not ask too often: the others are refused before anything of theirs is read."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            wait_s = self._wait_s(address_of(scope)) if scope["type"] == "http" else 0
            if not wait_s:
                await app(scope, receive, send)
                return
            busy = respond(refuse(RefusalCode.BUSY, "Send less often.", retry_after_s=wait_s))
            await busy(scope, receive, send)

        return answer

    def _wait_s(self, address: str) -> int:
        wait_s = self.addresses.take(address)
        if not wait_s and address not in self.callers.known:
            wait_s = self.strangers.take(address)
        return wait_s

    def meet(self, scope: Scope, name: Hashable) -> None:
        """The sender has shown that it is terminal `name`, or `OPERATOR`."""
        self.callers.known.meet(address_of(scope))
        caller = caller_of(scope)
        if caller is not None:
            self.callers.identify(caller, name)

    @contextmanager
    def held(self, scope: Scope) -> Iterator[None]:
        """While a request waits for news: its connection may make room for another."""
        caller = caller_of(scope)
        if caller is None:
            yield
            return
        caller.held = True
        self.callers.enter(caller, CallerStage.HELD)
        try:
            yield
        finally:
            caller.held = False
            self.callers.enter(caller, CallerStage.SERVED)

    @contextmanager
    def body(self) -> Iterator[None]:
        """While a body is on its way."""
        self.bodies += 1
        try:
            yield
        finally:
            self.bodies -= 1

    @contextmanager
    def upload(self) -> Iterator[None]:
        """While an upload that is whole is being taken."""
        self.in_hand += 1
        try:
            yield
        finally:
            self.in_hand -= 1

    def pressure(self) -> Reply | None:
        """Why uploads are refused at present."""
        if self.bodies >= self.limits.bodies:
            return refuse(RefusalCode.UNAVAILABLE, "The collector has its hands full.", retry_after_s=1)
        if self.in_hand >= self.limits.in_hand:
            return refuse(RefusalCode.UNAVAILABLE, "The collector has its hands full.", retry_after_s=1)
        return None


async def body_of(request: Request, most_bytes: int, limits: Limits) -> bytes | Reply:
    """The body, or the refusal of one that is too long or too slow."""
    data, loop = bytearray(), asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(_body_may_take_s(0, limits)) as limit:
            async for piece in request.stream():
                data += piece
                if len(data) > most_bytes:
                    return refuse(RefusalCode.TOO_LARGE, f"Send at most {most_bytes} bytes at once.")
                limit.reschedule(began + _body_may_take_s(len(data), limits))
    except TimeoutError:
        advice = f"Send a whole request within {limits.body_s:g} seconds, {limits.body_per_s} bytes each."
        return refuse(RefusalCode.MALFORMED, advice)
    except ClientDisconnect:
        return refuse(RefusalCode.MALFORMED, "Send a whole request.")
    return bytes(data)


def _body_may_take_s(received: int, limits: Limits) -> float:
    """Until when the next bytes of a body must have come, counted from its beginning."""
    return min(limits.body_s, limits.body_free_s + received / limits.body_per_s)


def address_of(scope: Scope) -> str:
    """The sender's address as shares count it."""
    client = scope.get("client")
    return grouped(str(client[0])) if client else ""


def respond(reply: Reply) -> Response:
    """The HTTP response of a reply."""
    headers = {"retry-after": str(reply.retry_after_s)} if reply.retry_after_s else None
    return Response(reply.body, reply.status, headers, reply.content_type)
