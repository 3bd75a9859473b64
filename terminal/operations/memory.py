"""The memory of a process: kept out of files, and not searched for cycles while a terminal starts.

Keys of the file provider, UIDs and pseudonyms are in it.

A process that works with keys has them in its memory, and Python cannot wipe them. So no core dump of it is ever
written: the limit on core files is 0, hard, and the process is marked as not dumpable, which also keeps
other processes of the same user from reading its memory. Root can do so still.
"""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

PR_GET_DUMPABLE: Final = 3
PR_SET_DUMPABLE: Final = 4


def forbid_dumps() -> None:
    """From now on nothing writes this process's memory to a file. Where there is no prctl, only the limit is set."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 4 ms, only where there is something to call

        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextmanager
def start_without_collections() -> Iterator[Callable[[], None]]:
    """No search for cycles until what comes out is called: a start only makes what stays.

    Those searches took a fifth of a start. What is there by then is never searched again, so that a tap waits for no
    search of all modules either.
    """
    gc.disable()

    def started() -> None:
        gc.freeze()
        gc.enable()

    try:
        yield started
    finally:
        gc.enable()


def dumpable() -> bool:
    """Whether the kernel would write a core of this process, apart from the limit."""
    import ctypes  # noqa: PLC0415 as above

    return bool(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
