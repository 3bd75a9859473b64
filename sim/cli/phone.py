"""`sim phone`: a resident's phone as a page in the browser."""

from __future__ import annotations

import signal
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated

import typer

from sim.phone_page.serve import LaboratoryIssuer, page_server
from sim.profile import load_profile


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
) -> None:
    """Serve a phone whose key stays in the browser; the laboratory's issuer signs what it shows. Ctrl-C ends it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    issuer = LaboratoryIssuer(load_profile(profile), region, date.today if today is None else today.date)
    with page_server(port, issuer) as server, suppress(KeyboardInterrupt):
        print(f"sim: phone at http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()
