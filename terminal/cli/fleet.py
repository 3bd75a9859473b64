"""`terminal fleet`: the collector for many terminals, on NATS JetStream and PostgreSQL (extra `fleet`)."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from terminal.cli.options import DayEndsAt, Ev1Share, Json, ReplacedShare, UnknownCards, Zone, known_zone
from terminal.clock import unix_ms
from terminal.errors import CollectorError

app = typer.Typer(
    help="The collector for a fleet: gateways, NATS JetStream, consumers, PostgreSQL (docs/fleet.md).",
    no_args_is_help=True,
)

Nats = Annotated[
    list[str],
    typer.Option("--nats", envvar="FLEET_NATS", help="NATS server address; repeat for each server."),
]
Credentials = Annotated[Path | None, typer.Option("--nats-credentials", help="A NATS credentials file.")]
Stream = Annotated[str, typer.Option(help="Name of the JetStream stream.")]
Database = Annotated[
    str,
    typer.Option(
        envvar="FLEET_DATABASE", help="PostgreSQL connection string; keep its password in ~/.pgpass."
    ),
]
DEFAULT_NATS = ["nats://127.0.0.1:4222"]
DEFAULT_DATABASE = "dbname=resident"
GIB = 1 << 30
HOUR_MS = 3_600_000


@app.command()
def prepare(
    nats: Nats = DEFAULT_NATS,
    database: Database = DEFAULT_DATABASE,
    stream: Stream = "RESIDENT",
    nats_credentials: Credentials = None,
    replicas: Annotated[int, typer.Option(min=1, max=5, help="Number of replicas of each message.")] = 3,
    max_gib: Annotated[int, typer.Option(min=1, help="Stream size limit in GiB.")] = 16,
) -> None:
    """Create missing streams and tables."""
    _needs_extra()
    import asyncio

    from terminal.collector.fleet.database import prepare as prepare_database
    from terminal.collector.fleet.server import prepare_stream
    from terminal.collector.fleet.settings import ConsumerSettings, StreamSettings

    prepare_database(database)
    settings = StreamSettings(tuple(nats), stream, nats_credentials)
    asyncio.run(prepare_stream(settings, ConsumerSettings(), replicas, max_gib * GIB))
    print(f"fleet: stream {stream} on {replicas} servers and the tables are there")


@app.command()
def gateway(
    folder: Annotated[
        Path, typer.Option(help="collector.key, the same at all gateways, and terminals/NUMBER.pub.")
    ] = Path("var/gateway"),
    nats: Nats = DEFAULT_NATS,
    database: Database = DEFAULT_DATABASE,
    stream: Stream = "RESIDENT",
    nats_credentials: Credentials = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8470,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of a proxy whose X-Forwarded-For is believed; repeat for each. No other's is."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Receive batches, store them in JetStream and acknowledge them, until Ctrl-C or SIGTERM."""
    _needs_extra()
    from terminal.app.output import print_json
    from terminal.collector.fleet.server import GatewaySettings, run_gateway
    from terminal.collector.fleet.settings import StreamSettings

    where = StreamSettings(tuple(nats), stream, nats_credentials)
    settings = GatewaySettings(where, database, folder, host, port, tuple(proxy or ()))

    def ready(url: str) -> None:
        if json:
            print_json({"url": url, "public_key": str(settings.public_key)})
        else:
            print(f"gateway: listening on {url}; terminals need a copy of {settings.public_key}", flush=True)

    run_gateway(settings, ready)


@app.command()
def consumer(
    nats: Nats = DEFAULT_NATS,
    database: Database = DEFAULT_DATABASE,
    stream: Stream = "RESIDENT",
    nats_credentials: Credentials = None,
    messages: Annotated[int, typer.Option(min=1, max=1_000, help="Batches per transaction.")] = 100,
    trim_s: Annotated[
        float, typer.Option(min=1, help="Seconds between removals of stored messages from the stream.")
    ] = 600,
    json: Json = False,
) -> None:
    """Copy batches from JetStream into PostgreSQL until Ctrl-C or SIGTERM. Several may run."""
    _needs_extra()
    from terminal.app.output import print_json
    from terminal.collector.fleet.server import run_consumer
    from terminal.collector.fleet.settings import ConsumerSettings, StreamSettings

    def ready() -> None:
        if json:
            print_json({"ready": True})
        else:
            print("consumer: ready", flush=True)

    where = StreamSettings(tuple(nats), stream, nats_credentials)
    run_consumer(where, database, ConsumerSettings(messages=messages, trim_s=trim_s), ready)


