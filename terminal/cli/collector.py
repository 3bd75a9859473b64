"""`terminal collector`: the receiving end, one process with one folder and no service to install."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from terminal.cli.options import (
    Bundles,
    DayEndsAt,
    Ev1Share,
    Issuers,
    Json,
    Proxy,
    RegistryKeys,
    ReplacedShare,
    ServedCert,
    ServedKey,
    UnknownCards,
    Zone,
    known_zone,
    server_tls,
    with_groups,
)

if TYPE_CHECKING:
    from terminal.collector.books import BooksSettings
    from terminal.collector.service import CollectorSettings, FollowerOptions

app = typer.Typer(
    help="Receive batches and acknowledge them. Without a subcommand: run the collector until Ctrl-C or SIGTERM."
)


class CollectorOptions(NamedTuple):
    """The options of the command, in the order of its help."""

    folder: Annotated[
        Path,
        typer.Option(help="Collector folder: records, books, keys of the terminals."),
    ] = Path("var/collector")
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")] = (
        8470
    )
    registry: Annotated[
        Path | None,
        typer.Option(help="Card registry, for checking the cards' transaction MACs."),
    ] = None
    registry_keys: RegistryKeys = None
    issuers: Issuers = None
    zone: Zone = "Europe/Moscow"
    day_ends_at: DayEndsAt = 3
    silent_h: Annotated[
        float, typer.Option(min=0.1, help="Hours after which a silent terminal is an alarm.")
    ] = 24.0
    unresolved_h: Annotated[
        float, typer.Option(min=0.1, help="Hours after which an unresolved tap is an alarm.")
    ] = 168.0
    unknown_cards: UnknownCards = 0
    ev1_share: Ev1Share = 50
    replaced_share: ReplacedShare = 10
    free_mb: Annotated[
        int, typer.Option(min=1, help="Minimum free disk space for accepting uploads, in MB.")
    ] = 512
    tls_cert: ServedCert = None
    tls_key: ServedKey = None
    proxy: Proxy = None
    proxy_tls: Annotated[
        bool,
        typer.Option(
            "--proxy-tls",
            help="Browsers reach the proxy over TLS: session cookies for TLS alone, whatever the proxy says.",
        ),
    ] = False
    any_clock: Annotated[
        bool, typer.Option("--any-clock", help="Raise no clock alarms; for simulated terminals.")
    ] = False
    no_recompute: Annotated[
        bool,
        typer.Option("--no-recompute", help="Start no follower that recomputes the terminals' decisions."),
    ] = False
    recompute_keys: Annotated[
        Path | None,
        typer.Option(
            help="Key file with the list key of grants, for recomputing what a grants list decided.",
            show_default="systemd's credential terminal-keys, where there is one",
        ),
    ] = None
    bundles: Bundles = None
    deny: Annotated[
        Path | None,
        typer.Option("--deny", help="Folder of the deny register, for denying lost cards at the page."),
    ] = None
    json: Json = False


@app.callback(invoke_without_command=True)
@with_groups
def collector(context: typer.Context, asked: CollectorOptions) -> None:
    """Run the collector."""
    if context.invoked_subcommand is not None:
        return
    from terminal.operations.memory import forbid_dumps

    forbid_dumps()
    from terminal.collector.service import run

    settings = _settings(asked)
    run(settings, _ready(settings.public_key, json=asked.json))


def _settings(asked: CollectorOptions) -> CollectorSettings:
    from terminal.collector.bundles import bundles_of
    from terminal.collector.limits import Limits
    from terminal.collector.service import CollectorSettings
    from terminal.collector.watch import HOUR_MS, WatchLimits
    from terminal.publish.deny.cards import denials_at

    if asked.proxy_tls and not asked.proxy:
        raise typer.BadParameter("--proxy-tls says how browsers reach a proxy: give --proxy as well")
    return CollectorSettings(
        asked.folder,
        asked.host,
        asked.port,
        asked.registry,
        books=_books(asked),
        limits=Limits(free_bytes=asked.free_mb << 20),
        watch=WatchLimits(int(asked.silent_h * HOUR_MS), int(asked.unresolved_h * HOUR_MS)),
        tls=server_tls(asked.tls_cert, asked.tls_key),
        recompute=_follower(asked),
        proxies=tuple(asked.proxy or ()),
        proxy_tls=asked.proxy_tls,
        registry_keys=asked.registry_keys,
        issuers=asked.issuers,
        bundles=bundles_of(asked.folder, asked.bundles),
        denials=denials_at(asked.deny, asked.registry, asked.registry_keys),
    )


def _books(asked: CollectorOptions) -> BooksSettings:
    from terminal.collector.books import BooksSettings
    from terminal.collector.clock_checks import ClockLimits
    from terminal.collector.proof import EvidenceLimits

    return BooksSettings(
        known_zone(asked.zone),
        asked.day_ends_at,
        ClockLimits.none() if asked.any_clock else ClockLimits(),
        EvidenceLimits(asked.unknown_cards, asked.ev1_share / 100, asked.replaced_share / 100),
    )


def _follower(asked: CollectorOptions) -> FollowerOptions | None:
    from terminal.collector.service import FollowerOptions
    from terminal.keys.kept import credential_file

    return None if asked.no_recompute else FollowerOptions(asked.recompute_keys or credential_file())


def _ready(public_key: Path, *, json: bool) -> Callable[[str], None]:
    from terminal.app.output import print_json

    def ready(url: str) -> None:
        if json:
            print_json({"url": url, "public_key": str(public_key)})
        else:
            print(f"collector: listening on {url}; operators: {url}/operator/", flush=True)

    return ready
