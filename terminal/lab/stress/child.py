"""A terminal in a process of its own, for a storm that kills it: `python -m terminal.lab.stress.child STATE NUMBER`.

The card stays with the parent process: each APDU goes out as a line `{"apdu": …}` and its answer comes back as
`{"answer": …}` or `{"gone": true}`. `{"tap": …, "day_s": …}` presents a card at that second of the laboratory's day;
the reply ends with `{"done": {"end": …, "admission": …, "sequence": …}}`. Whatever this process says has happened on
its disk.
"""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec

from cardproto.errors import CardGone
from sim.air import VirtualClock
from terminal.app.compose import open_terminal
from terminal.app.station import Station
from terminal.decoding import decode_json
from terminal.lab.town import DAY
from terminal.tap import take_tap
from terminal.trip.shifts import open_shift

START = datetime.combine(DAY, time(6), UTC)


def say(value: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


def hear() -> dict[str, Any]:
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit(0)
    return decode_json(line, dict[str, Any])


class PipedCard:
    """The card at the other end of the pipe."""

    def transmit(self, command: bytes) -> bytes:
        say({"apdu": command.hex()})
        answer = hear()
        if "gone" in answer:
            raise CardGone("pulled")
        return bytes.fromhex(answer["answer"])

    def close(self) -> None:
        """Nothing to close: the card belongs to the parent process."""


def main(state: Path, number: int) -> None:
    clock = VirtualClock(START)
    station = Station(number, "bus", state, "demo")
    with open_terminal(station, clock) as terminal:
        if terminal.journal.open_shift is None:
            open_shift(terminal.journal, clock.now(), "storm", "bus", 15)
        say({"ready": terminal.journal.next_sequence})
        while True:
            ahead = START + timedelta(seconds=hear()["day_s"]) - clock.now()
            clock.advance(max(0.0, ahead.total_seconds()))
            with closing(PipedCard()) as card:
                report = take_tap(card, terminal)
            say(
                {
                    "done": {
                        "end": report.end,
                        "admission": report.outcome.admission,
                        "sequence": report.sequence,
                    }
                }
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
