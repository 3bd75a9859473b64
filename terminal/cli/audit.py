"""`terminal collector audit` makes the audit of a day, `terminal audit` repeats it elsewhere (docs/audit.md)."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cardcli.output import data_output
from terminal.cli.options import (
    DEFAULT_COLLECTOR_FOLDER,
    Bundles,
    CollectorFolder,
    Issuers,
    Json,
    RegistryKeys,
    ServedCert,
    ServedKey,
    ShownLang,
    TlsCa,
    server_tls,
)
from terminal.errors import AuditDiffers, AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from terminal.audit.gathering import DaySource
    from terminal.audit.statement import SignedStatement
    from terminal.audit.verifying import Verified

app = typer.Typer(
    help="Repeat the audit of a service day from its dossier, without keys, collector or database (docs/audit.md).",
    no_args_is_help=True,
)

Registry = Annotated[
    Path | None, typer.Option(help="Card registry: what the cards proved, and their session keys.")
]


def audit(
    day: Annotated[str, typer.Argument(help="Service day, for example 2026-09-15.")],
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    database: Annotated[
        str | None,
        typer.Option(
            envvar="FLEET_DATABASE",
            help="A fleet's PostgreSQL; --folder then is a gateway's, with the keys.",
        ),
    ] = None,
    zone: Annotated[
        str, typer.Option(help="With --database: time zone of the service days.")
    ] = "Europe/Moscow",
    day_ends_at: Annotated[
        int, typer.Option(min=0, max=12, help="With --database: hour at which a service day ends.")
    ] = 3,
    registry: Registry = None,
    registry_keys: RegistryKeys = None,
    issuers: Issuers = None,
    bundles: Bundles = None,
    out: Annotated[Path | None, typer.Option(help="File for the signed statement (JSON).")] = None,
    dossier: Annotated[
        Path | None, typer.Option(help="File for the evidence, for an auditor elsewhere.")
    ] = None,
    service: Annotated[
        bool,
        typer.Option(
            "--service",
            help="Leave session keys out of the dossier: its auditor asks the verify-only service.",
        ),
    ] = False,
    after: Annotated[
        Path | None, typer.Option(help="An earlier statement of the day: what came since is named.")
    ] = None,
    json: Json = False,
    language: ShownLang = "en",
) -> None:
    """Audit a service day: what is recomputed, proven, unproven and differing, to the minor unit; signed."""
    from terminal.audit.making import AuditOrder, make_audit
    from terminal.audit.statement import parse_statement
    from terminal.clock import SystemClock, unix_ms
    from terminal.collector.bundles import bundles_of
    from terminal.collector.issuers import KnownIssuers
    from terminal.collector.registry import open_registry
    from terminal.collector.service import KEY_FILE
    from terminal.recompute import DOCUMENTS_FOLDER
    from terminal.recompute.documents import DocumentFolder
    from terminal.sync.identity import load_or_create_key

    earlier = None if after is None else parse_statement(_read(after))
    order = AuditOrder(day, earlier, dossier, service)
    cards = None if registry is None else open_registry(registry, registry_keys)
    with _source(folder, database, zone, day_ends_at) as source:
        key = load_or_create_key(folder / KEY_FILE)
        documents = DocumentFolder(folder / DOCUMENTS_FOLDER)
        phones = KnownIssuers(issuers, bundles_of(folder, bundles))
        signed = make_audit(source, order, documents, cards, key, unix_ms(SystemClock().now()), phones)
    if out is not None:
        _write_statement(out, signed)
    _print(signed, json, language)


@contextmanager
def _source(folder: Path, database: str | None, zone: str, day_ends_at: int) -> Iterator[DaySource]:
    if database is None:
        from terminal.audit.embedded import folder_source

        with folder_source(folder) as source:
            yield source
        return
    from terminal.audit.fleet import fleet_source

    with fleet_source(folder, database, _known_zone(zone), day_ends_at) as source:
        yield source


def _known_zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise AuditError(f"unknown time zone {name}", "Give one like Europe/Volgograd.") from error


@app.command()
def verify(
    dossier: Annotated[Path, typer.Argument(help="The dossier, from `terminal collector audit --dossier`.")],
    collector: Annotated[
        Path | None,
        typer.Option(help="The collector's public key (collector.pub), which must have signed it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the collector's statement in the dossier.")
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(help="Address of the verify-only service, for a dossier without session keys."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the auditor's token for the service.")
    ] = None,
    tls_ca: TlsCa = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="The auditor's certificate (PEM), where the service wants one.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The key of that certificate (PEM).")] = None,
    json: Json = False,
    language: ShownLang = "en",
) -> None:
    """Repeat all: chain, signatures, proofs, decisions, sums. Exit code 45: damaged or changed; 46: it differs."""
    from contextlib import ExitStack

    from terminal.audit.asking import Asking, ServiceAddress
    from terminal.audit.verifying import verify_dossier
    from terminal.sync.identity import read_public_key

    key = None if collector is None else read_public_key(collector).public_bytes_raw()
    with ExitStack() as stack:
        asking = None
        if service is not None:
            if token_file is None:
                raise AuditError("the verify-only service wants a token", "Give --token-file.")
            address = ServiceAddress(service, token_file, tls_ca, tls_cert, tls_key)
            asking = stack.enter_context(Asking(address)).ask
        found = verify_dossier(dossier, key, asking)
    if out is not None:
        _write_statement(out, found.stated)
    _report(found, json, language)
    if found.differences:
        first = found.differences[0]
        raise AuditDiffers(
            f"the evidence comes to something else than the statement, first at {first.place}",
            "Keep the dossier, and ask the collector's operator.",
        )


@app.command()
def serve(
    registry: Annotated[Path, typer.Option(help="Card registry: its keys stay in this process.")],
    registry_keys: RegistryKeys = None,
    folder: Annotated[Path, typer.Option(help="Folder for the auditor's token and the day's counts.")] = Path(
        "var/verify-only"
    ),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = 8471,
    per_day: Annotated[int, typer.Option(min=1, help="Questions answered in one day.")] = 5_000_000,
    denials_per_day: Annotated[
        int, typer.Option(min=1, help="Answers of `not genuine` in one day; beyond them nothing is answered.")
    ] = 1_000,
    tls_cert: ServedCert = None,
    tls_key: ServedKey = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="Answer only holders of a client certificate of this CA.")
    ] = None,
    json: Json = False,
) -> None:
    """Answer whether cards gave proofs, and nothing else, until Ctrl-C or SIGTERM."""
    from terminal.operations.memory import forbid_dumps

    forbid_dumps()
    from terminal.app.output import print_json
    from terminal.audit.service import TOKEN_FILE, AnswerSettings
    from terminal.audit.service import serve as answer

    tls = server_tls(tls_cert, tls_key, tls_client_ca)
    settings = AnswerSettings(folder, registry, host, port, per_day, denials_per_day, tls, registry_keys)

    def ready(url: str) -> None:
        if json:
            print_json({"url": url, "token_file": str(folder / TOKEN_FILE)})
        else:
            print(f"verify-only service: listening on {url}; auditors need {folder / TOKEN_FILE}", flush=True)

    answer(settings, ready)


def _report(found: Verified, json: bool, language: str) -> None:
    from terminal.app.output import print_json

    if json:
        print_json(
            {
                "equal": not found.differences,
                "day": found.found.day,
                "complete": found.found.complete,
                "key": found.stated.key,
                "totals": found.found.totals,
                "differing": found.found.differing,
                "differences": found.differences,
            }
        )
        return
    _print(found.stated, json=False, language=language)
    if not found.differences:
        print(f"verified: the evidence comes to exactly this statement, signed by {found.stated.key}")
    for one in found.differences[:20]:
        print(f"  {one.place}: stated {one.stated}, found {one.found}", file=sys.stderr)


def _print(signed: SignedStatement, json: bool, language: str) -> None:
    from terminal.audit.statement import build_statement
    from terminal.audit.view import markdown

    if json:
        data_output().write(build_statement(signed).decode())
    else:
        print(markdown(signed, language), end="")


def _read(path: Path) -> bytes:
    from terminal.audit.statement import MOST_STATEMENT_BYTES
    from terminal.mistakes.reading import Unreadable, content_of

    try:
        return content_of(path, MOST_STATEMENT_BYTES)
    except Unreadable as unreadable:
        raise AuditError(
            f"{path} cannot be read ({unreadable.mistakes[0].code.value})",
            "Give the file that `terminal collector audit --out` wrote.",
        ) from unreadable


def _write_statement(path: Path, signed: SignedStatement) -> None:
    from terminal.audit.statement import build_statement
    from terminal.files import replace_file

    try:
        replace_file(path, build_statement(signed), 0o644)
    except OSError as error:
        raise AuditError(f"{path} cannot be written: {error.strerror}", "Check room and rights.") from error
