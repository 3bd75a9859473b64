"""What a card holds of a journey decides as the journey itself would."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from msgspec.structs import replace

from cardproto.resident.records.event import Event, EventKind, build_event, parse_event
from terminal.policy.gtfs.card import JourneyOnCard, Written
from terminal.policy.gtfs.charging import Charged, FareUnknown, alight
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.matching import Leg
from terminal.policy.gtfs.section import Destination, GtfsFares
from terminal.policy.gtfs.state import NOTHING, Journey, JourneyState, OpenRide, second_of
from terminal.policy.gtfs.tables import GtfsTables
from tests.terminal.policy.gtfs import reading
from tests.terminal.policy.gtfs.feeds import NO_TAP_OFF, Rider, at, board, fares, second
from tests.terminal.policy.gtfs.invented import BRIEF, as_leg, draft_feeds, joining_feeds, rides, without_ends

CHANGE_S = 5400


class Card:
    """One rider twice: what the state in memory decides, and what the card's record decides."""

    def __init__(self, city: FeedFares) -> None:
        self.city = city
        self.state = NOTHING
        self.card, self.event = JourneyOnCard(0, None, 0), Written(second("00:00"), "", 0)

    def board(self, leg: Leg) -> bool:
        stored = self.city.card.read(self.card, self.event, second_of(leg.departed_at))
        taken = board(self.city, self.state, leg, (), None)
        return self._same(taken, board(self.city, stored, leg, (), None), leg.departed_at, leg.route)

    def alight(self, stop: str, leg: Leg) -> None:
        assert leg.arrived_at is not None
        stored = self.city.card.read(self.card, self.event, second_of(leg.arrived_at))
        taken = alight(self.city, self.state, stop, leg.arrived_at, (), None)
        self._same(
            taken, alight(self.city, stored, stop, leg.arrived_at, (), None), leg.arrived_at, leg.route
        )

    def _same(self, taken: Charged | FareUnknown, stored: Charged | FareUnknown, now, route: str) -> bool:  # type: ignore[no-untyped-def]
        if isinstance(taken, FareUnknown):
            assert taken == stored
            return False
        assert isinstance(stored, Charged)
        assert (taken.charge_minor, taken.steps) == (stored.charge_minor, stored.steps)
        self.state = taken.state
        self.card = self.city.card.write(stored.state, second_of(now))
        self.event = Written(second_of(now), route, max(taken.charge_minor, 0))
        assert 0 <= self.card.bits < 1 << self.city.card.bits
        return True


@BRIEF
@given(joining_feeds() | draft_feeds(), rides())
def test_a_card_decides_as_memory_does_where_riders_tap_off(
    tables: GtfsTables, legs: list[reading.Ride]
) -> None:
    card = Card(
        FeedFares.of(GtfsFares(destination=Destination.DEAREST, tables=tables, longest_change_s=CHANGE_S))
    )
    for number, ride in enumerate(legs):
        leg = as_leg(ride)
        on = card.board(Leg(leg.route, leg.departed_at, leg.from_stop))
        if on and number % 4 != 3:  # the fourth rider of every bus forgets
            card.alight(ride.end, leg)


@BRIEF
@given(joining_feeds() | draft_feeds(), rides())
def test_a_card_decides_as_memory_does_without_tap_off(tables: GtfsTables, legs: list[reading.Ride]) -> None:
    section = GtfsFares(
        destination=Destination.NOT_USED, tables=without_ends(tables), longest_change_s=CHANGE_S
    )
    card = Card(FeedFares.of(section))
    for ride in legs:
        leg = as_leg(ride)
        card.board(Leg(leg.route, leg.departed_at, leg.from_stop))


HEAD = (
    "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type\n"
)


@pytest.fixture
def city(tmp_path: Path) -> FeedFares:
    return fares(
        tmp_path,
        NO_TAP_OFF,
        fare_products="fare_product_id,amount,currency\nsingle,24.00,RUB\n",
        fare_leg_rules="leg_group_id,fare_product_id\ncity,single\n",
        fare_transfer_rules=f"{HEAD}city,city,3,3600,1,0\n",
    )


def test_the_bits_fit_an_event_record_beside_other_counters(city: FeedFares) -> None:
    assert city.card.bits == 6 + 1 + 2, "edition, group, run: what was paid does not matter to any rule"
    now = at("10:30")
    state = JourneyState(Journey(1, 0, 2400, 2400, *(int(at("10:00").timestamp()),) * 4, transfers=1, run=1))
    written = city.card.write(state, second_of(now))
    others = 0b1011 << city.card.bits
    event = Event(
        EventKind.RIDE,
        now,
        70001,
        5,
        10_000,
        2400,
        route=15,
        journey_age_s=written.journey_age_s,
        transfers=written.transfers,
        counters=others | written.bits,
    )
    read = parse_event(build_event(event))
    card = JourneyOnCard(read.counters & (1 << city.card.bits) - 1, read.journey_age_s, read.transfers)
    journey = city.card.read(
        card, Written(second_of(read.at), "bus", read.amount_minor), second_of(now)
    ).journey
    assert journey is not None
    assert (journey.run, journey.transfers) == (1, 1)
    assert now.timestamp() - journey.run_departed == 1800