@app.command()
def recompute(
    folder: Annotated[
        Path, typer.Option(help="Folder of the follower: what it found, and documents by their SHA-256.")
    ] = Path("var/fleet"),
    database: Database = DEFAULT_DATABASE,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="Key file with the list key of grants, where grants lists decide."),
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone of the service days.")] = "Europe/Moscow",
    day_ends_at: Annotated[int, typer.Option(min=0, max=12, help="Hour at which a service day ends.")] = 3,
    stated_h: Annotated[
        float, typer.Option(min=1, help="Hours after which a terminal's own statement is overdue: an alarm.")
    ] = 48.0,
    once: Annotated[bool, typer.Option("--once", help="End when every row stored is recomputed.")] = False,
    json: Json = False,
) -> None:
    """Recompute decisions of the rows in PostgreSQL until Ctrl-C or SIGTERM. One for a database."""
    _needs_extra()
    from terminal.app.collector import asked_to_end
    from terminal.app.output import print_json
    from terminal.collector.fleet.recompute import FleetRows
    from terminal.collector.recompute.run import FollowSettings, follow
    from terminal.keys.file import load_file_keys

    grants_key = None if keys is None else load_file_keys(keys).list_key("grants")
    settings = FollowSettings(folder, zone, day_ends_at, grants_key, int(stated_h * HOUR_MS))

    def ready() -> None:
        if json:
            print_json({"ready": True})
        else:
            print("follower: ready", flush=True)

    rows = FleetRows(database)
    try:
        done = follow(rows, settings, once=once, ended=asked_to_end(), on_ready=ready, log=_to_stderr)
    finally:
        rows.close()
    if json:
        print_json({"rows": done})


@app.command()
def verdicts(
    folder: Annotated[Path, typer.Option(help="Folder of the follower.")] = Path("var/fleet"),
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Show how far the follower is, and what it found; `terminal collector verdicts --folder` shows it by day."""
    _needs_extra()
    from contextlib import closing

    from terminal.app.output import print_json
    from terminal.clock import SystemClock
    from terminal.collector.fleet.recompute import FleetRows
    from terminal.collector.recompute.ledger import LEDGER_FILE, LedgerReader, lag_of

    ledger = LedgerReader(folder / LEDGER_FILE)
    with closing(FleetRows(database)) as rows:
        lag_rows, lag_s = lag_of(ledger, rows.held(), rows.received_at_ms, unix_ms(SystemClock().now()))
    found = {**ledger.totals(), "not_recomputed": lag_rows, "not_recomputed_s": lag_s}
    if json:
        print_json(found)
        return
    for name, value in found.items():
        print(f"  {name:<20} {value}")


@app.command()
def report(
    database: Database = DEFAULT_DATABASE,
    registry: Annotated[
        Path | None, typer.Option(help="Laboratory card registry, for checking the cards' transaction MACs.")
    ] = None,
    zone: Zone = "Europe/Moscow",
    day_ends_at: DayEndsAt = 3,
    unknown_cards: UnknownCards = 0,
    ev1_share: Ev1Share = 50,
    replaced_share: ReplacedShare = 10,
    json: Json = False,
) -> None:
    """Reconcile all records in the database and list alarms."""
    _needs_extra()
    import msgspec

    from terminal.app.output import print_json
    from terminal.clock import SystemClock
    from terminal.collector.fleet import database as fleet
    from terminal.collector.proof import EvidenceLimits
    from terminal.collector.reconcile import ReconcileSettings, reconcile
    from terminal.collector.registry import CardRegistry
    from terminal.money import money
    from terminal.trail_words import ENGLISH

    cards = CardRegistry.load(registry) if registry else CardRegistry()
    limits = EvidenceLimits(unknown_cards, ev1_share / 100, replaced_share / 100)
    result = reconcile(
        fleet.records(database), cards, ReconcileSettings(known_zone(zone), day_ends_at, limits)
    )
    fleet.keep_findings(database, result.findings, unix_ms(SystemClock().now()))
    alarms, strangers = fleet.alarms(database), fleet.strangers(database)
    if json:
        terminals = {str(number): msgspec.to_builtins(t) for number, t in result.terminals.items()}
        print_json(
            {
                "total": msgspec.to_builtins(result.total),
                "terminals": terminals,
                "alarms": [{**alarm._asdict(), "says": alarm.says()} for alarm in alarms],
                "strangers": [{**count._asdict(), "says": count.says()} for count in strangers],
            }
        )
        return
    total = result.total
    print(
        f"  records {total.records}, taps {total.taps}, accepted {total.accepted}, already inside {total.inside}"
    )
    sums = [
        money(sum_minor, currency, ENGLISH) for currency, sum_minor in sorted(total.charged_minor.items())
    ]
    print(f"  charged {', '.join(sums) or 'nothing'}, unresolved {total.unresolved_open}")
    for proof, by_currency in sorted(total.proofs.items()):
        taps = sum(one.taps for one in by_currency.values())
        charged = [
            money(one.charged_minor, currency, ENGLISH) for currency, one in sorted(by_currency.items())
        ]
        print(f"  {proof} {taps} taps, {', '.join(charged)}")
    for alarm in alarms:
        print(f"  ALARM {alarm.kind} terminal {alarm.terminal} row {alarm.sequence}: {alarm.says()}")
    for count in strangers:
        name = f" terminal {count.terminal}" if count.terminal else ""
        print(f"  STRANGER {count.kind} {count.address}{name}: {count.says()}, {count.times} times")


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _needs_extra() -> None:
    missing = [name for name in ("nats", "psycopg") if find_spec(name) is None]
    if missing:
        raise CollectorError(
            f"the fleet collector needs {' and '.join(missing)}", "Install resident-card-terminal[fleet]."
        )
