"""The crew's pages of a bus: shift, turn and place, cash sales. What is only looked at is in `bus_lists`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from cardproto.resident.limits import LARGEST_ROUTE
from terminal.clock import from_unix_ms
from terminal.journal.console_records import PlaceSet, TicketCopied
from terminal.journal.journal import Journal
from terminal.journal.records import CashSale
from terminal.money import sum_format
from terminal.periphery.printer import PrintState
from terminal.policy.needs import unknown_on
from terminal.policy.routes import LineRoute, RouteStop
from terminal.receipt.counter import sell_for_cash
from terminal.receipt.hand_over import hand_over
from terminal.receipt.request import Means, ReceiptSale, Ticket, paperwork
from terminal.receipt.sales import cash_sale
from terminal.screen.console.actions import Written
from terminal.screen.console.bus import lists
from terminal.screen.console.bus.facts import cash_price, sale_of
from terminal.screen.console.console import ActionRefused, Console
from terminal.screen.console.roles import CREW
from terminal.screen.console.visit import Action, ConsoleArea, FormFields, Page, View, Visit
from terminal.screen.console.words import short, span
from terminal.texts import N_
from terminal.trip.asked import MOST_COMPANIONS, Goal, goals, places_asked
from terminal.trip.facts import NOWHERE, AskedBy, Place, PlaceQuality, PlaceSource, Spot, Trip
from terminal.trip.shifts import close_shift, open_shift, start_turn

MOST_PERSONS: Final = 99
MOST_KM: Final = 1000
MOST_ROWS: Final = 10**9
DIRECTIONS: Final = (N_("Outbound"), N_("Return"))

NO_SHIFT: Final = N_("No shift is open. Open one first.")
SHIFT_OPEN: Final = N_("Shift {shift} is already open.")
OUT_OF_SERVICE: Final = N_("The terminal is out of service. Take it back into service first.")
NOT_AHEAD: Final = N_("The vehicle does not come there on this trip. Choose a place from the list.")
NOT_LISTED: Final = N_(
    "Route {route} is not in the list of routes, and fares depend on it. Choose one that is."
)
NO_ZONE: Final = N_("There is no zone {zone} here. Choose one from the list.")
NO_TICKET: Final = N_("There is no such ticket on this terminal.")
NOT_SOLD: Final = N_("Nothing can be sold now: {reason}")


# shift, turn and place


def shift_page(visit: Visit) -> View:
    """No shift: open one. A shift: where it stands, and the next turn."""
    console = visit.console
    shift = console.terminal.journal.open_shift
    if shift is None:
        return View(
            "console/bus_open.html", {"runs": runs(visit), "directions": direction_names(visit, None)}
        )
    trip = trip_now(console)
    route = console.routes.get(trip.route)
    opened_at = from_unix_ms(shift.at_ms).astimezone(console.policy.zone)
    values = {
        "shift": shift,
        "opened": f"{opened_at:%H:%M}",
        "trip": trip,
        "route": route,
        "runs": runs(visit),
        "directions": direction_names(visit, route),
        "next": next_shown(visit, trip),
        "place": place_named(console, trip, route),
        "vehicle": vehicle_says(visit, trip, route),
        "asked": places_asked(console.policy),
        "stops": stops_of(route, trip.direction),
    }
    return View("console/bus_shift.html", values)


def direction_names(visit: Visit, route: LineRoute | None) -> tuple[str, str]:
    """What direction 0 and 1 are called here."""
    first, second = visit.text(DIRECTIONS[0]), visit.text(DIRECTIONS[1])
    named = () if route is None else tuple(direction.name for direction in route.directions)
    return (named[0] if named else first), (named[1] if len(named) > 1 else second)


class RouteRun(Struct, frozen=True):
    """One direction of a route, to be chosen: `value` is "15-0" in the form."""

    value: str
    number: int
    route: str
    direction: str


def runs(visit: Visit) -> list[RouteRun]:
    """Every route in both directions, by their own names."""
    return [
        RouteRun(f"{route.number}-{index}", route.number, route.name, name)
        for route in visit.console.routes.by_number.values()
        for index, name in enumerate(direction_names(visit, route))
    ]


def run_in(form: FormFields) -> tuple[int, int]:
    """The route and direction chosen in `form`, or typed where no routes are listed."""
    route, dash, direction = form.text("run").partition("-")
    if dash and not form.text("route"):
        form = form.with_fields({"route": [route], "direction": [direction]})
    return form.number("route", 1, LARGEST_ROUTE), form.number("direction", 0, 1)


def stops_of(route: LineRoute | None, direction: int) -> tuple[RouteStop, ...]:
    """The stops as the vehicle comes to them."""
    return () if route is None else route.stops(direction)


def place_named(console: Console, trip: Trip, route: LineRoute | None) -> dict[str, Any]:
    """The place set by hand, for people: name of the stop, name of the zone, kilometres."""
    return {"by_hand": trip.place.by_hand, **_spot_named(console, trip, trip.place, route)}


def _spot_named(console: Console, trip: Trip, at: Place | Spot, route: LineRoute | None) -> dict[str, Any]:
    stop = next((one.name for one in stops_of(route, trip.direction) if one.number == at.stop), "")
    zone = places_asked(console.policy).zones.get(at.zone, "")
    return {
        "stop": stop or (str(at.stop) if at.stop else ""),
        "zone": zone or (str(at.zone) if at.zone else ""),
        "km": None if at.mark_m is None else at.mark_m / 1000,
    }


QUALITIES: Final = {
    PlaceQuality.EXACT: N_("exact"),
    PlaceQuality.ESTIMATED: N_("estimated"),
    PlaceQuality.CONTRADICTED: N_("contradicts the shift"),
}


def vehicle_says(visit: Visit, trip: Trip, route: LineRoute | None) -> dict[str, Any] | None:
    """What the vehicle itself says now, whatever was entered by hand: place, source, age and quality. None where no
    source is configured.
    """
    console = visit.console
    vehicle = console.terminal.vehicle
    if vehicle is None:
        return None
    place = vehicle.place_on(trip.route, trip.direction, console.routes)
    if place is None:
        return {"source": vehicle.name, "known": False, "razzia": vehicle.razzia}
    return {
        "source": vehicle.name,
        "known": True,
        "at": _spot_named(console, trip, place, route),
        "coming": _spot_named(console, trip, place.coming, route)["stop"],
        "age": span(place.age_s, visit.language),
        "quality": visit.text(QUALITIES[place.quality]),
        "contradicted": place.quality is PlaceQuality.CONTRADICTED,
        "razzia": vehicle.razzia,
    }


def trip_now(console: Console) -> Trip:
    """What a sale is part of, and the next tap besides what is asked of it."""
    return console.terminal.trip()


def do_open(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-60: a shift opens with route and direction."""
    journal = visit.console.terminal.journal
    if journal.open_shift is not None:
        raise ActionRefused(SHIFT_OPEN, {"shift": journal.open_shift.shift})
    open_shift(journal, visit.console.clock.now(), visit.who.ref, "bus", *_run_listed(visit, form))


