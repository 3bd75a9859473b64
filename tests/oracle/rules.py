"""What a tap comes to, by docs/rules.md and "Deciding a ride" of docs/tariff-author.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction

from tests.oracle import canteen
from tests.oracle.card import (
    MOST_INSIDE,
    MOST_TRANSFERS,
    RIDES,
    Answer,
    Bought,
    Card,
    Grant,
    Journey,
    Tap,
    counted,
    elapsed_s,
    on_day,
    refused,
    written,
)
from tests.oracle.tariff import CARD, FareUnknown, Ride, Spot, Table, Tariff, kopecks

import os

USED_UP = ("pack_used_up", "pass_used_up", "limit_reached", "count_unreadable")
LEVEL = os.environ.get("LEVEL")
PASSES = ("pass", "timed_pass")
Values = Mapping[str, int | str]


@dataclass(frozen=True)
class Use:
    """The right that covers a ride: what the holder pays, what it counts, and the journey after it."""

    right: str
    paid_by: str
    message: str
    own: Fraction = Fraction(0)
    values: Values = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    opens: str | None = None
    transfer: bool = False
    covers: int = 0
    """Companions who ride on the holder's terms."""
    concession: Grant | None = None


def decide(tariff: Tariff, card: Card, tap: Tap) -> Answer:
    """One tap; the answer holds the card as it is afterwards."""
    if tap.inspection and tap.reader_ok:
        return _inspect(tariff, card, tap)
    answer = _before_any_rule(tariff, card, tap)
    if answer is not None:
        return answer
    now, flags = on_day(tariff, card, tap)
    if tap.profile == "canteen":
        answer = canteen.decide(tariff, card, now, tap)
    else:
        try:
            answer = Bus(tariff, card, now, tap).decide()
        except FareUnknown:
            answer = refused(card, "fare_unknown")
    return replace(answer, flags=answer.flags | flags) if answer.written else answer


def _before_any_rule(tariff: Tariff, card: Card, tap: Tap) -> Answer | None:
    today = tariff.day(tap.at)
    checks = (
        ("out_of_order", not tap.reader_ok),
        ("shift_closed", not tap.shift_open),
        ("clock_unconfirmed", tap.profile == "bus" and tap.clock.suspect and not tap.clock.confirmed),
        ("blocked", card.blocked),
        ("medium_inactive", card.inactive),
        ("not_yet_valid", today < card.first),
        ("expired", today > card.last),
        ("other_region", card.region != tariff.doc["header"]["region"]),
    )
    return next((refused(card, message) for message, fails in checks if fails), None)


def _inspect(tariff: Tariff, card: Card, tap: Tap) -> Answer:
    """T-70: paid on this vehicle lately, or still inside; nothing is written."""
    age = elapsed_s(tariff, card, tap)
    here = (card.route, card.direction) == (tap.ride.route, tap.ride.direction)
    rode = card.inside > 0 or card.kind in ("ride", "check_in")
    paid = here and rode and age is not None and age <= tariff.inspection_s
    if not paid:
        return refused(card, "inspection_unpaid")
    return Answer("inside", "inspection_paid", card, values={"time": f"{tariff.local(card.at):%H:%M}"})


