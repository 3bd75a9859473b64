"""A collector process for tests: `python -m tests.terminal.collector.serve FOLDER PORT`; prints its address."""

from __future__ import annotations

import sys
from pathlib import Path

from terminal.collector.service import CollectorSettings, run
from terminal.errors import TerminalError


def main(folder: str, port: str) -> None:
    try:
        run(CollectorSettings(Path(folder), port=int(port)), lambda url: print(url, flush=True))
    except TerminalError as error:
        print(error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
