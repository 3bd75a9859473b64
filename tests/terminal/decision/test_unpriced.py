"""No sound document refuses a rider with "fare unknown" in its own network, unless it says so and `check` lists it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import product

from hypothesis import assume, event, given, reject
from hypothesis import strategies as st
from msgspec.structs import replace

from terminal.decision.bus.bank import BankSnapshot
from terminal.decision.bus.cash import decide_cash
from terminal.decision.decide import decide
from terminal.decision.outcome import Message
from terminal.errors import RegionDocumentError
from terminal.policy.base import Mode
from terminal.policy.document.fares import FareSource
from terminal.policy.document.journeys import UnknownBoarding
from terminal.policy.document.schema import RegionDocument, UnknownFare
from terminal.policy.gtfs.charging import single_fare
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.matching import Leg
from terminal.policy.gtfs.section import Destination, Fallback, GtfsFares
from terminal.policy.gtfs.tables import GtfsTables
from terminal.policy.load import parse_region
from terminal.policy.policy import Policy
from terminal.policy.unpriced import ANY, MOST_LISTED, NOT_KNOWN, UnpricedRide, unpriced
from terminal.trip.facts import Place, PlaceSource, Spot, Trip
from tests.properties import examples
from tests.terminal.decision.region import small, text_of
from tests.terminal.decision.rider import ZONE, Rider
from tests.terminal.policy.gtfs.feeds import at
from tests.terminal.policy.gtfs.invented import ROUTES, STOPS, feeds

ZONES = ("a", "b", "c")
MODES = ("bus", "tram", "suburban_bus")
PEAK = (
    '[[timeframes]]\nid = "peak"\nwindows = [{ days = ["mon", "tue"], starts = 07:00:00, ends = 10:00:00 }]\n'
)
BY_MEDIUM = "{ transport_card = 2000, bank_card = 2400, cash = 2600 }"
CHECKIN = '[checkin]\nlongest_s = 7200\nreserve = "held"\nmark = "boarded"\n{scope}\n'
SLOTS = '{ name = "held", bits = 16, period = "kept" }, { name = "boarded", bits = 10, period = "kept" },'
LONGEST_M = 60_000
STALE_S = 600


@st.composite
def prices(draw: st.DrawFn, *, everywhere: bool) -> str:
    """How a rule prices its rides; `everywhere`: whatever zones they are between."""
    kind = draw(st.sampled_from(["flat", "zone_table", "distance"]))
    if kind == "flat":
        return f'kind = "flat"\nby_medium = {BY_MEDIUM}\n'
    if kind == "distance":
        per_km = "{ transport_card = 200, bank_card = 200, cash = 300 }"
        first = f'kind = "distance"\nfirst = {BY_MEDIUM}\nper_km = {per_km}\n'
        return f'{first}longest_m = {LONGEST_M}\nbase = "cash"\n'
    zones = ZONES if everywhere else ZONES[: draw(st.integers(1, 3))]
    matrix = [[100 * draw(st.integers(10, 60)) for _ in zones] for _ in zones]
    by_medium = "\n".join(
        f"by_medium.{medium} = {matrix}" for medium in ("transport_card", "bank_card", "cash")
    )
    return f'kind = "zone_table"\nzones = {list(zones)}\nbase = "cash"\n{by_medium}\n'.replace("'", '"')


@st.composite
def fares(draw: st.DrawFn) -> str:
    """Rules under a price for all other rides, or rules that leave no gap between them."""
    rules, otherwise = [], draw(st.booleans())
    shapes: list[str] = []
    if otherwise:
        for mode in draw(st.sets(st.sampled_from(MODES))):
            routes = draw(st.sampled_from(["", "routes = [7]\n", "routes = [7, 8]\n"]))
            shapes.append(f'modes = ["{mode}"]\n{routes}{draw(st.sampled_from(["", *_halves()]))}')
    else:
        shapes += draw(st.sampled_from([[""], list(_halves())]))
    for number, shape in enumerate(shapes):
        how = draw(prices(everywhere=not otherwise))
        rules.append(f'[[fares.rules]]\nid = "r{number}"\n{shape}{how}')
    frames = PEAK if any("peak" in shape for shape in shapes) else ""
    rest = f"[fares.by_medium]\n{BY_MEDIUM[1:-1].replace(', ', chr(10))}\n" if otherwise else ""
    return "[fares]\nbase_minor = 2000\n" + rest + "".join(rules) + frames


def _halves() -> tuple[str, str]:
    return 'when = "peak"\n', 'except_when = "peak"\n'


@st.composite
def documents(draw: st.DrawFn) -> RegionDocument:
    zones = "".join(f'[[zones]]\nnumber = {n}\nname = "{name}"\n' for n, name in enumerate(ZONES, 1))
    bus = f'unknown_fare = "{draw(st.sampled_from(["refuse", "dearest"]))}"'
    unknown = draw(st.sampled_from(["first_stop", "dearest", "refuse"]))
    parts = [zones, f'[vehicle]\nunknown_place = "{unknown}"\n']
    slots = ""
    if draw(st.booleans()):
        scope = draw(st.sampled_from(["scope = []", 'scope = [{ modes = ["suburban_bus"] }]']))
        parts.append(CHECKIN.format(scope=scope))
        slots = SLOTS
    try:
        return parse_region(text_of(*parts, bus=bus, fares=draw(fares()), slots=slots), "made.toml")
    except RegionDocumentError:
        reject()


SPOTS = st.builds(Spot, zone=st.integers(0, len(ZONES)), mark_m=st.none() | st.integers(0, LONGEST_M + 5000))
PLACES = st.builds(
    Place,
    zone=st.integers(0, len(ZONES)),
    mark_m=st.none() | st.integers(0, LONGEST_M),
    source=st.sampled_from([PlaceSource.UNKNOWN, PlaceSource.HAND, PlaceSource.VEHICLE]),
    age_s=st.sampled_from([0, 100, 1000]),
    origin=SPOTS,
    terminus=SPOTS,
    destination=SPOTS,
)
RIDES = st.builds(
    Trip,
    profile=st.just("bus"),
    terminal=st.just(7),
    sequence=st.just(100),
    shift=st.just(1),
    route=st.sampled_from([5, 7, 8]),
    mode=st.sampled_from([*MODES, Mode.FERRY.value]),
    companions=st.sampled_from([0, 0, 2]),
    place=PLACES,
)
MINUTES = st.integers(0, 14 * 24 * 60)
BEGIN = datetime(2026, 9, 14, tzinfo=ZONE)


TAPS = st.tuples(RIDES, MINUTES, st.sampled_from(["card", "bank", "cash"]))


@examples(60)
@given(document=documents(), taps=st.lists(TAPS, min_size=12, max_size=12))
def test_a_rider_is_refused_for_want_of_a_fare_only_where_the_document_says_so_and_check_lists_it(
    document: RegionDocument, taps: list[tuple[Trip, int, str]]
) -> None:
    policy, listed = Policy.of(document), unpriced(document)
    assert not listed.more
    refuses = document.profiles.bus.unknown_fare is UnknownFare.REFUSE
    held = document.checkin is not None and document.vehicle.unknown_place is UnknownBoarding.REFUSE
    for trip, minutes, medium in taps:
        message = _decided(policy, trip, BEGIN + timedelta(minutes=minutes), medium)
        event(f"{medium}: {message}")
        if message == Message.FARE_UNKNOWN:
            assert refuses or held, "a fare is unknown though the document charges the dearest one"
            assert any(_is_of(ride, trip, _ends(trip)) for ride in listed.rides), listed


def _ends(trip: Trip) -> list[set[str]]:
    """What a list may call the ends of the ride, as far as the vehicle is believed."""
    believed = trip.place.age_s <= STALE_S or trip.place.source is not PlaceSource.VEHICLE
    start = Spot(0, trip.place.zone, trip.place.mark_m) if believed else Spot()
    return [_names(start), _names(trip.place.destination)]


def _decided(policy: Policy, trip: Trip, now: datetime, medium: str) -> str:
    if medium == "cash":
        return decide_cash(policy, trip, 1, now).message
    if medium == "bank":
        card = BankSnapshot(b"token", date(2030, 1, 1), authenticated=True)
        return decide(card, policy, trip, now).outcome.message
    return decide(Rider(balance_minor=1_000_000, policy=policy).snapshot, policy, trip, now).outcome.message


def _names(spot: Spot) -> set[str]:
    """What a list may call a place: its zone or any, and not known where its zone or its mark is not."""
    named = {ANY} | ({ZONES[spot.zone - 1]} if spot.zone else {NOT_KNOWN})
    return named | ({NOT_KNOWN} if spot.mark_m is None else set())


def _is_of(ride: UnpricedRide, trip: Trip, ends: list[set[str]]) -> bool:
    return (
        ride.route in (ANY, str(trip.route))
        and ride.mode in (ANY, trip.mode)
        and all(names & set(said.split()) for names, said in zip(ends, (ride.begins, ride.ends), strict=True))
    )


@examples(150)
@given(tables=feeds(), route=st.sampled_from(ROUTES), minutes=MINUTES, data=st.data())
def test_a_leg_that_a_feed_has_no_fare_for_is_listed(
    tables: GtfsTables, route: str, minutes: int, data: st.DataObject
) -> None:
    document = _from_feed(tables, GtfsFares(destination=Destination.DEAREST, tables=tables))
    stops = st.none() | st.sampled_from([stop.stop_id for stop in STOPS])
    start, end = data.draw(stops), data.draw(stops)
    assert document.gtfs is not None
    feed = FeedFares.of(document.gtfs)
    leg = Leg(route, at("00:00", date(2026, 9, 14)) + timedelta(minutes=minutes), start, end)
    listed = unpriced(document)
    if single_fare(feed, leg, feed.rider(), None) is not None or listed.more:
        return
    places = feed.index.places
    network = places.networks[route]
    begins = places.origins[places.stops[places.numbers[start]].origin].keys if start else None
    ends = places.stops[places.numbers[end]].to_keys if end else None
    names = [NOT_KNOWN if keys is None else _areas(tables, keys) for keys in (begins, ends)]
    routes = {ANY, places.network_name(network)}
    assert any(
        ride.route in routes and ride.ends == names[1] and ride.begins in (names[0], ANY)
        for ride in listed.rides
    ), (names, listed)


@examples(10)
@given(tables=feeds())
def test_a_feed_with_a_price_for_unknown_rides_refuses_none(tables: GtfsTables) -> None:
    fallback = Fallback(price_minor=100)
    section = GtfsFares(destination=Destination.DEAREST, tables=tables, unknown_fare=fallback)
    assert unpriced(_from_feed(tables, section)) == ((), False)


def _from_feed(tables: GtfsTables, section: GtfsFares) -> RegionDocument:
    assume(tables is section.tables)
    plain = small().document
    header = replace(
        plain.header, valid_from=at("00:00", date(2026, 9, 1)), valid_to=at("00:00", date(2026, 9, 30))
    )
    return replace(plain, header=header, fares=replace(plain.fares, source=FareSource.GTFS), gtfs=section)


def _areas(tables: GtfsTables, keys: tuple[int, ...]) -> str:
    return " ".join(tables.areas[key - 1].area_id for key in keys if key) or ANY


def test_the_list_is_bounded_and_says_that_there_is_more() -> None:
    zones = "".join(f'[[zones]]\nnumber = {n}\nname = "z{n}"\n' for n in (1, 2))
    rule = '[[fares.rules]]\nid = "{id}"\nkind = "zone_table"\nroutes = [{route}]\nzones = ["z1"]\nbase = "cash"\n'
    matrices = "".join(
        f"by_medium.{medium} = [[100]]\n" for medium in ("transport_card", "bank_card", "cash")
    )
    numbers = range(1, MOST_LISTED)
    many = "".join(rule.format(id=f"r{n}", route=n) + matrices for n in numbers)
    flat = f"[fares]\nbase_minor = 100\n[fares.by_medium]\n{BY_MEDIUM[1:-1].replace(', ', chr(10))}\n"
    listed = unpriced(parse_region(text_of(zones, fares=flat + many), "many.toml"))
    assert (len(listed.rides), listed.more) == (MOST_LISTED, True)
    ends = [("z1", NOT_KNOWN), (NOT_KNOWN, "z1"), (NOT_KNOWN, NOT_KNOWN)]
    expected = [UnpricedRide(str(n), ANY, *places, ANY) for n, places in product(numbers, ends)]
    assert list(listed.rides) == expected[:MOST_LISTED]