def do_turn(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-62: the next turn begins, on this route and in this direction."""
    journal = _of_open_shift(visit)
    start_turn(journal, visit.console.clock.now(), visit.who.ref, *_run_listed(visit, form))


def _run_listed(visit: Visit, form: FormFields) -> tuple[int, int]:
    """The run chosen in `form`; refused where fares depend on a mode that nothing states of its route."""
    route, direction = run_in(form)
    if unknown_on(visit.console.policy.document, route, visit.console.routes) is not None:
        raise ActionRefused(NOT_LISTED, {"route": route})
    return route, direction


def do_place(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-61: the place is set by hand, or no longer."""
    console = visit.console
    journal, trip = _of_open_shift(visit), trip_now(console)
    stop, zone = form.number("stop", 0, 0xFFFFFF, 0), form.number("zone", 0, 255, 0)
    zones = places_asked(console.policy).zones
    if zone and zones and zone not in zones:
        raise ActionRefused(NO_ZONE, {"zone": zone})
    known = console.routes.get(trip.route)
    listed = next((one for one in stops_of(known, trip.direction) if one.number == stop), None)
    mark_m = 1000 * form.number("km", 0, MOST_KM) if form.text("km") else None
    if listed is not None:
        zone, mark_m = zone or listed.zone, listed.mark_m if mark_m is None else mark_m
    at_ms = console.now_ms()
    journal.append(PlaceSet(at_ms, trip.shift, stop, zone, mark_m, visit.who.ref))


def do_close(visit: Visit, _form: FormFields, _written: Written) -> None:
    """T-66: no more taps, and the totals are written down."""
    close_shift(_of_open_shift(visit), visit.console.clock.now(), visit.console.shift_count())


# the next card


def next_shown(visit: Visit, trip: Trip) -> dict[str, Any]:
    """What is asked of the next card, for people, until when it counts, and where its ride may go."""
    console = visit.console
    asked, places = console.terminal.next_ride.ride, places_asked(console.policy)
    left_s = console.terminal.next_ride.left_s
    until = (console.clock.now() + timedelta(seconds=left_s)).astimezone(console.policy.zone)
    ahead = goals(places, console.routes.stops(trip.route, trip.direction), trip)
    return {
        "persons": 1 + asked.companions,
        "most": 1 + MOST_COMPANIONS,
        "to": _named(asked.destination, ahead),
        "km": None if asked.destination.mark_m is None else asked.destination.mark_m / 1000,
        "by_rider": asked.by is AskedBy.RIDER,
        "set": asked.by is not AskedBy.NOT_ASKED,
        "left_s": left_s,
        "until": f"{until:%H:%M:%S}",
        "goals": ahead,
        "typed_km": places.distance and not any(goal.spot.stop for goal in ahead),
    }


def _named(destination: Spot, ahead: tuple[Goal, ...]) -> str:
    return next((goal.name for goal in ahead if goal.spot == destination), "")


def do_count(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-20, T-34: one person more rides with the next card, or one fewer."""
    _of_open_shift(visit)
    more = form.number("more", -1, 1)
    visit.console.terminal.next_ride.count(more, AskedBy.CREW)


def do_go_to(visit: Visit, form: FormFields, _written: Written) -> None:
    """T-01: the ride of the next card goes to a stop ahead, to a zone, or to a kilometre of the route."""
    _of_open_shift(visit)
    visit.console.terminal.next_ride.go_to(_destination(visit, form), AskedBy.CREW)


def _destination(visit: Visit, form: FormFields) -> Spot:
    console, trip, key = visit.console, trip_now(visit.console), form.text("to")
    places = places_asked(console.policy)
    if form.text("to_km") and places.distance:
        return Spot(mark_m=1000 * form.number("to_km", 0, MOST_KM))
    if not key:
        return NOWHERE
    ahead = goals(places, console.routes.stops(trip.route, trip.direction), trip)
    goal = next((one for one in ahead if one.key == key), None)
    if goal is None:
        raise ActionRefused(NOT_AHEAD)
    return goal.spot


def do_forget(visit: Visit, _form: FormFields, _written: Written) -> None:
    """What was asked of the next card is taken back."""
    visit.console.terminal.next_ride.forget()


def _of_open_shift(visit: Visit) -> Journal:
    journal = visit.console.terminal.journal
    if journal.open_shift is None:
        raise ActionRefused(NO_SHIFT)
    return journal


def to_shift(_visit: Visit, _form: FormFields, _written: Written) -> str:
    """The result is seen on the page of the shift."""
    return "/shift"


def to_report(_visit: Visit, _form: FormFields, written: Written) -> str:
    """The closed shift's report."""
    return f"/report/{written[-1][0]}"


# cash

WHEREVER: Final = "0"


class Offer(Struct, frozen=True):
    """A ride one may buy in cash: to a stop or zone (`key` "0": wherever), for so much each; None: not now, by
    `reason`."""

    key: str
    name: str
    spot: Spot
    sum_minor: int | None
    reason: str


def sale_page(visit: Visit) -> View:
    """What a ride costs in cash now, by where it goes, for how many."""
    console = visit.console
    trip = trip_now(console)
    offers = _offers(visit, trip)
    values = {
        "done": bool(console.actions.written(visit.once)),
        "offers": offers,
        "sum_format": sum_format(console.policy.currency, visit.language)._asdict(),
        "sold": any(offer.sum_minor is not None for offer in offers),
        "trip": trip,
        "place": place_named(console, trip, console.routes.get(trip.route)),
        "receipts": console.policy.document.receipts is not None and console.receipts is not None,
    }
    return View("console/bus_sale.html", values)


def _offers(visit: Visit, trip: Trip) -> list[Offer]:
    console, wherever = visit.console, (WHEREVER, "", NOWHERE)
    places = places_asked(console.policy)
    if places.zones:
        offered = [(str(zone), name, Spot(zone=zone)) for zone, name in places.zones.items()]
    elif places.distance:
        ahead = goals(places, console.routes.stops(trip.route, trip.direction), trip)
        offered = [wherever, *((goal.key, goal.name, goal.spot) for goal in ahead)]
    else:
        offered = [wherever]
    return [_offer(visit, trip, *one) for one in offered]


def _offer(visit: Visit, trip: Trip, key: str, name: str, spot: Spot) -> Offer:
    console = visit.console
    price = cash_price(console.policy, _ride_to(trip, spot), console.clock.now())
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
    trip = trip_now(console)
    offers = {offer.key: offer for offer in _offers(visit, trip)}
    offer = offers.get(goal)
    if offer is None:
        raise ActionRefused(N_("Choose where the ride goes."))
    if offer.sum_minor is None:
        raise ActionRefused(NOT_SOLD, {"reason": offer.reason})
    if shown != str(offer.sum_minor):
        raise ActionRefused(
            N_("The fare has changed since this page was opened. Look at the new one and sell again.")
        )
    ride = _ride_to(trip, offer.spot)
    sell_for_cash(
        console.terminal.journal, console.policy, ride, persons, console.clock.now(), console.settings.vehicle
    )


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
    route = console.routes.get(sold.route)
    values = {
        "ticket": sold,
        "route": route,
        "date": f"{at:%Y-%m-%d}",
        "time": f"{at:%H:%M}",
        "found_at": getattr(console.policy.document.receipts, "site", ""),
        "paper": _on_paper(console, sold.ticket_id, visit.query.number("copy", 1, MOST_ROWS, 0)),
    }
    return View("console/bus_ticket.html", values)


BUS: Final = ConsoleArea(
    "bus",
    pages=(
        Page("/shift", CREW, shift_page, N_("Shift")),
        Page("/sale", CREW, sale_page, N_("Cash"), once="/sale"),
        Page("/ticket/{sequence:int}", CREW, ticket_page),
        *lists.PAGES,
    ),
    actions=(
        Action("/shift/open", CREW, do_open, to_shift),
        Action("/shift/turn", CREW, do_turn, to_shift),
        Action("/shift/place", CREW, do_place, to_shift),
        Action("/shift/close", CREW, do_close, to_report),
        Action("/next/persons", CREW, do_count, to_shift),
        Action("/next/destination", CREW, do_go_to, to_shift),
        Action("/next/forget", CREW, do_forget, to_shift),
        Action("/sale", CREW, do_sell, to_ticket),
        Action("/ticket/copy", CREW, do_copy, to_copy),
    ),
)
"""What the crew of a bus works with."""
