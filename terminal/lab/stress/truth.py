"""What every tap should have come to: decided by the independent oracle from the true world, apart from all records.

The true world is what the cards were issued with and what has been written on them since, the true time and by how much
each terminal's clock is off, where each terminal stands, and the region document. Of the terminals nothing is taken but
what the passenger saw and what the card's memory holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from cardproto.resident.records.event import Event, parse_event
from sim.card.virtual import VirtualCard
from sim.days import parse_day
from sim.profile import CardProfile
from terminal.decision.outcome import Outcome
from terminal.lab.oracle.card import OracleAnswer, OracleCard, OracleMeal, OracleRight, OracleTap
from terminal.lab.oracle.meals import OraclePupil, OracleTill
from terminal.lab.oracle.rules import decide
from terminal.lab.oracle.tariff import OracleRide, OracleSpot, Tariff, replace
from terminal.lab.world import events_on

COUNTER_BITS: Final = 56
JUMP_S: Final = 300
SIGNED_FOR_S: Final = 24 * 3600
DAY_S: Final = 24 * 3600
TROUBLE: Final = frozenset({"read_again", "out_of_order", "unknown_card"})
"""What a disturbed tap may be answered with, whatever the card holds."""
WATCHED: Final = ("n", "date", "time", "meal")


def newest_event(card: VirtualCard) -> bytes:
    """The newest record in the memory of the card; empty where it has none."""
    return next(iter(events_on(card)), b"")


def true_card(profile: CardProfile, tariff: Tariff, day: date) -> OracleCard:
    """What a card issued by this profile on that day means."""
    at = datetime.combine(day, time(), UTC)
    grants = [
        OracleRight(c.code, parse_day(c.valid_from).on(day), parse_day(c.valid_to).on(day), c.parameter)
        for c in profile.concessions
    ]
    bought = [
        OracleRight(c.product, parse_day(c.valid_from).on(day), parse_day(c.valid_to).on(day), c.trips)
        for c in profile.contracts
    ]
    used = {} if profile.state is None else {name: getattr(profile.state, name) for name in tariff.slots}
    return OracleCard(
        region=tariff.doc["header"]["region"],
        first=parse_day(profile.card.valid_from).on(day),
        last=parse_day(profile.card.valid_to).on(day),
        at=at,
        period=tariff.day(at),
        grants=tuple((*grants, None, None, None)[:3]),
        bought=tuple((*bought, None, None)[:2]),
        blocked=profile.card.blocked,
        inactive=profile.card.inactive,
        money=profile.card.purse_minor,
        used={name: n for name, n in used.items() if n},
        issued=parse_day(profile.card.issued).on(day),
    )


@dataclass(slots=True)
class TrueClock:
    """By how much a terminal's clock is off, and whether it has to doubt it (O-05, ADR 26)."""

    suspect: bool = False
    anchor_s: float | None = 0.0
    signed_at_s: float | None = None
    agrees: bool = False

    def look(self, ahead_s: float, now_s: float) -> None:
        """Before a tap, `now_s` on the clock that only runs forward."""
        signed = self.signed_at_s is not None and now_s - self.signed_at_s <= SIGNED_FOR_S
        self.agrees = signed and abs(ahead_s) <= JUMP_S
        in_place = self.anchor_s is not None and abs(ahead_s - self.anchor_s) <= JUMP_S
        disagrees = signed and abs(ahead_s) > DAY_S
        if self.agrees or (self.suspect and in_place and not disagrees):
            self.suspect = False
        elif not self.suspect and (disagrees or not in_place):
            self.suspect, self.anchor_s = True, self.anchor_s if not in_place else None
        if not self.suspect and (self.agrees or self.anchor_s is None):
            self.anchor_s = ahead_s

    def signed(self, now_s: float) -> None:
        """The collector, which is right, has signed what time it is."""
        self.signed_at_s = now_s

    def restarted(self, ahead_s: float) -> None:
        """A doubt outlives a restart; where the clock stood before does not."""
        self.signed_at_s, self.agrees = None, False
        self.anchor_s = None if self.suspect else ahead_s


@dataclass(frozen=True, slots=True)
class TrueWay:
    """A route with its mode and stops, as vehicles run it out; back they run it the other way round."""

    route: int = 0
    mode: str = "bus"
    stops: tuple[OracleSpot, ...] = ()

    def run(self, direction: int) -> tuple[OracleSpot, ...]:
        return self.stops[::-1] if direction else self.stops


