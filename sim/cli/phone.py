"""`sim phone`: a resident's phone as a page in the browser."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Final

import typer

from sim.phone_page.nearby import NearbyPhone
from sim.phone_page.serve import LaboratoryIssuer, page_server
from sim.profile import load_profile
from sim.vpcd import VpcdBridge

LOOK_S: Final = 0.2


def phone(
    port: Annotated[int, typer.Option(min=0, max=0xFFFF, help="Port; 0 takes any free one.")] = 8475,
    profile: Annotated[str, typer.Option(help="Whose rights it has.")] = "phone_pensioner",
    region: Annotated[int, typer.Option(min=1, max=255, help="Number of the region.")] = 34,
    today: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Day on which credentials are issued, for a terminal's own clock."
        ),
    ] = None,
    vpcd: Annotated[
        bool, typer.Option("--vpcd", help="Hold it to the virtual reader of the PC/SC service, too.")
    ] = False,
    slot: Annotated[int, typer.Option(min=0, max=1, help="Virtual reader, 0 or 1.")] = 0,
) -> None:
    """Serve a phone whose key stays in the browser; the laboratory's issuer signs what it shows. Ctrl-C ends it.

    With --vpcd a button of the page holds it to the virtual reader (packages pcscd and vsmartcard-vpcd): the page
    answers what a terminal asks.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    issuer = LaboratoryIssuer(load_profile(profile), region, date.today if today is None else today.date)
    nearby = NearbyPhone() if vpcd else None
    with page_server(port, issuer, nearby) as server, suppress(KeyboardInterrupt):
        print(f"sim: phone at http://127.0.0.1:{server.server_port}/", flush=True)
        if nearby is None:
            server.serve_forever()
        else:
            threading.Thread(target=server.serve_forever, name="phone page", daemon=True).start()
            _hold_as_the_page_says(nearby, VpcdBridge(nearby, slot))


def _hold_as_the_page_says(nearby: NearbyPhone, bridge: VpcdBridge) -> None:
    """Until Ctrl-C: in while a page holds it there. Raises `VpcdFault`."""
    removals = 0
    try:
        while True:
            if bridge.presented and (not nearby.held or nearby.removals != removals):
                bridge.remove()
            elif nearby.held and not bridge.presented:
                removals = nearby.removals
                bridge.present()
            time.sleep(LOOK_S)
    finally:
        bridge.remove()