def test_money_is_kept_in_the_steps_of_the_feed(tmp_path: Path) -> None:
    """All amounts that a ride or change costs are multiples of 7.50; the pass that no rule names is none of them."""
    head = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
    city = fares(
        tmp_path,
        NO_TAP_OFF,
        fare_products="""
            fare_product_id,amount,currency
            single,22.50,RUB
            both,30.00,RUB
            pass,1234.56,RUB
        """,
        fare_leg_rules="leg_group_id,fare_product_id\ncity,single\n",
        fare_transfer_rules=f"{head},fare_product_id\ncity,city,1,3600,1,2,both\n",
    )
    widths = dict(city.card.widths)
    assert (city.card.unit_minor, widths["total"], widths["credit"]) == (750, 4, 4)
    rider = Rider(city).on("10:00", "A")
    journey = rider.state("10:10").journey
    assert journey is not None
    assert (journey.total_minor, journey.paid_minor) == (2250, 2250)
    assert rider.on("10:10", "B").paid == [2250, 750]


def test_a_fresh_card_holds_no_journey(city: FeedFares) -> None:
    assert (
        city.card.read(JourneyOnCard(0, None, 0), Written(second("10:00"), "bus", 0), second("10:00"))
        == NOTHING
    )
    assert city.card.write(NOTHING, second("10:00")) == JourneyOnCard(0, None, 0)


def test_a_journey_written_under_other_tables_is_not_read(city: FeedFares, tmp_path: Path) -> None:
    rider = Rider(city).on("10:00")
    other = fares(
        tmp_path / "other",
        NO_TAP_OFF,
        fare_products="fare_product_id,amount,currency\nsingle,24.00,RUB\n",
        fare_leg_rules="leg_group_id,fare_product_id\ntown,single\n",
        fare_transfer_rules=f"{HEAD}town,town,3,3600,1,0\n",
    )
    rider.city = other
    assert other.card.edition != city.card.edition
    assert rider.state("10:10") == NOTHING
    assert rider.on("10:10").paid == [2400, 2400]


def test_an_event_ahead_of_the_clock_counts_as_now(city: FeedFares) -> None:
    rider = Rider(city).on("10:00:20")
    journey = rider.state("10:00").journey
    assert journey is not None
    assert journey.departed == int(at("10:00").timestamp())


def test_events_in_between_keep_the_journey(city: FeedFares) -> None:
    """A reload twenty minutes later: same bits, the age has grown, the event is the reload point's."""
    boarded = board(city, NOTHING, Leg("bus", at("10:00"), "A"), (), None)
    assert isinstance(boarded, Charged)
    written = city.card.write(boarded.state, second("10:00"))
    reloaded = replace(written, journey_age_s=1200)
    state = city.card.read(reloaded, Written(second("10:20"), "", 5000), second("11:00"))
    in_time = board(city, state, Leg("bus", at("11:00"), "A"), (), None)
    late = board(city, state, Leg("bus", at("11:00:01"), "A"), (), None)
    assert isinstance(in_time, Charged)
    assert isinstance(late, Charged)
    assert (in_time.charge_minor, late.charge_minor) == (0, 2400)


def test_an_open_ride_of_a_route_the_feed_does_not_have_is_dropped(tmp_path: Path) -> None:
    tap_off = fares(
        tmp_path,
        fare_products="fare_product_id,amount,currency\nsingle,24.00,RUB\n",
        fare_leg_rules="fare_product_id\nsingle\n",
    )
    now = at("10:00")
    now_s = int(now.timestamp())
    ride = OpenRide(0, 0, tap_off.index.places.stops[1].origin, now_s, now_s)
    card = tap_off.card.write(JourneyState(None, ride), now_s)
    assert tap_off.card.read(card, Written(now_s, "bus", 2400), now_s).ride == replace(
        ride, charged_minor=2400
    )
    assert tap_off.card.read(card, Written(now_s, "", 0), now_s) == NOTHING


def test_times_beyond_every_limit_stay_beyond_every_limit(city: FeedFares) -> None:
    rider = Rider(city).on("00:00")
    state = rider.state("23:59")
    card = city.card.write(state, second("23:59"))
    again = city.card.read(card, Written(second("23:59"), "bus", 0), second("23:59") + 200 * 3600)
    taken = board(city, again, Leg("bus", at("23:59") + timedelta(hours=200), "A"), (), None)
    assert isinstance(taken, Charged)
    assert taken.charge_minor == 2400
