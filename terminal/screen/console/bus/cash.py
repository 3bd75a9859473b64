"""Rides sold for cash: price, sale, ticket, the newest one cancelled; and cash that is handed over."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.clock import from_unix_ms
from terminal.codes import TicketKind
from terminal.journal.console_records import CashHandedOver, TicketCopied
from terminal.journal.records import CashSale
from terminal.money import sum_format
from terminal.periphery.printer import PrintState
from terminal.receipt.counter import (
    CancelRefusal,
    cancel_left_s,
    cancel_sale,
    refused_to_cancel,
    sell_for_cash,
)
from terminal.receipt.hand_over import hand_back, hand_over
from terminal.receipt.request import Means, ReceiptSale, Ticket, paperwork
from terminal.receipt.sales import cash_sale
from terminal.screen.console.actions import Written
from terminal.screen.console.bus.facts import cancellation_of, cash_price, sale_of
from terminal.screen.console.bus.shift import NO_SHIFT, place_named, trip_now
from terminal.screen.console.console import ActionRefused, Console
from terminal.screen.console.visit import FormFields, View, Visit
from terminal.screen.console.words import short
from terminal.texts import N_
from terminal.trip.asked import goals, places_asked
from terminal.trip.facts import NOWHERE, PlaceSource, Spot, Trip
from terminal.trip.shifts import LastSale, cash_due

MOST_PERSONS: Final = 99
MOST_ROWS: Final = 10**9
NO_KIND: Final = N_("There is no such kind of ticket.")
NO_TICKET: Final = N_("There is no such ticket on this terminal.")
NOT_SOLD: Final = N_("Nothing can be sold now: {reason}")

WHEREVER: Final = "0"


class Offer(Struct, frozen=True):
    """A ride one may buy in cash: to a stop or zone (`key` "0": wherever), for so much each; None: not now, by
    `reason`."""

    key: str
    name: str
    spot: Spot
    sum_minor: int | None
    reason: str


KINDS: Final = {
    TicketKind.FULL: N_("Full"),
    TicketKind.CHILD: N_("Child"),
    TicketKind.LUGGAGE: N_("Luggage"),
}
"""What is sold; for people."""


def sale_page(visit: Visit) -> View:
    """What a ride costs in cash now, by where it goes; and the newest ticket, while it can be cancelled."""
    console = visit.console
    trip, kind = trip_now(console), _kind(visit.query)
    offers = _offers(visit, trip, kind)
    values = {
        "kind": kind,
        "on_break": trip.on_break,
        "kinds": {one: KINDS[one] for one in _sold_kinds(console)},
        "last": _cancellable(visit),
        "done": bool(console.actions.written(visit.once)),
        "offers": offers,
        "sum_format": sum_format(console.policy.currency, visit.language)._asdict(),
        "sold": any(offer.sum_minor is not None for offer in offers),
        "trip": trip,
        "place": place_named(console, trip, console.routes.get(trip.route)),
        "receipts": console.policy.document.receipts is not None and console.receipts is not None,
    }
    return View("console/bus_sale.html", values)


def _kind(fields: FormFields) -> TicketKind:
    """The kind of ticket that an address or a form names; an ordinary one without."""
    try:
        return TicketKind(fields.text("kind") or TicketKind.FULL)
    except ValueError:
        raise ActionRefused(NO_KIND) from None


def _sold_kinds(console: Console) -> tuple[TicketKind, ...]:
    """What this region sells (T-55)."""
    rules = console.policy.document.cash
    sold = {TicketKind.CHILD: rules.child_percent, TicketKind.LUGGAGE: rules.luggage_minor}
    return tuple(kind for kind in TicketKind if sold.get(kind, 1) is not None)


def _offers(visit: Visit, trip: Trip, kind: TicketKind) -> list[Offer]:
    console, wherever = visit.console, (WHEREVER, "", NOWHERE)
    places = places_asked(console.policy)
    if kind is TicketKind.LUGGAGE:
        offered = [wherever]
    elif places.zones:
        offered = [(str(zone), name, Spot(zone=zone)) for zone, name in places.zones.items()]
    elif places.distance:
        ahead = goals(places, console.routes.stops(trip.route, trip.direction), trip)
        offered = [wherever, *((goal.key, goal.name, goal.spot) for goal in ahead)]
    else:
        offered = [wherever]
    return [_offer(visit, trip, kind, *one) for one in offered]


def _offer(visit: Visit, trip: Trip, kind: TicketKind, key: str, name: str, spot: Spot) -> Offer:
    console = visit.console
    price = cash_price(console.policy, _ride_to(trip, spot), console.clock.now(), kind)
    return Offer(key, name, spot, price.sum_minor, short(price.message, visit.language))


def _ride_to(trip: Trip, spot: Spot) -> Trip:
    if spot == NOWHERE:
        return trip
    place = replace(trip.place, destination=spot, source=PlaceSource.HAND)
    return replace(trip, place=place)


def do_sell(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-53: the sale is on record before any money is taken, at the price that was shown."""
    console = visit.console
    if console.policy.document.receipts is None or console.receipts is None:
        raise ActionRefused(N_("This terminal gives no tickets, so nothing is sold for cash here."))
    persons = form.number("persons", 1, MOST_PERSONS)
    goal, _, shown = form.text("ride").rpartition("-")
    trip, kind = trip_now(console), _kind(form)
    offers = {offer.key: offer for offer in _offers(visit, trip, kind)}
    offer = offers.get(goal)
    if offer is None:
        raise ActionRefused(N_("Choose where the ride goes."))
    if offer.sum_minor is None:
        raise ActionRefused(NOT_SOLD, {"reason": offer.reason})
    if shown != str(offer.sum_minor):
        raise ActionRefused(
            N_("The fare has changed since this page was opened. Look at the new one and sell again.")
        )
    journal, ride = console.terminal.journal, _ride_to(trip, offer.spot)
    vehicle = console.settings.vehicle
    sell_for_cash(journal, console.policy, ride, persons, console.clock.now(), vehicle, kind)


