"""Feeds and journeys nobody wrote: small enough that rules meet, wild enough that every reading is needed."""

from __future__ import annotations

from datetime import date, datetime

from hypothesis import HealthCheck
from hypothesis import strategies as st
from msgspec import structs

from terminal.policy.gtfs.matching import Leg
from terminal.policy.gtfs.tables import (
    TABLES_FORMAT,
    CalendarDate,
    Exceptional,
    FareLegJoinRule,
    FareLegRule,
    FareProduct,
    FareTransferRule,
    FeedArea,
    FeedCalendar,
    FeedTimeframe,
    GtfsTables,
    LimitType,
    LocationType,
    Network,
    Route,
    RouteNetwork,
    Stop,
    StopArea,
    TransferType,
)
from tests.properties import examples
from tests.terminal.policy.gtfs import reading
from tests.terminal.policy.gtfs.feeds import ZONE, at

BRIEF = examples(60, suppress_health_check=[HealthCheck.too_slow])

STOPS = (
    Stop(stop_id="station", location_type=LocationType.STATION),
    Stop(stop_id="p1", parent_station="station"),
    Stop(stop_id="p2", parent_station="station"),
    *(Stop(stop_id=f"s{n}") for n in range(4)),
)
AREAS, NETWORKS, GROUPS = ("a", "b", "c"), ("n1", "n2"), ("g1", "g2", "g3")
ROUTES = ("r0", "r1", "r2", "r3")
CALENDAR = (
    FeedCalendar(
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
    FeedTimeframe(timeframe_group_id="morning", service_id="work", start_s=6 * 3600, end_s=10 * 3600),
    FeedTimeframe(timeframe_group_id="morning", service_id="feast", start_s=0, end_s=12 * 3600),
    FeedTimeframe(timeframe_group_id="always", service_id="work"),
    FeedTimeframe(timeframe_group_id="always", service_id="feast"),
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
        format=TABLES_FORMAT,
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
        areas=tuple(FeedArea(area_id=area) for area in AREAS),
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


@st.composite
def draft_feeds(draw: st.DrawFn) -> GtfsTables:
    """Feeds with columns of drafts, and with rules that were left out."""
    tables = draw(feeds())
    rules = [
        structs.replace(
            rule,
            transfer_only=draw(st.booleans()),
            left_out=draw(st.sampled_from((False, False, False, True))),
            service_id=draw(st.sampled_from((None, None, "work", "feast"))),
        )
        for rule in tables.fare_leg_rules
    ]
    transfers = [
        structs.replace(
            rule,
            filter_fare_product_id=draw(st.sampled_from((None, "p", "q"))),
            same_product=draw(st.booleans()),
            left_out=draw(st.sampled_from((False, False, False, True))),
        )
        for rule in tables.fare_transfer_rules
    ]
    return structs.replace(tables, fare_leg_rules=tuple(rules), fare_transfer_rules=tuple(transfers))


JOIN_RULES = st.builds(
    lambda networks, stops: FareLegJoinRule(
        from_network_id=networks[0], to_network_id=networks[1], from_stop_id=stops[0], to_stop_id=stops[1]
    ),
    st.just((None, None)) | st.tuples(st.sampled_from(NETWORKS), st.sampled_from(NETWORKS)),
    st.just((None, None))
    | st.tuples(st.sampled_from(("station", "p1", "s0")), st.sampled_from(("p2", "s0", "s1"))),
)


def joining_feeds() -> st.SearchStrategy[GtfsTables]:
    """Feeds in which some legs count as one."""
    return st.builds(
        lambda tables, rules: structs.replace(tables, fare_leg_join_rules=tuple(dict.fromkeys(rules))),
        feeds(),
        st.lists(JOIN_RULES, max_size=3),
    )


def without_ends(tables: GtfsTables) -> GtfsTables:
    """The feed with nothing left that needs the end of a leg."""
    rules = [
        structs.replace(rule, to_area_id=None, to_timeframe_group_id=None) for rule in tables.fare_leg_rules
    ]
    transfers = [
        structs.replace(
            rule,
            duration_limit_type=None if rule.duration_limit is None else LimitType.DEPARTURE_TO_DEPARTURE,
        )
        for rule in tables.fare_transfer_rules
    ]
    distinct = {(*_key(rule), rule.fare_product_id): rule for rule in rules}
    groups = {rule.leg_group_id for rule in distinct.values()}
    return structs.replace(
        tables,
        fare_leg_rules=tuple(distinct.values()),
        fare_transfer_rules=tuple(
            rule for rule in transfers if {rule.from_leg_group_id, rule.to_leg_group_id} <= groups | {None}
        ),
    )
