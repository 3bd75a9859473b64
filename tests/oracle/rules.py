"""What a tap comes to, by docs/rules.md and "Deciding a ride" of docs/tariff-author.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from typing import Final

from tests.oracle.card import (
    MOST_INSIDE,
    MOST_TRANSFERS,
    Answer,
    Bought,
    Card,
    Journey,
    Tap,
    Values,
    elapsed_s,
    on_day,
    refused,
    without_journey,
    written,
)
from tests.oracle.tariff import CARD, KNOWN, FareUnknown, Spot, Table, Tariff, kopecks

USED_UP: Final = ("pack_lapsed", "pack_used_up", "pass_used_up", "limit_reached", "count_unreadable")
KINDS: Final = {"trip_pack": "pack", "plan": "plan", "pass": "pass"}


@dataclass(frozen=True)
class Use:
    """The right that covers a ride: what the holder pays, what it counts, which transfer it opens or is, and how many
    companions ride on the holder's terms."""

    right: str
    paid_by: str
    message: str = ""
    own: Fraction = Fraction(0)
    values: Values = field(default_factory=dict)
    counts: Values = field(default_factory=dict)
    opens: str | None = None
    covers: int = 0
    rule: Table | None = None
    """The concession."""


def decide(tariff: Tariff, card: Card, tap: Tap) -> Answer:
    """One tap; the answer holds the card as it is afterwards."""
    answer = _before_any_rule(tariff, card, tap)
    if answer is not None:
        return answer
    now, flags = on_day(tariff, card, tap)
    try:
        answer = (
            _meal(tariff, card, now, tap)
            if tap.profile == "canteen"
            else Bus(tariff, card, now, tap).decide()
        )
    except FareUnknown:
        answer = refused(card, "fare_unknown")
    return replace(answer, flags=flags) if answer.written else answer


def _before_any_rule(tariff: Tariff, card: Card, tap: Tap) -> Answer | None:
    today, clock = tariff.day(tap.at), tap.clock
    terminal = (
        ("out_of_order", not tap.reader_ok),
        ("shift_closed", not tap.shift_open and not tap.inspection),
        ("clock_unconfirmed", tap.profile == "bus" and clock.suspect and not clock.confirmed),
    )
    of_card = (
        ("blocked", card.blocked),
        ("medium_inactive", card.inactive),
        ("not_yet_valid", today < card.first),
        ("expired", today > card.last),
        ("other_region", card.region != tariff.doc["header"]["region"]),
    )
    for message, fails in terminal if tap.inspection else terminal + of_card:
        if fails:
            return refused(card, message)
    return _inspect(tariff, card, tap) if tap.inspection else None


def _inspect(tariff: Tariff, card: Card, tap: Tap) -> Answer:
    """T-70: paid on this route lately, or still inside; nothing is written and no right is looked at."""
    age, longest = elapsed_s(tariff, card, tap), -1
    if (card.route, card.direction) == (tap.ride.route, tap.ride.direction):
        longest = tariff.guards["inspection_s"] if card.kind in ("ride", "check_in") else longest
        longest = max(longest, tariff.checkin["longest_s"]) if card.inside and tariff.checkin else longest
    if age is None or age > longest:
        return refused(card, "inspection_unpaid")
    return Answer("inside", "inspection_paid", card, values={"time": f"{tariff.local(card.at):%H:%M}"})


