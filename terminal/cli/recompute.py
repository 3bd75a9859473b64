"""`terminal journal recompute`: every tap, sale and portion in the journal, decided again from its own record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec.structs import replace

from terminal.cli.options import Config, Json, Keys, ProfileName, State, station_config

if TYPE_CHECKING:
    from terminal.app.config.settings import StationConfig
    from terminal.app.station import Station
    from terminal.canteen.facts import Replay
    from terminal.journal.operation_records import SelfRecomputed
    from terminal.journal.reader import JournalReader
    from terminal.policy.policy import Policy
    from terminal.recompute.documents import DocumentFolder
    from terminal.recompute.own import OwnSources
    from terminal.recompute.rows import Verdict

PATIENCE_S: Final = 300.0
LOOK_AGAIN_S: Final = 0.2


def recompute(
    config: Config = None,
    state: State = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="A region document the taps were decided with: a TOML file or a supplied name. May be given more "
            "than once, as versions followed one another. Default: those in the terminal's folder."
        ),
    ] = None,
    roster: Annotated[
        bool, typer.Option("--roster", help="Canteen: use the sealed roster in force here.")
    ] = False,
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Put on record what is found since the last time: a row that is sent to the collector. A running "
            "terminal is asked to do it.",
        ),
    ] = False,
    statement: Annotated[bool, typer.Option("--statement", hidden=True)] = False,
    profile: Annotated[ProfileName | None, typer.Option("--profile", hidden=True)] = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Recompute every recorded tap, cash sale and portion without a card, refused taps included; compare event bytes,
    charge, answer and trail.

    Exit code 24: a record does not follow from its recorded inputs.
    """
    from terminal.app.station import journal_reader
    from terminal.errors import ConfigError

    at = station_config(config, state=state, profile=None if profile is None else profile.value, keys=keys)
    if statement:
        _print_statement(at)
    elif record:
        if region:
            raise ConfigError(
                "a verdict on record is made with the documents that decided",
                "Leave --region out, or --record.",
            )
        _record(at, json)
    else:
        with journal_reader(at.terminal.state, at.keys.file) as reader:
            sources = _given(at, reader, region or [at.terminal.region_or_demo])
            if not region:
                sources = replace(sources, documents=_documents(at, reader))
            if roster:
                policy = next(iter(sources.otherwise.values()))
                sources = replace(sources, replay=_replay(at, reader, policy))
            _show(reader, sources, json)


def _show(reader: JournalReader, sources: OwnSources, json: bool) -> None:
    """Every row that differs or cannot be decided again, then the counts."""
    from terminal.app.output import print_json
    from terminal.errors import ChargesDiffer
    from terminal.recompute.own import judged
    from terminal.recompute.rows import VerdictKind

    counts, first = {"recomputed": 0, "differ": 0, "not_possible": 0}, 0
    for sequence, tap, verdict in judged(reader, sources):
        if verdict.kind is VerdictKind.UNPROVEN:
            counts["not_possible"] += 1
            _print_difference(json, sequence, _why_not(verdict, json), tap.currency)
            continue
        counts["recomputed"] += 1
        if verdict.kind is VerdictKind.DIFFERING:
            counts["differ"] += 1
            first = first or sequence
            found_by_name = {
                d.what: {"recorded": d.recorded, "recomputed": d.recomputed} for d in verdict.deviations
            }
            _print_difference(json, sequence, found_by_name, tap.currency)
    if json:
        print_json(counts)
    else:
        print(
            f"Taps, sales and portions decided again: {counts['recomputed']}; differ: {counts['differ']}; "
            f"not possible: {counts['not_possible']}"
        )
    if counts["differ"]:
        raise ChargesDiffer(
            f"{counts['differ']} records do not follow from what is recorded with them, the first is {first}",
            "Compare the region document and the software with those of the terminal; keep the journal.",
        )


def _why_not(verdict: Verdict, json: bool) -> dict[str, str]:
    assert verdict.reason is not None
    if json:
        return {"not_possible": verdict.reason.value, "says": verdict.says}
    return {"not_possible": verdict.says}


def _print_statement(at: StationConfig) -> None:
    """For the running terminal that started this process: what it may put on record, and nothing else."""
    from terminal.app.output import print_json
    from terminal.app.recompute import OwnStatement, be_last
    from terminal.app.station import journal_reader

    be_last()
    with journal_reader(at.terminal.state, at.keys.file) as reader:
        print_json(OwnStatement(_stated(at, reader)))


def _record(at: StationConfig, json: bool) -> None:
    """Put the statement on record here, or have the running terminal do so; then show it."""
    from terminal.app.output import print_json
    from terminal.app.station import journal_file, journal_reader, open_journal
    from terminal.clock import SystemClock
    from terminal.errors import ChargesDiffer, JournalLocked
    from terminal.journal.records import shown_fields

    state, clock = at.terminal.state, SystemClock()
    journal_file(state)
    with journal_reader(state, at.keys.file) as reader:
        terminal, before = reader.state().terminal, reader.last_sequence()
        try:
            with open_journal(state, terminal, at.keys.file, clock) as journal:
                found = _stated(at, reader)
                sequence = journal.append(found)
        except JournalLocked:
            sequence, found = _asked(at, reader, before)
    shown = shown_fields(found) | {"documents": [digest.hex() for digest in found.documents]}
    if json:
        print_json({"sequence": sequence, **shown})
    else:
        print(
            f"row {sequence} says: rows {found.first} to {found.through}, recomputed {found.recomputed}, "
            f"differing {found.differing}, unproven {sum(found.unproven.values())}"
        )
    if found.differing:
        raise ChargesDiffer(
            f"{found.differing} records do not follow from what is recorded with them",
            "See them with `terminal journal recompute`; keep the journal.",
        )


