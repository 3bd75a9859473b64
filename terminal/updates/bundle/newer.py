"""What of a repository is newer than what a terminal has, as one answer: `GET …/newer?ROLE=VERSION&…[&wait=SECONDS]`.

The answer is a map from names below the repository to contents, as MessagePack under zlib; an empty content says that
there is no such file. It spares requests and nothing else: each file is verified as if it had come alone. With `wait`
it comes when something is newer, or says after that time that nothing is (204).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

NEWER: Final = "newer"
"""The last part of its address."""
WAIT: Final = "wait"
LONGEST_WAIT_S: Final = 50
"""Networks of mobile operators forget a connection that has been silent for a minute or more."""
MOST_BYTES: Final = 256 << 10
"""Of all contents together."""

Files = Mapping[Annotated[str, Meta(max_length=400)], bytes]
_DECODER: Final = msgspec.msgpack.Decoder(Annotated[Files, Meta(max_length=100)])


def packed(files: Mapping[str, bytes]) -> bytes:
    """The body of an answer."""
    return zlib.compress(msgspec.msgpack.encode(files), 9)


def unpacked(body: bytes) -> dict[str, bytes]:
    """The files in an answer. Raises `ValueError`."""
    opened = zlib.decompressobj()
    try:
        content = opened.decompress(body, MOST_BYTES)
        if not opened.eof or opened.unused_data:
            raise ValueError("an answer that is cut off, or too long")
        return dict(_DECODER.decode(content))
    except (zlib.error, msgspec.DecodeError) as error:
        raise ValueError(str(error)) from error