def _meal(tariff: Tariff, old: Card, card: Card, tap: Tap) -> Answer:
    """A meal by the card alone: the kind of the hour, where a ground of the card gives it (M-10 to M-19)."""
    meals, now, today = tariff.doc.get("meals", {}), tariff.local(tap.at).time(), tariff.day(tap.at)
    hours = (k["id"] for k in meals.get("kinds", []) if k["served_from"] <= now < k["served_until"])
    kind, given = next(hours, None), set[str]()
    if kind is None:
        return refused(old, "no_meal_now")
    first = meals.get("school_year", {"month": 9, "day": 1})
    for grant in (g for g in card.grants if g is not None and g.first <= today <= g.last):
        years = [
            day.year - ((day.month, day.day) < (first["month"], first["day"])) for day in (grant.first, today)
        ]
        grade, shift = grant.parameter & 15, grant.parameter >> 4 or 1
        grade = grade + years[1] - years[0] if grade else 0
        by_shift = {row["shift"]: row["kind"] for row in meals.get("by_shift", [])}
        for rule in meals.get("entitlements", []):
            grades = rule.get("grades", {"first": 0, "last": 99})
            fits = not grade or grades["first"] <= grade <= grades["last"]
            if rule["code"] == grant.code and fits and rule.get("shift", shift) == shift:
                given |= {by_shift[shift] if p["kind"] == "by_shift" else p["kind"] for p in rule["portions"]}
                break
    if kind not in given:
        return refused(old, "meal_not_arranged")
    if kind in card.meals:
        return refused(old, "meal_already", meal=kind)
    after = replace(card, kind="meal", meals=card.meals | {kind})
    after = after if card.inside else replace(after, route=0, direction=0, paid_by="budget")
    return Answer("let_in", "meal_ok", written(tariff, after, tap), 0, {"meal": kind}, True)