def to_ticket(visit: Visit, _form: FormFields, written: Written) -> str:
    """The ticket is always given; handing it over again makes no second one."""
    sequence = written[-1][0]
    _hand_over(visit.console, sequence)
    return f"/ticket/{sequence}"


def _hand_over(console: Console, sequence: int) -> None:
    receipts, adapter = console.policy.document.receipts, console.receipts
    sale = sale_of(console.terminal.journal, sequence)
    if receipts is None or adapter is None or sale is None:
        return
    sold = _sold(console, sequence, sale)
    if console.tickets is not None and (ticket := _ticket(console, sold)) is not None:
        console.tickets.print_sale(ticket, sequence)
    hand_over(adapter, sold, receipts, Means(printer=True))


def _sold(console: Console, sequence: int, sale: CashSale) -> ReceiptSale:
    return cash_sale(console.terminal.number, sequence, sale, console.settings.vehicle)


def _ticket(console: Console, sold: ReceiptSale) -> Ticket | None:
    receipts = console.policy.document.receipts
    return None if receipts is None else paperwork(sold, receipts, Means(printer=True)).ticket


def do_copy(visit: Visit, form: FormFields, _written: Written) -> None:
    """A copy is on record before it is printed."""
    console = visit.console
    if console.tickets is None:
        raise ActionRefused(N_("This terminal has no printer."))
    sale = form.number("sale", 1, MOST_ROWS)
    if sale_of(console.terminal.journal, sale) is None:
        raise ActionRefused(NO_TICKET)
    if cancellation_of(console.terminal.journal, sale) is not None:
        raise ActionRefused(NOT_CANCELLED[CancelRefusal.CANCELLED])
    console.terminal.journal.append(TicketCopied(console.now_ms(), sale, visit.who.ref))


def to_copy(visit: Visit, _form: FormFields, written: Written) -> str:
    """The same form again prints no second copy."""
    console, (row, copied) = visit.console, written[-1]
    assert isinstance(copied, TicketCopied), "the row of this action"
    record = sale_of(console.terminal.journal, copied.sale)
    if console.tickets is not None and record is not None:
        ticket = _ticket(console, _sold(console, copied.sale, record))
        if ticket is not None:
            console.tickets.print_copy(ticket, row)
    return f"/ticket/{copied.sale}?copy={row}"


def _on_paper(console: Console, ticket_id: str, copied: int) -> str:
    """How it stands with the paper: a state of the printer's, `troubled` before anything is printed, `unseen` for what
    this process did not print; empty without a printer.
    """
    if console.tickets is None:
        return ""
    state = console.tickets.state(ticket_id, copied)
    if state is None:
        return "unseen"
    waits = state is PrintState.WAITING and console.tickets.printer.troubled
    return "troubled" if waits else state.value


def ticket_page(visit: Visit) -> View:
    """One ticket, to be shown or printed again."""
    console, sequence = visit.console, visit.query.number("sequence", 1, MOST_ROWS)
    record = sale_of(console.terminal.journal, sequence)
    if record is None:
        raise ActionRefused(NO_TICKET)
    sold = _sold(console, sequence, record)
    at = sold.at.astimezone(console.policy.zone)
    cancelled, last = cancellation_of(console.terminal.journal, sequence), _cancellable(visit)
    route = console.routes.get(sold.route)
    values = {
        "ticket": sold,
        "kind": KINDS[sold.kind] if sold.kind is not TicketKind.FULL else "",
        "pieces": sold.kind is TicketKind.LUGGAGE,
        "cancelled": "" if cancelled is None else _clock(console, cancelled.at_ms),
        "last": last if last is not None and last["sequence"] == sequence else None,
        "route": route,
        "date": f"{at:%Y-%m-%d}",
        "time": f"{at:%H:%M}",
        "found_at": getattr(console.policy.document.receipts, "site", ""),
        "paper": _on_paper(console, sold.ticket_id, visit.query.number("copy", 1, MOST_ROWS, 0)),
    }
    return View("console/bus_ticket.html", values)


