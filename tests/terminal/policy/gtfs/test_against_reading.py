"""The index and the incremental charge agree with the specification read row by row, on feeds nobody wrote."""

from __future__ import annotations

from datetime import date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.policy.gtfs.charging import Charged, alight, board
from terminal.policy.gtfs.checks import tables_problems
from terminal.policy.gtfs.fares import Fares
from terminal.policy.gtfs.matching import Leg, match_leg
from terminal.policy.gtfs.section import Destination, GtfsFares
from terminal.policy.gtfs.state import NOTHING
from terminal.policy.gtfs.tables import (
    Area,
    Calendar,
    CalendarDate,
    Exceptional,
    FareLegRule,
    FareProduct,
    FareTransferRule,
    GtfsTables,
    LimitType,
    LocationType,
    Network,
    Route,
    RouteNetwork,
    Stop,
    StopArea,
    Timeframe,
    TransferType,
)
from tests.terminal.policy.gtfs import reading
from tests.terminal.policy.gtfs.feeds import ZONE, at

STOPS = (
    Stop(stop_id="station", location_type=LocationType.STATION),
    Stop(stop_id="p1", parent_station="station"),
    Stop(stop_id="p2", parent_station="station"),
    *(Stop(stop_id=f"s{n}") for n in range(4)),
)
AREAS, NETWORKS, GROUPS = ("a", "b", "c"), ("n1", "n2"), ("g1", "g2", "g3")
ROUTES = ("r0", "r1", "r2", "r3")
CALENDAR = (
    Calendar(
        **dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday"), True),
        **dict.fromkeys(("saturday", "sunday"), False),
        service_id="work",
        start_date=date(2026, 9, 1),
        end_date=date(2026, 9, 30),
    ),
)
DATES = (
    CalendarDate(service_id="work", date=date(2026, 9, 16), exception_type=Exceptional.REMOVED),
    CalendarDate(service_id="feast", date=date(2026, 9, 16), exception_type=Exceptional.ADDED),
)
FRAMES = (
    Timeframe(timeframe_group_id="morning", service_id="work", start_s=6 * 3600, end_s=10 * 3600),
    Timeframe(timeframe_group_id="morning", service_id="feast", start_s=0, end_s=12 * 3600),
    Timeframe(timeframe_group_id="always", service_id="work"),
    Timeframe(timeframe_group_id="always", service_id="feast"),
)


