"""`sim periphery`: a ticket printer and a scanner for a terminal that is run beside, and a hand for its contacts."""

from __future__ import annotations

import json
import signal
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from sim.periphery.play import DevicesBeside


def periphery(
    folder: Annotated[
        Path, typer.Argument(help="Folder for the links printer and qr, as a terminal names them.")
    ],
    hand: Annotated[
        Path | None,
        typer.Option(help="Socket of a terminal's laboratory, to move its contacts and to see its lines."),
    ] = None,
) -> None:
    """Be the devices around a terminal: what is printed, and what its lines do, is said as one JSON object a line.

    Each line of standard input is an order; an order that is none lists them all. Ctrl-C unplugs the devices.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lock = threading.Lock()

    def say(event: dict[str, Any]) -> None:
        with lock:
            print(json.dumps(event, ensure_ascii=False), flush=True)

    with closing(DevicesBeside(folder, hand, say)) as devices, suppress(KeyboardInterrupt):
        for order in sys.stdin:
            devices.obey(order.strip())
        signal.pause()
