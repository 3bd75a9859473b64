"""A feed as server-sent events, with a heartbeat that lets the page notice silence.

    async def events(request: Request) -> Response:
        return event_stream(request, feed, lambda value: {"kind": value.kind})

    const stream = new EventSource("events");                  // in the page; it reconnects by itself
    stream.onmessage = event => show(JSON.parse(event.data));   // each value, in order
    stream.addEventListener("heartbeat", heard);                // at least every half second
    stream.addEventListener("gap", () => location.reload());    // the page was too slow and missed some

`static/live.js` has this in a function, with the two seconds after which a terminal counts as silent.
A page that comes back sends its last event id and gets what it missed. One that comes for the first time gets the
newest value (or the newest few), or with `?after=POSITION` (`feed.position` when it was rendered) everything since.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse

from terminal.screen.feed import EventFeed

T = TypeVar("T")

HEARTBEAT_S: Final = 0.5
"""A page that hears nothing for 2 s shows *out of order*, so three of these may be late."""

RETRY_MS: Final = 400
"""How soon a page tries again after the connection was lost."""

HEARTBEAT: Final = b"event: heartbeat\ndata: %d\n\n"
"""With how long the terminal has been silent, in milliseconds."""

STOPPING: Final = "screen.stopping"
"""In a request's scope: whether the server is about to stop (`ScreenServer`)."""


def event_stream(
    request: Request,
    feed: EventFeed[T],
    encode: Callable[[T], Any],
    *,
    quiet_ms: Callable[[], int] = lambda: 0,
    replay: int = 1,
) -> StreamingResponse:
    """Everything published in `feed`, as JSON of what `encode` makes of it, until the page leaves.

    `encode` runs on the server's thread. `quiet_ms` is how long the terminal has been silent: heartbeats tell it, so
    that the page notices a terminal that hangs although its server still answers. A page that comes for the first
    time gets the newest `replay` values.
    """
    known = request.headers.get("last-event-id") or request.query_params.get("after", "")
    stopping: Callable[[], bool] = request.scope.get(STOPPING, lambda: False)
    after = feed.number_of(known)
    body = _events(feed, encode, max(feed.newest - replay, 0) if after is None else after, quiet_ms, stopping)
    return StreamingResponse(
        body, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


async def _events(
    feed: EventFeed[T],
    encode: Callable[[T], Any],
    after: int,
    quiet_ms: Callable[[], int],
    stopping: Callable[[], bool],
) -> AsyncIterator[bytes]:
    with feed.listening(after) as listener:
        yield b"retry: %d\n\n" % RETRY_MS
        yield HEARTBEAT % quiet_ms()
        while not stopping():
            expected = listener.seen + 1
            entries = await listener.entries(HEARTBEAT_S)
            if entries and entries[0].number != expected:
                yield b'event: gap\ndata: {"missed":%d}\n\n' % (entries[0].number - expected)
            for entry in entries:
                data = msgspec.json.encode(encode(entry.value))
                yield b"id: %s.%d\ndata: %b\n\n" % (feed.epoch.encode(), entry.number, data)
            if not entries:
                yield HEARTBEAT % quiet_ms()
