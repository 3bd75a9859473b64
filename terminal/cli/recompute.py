"""`terminal journal recompute`: every tap and sale in the journal, decided again from what is recorded with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from terminal.cli.options import Config, Json, Keys, State, station_config
from terminal.clock import from_unix_ms

if TYPE_CHECKING:
    from terminal.app.config.settings import StationConfig
    from terminal.canteen.facts import Replay
    from terminal.decision.recompute import CannotRecompute, Deviation, RecordedCash, RecordedTap
    from terminal.journal.canteen_records import MealLine
    from terminal.journal.reader import JournalReader
    from terminal.journal.records import AnyRecord, CashSale, Intent, Unwritten
    from terminal.policy.policy import Policy
    from terminal.trip.facts import Trip


def recompute(
    config: Config = None,
    state: State = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="A region document the taps were decided with: a TOML file or a supplied name. May be given more "
            "than once, as versions followed one another."
        ),
    ] = None,
    roster: Annotated[
        bool, typer.Option("--roster", help="Canteen: use the sealed roster in force here.")
    ] = False,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Recompute every recorded tap and cash sale, refused ones included; compare event bytes, charge, answer and trail.

    Exit code 24: a record does not follow from its recorded inputs.
    """
    from terminal.app.output import print_json
    from terminal.app.station import journal_reader
    from terminal.decision.recompute import CannotRecompute
    from terminal.errors import ChargesDiffer

    at = station_config(config, state=state, keys=keys)
    policies = _policies(region or [at.terminal.region_or_demo], at)
    currency = next(iter(policies.values())).currency
    counts, first = {"recomputed": 0, "differ": 0, "not_possible": 0}, 0
    with journal_reader(at.terminal.state, at.keys.file) as reader:
        replay = _replay(at, reader, next(iter(policies.values()))) if roster else None
        for sequence, found in decided_again(reader, policies, replay):
            if isinstance(found, CannotRecompute):
                counts["not_possible"] += 1
                said = (
                    {"not_possible": found.gap.value, "says": str(found)}
                    if json
                    else {"not_possible": str(found)}
                )
                _print_difference(json, sequence, said, currency)
                continue
            counts["recomputed"] += 1
            if found:
                counts["differ"] += 1
                first = first or sequence
                found_by_name = {d.what: {"recorded": d.recorded, "recomputed": d.recomputed} for d in found}
                _print_difference(json, sequence, found_by_name, currency)
    if json:
        print_json(counts)
    else:
        print(
            f"Taps and sales decided again: {counts['recomputed']}; differ: {counts['differ']}; "
            f"not possible: {counts['not_possible']}"
        )
    if counts["differ"]:
        raise ChargesDiffer(
            f"{counts['differ']} records do not follow from what is recorded with them, the first is {first}",
            "Compare the region document and the software with those of the terminal; keep the journal.",
        )


def decided_again(
    reader: JournalReader, policies: Mapping[str, Policy], replay: Replay | None
) -> Iterator[tuple[int, list[Deviation] | CannotRecompute]]:
    """For every row of a tap or cash sale: where it deviates, or why it could not be decided again."""
    from terminal.decision.recompute import CannotRecompute
    from terminal.journal.records import CashSale, Intent, Unwritten

    terminal = reader.state().terminal
    for row in reader.all_rows():
        record = row.record
        if isinstance(record, Intent | Unwritten | CashSale):
            try:
                yield row.sequence, _deviations(terminal, row.sequence, record, policies, replay)
            except CannotRecompute as error:
                yield row.sequence, error
        if replay is not None:
            replay.follow(row.sequence, record)


def _deviations(
    terminal: int,
    sequence: int,
    record: Intent | Unwritten | CashSale,
    policies: Mapping[str, Policy],
    replay: Replay | None,
) -> list[Deviation]:
    from terminal.decision.recompute import CannotRecompute, RecomputeGap, recompute_cash
    from terminal.decision.recompute import recompute as decide_again
    from terminal.journal.records import CashSale

    policy = policies.get(record.tariff)
    if policy is None:
        raise CannotRecompute(RecomputeGap.REGION, f"region document {record.tariff} not given")
    if isinstance(record, CashSale):
        return recompute_cash(recorded_cash(terminal, sequence, record), policy)
    tap = recorded_tap(terminal, sequence, record)
    pupil = None if replay is None else replay.pupil_at(record, tap.at)
    return decide_again(tap, policy, pupil)