@dataclass(slots=True)
class TruePost:
    """One terminal as it truly stands. `served` is what it gave to each pupil on each of its days."""

    number: int
    canteen: bool
    way: TrueWay = TrueWay()
    direction: int = 0
    stop: OracleSpot | None = None
    """Where its crew said it is."""
    companions: int = 0
    """So many more ride with the next card, until `asked_until_s`."""
    asked_until_s: float = 0.0
    announced: int = 0
    """How often its crew has announced companions."""
    denied: Mapping[int, str] = field(default_factory=dict)
    offered: Mapping[int, str] | None = None
    """Whom its deny list refuses, and as what; the list that waits for a clock in no doubt."""
    break_until_s: float | None = None
    """Until then its crew has a break; None: it has none."""
    clock: TrueClock = field(default_factory=TrueClock)
    served: dict[tuple[int, Any], frozenset[str]] = field(default_factory=dict)
    paid: dict[int, dict[Any, int]] = field(default_factory=dict)
    """What parents paid here for each pupil, by day: of what others sold a terminal knows nothing."""
    open: dict[int, OracleAnswer] = field(default_factory=dict)
    """Taps whose end this terminal may not have on record, by rider."""
    taken: dict[int, int] = field(default_factory=dict)
    """Which announcement those took along that were written and not answered: here it still counts."""

    def take_up(self) -> None:
        """At a start and before each tap: the deny list that waits comes into force."""
        if self.offered is not None and not self.clock.suspect:
            self.denied, self.offered = self.offered, None


@dataclass(slots=True)
class TrueTicket:
    """What was sold for cash, and whether it was taken back."""

    sum_minor: int
    ticket: str
    cancelled: bool = False


@dataclass(slots=True)
class ExpectedTap:
    """What a tap may come to: the decision, or once more the answer of an earlier tap that may not have ended."""

    anew: OracleAnswer
    repeated: OracleAnswer | None
    at: datetime
    asked: bool = False
    """Whether the ride is the one that the crew announced."""
    late: bool = False
    """Whether the earlier tap took those announced, and all that it does now is to say so."""


@dataclass(frozen=True, slots=True)
class Misjudged:
    """A tap that came to something else, and by how much money."""

    what: str
    off_minor: int = 0


