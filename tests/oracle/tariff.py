"""A region document as the tariff author's guide describes it, read here with tomllib and nothing else."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CARD: Final = "transport_card"
Table = Mapping[str, Any]


@dataclass(frozen=True)
class Spot:
    """A zone by its number (0: unknown) and metres beyond the city boundary (None: unknown)."""

    zone: int = 0
    mark_m: int | None = None


@dataclass(frozen=True)
class Ride:
    """One ride: begun `at`, from a place, to the place the rider named, in a vehicle bound for its terminus."""

    at: datetime
    mode: str
    route: int
    direction: int
    start: Spot = Spot()
    named: Spot = Spot()
    terminus: Spot = Spot()


@dataclass(frozen=True)
class Price:
    """What the ordinary rider pays, and what percentages are taken from; fractions of a kopeck."""

    ordinary: Fraction
    base: Fraction


class FareUnknown(Exception):
    """What the ride costs is not known, and what covers it follows from that."""


def kopecks(sum_: Fraction) -> int:
    """Half up, once, at the end (T-08)."""
    return int(sum_ + Fraction(1, 2))


class Tariff:
    """One region document."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.doc: Table = tomllib.load(file)
        self.zone = ZoneInfo(self.doc["header"]["time_zone"])
        self.ends_at = int(self.doc["header"].get("service_day_end_hour", 3))
        self.slots: dict[str, Table] = {slot["name"]: slot for slot in self.doc["counters"]["slots"]}
        self.contract_slots: list[str] = self.doc["counters"]["contracts"]
        self.layout = int(self.doc["counters"]["layout"])
        self.products: dict[int, Table] = {p["id"]: p for p in self.doc.get("products", [])}
        self.concessions: dict[int, Table] = {c["code"]: c for c in self.doc.get("concessions", [])}
        self.transfers: dict[str, Table] = {t["id"]: t for t in self.doc.get("transfers", [])}
        self.zones: dict[int, str] = {z["number"]: z["name"] for z in self.doc.get("zones", [])}
        self.timeframes: dict[str, Table] = {t["id"]: t for t in self.doc.get("timeframes", [])}
        self.calendars = {
            c["id"]: {m["month"]: m["days"] for m in c["months"]} for c in self.doc.get("trip_calendars", [])
        }
        self.bus: Table = self.doc["profiles"]["bus"]
        self.rights: list[str] = self.bus["rights"]
        guards: Table = self.doc.get("guards", {})
        self.repeat_s = int(guards.get("repeat_s", 2))
        self.retap_s = int(guards.get("retap_s", 60))
        self.passback_s = int(guards.get("passback_s", 300))
        self.passback_rights: list[str] = guards.get("passback_rights", ["pass"])
        self.skew_s = int(guards.get("clock_skew_s", 30))
        self.inspection_s = int(guards.get("inspection_s", 7200))
        self.stale_s = int(self.doc.get("ages", {}).get("stale_h", 168)) * 3600
        self.fresh_s = int(self.doc.get("ages", {}).get("fresh_h", 24)) * 3600
        self.checkin: Table | None = self.doc.get("checkin")
        self.caps: list[Table] = self.doc.get("caps", [])
        self.grace: Table | None = self.doc.get("grace")

    # ------------------------------------------------------------ days and periods (T-14)

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)

    def day(self, at: datetime) -> date:
        """The service day: until the document's hour it is still the day before."""
        local = self.local(at)
        return local.date() - timedelta(days=local.hour < self.ends_at)

    def period(self, kind: str, day: date) -> object:
        """Which period of this kind `day` lies in; equal values are the same period."""
        if kind == "service_day":
            return day
        if kind == "service_week":
            first = WEEKDAYS.index(self.doc["counters"].get("week_starts", "mon"))
            return day - timedelta(days=(day.weekday() - first) % 7)
        if kind == "service_month":
            return (day.year, day.month)
        if kind == "half_year":
            return (day.year, day.month > 6)
        return day.year if kind == "year" else None

    def most(self, counter: str) -> int:
        """What a counter of its size can say, in its units' smallest coin."""
        slot = self.slots[counter]
        return ((1 << slot["bits"]) - 1) * int(slot.get("unit_minor", 1))

    def in_season(self, season: Table | None, day: date) -> bool:
        """Every year from the first to the last day, both included, over New Year if it must (T-15)."""
        if season is None:
            return True
        now, first, last = f"{day:%m-%d}", season["first"], season["last"]
        return first <= now <= last if first <= last else now >= first or now <= last

    def in_timeframe(self, name: str, at: datetime) -> bool:
        """By local time and the calendar day, not the service day."""
        local = self.local(at)
        now, today = local.time().replace(microsecond=0), WEEKDAYS[local.weekday()]
        for window in self.timeframes[name]["windows"]:
            starts, ends = window["starts"], window["ends"]
            before_end = ends == time(0) or now < ends or (window.get("end_included", False) and now == ends)
            if today in window["days"] and starts <= now and before_end:
                return True
        return False

    # ------------------------------------------------------------ where a right holds (T-17)

    def inside(self, scopes: Iterable[Table] | None, ride: Ride, unknown: bool = False) -> bool:
        """Whether the ride lies in one of the scopes; none stated: everywhere. `unknown`: what an unknown place counts
        as where zones or distance matter (outside; for limits that count rides of an area: inside)."""
        listed = list(scopes or ())
        return not listed or any(self._in(scope, ride, unknown) for scope in listed)

    def _in(self, scope: Table, ride: Ride, unknown: bool) -> bool:
        if scope.get("modes") and ride.mode not in scope["modes"]:
            return False
        if scope.get("routes") and ride.route not in scope["routes"]:
            return False
        names = [self.zones.get(spot.zone) for spot in (ride.start, ride.named)]
        known = [name for name in names if name is not None]
        if scope.get("zones") and not (all(n in scope["zones"] for n in known) if known else unknown):
            return False
        if scope.get("touching") and not (any(n in scope["touching"] for n in known) if known else unknown):
            return False
        if "longest_m" in scope:
            if ride.start.mark_m is None or ride.named.mark_m is None:
                return unknown
            import os

            if os.environ.get("LEVEL"):
                return abs(ride.start.mark_m - ride.named.mark_m) <= scope["longest_m"]
            return max(ride.start.mark_m, ride.named.mark_m) <= scope["longest_m"]
        return True

    # ------------------------------------------------------------ what a ride costs (T-01, T-02, T-06)

    def price(self, ride: Ride) -> Price | None:
        """The ordinary fare by card and the base tariff; None where it is not known (never nothing)."""
        fares = self._fares_on(self.day(ride.at))
        for rule in fares.get("rules", []):
            if self._falls_under(rule, ride):
                return self._by_rule(rule, fares, ride)
        if "by_medium" not in fares:
            return None
        return Price(Fraction(fares["by_medium"][CARD]), Fraction(fares["base_minor"]))

    def _fares_on(self, day: date) -> Table:
        fares: Table = self.doc["fares"]
        for step in fares.get("steps", []):
            fares = step if step["valid_from"] <= day else fares
        return fares

    def _falls_under(self, rule: Table, ride: Ride) -> bool:
        if rule.get("modes") and ride.mode not in rule["modes"]:
            return False
        if rule.get("routes") and ride.route not in rule["routes"]:
            return False
        if "when" in rule and not self.in_timeframe(rule["when"], ride.at):
            return False
        return not ("except_when" in rule and self.in_timeframe(rule["except_when"], ride.at))

    def _by_rule(self, rule: Table, fares: Table, ride: Ride) -> Price | None:
        if rule["kind"] == "flat":
            base = rule.get("base_minor", fares["base_minor"])
            return Price(Fraction(rule["by_medium"][CARD]), Fraction(base))
        if rule["kind"] == "zone_table":
            return self._by_zones(rule, ride)
        return self._by_distance(rule, ride)

    def _by_zones(self, rule: Table, ride: Ride) -> Price | None:
        names: list[str] = rule["zones"]
        start = self.zones.get(ride.start.zone)
        end = self.zones.get(ride.named.zone) or self.zones.get(ride.terminus.zone if self.dearest else 0)
        if start in names and end in names:
            row, column = names.index(start), names.index(end)
            return Price(*(Fraction(rule["by_medium"][m][row][column]) for m in (CARD, rule["base"])))
        if not self.dearest:
            return None
        rows = [names.index(start)] if start in names else range(len(names))
        columns = [names.index(end)] if end in names else range(len(names))
        return Price(
            *(
                Fraction(max(rule["by_medium"][m][r][c] for r in rows for c in columns))
                for m in (CARD, rule["base"])
            )
        )

    def _by_distance(self, rule: Table, ride: Ride) -> Price | None:
        start, end = ride.start.mark_m, ride.named.mark_m
        if end is None and self.dearest:
            end = ride.terminus.mark_m
        if start is None or end is None:
            if not self.dearest:
                return None
            beyond = rule["longest_m"]
        else:
            beyond = min(abs(end - start), rule["longest_m"])
        return Price(
            *(rule["first"][m] + Fraction(rule["per_km"][m] * beyond, 1000) for m in (CARD, rule["base"]))
        )

    @property
    def dearest(self) -> bool:
        """Whether an unknown fare is the dearest there can be."""
        return bool(self.bus.get("unknown_fare", "refuse") == "dearest")

    def concession_price(self, rule: Table, price: Price | None) -> Fraction:
        """T-02 to T-05; never more than the ordinary fare. Only what follows from the fare needs to know it."""
        fare: Table = rule["fare"]
        if fare["kind"] in ("free", "fixed_price"):
            wanted = Fraction(fare.get("price_minor", 0))
            return wanted if price is None else min(wanted, price.ordinary)
        if price is None:
            raise FareUnknown
        if fare["kind"] == "percent_of_base":
            return min(price.base * fare["pays_percent"] / 100, price.ordinary)
        return max(Fraction(0), price.ordinary - fare["amount_minor"])

    def limit(self, rule: Table, day: date) -> int:
        """How many rides a limit gives in the period of `day` (T-12)."""
        if rule["kind"] == "trips":
            return int(rule["trips"])
        return int(self.calendars[rule["calendar"]].get(f"{day:%Y-%m}", 0) * rule["trips_per_day"])
