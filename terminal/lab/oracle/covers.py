"""Which right covers a ride and what that costs, by docs/rules.md (T-01 to T-39)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Final

from terminal.lab.oracle import card as cards
from terminal.lab.oracle.card import (
    OracleCard,
    OracleRight,
    OracleTap,
    Values,
)
from terminal.lab.oracle.tariff import CARD, DocumentTable, OracleRide, Tariff, UnknownPrice, kopecks, replace

KINDS_OF_RETURN: Final = ("opposite_direction", "zone_pair")
KNOWN: Final = {False: KINDS_OF_RETURN, True: KINDS_OF_RETURN[:1]}
"""Which returns can be judged when boarding, by whether riders check in."""
KINDS: Final = {"trip_pack": "pack", "plan": "plan", "pass": "pass", "timed_pass": "pass"}


@dataclass(frozen=True)
class Coverage:
    """The right that covers a ride. `covers`: companions on the holder's terms; `rule`: the concession's own."""

    right: str
    paid_by: str
    message: str = ""
    own: Fraction = Fraction(0)
    values: Values = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    opens: str | None = None
    covers: int = 0
    rule: DocumentTable = field(default_factory=dict)
    full: int | None = None
    back: DocumentTable | None = None

    @property
    def by_fare(self) -> bool:
        """Whether it follows from how far they go; `full` is a top-up's own price, `back` the return of a way back."""
        return self.right in ("purse", "concession") or self.full is not None

    @property
    def says(self) -> frozenset[str]:
        topped_up = f"t-38:{'top_up' if kopecks(self.own) else 'free_transfer'}"
        return frozenset(
            ({topped_up} if self.full is not None else set()) | ({"t-39:way_back"} if self.back else set())
        )


