"""Running the scenarios of a file under a region document: which came out as written, and where the others differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from terminal.decision.bus.sale import may_sell
from terminal.errors import Mistake
from terminal.policy.base import Thing, unknown
from terminal.policy.policy import Policy
from terminal.scenario.compare import (
    Difference,
    balance_minor,
    counters_of,
    differences,
    paid_by,
    total_differences,
)
from terminal.scenario.mistakes import PlayMistake, mistakes_at, unplayable
from terminal.scenario.play import Played, play
from terminal.scenario.schema import SaleCase, ScenarioFile


@dataclass(frozen=True, slots=True)
class Miss:
    """A tap that did not come out as written."""

    played: Played
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario, played. `number` counts from 1 as in the file."""

    number: int
    name: str
    rider: str
    played: tuple[Played, ...]
    misses: tuple[Miss, ...]
    total: tuple[Difference, ...] = ()
    """In what all taps together differ."""

    @property
    def ok(self) -> bool:
        return not self.misses and not self.total


@dataclass(frozen=True, slots=True)
class SaleResult:
    """One of the file's sales. `number` counts from 1 as in the file."""

    number: int
    case: SaleCase
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        return not self.differences


def run(file: ScenarioFile, policy: Policy) -> list[Result]:
    """Play every scenario of `file` under `policy`.

    Raises `ScenarioFileError` with the place inside the file when the document cannot play it: another region, a
    tap at a time the document does not hold, a counter or meal it does not have.
    """
    require_region(file, policy)
    return [_result(file, number, policy) for number in range(1, len(file.scenarios) + 1)]


def run_sales(file: ScenarioFile, policy: Policy) -> list[SaleResult]:
    """Ask for every sale of `file` under `policy`; raises `ScenarioFileError` for a product it does not have."""
    require_region(file, policy)
    return [_sale(number, case, policy) for number, case in enumerate(file.sales, start=1)]


def _sale(number: int, case: SaleCase, policy: Policy) -> SaleResult:
    try:
        sale = may_sell(policy, case.product, case.month, case.on)
    except KeyError as error:
        known = [product.id for product in policy.document.products]
        at = f"sales[{number - 1}].product"
        raise unplayable(unknown(at, Thing.PRODUCT, case.product, known)) from error
    pairs = (("sold", case.sold, sale.allowed), ("price_minor", case.price_minor, sale.price_minor))
    found = [Difference(what, wanted, got) for what, wanted, got in pairs if wanted not in (None, got)]
    return SaleResult(number, case, tuple(found))


def require_region(file: ScenarioFile, policy: Policy) -> None:
    """Raise `ScenarioFileError` unless the file was written for the region of `policy`."""
    region = policy.document.header.id
    if file.region != region:
        values = {"written_for": file.region, "document": region}
        raise unplayable(Mistake("region", PlayMistake.OTHER_REGION, values))


def place_of(number: int, played: Played) -> str:
    """Where a tap stands in its file."""
    return f"scenarios[{number - 1}].taps[{played.tap - 1}]"


def as_builtins(played: Played, policy: Policy) -> dict[str, Any]:
    """One tap for programs."""
    outcome = played.decision.outcome
    return {
        "tap": played.tap,
        "turn": played.turn,
        "at": played.at.astimezone(policy.zone).isoformat(),
        "message": str(outcome.message),
        "admission": outcome.admission.value,
        "charge_minor": outcome.charge_minor,
        "balance_minor": balance_minor(played),
        "paid_by": paid_by(played),
        "counters": counters_of(played, policy),
        "values": dict(outcome.values),
        "flags": list(played.decision.flags),
        "reasons": [
            {"rule": reason.rule, "effect": reason.code, "inputs": dict(reason.inputs)}
            for reason in played.decision.facts
        ],
    }


def _result(file: ScenarioFile, number: int, policy: Policy) -> Result:
    scenario = file.scenarios[number - 1]
    played = play(file, number, policy)
    misses = []
    for tap in played:
        _require_begun(number, tap, policy)
        with mistakes_at(f"{place_of(number, tap)}.expect"):
            found = differences(tap, policy)
        if found:
            misses.append(Miss(tap, tuple(found)))
    total = tuple(total_differences(scenario, played))
    return Result(number, scenario.name, scenario.rider, tuple(played), tuple(misses), total)


def _require_begun(number: int, played: Played, policy: Policy) -> None:
    """What happens after its end a document says itself (`[ended]`)."""
    header = policy.document.header
    if played.at < header.valid_from:
        moments = {"at": played.at, "valid_from": header.valid_from, "valid_to": header.valid_to}
        values = {name: moment.astimezone(policy.zone).isoformat(" ") for name, moment in moments.items()}
        document: dict[str, int | str] = {"document": header.id, "version": header.version}
        raise unplayable(Mistake(place_of(number, played), PlayMistake.BEFORE_DOCUMENT, document | values))
