"""`terminal collector`: the receiving end, one process with one folder and no service to install."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import (
    Bundles,
    DayEndsAt,
    Ev1Share,
    Json,
    RegistryKeys,
    ReplacedShare,
    UnknownCards,
    Zone,
    known_zone,
)
from terminal.errors import CollectorError

if TYPE_CHECKING:
    from terminal.collector.service import Tls

app = typer.Typer(
    help="Receive batches and acknowledge them. Without a subcommand: run the collector until Ctrl-C or SIGTERM."
)


@app.callback(invoke_without_command=True)
def collector(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Option(help="Collector folder: records, books, keys of the terminals."),
    ] = Path("var/collector"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = 8470,
    registry: Annotated[
        Path | None,
        typer.Option(help="Card registry, for checking the cards' transaction MACs."),
    ] = None,
    registry_keys: RegistryKeys = None,
    zone: Zone = "Europe/Moscow",
    day_ends_at: DayEndsAt = 3,
    silent_h: Annotated[
        float, typer.Option(min=0.1, help="Hours after which a silent terminal is an alarm.")
    ] = 24.0,
    unresolved_h: Annotated[
        float, typer.Option(min=0.1, help="Hours after which an unresolved tap is an alarm.")
    ] = 168.0,
    unknown_cards: UnknownCards = 0,
    ev1_share: Ev1Share = 50,
    replaced_share: ReplacedShare = 10,
    free_mb: Annotated[
        int, typer.Option(min=1, help="Minimum free disk space for accepting uploads, in MB.")
    ] = 512,
    tls_cert: Annotated[Path | None, typer.Option(help="Serve HTTPS with this certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The key of that certificate (PEM).")] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of a proxy whose X-Forwarded-For is believed; repeat for each. No other's is."
        ),
    ] = None,
    any_clock: Annotated[
        bool, typer.Option("--any-clock", help="Raise no clock alarms; for simulated terminals.")
    ] = False,
    no_recompute: Annotated[
        bool,
        typer.Option("--no-recompute", help="Start no follower that recomputes the terminals' decisions."),
    ] = False,
    recompute_keys: Annotated[
        Path | None,
        typer.Option(
            help="Key file with the list key of grants, for recomputing what a grants list decided.",
            show_default="systemd's credential terminal-keys, where there is one",
        ),
    ] = None,
    bundles: Bundles = None,
    json: Json = False,
) -> None:
    """Run the collector."""
    if context.invoked_subcommand is not None:
        return
    from terminal.operations.memory import forbid_dumps

    forbid_dumps()
    from terminal.app.output import print_json
    from terminal.collector.books import BooksSettings
    from terminal.collector.bundles import bundles_of
    from terminal.collector.clock_checks import ClockLimits
    from terminal.collector.limits import Limits
    from terminal.collector.proof import EvidenceLimits
    from terminal.collector.service import CollectorSettings, FollowerOptions, run
    from terminal.collector.watch import HOUR_MS, WatchLimits
    from terminal.keys.kept import credential_file

    settings = CollectorSettings(
        folder,
        host,
        port,
        registry,
        books=BooksSettings(
            known_zone(zone),
            day_ends_at,
            ClockLimits.none() if any_clock else ClockLimits(),
            EvidenceLimits(unknown_cards, ev1_share / 100, replaced_share / 100),
        ),
        limits=Limits(free_bytes=free_mb << 20),
        watch=WatchLimits(int(silent_h * HOUR_MS), int(unresolved_h * HOUR_MS)),
        tls=_tls_of(tls_cert, tls_key),
        recompute=None if no_recompute else FollowerOptions(recompute_keys or credential_file()),
        proxies=tuple(proxy or ()),
        registry_keys=registry_keys,
        bundles=bundles_of(folder, bundles),
    )

    def ready(url: str) -> None:
        if json:
            print_json({"url": url, "public_key": str(settings.public_key)})
        else:
            print(f"collector: listening on {url}; operators: {url}/operator/", flush=True)

    run(settings, ready)


def _tls_of(certificate: Path | None, key: Path | None) -> Tls | None:
    """Both options together."""
    from terminal.collector.service import Tls

    if certificate and key:
        return Tls(certificate, key)
    if certificate or key:
        raise CollectorError("TLS needs certificate and key", "Give both --tls-cert and --tls-key.")
    return None
