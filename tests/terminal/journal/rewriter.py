"""Upgrades or downgrades a journal, to be killed: `python -m tests.terminal.journal.rewriter PATH up|down`.

Prints "ready" when everything is loaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

from terminal.journal.rewrite import downgrade, upgrade_if_old
from terminal.journal.sealed import JournalKey

KEY = JournalKey(bytes(range(32)))


def main(path: Path, way: str) -> None:
    print("ready", flush=True)
    if way == "up":
        upgrade_if_old(path, 7, KEY)
    else:
        downgrade(path, KEY)
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
