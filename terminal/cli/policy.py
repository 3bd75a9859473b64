"""`terminal policy …`: what a tariff author does with a region document and scenarios, without a terminal or a card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.fault import mistakes_as, say_mistakes
from terminal.cli.options import DEFAULT_LANGUAGE, Config, Json, Keys, ShownLang, station_config

if TYPE_CHECKING:
    from terminal.policy.document.schema import RegionDocument
    from terminal.policy.keyed_file import IssuedList, ListIssue
    from terminal.policy.policy import Policy
    from terminal.scenario.schema import ScenarioFile

app = typer.Typer(
    help="Check, test and explain region documents; make deny lists and lists of grants.",
    no_args_is_help=True,
)

Document = Annotated[str, typer.Argument(help="Region document: a TOML file, or the name of a supplied one.")]


class SchemaName(StrEnum):
    """What there is a JSON Schema of."""

    REGION = "region"
    SCENARIOS = "scenarios"


@app.command()
def check(
    docs: Annotated[
        list[str],
        typer.Argument(
            metavar="DOC...", help="Region documents: TOML files, folders of them, or names of supplied ones."
        ),
    ],
    terminal: Annotated[
        Path | None,
        typer.Option(
            help="Configuration of a terminal (terminal.toml): also check that it can know what the document needs."
        ),
    ] = None,
    language: ShownLang = "en",
    json: Json = False,
) -> None:
    """Check region documents: a summary of each, or every mistake with its line. Exit code 10: mistakes found.

    With --terminal, whatever a document leaves to rules of its own where a fact is not known is a warning. With --json
    each document is one object on a line: "ok", and its "mistakes".
    """
    ends = [_checked(doc, terminal, language, json) for doc in _documents(docs)]
    if any(ends):
        raise SystemExit(max(ends))


def _documents(named: list[str]) -> Iterator[str]:
    """The documents that are meant; a folder stands for its TOML files."""
    from terminal.errors import RegionDocumentError

    for one in named:
        folder = Path(one)
        if not folder.is_dir():
            yield one
            continue
        files = sorted(folder.glob("*.toml"))
        if not files:
            raise RegionDocumentError(
                f"no region documents in {folder}", "Give TOML files, or a folder of them."
            )
        yield from map(str, files)


def _checked(doc: str, terminal: Path | None, language: str, json: bool) -> int:
    """The exit code for one document."""
    from terminal.cli.policy_view import show_document
    from terminal.errors import DocumentError
    from terminal.policy.load import load_region

    try:
        document = load_region(doc)
        if terminal is None:
            show_document(document, json)
        else:
            _check_known(document, terminal, json)
    except DocumentError as error:
        if not error.mistakes and (not json or terminal is not None):
            raise  # what a terminal cannot know has been said already
        say_mistakes(error, json=json, language=language)
        return error.exit_code
    return 0


def _check_known(document: RegionDocument, file: Path, json: bool) -> None:
    """Show `document` with all that the terminal of this configuration cannot know of what it needs."""
    from terminal.app.config.read import configured
    from terminal.app.knows import require_known, require_shift, unknown_here
    from terminal.app.station import station_of
    from terminal.cli.policy_view import show_document, show_unknown

    config = configured(file).config
    routes = station_of(config).load_routes()
    unknown = unknown_here(config, document, routes)
    if any(not need.answered for need in unknown):
        show_unknown(unknown, json)
    require_known(config, document, routes)
    require_shift(config, document, routes)
    show_document(document, json, unknown)


@app.command()
def run(
    doc: Document,
    scenarios: Annotated[
        list[Path] | None,
        typer.Argument(help="Scenario files or folders; default: those of the document."),
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Play them through terminals started by `terminal run`; also FILE#3."),
    ] = False,
    keep: Annotated[
        Path | None, typer.Option(help="With --live: new folder for terminals and cards, kept.")
    ] = None,
    restarts: Annotated[
        bool,
        typer.Option("--restarts", help="With --live: power and the vehicle's sources fail between taps."),
    ] = False,
    json: Json = False,
) -> None:
    """Run scenarios against a region document. Exit code 12: a result differs from the expectation."""
    with mistakes_as(json):
        _run(doc, scenarios, live=live, keep=keep, restarts=restarts, json=json)


def _run(
    doc: str, scenarios: list[Path] | None, *, live: bool, keep: Path | None, restarts: bool, json: bool
) -> None:
    if live:
        from terminal.cli.policy_live import play_all as play_all_live

        play_all_live(doc, _policy(doc), scenarios, keep=keep, restarts=restarts, json=json)
        return
    if keep is not None or restarts:
        raise typer.BadParameter("--keep and --restarts are for --live: give it too, or leave them out")
    from terminal.cli.policy_view import RunSummary
    from terminal.scenario.load import played_from
    from terminal.scenario.result import run as play_all
    from terminal.scenario.result import run_sales

    policy, tally = _policy(doc), RunSummary(json)
    for path, file in _files(policy, scenarios):
        with played_from(path):
            tally.take(path, play_all(file, policy), policy)
            tally.take_sales(path, run_sales(file, policy))
    tally.conclude()


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="Document in force.")],
    new: Annotated[str, typer.Argument(help="New document.")],
    scenarios: Annotated[
        list[Path] | None,
        typer.Option("--scenarios", help="Scenario files or folders; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Compare two documents: what changes, and for which riders."""
    from terminal.cli.policy_view import show_changes, show_diffs
    from terminal.scenario.diff import document_changes, rider_diffs
    from terminal.scenario.load import played_from
    from terminal.scenario.result import require_region

    before, after = _policy(old), _policy(new)
    show_changes(document_changes(before.document, after.document), json)
    for path, file in _files(before, scenarios):
        with played_from(path):
            require_region(file, before)
            require_region(file, after)
            show_diffs(path, list(rider_diffs(file, before, after)), len(file.scenarios), before, after, json)