def maybe(values: tuple[str, ...]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


LEG_RULES = st.builds(
    FareLegRule,
    fare_product_id=st.sampled_from(("p", "q", "r")),
    leg_group_id=maybe(GROUPS),
    network_id=maybe(NETWORKS),
    from_area_id=maybe(AREAS),
    to_area_id=maybe(AREAS),
    from_timeframe_group_id=maybe(("morning", "always")),
    to_timeframe_group_id=maybe(("morning",)),
    rule_priority=st.none() | st.integers(0, 2),
)


@st.composite
def transfer_rules(draw: st.DrawFn, groups: tuple[str, ...]) -> FareTransferRule:
    before, after = draw(maybe(groups)), draw(maybe(groups))
    limit = draw(st.none() | st.sampled_from((600, 3600, 7200)))
    count = draw(st.sampled_from((-1, 1, 2, 3))) if before == after else None
    return FareTransferRule(
        fare_transfer_type=draw(st.sampled_from(TransferType)),
        from_leg_group_id=before,
        to_leg_group_id=after,
        transfer_count=count,
        duration_limit=limit,
        duration_limit_type=None if limit is None else draw(st.sampled_from(LimitType)),
        fare_product_id=draw(maybe(("t", "u", "p"))),
    )


@st.composite
def feeds(draw: st.DrawFn) -> GtfsTables:
    priority = draw(st.booleans())
    rules = draw(st.lists(LEG_RULES, min_size=1, max_size=8))
    if not priority:
        rules = [FareLegRule(**{**_values(rule), "rule_priority": None}) for rule in rules]
    distinct = {(*_key(rule), rule.fare_product_id): rule for rule in rules}
    groups = tuple(sorted({rule.leg_group_id for rule in distinct.values() if rule.leg_group_id is not None}))
    transfers = draw(st.lists(transfer_rules(groups), max_size=5)) if groups else []
    once = {
        (r.from_leg_group_id, r.to_leg_group_id, r.fare_product_id, r.transfer_count, r.duration_limit): r
        for r in transfers
    }
    stop_areas = draw(st.sets(st.tuples(st.sampled_from(AREAS), st.sampled_from([s.stop_id for s in STOPS]))))
    prices = {name: draw(st.integers(0, 900)) for name in "pqrtu"}
    return GtfsTables(
        time_zone="Europe/Volgograd",
        uses_rule_priority=priority,
        fare_products=tuple(
            FareProduct(fare_product_id=name, amount_minor=amount, currency="RUB")
            for name, amount in prices.items()
        ),
        fare_leg_rules=tuple(distinct.values()),
        fare_transfer_rules=tuple(once.values()),
        stops=STOPS,
        routes=tuple(Route(route_id=route) for route in ROUTES),
        networks=tuple(Network(network_id=network) for network in NETWORKS),
        route_networks=(
            RouteNetwork(network_id="n1", route_id="r1"),
            RouteNetwork(network_id="n2", route_id="r2"),
        ),
        areas=tuple(Area(area_id=area) for area in AREAS),
        stop_areas=tuple(StopArea(area_id=area, stop_id=stop) for area, stop in sorted(stop_areas)),
        calendar=CALENDAR,
        calendar_dates=DATES,
        timeframes=FRAMES,
    )


def _values(row: FareLegRule) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def _key(rule: FareLegRule) -> tuple[object, ...]:
    return (
        *(rule.network_id, rule.from_area_id, rule.to_area_id),
        *(rule.from_timeframe_group_id, rule.to_timeframe_group_id),
    )


@st.composite
def rides(draw: st.DrawFn) -> list[reading.Ride]:
    now, found = int(at("05:50", date(2026, 9, draw(st.sampled_from((15, 16, 20))))).timestamp()), []
    for _ in range(draw(st.integers(1, 5))):
        now += draw(st.sampled_from((0, 300, 600, 1800, 3000)))
        arrived = now + draw(st.sampled_from((0, 300, 1200)))
        start, end = (draw(st.sampled_from([stop.stop_id for stop in STOPS])) for _ in range(2))
        found.append(reading.Ride(draw(st.sampled_from(ROUTES)), start, end, now, arrived))
        now = arrived
    return found


def as_leg(ride: reading.Ride) -> Leg:
    departed, arrived = (datetime.fromtimestamp(second, ZONE) for second in (ride.departed, ride.arrived))
    return Leg(ride.route, departed, ride.start, ride.end, arrived)


@settings(max_examples=150)
@given(feeds(), rides())
def test_the_index_finds_the_rules_a_scan_finds(tables: GtfsTables, legs: list[reading.Ride]) -> None:
    assert not list(tables_problems(tables))
    index = Fares.of(GtfsFares(destination=Destination.DEAREST, tables=tables)).index
    for ride in legs:
        scanned = {tables.fare_leg_rules.index(rule) + 1 for rule in reading.matching(tables, ride)}
        assert {product.leg_rule for product in match_leg(index, as_leg(ride))} == scanned


@settings(max_examples=200)
@given(feeds(), rides())
def test_charges_add_up_to_what_the_whole_journey_costs(tables: GtfsTables, legs: list[reading.Ride]) -> None:
    """With both ends known; what was paid too much in between is kept and counted, never given back."""
    fares = Fares.of(GtfsFares(destination=Destination.DEAREST, tables=tables, longest_change_s=24 * 3600))
    state = NOTHING
    for ride, cost in zip(legs, reading.journeys(tables, legs), strict=True):
        taken = board(fares, state, as_leg(ride), (), None)
        if cost is None:
            assert not isinstance(taken, Charged)
            continue
        assert isinstance(taken, Charged)
        assert taken.charge_minor >= 0
        before, state = state, taken.state
        assert state.journey is not None
        step = next((step for step in taken.steps if step.rule == "G-02"), None)
        assert (step is not None) == (state.journey.transfers > 0)
        if state.journey.transfers == 0:
            assert taken.charge_minor == state.journey.total_minor == state.journey.paid_minor
        else:
            assert before.journey is not None
            assert state.journey.paid_minor == before.journey.paid_minor + taken.charge_minor
            assert state.journey.paid_minor >= state.journey.total_minor


@settings(max_examples=200)
@given(feeds(), rides())
def test_totals_are_those_of_the_reading(tables: GtfsTables, legs: list[reading.Ride]) -> None:
    fares = Fares.of(GtfsFares(destination=Destination.DEAREST, tables=tables, longest_change_s=24 * 3600))
    state, finished = NOTHING, 0
    for ride, cost in zip(legs, reading.journeys(tables, legs), strict=True):
        taken = board(fares, state, as_leg(ride), (), None)
        if not isinstance(taken, Charged):
            assert cost is None
            continue
        assert taken.state.journey is not None
        if taken.state.journey.transfers == 0 and state.journey is not None:
            finished += state.journey.total_minor
        state = taken.state
        assert state.journey is not None
        assert finished + state.journey.total_minor == cost


@settings(max_examples=200)
@given(feeds(), rides())
def test_both_taps_take_what_one_tap_with_the_end_known_takes(
    tables: GtfsTables, legs: list[reading.Ride]
) -> None:
    fares = Fares.of(GtfsFares(destination=Destination.DEAREST, tables=tables, longest_change_s=24 * 3600))
    known, unknown = NOTHING, NOTHING
    for ride in legs:
        whole = as_leg(ride)
        at_once = board(fares, known, whole, (), None)
        first = board(fares, unknown, Leg(whole.route, whole.departed_at, whole.from_stop), (), None)
        if not isinstance(at_once, Charged):
            continue
        assert isinstance(first, Charged), "an end that has a fare can be reached"
        assert whole.arrived_at is not None
        second = alight(fares, first.state, ride.end, whole.arrived_at, (), None)
        assert isinstance(second, Charged)
        assert first.charge_minor >= 0
        assert first.charge_minor + second.charge_minor == at_once.charge_minor
        assert second.state == at_once.state
        known, unknown = at_once.state, second.state
