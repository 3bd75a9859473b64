"""A terminal that only appends, to be killed: `python -m tests.terminal.journal.appender PATH [MAX]`.

Prints the sequence of every record once it is durable. With MAX the operating system refuses to let any file
grow beyond that many bytes; then it prints the error and ends.
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

from terminal.errors import JournalError
from terminal.journal.journal import Journal
from tests.terminal.journal.samples import committed, intent


def main(path: Path, max_bytes: int | None) -> None:
    journal = Journal.open(path, 7)
    if max_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
    try:
        while True:
            pending = journal.begin(intent(turn=journal.next_sequence))
            print(pending.wait(), flush=True)
            print(journal.append(committed(pending.sequence)), flush=True)
            if pending.sequence % 20 == 1:
                journal.checkpoint()
    except JournalError as error:
        print(error, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
