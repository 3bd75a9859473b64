"""A region document as the tariff author's guide describes it, read here with tomllib and nothing else."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

CARD, CASH = "transport_card", "cash"
GUARDS: Final = {"repeat_s": 2, "retap_s": 60, "passback_s": 300, "clock_skew_s": 30, "inspection_s": 7200}
AGES: Final = {"fresh_h": 24, "stale_h": 168, "document_stale_days": float("inf")}
VEHICLE: Final = {"fresh_s": 60, "stale_s": 600, "unknown_place": "first_stop", "between_stops": "coming"}
DocumentTable = Mapping[str, Any]


_One = TypeVar("_One")


def replace(one: _One, /, **changes: object) -> _One:
    """As `dataclasses.replace` for the plain ones of an oracle, without a call for each field: it is asked for every
    tap of long runs."""
    other = object.__new__(type(one))
    vars(other).update(vars(one), **changes)
    if len(vars(other)) != len(vars(one)):
        raise TypeError(f"{type(one).__name__} has not all of {sorted(changes)}")
    return other


class UnknownPrice(Exception):
    """What the ride costs is not known, and what covers it follows from that."""


@dataclass(frozen=True)
class OracleSpot:
    """A zone by its number (0: unknown) and metres beyond the city boundary (None: unknown)."""

    zone: int = 0
    mark_m: int | None = None


@dataclass(frozen=True)
class OracleRide:
    """One ride: begun `at`, from a place, to the place the rider named, in a vehicle bound for its terminus.

    `said`: how well the place is known to whom it was `stated_by`, `age_s` ago; `first` is where the turn began.
    """

    at: datetime
    mode: str
    route: int
    direction: int
    start: OracleSpot = OracleSpot()
    named: OracleSpot = OracleSpot()
    terminus: OracleSpot = OracleSpot()
    coming: OracleSpot = OracleSpot()
    first: OracleSpot = OracleSpot()
    arriving: bool = False
    stated_by: str = "vehicle"
    said: str = "exact"
    age_s: int = 0


@dataclass(frozen=True)
class OraclePrice:
    """What the ordinary rider pays, and what percentages are taken from; fractions of a kopeck. `opens`: a transfer."""

    ordinary: Fraction
    base: Fraction
    opens: str | None


def kopecks(sum_: Fraction) -> int:
    """Half up, once, at the end (T-08)."""
    return int(sum_ + Fraction(1, 2))


class Tariff:
    """One region document."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.doc: DocumentTable = tomllib.load(file)
        header, bus = self.doc["header"], self.doc["profiles"].get("bus", {"rights": []})
        self.zone, self.ends_at = ZoneInfo(header["time_zone"]), int(header.get("service_day_end_hour", 3))
        self.rights: list[str] = bus["rights"]
        self.dearest = bus.get("unknown_fare", "refuse") == "dearest"
        self.slots: dict[str, DocumentTable] = {slot["name"]: slot for slot in self.doc["counters"]["slots"]}
        self.contract_slots: list[str] = self.doc["counters"]["contracts"]
        self.products: dict[int, DocumentTable] = self._by("products", "id")
        self.concessions: dict[int, DocumentTable] = self._by("concessions", "code")
        self.transfers: dict[str, DocumentTable] = self._by("transfers", "id")
        self.returns: list[DocumentTable] = self.doc.get("returns", [])
        self.zones: dict[int, str] = {n: zone["name"] for n, zone in self._by("zones", "number").items()}
        self.guards: DocumentTable = {"passback_rights": ["pass"], **GUARDS, **self.doc.get("guards", {})}
        self.ages: DocumentTable = {**AGES, **self.doc.get("ages", {})}
        self.ended_at: datetime = header["valid_to"]
        self.over_at = self.ended_at + timedelta(days=self.doc.get("ended", {}).get("go_on_days", 0))
        self.checkin: DocumentTable | None = self.doc.get("checkin")
        self.vehicle: DocumentTable = {**VEHICLE, **self.doc.get("vehicle", {})}
        self.grace: DocumentTable | None = self.doc.get("grace")

    def _by(self, table: str, key: str) -> dict[Any, DocumentTable]:
        return {row[key]: row for row in self.doc.get(table, [])}

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)

    def day(self, at: datetime) -> date:
        """The service day: until the document's hour it is still the day before."""
        local = self.local(at)
        return local.date() - timedelta(days=local.hour < self.ends_at)

    def period(self, kind: str, day: date) -> object:
        """Which period of this kind `day` lies in; equal values are the same period."""
        first = WEEKDAYS.index(self.doc["counters"].get("week_starts", "mon"))
        return {
            "service_day": day,
            "service_week": day - timedelta(days=(day.weekday() - first) % 7),
            "service_month": (day.year, day.month),
            "half_year": (day.year, day.month > 6),
            "year": day.year,
        }.get(kind)

    def most(self, counter: str) -> int:
        """What a counter of its size can say, in kopecks where it counts money."""
        slot = self.slots[counter]
        return ((1 << int(slot["bits"])) - 1) * int(slot.get("unit_minor", 1))

    def in_season(self, season: DocumentTable | None, day: date) -> bool:
        """Every year from the first to the last day, both included, over New Year if it must (T-15)."""
        if season is None:
            return True
        now, first, last = f"{day:%m-%d}", season["first"], season["last"]
        return bool(first <= now <= last if first <= last else now >= first or now <= last)

    def _in_timeframe(self, name: str, at: datetime) -> bool:
        """By local time and the calendar day, not the service day."""
        now, today = self.local(at).time().replace(microsecond=0), WEEKDAYS[self.local(at).weekday()]
        return any(
            today in window["days"]
            and window["starts"] <= now
            and (
                now < window["ends"]
                or window["ends"] == time(0)
                or (now == window["ends"] and window.get("end_included"))
            )
            for window in self._by("timeframes", "id")[name]["windows"]
        )

    def limit(self, rule: DocumentTable, day: date) -> int:
        """How many rides a limit gives in the period of `day` (T-12)."""
        if rule["kind"] == "trips":
            return int(rule["trips"])
        months = self._by("trip_calendars", "id")[rule["calendar"]]["months"]
        return sum(
            month["days"] * rule["trips_per_day"] for month in months if month["month"] == f"{day:%Y-%m}"
        )

    def inside(self, rule: DocumentTable, ride: OracleRide, unknown: bool = False) -> bool:
        """Whether the ride lies in one of the rule's scopes, if any. `unknown`: what an unknown place counts as."""
        scopes = rule.get("scope") or [{}]
        return any(self._in(scope, ride, unknown) for scope in scopes)

    def _in(self, scope: DocumentTable, ride: OracleRide, unknown: bool) -> bool:
        known = [self.zones[spot.zone] for spot in (ride.start, ride.named) if spot.zone in self.zones]
        marks = [spot.mark_m for spot in (ride.start, ride.named) if spot.mark_m is not None]
        tests: dict[str, Callable[[Any], bool]] = {
            "modes": lambda modes: ride.mode in modes,
            "routes": lambda routes: ride.route in routes,
            "zones": lambda zones: set(known) <= set(zones) if known else unknown,
            "touching": lambda zones: bool(set(known) & set(zones)) if known else unknown,
            "longest_m": lambda most: max(marks) - min(marks) <= most if len(marks) == 2 else unknown,
        }
        return all(tests[name](wanted) for name, wanted in scope.items())

    def located(self, ride: OracleRide) -> tuple[OracleRide, list[OracleSpot]]:
        """The ride from where the vehicle is believed to be, and the one or two places an exit may be at (T-61)."""
        if ride.stated_by != "vehicle":
            return ride, [ride.start]
        if ride.said == "contradicted" or ride.age_s > self.vehicle["stale_s"]:
            return replace(ride, start=OracleSpot()), [OracleSpot()]
        if ride.coming == OracleSpot():
            return ride, [ride.start]
        if ride.said == "estimated" or ride.age_s > self.vehicle["fresh_s"]:
            return ride, [ride.start, ride.coming]
        next_stop = ride.arriving and self.vehicle["between_stops"] == "coming"
        return ride, [ride.coming if next_stop else ride.start]

    def begins_nowhere(self, ride: OracleRide) -> bool:
        """Whether what a checked-in ride keeps of its beginning is not known (T-07)."""
        lacks_zone = "zone" in (self.checkin or {}) and not ride.start.zone
        return lacks_zone or ("mark" in (self.checkin or {}) and ride.start.mark_m is None)

    def from_first_stop(self, ride: OracleRide) -> OracleRide:
        """Where the document takes a ride that begins nowhere known (T-07)."""
        mark_m = ride.first.mark_m if ride.start.mark_m is None else ride.start.mark_m
        moved = replace(ride, start=OracleSpot(ride.start.zone or ride.first.zone, mark_m))
        wanted = self.vehicle["unknown_place"] == "first_stop" and self.begins_nowhere(ride)
        return moved if wanted and not self.begins_nowhere(moved) else ride

    def price(
        self, ride: OracleRide, guess: bool = True, least: bool = False, medium: str = CARD
    ) -> OraclePrice | None:
        """The ordinary fare by card, or in cash, and the base tariff; None where it is not known, never nothing.
        `guess`: an unknown place may be the dearest there is, where the document says so; a ride that is over is not,
        or at the `least`.
        """
        fares: DocumentTable = self.doc["fares"]
        for step in fares.get("steps", []):
            fares = step if step["valid_from"] <= self.day(ride.at) else fares
        rule = next((rule for rule in fares.get("rules", []) if self._falls_under(rule, ride)), None)
        named = (rule or {}).get("transfer", self.doc["fares"].get("transfer"))
        opens = None if named == "none" else named
        if rule is None or rule["kind"] == "flat":
            by_medium = fares.get("by_medium") if rule is None else rule["by_medium"]
            base = fares["base_minor"] if rule is None else rule.get("base_minor", fares["base_minor"])
            fare = (by_medium or {}).get(medium)
            return None if fare is None else OraclePrice(Fraction(fare), Fraction(base), opens)
        by_kind = self._by_zones if rule["kind"] == "zone_table" else self._by_distance
        sums = by_kind(rule, ride, guess and self.dearest, least, medium)
        return None if sums is None else OraclePrice(sums[0], sums[1], opens)

    def ticket_price(self, ride: OracleRide, ticket: str) -> int | None:
        """What a ticket costs in cash (T-53, T-55); None where it is not sold, or its fare not known."""
        rules: DocumentTable = self.doc.get("cash", {})
        if ticket == "luggage":
            return rules.get("luggage_minor")
        price = self.price(self.located(ride)[0], medium=CASH)
        if price is None or (ticket == "child" and "child_percent" not in rules):
            return None
        fare = kopecks(price.ordinary)
        return fare if ticket == "full" else max(1, kopecks(Fraction(fare * rules["child_percent"], 100)))

    def _falls_under(self, rule: DocumentTable, ride: OracleRide) -> bool:
        return (
            ride.mode in (rule.get("modes") or [ride.mode])
            and ride.route in (rule.get("routes") or [ride.route])
            and ("when" not in rule or self._in_timeframe(rule["when"], ride.at))
            and not ("except_when" in rule and self._in_timeframe(rule["except_when"], ride.at))
        )

    def _by_zones(
        self, rule: DocumentTable, ride: OracleRide, guess: bool, least: bool, medium: str
    ) -> list[Fraction] | None:
        names, end = rule["zones"], ride.named.zone or (ride.terminus.zone if guess else 0)
        rows, columns = (
            [i for i, n in enumerate(names) if n == self.zones.get(z)] for z in (ride.start.zone, end)
        )
        if not (guess or least) and not (rows and columns):
            return None
        cells = [(r, c) for r in rows or range(len(names)) for c in columns or range(len(names))]
        one = min if least else max
        return [Fraction(one(rule["by_medium"][m][r][c] for r, c in cells)) for m in (medium, rule["base"])]

    def _by_distance(
        self, rule: DocumentTable, ride: OracleRide, guess: bool, least: bool, medium: str
    ) -> list[Fraction] | None:
        start, end = ride.start.mark_m, ride.named.mark_m
        start = ride.first.mark_m if start is None and guess else start
        end = ride.terminus.mark_m if end is None and guess else end
        if not (guess or least) and (start is None or end is None):
            return None
        unknown = 0 if least else rule["longest_m"]
        beyond = unknown if start is None or end is None else min(abs(end - start), rule["longest_m"])
        return [rule["first"][m] + Fraction(rule["per_km"][m] * beyond, 1000) for m in (medium, rule["base"])]

    def number(self, rule: DocumentTable, ride: OracleRide) -> int:
        """Under which number a return keeps a ride as an outward one; 0: it is none (T-39)."""
        if rule.get("routes") and ride.route not in rule["routes"]:
            return 0
        if rule["kind"] == "opposite_direction":
            return 2 * ride.route + ride.direction
        ends = [self.zones.get(spot.zone) for spot in (ride.start, ride.named)]
        return 1 if ends == rule["zones"] else 2 if ends[::-1] == rule["zones"] else 0

    def return_price(self, rule: DocumentTable, price: OraclePrice) -> int:
        """From the ordinary fare, rounded once."""
        fare = kopecks(price.ordinary)
        if "percent_off" in rule:
            return kopecks(Fraction(fare * (100 - rule["percent_off"]), 100))
        if "price_minor" in rule:
            return min(fare, int(rule["price_minor"]))
        return fare - int(rule["amount_off_minor"])

    def concession_price(self, rule: DocumentTable, price: OraclePrice | None) -> Fraction:
        """T-02 to T-05; never more than the ordinary fare. Only what follows from the fare needs to know it."""
        fare: DocumentTable = rule.get("fare", {"kind": "unknown"})
        if fare["kind"] in ("free", "fixed_price"):
            wanted = Fraction(fare.get("price_minor", 0))
            return wanted if price is None else min(wanted, price.ordinary)
        if price is None or fare["kind"] == "unknown":
            raise UnknownPrice
        if fare["kind"] == "percent_of_base":
            return min(price.base * int(fare["pays_percent"]) / 100, price.ordinary)
        return max(Fraction(0), price.ordinary - int(fare["amount_minor"]))
