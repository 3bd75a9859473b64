"""The composition root of canteen work: a till over the journal, roster and price list of one terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final

from cardcli import MADE_AT
from terminal.app.active import foreseen_policy, policy_of, put_at_counter
from terminal.app.station import Station, open_journal
from terminal.canteen.answers import Given
from terminal.canteen.asking import ask
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.pupil_files import PupilFiles
from terminal.canteen.requests import OpenTill, Request, execute
from terminal.canteen.spare_log import SPARE_FILE, SpareLog
from terminal.canteen.store import CANTEEN_FOLDER, CanteenLists
from terminal.clock import Clock, SystemClock, unix_ms
from terminal.codes import SetKind
from terminal.errors import JournalError, JournalLocked
from terminal.journal.clock_ledger import ClockRows
from terminal.journal.journal import Journal
from terminal.keys.file import FileKeys
from terminal.policy.policy import Policy
from terminal.trip.clock_watch import is_suspect
from terminal.updates.active import ActiveSet
from terminal.updates.parts import require_meal

PATIENCE_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.05
ELSEWHERE: Final = (
    "Nothing was done. Ask again when the other window is done; only a canteen takes such requests."
)


def counter_over(
    station: Station,
    keys: FileKeys,
    policy: Policy,
    active: ActiveSet,
    journal: Journal | None,
    clock_suspect: Callable[[], bool] = lambda: False,
) -> CanteenCounter:
    """A counter, started; raises `CanteenRefused` for a meal the region document does not have."""
    require_meal(station.serving, policy)
    counter = CanteenCounter(
        terminal=station.number,
        policy=policy,
        journal=journal,
        roster=CanteenLists(active).roster(policy),
        spare=SpareLog(station.state / CANTEEN_FOLDER / SPARE_FILE),
        price_list=CanteenLists(active).price_list(),
        serving=station.serving,
        clock_suspect=clock_suspect,
        files=PupilFiles(station.state / CANTEEN_FOLDER, keys.sealer, station.number, keys),
    )
    counter.start()
    return counter


@contextmanager
def open_till(station: Station, clock: Clock, *, without_journal: bool = False) -> Iterator[OpenTill]:
    """The till of a terminal that is not running.

    `without_journal`: go on with a journal that cannot be opened, for entitled meals only (O-06); one that
    another process writes is not broken and still ends in `JournalLocked`.
    """
    keys = station.load_keys()
    with ExitStack() as stack:
        active = stack.enter_context(closing(station.open_active(keys, clock.now())))
        policy = foreseen_policy(active, clock.now())
        station.require_in_force(policy, keys, clock.now())
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
        changed: tuple[SetKind, ...] = ()
        if journal is not None:
            changed = active.resume(journal, clock.now(), trusted=not _suspect(journal, policy, clock))
            policy = policy_of(active)
        counter = counter_over(
            station, keys, policy, active, journal, lambda: _suspect(journal, policy, clock)
        )
        put_at_counter(active, counter, changed, clock.now())
        yield OpenTill(counter, CanteenLists(active), clock)


def _suspect(journal: Journal | None, policy: Policy, clock: Clock) -> bool:
    """Whether the clock of a terminal at rest is in doubt, by what its journal says."""
    rows = ClockRows() if journal is None else journal.clock
    return is_suspect(rows, unix_ms(clock.now()), unix_ms(MADE_AT), policy.document.clock.ahead_days)


def perform(station: Station, request: Request[Given], *, without_journal: bool = False) -> Given:
    """Do `request` at the till of `station`, now: here, or in the process that is serving cards there; while another
    window works at a terminal at rest, a little later.

    Raises the `TerminalError` that stands against it, the same in both cases.
    """
    clock = SystemClock()
    until = clock.monotonic() + PATIENCE_S
    while True:
        try:
            with open_till(station, clock, without_journal=without_journal) as till:
                return execute(request, till)
        except JournalLocked as locked:  # before anything of the request was done
            answer = ask(station.state, request)
            if answer is not None:
                return answer
            if clock.monotonic() > until:
                raise JournalLocked(locked.what, ELSEWHERE) from locked
        time.sleep(LOOK_AGAIN_S)
