"""A process that says what it is, for `tests/test_warm.py`: one JSON object, one line of error, exit code 7."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

LIMITS = (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_STACK)


def seen() -> dict[str, Any]:
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return {
        "parent": os.getppid(),
        "folder": str(Path.cwd()),
        "arguments": sys.argv,
        "command": sys.orig_argv,
        "path": sys.path,
        "environment": dict(os.environ),
        "zone": [*time.tzname, time.timezone],
        "streams": [
            (
                s.name,
                s.mode,
                s.encoding,
                s.errors,
                s.newlines,
                s.line_buffering,
                s.write_through,
                repr(s.buffer),
            )
            for s in streams
        ],
        "handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "threads": [thread.name for thread in threading.enumerate()],
        "group": [os.getpgid(0) - os.getpgid(os.getppid()), os.getsid(0) - os.getsid(os.getppid())],
        "mask": os.umask(0),
        "limits": [resource.getrlimit(one) for one in LIMITS],
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
        "main": [__name__, __spec__.name if __spec__ else None, __file__],
        "flags": repr(sys.flags),
        "warnings": [sys.warnoptions, repr(sys.excepthook)],
    }


def main() -> None:
    if sys.argv[1:] == ["wait"]:
        print("waiting", flush=True)
        signal.pause()
    print(json.dumps(seen()))
    print("said", file=sys.stderr)
    sys.exit(7)


if __name__ == "__main__":
    main()
