"""`terminal desk`: simulated cards, terminals and everything between them, in the browser. The first thing to open."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from terminal.cli.options import DEFAULT_REGION, Region

if TYPE_CHECKING:
    from terminal.lab.desk.session import DeskSession
    from terminal.screen.server import ScreenServer

PORT: Final = 8473
MEMORY: Final = Path("/dev/shm")  # noqa: S108 used below a folder of our own


def desk(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes any free one.")
    ] = PORT,
    region: Region = DEFAULT_REGION,
    seed: Annotated[int, typer.Option(help="Seed of cards and random numbers.")] = 1,
    state: Annotated[
        Path | None,
        typer.Option(help="Keep journals, collector and region document in this folder; default: temporary."),
    ] = None,
    collector: Annotated[
        bool, typer.Option(help="Start the collector as well; the page can also start it.")
    ] = True,
    scene: Annotated[bool, typer.Option("--scene", help="Start with some taps already recorded.")] = False,
    tariffs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of region documents that the tariff playground (/tariff) offers beside the supplied ones.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = True,
) -> None:
    """Open a page with simulated cards and terminals: display, exchanges, card content, reasons, journal.

    Everything is real but the card, the reader and the clock. Loopback only. Ends with Ctrl-C.
    """
    with _folder(state) as folder:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        with open_desk(
            folder, region or DEFAULT_REGION, seed, port, collector=collector, tariffs=tariffs
        ) as (server, session):
            if scene:
                from terminal.lab.desk.session import arrange

                arrange(session)
            print(f"The desk is open: {server.url}/  (Ctrl-C closes it)", flush=True)
            if open_browser and _has_screen():
                webbrowser.open(f"{server.url}/")
            stop.wait()


@contextmanager
def open_desk(
    folder: Path,
    region: str = DEFAULT_REGION,
    seed: int = 1,
    port: int = 0,
    *,
    collector: bool = True,
    tariffs: Path | None = None,
) -> Iterator[tuple[ScreenServer, DeskSession]]:
    """A desk that serves its page until the block ends. Raises `RegionDocumentError` or `PortInUse`."""
    from starlette.applications import Starlette

    from terminal.lab.desk.driver import Driver
    from terminal.lab.desk.passengers import Passengers
    from terminal.lab.desk.routes import DeskRoutes
    from terminal.lab.desk.session import DeskSession
    from terminal.lab.desk.storm import StormWatch
    from terminal.lab.desk.tariff.judges import Judges
    from terminal.lab.desk.tariff.library import TariffLibrary
    from terminal.screen.server import ScreenServer

    passengers, storm, library = Passengers(), StormWatch(), TariffLibrary(tariffs)
    judges = Judges(library.feeds)
    session = DeskSession(
        folder, region, seed, collector=collector, signal=passengers.tell, razzia=passengers.razzia_is
    )
    driver = Driver(session)
    routes = DeskRoutes(session, passengers, storm, judges, library).routes
    server = ScreenServer(Starlette(routes=routes), port=port)
    session.reset()
    passengers.start()
    driver.start()
    try:
        with server:
            yield server, session
    finally:
        judges.close()
        storm.stop()
        driver.stop()
        passengers.stop()
        session.close()


def _has_screen() -> bool:
    """Without one `webbrowser` may find a browser of letters, which would take this terminal for itself."""
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


@contextmanager
def _folder(state: Path | None) -> Iterator[Path]:
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
        yield state
        return
    with tempfile.TemporaryDirectory(prefix="resident-card-desk-", dir=passing_folder()) as folder:
        yield Path(folder)


def passing_folder() -> Path | None:
    """Where what vanishes with the desk is kept: in memory where there is such a file system, unless TMPDIR says."""
    return MEMORY if MEMORY.is_dir() and "TMPDIR" not in os.environ else None
