"""`terminal journal recompute`: every charge in the journal, decided again from what is recorded with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import DEFAULT_REGION, DEFAULT_STATE, Json, State

if TYPE_CHECKING:
    from terminal.decision.recompute import RecordedTap
    from terminal.journal.records import Intent
    from terminal.policy.policy import Policy


def recompute(
    state: State = DEFAULT_STATE,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="A region document the taps were decided with: a TOML file or a bundled name. May be given more "
            "than once, as versions followed one another."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Decide every recorded tap again and compare the event byte for byte, the charge and the trail.

    Ends with code 24 when a record does not follow from what is recorded with it.
    """
    from terminal.cli.output import print_json
    from terminal.decision.recompute import CannotRecompute
    from terminal.decision.recompute import recompute as decide_again
    from terminal.errors import ChargesDiffer

    policies = _policies(region or [DEFAULT_REGION])
    counts = {"recomputed": 0, "differ": 0, "not_possible": 0}
    first = 0
    for sequence, intent, tap in _taps(state):
        policy = policies.get(intent.tariff)
        try:
            if policy is None:
                raise CannotRecompute(f"region document {intent.tariff} not given")
            deviations = decide_again(tap, policy)
        except CannotRecompute as error:
            counts["not_possible"] += 1
            _tell(json, sequence, {"not_possible": str(error)})
            continue
        counts["recomputed"] += 1
        if deviations:
            counts["differ"] += 1
            first = first or sequence
            told = {d.what: {"recorded": d.recorded, "recomputed": d.recomputed} for d in deviations}
            _tell(json, sequence, told)
    if json:
        print_json(counts)
    else:
        print(f"{counts['recomputed']} taps decided again: {counts['differ']} differ, ", end="")
        print(f"{counts['not_possible']} could not be decided again")
    if counts["differ"]:
        raise ChargesDiffer(
            f"{counts['differ']} records do not follow from what is recorded with them, the first is {first}",
            "Compare the region document and the software with those of the terminal; keep the journal.",
        )


def _policies(regions: list[str]) -> dict[str, Policy]:
    from terminal.policy.document import load_region
    from terminal.policy.policy import Policy

    policies = [Policy.of(load_region(region)) for region in regions]
    return {policy.tariff: policy for policy in policies}


def _taps(state: Path) -> Iterator[tuple[int, Intent, RecordedTap]]:
    from terminal.cli.journal import existing_journal
    from terminal.journal.reader import JournalReader
    from terminal.journal.records import Intent

    reader = JournalReader(existing_journal(state))
    terminal = reader.state().terminal
    for row in reader.all_rows():
        record = row.record
        if isinstance(record, Intent):
            yield row.sequence, record, recorded_tap(terminal, row.sequence, record)


def recorded_tap(terminal: int, sequence: int, intent: Intent) -> RecordedTap:
    """The tap in an intent's row, as it was decided."""
    from terminal.decision.outcome import TapContext
    from terminal.decision.recompute import RecordedTap

    context = TapContext(
        profile=intent.profile,
        terminal=terminal,
        sequence=sequence,
        shift_open=True,
        shift=intent.shift,
        turn=intent.turn,
        route=intent.route,
        direction=intent.direction,
    )
    return RecordedTap(
        at=datetime.fromtimestamp(intent.at_ms / 1000, UTC),
        context=context,
        known=intent.context,
        proof=intent.proof,
        event=intent.event,
        charge_minor=intent.charge_minor,
        message=intent.message,
        reasons=intent.reasons,
        flags=intent.flags,
    )


def _tell(json: bool, sequence: int, told: Mapping[str, object]) -> None:
    from terminal.cli.output import print_json

    if json:
        print_json({"sequence": sequence, **told})
    else:
        listed = "; ".join(f"{what}: {_pair(found)}" for what, found in told.items())
        print(f"{sequence:>7} {listed}")


def _pair(found: object) -> str:
    if isinstance(found, dict):
        return f"recorded {found['recorded']}, recomputed {found['recomputed']}"
    return str(found)
