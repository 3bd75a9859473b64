"""A receipt printer as ESC/POS describes it: what is on its paper, and what it says of its paper.

It reads the commands a ticket takes, by a table of its own; anything else is on the paper as `unknown` bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from sim.periphery.pseudo_terminal import PseudoTerminal

_LENGTHS: Final = {b"\x1b@": 2, b"\x1bt": 3, b"\x1dV": 3, b"\x1dr": 3, b"\x10\x04": 3}
"""How many bytes a command has in all."""


class SimPrinter:
    """Prints what comes over `line` on its own thread. `paper_lines`: lines left; None: enough. `silent`: it
    neither prints nor answers.
    """

    def __init__(self, line: PseudoTerminal, paper_lines: int | None = None) -> None:
        self._line = line
        self._change = threading.Condition()
        self._stop = False
        self._held = b""
        self._text = b""
        self.paper_lines = paper_lines
        self.silent = False
        self.lines: list[str] = []
        """What is on the paper."""
        self.cuts = 0
        self.code_page = 0
        self.unknown = b""
        self.changed: Callable[[], None] = lambda: None
        """Hears of what was printed, on its thread, and returns at once."""
        self._thread = threading.Thread(target=self._run, name="sim printer", daemon=True)
        self._thread.start()

    @property
    def has_paper(self) -> bool:
        return self.paper_lines is None or self.paper_lines > 0

    def load(self, paper_lines: int | None = None) -> None:
        """A new roll."""
        with self._change:
            self.paper_lines = paper_lines

    def wait_for_cuts(self, cuts: int, timeout_s: float) -> bool:
        """Wait until so many tickets were cut off; whether they were."""
        with self._change:
            return self._change.wait_for(lambda: self.cuts >= cuts, timeout_s)

    def wait_for_end(self, timeout_s: float) -> bool:
        """Wait until the paper has run out; whether it has."""
        with self._change:
            return self._change.wait_for(lambda: not self.has_paper, timeout_s)

    def close(self) -> None:
        """Switched off; its line goes with it."""
        self._stop = True
        self._thread.join()
        self._line.close()

    def _run(self) -> None:
        while not self._stop:
            data = self._line.read(0.05)
            with self._change:
                if self.silent or not data:
                    continue
                self._held += data
                while self._held and self._take():
                    pass
                self._change.notify_all()
            self.changed()

    def _take(self) -> bool:
        """Take one command or sign off what is held; False while it is not all there."""
        first = self._held[:1]
        if first == b"\n":
            self._feed()
        elif first not in (b"\x1b", b"\x1d", b"\x10"):
            self._text += first
        else:
            return self._command()
        self._held = self._held[1:]
        return True

    def _command(self) -> bool:
        length = _LENGTHS.get(self._held[:2])
        if length is None and len(self._held) >= 2:
            self.unknown, self._held = self.unknown + self._held[:1], self._held[1:]
            return True
        if length is None or len(self._held) < length:
            return False
        command, self._held = self._held[:length], self._held[length:]
        self._obey(command[:2], command[-1])
        return True

    def _obey(self, command: bytes, value: int) -> None:
        if command == b"\x1bt":
            self.code_page = value
        elif command == b"\x1dV" and self.has_paper:
            self.cuts += 1
        elif command == b"\x10\x04":
            self._line.write(bytes([0x12 if self.has_paper else 0x72]))
        elif command == b"\x1dr":
            self._line.write(bytes([0x00 if self.has_paper else 0x0C]))

    def _feed(self) -> None:
        text, self._text = self._text, b""
        if not self.has_paper:
            return
        if self.paper_lines is not None:
            self.paper_lines -= 1
        self.lines.append(text.decode("cp866" if self.code_page == 17 else "cp437"))
