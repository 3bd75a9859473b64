"""Taps by the terminal itself, undisturbed and torn at each exchange, and the roll to other keys."""

from __future__ import annotations

from typing import Final

from cardproto.errors import StatusError
from cardproto.resident.layout import KeyNo
from terminal.journal.taps import End
from terminal.lab.acceptance.assumptions import Assumption, CardVerdict
from terminal.lab.acceptance.bench import AcceptanceBench
from terminal.lab.acceptance.rig import Torn
from terminal.lab.world import purse_minor
from terminal.tap import Terminal, take_tap
from terminal.tap_report import TapReport

BETWEEN_RIDES_S: Final = 3 * 3600.0
BETWEEN_ATTEMPTS_S: Final = 5.0
NEXT_SET: Final = 1


def tap_once(bench: AcceptanceBench, terminal: Terminal) -> int:
    """A ride; how many exchanges it took, 0 when it was not paid for."""
    before = bench.purse_minor()
    report = _ride(bench, terminal)
    after = bench.purse_minor()
    fine = report.end is End.COMMITTED and after == report.balance_after_minor
    bench.holds(Assumption.TAP, fine and before != after, exchanges=report.exchanges)
    form = bench.rows.get(Assumption.TIMER_FORM)
    if fine and form is not None and form.verdict is CardVerdict.HOLDS:
        bench.holds(Assumption.TIMER_LENGTH, True)
    bench.fare_minor = before - after
    return report.exchanges if fine else 0


def _ride(bench: AcceptanceBench, terminal: Terminal) -> TapReport:
    bench.clock.advance(BETWEEN_RIDES_S)
    return take_tap(bench.connect(), terminal)


def tear_everywhere(bench: AcceptanceBench, terminal: Terminal, pulls: int) -> None:
    """Before and after every exchange of a tap; the last `pulls` tears are a person's, the others the reader's."""
    exchanges = int(bench.rows[Assumption.TAP].saw["exchanges"])
    places = [(at, answered) for at in range(1, exchanges + 1) for answered in (False, True)]
    wrong = 0
    for number, (at, answered) in enumerate(places):
        by_hand = number >= len(places) - pulls
        wrong += not _torn_ride(bench, terminal, at, answered=answered, by_hand=by_hand)
    bench.holds(Assumption.TEARS, not wrong, tears=len(places), by_hand=min(pulls, len(places)), wrong=wrong)


def _torn_ride(bench: AcceptanceBench, terminal: Terminal, at: int, *, answered: bool, by_hand: bool) -> bool:
    """Tear, tap again, and see that the ride was paid for once: by the card, by its twin, and by the record."""
    before = bench.purse_minor()
    bench.clock.advance(BETWEEN_RIDES_S)

    def tear() -> None:
        if by_hand:
            bench.rig.pull(bench.wait_s)
        else:
            bench.rig.cut_power()

    take_tap(Torn(bench.connect(), at, answered=answered, tear=tear), terminal)
    bench.clock.advance(BETWEEN_ATTEMPTS_S)
    again = take_tap(bench.connect(), terminal)
    after = bench.purse_minor()
    twin = bench.twin
    agrees = twin is None or not twin.in_line or purse_minor(twin.card) == after
    return before - after == bench.fare_minor and _settled(terminal, again) and agrees


def _settled(terminal: Terminal, again: TapReport) -> bool:
    return again.card_ref is not None and terminal.journal.unresolved(again.card_ref) is None


def roll(bench: AcceptanceBench, terminal: Terminal) -> None:
    """To the next key set, a tap with it, and back."""
    with bench.noting(Assumption.ROLL):
        if not _rolled(bench, Assumption.ROLL):
            return
        fine = _ride(bench, terminal).end is End.COMMITTED
        bench.holds(Assumption.ROLL, fine)
    with bench.noting(Assumption.ROLL_BACK):
        _rolled(bench, Assumption.ROLL_BACK)


def _rolled(bench: AcceptanceBench, assumption: Assumption) -> bool:
    try:
        bench.open(KeyNo.ROLL).roll_key_set(NEXT_SET)
    except StatusError as refusal:
        bench.holds(assumption, False, status=f"{refusal.sw:04X}")
        return False
    bench.holds(assumption, True)
    return True
