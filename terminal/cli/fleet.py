"""`terminal fleet`: the collector for many terminals, on NATS JetStream and PostgreSQL (extra `fleet`).

Passwords come from files, as systemd hands them over (`LoadCredential`), or in the environment: what stands on a
command line is read by every user of the machine (`ps`), so a password there is refused.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from terminal.cli.enrolling import (
    EnrolmentOffice,
    Numbered,
    enrol_by_code,
    enrol_by_key,
    revoke_terminal,
    who_operates,
)
from terminal.cli.fleet_options import (
    DEFAULT_DATABASE,
    Database,
    DatabasePassword,
    dsn_of,
    needs_extra,
    password_of,
    typed,
    visible,
)
from terminal.cli.office_acts import TokenFile
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
from terminal.clock import unix_ms

app = typer.Typer(
    help="The collector for a fleet: gateways, NATS JetStream, consumers, PostgreSQL (docs/fleet.md).",
    no_args_is_help=True,
)

if TYPE_CHECKING:
    from terminal.collector.fleet.settings import StreamSettings


def _servers(context: typer.Context, parameter: typer.CallbackParam, value: list[str]) -> list[str]:
    from terminal.collector.fleet.settings import names_password

    if typed(context, parameter) and any(map(names_password, value)):
        visible("an address", "Give --nats-user and --nats-password-file, or set FLEET_NATS.")
    return value


Nats = Annotated[
    list[str],
    typer.Option(
        "--nats", envvar="FLEET_NATS", callback=_servers, help="NATS server address; repeat for each server."
    ),
]
NatsUser = Annotated[str, typer.Option("--nats-user", envvar="FLEET_NATS_USER", help="NATS user.")]
NatsPassword = Annotated[
    Path | None,
    typer.Option(
        "--nats-password-file", envvar="FLEET_NATS_PASSWORD_FILE", help="File with that user's password."
    ),
]
Credentials = Annotated[Path | None, typer.Option("--nats-credentials", help="A NATS credentials file.")]
Stream = Annotated[str, typer.Option(help="Name of the JetStream stream.")]
DEFAULT_NATS = ["nats://127.0.0.1:4222"]
DEFAULT_GATEWAY = Path("var/gateway")
GatewayFolder = Annotated[
    Path, typer.Option("--folder", help="A gateway's folder, or any: it gets copies of the records changed.")
]
GIB = 1 << 30
HOUR_MS = 3_600_000


@app.command()
def prepare(
    nats: Nats = DEFAULT_NATS,
    database: Database = DEFAULT_DATABASE,
    stream: Stream = "RESIDENT",
    nats_user: NatsUser = "",
    nats_password_file: NatsPassword = None,
    nats_credentials: Credentials = None,
    database_password_file: DatabasePassword = None,
    replicas: Annotated[int, typer.Option(min=1, max=5, help="Number of replicas of each message.")] = 3,
    max_gib: Annotated[int, typer.Option(min=1, help="Stream size limit in GiB.")] = 16,
) -> None:
    """Create missing streams and tables."""
    needs_extra()
    import asyncio

    from terminal.collector.fleet.database import prepare as prepare_database
    from terminal.collector.fleet.server import prepare_stream
    from terminal.collector.fleet.settings import ConsumerSettings

    prepare_database(dsn_of(database, database_password_file))
    settings = _where(nats, stream, nats_user, nats_password_file, nats_credentials)
    asyncio.run(prepare_stream(settings, ConsumerSettings(), replicas, max_gib * GIB))
    print(f"fleet: stream {stream} on {replicas} servers and the tables are there")


class GatewayOptions(NamedTuple):
    """The options of the command, in the order of its help."""

    folder: Annotated[
        Path,
        typer.Option(
            help="collector.key, ca.key and ca.crt, the same at all gateways, and copies of records."
        ),
    ] = DEFAULT_GATEWAY
    nats: Nats = DEFAULT_NATS
    database: Database = DEFAULT_DATABASE
    stream: Stream = "RESIDENT"
    nats_user: NatsUser = ""
    nats_password_file: NatsPassword = None
    nats_credentials: Credentials = None
    database_password_file: DatabasePassword = None
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8470
    tls_cert: ServedCert = None
    tls_key: ServedKey = None
    proxy: Proxy = None
    bundles: Bundles = None
    json: Json = False


@app.command()
@with_groups
def gateway(asked: GatewayOptions) -> None:
    """Receive batches, store them in JetStream and acknowledge them; enrol and certify terminals. Until Ctrl-C or
    SIGTERM."""
    needs_extra()
    from terminal.app.output import print_json
    from terminal.collector.bundles import bundles_of
    from terminal.collector.fleet.server import GatewaySettings, run_gateway

    where = _where(
        asked.nats, asked.stream, asked.nats_user, asked.nats_password_file, asked.nats_credentials
    )
    dsn, tls = dsn_of(asked.database, asked.database_password_file), server_tls(asked.tls_cert, asked.tls_key)
    settings = GatewaySettings(
        where,
        dsn,
        asked.folder,
        asked.host,
        asked.port,
        tuple(asked.proxy or ()),
        tls,
        bundles=bundles_of(asked.folder, asked.bundles),
    )

    def ready(url: str) -> None:
        if asked.json:
            print_json({"url": url, "public_key": str(settings.public_key)})
        else:
            print(f"gateway: listening on {url}; terminals need a copy of {settings.public_key}", flush=True)

    run_gateway(settings, ready)


@app.command()
def enrol(
    terminal: Numbered,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Register this public key (terminal.pub) at once, without a code."),
    ] = None,
    folder: GatewayFolder = DEFAULT_GATEWAY,
    database: Database = DEFAULT_DATABASE,
    database_password_file: DatabasePassword = None,
    token_file: TokenFile = None,
    bundles: Bundles = None,
    json: Json = False,
) -> None:
    """Enrol a terminal at all gateways: print a one-time code for it, or register its public key. Role: operate, of a
    user of the office in --folder.

    Where bundles are published, the code carries the SHA-256 of their root. An existing key is replaced; the terminal's
    records are kept.
    """
    needs_extra()
    office = _office(folder, dsn_of(database, database_password_file), token_file, bundles)
    if key is not None:
        enrol_by_key(office, terminal, key, json=json)
    else:
        enrol_by_code(office, terminal, json=json)


@app.command()
def revoke(
    terminal: Numbered,
    folder: GatewayFolder = DEFAULT_GATEWAY,
    database: Database = DEFAULT_DATABASE,
    database_password_file: DatabasePassword = None,
    token_file: TokenFile = None,
) -> None:
    """Revoke a terminal at all gateways that reach the database, at once. Its records are kept. Role: operate."""
    needs_extra()
    revoke_terminal(_office(folder, dsn_of(database, database_password_file), token_file), terminal)


def _office(folder: Path, dsn: str, token_file: Path | None, bundles: Path | None = None) -> EnrolmentOffice:
    """What the database holds of terminals; `folder` gets copies of what is changed, and has the office's users."""
    from terminal.collector.bundles import bundles_of
    from terminal.collector.enrolment import Enrolment
    from terminal.collector.fleet.shared_records import SharedRecords
    from terminal.collector.users import Users

    by = who_operates(Users(folder), token_file)
    directory = folder / "terminals"
    records = SharedRecords(directory, dsn)
    return EnrolmentOffice(Enrolment(directory, files=records), records.note, by, bundles_of(folder, bundles))


