"""The developer's desk."""

from __future__ import annotations

from typing import Final

from pictures.studio import Studio
from terminal.cli.desk import open_desk
from terminal.cli.desk_scene import arrange

SIZE: Final = (1600, 1000)
STORM_SIZE: Final = (1280, 800)
STORM_SEED, STORM_TAPS = 7, 1500


def desk(studio: Studio) -> None:
    """Cards, terminals, a tap with its reasons and its trace."""
    folder = studio.work / "desk"
    folder.mkdir()
    with open_desk(folder) as (server, session):
        arrange(session)
        with studio.page(*SIZE) as page:
            page.goto(server.url)
            page.wait_for_load_state()
            studio.keep(page, "desk")


def storm(studio: Studio) -> None:
    """A storm that has ended."""
    folder = studio.work / "storm"
    folder.mkdir()
    with open_desk(folder) as (server, _session), studio.page(*STORM_SIZE) as page:
        page.goto(f"{server.url}/storm")
        page.request.post(
            f"{server.url}/api/storm/start",
            data={"seed": STORM_SEED, "taps": STORM_TAPS},
            headers={"Origin": server.url},
        )
        studio.keep(page, "storm")
