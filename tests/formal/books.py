"""What the real collector makes of the model's journals: never a ride more than the cards hold, at last each one."""

from __future__ import annotations

from typing import Final

from terminal.codes import Admission
from terminal.collector.reconcile import Reconciliation, reconcile
from terminal.collector.registry import CardRegistry
from terminal.collector.store import StoredRecord
from terminal.journal.records import (
    AnyRecord,
    Committed,
    Intent,
    NotCommitted,
    SettledBy,
    Unwritten,
    build_record,
)
from tests.formal.rides import Broken, Rules, uses
from tests.formal.steps import present, undisturbed
from tests.formal.world import Bounds, Row, World

REFERENCES: Final = (b"card 0", b"card 1")


def check_books(world: World, rows: tuple[int, int] | None = None) -> Reconciliation:
    """What the real collector makes of the first `rows` of each journal must be what the cards hold.

    Every intent charges another power of two, so that the sum names the taps counted.
    """
    held = rows or (len(world.journals[0]), len(world.journals[1]))
    on_cards = {tap for card in world.cards for tap in card.held}
    taps = [
        (at + 1, number)
        for at in (0, 1)
        for number, row in enumerate(world.journals[at][: held[at]], 1)
        if row.kind == "intent"
    ]
    price = {tap: 1 << place for place, tap in enumerate(taps)}
    found = reconcile(
        (
            StoredRecord(at + 1, number, build_record(_record(row, price.get((at + 1, number), 0))))
            for at in (0, 1)
            for number, row in enumerate(world.journals[at][: held[at]], 1)
        ),
        CardRegistry(),
    )
    counted = {tap for tap in taps if found.total.charged_in("") & price[tap]}
    if found.findings or not counted <= on_cards:
        raise Broken(f"the collector counts {counted}, the cards hold {on_cards}: {found.findings}")
    if found.total.not_committed + found.total.unresolved_open < len(set(taps) - on_cards):
        raise Broken("the collector counts a ride no card holds")
    if found.total.not_committed > len(set(taps) - on_cards):
        raise Broken("the collector forgets a ride a card holds")
    return found


def _record(row: Row, charge_minor: int) -> AnyRecord:
    prev_terminal, prev_sequence = row.about
    match row.kind:
        case "intent":
            return Intent(
                0, REFERENCES[row.card], "bus", 0, 0, 0, 0, "ok_fare", charge_minor, 0, 0, 1, "", (),
                prev_terminal, prev_sequence, b"", (), {},
            )  # fmt: skip
        case "committed":
            return Committed(0, prev_sequence, None, b"", SettledBy.RECOVERED)
        case "not_committed":
            return NotCommitted(0, prev_sequence, SettledBy.RECOVERED)
        case _:
            return Unwritten(
                0, REFERENCES[row.card], "bus", 0, "read_again", Admission.REFUSED, "", (),
                prev_terminal, prev_sequence,
            )  # fmt: skip


def check_closing(world: World, rules: Rules, bounds: Bounds) -> None:
    """Undisturbed from here, each card late at each terminal, everything sent: nothing is open, and all agrees.

    Whatever clocks have done to a card, once it has met a signed time a later month gives its holder the month's ride.
    """
    for card in range(len(world.cards)):
        for terminal in (0, 1, 0):
            world = undisturbed(present(world, "late", card, terminal), rules, bounds)
    found = check_books(world)
    if found.total.unresolved_open:
        raise Broken(f"{found.total.unresolved_open} taps stay open for ever")
    if found.total.accepted != sum(len(set(card.events)) - 1 for card in world.cards):
        raise Broken("the collector does not count every ride the cards hold")
    if len(bounds.clocks) > 1 and not uses(_months_later(world, rules, bounds).cards[0].newest):
        raise Broken("a new month's ride is withheld")


def _months_later(world: World, rules: Rules, bounds: Bounds) -> World:
    world = undisturbed(present(world, "late", 0, 0, "signed"), rules, bounds)
    return undisturbed(present(world, "months later", 0, 0), rules, bounds)


def check_at_any_moment(world: World) -> None:
    """Whatever part of either journal has arrived."""
    for first in range(len(world.journals[0]) + 1):
        for second in range(len(world.journals[1]) + 1):
            check_books(world, (first, second))