@app.command()
def consumer(
    nats: Nats = DEFAULT_NATS,
    database: Database = DEFAULT_DATABASE,
    stream: Stream = "RESIDENT",
    nats_user: NatsUser = "",
    nats_password_file: NatsPassword = None,
    nats_credentials: Credentials = None,
    database_password_file: DatabasePassword = None,
    messages: Annotated[int, typer.Option(min=1, max=1_000, help="Batches per transaction.")] = 100,
    trim_s: Annotated[
        float, typer.Option(min=1, help="Seconds between removals of stored messages from the stream.")
    ] = 600,
    json: Json = False,
) -> None:
    """Copy batches from JetStream into PostgreSQL until Ctrl-C or SIGTERM. Several may run."""
    needs_extra()
    from terminal.app.output import print_json
    from terminal.collector.fleet.server import run_consumer
    from terminal.collector.fleet.settings import ConsumerSettings

    def ready() -> None:
        if json:
            print_json({"ready": True})
        else:
            print("consumer: ready", flush=True)

    where = _where(nats, stream, nats_user, nats_password_file, nats_credentials)
    dsn = dsn_of(database, database_password_file)
    run_consumer(where, dsn, ConsumerSettings(messages=messages, trim_s=trim_s), ready)


@app.command()
def office(
    folder: Annotated[
        Path, typer.Option(help="Folder of the office: users, books, rows as in the database, collector.key.")
    ] = Path("var/fleet-office"),
    database: Database = DEFAULT_DATABASE,
    database_password_file: DatabasePassword = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8471,
    registry: Annotated[
        Path | None, typer.Option(help="Card registry, for checking the cards' transaction MACs.")
    ] = None,
    registry_keys: RegistryKeys = None,
    deny: Annotated[
        Path | None,
        typer.Option("--deny", help="Folder of the deny register, for denying lost cards at the page."),
    ] = None,
    bundles: Bundles = None,
    issuers: Issuers = None,
    zone: Zone = "Europe/Moscow",
    day_ends_at: DayEndsAt = 3,
    tls_cert: ServedCert = None,
    tls_key: ServedKey = None,
    proxy: Proxy = None,
    json: Json = False,
) -> None:
    """Serve the office's pages and metrics of a fleet, which commands of the collector read as well: what is in
    PostgreSQL is followed into the folder. Until Ctrl-C or SIGTERM. One for a database.
    """
    needs_extra()
    from terminal.app.output import print_json
    from terminal.collector.books import BooksSettings
    from terminal.collector.bundles import bundles_of
    from terminal.collector.fleet.office import run_office
    from terminal.collector.service import CollectorSettings
    from terminal.operations.memory import forbid_dumps
    from terminal.publish.deny.cards import denials_at

    forbid_dumps()
    settings = CollectorSettings(
        folder,
        host,
        port,
        registry,
        books=BooksSettings(known_zone(zone), day_ends_at),
        tls=server_tls(tls_cert, tls_key),
        proxies=tuple(proxy or ()),
        registry_keys=registry_keys,
        issuers=issuers,
        bundles=bundles_of(folder, bundles),
        denials=denials_at(deny, registry, registry_keys),
    )

    def ready(url: str) -> None:
        if json:
            print_json({"url": url})
        else:
            print(f"office: listening on {url}; operators: {url}/operator/", flush=True)

    run_office(settings, dsn_of(database, database_password_file), ready)