class OracleCovers:
    """What a ride is decided by, and each right's answer. The card as it was is `old`, in today's periods `card`."""

    def __init__(self, tariff: Tariff, old: OracleCard, card: OracleCard, tap: OracleTap) -> None:
        self.tariff, self.old, self.card, self.tap = tariff, old, card, tap
        ride, self.exits = tariff.located(tap.ride)
        self.today, age = tariff.day(tap.at), cards.elapsed_s(tariff, old, tap)
        self.age = float("inf") if age is None else age
        self.lapse = (0, "")
        self.checkin = tariff.checkin if card.readable else None
        self.checks_in = self.checkin is not None and tariff.inside(self.checkin, ride)
        self.ride = replace(ride, named=ride.terminus) if self.checks_in else ride
        refuses = tariff.vehicle["unknown_place"] == "refuse" and tariff.begins_nowhere(ride)
        if self.checks_in and tariff.price(self.ride, guess=False) is None:
            self.ride = tariff.from_first_stop(self.ride)
            self.price = None if refuses else tariff.price(self.ride)
        else:
            self.price = tariff.price(self.ride)
        self.rode = old.kind in ("ride", "check_in", "check_out")
        self.same_route = old.route == self.ride.route
        self.same_way = self.same_route and old.direction == self.ride.direction
        opens: str | None = tariff.doc["fares"].get("transfer")
        self.fares_transfer = opens if self.price is None else self.price.opens

    def _otherwise(self, right: str) -> int | None:
        """What the purse would pay by the rights after `right`."""
        lapse, later = self.lapse, self.tariff.rights[self.tariff.rights.index(right) + 1 :]
        uses = (self._covered_by(name) for name in later if name in ("concession", "plan"))
        use = next((use for use in uses if use is not None), None)
        self.lapse = lapse
        if use is not None:
            return kopecks(use.own)
        return None if self.price is None else self._ordinary()

    def _back_by(self, ride: OracleRide, at: datetime, kinds: tuple[str, ...]) -> DocumentTable | None:
        """The return that the ride, begun `at`, is the way back of."""
        for rule in self.tariff.returns if self.card.readable else []:
            number = self.tariff.number(rule, ride)
            opposite = number ^ 1 if rule["kind"] == "opposite_direction" else 3 - number
            there = number and self.card.count(rule["outward"]) == opposite and rule["kind"] in kinds
            if there and cards.is_open(self.tariff, self.card, rule, at):
                return rule
        return None

    def _paid_to(self) -> OracleRide:
        """The ride as far as its fare is charged when boarding."""
        named, end = self.ride.named, self.ride.terminus
        to_end = self.tariff.dearest and not named.zone and not self.checks_in
        return replace(self.ride, named=replace(named, zone=end.zone)) if to_end else self.ride

    def _way_back(self) -> Coverage | None:
        """T-39, as far as it is known when boarding."""
        rule = self._back_by(self._paid_to(), self.tap.at, KNOWN[self.checks_in])
        if rule is None or self.price is None:
            return None
        own, other = self.tariff.return_price(rule, self.price), self._otherwise("return")
        if other is not None and other < own:
            return None
        message = self.lapse[1] or "ok_paid"
        return Coverage("purse", "purse", message, Fraction(own), opens=self.fares_transfer, back=rule)

    def _ordinary(self) -> int:
        if self.price is None:
            raise UnknownPrice
        return kopecks(self.price.ordinary)

    def _covered_by(self, right: str) -> Coverage | None:
        if right in KINDS.values():
            return next(filter(None, (self._contract(right, slot) for slot in "ab")), None)
        if right in ("transfer", "return"):
            return self._transfer() if right == "transfer" else self._way_back()
        if right == "concession":
            return min(self._concessions(), key=lambda use: use.own, default=None)
        own, message = Fraction(self._ordinary()), self.lapse[1] or "ok_paid"
        return Coverage("purse", "purse", message, own, opens=self.fares_transfer)

    def _lapsed(self, message: str, rank: int = 0) -> None:
        """T-13, of several rights that lapsed: of a contract (rank 2) the last tried, else of a concession that is used
        up or whose count cannot be read (1), else of the first that sleeps."""
        if not self.lapse[1] or rank > self.lapse[0] or rank == self.lapse[0] == 2:
            self.lapse = (rank, message)

    def _contract(self, right: str, letter: str) -> Coverage | None:
        bought, use = self.card.bought["ab".index(letter)], Coverage(right, f"contract_{letter}")
        product = self.tariff.products.get(bought.code, {}) if bought is not None else {}
        if bought is None or KINDS.get(product.get("kind", "")) != right:
            return None
        slot, timed = self.tariff.contract_slots["ab".index(letter)], product["kind"] == "timed_pass"
        if not self.tariff.inside(product, self.ride) or not (timed or bought.holds(self.today)):
            return None
        if right == "plan":
            own, opens = Fraction(product["fare_minor"]), product.get("transfer")
            return replace(use, message="ok_paid", own=own, opens=opens)
        if right == "pack":
            return self._pack(use, bought, product, slot)
        last, starts = self._started(bought, product, slot) if timed else (bought.last, {})
        if last is None:
            return None
        limits = self._within_limits(product, "pass_used_up", 2)
        counts = {**limits[0], **starts} if limits else {}
        return limits and replace(use, message="ok_pass", values={"date": last.isoformat()}, counts=counts)

    def _started(
        self, bought: OracleRight, product: DocumentTable, slot: str
    ) -> tuple[date | None, dict[str, int]]:
        """A pass from its first ride on: its last day, None where it does not hold, and what a first ride counts. The
        slot's counter has the minute of that ride since the contract's first midnight, rounded up; 0: none yet."""
        midnight = datetime.combine(bought.first, time(0), self.tariff.zone).astimezone(UTC)
        begun, at = self.card.count(slot), self.tap.at.astimezone(UTC)
        new = -(-int((at - midnight).total_seconds()) // 60) + 1
        ends = midnight + timedelta(minutes=(begun or new) - 1, seconds=product["length_s"])
        opens = bought.holds(self.today) and new <= self.tariff.most(slot)
        if not self.card.readable or not (begun or opens) or at > ends:
            return None, {}
        return self.tariff.local(ends).date(), {} if begun else {slot: new}

    def _pack(self, use: Coverage, bought: OracleRight, product: DocumentTable, slot: str) -> Coverage | None:
        """T-10, T-11: trips that lapse monthly are those of the month of the contract's first day."""
        months = [(day.year, day.month) for day in (bought.first, self.today)]
        left = min(bought.number, product.get("most_trips", product["trips"])) - self.card.count(slot)
        lapsed = product["lapses"] == "monthly" and months[0] < months[1]
        if lapsed or left <= 0 or not self.card.readable:
            why = "pack_used_up" if self.card.readable else "count_unreadable"
            self._lapsed("pack_lapsed" if lapsed else why, 2)
            return None
        return replace(use, message="ok_pack", values={"n": left - 1}, counts={slot: 1})

    def _transfer(self) -> Coverage | None:
        """T-30 to T-33: the next ride of the open journey, by the rule that opened it."""
        journey, mode = self.card.journey, self.ride.mode
        if journey is None:
            return None
        rule = self.tariff.transfers[journey.rule]
        follows = CARD in rule["media"] and mode in (rule.get("modes") or [mode])
        left = rule["transfers"] == "unlimited" or journey.followed < rule["transfers"]
        new_trip = self.same_way and rule.get("same_route", "new_trip") == "new_trip"
        entered = mode in rule.get("once", ()) and (
            self.card.count(rule["counter"]) or not self.card.readable
        )
        if not follows or not left or new_trip or entered:
            return None
        age_s = 0 if rule.get("counted_from") == "previous_ride" else journey.age_s
        ends = self.tariff.local(self.tap.at + timedelta(seconds=rule["window_s"] - age_s))
        values = {"time": f"{ends:%H:%M}"}
        if "paid" in rule:
            full = self._otherwise("transfer") if self.card.readable else None
            if full is None:
                return None
            own = Fraction(max(0, full - self.card.count(rule["paid"])))
            message = "ok_paid" if own else "ok_transfer"
            return Coverage("transfer", "transfer", message, own, values, full=full)
        own, lapse = Fraction(rule.get("price_minor", 0)), self.lapse
        others = [use.own for use in self._concessions()] + ([self.price.ordinary] if self.price else [])
        self.lapse = lapse
        if min(others, default=own) < own:
            return None
        message = "ok_paid" if rule["kind"] == "reduced_window" else "ok_transfer"
        return Coverage("transfer", "transfer", message, own, values)

    def _concessions(self) -> Iterator[Coverage]:
        """Those that hold, by slot (T-02 to T-20); with data too old none does (O-03)."""
        for letter, grant in zip("abc", self.card.grants, strict=True):
            rule = self.tariff.concessions.get(grant.code, {}) if grant is not None else {}
            if grant is None or "fare" not in rule:
                continue
            if max(self.tap.lists_age_s) > self.tariff.ages["stale_h"] * 3600:
                self._lapsed("benefit_not_checked")
            elif self.today > grant.last:
                self._lapsed("benefit_expired")
            elif self.today >= grant.first and self.tariff.inside(rule, self.ride):
                use = self._granted(letter, rule)
                yield from () if use is None else (use,)

    def _granted(self, letter: str, rule: DocumentTable) -> Coverage | None:
        if not self.tariff.in_season(rule.get("season"), self.today):
            self._lapsed("benefit_out_of_season")
            return None
        limits = self._within_limits(rule, "limit_reached", 1)
        try:
            own = self.tariff.concession_price(rule, self.price)
        except UnknownPrice:
            return None
        if limits is None:
            return None
        counts, left = limits
        message, values = ("ok_benefit_unlimited", {}) if left is None else ("ok_benefit", {"n": left - 1})
        opens = self.fares_transfer if own else None
        covers = min(self.tap.companions, companions(rule)) if self.card.readable else 0
        return Coverage(
            "concession", f"concession_{letter}", message, own, values, counts, opens, covers, rule
        )

    def _within_limits(
        self, rule: DocumentTable, why: str, rank: int
    ) -> tuple[dict[str, int], int | None] | None:
        """What a ride counts under a right's limits (it may lie in their area, T-19), and the rides left before it."""
        limits = [x for x in rule.get("limits", []) if self.tariff.inside(x, self.ride, unknown=True)]
        left = [self.tariff.limit(x, self.today) - self.card.count(x["counter"]) for x in limits]
        if limits and (min(left) <= 0 or not self.card.readable):
            self._lapsed(why if self.card.readable else "count_unreadable", rank)
            return None
        return {limit["counter"]: 1 for limit in limits}, min(left, default=None)

    def _caps(self, use: Coverage) -> list[DocumentTable]:
        """The caps the ride falls under: all that is paid from the purse, or the rides on some concessions."""
        caps = self.tariff.doc.get("caps", []) if self.card.readable and use.own else []
        codes = [cap.get("concessions") or [use.rule.get("code")] for cap in caps]
        ours = [cap for cap, listed in zip(caps, codes, strict=True) if use.rule.get("code") in listed]
        return [cap for cap in ours if self.tariff.inside(cap, self.ride)]

    def _level(self, cap: DocumentTable) -> int:
        here = (i for i, tier in enumerate(cap["tiers"]) if self.tariff.inside(tier, self.ride))
        return max(next(here, 0), self.card.count(cap.get("level", "")))

    def _due(self, use: Coverage, sum_: int) -> int:
        """What of the sum the caps leave."""
        for cap in self._caps(use):
            if "trips" in cap:
                sum_ = 0 if self.card.count(cap["counter"]) >= cap["trips"] else sum_
            else:
                left = cap["tiers"][self._level(cap)]["amount_minor"] - self.card.count(cap["spent"])
                sum_ = min(sum_, max(0, left))
        return sum_


def companions(rule: DocumentTable) -> int:
    """How many persons a concession takes along."""
    return int(rule.get("companions", {"most": 0})["most"])