class Bus:
    """A ride with everything it is decided by: the card as it was (`old`) and in today's periods (`card`)."""

    def __init__(self, tariff: Tariff, old: Card, card: Card, tap: Tap) -> None:
        self.tariff, self.old, self.card, self.tap = tariff, old, card, tap
        self.ride, self.today = tap.ride, tariff.day(tap.at)
        self.age = elapsed_s(tariff, old, tap)
        self.lapse: str | None = None
        self.price = tariff.price(tap.ride)
        self.checks_in = tariff.checkin is not None and card.readable and self._in_checkin_scope(self.ride)
        self.forgotten = card.held

    def _ordinary(self) -> Fraction:
        if self.price is None:
            raise FareUnknown
        return self.price.ordinary

    def _in_checkin_scope(self, ride: Ride) -> bool:
        assert self.tariff.checkin is not None
        return self.tariff.inside(self.tariff.checkin["scope"], ride)

    def decide(self) -> Answer:
        """The steps of "Deciding a ride", in order."""
        if self._in_debt():
            return refused(self.old, "debt")
        guarded = self._already_paid()
        if guarded is not None:
            return guarded
        if self._leaves():
            return self._check_out()
        companion = self._second_tap_of_companion()
        if companion is not None:
            return companion
        if self.checks_in:
            if self.tap.companions + 1 > MOST_INSIDE:
                return refused(self.old, "too_many_persons")
            self.ride = replace(self.ride, named=self.ride.terminus)
        self.price = self.tariff.price(self.ride)
        for right in self.tariff.rights:
            use = self._covered_by(right)
            if use is not None:
                return self._board(use)
        return refused(self.old, "no_funds")

    # ------------------------------------------------------------ already paid (T-35, K-03, T-36)

    def _already_paid(self) -> Answer | None:
        old, tap, tariff = self.old, self.tap, self.tariff
        if old.kind not in RIDES or self.age is None:
            return None
        same_route = old.route == tap.ride.route
        if old.terminal == tap.terminal:
            if self.age <= tariff.repeat_s:
                return Answer("let_in", "already_paid", old)
        elif same_route and self.age <= tariff.retap_s:
            return Answer("let_in", "already_paid", old)
        guarded = same_route and self.age <= tariff.passback_s
        if guarded and not self._leaves() and self._may_ride_again() is None:
            right = self._right_of(old.paid_by)
            if right in tariff.passback_rights:
                return Answer("inside", "already_paid", old)
        return None

    def _right_of(self, paid_by: str) -> str:
        if not paid_by.startswith("contract"):
            return paid_by.split("_")[0]
        bought = self.old.bought["ab".index(paid_by[-1])]
        if bought is None or bought.product not in self.tariff.products:
            return "nothing"
        kind = self.tariff.products[bought.product]["kind"]
        return {"trip_pack": "pack", "plan": "plan"}.get(kind, "pass")

    def _may_ride_again(self) -> tuple[Grant, Table] | None:
        """T-20: the concession of the newest ride, where it takes a further companion by a tap of his own."""
        old = self.old
        if old.kind != "ride" or not old.paid_by.startswith("concession") or not self.card.readable:
            return None
        grant = old.grants["abc".index(old.paid_by[-1])]
        rule = None if grant is None else self.tariff.concessions.get(grant.code)
        if grant is None or rule is None or "companions" not in rule or self.checks_in:
            return None
        within = self.age is not None and self.age <= self.tariff.passback_s
        same = (old.route, old.direction) == (self.ride.route, self.ride.direction)
        left = self.card.count(rule["companions"]["counter"]) < rule["companions"]["most"]
        return (grant, rule) if within and same and left else None

    def _second_tap_of_companion(self) -> Answer | None:
        again = self._may_ride_again()
        if again is None:
            return None
        grant, rule = again
        counter, persons = rule["companions"]["counter"], 1 + self.tap.companions
        covered = min(persons, rule["companions"]["most"] - self.card.count(counter)) if not LEVEL else 1
        own = self.tariff.concession_price(rule, self.price)
        use = Use("concession", self.old.paid_by, "", own, concession=grant)
        sum_, card = self._capped(use, covered * kopecks(own))
        if persons > covered:
            sum_ += (persons - covered) * kopecks(self._ordinary())
        if self.card.money - self.card.held < sum_:
            return refused(self.old, "no_funds")
        n = self._left(rule, ridden=0)
        message, values = ("ok_benefit", {"n": n}) if n is not None else ("ok_benefit_unlimited", {})
        return self._write(counted(card, **{counter: covered}), "ride", message, sum_, values)

    def _in_debt(self) -> bool:
        grace = self.tariff.grace
        return (
            grace is not None and self.card.readable and self.card.count(grace["counter"]) >= grace["trips"]
        )

    # ------------------------------------------------------------ which right covers the ride (K-02)

    def _covered_by(self, right: str) -> Use | None:
        if right in ("pass", "pack", "plan"):
            return next(filter(None, (self._contract(right, i) for i in (0, 1))), None)
        if right == "transfer":
            return self._transfer()
        if right == "concession":
            return self._concession()
        message = self.lapse or "ok_paid"
        return Use("purse", "purse", message, self._ordinary(), opens=self._fares_transfer())

    def _fares_transfer(self) -> str | None:
        opens: str | None = self.tariff.doc["fares"].get("transfer")
        return opens

    def _lapsed(self, message: str) -> None:
        """A right that is used up is named before one that sleeps, and among these the first."""

        def rank(name: str | None) -> int:
            return USED_UP.index(name) if name in USED_UP else len(USED_UP)

        if self.lapse is None or rank(message) < rank(self.lapse):
            self.lapse = message

    def _contract(self, right: str, index: int) -> Use | None:
        bought = self.card.bought[index]
        product = None if bought is None else self.tariff.products.get(bought.product)
        kinds = {"pass": PASSES, "pack": ("trip_pack",), "plan": ("plan",)}[right]
        if bought is None or product is None or product["kind"] not in kinds:
            return None
        if not self.tariff.inside(product.get("scope"), self.ride):
            return None
        paid_by, slot = f"contract_{'ab'[index]}", self.tariff.contract_slots[index]
        if product["kind"] == "timed_pass":
            return self._timed_pass(bought, product, paid_by, slot)
        if not bought.first <= self.today <= bought.last:
            return None
        if product["kind"] == "plan":
            fare = Fraction(product["fare_minor"])
            return Use("plan", paid_by, "ok_paid", fare, opens=product.get("transfer"))
        if product["kind"] == "trip_pack":
            return self._pack(bought, product, paid_by, slot)
        counts = self._within_limits(product, "pass_used_up")
        if counts is None:
            return None
        return Use("pass", paid_by, "ok_pass", values={"date": bought.last.isoformat()}, counts=counts)

    def _pack(self, bought: Bought, product: Table, paid_by: str, slot: str) -> Use | None:
        if not self.card.readable:
            return self._lapsed("count_unreadable")
        given = min(bought.trips, product.get("most_trips", product["trips"]))
        month = self.tariff.period("service_month", self.card.period)
        if product["lapses"] == "monthly" and month != self.tariff.period("service_month", bought.first):
            given = 0
        left = given - self.card.count(slot)
        if left <= 0:
            return self._lapsed("pack_used_up")
        return Use("pack", paid_by, "ok_pack", values={"n": left - 1}, counts={slot: 1})

    def _timed_pass(self, bought: Bought, product: Table, paid_by: str, slot: str) -> Use | None:
        return None  # no document here sells one

    def _transfer(self) -> Use | None:
        """T-30 to T-33: the next ride of the open journey, by the rule that opened it."""
        journey = self.card.journey
        rule = None if journey is None else self.tariff.transfers[journey.rule]
        if journey is None or rule is None or CARD not in rule["media"]:
            return None
        if rule.get("modes") and self.ride.mode not in rule["modes"]:
            return None
        if journey.age_s > rule["window_s"]:
            return None
        if rule["transfers"] != "unlimited" and journey.followed >= rule["transfers"]:
            return None
        same = (self.old.route, self.old.direction) == (self.ride.route, self.ride.direction)
        if same and rule.get("same_route", "new_trip") == "new_trip":
            return None
        if rule["kind"] == "mixed_window":
            if self.ride.mode in rule["once"] and (
                not self.card.readable or self.card.count(rule["counter"])
            ):
                return None
        age = 0 if rule.get("counted_from") == "previous_ride" else journey.age_s
        ends = self.tap.at + timedelta(seconds=rule["window_s"] - age)
        values: Values = {"time": f"{self.tariff.local(ends):%H:%M}"}
        if rule["kind"] != "reduced_window":
            return Use("transfer", "transfer", "ok_transfer", values=values, transfer=True)
        reduced = Fraction(rule["price_minor"])
        if self.price is not None and self._cheapest_otherwise() < reduced:
            return None
        return Use("transfer", "transfer", "ok_paid", reduced, values, transfer=True)

    def _cheapest_otherwise(self) -> Fraction:
        before, (use, self.lapse) = self.lapse, (self._concession(), self.lapse)
        self.lapse = before
        return self._ordinary() if use is None else min(self._ordinary(), use.own)

    def _concession(self) -> Use | None:
        """The cheapest of those that hold, the first slot where prices are equal (T5)."""
        uses = [use for use in self._concessions() if use is not None]
        return min(uses, key=lambda use: use.own, default=None)

    def _concessions(self) -> Iterator[Use | None]:
        if self.tap.data_age_s > self.tariff.stale_s:
            if any(
                "fare" in self.tariff.concessions.get(g.code, ()) for g in self.card.grants if g is not None
            ):
                self._lapsed("benefit_not_checked")
            return
        for letter, grant in zip("abc", self.card.grants, strict=True):
            rule = None if grant is None else self.tariff.concessions.get(grant.code)
            if grant is None or rule is None or "fare" not in rule:
                continue
            yield self._granted(grant, rule, letter)

    def _granted(self, grant: Grant, rule: Table, letter: str) -> Use | None:
        if self.today < grant.first:
            return None
        if self.today > grant.last:
            return self._lapsed("benefit_expired")
        if not self.tariff.inside(rule.get("scope"), self.ride):
            return None
        if not self.tariff.in_season(rule.get("season"), self.today):
            return self._lapsed("benefit_out_of_season")
        counts = self._within_limits(rule, "limit_reached")
        if counts is None:
            return None
        n = self._left(rule, ridden=1)
        message, values = ("ok_benefit", {"n": n}) if n is not None else ("ok_benefit_unlimited", {})
        try:
            own = self.tariff.concession_price(rule, self.price)
        except FareUnknown:
            return None
        opens = self._fares_transfer() if own else None
        covers = 0
        if "companions" in rule and self.card.readable:
            covers = min(self.tap.companions, rule["companions"]["most"])
        return Use(
            "concession",
            f"concession_{letter}",
            message,
            own,
            dict(values),
            counts,
            opens,
            covers=covers,
            concession=grant,
        )

    def _limits(self, rule: Table) -> list[Table]:
        """The limits this ride counts on: one that may lie in the area counts (T-19)."""
        return [
            limit
            for limit in rule.get("limits", [])
            if self.tariff.inside(limit.get("scope"), self.ride, True)
        ]

    def _within_limits(self, rule: Table, message: str) -> dict[str, int] | None:
        limits = self._limits(rule)
        if limits and not self.card.readable:
            return self._lapsed("count_unreadable")
        if any(self.card.count(x["counter"]) >= self.tariff.limit(x, self.card.period) for x in limits):
            return self._lapsed(message)
        return {limit["counter"]: 1 for limit in limits}

    def _left(self, rule: Table, ridden: int) -> int | None:
        """Rides left after this one under the tightest limit; None: there is none."""
        left = (
            self.tariff.limit(x, self.card.period) - self.card.count(x["counter"]) - ridden
            for x in self._limits(rule)
        )
        return min(left, default=None)

    # ------------------------------------------------------------ money (CAP, T-34, T-18) and the ride itself

    def _board(self, use: Use) -> Answer:
        if self.checks_in:
            return self._check_in(use)
        own, card = self._capped(use, kopecks(use.own) * (1 + use.covers))
        others = self.tap.companions - use.covers
        sum_ = own + (others * kopecks(self._ordinary()) if others else 0)
        if sum_ > self.card.money - self.card.held:
            return self._on_credit(use, others) or refused(self.old, "no_funds")
        card = self._ridden(use, card)
        if LEVEL and card.readable:
            for cap in self.tariff.caps:
                if "level" in cap:
                    card = replace(card, used={**card.used, cap["level"]: self._level(cap)})
        return self._write(
            replace(card, held=0, inside=0),
            "ride",
            use.message,
            sum_ + self.card.held,
            use.values,
            use.paid_by,
        )

    def _ridden(self, use: Use, card: Card) -> Card:
        """What the ride counts, and the journey after it."""
        counts = dict(use.counts)
        if use.concession is not None and "companions" in self.tariff.concessions[use.concession.code]:
            counter = self.tariff.concessions[use.concession.code]["companions"]["counter"]
            card = replace(card, used={**card.used, counter: use.covers})
        journey = self._journey(use, card)
        if use.opens is not None:
            rule = self.tariff.transfers[use.opens]
            if rule["kind"] == "mixed_window":
                card = replace(card, used={**card.used, rule["counter"]: 0})
        rule_id = None if journey is None else journey.rule
        if (use.transfer or use.opens) and rule_id is not None:
            rule = self.tariff.transfers[rule_id]
            if rule["kind"] == "mixed_window" and self.ride.mode in rule["once"]:
                counts[rule["counter"]] = 1
        return counted(replace(card, journey=journey), **counts)

    def _journey(self, use: Use, card: Card) -> Journey | None:
        if use.transfer:
            assert card.journey is not None
            assert card.journey.rule is not None
            rule = self.tariff.transfers[card.journey.rule]
            age = 0 if rule.get("counted_from") == "previous_ride" else card.journey.age_s
            return Journey(age, min(card.journey.followed + 1, MOST_TRANSFERS), card.journey.rule)
        if use.opens is not None:
            return Journey(0, 0, use.opens)
        return card.journey

    def _capped(self, use: Use, sum_: int) -> tuple[int, Card]:
        card = self.card
        if not card.readable:
            return sum_, card
        caps = [cap for cap in self.tariff.caps if self._falls_under(cap, use)]
        for cap in caps:
            if "trips" in cap:
                sum_ = 0 if card.count(cap["counter"]) >= cap["trips"] else sum_
            else:
                sum_ = min(sum_, max(0, self._ceiling(cap) - card.count(cap["spent"])))
        for cap in caps:
            if "trips" in cap:
                card = counted(card, **{cap["counter"]: int(sum_ > 0)})
            else:
                card = counted(card, **{cap["spent"]: sum_})
                if "level" in cap:
                    card = replace(card, used={**card.used, cap["level"]: self._level(cap)})
        return sum_, card

    def _falls_under(self, cap: Table, use: Use) -> bool:
        codes = cap.get("concessions")
        if use.right not in ("purse", "concession", "plan") and not use.transfer:
            return False
        if codes:
            return use.concession is not None and use.concession.code in codes
        return self.tariff.inside(cap.get("scope"), self.ride)

    def _level(self, cap: Table) -> int:
        tiers: list[Table] = cap["tiers"]
        here = next(
            (i for i, tier in enumerate(tiers) if self.tariff.inside(tier.get("scope"), self.ride)), 0
        )
        return max(here, self.card.count(cap["level"]) if "level" in cap else 0)

    def _ceiling(self, cap: Table) -> int:
        return int(cap["tiers"][self._level(cap)]["amount_minor"])

    def _on_credit(self, use: Use, others: int) -> Answer | None:
        """T-18: in season, for these concessions, a few times."""
        grace = self.tariff.grace
        if grace is None or others or not self.card.readable or not self._grace_holds(grace):
            return None
        left = grace["trips"] - self.card.count(grace["counter"]) - 1
        card = counted(self.card, **{grace["counter"]: 1})
        return self._write(card, "ride", "ok_grace", 0, {"n": left}, "grace")

    def _grace_holds(self, grace: Table) -> bool:
        held = any(
            g is not None and g.code in grace["concessions"] and g.first <= self.today <= g.last
            for g in self.card.grants
        )
        return (
            held
            and self.tariff.in_season(grace["season"], self.today)
            and self.tariff.inside(grace["scope"], self.ride)
        )

    # ------------------------------------------------------------ check-in and check-out (T-07)

    def _leaves(self) -> bool:
        checkin, old = self.tariff.checkin, self.old
        if checkin is None or not old.inside or not self.card.readable:
            return False
        same = (old.route, old.direction) == (self.ride.route, self.ride.direction)
        age = (self.tap.at - old.at).total_seconds()
        return same and 0 <= age <= checkin["longest_s"]

    def _check_in(self, use: Use) -> Answer:
        """What follows from the fare is held to the terminus, what does not is charged at once; all are inside."""
        by_fare = use.right in ("purse", "concession")
        own, _ = self._capped(use, kopecks(use.own) * (1 + use.covers))
        others = (self.tap.companions - use.covers) * kopecks(self._ordinary())
        hold, sum_ = (own + others, 0) if by_fare else (others, own)
        assert self.tariff.checkin is not None
        if hold > self.tariff.most(self.tariff.checkin["reserve"]):
            return refused(self.old, "too_many_persons")
        if hold + sum_ > self.card.money - self.card.held:
            return self._on_credit(use, self.tap.companions - use.covers) or refused(self.old, "no_funds")
        card = self.card if by_fare else self._capped(use, kopecks(use.own))[1]
        start = self.ride.start
        mark = None if start.mark_m is None else start.mark_m // 100 * 100
        card = replace(
            self._ridden(use, card), held=hold, inside=1 + self.tap.companions, boarded=Spot(start.zone, mark)
        )
        return self._write(card, "check_in", "ok_checkin", sum_ + self.card.held, {}, use.paid_by)

    def _check_out(self) -> Answer:
        """The ride itself, never more than was held; the counters are those of the day it began on."""
        began = Ride(
            self.old.at,
            self.ride.mode,
            self.ride.route,
            self.ride.direction,
            self.old.boarded,
            self.ride.start,
        )
        self.price, (card, sum_) = self.tariff.price(began), (self.card, self.card.held)
        if self.price is not None:
            use = self._boarded_by()
            own, card = self._capped(use, kopecks(use.own) * (1 + use.covers))
            others = self.old.inside - 1 - use.covers
            sum_ = min(sum_, own + others * kopecks(self._ordinary()))
        card = replace(card, inside=0, held=0)
        return self._write(card, "check_out", "ok_checkout", sum_)

    def _boarded_by(self) -> Use:
        if not self.old.paid_by.startswith("concession"):
            own = self._ordinary() if self.old.paid_by == "purse" else Fraction(0)
            return Use(self.old.paid_by, self.old.paid_by, "", own)
        grant = self.old.grants["abc".index(self.old.paid_by[-1])]
        rule = self.tariff.concessions[grant.code] if grant is not None else None
        if rule is None:
            return Use("concession", self.old.paid_by, "")
        covers = self.card.count(rule["companions"]["counter"]) if "companions" in rule else 0
        own = self.tariff.concession_price(rule, self.price)
        return Use("concession", self.old.paid_by, "", own, covers=covers, concession=grant)

    def _write(
        self,
        card: Card,
        kind: str,
        message: str,
        sum_: int,
        values: Values | None = None,
        paid_by: str | None = None,
    ) -> Answer:
        after = replace(
            card,
            kind=kind,
            money=card.money - sum_,
            route=self.ride.route,
            direction=self.ride.direction,
            paid_by=self.old.paid_by if paid_by is None else paid_by,
        )
        return Answer("let_in", message, written(self.tariff, after, self.tap), sum_, values or {}, True)
