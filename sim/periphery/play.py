"""Printer, scanner and lines for a terminal that is run beside: orders come as lines of text, and what happens is said.

Printer and scanner are pseudo-terminals, linked to from a folder. The lines belong to the terminal that has them in its
memory; its laboratory's socket moves and shows them, and is asked again whenever the terminal is there.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sim.periphery.printer import SimPrinter
from sim.periphery.pseudo_terminal import PseudoTerminal
from sim.periphery.scanner import SimScanner

PRINTER: Final = "printer"
SCANNER: Final = "qr"
LOOK_S: Final = 0.1
"""Between two looks at the lines."""
LONGEST_TAP_S: Final = 8.0
ANSWER_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 1 << 20
MAX_CODE: Final = 4096
ORDERS: Final = (
    "scan CODE, half CODE, flood COUNT, paper, paper LINES, printer silent, printer works, "
    "contact NAME on, contact NAME off, tap CARD.json"
)
Say = Callable[[dict[str, Any]], None]


class PeripherySimFault(Exception):
    """The devices cannot be simulated: `what` is wrong, `advice` what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}. {advice}")
        self.what = what
        self.advice = advice


class DevicesBeside:
    """The devices in `folder`; `say` hears of each event, from any thread. `hand` is the laboratory's socket of the
    terminal whose lines are moved. Raises `PeripherySimFault`.
    """

    def __init__(self, folder: Path, hand: Path | None, say: Say) -> None:
        self._say = say
        self._hand = hand
        links = [folder / PRINTER, folder / SCANNER]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for link in links:
                if link.exists() and not link.is_symlink():
                    raise PeripherySimFault(f"{link} is no link", "Name a folder of its own.")
            paper, codes = map(PseudoTerminal, links)
        except OSError as error:
            what = f"{error.filename} cannot be made ({error.strerror})"
            raise PeripherySimFault(what, "Name a folder you may write.") from error
        self._printer, self._scanner = SimPrinter(paper), SimScanner(codes)
        self._said = self._cuts = 0
        self._printer.changed = self._printed
        self._stop = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="sim lines", daemon=True)
        say({"printer": str(links[0]), "scanner": str(links[1])})
        if hand is not None:
            self._watching.start()

    def obey(self, order: str) -> None:
        """Do what one line says, and say so; what is no order is said, too."""
        match order.split():
            case []:
                return
            case ["scan", *_] if code := order.partition("scan")[2].strip():
                self._scanner.scan(code[:MAX_CODE].encode())
            case ["half", *_] if code := order.partition("half")[2].strip():
                self._scanner.half(code[:MAX_CODE].encode())
            case ["flood", count] if count.isascii() and count.isdecimal() and len(count) < 5:
                self._scanner.flood(int(count))
            case ["paper"]:
                self._printer.load()
            case ["paper", lines] if lines.isascii() and lines.isdecimal() and len(lines) < 7:
                self._printer.load(int(lines))
            case ["printer", ("silent" | "works") as how]:
                self._printer.silent = how == "silent"
            case ["contact", name, ("on" | "off") as how]:
                if answer := self._asked({"do": "line", "name": name, "active": how == "on"}):
                    self._say(answer)  # it was not done
                    return
            case ["tap", *_] if card := order.partition("tap")[2].strip():
                self._say(self._tapped(card))
            case _:
                self._say({"error": f"no order: {order[:80]}", "advice": f"Write one of: {ORDERS}."})
                return
        self._say({"done": order[:80]})

    def close(self) -> None:
        """The devices are unplugged."""
        self._stop.set()
        if self._watching.ident is not None:
            self._watching.join()
        self._printer.close()
        self._scanner.close()

    def _printed(self) -> None:
        """On the printer's thread: each line of paper, and each ticket that is cut off."""
        lines, cuts = self._printer.lines, self._printer.cuts
        for line in lines[self._said :]:
            self._say({"paper": line})
        for _ in range(cuts - self._cuts):
            self._say({"cut": True})
        self._said, self._cuts = len(lines), cuts

    def _watch(self) -> None:
        """Say each change of a line that the terminal drives."""
        seen_s = 0.0
        while not self._stop.wait(LOOK_S):
            changes = self._asked({"do": "lines"}).get("changes", [])
            for line, active, at_s in changes:
                if at_s > seen_s:
                    self._say({"line": line, "active": active})
            seen_s = max([seen_s, *(at_s for _, _, at_s in changes)])

    def _tapped(self, card: str) -> dict[str, Any]:
        """Lay the card of that image file on the reader, and take it away when its tap has ended."""
        said = self._asked({"do": "present", "card": card})
        if "error" not in said:
            said = self._asked({"do": "await", "timeout_s": LONGEST_TAP_S})
            self._asked({"do": "remove"})
        return said

    def _asked(self, command: dict[str, Any]) -> dict[str, Any]:
        """The terminal's answer to one command, or why there is none."""
        if self._hand is None:
            return {"error": "no terminal's lines are known", "advice": "Name its socket with --hand."}
        try:
            with socket.socket(socket.AF_UNIX) as asking:
                asking.settimeout(ANSWER_S)
                asking.connect(str(self._hand))
                asking.sendall(json.dumps(command).encode() + b"\n")
                answer = _line_from(asking)
        except OSError as error:
            return {
                "error": f"{self._hand} does not answer ({error.strerror or error})",
                "advice": "Start it.",
            }
        if answer.get("ok"):
            return {name: value for name, value in answer.items() if name != "ok"}
        return {"error": str(answer.get("what", "no answer")), "advice": str(answer.get("advice", ""))}


def _line_from(asking: socket.socket) -> dict[str, Any]:
    """One line of JSON; nothing for what is none."""
    said = b""
    while not said.endswith(b"\n") and len(said) < MAX_ANSWER_BYTES and (piece := asking.recv(65_536)):
        said += piece
    try:
        answer = json.loads(said)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
