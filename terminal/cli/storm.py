"""`terminal storm`: break everything, over and over, and show that no tap is lost, doubled or charged wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import Json

if TYPE_CHECKING:
    from terminal.lab.stress.faults.plan import Kind
    from terminal.lab.stress.run import StormResult, TownSeed


def storm(
    taps: Annotated[int, typer.Option(min=1, help="Number of taps.")] = 5_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the whole run.")] = 1,
    faults: Annotated[str, typer.Option(help="Faults to inject, separated by commas; default: all.")] = "",
    terminals: Annotated[
        int, typer.Option(min=2, max=64, help="Terminals per town; about one in four is a canteen terminal.")
    ] = 8,
    cards: Annotated[int, typer.Option(min=2, max=1_000, help="Residents per town.")] = 40,
    region: Annotated[
        str, typer.Option(help="Region of all towns; default: the supplied ones in turn.")
    ] = "every",
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Towns run in parallel.")] = 1,
    processes: Annotated[
        int, typer.Option(min=0, help="Additional rounds with real processes, ended by SIGKILL.")
    ] = 0,
    log: Annotated[
        Path | None,
        typer.Option(help="Write each finished town to this file, and do not play again what is there."),
    ] = None,
    sum_logs: Annotated[
        list[Path] | None,
        typer.Option("--sum", help="Play nothing, add up the towns of such a file; may be repeated."),
    ] = None,
    replay: Annotated[Path | None, typer.Option(help="Replay the violation in this file.")] = None,
    digest: Annotated[
        bool, typer.Option(help="Print a digest of the behaviour, for comparing versions.")
    ] = False,
    json: Json = False,
) -> None:
    """Run several terminals and a collector under seeded faults; exit code 1 at a violation.

    Crashes are simulated inside this process: the journal is dropped without close() and opened again.
    `--processes` adds rounds in which real processes are killed. Power cuts and full disks need apsw (extra `stress`).
    """
    from terminal.lab.stress.faults.plan import Kind, faults_named
    from terminal.lab.stress.run import TownSeed, sum_of

    chosen = faults_named([name.strip() for name in faults.split(",")]) if faults else frozenset(Kind)
    if sum_logs:
        result = sum_of(sum_logs)
    elif replay is not None:
        result = _replay(replay, digest=digest)
    else:
        result = _storm(
            taps, seed, chosen, TownSeed(seed, terminals, cards, region), jobs, log, quiet=json, digest=digest
        )
        if processes:
            from terminal.lab.stress.process import add_processes

            add_processes(result, processes, seed)
    _print(result, json)
    if result.violations or not result.findings.sound:
        raise typer.Exit(1)


def _replay(path: Path, *, digest: bool) -> StormResult:
    from terminal.lab.stress.run import StormResult, load_replay, play_town, shrink

    earlier = load_replay(path)
    found = play_town(earlier.town, earlier.replay, digest=digest)
    result = StormResult(earlier.town.seed, towns=1, findings=found)
    if not found.sound:
        result.violations.append(shrink(earlier.town, earlier.replay, found))
    return result


def _storm(
    taps: int,
    seed: int,
    faults: frozenset[Kind],
    like: TownSeed,
    jobs: int,
    log: Path | None,
    *,
    quiet: bool,
    digest: bool,
) -> StormResult:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from cardcli.console import progress_console
    from terminal.lab.stress import run

    columns = (
        TextColumn("taps"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[survived]} faults survived"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=progress_console(), transient=True, disable=quiet) as bar:
        task = bar.add_task("storm", total=taps, survived=0)
        survived = 0

        def progress(more_taps: int, more_faults: int) -> None:
            nonlocal survived
            survived += more_faults
            bar.update(task, advance=more_taps, survived=survived)

        return run.storm(
            taps,
            seed,
            faults,
            progress,
            terminals=like.terminals,
            cards=like.cards,
            region=like.region,
            jobs=jobs,
            digest=digest,
            log=log,
        )


def _print(result: StormResult, json: bool) -> None:
    from terminal.app.output import print_json

    totals = result.as_json()
    if json:
        print_json(totals)
        return
    for name in ("towns", "taps", "decided", "granted", "records", "restarts", "faults_total"):
        print(f"  {name:<24} {totals[name]}")
    for name, count in totals["faults_injected"].items():
        print(f"    {name:<28} {count}")
    for name in totals["faults_unavailable"]:
        print(f"    {name:<28} unavailable: needs apsw")
    for name in ("lost", "duplicated", "unresolved_settled", "unresolved_open"):
        print(f"  {name:<24} {totals[name]}")
    for name in ("misjudged", "unnoticed", "money_mismatch_minor", "charged_minor"):
        print(f"  {name:<24} {totals[name]}")
    for name in ("taps_per_s", "taps_per_cpu_s"):
        print(f"  {name:<24} {totals[name]}")
    for part, value in totals.get("digest", {}).items():
        print(f"  {'digest of ' + part:<24} {value}")
    for violation in result.violations:
        print(f"VIOLATION in the town of seed {violation.town.seed}: {violation.problems}")
        print(f"  {len(violation.replay)} of {violation.planned_steps} steps are enough:")
        for step in violation.replay:
            print(f"    {step}")