def _policies(regions: list[str], at: StationConfig) -> dict[str, Policy]:
    """The documents with the lists that are configured here: taps decided by those can be checked against them."""
    from terminal.app.station import station_of
    from terminal.policy.load import load_region
    from terminal.policy.policy import Policy

    station = station_of(at)
    keys = station.load_keys()
    deny_list, grants = station.load_deny_list(keys), station.load_grants(keys)
    policies = [Policy.of(load_region(region), deny_list, grants=grants) for region in regions]
    return {policy.tariff: policy for policy in policies}


def _replay(at: StationConfig, reader: JournalReader, policy: Policy) -> Replay:
    """The roster in force on the terminal; raises `RosterError` when there is none or rows have left already."""
    from terminal.app.station import station_of
    from terminal.canteen.facts import Replay
    from terminal.canteen.store import CanteenLists
    from terminal.errors import RosterError

    kept = reader.state()
    station = replace(station_of(at), number=kept.terminal, profile="canteen")
    roster = CanteenLists(station.active_set(station.load_keys())).roster(policy)
    if roster is None:
        raise RosterError(f"there is no roster in {station.state}", "Leave --roster out.")
    if kept.base.sequence:
        raise RosterError(
            "the journal no longer holds its first rows, so what pupils had eaten is not known",
            "Leave --roster out.",
        )
    return Replay(kept.terminal, policy, roster)


def _trip(terminal: int, sequence: int, profile: str, record: Intent | Unwritten | CashSale) -> Trip:
    from terminal.trip.facts import Trip

    return Trip(
        profile=profile,
        terminal=terminal,
        sequence=sequence,
        shift=record.shift,
        turn=record.turn,
        route=record.route,
        direction=record.direction,
    )


def recorded_cash(terminal: int, sequence: int, sale: CashSale) -> RecordedCash:
    """The cash sale in its row, as it was priced."""
    from terminal.decision.recompute import RecordedCash

    return RecordedCash(
        at=_moment(sale),
        trip=_trip(terminal, sequence, "bus", sale),
        known=sale.trip,
        persons=sale.persons,
        sum_minor=sale.sum_minor,
        reasons=sale.reasons,
        flags=sale.flags,
    )


def recorded_tap(terminal: int, sequence: int, row: Intent | Unwritten) -> RecordedTap:
    """The tap in its row, as it was decided; raises `CannotRecompute` for one that was not decided from a card."""
    from terminal.codes import Admission
    from terminal.decision.recompute import CannotRecompute, RecomputeGap, RecordedTap, read_of
    from terminal.journal.records import Intent

    written = row if isinstance(row, Intent) else None
    read = read_of(row.proof) if isinstance(row, Intent) else row.read
    if written is None and not read:
        raise CannotRecompute(
            RecomputeGap.NOTHING_READ, f"the row holds nothing to decide again from ({row.message})"
        )
    return RecordedTap(
        at=_moment(row),
        trip=_trip(terminal, sequence, row.profile, row),
        known=row.trip,
        read=read,
        event=b"" if written is None else written.event,
        charge_minor=0 if written is None else written.charge_minor,
        message=row.message,
        admission=Admission.LET_IN if isinstance(row, Intent) else row.admission,
        reasons=row.reasons,
        flags=row.flags,
        lists=row.lists,
        states=_states(row),
    )


def _states(row: Intent | Unwritten) -> dict[str, object]:
    """What else the row says that follows from the card and the decision."""
    from terminal.journal.records import Unwritten

    previous = {"previous": (row.prev_terminal, row.prev_sequence)}
    if isinstance(row, Unwritten):
        return {**previous}
    return {
        **previous,
        "balance_before_minor": row.balance_before_minor,
        "balance_after_minor": row.balance_after_minor,
        "paid_by": row.paid_by,
        "values": row.values,
        "meal": None if row.meal is None else _portion(row.meal),
    }


def _portion(line: MealLine) -> tuple[object, ...]:
    return (line.school, line.class_id, line.kind, line.day, line.sources, line.category, line.flags)


def _moment(record: AnyRecord) -> datetime:
    from terminal.decision.recompute import CannotRecompute, RecomputeGap

    try:
        return from_unix_ms(record.at_ms)
    except OverflowError as error:
        raise CannotRecompute(RecomputeGap.TIME, "no calendar has its time") from error


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