class Truth:
    """All cards and terminals of a town, by the numbers the plan uses."""

    def __init__(self, tariff: Tariff, school: str = "") -> None:
        self.tariff = tariff
        self.school = school
        self.posts: list[TruePost] = []
        self.cards: list[OracleCard] = []
        self.pupils: dict[int, OraclePupil] = {}
        self.found: list[Misjudged] = []
        self.published: Mapping[int, str] = {}
        """Whom the newest deny list refuses, and as what."""
        self.meals: dict[tuple[int, int], OracleMeal] = {}
        self.charges: dict[tuple[int, int], int] = {}
        """What each tap that wrote a card has to have on record, by terminal and number."""
        self.tickets: dict[tuple[int, int], TrueTicket] = {}
        """What was sold for cash, by terminal and row."""
        self.decided = 0
        self._newest: list[bytes] = []
        self._copy_of: dict[int, int] = {}
        self._lost_track: set[int] = set()

    def issued(self, card: VirtualCard, profile: CardProfile, day: date) -> None:
        """One more resident, with the card as it was issued on that day."""
        self.cards.append(true_card(profile, self.tariff, day))
        self._newest.append(newest_event(card))

    # One tap

    def expect(self, terminal: int, rider: int, at: datetime, ahead_s: float, now_s: float) -> ExpectedTap:
        """What the rules say of the tap that now begins, `at` by the terminal's clock."""
        post, card = self.posts[terminal], self.cards[rider]
        post.clock.look(ahead_s, now_s)
        post.take_up()
        at = at.replace(microsecond=0)
        repeated = self._repeated(post, card, rider, at)
        asked = post.companions if now_s < post.asked_until_s else 0
        late = bool(asked) and repeated is None and post.taken.get(rider) == post.announced
        asked = 0 if late else asked
        tap = self._tap(post, rider, at, asked)
        till = self._till(post, rider, tap) if post.canteen else OracleTill()
        anew = decide(self.tariff, card, tap, till)
        boards = anew.written and anew.card.kind in ("ride", "check_in")
        if asked and not boards and anew.admission != "refused":
            tap = self._tap(post, rider, at, 0)  # it was asked for the next one who gets on
            anew = decide(self.tariff, card, tap, till)
        return ExpectedTap(anew, repeated, tap.at, asked=bool(asked and boards), late=late)

    def _tap(self, post: TruePost, rider: int, at: datetime, companions: int) -> OracleTap:
        suspect = post.clock.suspect
        return OracleTap(
            post.number,
            _ride(post, at),
            post.canteen,
            companions=companions,
            on_break=post.break_until_s is not None,
            suspect=suspect,
            confirmed=suspect,
            authenticated=post.clock.agrees,
            denied=post.denied.get(self._holder(rider), ""),
        )

    def ticket_minor(self, post: TruePost, at: datetime, ticket: str) -> int | None:
        """What a ticket costs now; None where none is sold: in a break, or after the document has ended (O-01)."""
        over = at >= self.tariff.over_at and not post.clock.suspect
        unknown = "fares" not in self.tariff.doc and ticket != "luggage"  # whose price is its own
        if unknown or over or post.break_until_s is not None:
            return None
        return self.tariff.ticket_price(_ride(post, at), ticket)

    def _till(self, post: TruePost, rider: int, tap: OracleTap) -> OracleTill:
        rider = self._holder(rider)
        day, pupil, paid = self.tariff.day(tap.at), self.pupils.get(rider), post.paid.get(rider, {})
        if pupil is not None and pupil.hot is not None:
            pupil = replace(pupil, hot=pupil.hot - sum(paid.values()), spent=paid.get(day, 0))
        return OracleTill(self.school, pupil=pupil, served=post.served.get((rider, day), frozenset()))

    def _repeated(self, post: TruePost, card: OracleCard, rider: int, at: datetime) -> OracleAnswer | None:
        """The answer of the earlier tap here, while that is the newest on the card and not long ago."""
        earlier = post.open.get(rider)
        soon = abs(at - card.at) <= timedelta(seconds=self.tariff.guards["retap_s"])
        return earlier if earlier is not None and earlier.card is card and soon else None

    def came(
        self,
        terminal: int,
        rider: int,
        expected: ExpectedTap,
        card: VirtualCard,
        heard: Outcome | None,
        *,
        disturbed: bool,
    ) -> bool:
        """What the passenger saw, None for nothing, and what the card holds now. Whether it was an earlier answer."""
        self.decided += 1
        newest = newest_event(card)
        written, self._newest[rider] = newest != self._newest[rider], newest
        if rider in self._lost_track:
            return False
        before = len(self.found)
        post = self.posts[terminal]
        repeated = self._seen(post, expected, heard, written=written, disturbed=disturbed)
        self._board(post, rider, expected, heard, written=written, repeated=repeated)
        if written:
            self._written(post, rider, expected, newest)
        if disturbed and written:
            post.open[rider] = expected.anew
        elif not disturbed and (written or repeated):
            post.open.pop(rider, None)
            post.taken.pop(rider, None)
        if not written and not repeated and heard is not None and heard.accepted and post.canteen:
            self._served(post, rider, expected)
        if len(self.found) > before:
            self._lost_track.add(rider)
        return repeated

    @staticmethod
    def _board(
        post: TruePost,
        rider: int,
        expected: ExpectedTap,
        heard: Outcome | None,
        *,
        written: bool,
        repeated: bool,
    ) -> None:
        """T-34: those announced ride with the tap that is let in; any other leaves them for the next card."""
        answered = heard is not None and heard.accepted
        settled = repeated and post.taken.get(rider) == post.announced
        read = heard is not None and str(heard.message) not in TROUBLE
        if settled or (expected.late and read) or (written and expected.asked and answered):
            post.companions = 0
        elif written and expected.asked:
            post.taken[rider] = post.announced

    def copied(self, rider: int) -> int:
        """A card with the memory of that rider's, as another rider."""
        self.cards.append(self.cards[rider])
        self._newest.append(self._newest[rider])
        self._copy_of[len(self.cards) - 1] = rider
        return len(self.cards) - 1

    def _holder(self, rider: int) -> int:
        """Whose card it is: a copy is its original's to all who look at it."""
        return self._copy_of.get(rider, rider)

    def newest_tap(self, rider: int) -> tuple[int, int]:
        """Terminal and number of the newest event on the card."""
        event = parse_event(self._newest[rider])
        return event.terminal, event.sequence

    def clear(self, rider: int) -> bool:
        """Whether all taps of the card have ended for every terminal, and all was as it should be."""
        return rider not in self._lost_track and all(rider not in post.open for post in self.posts)

    def listed(
        self, terminal: int, rider: int, at: datetime, message: str, sources: Mapping[str, int] | None
    ) -> None:
        """What came of a pupil on a class list."""
        post = self.posts[terminal]
        at = at.replace(microsecond=0)
        tap = replace(self._tap(post, rider, at, 0), denied="")  # no card is asked for
        nothing = OracleCard(self.tariff.doc["header"]["region"], date.min, date.max, at, self.tariff.day(at))
        till, earlier = self._till(post, rider, tap), post.open.get(rider)
        expected = ExpectedTap(decide(self.tariff, nothing, tap, till), None, at)
        if earlier is not None and earlier.meal is not None and _came(expected.anew) != (message, sources):
            # The card took that meal, and left before the terminal knew.
            till = replace(till, served=till.served - {earlier.meal.kind})
            expected = ExpectedTap(decide(self.tariff, nothing, tap, till), None, at)
        right = _came(expected.anew)
        self.decided += 1
        self._off_if(
            right != (message, sources), post, expected, f"class list {message} {sources} for {right}"
        )
        self._served(post, rider, expected)

    def _seen(
        self, post: TruePost, expected: ExpectedTap, heard: Outcome | None, *, written: bool, disturbed: bool
    ) -> bool:
        """Compare the answer; whether it was that of the earlier tap."""
        if heard is None:
            self._off_if(not disturbed, post, expected, "nothing was answered")
            return False
        anew, earlier = expected.anew, expected.repeated
        if earlier is not None and not written and _repeats(earlier, heard):
            return True
        if disturbed and str(heard.message) in TROUBLE and heard.admission.value == "refused":
            return False
        said, right = _outcome_seen(heard), _outcome_expected(anew)
        if said != right:
            what = {name: (right[name], said[name]) for name in right if right[name] != said[name]}
            off = abs(heard.charge_minor - anew.charge)
            self._off_if(True, post, expected, f"rules and answer {what}", off)
        elif anew.written and not written and not (disturbed and _given_without_record(anew)):
            self._off_if(True, post, expected, f"{anew.message}: nothing is on the card", anew.charge)
        return False

    def _written(self, post: TruePost, rider: int, expected: ExpectedTap, newest: bytes) -> None:
        event, right = parse_event(newest), expected.anew
        if not right.written:
            self._off_if(True, post, expected, f"{right.message}, and yet an event", event.amount_minor)
            return
        got, wanted = event_seen(self.tariff, event, right.card), card_expected(self.tariff, right)
        if got != wanted:
            what = {name: (wanted[name], got[name]) for name in wanted if wanted[name] != got[name]}
            off = abs(event.amount_minor - right.charge)
            self._off_if(True, post, expected, f"rules and card {what}", off)
        self.cards[rider] = right.card
        self.charges[event.terminal, event.sequence] = right.charge
        if right.meal is not None:
            self.meals[event.terminal, event.sequence] = right.meal
        if post.canteen:
            self._served(post, rider, expected)

    def _served(self, post: TruePost, rider: int, expected: ExpectedTap) -> None:
        rider = self._holder(rider)
        meal, day = expected.anew.meal, self.tariff.day(expected.at)
        if meal is None:
            return
        post.served[rider, day] = post.served.get((rider, day), frozenset()) | {meal.kind}
        paid = post.paid.setdefault(rider, {})
        paid[day] = paid.get(day, 0) + meal.sources.get("parents", 0)

    def off_if(self, off: bool, number: int, what: str) -> None:
        """What a terminal did besides its taps, if that is not what the rules say."""
        self.decided += 1
        if off:
            self.found.append(Misjudged(f"terminal {number}: {what}"))

    def _off_if(self, off: bool, post: TruePost, expected: ExpectedTap, what: str, minor: int = 0) -> None:
        if off:
            where = f"terminal {post.number} at {expected.at:%m-%d %H:%M:%S}"
            self.found.append(Misjudged(f"{where}: {what}", minor))


