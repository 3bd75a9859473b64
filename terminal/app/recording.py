"""`--record`: each tap's conversation into a transcript file, or nowhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cardproto.connection import CardConnection
from terminal.clock import Clock
from terminal.errors import TerminalError


@contextmanager
def recording(
    path: Path | None, clock: Clock, *, masked: bool
) -> Iterator[Callable[[CardConnection], CardConnection]]:
    """What wraps a connection so that it is written down; without `path` nothing is. Raises `TerminalError`."""
    if path is None:
        if not masked:
            raise TerminalError("--record-unmasked without --record", "Say with --record where to write.")
        yield lambda connection: connection
        return
    from sim.recorder import TranscriptWriter
    from sim.transcript import TranscriptFault

    try:
        writer = TranscriptWriter(path, clock, masked=masked)
    except TranscriptFault as fault:
        raise TerminalError(fault.what, fault.advice) from fault
    with writer:
        yield writer.record
    if writer.failure is not None:
        print(f"terminal: the recording is incomplete ({writer.failure.strerror})", file=sys.stderr)