def _asked(at: StationConfig, reader: JournalReader, before: int) -> tuple[int, SelfRecomputed]:
    """What the terminal that has the journal puts on record when it is asked."""
    from terminal.app.recompute import REQUEST_FILE
    from terminal.clock import SystemClock
    from terminal.errors import ControlError
    from terminal.files import create_file
    from terminal.journal.operation_records import SelfRecomputed

    request, clock = at.terminal.state / REQUEST_FILE, SystemClock()
    create_file(request, b"")
    until = clock.monotonic() + PATIENCE_S
    while clock.monotonic() < until:
        for row in reader.rows(before):
            if isinstance(row.record, SelfRecomputed):
                return row.sequence, row.record
            before = row.sequence
        time.sleep(LOOK_AGAIN_S)
    request.unlink(missing_ok=True)
    raise ControlError(
        "the process that has the journal put nothing on record",
        "Only a running terminal does (`terminal run`); see its log, or ask again when the other command is done.",
    )


def _stated(at: StationConfig, reader: JournalReader) -> SelfRecomputed:
    from cardcli import VERSION
    from terminal.app.station import SOFTWARE
    from terminal.clock import SystemClock, unix_ms
    from terminal.recompute.own import OwnSources, statement

    documents = _documents(at, reader)
    sources = OwnSources(documents=documents, replay=_replay_in_service(at, reader, documents))
    return statement(reader, sources, unix_ms(SystemClock().now()), SOFTWARE, VERSION)


def _replay_in_service(at: StationConfig, reader: JournalReader, documents: DocumentFolder) -> Replay | None:
    """In a canteen the roster in force, where it can be followed; what needs it is else counted as not decided."""
    from terminal.app.config.settings import CANTEEN
    from terminal.errors import RosterError
    from terminal.policy.policy import Policy
    from terminal.recompute.own import newest_document

    documents.refresh()
    policy = documents.policy(newest_document(reader))
    if at.terminal.profile != CANTEEN or not isinstance(policy, Policy):
        return None
    try:
        return _replay(at, reader, policy)
    except RosterError:
        return None


def _whose(at: StationConfig, reader: JournalReader) -> Station:
    """The station that wrote the journal: its folder says its number, whatever is configured here."""
    from terminal.app.station import station_of

    return replace(station_of(at), number=reader.state().terminal)


def _given(at: StationConfig, reader: JournalReader, regions: list[str]) -> OwnSources:
    """The documents that are named, with the lists that are configured here."""
    from terminal.policy.load import load_region
    from terminal.policy.policy import Policy
    from terminal.recompute.own import OwnSources

    station = _whose(at, reader)
    keys = station.load_keys()
    deny_list, grants = station.load_deny_list(keys), station.load_grants(keys)
    policies = [Policy.of(load_region(region), deny_list, grants=grants) for region in regions]
    return OwnSources(otherwise={policy.tariff: policy for policy in policies})


def _documents(at: StationConfig, reader: JournalReader) -> DocumentFolder:
    """The documents in the terminal's folder, by hash, with the lists in force."""
    from terminal.recompute import DOCUMENTS_FOLDER
    from terminal.recompute.documents import DocumentFolder

    station = _whose(at, reader)
    keys = station.load_keys()
    folder = at.terminal.state / DOCUMENTS_FOLDER
    return DocumentFolder(folder, keys.list_key("grants"), station.load_deny_list(keys))


def _replay(at: StationConfig, reader: JournalReader, policy: Policy) -> Replay:
    """The roster in force on the terminal; raises `RosterError` when there is none, or rows have left that it does not
    include.
    """
    from terminal.canteen.facts import Replay
    from terminal.canteen.store import CanteenLists
    from terminal.clock import from_unix_ms
    from terminal.errors import RosterError

    kept = reader.state()
    station = replace(_whose(at, reader), profile="canteen")
    roster = CanteenLists(station.active_set(station.load_keys())).roster(policy)
    if roster is None:
        raise RosterError(f"there is no roster in {station.state}", "Leave --roster out.")
    if not kept.base.sequence:
        return Replay(kept.terminal, policy, roster)
    first = next(reader.all_rows(), None)
    if first is None or kept.base.sequence > roster.header.through.get(str(kept.terminal), 0):
        raise RosterError(
            "rows have left the journal that the roster's balances do not include, so the accounts are not known",
            "Leave --roster out, or load a roster that reaches further.",
        )
    begins = policy.service_date(from_unix_ms(first.record.at_ms).astimezone(policy.zone))
    return Replay(kept.terminal, policy, roster, begins=begins)


def _print_difference(json: bool, sequence: int, found_by_name: Mapping[str, object], currency: str) -> None:
    from terminal.app.output import print_json

    if json:
        print_json({"sequence": sequence, **found_by_name})
    else:
        listed = "; ".join(f"{what}: {_pair(found, currency)}" for what, found in found_by_name.items())
        print(f"{sequence:>7} {listed}")


def _pair(found: object, currency: str) -> str:
    if isinstance(found, dict):
        return f"recorded {_shown(found['recorded'], currency)}, recomputed {_shown(found['recomputed'], currency)}"
    return str(found)


def _shown(value: object, currency: str) -> str:
    """A value for people; a trail in words, its sums in `currency`."""
    from terminal.trail import TrailEntry
    from terminal.trail_steps import step_line

    if isinstance(value, tuple) and value and all(isinstance(step, TrailEntry) for step in value):
        return " | ".join(step_line(step, currency, titled=False) for step in value)
    return str(value)
