"""The crew's page of a bus: shift, turn and place, the next card."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from msgspec import Struct

from cardproto.resident.limits import LARGEST_ROUTE
from terminal.clock import from_unix_ms
from terminal.journal.console_records import PlaceSet
from terminal.journal.journal import Journal
from terminal.policy.needs import unknown_on
from terminal.policy.routes import LineRoute, OfficeNotice, RouteStop
from terminal.screen.console.actions import Written
from terminal.screen.console.console import ActionRefused, Console
from terminal.screen.console.visit import FormFields, View, Visit
from terminal.screen.console.words import span
from terminal.texts import N_
from terminal.trip.asked import MOST_COMPANIONS, Goal, goals, places_asked
from terminal.trip.facts import NOWHERE, AskedBy, Place, PlaceQuality, Spot, Trip
from terminal.trip.shifts import cash_due, close_shift, open_shift, start_turn

MOST_KM: Final = 1000
DIRECTIONS: Final = (N_("Outbound"), N_("Return"))

NO_SHIFT: Final = N_("No shift is open. Open one first.")
ON_BREAK: Final = N_("The break is not over yet. End it first.")
SHIFT_OPEN: Final = N_("Shift {shift} is already open.")
OUT_OF_SERVICE: Final = N_("The terminal is out of service. Take it back into service first.")
NOT_AHEAD: Final = N_("The vehicle does not come there on this trip. Choose a place from the list.")
NOT_LISTED: Final = N_(
    "Route {route} is not in the list of routes, and fares depend on it. Choose one that is."
)
NONE_WAITS: Final = N_("This code waits no more. Let the passenger show it again.")
SENSITIVE: Final = N_("a concession")
NO_ZONE: Final = N_("There is no zone {zone} here. Choose one from the list.")


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
        **crew_shown(visit),
        "notices": unread(visit),
        "printed": printed_waiting(visit),
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
    """What direction 0 and 1 are called here: as the route names them, else by where they end."""
    first, second = (_direction_name(visit, route, index) for index in (0, 1))
    return first, second


def _direction_name(visit: Visit, route: LineRoute | None, index: int) -> str:
    if route is not None and len(route.directions) > index:
        return route.directions[index].name
    stops = stops_of(route, index)
    return f"→ {stops[-1].name}" if stops else visit.text(DIRECTIONS[index])


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
    if visit.console.terminal.journal.open_shift is None:
        raise ActionRefused(NO_SHIFT)
    close_shift(visit.console.terminal.journal, visit.console.clock.now(), visit.console.shift_count())


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


class PrintedConcession(Struct, frozen=True):
    """A printed code that waits: its name in forms, and what it is shown for."""

    key: str
    named: str


def printed_waiting(visit: Visit) -> PrintedConcession | None:
    """What a passenger without a phone has shown, and waits for the crew's word (M-35)."""
    console = visit.console
    codes = console.terminal.codes
    one = None if codes is None else codes.waiting(console.clock.now())
    if one is None:
        return None
    rules = {rule.code: rule for rule in console.policy.document.concessions}
    named = (visit.text(SENSITIVE) if rules[code].sensitive else rules[code].name for code in one.concessions)
    return PrintedConcession(one.key, ", ".join(named))


def printed_page(visit: Visit) -> View:
    """Whose code it is, to be confirmed."""
    return View("console/bus_printed.html", {"printed": printed_waiting(visit)})


def do_check_printed(visit: Visit, form: FormFields, _written: Written) -> None:
    """M-35: the crew saw whose the printed code is, and it is served."""
    console = visit.console
    _of_open_shift(visit)
    codes = console.terminal.codes
    if codes is None or not codes.check(form.text("code"), console.clock.now()):
        raise ActionRefused(NONE_WAITS)


def _of_open_shift(visit: Visit) -> Journal:
    journal = visit.console.terminal.journal
    if journal.open_shift is None:
        raise ActionRefused(NO_SHIFT)
    if journal.on_break is not None:
        raise ActionRefused(ON_BREAK)
    return journal


def to_shift(_visit: Visit, _form: FormFields, _written: Written) -> str:
    """The result is seen on the page of the shift."""
    return "/shift"


def unread(visit: Visit) -> tuple[OfficeNotice, ...]:
    """Notices of the office to the crew of this shift that who looks has not read yet (T-69)."""
    console, count = visit.console, visit.console.shift_count()
    if count is None:
        return ()
    count.totals(console.terminal.journal)
    trip, now = trip_now(console), console.clock.now()
    notices = console.routes.notices(console.terminal.number, trip.route, now)
    return tuple(one for one in notices if (one.id, visit.who.ref) not in count.read)


def crew_shown(visit: Visit) -> dict[str, Any]:
    """Who drives, since when there is a break, and what cash there should be; `relief`: who looks is another."""
    console, journal = visit.console, visit.console.terminal.journal
    count, pause = console.shift_count(), journal.on_break
    since = "" if pause is None else f"{from_unix_ms(pause.at_ms).astimezone(console.policy.zone):%H:%M}"
    return {
        "driver": journal.driver_ref,
        "relief": visit.who.ref != journal.driver_ref,
        "break_since": since,
        "due_minor": 0 if count is None else cash_due(count.totals(journal)),
    }


def to_report(_visit: Visit, _form: FormFields, written: Written) -> str:
    """The closed shift's report."""
    return f"/report/{written[-1][0]}"
