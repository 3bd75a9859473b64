"""The composition root of canteen work: a counter over the journal, roster and price list of one terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import typer

from terminal.app.station import Station, open_journal
from terminal.canteen.desk import CanteenDesk
from terminal.canteen.spare_log import SPARE_FILE, SpareLog
from terminal.canteen.store import CanteenStore
from terminal.clock import Clock, SystemClock
from terminal.errors import CanteenRefused, JournalError, JournalLocked
from terminal.journal.journal import Journal
from terminal.keys.file import FileKeys
from terminal.policy.document.meals import BY_SHIFT
from terminal.policy.policy import Policy

CANTEEN_FOLDER: Final = "canteen"


def store_of(station: Station, keys: FileKeys) -> CanteenStore:
    """Where this terminal keeps its lists."""
    return CanteenStore(station.state / CANTEEN_FOLDER, station.number, keys.sealer)


def desk_over(station: Station, policy: Policy, keys: FileKeys, journal: Journal | None) -> CanteenDesk:
    """A counter, started; raises `RosterError` or `KeyFileError` for lists that cannot be used, `CanteenRefused`
    for a meal the region document does not have.
    """
    if station.serving not in ("", BY_SHIFT, *policy.meals.kinds):
        known = ", ".join((*policy.meals.kinds, BY_SHIFT))
        raise CanteenRefused(f"no meal {station.serving!r} in the region document", f"It has: {known}.")
    store = store_of(station, keys)
    desk = CanteenDesk(
        terminal=station.number,
        policy=policy,
        journal=journal,
        roster=store.load_roster(policy),
        spare=SpareLog(station.state / CANTEEN_FOLDER / SPARE_FILE),
        price_list=store.load_price_list(),
        serving=station.serving,
    )
    desk.start()
    return desk


@contextmanager
def open_desk(station: Station, clock: Clock, *, without_journal: bool = False) -> Iterator[CanteenDesk]:
    """A counter of a terminal that is not running.

    `without_journal`: go on with a journal that cannot be opened, for entitled meals only (O-06); one that
    another process writes is not broken and still ends in `JournalLocked`.
    """
    keys = station.load_keys()
    policy = station.load_policy(keys, clock.now())
    with ExitStack() as stack:
        journal: Journal | None = None
        try:
            journal = stack.enter_context(
                open_journal(station.state, station.number, keys, clock, policy.tariff)
            )
        except JournalLocked:
            raise
        except JournalError:
            if not without_journal:
                raise
        yield desk_over(station, policy, keys, journal)


def station_of(state: Path, number: int, region: str, keys: Path | None) -> Station:
    """The canteen terminal of a command's options."""
    return Station(number, "canteen", state, region, keys)


def at_counter(
    station: Station, work: Callable[[CanteenDesk, datetime], None], *, without_journal: bool = False
) -> None:
    """Do `work` at the counter of `station`, now: here, or in the process that is serving cards there."""
    from terminal.cli.canteen_line import counter_here

    counter = counter_here()
    if counter is not None:
        work(counter.desk, counter.clock.now())
        return
    clock = SystemClock()
    try:
        with open_desk(station, clock, without_journal=without_journal) as desk:
            work(desk, clock.now())
    except JournalLocked:
        if not _ask_the_running_one(station.state):
            raise


def _ask_the_running_one(state: Path) -> bool:
    """Pass this command on to the terminal that is running in `state`; False when none takes it."""
    from terminal.cli.canteen_line import ask

    words = sys.argv[sys.argv.index("canteen") + 1 :]
    answer = ask(state, [str(Path(word).resolve()) if Path(word).is_file() else word for word in words])
    if answer is None:
        return False
    sys.stdout.write(answer.stdout)
    sys.stderr.write(answer.stderr)
    if answer.code:
        raise typer.Exit(answer.code)
    return True