# cancelling the newest ticket

NOT_CANCELLED: Final = {
    CancelRefusal.NEVER: N_("Tickets are not cancelled in this region."),
    CancelRefusal.NOT_LAST: N_("Only the newest ticket of this shift can be cancelled."),
    CancelRefusal.CANCELLED: N_("This ticket is cancelled already."),
    CancelRefusal.TOO_LATE: N_("It is too late to cancel this ticket."),
}


def _last_sale(console: Console) -> LastSale | None:
    count = console.shift_count()
    if count is None:
        raise ActionRefused(NO_SHIFT)
    count.totals(console.terminal.journal)
    return count.last_sale


def _cancellable(visit: Visit) -> dict[str, Any] | None:
    """The newest ticket of the shift, while it can be cancelled."""
    console, now = visit.console, visit.console.clock.now()
    last = None if console.terminal.journal.open_shift is None else _last_sale(console)
    if last is None or refused_to_cancel(console.policy, last, last.sequence, now) is not None:
        return None
    left_s = cancel_left_s(console.policy, last.sale, now)
    return {
        "sequence": last.sequence,
        "number": f"{console.terminal.number}-{last.sequence}",
        "sum_minor": last.sale.sum_minor,
        "persons": last.sale.persons,
        "pieces": last.sale.ticket is TicketKind.LUGGAGE,
        "sold": _clock(console, last.sale.at_ms),
        "until": _clock(console, console.now_ms() + 1000 * left_s),
        "left_s": left_s,
    }


def _clock(console: Console, at_ms: int) -> str:
    return f"{from_unix_ms(at_ms).astimezone(console.policy.zone):%H:%M}"


def cancel_page(visit: Visit) -> View:
    """What is about to be cancelled: money is given back for it."""
    last = _cancellable(visit)
    if last is None or last["sequence"] != visit.query.number("sequence", 1, MOST_ROWS):
        raise ActionRefused(NOT_CANCELLED[CancelRefusal.NOT_LAST])
    return View("console/bus_cancel.html", {"last": last})


def do_cancel(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-54: the newest ticket is taken back, and its money given back."""
    console, sale = visit.console, form.number("sale", 1, MOST_ROWS)
    last, now = _last_sale(console), console.clock.now()
    refused = refused_to_cancel(console.policy, last, sale, now)
    if refused is not None or last is None:
        raise ActionRefused(NOT_CANCELLED[refused or CancelRefusal.NOT_LAST])
    cancel_sale(console.terminal.journal, last, now, visit.who.ref)


def to_cancelled(visit: Visit, form: FormFields, _written: Written) -> str:
    """The refund is asked for once, however often the form arrives."""
    console, sequence = visit.console, form.number("sale", 1, MOST_ROWS)
    journal, receipts = console.terminal.journal, console.policy.document.receipts
    sale, cancelled = sale_of(journal, sequence), cancellation_of(journal, sequence)
    if receipts is not None and console.receipts is not None and sale is not None and cancelled is not None:
        sold, at = _sold(console, sequence, sale), from_unix_ms(cancelled.at_ms)
        hand_back(console.receipts, sold, receipts, Means(printer=True), at)
    return f"/ticket/{sequence}"


# cash that leaves the vehicle


def cash_page(visit: Visit) -> View:
    """How much cash there should be, and how much of it is handed over (T-67)."""
    console, journal = visit.console, visit.console.terminal.journal
    count = console.shift_count()
    values = {
        "open": count is not None,
        "due_minor": 0 if count is None else cash_due(count.totals(journal)),
        "done": bool(console.actions.written(visit.once)),
    }
    return View("console/bus_cash.html", values)


def do_hand_over(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-67: cash goes to the carrier, with its sum."""
    console, journal = visit.console, visit.console.terminal.journal
    count = console.shift_count()
    if count is None:
        raise ActionRefused(NO_SHIFT)
    currency, due_minor = console.policy.currency, cash_due(count.totals(journal))
    sum_minor = form.amount("sum", currency)
    if not 0 < sum_minor <= max(due_minor, 0):
        raise ActionRefused(N_("There is not so much cash by the records. Enter what is handed over."))
    handed = CashHandedOver(console.now_ms(), count.shift, due_minor, sum_minor, currency, visit.who.ref)
    journal.append(handed)