@app.command()
def explain(
    doc: Document,
    scenario: Annotated[
        str,
        typer.Argument(
            help="FILE, or FILE#3 for its third scenario, or FILE#3.2 for the second tap of that."
        ),
    ],
    language: ShownLang = DEFAULT_LANGUAGE,
    json: Json = False,
) -> None:
    """Explain each decision of a scenario step by step: rule, inputs, effect."""
    from terminal.cli.policy_view import show_explained
    from terminal.scenario.load import load_scenarios, played_from, split_reference

    policy = _policy(doc)
    path, number, tap = split_reference(scenario)
    file = load_scenarios(path)
    with played_from(path):
        show_explained(file, number, tap, policy, language, json)


@app.command()
def schema(
    what: Annotated[SchemaName | None, typer.Argument(help="Schema to print.")] = None,
    write: Annotated[Path | None, typer.Option(help="Write both schemas into this folder.")] = None,
) -> None:
    """Print the JSON Schema of region documents or scenario files."""
    from terminal.errors import TerminalError
    from terminal.scenario.schema import SCHEMAS, schema_text, write_schemas

    if write is not None:
        for path in write_schemas(write):
            print(f"wrote {path}")
    elif what is not None:
        print(schema_text(SCHEMAS[what.value]), end="")
    else:
        names = " or ".join(SCHEMAS)
        raise TerminalError("no schema is named", f"Give {names}, or --write FOLDER for all of them.")


Out = Annotated[Path, typer.Option("--out", help="File of the list, replaced whole.")]
Version = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=0xFFFFFFFF,
        help="A later list has a higher number. Default: the next one after the list at --out, else 1.",
    ),
]
IssuedAt = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="When what the list says was known, as 2026-09-01T06:00:00+03:00. Default: now."
    ),
]
ListRegion = Annotated[
    int | None,
    typer.Option(min=1, max=0xFFFF, help="Number of the region. Default: that of the region document here."),
]


