"""From positions to stops: one way, its bends and branches, and positions that cannot be."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.vehicle.shape import EARTH_M, Fix, Matcher, OnWay, Point, ShapedWay
from tests.properties import examples

LAT, LON = 50.6, 36.6


def at(east_m: float, north_m: float) -> Point:
    """A point so many metres from a corner of the town."""
    across = math.cos(math.radians(LAT))
    return LAT + math.degrees(north_m / EARTH_M), LON + math.degrees(east_m / EARTH_M / across)


STRAIGHT = [at(0, 0), at(0, 500), at(0, 1000), at(0, 1500)]
OUT_AND_BACK = [at(0, 0), at(0, 1000), at(200, 1000), at(0, 1000), at(0, 0)]
"""A way that returns by the street it came."""


class Drive:
    """One vehicle, a position a second unless said otherwise."""

    def __init__(self, stops: list[Point], shape: list[Point] | None = None) -> None:
        self.matcher = Matcher(ShapedWay(stops, shape or []))
        self.at_s = 0.0

    def to(self, point: Point, speed_mps: float = 8.0, after_s: float = 1.0) -> OnWay | None:
        self.at_s += after_s
        return self.matcher.feed(Fix(self.at_s, *point, speed_mps))

    def north(self, first_m: int, last_m: int, east_m: float = 0.0, step_m: int = 10) -> OnWay | None:
        found = None
        step = step_m if last_m >= first_m else -step_m
        for metres in range(first_m, last_m + (1 if step > 0 else -1), step):
            found = self.to(at(east_m, metres))
        return found


def test_stops_are_reached_when_slow_and_passed_when_beyond() -> None:
    drive = Drive(STRAIGHT)
    assert drive.to(at(0, 0), 0.0) == OnWay(pytest.approx(0, abs=1), 0, 1)
    on = drive.north(10, 460)
    assert on is not None
    assert (on.stop, on.coming, on.arriving) == (0, 1, False)
    on = drive.to(at(5, 480))
    assert on is not None
    assert (on.stop, on.coming, on.arriving) == (0, 1, True), "30 m before, and moving"
    on = drive.to(at(5, 485), 1.0)
    assert on is not None
    assert (on.stop, on.coming, on.arriving) == (1, 2, False), "slow enough to be there"
    assert drive.north(490, 1020) == OnWay(pytest.approx(1020, abs=1), 1, 2, arriving=True), "passing by"
    assert drive.north(1030, 1040) == OnWay(pytest.approx(1040, abs=1), 2, 3)
    assert drive.north(1050, 1500) == OnWay(pytest.approx(1500, abs=1), 2, 3, arriving=True)
    assert drive.to(at(0, 1500), 0.0) == OnWay(pytest.approx(1500, abs=1), 3, None)


def test_a_stop_passed_is_not_given_back_when_the_vehicle_reverses() -> None:
    drive = Drive(STRAIGHT)
    drive.north(0, 540)
    on = drive.north(530, 460)
    assert on is not None
    assert on.stop == 1


def test_a_terminal_that_starts_on_the_way_knows_the_stop_behind_it() -> None:
    assert Drive(STRAIGHT).to(at(0, 1200)) == OnWay(pytest.approx(1200, abs=1), 2, 3)


def test_driving_the_other_direction_is_off_the_way_after_200_m() -> None:
    drive = Drive(STRAIGHT)
    drive.north(0, 1200)
    on = drive.north(1190, 1100)
    assert on is not None
    assert not on.off_route
    assert drive.north(1090, 950) is None, "not confirmed any more"
    on = drive.north(940, 880)
    assert on is not None
    assert (on.stop, on.off_route) == (2, True)


def test_a_diversion_is_off_the_way_and_back_on_it() -> None:
    drive = Drive(STRAIGHT)
    drive.north(0, 600)
    seen = [drive.to(at(east, 600)) for east in range(10, 300, 10)]
    assert [one.off_route for one in seen[:4] if one is not None] == [False] * 4, "within 40 m"
    assert seen[4:23] == [None] * 19
    last = seen[-1]
    assert last is not None
    assert (last.stop, last.metres, last.off_route) == (1, pytest.approx(600, abs=1), True)
    drive.north(600, 1200, east_m=300)
    for east in range(290, 30, -10):
        drive.to(at(east, 1200))
    assert drive.to(at(20, 1200)) == OnWay(pytest.approx(1200, abs=1), 2, 3)


def test_a_jump_and_a_place_far_away_are_no_positions() -> None:
    drive = Drive(STRAIGHT)
    drive.north(0, 100)
    assert drive.to(at(0, 1400)) is None, "1.3 km in a second"
    assert drive.to(at(0, 110)) is not None
    assert drive.to(at(9_000, 110), after_s=3600) is None, "nowhere near the way"
    assert drive.to(at(0, 1400), after_s=60) == OnWay(pytest.approx(1400, abs=1), 2, 3)


def test_a_clock_that_is_put_back_loses_no_position() -> None:
    drive = Drive(STRAIGHT)
    drive.at_s = 6e8  # a receiver that begins with the wrong day, and a kilometre off
    assert drive.to(at(300, 1400)) is None
    drive.at_s = 0.0
    assert drive.north(100, 300) == OnWay(pytest.approx(300, abs=1), 0, 1)


def test_a_vehicle_that_comes_back_to_its_first_stop_begins_anew() -> None:
    drive = Drive(STRAIGHT)
    drive.north(700, 750)  # on its way from the depot, with the turn begun
    on = drive.north(740, 210)
    assert on == OnWay(pytest.approx(650, abs=20), 1, 2, off_route=True)
    on = drive.north(200, 0)
    assert on is not None
    assert (on.stop, on.off_route) == (0, False)
    assert drive.north(0, 600) == OnWay(pytest.approx(600, abs=1), 1, 2)


def test_out_and_back_by_the_same_street_are_two_ways() -> None:
    stops = [at(0, 100), at(0, 900), at(200, 1000), at(0, 900), at(0, 100)]
    drive = Drive(stops, OUT_AND_BACK)
    assert drive.matcher.on_way is None
    out = drive.north(0, 950)
    assert out is not None
    assert out.stop == 1
    for east in range(0, 201, 10):
        drive.to(at(east, 1000))
    for east in range(200, -1, -10):
        drive.to(at(east, 1000))
    on = drive.north(990, 860)
    assert on is not None
    assert (on.stop, on.coming) == (3, 4)
    on = drive.north(850, 60)
    assert on is not None
    assert (on.stop, on.coming) == (4, None)


def test_a_circular_line_begins_again() -> None:
    ring = [at(0, 0), at(0, 800), at(800, 800), at(800, 0), at(0, 0)]
    drive = Drive([at(0, 0), at(0, 800), at(800, 800), at(800, 0), at(0, 0)], ring)
    assert drive.north(0, 800) is not None
    for east in range(0, 801, 10):
        drive.to(at(east, 800))
    drive.north(790, 0, east_m=800)
    on = None
    for east in range(790, -1, -10):
        on = drive.to(at(east, 0))
    assert on is not None
    assert on.metres == pytest.approx(3200, abs=2)
    on = drive.north(10, 200)
    assert on == OnWay(pytest.approx(200, abs=2), 0, 1)


def test_speed_is_worked_out_where_the_receiver_says_none() -> None:
    matcher = Matcher(ShapedWay(STRAIGHT))
    matcher.feed(Fix(0.0, *at(0, 470)))
    on = matcher.feed(Fix(1.0, *at(0, 480)))
    assert on is not None
    assert on.stop == 0
    on = matcher.feed(Fix(2.0, *at(0, 480.5)))
    assert on is not None
    assert on.stop == 1


@pytest.mark.parametrize(
    ("stops", "shape"),
    [
        ([at(0, 0)], []),
        ([], []),
        ([at(0, 0), at(300, 500), at(0, 1000)], STRAIGHT),
        ([at(0, 1000), at(0, 0)], STRAIGHT),
    ],
)
def test_a_way_without_its_stops_is_refused(stops: list[Point], shape: list[Point]) -> None:
    with pytest.raises(ValueError, match="stop"):
        ShapedWay(stops, shape)


@examples(40)
@given(
    st.integers(0, 10_000), st.lists(st.tuples(st.integers(-3, 3), st.integers(1, 6)), min_size=3, max_size=8)
)
def test_with_noise_below_the_width_of_a_street_every_stop_comes_in_its_order(
    seed: int, turns: list[tuple[int, int]]
) -> None:
    rng, corners = Random(seed), [(0.0, 0.0)]
    for east, north in turns:
        corners.append((corners[-1][0] + 150.0 * east, corners[-1][1] + 150.0 * north))
    way = ShapedWay([at(*corner) for corner in corners])
    matcher, seen, at_s = Matcher(way), [], 0.0
    for (x0, y0), (x1, y1) in pairwise(corners):
        steps = max(2, int(math.hypot(x1 - x0, y1 - y0) / 8))
        for step in range(steps + 1):
            at_s += 1.0
            share = step / steps
            east, north = (
                start + share * (end - start) + rng.uniform(-12, 12) for start, end in ((x0, x1), (y0, y1))
            )
            on = matcher.feed(Fix(at_s, *at(east, north), 0.0 if step in {0, steps} else 8.0))
            if on is not None:
                seen.append(on.stop)
    assert seen == sorted(seen)
    assert seen[-1] == len(corners) - 1
    assert set(range(len(corners))) <= set(seen)


def test_the_longest_way_that_a_document_may_have_costs_a_position_little() -> None:
    shape = [at(3 * metre, 300 * math.sin(metre / 300)) for metre in range(20_000)]
    began_s = process_time()
    drive = Drive(shape[::100], shape)
    for metre in range(100):
        assert drive.to(shape[metre]) is not None
    assert process_time() - began_s < 2.0, "a side process that says nothing for ten seconds is ended"
