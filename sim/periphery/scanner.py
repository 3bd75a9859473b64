"""A scanner of codes on a pseudo-terminal, and what goes wrong with one."""

from __future__ import annotations

from sim.periphery.pseudo_terminal import PseudoTerminal


class SimScanner:
    """Reads what is held before it."""

    def __init__(self, line: PseudoTerminal) -> None:
        self._line = line

    def scan(self, code: bytes, end: bytes = b"\r\n") -> None:
        """A code, read well."""
        self._line.write(code + end)

    def half(self, code: bytes) -> None:
        """The first half of a code, and no end: its cable was pulled."""
        self._line.write(code[: len(code) // 2])

    def flood(self, codes: int) -> None:
        """So many codes as fast as the line takes them."""
        for number in range(codes):
            self._line.write(b"%d\r\n" % number)

    def close(self) -> None:
        self._line.close()
