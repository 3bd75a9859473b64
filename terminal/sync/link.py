"""One exchange with the collector. The HTTP library is loaded at the first upload, not when the terminal
starts.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from terminal.errors import CollectorError
from terminal.sync.wire import BATCH_TYPE, BATCHES_PATH

if TYPE_CHECKING:
    import httpx

MAX_ANSWER_BYTES: Final = 65_536
CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 15.0
EXCHANGE_LIMIT_S: Final = 60.0
WAIT: Final = "Nothing is lost: the rows stay in the journal and are sent again later."


class Answer(NamedTuple):
    """HTTP status and body."""

    status: int
    body: bytes


class CollectorLink(Protocol):
    """Carries batches to a collector. Used by one thread."""

    def upload(self, batch: bytes) -> Answer:
        """Raises `CollectorError` when no whole answer came: the collector may or may not have taken the
        batch.
        """
        ...

    def close(self) -> None: ...


class HttpLink:
    """HTTP to `base_url` over one kept connection. Proxy settings of the environment are not used."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._client: httpx.Client | None = None

    def upload(self, batch: bytes) -> Answer:
        import httpx  # noqa: PLC0415 0.2 s and 8 MB that the first tap need not wait for

        try:
            if self._client is None:
                timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
                self._client = httpx.Client(base_url=self.base_url, timeout=timeout, trust_env=False)
            headers = {"content-type": BATCH_TYPE, "accept-encoding": "identity"}
            with self._client.stream("POST", BATCHES_PATH, content=batch, headers=headers) as response:
                return Answer(response.status_code, self._read(response))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            cause = str(error) or type(error).__name__
            raise CollectorError(f"collector {self.base_url} cannot be reached: {cause}", WAIT) from error

    def _read(self, response: httpx.Response) -> bytes:
        """The body, unless it is endless in bytes or in time."""
        body = b""
        until = time.monotonic() + EXCHANGE_LIMIT_S
        for piece in response.iter_raw():
            body += piece
            if len(body) > MAX_ANSWER_BYTES or time.monotonic() > until:
                raise CollectorError(
                    f"collector {self.base_url} answers without end",
                    "Check that the address is that of a collector.",
                )
        return body

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