@app.command("deny-list")
def deny_list(
    entries: Annotated[
        Path,
        typer.Argument(help="CSV with the columns kind and identity: card,UID or person,PSEUDONYM in hex."),
    ],
    out: Out,
    version: Version = None,
    issued_at: IssuedAt = None,
    region: ListRegion = None,
    config: Config = None,
    keys: Keys = None,
) -> None:
    """Make the deny list terminals load (`lists.deny` of terminal.toml): keyed hashes of cards and of people."""
    from terminal.policy.deny_list import build_deny_list, load_deny_list, read_denied

    _other_name(out, entries)
    key = _list_key(config, keys, "deny")
    issue = _issue(out, config, region, version, issued_at, lambda: load_deny_list(out, key))
    count = build_deny_list(out, key, issue, read_denied(entries))
    print(f"wrote {out}: {count} entries, version {load_deny_list(out, key).name}")


@app.command("grants-list")
def grants_list(
    entries: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns pseudonym, issued_on, code, parameter, valid_from and valid_to: a line for each "
            "concession, the last four empty for a holder without any."
        ),
    ],
    out: Out,
    version: Version = None,
    issued_at: IssuedAt = None,
    region: ListRegion = None,
    config: Config = None,
    keys: Keys = None,
) -> None:
    """Make the list of grants terminals load (`lists.grants` of terminal.toml): by keyed hashes of people."""
    from terminal.policy.grants import build_grants, load_grants, read_grants

    _other_name(out, entries)
    key = _list_key(config, keys, "grants")
    issue = _issue(out, config, region, version, issued_at, lambda: load_grants(out, key))
    count = build_grants(out, key, issue, read_grants(entries))
    print(f"wrote {out}: {count} holders, version {load_grants(out, key).name}")


def _other_name(out: Path, entries: Path) -> None:
    from terminal.errors import RegionDocumentError

    if out.exists() and entries.exists() and out.samefile(entries):
        raise RegionDocumentError(f"{out} is the file of the entries", "Give the list another name.")


def _list_key(config: Path | None, keys: Path | None, name: str) -> bytes:
    from terminal.app.simulated import laboratory_keys
    from terminal.keys.file import load_file_keys

    at = station_config(config, keys=keys)
    return load_file_keys(at.keys.file or laboratory_keys()).list_key(name)


def _issue(
    out: Path,
    config: Path | None,
    region: int | None,
    version: int | None,
    issued_at: str | None,
    present: Callable[[], IssuedList],
) -> ListIssue:
    """What the new list says of itself; `present` loads the one at `out`."""
    from terminal.policy.keyed_file import ListIssue
    from terminal.policy.load import load_region

    if region is None:
        region = load_region(station_config(config, region=None).terminal.region_or_demo).header.region
    if version is None:
        version = present().version + 1 if out.is_file() else 1
    return ListIssue(version, region, _moment(issued_at))


def _moment(written: str | None) -> datetime:
    """The time with offset an operator wrote; now, if nothing."""
    from terminal.clock import SystemClock
    from terminal.errors import RegionDocumentError

    if written is None:
        return SystemClock().now()
    moment: datetime | None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment.timestamp() < 0:
        raise RegionDocumentError(
            f"--issued-at: {written!r} is no time with an offset", "Write it as 2026-09-01T06:00:00+03:00."
        )
    return moment


def _policy(doc: str) -> Policy:
    from terminal.policy.load import load_region
    from terminal.policy.policy import Policy

    return Policy.of(load_region(doc))


def _files(policy: Policy, paths: list[Path] | None) -> list[tuple[Path, ScenarioFile]]:
    from terminal.scenario.load import load_scenarios, scenario_files, supplied_scenarios

    files = scenario_files(paths or supplied_scenarios(policy.document.header.id))
    return [(path, load_scenarios(path)) for path in files]
