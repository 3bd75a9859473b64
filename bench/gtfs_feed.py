"""A feed as large as one likes: networks of zones, a fare for every pair, transfers, hours, riders, media."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path

NETWORKS = tuple(f"net_{number}" for number in range(4))
ROUTES = 20
PLATFORMS = 40
FARTHEST = 24
"""Zones away from which on the price no longer grows."""


def write_city(folder: Path, leg_rules: int) -> Path:
    """Write a feed with at least `leg_rules` leg rules into `folder`; returns `folder`.

    Every network has a fare for every pair of zones. The price grows with the distance, each distance is a leg group
    of its own, and an hour of free transfers leads to the same distance and to half of it in every network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    zones = range(math.ceil(math.sqrt(leg_rules / len(NETWORKS))))
    groups = [
        (network, f"{network}_{away}", away) for network in NETWORKS for away in zones if away <= FARTHEST
    ]
    _places(folder, [f"zone_{zone}" for zone in zones])
    _hours(folder)
    _prices(folder, groups)
    _write(
        folder,
        "fare_leg_rules",
        "leg_group_id,network_id,from_area_id,to_area_id,from_timeframe_group_id,fare_product_id",
        (
            (group, network, f"zone_{start}", f"zone_{end}", "day", group)
            for network in NETWORKS
            for start in zones
            for end in zones
            for group in [f"{network}_{min(abs(start - end), FARTHEST)}"]
        ),
    )
    _write(
        folder,
        "fare_transfer_rules",
        "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type",
        (
            (first, second, -1 if first == second else "", 3600, 1, 0)
            for _, first, away in groups
            for _, second, reach in groups
            if reach in (away, away // 2)
        ),
    )
    return folder


def _places(folder: Path, zones: list[str]) -> None:
    """A station with platforms in every zone, which its platforms inherit."""
    _write(folder, "agency", "agency_id,agency_timezone", [("city", "Europe/Volgograd")])
    stations = [(f"{zone}_station", 1, "") for zone in zones]
    platforms = [(f"{zone}_{number}", 0, f"{zone}_station") for zone in zones for number in range(PLATFORMS)]
    _write(folder, "stops", "stop_id,location_type,parent_station", stations + platforms)
    _write(
        folder,
        "routes",
        "route_id,network_id",
        ((f"{net}_{n}", net) for net in NETWORKS for n in range(ROUTES)),
    )
    _write(folder, "areas", "area_id", ((zone,) for zone in zones))
    _write(folder, "stop_areas", "area_id,stop_id", ((zone, f"{zone}_station") for zone in zones))


def _hours(folder: Path) -> None:
    days = "monday,tuesday,wednesday,thursday,friday,saturday,sunday"
    _write(
        folder,
        "calendar",
        f"service_id,{days},start_date,end_date",
        [("daily", *(1,) * 7, 20260101, 20261231)],
    )
    hours = [("day", "05:00:00", "24:00:00", "daily"), ("day", "00:00:00", "02:00:00", "daily")]
    _write(folder, "timeframes", "timeframe_group_id,start_time,end_time,service_id", hours)


def _prices(folder: Path, groups: list[tuple[str, str, int]]) -> None:
    """Half for students, two roubles more by bank card."""
    categories = [("adult", 1), ("student", 0)]
    _write(folder, "rider_categories", "rider_category_id,is_default_fare_category", categories)
    _write(folder, "fare_media", "fare_media_id,fare_media_type", [("card", 2), ("bank", 3)])
    _write(
        folder,
        "fare_products",
        "fare_product_id,rider_category_id,fare_media_id,amount,currency",
        (
            (group, category, medium, f"{minor // 100}.{minor % 100:02}", "RUB")
            for _, group, away in groups
            for category, percent in (("adult", 100), ("student", 50))
            for medium, more in (("card", 0), ("bank", 200))
            for minor in [(2400 + 150 * away) * percent // 100 + more]
        ),
    )


def _write(folder: Path, table: str, columns: str, rows: Iterable[Iterable[object]]) -> None:
    with (folder / f"{table}.txt").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns.split(","))
        writer.writerows(rows)
