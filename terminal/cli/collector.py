"""`terminal collector`: the receiving end, one process with one folder and no service to install."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terminal.cli.options import Json


def collector(
    folder: Annotated[
        Path,
        typer.Option(
            help="Everything it holds. Put each terminal's terminal.pub there as terminals/NUMBER.pub."
        ),
    ] = Path("var/collector"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = 8470,
    registry: Annotated[
        Path | None,
        typer.Option(help="Laboratory card registry: lets the report check every card's own proof."),
    ] = None,
    json: Json = False,
) -> None:
    """Receive batches, acknowledge them signed, and reconcile, until Ctrl-C or SIGTERM."""
    from terminal.cli.output import print_json
    from terminal.collector.service import CollectorSettings, run

    settings = CollectorSettings(folder, host, port, registry)

    def ready(url: str) -> None:
        if json:
            print_json({"url": url, "public_key": str(settings.public_key)})
        else:
            print(
                f"collector: listening on {url}; terminals need a copy of {settings.public_key}", flush=True
            )

    run(settings, ready)