class Bus:
    """A ride with everything it is decided by: the card as it was (`old`) and in today's periods (`card`)."""

    def __init__(self, tariff: Tariff, old: Card, card: Card, tap: Tap) -> None:
        self.tariff, self.old, self.card, self.tap, self.ride = tariff, old, card, tap, tap.ride
        self.today, self.age = tariff.day(tap.at), elapsed_s(tariff, old, tap)
        self.lapse: str | None = None
        self.checkin = tariff.checkin if card.readable else None
        self.checks_in = self.checkin is not None and tariff.inside(self.checkin["scope"], self.ride)
        if self.checks_in:
            self.ride = replace(self.ride, named=self.ride.terminus)
        self.price = tariff.price(self.ride)
        self.same_route = old.route == self.ride.route
        self.same_way = self.same_route and old.direction == self.ride.direction
        away = (tap.at - old.at).total_seconds()
        self.leaves = bool(
            self.checkin and old.inside and self.same_way and 0 <= away <= self.checkin["longest_s"]
        )

    def decide(self) -> Answer:
        """The steps of "Deciding a ride", in order."""
        grace, again = self.tariff.grace, self._may_take_along()
        broke = (
            grace is not None and self.card.readable and self.card.count(grace["counter"]) >= grace["trips"]
        )
        if "debt" in KNOWN and broke and not self.old.inside:
            return refused(self.old, "debt")
        if self._tapped_again():
            return Answer("let_in", "already_paid", self.old)
        if self.leaves:
            return self._check_out()
        if broke:
            return refused(self.old, "debt")
        if self._passed_back() and again is None:
            return Answer("inside", "already_paid", self.old)
        if again is not None:
            return self._take_along(again)
        if self.checks_in and self.tap.companions + 1 > MOST_INSIDE:
            return refused(self.old, "too_many_persons")
        return self._board(next(use for right in self.tariff.rights if (use := self._covered_by(right))))

    def _ordinary(self) -> int:
        if self.price is None:
            raise FareUnknown
        return kopecks(self.price.ordinary)

    # ------------------------------------------------------------ already paid (T-35, K-03, T-36), companions (T-20)

    def _tapped_again(self) -> bool:
        rode = self.old.kind in ("ride", "check_in", "check_out") and self.age is not None
        here = self.old.terminal == self.tap.terminal
        if "retap" in KNOWN and self.old.kind != "ride":
            here = here and not self.same_route
        longest = self.tariff.guards["repeat_s" if here else "retap_s"]
        return rode and (here or self.same_route) and (self.age or 0) <= longest

    def _passed_back(self) -> bool:
        rode = self.old.kind in (("ride",) if "passback" in KNOWN else ("ride", "check_in", "check_out"))
        within = self.age is not None and self.age <= self.tariff.guards["passback_s"]
        return (
            rode
            and within
            and self.same_route
            and self._right_before() in self.tariff.guards["passback_rights"]
        )

    def _right_before(self) -> str:
        name, _, slot = self.old.paid_by.partition("_")
        if name != "contract":
            return name
        bought = self.old.bought["ab".index(slot)]
        return KINDS[self.tariff.products[bought.product]["kind"]] if bought is not None else ""

    def _granted_before(self) -> Table | None:
        """The concession that the newest event names."""
        name, _, slot = self.old.paid_by.partition("_")
        grant = self.old.grants["abc".index(slot)] if name == "concession" else None
        return None if grant is None else self.tariff.concessions.get(grant.code)

    def _may_take_along(self) -> Table | None:
        """The concession of the newest ride, where it takes a further companion by a tap of his own."""
        rule, within = self._granted_before(), self.tariff.guards["passback_s"]
        if rule is None or "companions" not in rule or self.old.kind != "ride" or self.checks_in:
            return None
        left = self.card.count(rule["companions"]["counter"]) < rule["companions"]["most"]
        lately = self.age is not None and self.age <= within
        return rule if left and lately and self.same_way and self.card.readable else None

    def _take_along(self, rule: Table) -> Answer:
        """On the holder's terms as far as the grant goes, without using up a limit; others pay the ordinary fare."""
        counter, persons = rule["companions"]["counter"], 1 + self.tap.companions
        covered = min(persons, rule["companions"]["most"] - self.card.count(counter))
        covered = 1 if "companion" in KNOWN else covered
        own = self.tariff.concession_price(rule, self.price)
        use = Use("concession", self.old.paid_by, own=own, rule=rule)
        sum_ = self._due(use, covered * kopecks(own))
        card = self._spent(use, sum_).counted(**{counter: covered})
        sum_ += (persons - covered) * self._ordinary() if persons > covered else 0
        if self.card.money - self.card.held < sum_:
            return refused(self.old, "no_funds")
        return self._write(card, "ride", "ok_benefit_unlimited", sum_)

    # ------------------------------------------------------------ which right covers the ride (K-02)

    def _covered_by(self, right: str) -> Use | None:
        if right in KINDS.values():
            return next(filter(None, (self._contract(right, slot) for slot in "ab")), None)
        if right == "transfer":
            return self._transfer()
        if right == "concession":
            return min(self._concessions(), key=lambda use: use.own, default=None)
        opens, ordinary = self.tariff.doc["fares"].get("transfer"), Fraction(self._ordinary())
        return Use("purse", "purse", self.lapse or "ok_paid", ordinary, opens=opens)

    def _lapsed(self, message: str) -> None:
        """The passenger reads of a right that is used up before one that sleeps, and among these of the first."""
        ranks = {name: rank for rank, name in enumerate(USED_UP)}
        if self.lapse is None or ranks.get(message, len(ranks)) < ranks.get(self.lapse, len(ranks)):
            self.lapse = message

    def _contract(self, right: str, letter: str) -> Use | None:
        bought = self.card.bought["ab".index(letter)]
        product = None if bought is None else self.tariff.products.get(bought.product)
        if bought is None or product is None or KINDS[product["kind"]] != right:
            return None
        if not bought.first <= self.today <= bought.last or not self.tariff.inside(
            product.get("scope"), self.ride
        ):
            return None
        use = Use(right, f"contract_{letter}")
        if right == "plan":
            fare = Fraction(product["fare_minor"])
            return replace(use, message="ok_paid", own=fare, opens=product.get("transfer"))
        if right == "pack":
            return self._pack(use, bought, product, self.tariff.contract_slots["ab".index(letter)])
        counts = self._within_limits(product, "pass_used_up")
        return counts and replace(
            use, message="ok_pass", values={"date": bought.last.isoformat()}, counts=counts[0]
        )

    def _pack(self, use: Use, bought: Bought, product: Table, slot: str) -> Use | None:
        """T-10, T-11: trips that lapse monthly are those of the month of the contract's first day."""
        given = min(bought.trips, product.get("most_trips", product["trips"]))
        if not self.card.readable:
            return self._lapsed("count_unreadable")
        months = [self.tariff.period("service_month", day) for day in (bought.first, self.today)]
        if product["lapses"] == "monthly" and months[0] != months[1]:
            return self._lapsed("pack_lapsed")
        left = given - self.card.count(slot)
        if left <= 0:
            return self._lapsed("pack_used_up")
        return replace(use, message="ok_pack", values={"n": left - 1}, counts={slot: 1})

    def _transfer(self) -> Use | None:
        """T-30 to T-33: the next ride of the open journey, by the rule that opened it."""
        journey, mode = self.card.journey, self.ride.mode
        if journey is None:
            return None
        rule = self.tariff.transfers[journey.rule]
        if CARD not in rule["media"] or mode not in (rule.get("modes") or [mode]):
            return None
        if rule["transfers"] != "unlimited" and journey.followed >= rule["transfers"]:
            return None
        if self.same_way and rule.get("same_route", "new_trip") == "new_trip":
            return None
        if mode in rule.get("once", ()) and (self.card.count(rule["counter"]) or not self.card.readable):
            return None
        age = 0 if rule.get("counted_from") == "previous_ride" else journey.age_s
        ends = self.tariff.local(self.tap.at + timedelta(seconds=rule["window_s"] - age))
        use = Use("transfer", "transfer", "ok_transfer", values={"time": f"{ends:%H:%M}"})
        if rule["kind"] != "reduced_window":
            return use
        reduced, lapse = Fraction(rule["price_minor"]), self.lapse
        others = [use.own for use in self._concessions()] + ([self.price.ordinary] if self.price else [])
        self.lapse = lapse
        cheapest = min(others, default=reduced)
        if cheapest < reduced or ("equal" in KNOWN and len(others) > 1 and cheapest == reduced):
            return None
        return replace(use, message="ok_paid", own=reduced)

    def _concessions(self) -> Iterator[Use]:
        """Those that hold, by slot (T-02 to T-20); with data too old none does (O-03)."""
        given = (
            (slot, g, self.tariff.concessions.get(g.code, {}))
            for slot, g in zip("abc", self.card.grants, strict=True)
            if g
        )
        for letter, grant, rule in ((x, g, r) for x, g, r in given if "fare" in r):
            if self.tap.data_age_s > self.tariff.data_lasts_s:
                self._lapsed("benefit_not_checked")
            elif self.today > grant.last:
                self._lapsed("benefit_expired")
            elif self.today >= grant.first and self.tariff.inside(rule.get("scope"), self.ride):
                use = self._granted(letter, rule)
                if use is not None:
                    yield use

    def _granted(self, letter: str, rule: Table) -> Use | None:
        if not self.tariff.in_season(rule.get("season"), self.today):
            return self._lapsed("benefit_out_of_season")
        limits = self._within_limits(rule, "limit_reached")
        if limits is None:
            return None
        try:
            own = self.tariff.concession_price(rule, self.price)
        except FareUnknown:
            return None
        counts, left = limits
        message, values = ("ok_benefit_unlimited", {}) if left is None else ("ok_benefit", {"n": left - 1})
        opens = self.tariff.doc["fares"].get("transfer") if own else None
        covers = (
            min(self.tap.companions, rule.get("companions", {"most": 0})["most"]) if self.card.readable else 0
        )
        return Use("concession", f"concession_{letter}", message, own, values, counts, opens, covers, rule)

    def _within_limits(self, rule: Table, message: str) -> tuple[dict[str, int], int | None] | None:
        """What a ride counts under the limits of a right, and the rides left before it; None: used up. A ride that may
        lie in a limit's area counts (T-19)."""
        limits = [
            x for x in rule.get("limits", []) if self.tariff.inside(x.get("scope"), self.ride, unknown=True)
        ]
        left = [self.tariff.limit(x, self.today) - self.card.count(x["counter"]) for x in limits]
        if limits and (min(left) <= 0 or not self.card.readable):
            return self._lapsed(message if self.card.readable else "count_unreadable")
        return {limit["counter"]: 1 for limit in limits}, min(left, default=None)

    # ------------------------------------------------------------ money (CAP, T-18, T-34)

    def _caps(self, use: Use) -> list[Table]:
        """The caps the ride falls under: all that is paid from the purse, or the rides on some concessions."""
        codes = (use.rule or {}).get("code")
        return [
            cap
            for cap in self.tariff.doc.get("caps", [])
            if self.card.readable
            and use.right in ("purse", "concession", "plan", "transfer")
            and (
                codes in cap["concessions"]
                if cap.get("concessions")
                else self.tariff.inside(cap.get("scope"), self.ride)
            )
        ]

    def _level(self, cap: Table) -> int:
        here = (i for i, tier in enumerate(cap["tiers"]) if self.tariff.inside(tier.get("scope"), self.ride))
        return max(next(here, 0), self.card.count(cap.get("level", "")))

    def _due(self, use: Use, sum_: int) -> int:
        """What of the sum the caps leave."""
        for cap in self._caps(use):
            if "trips" in cap:
                sum_ = 0 if self.card.count(cap["counter"]) >= cap["trips"] else sum_
            else:
                ceiling = cap["tiers"][self._level(cap)]["amount_minor"]
                sum_ = min(sum_, max(0, ceiling - self.card.count(cap["spent"])))
        return sum_

    def _spent(self, use: Use, sum_: int) -> Card:
        card = self.card
        for cap in self._caps(use):
            card = card.counted(
                **({cap["counter"]: int(sum_ > 0)} if "trips" in cap else {cap["spent"]: sum_})
            )
            if "level" in cap:
                card = replace(card, used={**card.used, cap["level"]: self._level(cap)})
        return card

    # ------------------------------------------------------------ the ride, check-in and check-out (T-07)

    def _board(self, use: Use) -> Answer:
        """What follows from the fare is held where riders check in, everything else is charged at once; and what an
        earlier ride without a check-out left held is charged with it."""
        others = self.tap.companions - use.covers
        own = self._due(use, kopecks(use.own) * (1 + use.covers))
        beside = others * self._ordinary() if others else 0
        hold = 0 if not self.checks_in else beside + (own if use.right in ("purse", "concession") else 0)
        sum_ = own + beside - hold
        if "unit" in KNOWN and self.checkin:
            unit = int(self.tariff.slots[self.checkin["reserve"]].get("unit_minor", 1))
            hold = -(-hold // unit) * unit
        if self.checkin and hold > self.tariff.most(self.checkin["reserve"]):
            return refused(self.old, "too_many_persons")
        if sum_ + hold > self.card.money - self.card.held:
            return self._on_credit(others)
        card = self._ridden(use, self.card if hold and own and sum_ == 0 else self._spent(use, own))
        if "level" in KNOWN and card.readable:
            for cap in (c for c in self.tariff.doc.get("caps", []) if "level" in c):
                card = replace(card, used={**card.used, cap["level"]: self._level(cap)})
        message, charge = "ok_checkin" if self.checks_in else use.message, sum_ + self.card.held
        return self._write(self._inside(card, hold), "", message, charge, use.values, use.paid_by)

    def _inside(self, card: Card, hold: int = 0) -> Card:
        if not self.checks_in:
            return replace(card, inside=0, held=0)
        start = self.ride.start
        mark = None if start.mark_m is None else start.mark_m // 100 * 100
        return replace(card, inside=1 + self.tap.companions, held=hold, boarded=Spot(start.zone, mark))

    def _ridden(self, use: Use, card: Card) -> Card:
        """What the ride counts, and the journey after it."""
        if use.rule is not None and "companions" in use.rule:
            card = replace(card, used={**card.used, use.rule["companions"]["counter"]: use.covers})
        card = card.counted(**use.counts)  # type: ignore[arg-type]
        if use.opens is not None:
            card = replace(without_journey(self.tariff, card), journey=Journey(0, 0, use.opens))
        elif use.right == "transfer" and card.journey is not None:
            again = self.tariff.transfers[card.journey.rule].get("counted_from") == "previous_ride"
            age_s = 0 if again else card.journey.age_s
            card = replace(
                card,
                journey=replace(
                    card.journey, age_s=age_s, followed=min(card.journey.followed + 1, MOST_TRANSFERS)
                ),
            )
        if card.journey is None or not (use.opens or use.right == "transfer"):
            return card
        rule = self.tariff.transfers[card.journey.rule]
        return card.counted(**{rule["counter"]: 1}) if self.ride.mode in rule.get("once", ()) else card

    def _on_credit(self, others: int) -> Answer:
        """T-18: without money, in season, holders of these concessions ride a few times."""
        grace, card = self.tariff.grace, self.card
        codes = {g.code for g in card.grants if g is not None and g.first <= self.today <= g.last}
        if grace is None or others or not card.readable or not codes & set(grace["concessions"]):
            return refused(self.old, "no_funds")
        if not self.tariff.in_season(grace["season"], self.today) or not self.tariff.inside(
            grace["scope"], self.ride
        ):
            return refused(self.old, "no_funds")
        left = grace["trips"] - card.count(grace["counter"]) - 1
        card = self._inside(card.counted(**{grace["counter"]: 1}), 0)
        return self._write(card, "", "ok_grace", self.card.held, {"n": left}, "grace")

    def _check_out(self) -> Answer:
        """The ride itself, never more than was held, all of it where its fare is not known. The counters and fares are
        those of the day it began on."""
        self.card, _ = on_day(self.tariff, self.old, self.tap, lift=False)
        end = self.tap.ride.start
        if "mark" in KNOWN and end.mark_m is not None:
            end = replace(end, mark_m=end.mark_m // 100 * 100)
        began = replace(self.ride, at=self.old.at, start=self.old.boarded, named=end)
        self.price, held = self.tariff.price(began, guess=False), self.card.held
        rule = self._granted_before() if self.card.readable else None
        rule = rule if rule is not None and "fare" in rule else None
        covers = self.card.count(rule["companions"]["counter"]) if rule and "companions" in rule else 0
        use = Use(self._right_before(), self.old.paid_by, rule=rule, covers=covers)
        try:
            own = self.tariff.concession_price(rule, self.price) if rule else Fraction(0)
            own = Fraction(self._ordinary()) if use.right == "purse" else own
        except FareUnknown:
            own = Fraction(held)
        if "cap8" in KNOWN and self.price is None:
            own, use = Fraction(held), replace(use, right="purse")
        due = min(held, self._due(use, kopecks(own) * (1 + covers)))
        others = self.old.inside - 1 - covers
        sum_ = held if self.price is None else min(held, due + others * self._ordinary())
        card = replace(self._spent(use, due), inside=0, held=0)
        return self._write(card, "check_out", "ok_checkout", sum_)

    def _write(
        self, card: Card, kind: str, message: str, sum_: int, values: Values | None = None, paid_by: str = ""
    ) -> Answer:
        kind, paid_by = kind or ("check_in" if self.checks_in else "ride"), paid_by or self.old.paid_by
        where = {"route": self.ride.route, "direction": self.ride.direction}
        after = replace(card, kind=kind, money=card.money - sum_, paid_by=paid_by, **where)
        return Answer("let_in", message, written(self.tariff, after, self.tap), sum_, values or {}, True)
