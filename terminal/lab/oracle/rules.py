"""What a tap comes to, by docs/rules.md and "Deciding a ride" of docs/tariff-author.md."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction

from terminal.lab.oracle import card as cards
from terminal.lab.oracle.card import (
    OpenJourney,
    OracleAnswer,
    OracleCard,
    OracleTap,
    Values,
    refused,
)
from terminal.lab.oracle.covers import KINDS, KINDS_OF_RETURN, KNOWN, Coverage, OracleCovers, companions
from terminal.lab.oracle.meals import NOWHERE_KNOWN, OracleCanteen, OracleTill
from terminal.lab.oracle.tariff import (
    DocumentTable,
    OracleRide,
    OracleSpot,
    Tariff,
    UnknownPrice,
    kopecks,
    replace,
)


def decide(
    tariff: Tariff, card: OracleCard, tap: OracleTap, till: OracleTill = NOWHERE_KNOWN
) -> OracleAnswer:
    """One tap; the answer holds the card as it is afterwards. `till` is what a canteen knows besides the card."""
    marks = frozenset[str]()
    for message, fails in _refusals(tariff, card, tap):
        if fails:
            return replace(refused(card, message), flags=marks)
        marks = _marks(tariff, tap) if message == "clock_unconfirmed" else marks
    if tap.inspection:
        return replace(_inspect(tariff, card, tap), flags=marks)
    if "fares" not in tariff.doc and not tap.canteen:
        return replace(refused(card, "fare_unknown"), flags=marks)
    now, flags = cards.on_day(tariff, card, tap)
    try:
        served = (
            OracleCanteen(tariff, card, now, tap, till) if tap.canteen else OracleBus(tariff, card, now, tap)
        )
        answer = served.decide()
    except UnknownPrice:
        answer = refused(card, "fare_unknown")
    return replace(answer, flags=marks | flags if answer.written else marks)


def _marks(tariff: Tariff, tap: OracleTap) -> frozenset[str]:
    """What marks every row: how old the older list is, and the document, and whether that has ended (O-01, O-03)."""
    hours, ages = max(tap.lists_age_s) / 3600, tariff.ages
    lists = "expired_data" if hours > ages["stale_h"] else "stale_data" if hours > ages["fresh_h"] else ""
    document = "stale_document" if tap.document_age_s > ages["document_stale_days"] * 86400 else ""
    ended = "document_ended" if tap.at >= tariff.ended_at and not tap.suspect else ""
    return frozenset({lists, document, ended} - {""})


def _refusals(tariff: Tariff, card: OracleCard, tap: OracleTap) -> Iterator[tuple[str, bool]]:
    """What is asked before any rule: of the terminal, and unless an inspector asks, of the card."""
    today, asks = tariff.day(tap.at), tap.inspection
    dated = not (asks or (tap.canteen and not tap.trusted))
    yield "out_of_order", not tap.reader_ok
    yield "shift_closed", (tap.on_break or not tap.shift_open) and not asks
    yield "clock_unconfirmed", tap.suspect and not tap.confirmed and not tap.canteen
    yield "out_of_order", tap.at >= tariff.over_at and not (tap.suspect or tap.canteen or asks)
    yield "blocked", card.blocked and not asks
    yield "medium_inactive", card.inactive and not asks
    listed = tap.denied if _deny_lists(tariff, tap) and not asks else ""
    yield "blocked", listed == "card"
    yield "deny_list", listed == "person"
    yield "not_yet_valid", today < card.first and dated
    yield "expired", today > card.last and dated
    yield "other_region", card.region != tariff.doc["header"]["region"] and not asks


def _deny_lists(tariff: Tariff, tap: OracleTap) -> bool:
    """O-09: some regions have none."""
    profile = tariff.doc["profiles"].get("canteen" if tap.canteen else "bus", {})
    return bool(profile.get("deny_lists", True))


def _inspect(tariff: Tariff, card: OracleCard, tap: OracleTap) -> OracleAnswer:
    """T-70: paid on this route lately, or still inside; nothing is written and no right is looked at."""
    age, longest = cards.elapsed_s(tariff, card, tap), -1
    if (card.route, card.direction) == (tap.ride.route, tap.ride.direction):
        longest = tariff.guards["inspection_s"] if card.kind in ("ride", "check_in") else longest
        longest = max(longest, tariff.checkin["longest_s"]) if card.inside and tariff.checkin else longest
    if age is None or age > longest:
        return refused(card, "inspection_unpaid")
    return OracleAnswer("inside", "inspection_paid", card, values={"time": f"{tariff.local(card.at):%H:%M}"})


class OracleBus(OracleCovers):
    """A ride with everything it is decided by: the card as it was (`old`) and in today's periods (`card`)."""

    def decide(self) -> OracleAnswer:
        """The steps of "Deciding a ride", in order."""
        if admission := self._tapped_again():
            return OracleAnswer(admission, "already_paid", self.old)
        if self.checkin and self.old.inside and self.same_way and self.age <= self.checkin["longest_s"]:
            return self._check_out()
        return self._new_ride()

    def _new_ride(self) -> OracleAnswer:
        grace, again = self.tariff.grace, self._may_take_along()
        if grace is not None and self.card.readable and self.card.count(grace["counter"]) >= grace["trips"]:
            return refused(self.old, "debt")
        if self.old.inside and self.card.readable:
            self._left_behind()
        if again is not None:
            return self._take_along(again)
        if self._passed_back():
            return OracleAnswer("inside", "already_paid", self.old)
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

    def _paid(self, card: OracleCard, rule: DocumentTable, sum_: int) -> OracleCard:
        """The dearest price paid, in units of its counter and as far as that goes."""
        unit = int(self.tariff.slots[rule["paid"]].get("unit_minor", 1))
        sum_ = min(sum_ - sum_ % unit, self.tariff.most(rule["paid"]))
        return card.setting({rule["paid"]: max(card.count(rule["paid"]), sum_)})

    def _outward(
        self, card: OracleCard, ride: OracleRide, at: datetime, kinds: tuple[str, ...]
    ) -> OracleCard:
        for rule in self.tariff.returns if card.readable else []:
            number = self.tariff.number(rule, ride)
            if number and rule["kind"] in kinds:
                began = {**card.began, rule["id"]: at}
                card = replace(card.setting({rule["outward"]: number}), began=began)
        return card

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

    def _granted_before(self) -> DocumentTable:
        """The rule of the concession that the newest event names; empty: it names none."""
        name, _, slot = self.old.paid_by.partition("_")
        grant = self.old.grants["abc".index(slot)] if name == "concession" else None
        return {} if grant is None else self.tariff.concessions.get(grant.code, {})

    def _may_take_along(self) -> DocumentTable | None:
        """The concession of the newest ride, where it takes a further companion by a tap of his own."""
        rule, lately = self._granted_before(), self.age <= self.tariff.guards["passback_s"]
        here = lately and self.same_way and self.old.kind == "ride" and not self.checks_in
        left = companions(rule) - self.card.count(rule["companions"]["counter"]) if companions(rule) else 0
        return rule if here and left > 0 and self.card.readable else None

    def _take_along(self, rule: DocumentTable) -> OracleAnswer:
        """On the holder's terms as far as the grant goes, without using up a limit; others pay the ordinary fare."""
        counter, persons = rule["companions"]["counter"], 1 + self.tap.companions
        covered = min(persons, companions(rule) - self.card.count(counter))
        own = self.tariff.concession_price(rule, self.price)
        use = Coverage("concession", self.old.paid_by, own=own, rule=rule)
        sum_ = self._due(use, covered * kopecks(own))
        card = self._spent(use, sum_).counted({counter: covered})
        sum_ += (persons - covered) * self._ordinary() if persons > covered else 0
        if sum_ > self.card.money - self.card.held:
            return refused(self.old, "no_funds")
        return self._write(card, "ride", "ok_benefit_unlimited", sum_, {}, self.old.paid_by)

    def _spent(self, use: Coverage, sum_: int) -> OracleCard:
        """The card with so much counted under the caps."""
        card = self.card
        for cap in self._caps(use):
            card = card.counted({cap["counter"]: int(sum_ > 0)} if "trips" in cap else {cap["spent"]: sum_})
            card = card.setting({cap["level"]: self._level(cap)}) if "level" in cap else card
        return card

    def _board(self, use: Coverage) -> OracleAnswer:
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

    def _inside(self, card: OracleCard, hold: int) -> OracleCard:
        if not self.checks_in:
            return replace(card, inside=0, held=0)
        start = self.ride.start
        mark = None if start.mark_m is None else start.mark_m // 100 * 100
        return replace(card, inside=1 + self.tap.companions, held=hold, boarded=OracleSpot(start.zone, mark))

    def _ridden(self, use: Coverage, card: OracleCard) -> OracleCard:
        """What the ride counts, and the journey after it."""
        if companions(use.rule):
            card = card.setting({use.rule["companions"]["counter"]: use.covers})
        card, journey = card.counted(use.counts), card.journey
        if use.back is not None:
            card = card if self.checks_in else card.setting({use.back["outward"]: 0})
        elif use.by_fare and use.own:
            card = self._outward(card, self._paid_to(), self.tap.at, KNOWN[self.checks_in])
        if use.opens is not None:
            card, journey = cards.without_journey(self.tariff, card), OpenJourney(0, 0, use.opens)
            if "paid" in self.tariff.transfers[use.opens] and not card.readable:
                return card
        if journey is None or not (use.opens or use.right == "transfer"):
            return card
        rule = self.tariff.transfers[journey.rule]
        if use.right == "transfer":
            age_s = 0 if rule.get("counted_from") == "previous_ride" else journey.age_s
            journey = OpenJourney(age_s, min(journey.followed + 1, cards.MOST_TRANSFERS), journey.rule)
        if "paid" in rule and not (self.checks_in and use.by_fare):
            card = self._paid(card, rule, kopecks(use.own) if use.full is None else use.full)
        enters = card.readable and self.ride.mode in rule.get("once", ())
        card = card.counted({rule["counter"]: 1}) if enters else card
        return replace(card, journey=journey)

    def _on_credit(self, others: int) -> OracleAnswer:
        """T-18: without money, in season, holders of these concessions ride a few times."""
        grace, card, today = self.tariff.grace, self.card, self.today
        codes = {grant.code for grant in card.grants if grant is not None and grant.holds(today)}
        if grace is None or not self.tariff.in_season(grace["season"], today):
            return refused(self.old, "no_funds")
        if others or not card.readable or not codes & set(grace["concessions"]):
            return refused(self.old, "no_funds")
        if not self.tariff.inside(grace, self.ride):
            return refused(self.old, "no_funds")
        left = grace["trips"] - card.count(grace["counter"]) - 1
        owed = 0 if card.held > card.money else card.held
        card = replace(self._inside(card.counted({grace["counter"]: 1}), 0), held=card.held - owed)
        return self._write(card, "", "ok_grace", owed, {"n": left}, "grace")

    def _check_out(self) -> OracleAnswer:
        """Of the places where it may end, the one where it costs least."""
        self.card, _ = cards.on_day(self.tariff, self.old, self.tap, lift=False)
        return min((self._leave(end) for end in self.exits), key=lambda answer: answer.charge)

    def _leave(self, end: OracleSpot) -> OracleAnswer:
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
        covers = self.card.count(rule["companions"]["counter"]) if companions(rule) else 0
        others = self.old.inside - 1 - covers
        try:
            own = Fraction(self._ordinary()) if right == "purse" else Fraction(0)
            own = self.tariff.concession_price(rule, self.price) if right == "concession" else own
            beside = others and (self._ordinary() * others if self.price else held)
        except UnknownPrice:
            own, beside = Fraction(held // self.old.inside), held
        use = self._between_rides(Coverage(right, self.old.paid_by, own=own, covers=covers, rule=rule), held)
        due = min(held, self._due(use, kopecks(use.own) * (1 + covers)))
        sum_ = min(held, due + beside)
        card = self._ended(use, replace(self._spent(use, due), inside=0, held=of_another))
        answer = self._write(card, "check_out", "ok_checkout", sum_, {}, self.old.paid_by)
        return replace(answer, says=use.says)

    def _between_rides(self, use: Coverage, held: int) -> Coverage:
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

    def _ended(self, use: Coverage, card: OracleCard) -> OracleCard:
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

    def _write(
        self, card: OracleCard, kind: str, message: str, sum_: int, values: Values, paid_by: str
    ) -> OracleAnswer:
        kind = kind or ("check_in" if self.checks_in else "ride")
        after = replace(card, kind=kind, money=card.money - sum_, paid_by=paid_by)
        after = replace(after, route=self.ride.route, direction=self.ride.direction)
        return OracleAnswer(
            "let_in", message, cards.written(self.tariff, after, self.tap), sum_, values, True
        )
