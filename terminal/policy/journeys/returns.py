"""Returns (T-39) of a region document made ready for deciding, and what an author must keep to.

A card remembers of each return which ride may be returned from, and when that began: counted in steps, modulo what its
counter holds. Every write forgets what has run out, so that the time of the newest event says which of the possible
moments it was (docs/adr/0035-dearer-legs-and-returns.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

from msgspec import Struct

from cardproto.resident.limits import LARGEST_ROUTE
from terminal.errors import Mistake, MistakeCode
from terminal.policy.base import Right, Thing, unique, unknown
from terminal.policy.counters.index import CardCounters, Counter
from terminal.policy.document.counters import Period
from terminal.policy.document.fares import FareTable, ZoneFares
from terminal.policy.document.journeys import AnyReturn, OppositeReturn, ZonePairReturn
from terminal.policy.document.schema import RegionDocument
from terminal.policy.fares.checks import tables
from terminal.policy.rights.prices import discounted, fares_of, return_price
from terminal.policy.scopes import DAY_S, Ride, counter_problems, slots_of
from terminal.texts import N_

UNTOUCHED_S: Final = 7 * 24 * 3600
"""How long a card may be written by nothing but reload points and canteens that do not know the document, and so forget
no outward ride; where it ends with the service day, any terminal sees that.
"""
PAIR: Final = 2
"""How many zones a pair has; the larger of the two numbers its outward rides are kept under."""


class Return(Struct, frozen=True):
    """What a ride back costs, and how the card remembers the outward ride. `zones` None: by route and direction."""

    id: str
    routes: frozenset[int] | None
    zones: tuple[int, ...] | None
    window_s: int | None
    percent_off: int | None
    amount_off_minor: int | None
    price_minor: int | None
    outward: Counter
    began: Counter | None
    step_s: int
    skew_s: int

    def price(self, fare_minor: int) -> int:
        """What the ride back costs where the ordinary one costs `fare_minor`."""
        return discounted(
            fare_minor,
            percent_off=self.percent_off,
            amount_off_minor=self.amount_off_minor,
            price_minor=self.price_minor,
        )

    def outward_ride(self, ride: Ride, direction: int) -> int:
        """Under which number `ride` is kept as an outward one; 0: it is none of this return."""
        if self.routes is not None and ride.route not in self.routes:
            return 0
        if self.zones is None:
            return 2 * ride.route + direction if ride.route else 0
        ends = (ride.zone, ride.to_zone)
        return 1 if ends == self.zones else 2 if ends[::-1] == self.zones else 0

    def is_back(self, ride: Ride, direction: int, counters: int) -> bool:
        """Whether `ride` leads back from the outward ride in `counters`."""
        number = self.outward_ride(ride, direction)
        opposite = number ^ 1 if self.zones is None else PAIR + 1 - number
        return bool(number) and self.outward.read(counters) == opposite

    def remembered(self, counters: int, number: int, at_s: int) -> int:
        """`counters` with an outward ride that began at `at_s`, in seconds since any fixed moment."""
        counters = self.outward.write(counters, number)
        if self.began is None:
            return counters
        return self.began.write(counters, -(-at_s // self.step_s) & self.began.mask)

    def forgotten(self, counters: int) -> int:
        """`counters` without an outward ride."""
        counters = self.outward.write(counters, 0)
        return counters if self.began is None else self.began.write(counters, 0)

    def open_at(self, counters: int, newest_s: int, at_s: int) -> bool:
        """Whether the outward ride in `counters`, which stood so in the newest event at `newest_s`, may be returned
        from at `at_s`.
        """
        if not self.outward.read(counters):
            return False
        if self.began is None or self.window_s is None:
            return True
        newest = newest_s // self.step_s
        steps = newest - self.began.read(counters) & self.began.mask
        ahead = self.began.mask + 1 - steps
        if ahead <= 1 + self.skew_s // self.step_s:  # rounded up, or clocks differ a little
            steps = -ahead
        return at_s - (newest - steps) * self.step_s <= self.window_s


def returns_of(
    document: RegionDocument, counters: CardCounters, zones: Mapping[str, int]
) -> tuple[Return, ...]:
    """The returns of a checked document, in its order."""
    return tuple(_return(rule, document, counters, zones) for rule in document.returns)


def _return(
    rule: AnyReturn, document: RegionDocument, counters: CardCounters, zones: Mapping[str, int]
) -> Return:
    pair = rule.zones if isinstance(rule, ZonePairReturn) else None
    return Return(
        id=rule.id,
        routes=frozenset(rule.routes) or None,
        zones=None if pair is None else tuple(zones[name] for name in pair),
        window_s=rule.window_s,
        percent_off=rule.percent_off,
        amount_off_minor=rule.amount_off_minor,
        price_minor=rule.price_minor,
        outward=counters.by_name[rule.outward],
        began=None if rule.began is None else counters.by_name[rule.began],
        step_s=rule.step_s,
        skew_s=document.guards.clock_skew_s,
    )


# checks


class ReturnMistake(MistakeCode):
    """What may be wrong with returns."""

    NO_RETURNS = (
        "no_returns",
        N_("names `return` but the document has no [[returns]]"),
        N_("Add a [[returns]] table or take `return` out."),
    )
    NOT_ASKED = (
        "return_not_asked",
        N_("no profile uses it, so it can never apply"),
        N_("Name `return` in profiles.bus.rights or remove [[returns]]."),
    )
    NO_PAIR = (
        "no_pair",
        N_("{zones} zones, but a ride goes from one to another"),
        N_("Name two zones; write a [[returns]] for each further pair."),
    )
    ONE_ZONE = (
        "one_zone",
        N_("`{zone}` twice: a ride within a zone has no way back"),
        N_("Name two different zones."),
    )
    NO_FARE_BETWEEN = (
        "no_fare_between",
        N_("no fare is stated for a ride between `{one}` and `{other}`"),
        N_("Name zones of one zone table, or give such rides a fare."),
    )
    NO_ZONE_KEPT = (
        "no_zone_kept",
        N_("riders check in there, but no counter keeps the zone they boarded in"),
        N_("Name a counter in `zone` of [checkin]."),
    )
    NEVER_ENDS = (
        "return_never_ends",
        N_("it never ends: no time is stated within which the ride back costs less"),
        N_("Write `window_s`, or same_service_day = true, or both."),
    )
    BEGAN_NOT_ASKED = (
        "began_not_asked",
        N_("nothing asks when the outward ride began"),
        N_("Write `window_s`, or take `began` out."),
    )
    NO_BEGAN = (
        "no_began",
        N_("the card cannot tell when the outward ride began"),
        N_("Name a counter in `began`."),
    )
    WINDOW_TOO_LONG = (
        "window_too_long",
        N_("{steps} steps of {step_s} s are more than the {bits} bits of `{counter}` tell apart"),
        N_("Give it {needed} bits, a longer `step_s`, or a shorter window."),
    )
    NO_PRICE = ("no_return_price", N_("no price is stated"), N_("Write one of {known}."))
    PRICES_AT_ONCE = ("return_prices_at_once", N_("{stated} at once"), N_("Write one of {known}."))
    FREE = (
        "return_free",
        N_("a return instead of a ride for {fare_minor} would cost nothing"),
        N_("Take less off; a free ride back is a transfer."),
    )
    NOT_CHEAPER = (
        "return_not_cheaper",
        N_("a return is not cheaper than any ride: the dearest costs {fare_minor}"),
        N_("Lower it or remove the return."),
    )
    SAME_RIDE = (
        "returns_overlap",
        N_("`{other}` and `{one}` ([{first}]) hold for the same ride"),
        N_("Keep their `routes` or their zones apart."),
    )


def return_problems(document: RegionDocument) -> Iterator[Mistake]:
    """Everything wrong with the returns, in reading order."""
    yield from unique("returns", (rule.id for rule in document.returns), key="id")
    in_profile = Right.RETURN in document.profiles.bus.rights
    if in_profile and not document.returns:
        yield Mistake("profiles.bus.rights", ReturnMistake.NO_RETURNS)
    for index, rule in enumerate(document.returns):
        path = f"returns[{index}]"
        if not in_profile:
            yield Mistake(path, ReturnMistake.NOT_ASKED)
        yield from unique(f"{path}.routes", rule.routes)
        yield from _zones(path, rule, document)
        yield from _time(path, rule)
        yield from _kept_in(path, rule, document)
        yield from _price(path, rule, document)
    yield from _overlaps(document)


def _zones(path: str, rule: AnyReturn, document: RegionDocument) -> Iterator[Mistake]:
    if not isinstance(rule, ZonePairReturn):
        return
    known = [zone.name for zone in document.zones]
    for number, name in enumerate(rule.zones):
        if name not in known:
            yield unknown(f"{path}.zones[{number}]", Thing.ZONE, name, known)
    if len(rule.zones) != PAIR:
        yield Mistake(f"{path}.zones", ReturnMistake.NO_PAIR, {"zones": len(rule.zones)})
    elif rule.zones[0] == rule.zones[1]:
        yield Mistake(f"{path}.zones", ReturnMistake.ONE_ZONE, {"zone": rule.zones[0]})
    elif _keeps_no_zone(rule, document):
        yield Mistake(f"{path}.zones", ReturnMistake.NO_ZONE_KEPT)
    elif not _between(rule, document):
        values = {"one": rule.zones[0], "other": rule.zones[1]}
        yield Mistake(f"{path}.zones", ReturnMistake.NO_FARE_BETWEEN, values)


def _keeps_no_zone(rule: ZonePairReturn, document: RegionDocument) -> bool:
    """Whether a ride of the pair may check in without its zone being kept until the exit."""
    checkin = document.checkin
    if checkin is None or checkin.zone is not None:
        return False
    apart = all(one.routes and rule.routes and not {*one.routes} & {*rule.routes} for one in checkin.scope)
    return not (checkin.scope and apart)


def _between(rule: ZonePairReturn, document: RegionDocument) -> bool:
    return any(_fares(rule, document))


def _time(path: str, rule: AnyReturn) -> Iterator[Mistake]:
    if rule.window_s is None:
        if not rule.same_service_day:
            yield Mistake(path, ReturnMistake.NEVER_ENDS)
        if rule.began is not None:
            yield Mistake(f"{path}.began", ReturnMistake.BEGAN_NOT_ASKED)
    elif rule.began is None:
        yield Mistake(path, ReturnMistake.NO_BEGAN)


def _kept_in(path: str, rule: AnyReturn, document: RegionDocument) -> Iterator[Mistake]:
    """The counters: of the period that the return ends with, and with room for every route and the whole window."""
    periods = (Period.SERVICE_DAY,) if rule.same_service_day else (Period.KEPT,)
    routes = rule.routes or (LARGEST_ROUTE,)
    most = 2 * max(routes) + 1 if isinstance(rule, OppositeReturn) else PAIR
    yield from counter_problems(f"{path}.outward", rule.outward, document, periods, most)
    if rule.began is None or rule.window_s is None:
        return
    ride_s = 0 if document.checkin is None else document.checkin.longest_s  # kept until it is over
    kept_s = DAY_S if rule.same_service_day else UNTOUCHED_S + rule.window_s
    steps = (kept_s + ride_s + document.guards.clock_skew_s) // rule.step_s + 3
    yield from counter_problems(f"{path}.began", rule.began, document, periods, 0)
    slot = slots_of(document).get(rule.began)
    if slot is not None and steps > 1 << slot.bits:
        values = {"window_s": rule.window_s, "steps": steps, "step_s": rule.step_s, "bits": slot.bits}
        values |= {"needed": (steps - 1).bit_length()}
        yield Mistake(f"{path}.began", ReturnMistake.WINDOW_TOO_LONG, {**values, "counter": rule.began})


def _price(path: str, rule: AnyReturn, document: RegionDocument) -> Iterator[Mistake]:
    keys = ("percent_off", "amount_off_minor", "price_minor")
    stated = [key for key in keys if getattr(rule, key) is not None]
    if len(stated) != 1:
        values = {"known": ", ".join(f"`{key}`" for key in keys)}
        if stated:
            all_stated = ", ".join(f"`{key}`" for key in stated)
            yield Mistake(path, ReturnMistake.PRICES_AT_ONCE, values | {"stated": all_stated})
        else:
            yield Mistake(path, ReturnMistake.NO_PRICE, values)
        return
    fares = sorted(_fares(rule, document))
    free = next((fare for fare in fares if not return_price(rule, fare)), None)
    if free is not None:
        yield Mistake(f"{path}.{stated[0]}", ReturnMistake.FREE, {"fare_minor": free})
    elif fares and all(return_price(rule, fare) >= fare for fare in fares):
        yield Mistake(f"{path}.{stated[0]}", ReturnMistake.NOT_CHEAPER, {"fare_minor": fares[-1]})


def _fares(rule: AnyReturn, document: RegionDocument) -> set[int]:
    """The ordinary fares, by card, of the rides `rule` is about."""
    found: set[int] = set()
    for _, table in tables(document):
        for fare in table.rules:
            if fare.routes and rule.routes and not set(fare.routes) & set(rule.routes):
                continue
            if isinstance(rule, ZonePairReturn) and isinstance(fare, ZoneFares):
                found |= _fares_between(rule.zones, fare)
            else:
                found |= {price for price, _ in fares_of(fare)}
        if table.by_medium is not None and not _named_routes(rule, table):
            found.add(table.by_medium.transport_card)
    return found


def _named_routes(rule: AnyReturn, table: FareTable) -> bool:
    """Whether fare rules alone hold on the routes of `rule`, at all times and in all modes."""
    always = [one for one in table.rules if not (one.modes or one.when or one.except_when)]
    return bool(rule.routes) and {route for one in always for route in one.routes} >= set(rule.routes)


def _fares_between(zones: tuple[str, ...], fare: ZoneFares) -> set[int]:
    """What the table states between different ones of `zones`."""
    ends = {i for i, name in enumerate(fare.zones) if name in zones}
    rows = enumerate(fare.by_medium.transport_card)
    return {price for i, row in rows for j, price in enumerate(row) if i != j and {i, j} <= ends}


def _overlaps(document: RegionDocument) -> Iterator[Mistake]:
    """No ride may fall under two returns: the card would give both for one outward ride."""
    for (i, one), (j, other) in combinations(enumerate(document.returns), 2):
        apart = one.routes and other.routes and not set(one.routes) & set(other.routes)
        pairs = isinstance(one, ZonePairReturn) and isinstance(other, ZonePairReturn)
        if pairs and set(getattr(one, "zones", ())) != set(getattr(other, "zones", ())):
            continue
        if not apart:
            values: dict[str, int | str] = {"other": other.id, "one": one.id, "first": i}
            yield Mistake(f"returns[{j}]", ReturnMistake.SAME_RIDE, values)