def _came(answer: OracleAnswer) -> tuple[str, Mapping[str, int] | None]:
    return answer.message, None if answer.meal is None else dict(answer.meal.sources)


def _ride(post: TruePost, at: datetime) -> OracleRide:
    """The ride from this vehicle as far as it is known: by hand, or not at all."""
    stops, way = post.way.run(post.direction), post.way
    first, last = (stops[0], stops[-1]) if stops else (OracleSpot(), OracleSpot())
    stated = "unknown" if post.stop is None else "hand"
    start = post.stop or OracleSpot()
    return OracleRide(
        at, way.mode, way.route, post.direction, start, terminus=last, first=first, stated_by=stated
    )


def _given_without_record(answer: OracleAnswer) -> bool:
    """O-06: an entitled meal is given although the journal takes nothing, and the card stays as it is."""
    return answer.meal is not None and answer.meal.entitled


def _repeats(earlier: OracleAnswer, heard: Outcome) -> bool:
    return (str(heard.message), heard.admission.value) == (earlier.message, "let_in")


def _outcome_seen(heard: Outcome) -> dict[str, object]:
    values = {name: heard.values[name] for name in WATCHED if name in heard.values}
    return {
        "message": str(heard.message),
        "admission": heard.admission.value,
        "charge": heard.charge_minor,
        "values": {name: _plain(value) for name, value in values.items()},
    }


