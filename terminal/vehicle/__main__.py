"""The side process: `python -m terminal.vehicle`, started by a running terminal and of no use alone.

It reads its settings from the pipe and nothing else: no key file, no journal, no environment. When the pipe closes, it
ends.
"""

from __future__ import annotations

import os
import resource
import sys
from importlib import import_module
from typing import Final, cast

from terminal.trip.vehicle_report import SourceSettings, SourceState
from terminal.vehicle.source import ReportSource, SourceBroken, SourceLink

SOURCES: Final = {
    "gpsd": "terminal.vehicle.gpsd:Gpsd",
    "replay": "terminal.vehicle.replay:ReplaySource",
    "vdv301": "terminal.vehicle.vdv301:Vdv301",
}
"""Source as `terminal.toml` names it, to the class that is made with `SourceSettings`; only that one is imported."""
MOST_DATA_BYTES: Final = 256 << 20
MOST_FILES: Final = 64
LOWER_PRIORITY: Final = 10


def main() -> int:
    """Serve until the terminal ends: 0; 1 when the source cannot go on, which it has said then."""
    _keep_small()
    up_fd = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no message
    link = SourceLink(sys.stdin.fileno(), up_fd)
    link.start()
    settings = link.settings()
    if settings is None:
        return 0
    try:
        open_source(settings).serve(link)
    except SourceBroken as error:
        return _broken(link, str(error))
    except Exception as error:  # noqa: BLE001 what strangers sent may raise anything; the terminal hears what it was
        return _broken(link, f"{type(error).__name__}: {error}")
    return 0


def open_source(settings: SourceSettings) -> ReportSource:
    """The source of that name; raises `SourceBroken`."""
    module, _, name = SOURCES.get(settings.source, "").partition(":")
    if not module:
        raise SourceBroken(f"there is no source {settings.source!r}")
    return cast(ReportSource, getattr(import_module(module), name)(settings))


def _broken(link: SourceLink, detail: str) -> int:
    link.says(SourceState.BROKEN, detail)
    link.flush()
    return 1


def _keep_small() -> None:
    """The system ends a process that grows; no cores, because they hold what was heard. Taps come first."""
    os.nice(LOWER_PRIORITY)
    for what, most in (
        (resource.RLIMIT_DATA, MOST_DATA_BYTES),
        (resource.RLIMIT_NOFILE, MOST_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _soft, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))


if __name__ == "__main__":
    sys.exit(main())
