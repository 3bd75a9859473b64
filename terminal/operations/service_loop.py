"""systemd and a service that runs on an event loop: ready, alive while the loop turns, stopping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from terminal.operations.notify import PINGS_PER_DEADLINE, ServiceManager


@asynccontextmanager
async def watched(manager: ServiceManager, status: str) -> AsyncIterator[None]:
    """Tell `manager` that the service is ready, and that its loop turns as long as the block runs."""
    manager.ready(status)
    pings = None if manager.watchdog_s is None else asyncio.create_task(_ping(manager, manager.watchdog_s))
    try:
        yield
    finally:
        if pings is not None:
            pings.cancel()
        manager.stopping()
        manager.close()


async def _ping(manager: ServiceManager, deadline_s: float) -> None:
    while True:
        manager.alive()
        await asyncio.sleep(deadline_s / PINGS_PER_DEADLINE)