@app.command()
def recompute(
    folder: Annotated[
        Path, typer.Option(help="Folder of the follower: what it found, and documents by their SHA-256.")
    ] = Path("var/fleet"),
    database: Database = DEFAULT_DATABASE,
    database_password_file: DatabasePassword = None,
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
    needs_extra()
    from terminal.app.collector import asked_to_end
    from terminal.app.output import print_json
    from terminal.collector.fleet.recompute import FleetRows
    from terminal.collector.recompute.run import FollowSettings, follow
    from terminal.keys.file import load_file_keys
    from terminal.keys.kept import credential_file

    source = keys or credential_file()
    grants_key = None if source is None else load_file_keys(source).list_key("grants")
    settings = FollowSettings(folder, zone, day_ends_at, grants_key, int(stated_h * HOUR_MS))

    def ready() -> None:
        if json:
            print_json({"ready": True})
        else:
            print("follower: ready", flush=True)

    rows = FleetRows(dsn_of(database, database_password_file))
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
    database_password_file: DatabasePassword = None,
    json: Json = False,
) -> None:
    """Show how far the follower is, and what it found; `terminal collector verdicts --folder` shows it by day."""
    needs_extra()
    from contextlib import closing

    from terminal.app.output import print_json
    from terminal.clock import SystemClock
    from terminal.collector.fleet.recompute import FleetRows
    from terminal.collector.recompute.ledger import LEDGER_FILE, LedgerReader, lag_of

    ledger = LedgerReader(folder / LEDGER_FILE)
    with closing(FleetRows(dsn_of(database, database_password_file))) as rows:
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
    database_password_file: DatabasePassword = None,
    registry: Annotated[
        Path | None, typer.Option(help="Card registry, for checking the cards' transaction MACs.")
    ] = None,
    registry_keys: RegistryKeys = None,
    folder: GatewayFolder = DEFAULT_GATEWAY,
    bundles: Bundles = None,
    issuers: Issuers = None,
    zone: Zone = "Europe/Moscow",
    day_ends_at: DayEndsAt = 3,
    unknown_cards: UnknownCards = 0,
    ev1_share: Ev1Share = 50,
    replaced_share: ReplacedShare = 10,
    json: Json = False,
) -> None:
    """Reconcile all records in the database and list alarms. Phones are proven by the issuers in --issuers, else by
    those of the signed bundles that the gateway in --folder serves.
    """
    needs_extra()
    import msgspec

    from terminal.app.output import print_json
    from terminal.clock import SystemClock
    from terminal.collector.bundles import bundles_of
    from terminal.collector.fleet import database as fleet
    from terminal.collector.issuers import KnownIssuers
    from terminal.collector.proof import EvidenceLimits
    from terminal.collector.reconcile import ReconcileSettings, reconcile
    from terminal.collector.registry import open_registry
    from terminal.money import money
    from terminal.trail_words import ENGLISH

    dsn = dsn_of(database, database_password_file)
    cards = open_registry(registry, registry_keys, KnownIssuers(issuers, bundles_of(folder, bundles)))
    limits = EvidenceLimits(unknown_cards, ev1_share / 100, replaced_share / 100)
    result = reconcile(fleet.records(dsn), cards, ReconcileSettings(known_zone(zone), day_ends_at, limits))
    fleet.keep_findings(dsn, result.findings, unix_ms(SystemClock().now()))
    alarms, strangers = fleet.alarms(dsn), fleet.strangers(dsn)
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


def _where(
    nats: list[str], stream: str, user: str, password_file: Path | None, credentials: Path | None
) -> StreamSettings:
    """The stream, and whom its servers see. Raises `KeyFileError`."""
    from terminal.collector.fleet.settings import StreamSettings
    from terminal.keys.file import require_private

    if credentials is not None:
        require_private(credentials)
    return StreamSettings(tuple(nats), stream, credentials, user, password_of(password_file))