def _outcome_expected(answer: OracleAnswer) -> dict[str, object]:
    values = {name: answer.values[name] for name in WATCHED if name in answer.values}
    return {
        "message": answer.message,
        "admission": answer.admission,
        "charge": answer.charge,
        "values": values,
    }


def _plain(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value


def event_seen(tariff: Tariff, event: Event, card: OracleCard) -> dict[str, object]:
    """What an event says, counters by the names the document gives them."""
    kinds = {row["id"]: 1 << row["bit"] for row in tariff.doc.get("meals", {}).get("kinds", [])}
    counters = dict(_counters(tariff, event.counters))
    hidden = _hidden(tariff, card)
    return {
        "amount": event.amount_minor,
        "balance": event.balance_after_minor,
        "kind": event.kind.name.lower(),
        "paid_by": event.paid_by.name.lower(),
        "inside": event.inside,
        "way": (event.route, event.direction),
        "meals": sorted(name for name, bit in kinds.items() if event.meals & bit),
        "followed": event.transfers,
        "at": event.at,
        "period": tariff.day(event.at) + timedelta(days=event.period_ahead),
        "counters": {name: n for name, n in counters.items() if n and name not in hidden},
    }


def card_expected(tariff: Tariff, answer: OracleAnswer) -> dict[str, object]:
    """The same of the card as it should be."""
    card, used = answer.card, dict(answer.card.used)
    if tariff.checkin is not None:
        used[tariff.checkin["reserve"]] = card.held
    units = {name: int(slot.get("unit_minor", 1)) for name, slot in tariff.slots.items()}
    hidden = _hidden(tariff, card)
    return {
        "amount": answer.charge,
        "balance": card.money,
        "kind": card.kind,
        "paid_by": card.paid_by,
        "inside": card.inside,
        "way": (card.route, card.direction),
        "meals": sorted(card.meals),
        "followed": 0 if card.journey is None else card.journey.followed,
        "at": card.at,
        "period": card.period,
        "counters": {name: n // units[name] for name, n in used.items() if n and name not in hidden},
    }


def _counters(tariff: Tariff, bits: int) -> Iterator[tuple[str, int]]:
    """The split of the document: the first slot is the highest."""
    left = COUNTER_BITS
    for name, slot in tariff.slots.items():
        left -= int(slot["bits"])
        yield name, bits >> left & ((1 << int(slot["bits"])) - 1)


def _hidden(tariff: Tariff, card: OracleCard) -> set[str]:
    """Numbers that mean something to the terminals alone, and counters of slots that hold no contract."""
    checkin: Mapping[str, Any] = tariff.checkin or {}
    named = [tariff.doc["counters"].get("journey"), checkin.get("zone"), checkin.get("mark")]
    named += [rule.get("began") for rule in tariff.returns]
    slots = zip(tariff.contract_slots, card.bought, strict=True)
    return {name for name in named if name} | {slot for slot, bought in slots if bought is None}
