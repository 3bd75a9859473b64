"""What a tap comes to, by docs/rules.md and "Deciding a ride" of docs/tariff-author.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from tests.oracle import card as cards
from tests.oracle.card import Answer, Card, Journey, Right, Tap, Values, refused
from tests.oracle.tariff import CARD, FareUnknown, Ride, Spot, Table, Tariff, kopecks

KINDS_OF_RETURN: Final = ("opposite_direction", "zone_pair")
KNOWN: Final = {False: KINDS_OF_RETURN, True: KINDS_OF_RETURN[:1]}
"""Which returns can be judged when boarding, by whether riders check in."""
KINDS: Final = {"trip_pack": "pack", "plan": "plan", "pass": "pass"}


@dataclass(frozen=True)
class Use:
    """The right that covers a ride. `covers`: companions on the holder's terms; `rule`: the concession's own."""

    right: str
    paid_by: str
    message: str = ""
    own: Fraction = Fraction(0)
    values: Values = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    opens: str | None = None
    covers: int = 0
    rule: Table = field(default_factory=dict)
    full: int | None = None
    back: Table | None = None

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


def decide(tariff: Tariff, card: Card, tap: Tap) -> Answer:
    """One tap; the answer holds the card as it is afterwards."""
    marks = frozenset[str]()
    for message, fails in _refusals(tariff, card, tap):
        if fails:
            return replace(refused(card, message), flags=marks)
        marks = _marks(tariff, tap) if message == "clock_unconfirmed" else marks
    if tap.inspection:
        return replace(_inspect(tariff, card, tap), flags=marks)
    now, flags = cards.on_day(tariff, card, tap)
    try:
        answer = _meal(tariff, card, now, tap) if tap.canteen else Bus(tariff, card, now, tap).decide()
    except FareUnknown:
        answer = refused(card, "fare_unknown")
    return replace(answer, flags=marks | flags if answer.written else marks)


def _marks(tariff: Tariff, tap: Tap) -> frozenset[str]:
    """What marks every row: how old the older list is, and the document, and whether that has ended (O-01, O-03)."""
    hours, ages = max(tap.lists_age_s) / 3600, tariff.ages
    lists = "expired_data" if hours > ages["stale_h"] else "stale_data" if hours > ages["fresh_h"] else ""
    document = "stale_document" if tap.document_age_s > ages["document_stale_days"] * 86400 else ""
    ended = "document_ended" if tap.at >= tariff.ended_at and not tap.suspect else ""
    return frozenset({lists, document, ended} - {""})


def _refusals(tariff: Tariff, card: Card, tap: Tap) -> Iterator[tuple[str, bool]]:
    """What is asked before any rule: of the terminal, and unless an inspector asks, of the card."""
    today, asks = tariff.day(tap.at), tap.inspection
    dated = not (asks or (tap.canteen and not tap.trusted))
    yield "out_of_order", not tap.reader_ok
    yield "shift_closed", not tap.shift_open and not asks
    yield "clock_unconfirmed", tap.suspect and not tap.confirmed and not tap.canteen
    yield "out_of_order", tap.at >= tariff.over_at and not (tap.suspect or tap.canteen or asks)
    yield "blocked", card.blocked and not asks
    yield "medium_inactive", card.inactive and not asks
    yield "not_yet_valid", today < card.first and dated
    yield "expired", today > card.last and dated
    yield "other_region", card.region != tariff.doc["header"]["region"] and not asks


def _inspect(tariff: Tariff, card: Card, tap: Tap) -> Answer:
    """T-70: paid on this route lately, or still inside; nothing is written and no right is looked at."""
    age, longest = cards.elapsed_s(tariff, card, tap), -1
    if (card.route, card.direction) == (tap.ride.route, tap.ride.direction):
        longest = tariff.guards["inspection_s"] if card.kind in ("ride", "check_in") else longest
        longest = max(longest, tariff.checkin["longest_s"]) if card.inside and tariff.checkin else longest
    if age is None or age > longest:
        return refused(card, "inspection_unpaid")
    return Answer("inside", "inspection_paid", card, values={"time": f"{tariff.local(card.at):%H:%M}"})


def _meal(tariff: Tariff, old: Card, card: Card, tap: Tap) -> Answer:
    """A meal by the card alone: the kind of the hour, where a ground of the card gives it (M-10 to M-19)."""
    meals, now, today = tariff.doc.get("meals", {}), tariff.local(tap.at).time(), tariff.day(tap.at)
    kinds, given = meals.get("kinds", []), set[str]()
    kind = next((k["id"] for k in kinds if k["served_from"] <= now < k["served_until"]), None)
    by_shift = {row["shift"]: row["kind"] for row in meals.get("by_shift", [])}
    for grant in (g for g in card.grants if g is not None and (g.holds(today) or not tap.trusted)):
        first, last = ((d.year, d.year - 1)[(d.month, d.day) < (9, 1)] for d in (grant.first, today))
        grade = grant.number & 15 and (grant.number & 15) + (last - first) * tap.trusted
        shift = grant.number >> 4 or 1
        for rule in (r for r in meals.get("entitlements", []) if r["code"] == grant.code):
            grades = rule.get("grades", {"first": 0, "last": 99})
            fits = not grade or grades["first"] <= grade <= grades["last"]
            if rule.get("shift", shift) == shift and fits:
                given |= {by_shift[shift] if p["kind"] == "by_shift" else p["kind"] for p in rule["portions"]}
                break
    if not tap.trusted and not card.meals and kind not in given:  # M-37: the hour may be wrong
        kind = min((k["served_from"], k["id"]) for k in kinds if k["id"] in given)[1] if given else kind
    if kind is None:
        return refused(old, "no_meal_now")
    if kind in card.meals:
        return refused(old, "meal_already", meal=kind)
    if kind not in given:
        return refused(old, "meal_not_arranged")
    after = replace(card, kind="meal", meals=card.meals | {kind})
    after = after if card.inside else replace(after, route=0, direction=0, paid_by="budget")
    return Answer("let_in", "meal_ok", cards.written(tariff, after, tap), 0, {"meal": kind}, True)


class Bus:
    """A ride with everything it is decided by: the card as it was (`old`) and in today's periods (`card`)."""

    def __init__(self, tariff: Tariff, old: Card, card: Card, tap: Tap) -> None:
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

    def decide(self) -> Answer:
        """The steps of "Deciding a ride", in order."""
        grace, again = self.tariff.grace, self._may_take_along()
        broke = (
            grace is not None and self.card.readable and self.card.count(grace["counter"]) >= grace["trips"]
        )
        if admission := self._tapped_again():
            return Answer(admission, "already_paid", self.old)
        if self.checkin and self.old.inside and self.same_way and self.age <= self.checkin["longest_s"]:
            return self._check_out()
        if broke:
            return refused(self.old, "debt")
        if self.old.inside and self.card.readable:
            self._left_behind()
        if again is not None:
            return self._take_along(again)
        if self._passed_back():
            return Answer("inside", "already_paid", self.old)
        if self.checks_in and self.tap.companions + 1 > cards.MOST_INSIDE:
            return refused(self.old, "too_many_persons")
        return self._board(next(use for right in self.tariff.rights if (use := self._covered_by(right))))

    def _left_behind(self) -> None:
        """Those inside left without a tap: what the journey and a way back know of it, and what has run out."""
        card, journey, by = self.card, self.card.journey, self.old.paid_by
        for rule in self.tariff.returns:
            number = self.tariff.number(rule, replace(self.ride, route=card.route, direction=card.direction))
            back = rule["kind"] == "opposite_direction" and by == "purse" and number
            if back and card.count(rule["outward"]) == number ^ 1:
                card = card.setting({rule["outward"]: 0})
        card = cards.without_late_outward(self.tariff, card, self.tap.at)
        rule = self.tariff.transfers[journey.rule] if journey is not None else {}
        if journey is not None and journey.age_s > rule["window_s"]:
            card = cards.without_journey(self.tariff, card)
        elif "paid" in rule and (by == "transfer" or not card.count(rule["paid"])):
            card = self._paid(card, rule, card.count(rule["paid"]) + card.held // card.inside)
        self.card = card

    def _paid(self, card: Card, rule: Table, sum_: int) -> Card:
        """The dearest price paid, in units of its counter and as far as that goes."""
        unit = int(self.tariff.slots[rule["paid"]].get("unit_minor", 1))
        sum_ = min(sum_ - sum_ % unit, self.tariff.most(rule["paid"]))
        return card.setting({rule["paid"]: max(card.count(rule["paid"]), sum_)})

    def _otherwise(self, right: str) -> int | None:
        """What the purse would pay by the rights after `right`."""
        lapse, later = self.lapse, self.tariff.rights[self.tariff.rights.index(right) + 1 :]
        uses = (self._covered_by(name) for name in later if name in ("concession", "plan"))
        use = next((use for use in uses if use is not None), None)
        self.lapse = lapse
        if use is not None:
            return kopecks(use.own)
        return None if self.price is None else self._ordinary()

    def _back_by(self, ride: Ride, at: datetime, kinds: tuple[str, ...]) -> Table | None:
        """The return that the ride, begun `at`, is the way back of."""
        for rule in self.tariff.returns if self.card.readable else []:
            number = self.tariff.number(rule, ride)
            opposite = number ^ 1 if rule["kind"] == "opposite_direction" else 3 - number
            there = number and self.card.count(rule["outward"]) == opposite and rule["kind"] in kinds
            if there and cards.is_open(self.tariff, self.card, rule, at):
                return rule
        return None

    def _outward(self, card: Card, ride: Ride, at: datetime, kinds: tuple[str, ...]) -> Card:
        for rule in self.tariff.returns if card.readable else []:
            number = self.tariff.number(rule, ride)
            if number and rule["kind"] in kinds:
                began = {**card.began, rule["id"]: at}
                card = replace(card.setting({rule["outward"]: number}), began=began)
        return card

    def _paid_to(self) -> Ride:
        """The ride as far as its fare is charged when boarding."""
        named, end = self.ride.named, self.ride.terminus
        to_end = self.tariff.dearest and not named.zone and not self.checks_in
        return replace(self.ride, named=replace(named, zone=end.zone)) if to_end else self.ride

    def _way_back(self) -> Use | None:
        """T-39, as far as it is known when boarding."""
        rule = self._back_by(self._paid_to(), self.tap.at, KNOWN[self.checks_in])
        if rule is None or self.price is None:
            return None
        own, other = self.tariff.return_price(rule, self.price), self._otherwise("return")
        if other is not None and other < own:
            return None
        message = self.lapse[1] or "ok_paid"
        return Use("purse", "purse", message, Fraction(own), opens=self.fares_transfer, back=rule)

    def _ordinary(self) -> int:
        if self.price is None:
            raise FareUnknown
        return kopecks(self.price.ordinary)

    def _tapped_again(self) -> str:
        """The same tap: how it is answered, empty where it is another one."""
        here, guards = self.old.terminal == self.tap.terminal, self.tariff.guards
        if self.rode and here and self.age <= guards["repeat_s"]:
            return "let_in"
        if not (self.rode and self.same_route and self.age <= guards["retap_s"]):
            return ""
        return "let_in" if not here else "inside" if self.old.kind != "ride" else ""

    def _passed_back(self) -> bool:
        lately = self.rode and self.same_route and self.age <= self.tariff.guards["passback_s"]
        return lately and self._right_before() in self.tariff.guards["passback_rights"]

    def _right_before(self) -> str:
        name, _, slot = self.old.paid_by.partition("_")
        bought = self.old.bought["ab".index(slot)] if name == "contract" else None
        return name if bought is None else KINDS[self.tariff.products[bought.code]["kind"]]

    def _granted_before(self) -> Table:
        """The rule of the concession that the newest event names; empty: it names none."""
        name, _, slot = self.old.paid_by.partition("_")
        grant = self.old.grants["abc".index(slot)] if name == "concession" else None
        return {} if grant is None else self.tariff.concessions.get(grant.code, {})

    def _may_take_along(self) -> Table | None:
        """The concession of the newest ride, where it takes a further companion by a tap of his own."""
        rule, lately = self._granted_before(), self.age <= self.tariff.guards["passback_s"]
        here = lately and self.same_way and self.old.kind == "ride" and not self.checks_in
        left = _companions(rule) - self.card.count(rule["companions"]["counter"]) if _companions(rule) else 0
        return rule if here and left > 0 and self.card.readable else None

    def _take_along(self, rule: Table) -> Answer:
        """On the holder's terms as far as the grant goes, without using up a limit; others pay the ordinary fare."""
        counter, persons = rule["companions"]["counter"], 1 + self.tap.companions
        covered = min(persons, _companions(rule) - self.card.count(counter))
        own = self.tariff.concession_price(rule, self.price)
        use = Use("concession", self.old.paid_by, own=own, rule=rule)
        sum_ = self._due(use, covered * kopecks(own))
        card = self._spent(use, sum_).counted({counter: covered})
        sum_ += (persons - covered) * self._ordinary() if persons > covered else 0
        if sum_ > self.card.money - self.card.held:
            return refused(self.old, "no_funds")
        return self._write(card, "ride", "ok_benefit_unlimited", sum_, {}, self.old.paid_by)

    def _covered_by(self, right: str) -> Use | None:
        if right in KINDS.values():
            return next(filter(None, (self._contract(right, slot) for slot in "ab")), None)
        if right in ("transfer", "return"):
            return self._transfer() if right == "transfer" else self._way_back()
        if right == "concession":
            return min(self._concessions(), key=lambda use: use.own, default=None)
        own, message = Fraction(self._ordinary()), self.lapse[1] or "ok_paid"
        return Use("purse", "purse", message, own, opens=self.fares_transfer)

    def _lapsed(self, message: str, rank: int = 0) -> None:
        """T-13, of several rights that lapsed: of a contract (rank 2) the last tried, else of a concession that is used
        up or whose count cannot be read (1), else of the first that sleeps."""
        if not self.lapse[1] or rank > self.lapse[0] or rank == self.lapse[0] == 2:
            self.lapse = (rank, message)

    def _contract(self, right: str, letter: str) -> Use | None:
        bought, use = self.card.bought["ab".index(letter)], Use(right, f"contract_{letter}")
        product = self.tariff.products.get(bought.code, {}) if bought is not None else {}
        if bought is None or KINDS.get(product.get("kind", "")) != right or not bought.holds(self.today):
            return None
        if not self.tariff.inside(product, self.ride):
            return None
        if right == "plan":
            own, opens = Fraction(product["fare_minor"]), product.get("transfer")
            return replace(use, message="ok_paid", own=own, opens=opens)
        if right == "pack":
            return self._pack(use, bought, product, self.tariff.contract_slots["ab".index(letter)])
        limits, values = self._within_limits(product, "pass_used_up", 2), {"date": bought.last.isoformat()}
        return limits and replace(use, message="ok_pass", values=values, counts=limits[0])

    def _pack(self, use: Use, bought: Right, product: Table, slot: str) -> Use | None:
        """T-10, T-11: trips that lapse monthly are those of the month of the contract's first day."""
        months = [(day.year, day.month) for day in (bought.first, self.today)]
        left = min(bought.number, product.get("most_trips", product["trips"])) - self.card.count(slot)
        lapsed = product["lapses"] == "monthly" and months[0] < months[1]
        if lapsed or left <= 0 or not self.card.readable:
            why = "pack_used_up" if self.card.readable else "count_unreadable"
            return self._lapsed("pack_lapsed" if lapsed else why, 2)
        return replace(use, message="ok_pack", values={"n": left - 1}, counts={slot: 1})

    def _transfer(self) -> Use | None:
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
            return Use("transfer", "transfer", message, own, values, full=full)
        own, lapse = Fraction(rule.get("price_minor", 0)), self.lapse
        others = [use.own for use in self._concessions()] + ([self.price.ordinary] if self.price else [])
        self.lapse = lapse
        if min(others, default=own) < own:
            return None
        message = "ok_paid" if rule["kind"] == "reduced_window" else "ok_transfer"
        return Use("transfer", "transfer", message, own, values)

    def _concessions(self) -> Iterator[Use]:
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

    def _granted(self, letter: str, rule: Table) -> Use | None:
        if not self.tariff.in_season(rule.get("season"), self.today):
            return self._lapsed("benefit_out_of_season")
        limits = self._within_limits(rule, "limit_reached", 1)
        try:
            own = self.tariff.concession_price(rule, self.price)
        except FareUnknown:
            return None
        if limits is None:
            return None
        counts, left = limits
        message, values = ("ok_benefit_unlimited", {}) if left is None else ("ok_benefit", {"n": left - 1})
        opens = self.fares_transfer if own else None
        covers = min(self.tap.companions, _companions(rule)) if self.card.readable else 0
        return Use("concession", f"concession_{letter}", message, own, values, counts, opens, covers, rule)

    def _within_limits(self, rule: Table, why: str, rank: int) -> tuple[dict[str, int], int | None] | None:
        """What a ride counts under a right's limits (it may lie in their area, T-19), and the rides left before it."""
        limits = [x for x in rule.get("limits", []) if self.tariff.inside(x, self.ride, unknown=True)]
        left = [self.tariff.limit(x, self.today) - self.card.count(x["counter"]) for x in limits]
        if limits and (min(left) <= 0 or not self.card.readable):
            return self._lapsed(why if self.card.readable else "count_unreadable", rank)
        return {limit["counter"]: 1 for limit in limits}, min(left, default=None)

    def _caps(self, use: Use) -> list[Table]:
        """The caps the ride falls under: all that is paid from the purse, or the rides on some concessions."""
        caps = self.tariff.doc.get("caps", []) if self.card.readable and use.own else []
        codes = [cap.get("concessions") or [use.rule.get("code")] for cap in caps]
        ours = [cap for cap, listed in zip(caps, codes, strict=True) if use.rule.get("code") in listed]
        return [cap for cap in ours if self.tariff.inside(cap, self.ride)]

    def _level(self, cap: Table) -> int:
        here = (i for i, tier in enumerate(cap["tiers"]) if self.tariff.inside(tier, self.ride))
        return max(next(here, 0), self.card.count(cap.get("level", "")))

    def _due(self, use: Use, sum_: int) -> int:
        """What of the sum the caps leave."""
        for cap in self._caps(use):
            if "trips" in cap:
                sum_ = 0 if self.card.count(cap["counter"]) >= cap["trips"] else sum_
            else:
                left = cap["tiers"][self._level(cap)]["amount_minor"] - self.card.count(cap["spent"])
                sum_ = min(sum_, max(0, left))
        return sum_

    def _spent(self, use: Use, sum_: int) -> Card:
        """The card with so much counted under the caps."""
        card = self.card
        for cap in self._caps(use):
            card = card.counted({cap["counter"]: int(sum_ > 0)} if "trips" in cap else {cap["spent"]: sum_})
            card = card.setting({cap["level"]: self._level(cap)}) if "level" in cap else card
        return card

    def _board(self, use: Use) -> Answer:
        """Where riders check in, what follows from the fare is held; what an earlier ride left held is charged."""
        others, by_fare = self.tap.companions - use.covers, use.by_fare
        own = self._due(use, kopecks(use.own) * (1 + use.covers))
        beside = others * self._ordinary() if others else 0
        hold = (own if by_fare else 0) + beside if self.checks_in else 0
        sum_, asked = own + beside - hold, own + beside
        if self.checkin:
            hold -= hold % int(self.tariff.slots[self.checkin["reserve"]].get("unit_minor", 1))
        if self.checkin and hold > self.tariff.most(self.checkin["reserve"]):
            return refused(self.old, "too_many_persons")
        if asked > self.card.money - self.card.held:
            return self._on_credit(others)
        card = self._ridden(use, self.card if self.checks_in and by_fare else self._spent(use, own))
        message, charge = "ok_checkin" if self.checks_in else use.message, sum_ + self.card.held
        answer = self._write(self._inside(card, hold), "", message, charge, use.values, use.paid_by)
        return replace(answer, says=use.says)

    def _inside(self, card: Card, hold: int) -> Card:
        if not self.checks_in:
            return replace(card, inside=0, held=0)
        start = self.ride.start
        mark = None if start.mark_m is None else start.mark_m // 100 * 100
        return replace(card, inside=1 + self.tap.companions, held=hold, boarded=Spot(start.zone, mark))

    def _ridden(self, use: Use, card: Card) -> Card:
        """What the ride counts, and the journey after it."""
        if _companions(use.rule):
            card = card.setting({use.rule["companions"]["counter"]: use.covers})
        card, journey = card.counted(use.counts), card.journey
        if use.back is not None:
            card = card if self.checks_in else card.setting({use.back["outward"]: 0})
        elif use.by_fare and use.own:
            card = self._outward(card, self._paid_to(), self.tap.at, KNOWN[self.checks_in])
        if use.opens is not None:
            card, journey = cards.without_journey(self.tariff, card), Journey(0, 0, use.opens)
            if "paid" in self.tariff.transfers[use.opens] and not card.readable:
                return card
        if journey is None or not (use.opens or use.right == "transfer"):
            return card
        rule = self.tariff.transfers[journey.rule]
        if use.right == "transfer":
            age_s = 0 if rule.get("counted_from") == "previous_ride" else journey.age_s
            journey = Journey(age_s, min(journey.followed + 1, cards.MOST_TRANSFERS), journey.rule)
        if "paid" in rule and not (self.checks_in and use.by_fare):
            card = self._paid(card, rule, kopecks(use.own) if use.full is None else use.full)
        enters = card.readable and self.ride.mode in rule.get("once", ())
        card = card.counted({rule["counter"]: 1}) if enters else card
        return replace(card, journey=journey)

    def _on_credit(self, others: int) -> Answer:
        """T-18: without money, in season, holders of these concessions ride a few times."""
        grace, card, today = self.tariff.grace, self.card, self.today
        codes = {grant.code for grant in card.grants if grant is not None and grant.holds(today)}
        holds = grace is not None and self.tariff.in_season(grace["season"], today)
        if not holds or others or not card.readable or not codes & set(grace["concessions"]):
            return refused(self.old, "no_funds")
        if not self.tariff.inside(grace, self.ride):
            return refused(self.old, "no_funds")
        left = grace["trips"] - card.count(grace["counter"]) - 1
        owed = 0 if card.held > card.money else card.held
        card = replace(self._inside(card.counted({grace["counter"]: 1}), 0), held=card.held - owed)
        return self._write(card, "", "ok_grace", owed, {"n": left}, "grace")

    def _check_out(self) -> Answer:
        """Of the places where it may end, the one where it costs least."""
        self.card, _ = cards.on_day(self.tariff, self.old, self.tap, lift=False)
        return min((self._leave(end) for end in self.exits), key=lambda answer: answer.charge)

    def _leave(self, end: Spot) -> Answer:
        """The ride by the fares and counters of its beginning, never more than was held; where one of its ends is not
        known the cheapest."""
        held = self.card.held
        if end.mark_m is not None:
            end = replace(end, mark_m=end.mark_m // 100 * 100)
        began = replace(self.ride, at=self.old.at, start=self.old.boarded, named=end)
        self.ride, self.price, right = began, self.tariff.price(began, guess=False), self._right_before()
        self.price = self.price or self.tariff.price(began, guess=False, least=True)
        rule, of_another = self._granted_before(), held if right == "grace" else 0
        held -= of_another
        covers = self.card.count(rule["companions"]["counter"]) if _companions(rule) else 0
        others = self.old.inside - 1 - covers
        try:
            own = Fraction(self._ordinary()) if right == "purse" else Fraction(0)
            own = self.tariff.concession_price(rule, self.price) if right == "concession" else own
            beside = others and (self._ordinary() * others if self.price else held)
        except FareUnknown:
            own, beside = Fraction(held // self.old.inside), held
        use = self._between_rides(Use(right, self.old.paid_by, own=own, covers=covers, rule=rule), held)
        due = min(held, self._due(use, kopecks(use.own) * (1 + covers)))
        sum_ = min(held, due + beside)
        card = self._ended(use, replace(self._spent(use, due), inside=0, held=of_another))
        answer = self._write(card, "check_out", "ok_checkout", sum_, {}, self.old.paid_by)
        return replace(answer, says=use.says)

    def _between_rides(self, use: Use, held: int) -> Use:
        """What the journey (T-38) or the outward ride (T-39) makes of the ride that ends, as it was when it began."""
        journey = self.card.journey
        asked = use.right == "purse" or (use.right == "concession" and not use.covers)
        back = self._back_by(self.ride, self.old.at, tuple(KINDS_OF_RETURN)) if asked else None
        price = self.tariff.return_price(back, self.price) if back and self.price else None
        if price is not None and (use.right == "purse" or price <= kopecks(use.own)):
            return replace(use, own=Fraction(price), back=back, rule={})
        rule = self.tariff.transfers[journey.rule] if journey is not None else {}
        if use.right != "transfer" or "paid" not in rule:
            return use
        full = self._otherwise("transfer")
        if full is None:
            return replace(use, own=Fraction(held // self.old.inside))
        return replace(use, own=Fraction(max(0, full - self.card.count(rule["paid"]))), full=full)

    def _ended(self, use: Use, card: Card) -> Card:
        """What the ride leaves behind: a way back, what was paid in the journey."""
        own, journey = kopecks(use.own), card.journey
        if use.right not in ("purse", "concession", "transfer"):
            return card
        if use.back is not None:
            card = card.setting({use.back["outward"]: 0})
        elif own:
            card = self._outward(card, self.ride, self.old.at, ("zone_pair",))
        rule = self.tariff.transfers[journey.rule] if journey is not None else {}
        if journey is None or "paid" not in rule:
            return card
        first = not card.count(rule["paid"])
        if journey.age_s > rule["window_s"] or (first and not own):
            return cards.without_journey(self.tariff, card)
        ours = first or use.right == "transfer"
        return self._paid(card, rule, own if use.full is None else use.full) if ours else card

    def _write(self, card: Card, kind: str, message: str, sum_: int, values: Values, paid_by: str) -> Answer:
        kind = kind or ("check_in" if self.checks_in else "ride")
        after = replace(card, kind=kind, money=card.money - sum_, paid_by=paid_by)
        after = replace(after, route=self.ride.route, direction=self.ride.direction)
        return Answer("let_in", message, cards.written(self.tariff, after, self.tap), sum_, values, True)


def _companions(rule: Table) -> int:
    """How many persons a concession takes along."""
    return int(rule.get("companions", {"most": 0})["most"])
