"""Staff at work in a stress run, by what the pages of their consoles call: turns, places, companions, shifts, breaks,
tickets for cash, class lists; and the deny list, published anew and taken up by one terminal after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from terminal.canteen.issuing import How, Issued, ServingList, issue, pupils_of
from terminal.clock import unix_ms
from terminal.codes import SetKind, TicketKind
from terminal.errors import ReceiptError
from terminal.journal.console_records import BreakDeclared, PlaceSet
from terminal.lab.oracle.tariff import OracleSpot
from terminal.lab.stress.faults.plan import Kind, StressStep
from terminal.lab.stress.residents import FIRST_STOP
from terminal.lab.stress.truth import TruePost, TrueTicket
from terminal.lab.stress.world import Post, StormTown
from terminal.policy.deny_list import DenyKind
from terminal.receipt.counter import cancel_sale, refused_to_cancel, sell_for_cash
from terminal.trip.asked import KEPT_S
from terminal.trip.facts import AskedBy
from terminal.trip.shifts import LastSale, ShiftCount, close_shift, open_shift, start_turn
from terminal.updates.watch import SourceFile, offer_source

STAFF_NUMBER: Final = "77"
MOST_COMPANIONS: Final = 3
DENIED_AT_ONCE: Final = 3
BREAK_S: Final = 300.0
CANCEL_WITHIN_S: Final = 300
"""Where a document does not say."""


def work(town: StormTown, step: StressStep) -> bool:
    """What the step asks of the crew of its terminal; whether there was anything to do."""
    post, true = town.posts[step.terminal], town.truth.posts[step.terminal]
    return WORK[Kind(step.fault)](town, post, true, step)


def _turn(_town: StormTown, post: Post, true: TruePost, _step: StressStep) -> bool:
    """T-62: back the other way; a place set by hand and companions were of the turn before."""
    if true.canteen:
        return False
    true.direction ^= 1
    true.stop, true.companions = None, 0
    start_turn(post.journal, post.clock.now(), STAFF_NUMBER, true.way.route, true.direction)
    return True


def _place(_town: StormTown, post: Post, true: TruePost, step: StressStep) -> bool:
    """T-61: the driver says at which stop the bus is."""
    shift = post.journal.open_shift
    if true.canteen or shift is None:
        return False
    stops = true.way.run(true.direction)
    index = step.value % len(stops)
    spot: OracleSpot = stops[index]
    number = FIRST_STOP * true.way.route + true.way.stops.index(spot)
    at_ms = unix_ms(post.clock.now())
    post.journal.append(PlaceSet(at_ms, shift.shift, number, spot.zone, spot.mark_m, STAFF_NUMBER))
    true.stop = spot
    return True


def _companions(town: StormTown, post: Post, true: TruePost, step: StressStep) -> bool:
    """T-34: so many more ride with the next card."""
    if true.canteen:
        return False
    post.terminal.next_ride.forget()
    true.companions, true.announced = 1 + step.value % MOST_COMPANIONS, true.announced + 1
    true.asked_until_s = town.clock.monotonic() + KEPT_S
    post.terminal.next_ride.count(true.companions, AskedBy.CREW)
    return True


def _shift(_town: StormTown, post: Post, true: TruePost, _step: StressStep) -> bool:
    """T-66, T-60: one crew leaves, the next one begins."""
    now = post.clock.now()
    close_shift(post.journal, now)
    open_shift(post.journal, now, STAFF_NUMBER, post.station.profile, true.way.route, true.direction)
    true.stop, true.companions, true.break_until_s = None, 0, None
    return True


def _break(town: StormTown, post: Post, true: TruePost, _step: StressStep) -> bool:
    """T-68: nothing is sold until it is over."""
    shift = post.journal.open_shift
    if true.canteen or true.break_until_s is not None or shift is None:
        return False
    post.journal.append(BreakDeclared(unix_ms(post.clock.now()), shift.shift, True, STAFF_NUMBER))
    true.break_until_s = town.clock.monotonic() + BREAK_S
    return True


def end_break(post: Post, true: TruePost) -> None:
    """The crew goes on, if it had a break."""
    shift = post.journal.open_shift
    if true.break_until_s is not None and shift is not None:
        post.journal.append(BreakDeclared(unix_ms(post.clock.now()), shift.shift, False, STAFF_NUMBER))
    true.break_until_s = None


def _cash(town: StormTown, post: Post, true: TruePost, step: StressStep) -> bool:
    """T-53, T-55: a ticket of some kind is sold for cash, or is not where the document has none."""
    return not true.canteen and _sold(town, post, true, step) is not None


def _sold(town: StormTown, post: Post, true: TruePost, step: StressStep) -> tuple[int, int] | None:
    """The row of a sale that the rules allow; whatever they do not is seen as misjudged."""
    town.look_at_clock(step.terminal)
    kinds = tuple(TicketKind)
    ticket, persons, now = kinds[step.value % len(kinds)], 1 + step.value % MOST_COMPANIONS, post.clock.now()
    each_minor = town.truth.ticket_minor(true, now.replace(microsecond=0), ticket.value)
    try:
        trip = post.terminal.trip(now=now)
        sold = sell_for_cash(post.journal, post.terminal.policy, trip, persons, now, ticket=ticket)
    except ReceiptError:
        town.truth.off_if(each_minor is not None, post.number, f"no {ticket} ticket for {each_minor}")
        return None
    wanted_minor = None if each_minor is None else each_minor * persons
    wrong = f"a {ticket} ticket of {sold.sum_minor}, by the rules {wanted_minor}"
    town.truth.off_if(sold.sum_minor != wanted_minor, post.number, wrong)
    row = (post.number, sold.sequence)
    town.truth.tickets[row] = TrueTicket(sold.sum_minor, ticket.value)
    return row


def _cancelled(town: StormTown, post: Post, true: TruePost, step: StressStep) -> bool:
    """T-54: the newest ticket is taken back while it may be, once; the one before it is not."""
    before = None if true.canteen else _sold(town, post, true, step)
    row = None if before is None else _sold(town, post, true, step)
    if before is None or row is None:
        return False
    within_s = int(town.truth.tariff.doc.get("cash", {}).get("cancel_within_s", CANCEL_WITHIN_S))
    wait_s = step.value % (2 * within_s + 1)
    town.clock.advance(wait_s)
    for sale in (before, row, row):
        last, now = _last_sale(post), post.clock.now()
        refused = refused_to_cancel(post.terminal.policy, last, sale[1], now)
        ticket = town.truth.tickets[sale]
        may = sale == row and not ticket.cancelled and wait_s < within_s
        wrong = f"cancelling row {sale[1]} after {wait_s} s: {refused}"
        town.truth.off_if(may != (refused is None), post.number, wrong)
        if refused is None and last is not None:
            cancel_sale(post.journal, last, now, STAFF_NUMBER)
            ticket.cancelled = True
    return town.truth.tickets[row].cancelled


def _last_sale(post: Post) -> LastSale | None:
    """The newest one of the open shift, read anew from its rows."""
    shift = post.journal.open_shift
    count = ShiftCount(0 if shift is None else shift.shift)
    count.totals(post.journal)
    return count.last_sale


def _class_list(town: StormTown, post: Post, _true: TruePost, step: StressStep) -> bool:
    """M-31: a class is served from the list, each pupil on an account of his own."""
    counter = post.terminal.canteen
    if counter is None or counter.roster is None or not counter.roster.classes:
        return False
    classes = sorted(counter.roster.classes)
    town.look_at_clock(step.terminal)
    at = post.clock.now()
    refs = pupils_of(counter, classes[step.value % len(classes)], (), at)
    for given in issue(counter, refs, ServingList("", How.CLASS_LIST, STAFF_NUMBER, at)):
        town.truth.listed(step.terminal, town.pupil_refs[given.pupil], at, *_came(given))
    return True


def _came(given: Issued) -> tuple[str, Mapping[str, int] | None]:
    return str(given.outcome.message), None if given.meal is None else given.meal.sources


def _deny_list(town: StormTown, post: Post, true: TruePost, step: StressStep) -> bool:
    """A newer deny list is published, and this terminal finds it."""
    denied = dict(town.truth.published)
    if step.value % 4:
        while len(denied) >= DENIED_AT_ONCE:
            denied.pop(next(iter(denied)))
        denied[step.card] = (DenyKind.CARD, DenyKind.PERSON)[step.value % 2].value
    elif denied:
        denied.pop(next(iter(denied)))
    town.publish_denied(denied)
    active = post.terminal.active
    assert active is not None, "a terminal that is composed has an active set"
    now = None if post.terminal.clock_watch.state.suspect else post.clock.now()
    refused = offer_source(active, SourceFile(SetKind.DENY, town.world.deny_list), now)
    assert refused is None, f"the deny list is refused: {refused}"
    true.offered = denied
    return True


WORK: Final[Mapping[Kind, Callable[[StormTown, Post, TruePost, StressStep], bool]]] = {
    Kind.TURN: _turn,
    Kind.PLACE: _place,
    Kind.COMPANIONS: _companions,
    Kind.SHIFT: _shift,
    Kind.BREAK: _break,
    Kind.CASH: _cash,
    Kind.CANCELLED: _cancelled,
    Kind.CLASS_LIST: _class_list,
    Kind.DENY_LIST: _deny_list,
}
