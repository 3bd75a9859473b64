"""Lines of gpsd as positions, and a run as a way."""

from __future__ import annotations

import json

import pytest

from terminal.trip.vehicle_report import RunStop, SourceSettings, VehicleRun
from terminal.vehicle.gpsd import Gpsd, read_fix, report_of, way_of
from terminal.vehicle.shape import Fix, OnWay
from terminal.vehicle.source import SourceBroken

NOW_S = 1000.0
TPV = {"class": "TPV", "mode": 3, "lat": 50.6, "lon": 36.6, "speed": 1.5, "time": "2026-06-01T08:00:00.500Z"}
AT_S = 1780300800.5


def line(**changed: object) -> bytes:
    return json.dumps(TPV | changed).encode()


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        (line(), Fix(AT_S, 50.6, 36.6, 1.5)),
        (line(mode=2), Fix(AT_S, 50.6, 36.6, 1.5)),
        (line(speed=None), Fix(AT_S, 50.6, 36.6, None)),
        (line(speed=1e9), Fix(AT_S, 50.6, 36.6, None)),
        (line(time="yesterday"), Fix(NOW_S, 50.6, 36.6, 1.5)),
        (line(time=7), Fix(NOW_S, 50.6, 36.6, 1.5)),
        (line(lat=50, lon=-36), Fix(AT_S, 50.0, -36.0, 1.5)),
        (line(mode=1), None),
        (line(mode=0), None),
        (line(mode="3"), None),
        (line(mode=None), None),
        (line(lat=None), None),
        (line(lat="50.6"), None),
        (line(lat=True), None),
        (line(lat=91), None),
        (line(lat=10**400), None),
        (line(lon=-(10**400)), None),
        (line(speed=10**400), Fix(AT_S, 50.6, 36.6, None)),
        (line(lon=180.5), None),
        (line(lon=float("nan")), None),
        (line(lat=float("inf")), None),
        (line(**{"class": "SKY"}), None),
        (b'{"class":"VERSION","release":"3.22"}', None),
        (b"[]", None),
        (b"", None),
        (b"$GPRMC,080000,A", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
        (b"9" * 100_000, None),
    ],
)
def test_a_line_is_a_position_or_nothing(said: bytes, fix: Fix | None) -> None:
    assert read_fix(said, NOW_S) == fix


def stop(ref: str, lat: float | None, lon: float | None = 36.6) -> RunStop:
    return RunStop((ref,) if ref else (), 1, lat, lon)


RUN = VehicleRun(route=15, direction=1, lines=("K15",), stops=(stop("a", 50.6), stop("", 50.61)))


def test_a_place_on_the_way_is_a_report() -> None:
    report = report_of(RUN, OnWay(30.0, 0, 1, arriving=True, off_route=True), 5.0, Fix(1.0, 50.6, 36.6))
    assert (report.line, report.direction, report.stop_ref, report.stop_index) == ("K15", 1, "a", 0)
    assert (report.coming_ref, report.arriving, report.off_route, report.mark) == ("", True, True, 30.0)
    assert (report.heard_s, report.lat, report.lon) == (5.0, 50.6, 36.6)
    last = report_of(VehicleRun(route=15, stops=RUN.stops), OnWay(900.0, 1, None), 5.0, Fix(1.0, 50.6, 36.6))
    assert (last.line, last.stop_ref, last.stop_index, last.coming_ref) == ("15", "", 1, "")


@pytest.mark.parametrize(
    "run",
    [
        VehicleRun(),
        VehicleRun(route=15, stops=(stop("a", 50.6), stop("b", None, None))),
        VehicleRun(route=15, stops=(stop("a", 50.6), stop("b", 50.7)), shape=((1.0, 1.0), (1.1, 1.0))),
    ],
)
def test_a_run_without_places_has_no_way(run: VehicleRun) -> None:
    assert way_of(run) is None


@pytest.mark.parametrize("address", ["", "gpsd", "127.0.0.1:", ":2947", "127.0.0.1:0", "127.0.0.1:x"])
def test_an_address_that_is_none_ends_the_process_with_words(address: str) -> None:
    with pytest.raises(SourceBroken, match="correct it under"):
        Gpsd(SourceSettings(source="gpsd", gpsd=address))
