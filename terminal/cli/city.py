"""`terminal city`: many terminals by their next contacts: how fast news reaches them, and what that costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import Json
from terminal.errors import TerminalError

if TYPE_CHECKING:
    from terminal.lab.city.run import CityResult, ContactResult, StepResult


def city(
    terminals: Annotated[int, typer.Option(min=1, max=200_000, help="Terminals of the city.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the city and of what happens.")] = 1,
    denied: Annotated[int, typer.Option(min=1, max=100_000, help="Deny entries a day.")] = 100,
    listed: Annotated[
        int,
        typer.Option(min=0, max=13_000_000, help="Entries of the list that an issue brings: 8 bytes each."),
    ] = 20_000,
    issue_min: Annotated[
        float, typer.Option(min=0, max=1440, help="Minutes between issues; 0: at once.")
    ] = 5,
    fare_minor: Annotated[int, typer.Option(min=0, help="Fare of a lost ride, in minor units.")] = 3_500,
    picture: Annotated[
        Path | None, typer.Option(help="Write the picture of the spread, SVG, to this file.")
    ] = None,
    json: Json = False,
) -> None:
    """Play a city of terminals: looks each 60, 300 and 900 s, a held request, and sticks; a wrong tariff in steps.

    Nothing is started: what a look costs was counted between a real terminal and a real collector. See docs/sizing.md.
    """
    from terminal.app.output import print_json
    from terminal.lab.city.run import CityPlan, play_city

    plan = CityPlan(terminals, seed, denied, listed, issue_min, fare_minor=fare_minor)
    if picture is not None:
        _require_place(picture)
    result = play_city(plan)
    if picture is not None:
        _draw(result, picture)
    if json:
        print_json(result.as_json())
    else:
        print("\n".join(_lines(result)))


def _require_place(path: Path) -> None:
    """A file that cannot be written is said before the play, not after it."""
    if path.is_dir():
        raise TerminalError(f"{path} is a folder", "Name a file in it.")
    if not path.parent.is_dir():
        raise TerminalError(f"there is no folder {path.parent}", "Make it, or give another file.")


def _draw(result: CityResult, to: Path) -> None:
    from terminal.files import SHARED, replace_file
    from terminal.lab.city.picture import picture

    try:
        replace_file(to, picture(result).encode(), SHARED)
    except OSError as error:
        raise TerminalError(f"{to} cannot be written: {error.strerror}", "Give another file.") from error


def _lines(result: CityResult) -> list[str]:
    plan = result.plan
    heads = ("50 %", "90 %", "99 %", "all", "near 90 %", "near 99 %", "lost rides", "lost fares")
    loads = ("requests", "MB", "MB of lists", "looks/s", "burst", "cores")
    harms = ("reached", "refused taps", "withdrawn", "last back")
    return [
        f"{plan.terminals} terminals; {plan.denied} deny entries a day in {plan.issues} issues",
        f"{'until it is known':<20}" + "".join(f"{head:>12}" for head in heads),
        *(_spread_line(result, one) for one in result.contacts),
        "",
        f"{'a day':<20}" + "".join(f"{head:>12}" for head in loads),
        *(_load_line(one) for one in result.contacts),
        "",
        f"{'a wrong tariff':<38}" + "".join(f"{head:>14}" for head in harms),
        *(_step_line(one) for one in result.steps),
    ]


def _spread_line(result: CityResult, one: ContactResult) -> str:
    spread = one.spread
    times = (*spread.all_s, *(spread.in_contact_s[1:3] or (0.0, 0.0)))
    fares = result.lost_minor(one) / 100
    return (
        f"{one.contact.name:<20}"
        + "".join(f"{_span(seconds):>12}" for seconds in times)
        + f"{spread.lost_rides:>12.2f}{fares:>12.0f}"
    )


def _load_line(one: ContactResult) -> str:
    load = one.load
    numbers = (load.requests, load.overhead_bytes / 1e6, load.content_bytes / 1e6)
    return (
        f"{one.contact.name:<20}"
        + "".join(f"{number:>12.0f}" for number in numbers)
        + f"{load.peak_looks:>12.0f}{load.burst:>12}{load.cores:>12.2f}"
    )


def _step_line(one: StepResult) -> str:
    wrong, harm = one.wrong, one.harm
    judge = "collector" if wrong.judged and wrong.shows else "a person"
    name = f"{'/'.join(map(str, one.steps))} %, refuses {wrong.refused:.0%}, {judge}"
    return (
        f"{name:<38}{harm.reached:>14}{harm.refused_taps:>14.0f}"
        f"{_span(harm.withdrawn_s):>14}{_span(harm.last_s):>14}"
    )


def _span(seconds: float) -> str:
    """With the unit that fits."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
