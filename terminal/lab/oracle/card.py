"""What a card means: who may ride, what was used in which period, the open journey, persons inside, money held.

Nothing here knows bits: a counter is a number under the name the region document gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from terminal.lab.oracle.tariff import DocumentTable, OracleRide, OracleSpot, Tariff, replace

FIRST_AT: Final = datetime(2024, 1, 1, tzinfo=UTC)
LAST_AT: Final = FIRST_AT + timedelta(seconds=(1 << 30) - 1)
MOST_TRANSFERS: Final = 15
LONGEST_AGE_S: Final = (1 << 17) - 2
MOST_INSIDE: Final = 7
SERVICE_POINT: Final = 0xFFFFF
Values = Mapping[str, int | str]


@dataclass(frozen=True)
class OracleRight:
    """A concession or a product bought; both days included. `number`: the concession's parameter, the trips bought."""

    code: int
    first: date
    last: date
    number: int = 0

    def holds(self, day: date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True)
class OpenJourney:
    """An open journey: how old at the newest event, how many rides followed, which transfer rule it is under."""

    age_s: int
    followed: int
    rule: str


@dataclass(frozen=True)
class OracleCard:
    """The state after the newest event. `period` is the day whose periods the counters belong to; `vague`: that
    day or an earlier one (-1), or a later one (1) (ADR 26). `readable`: the counters are of this document's split."""

    region: int
    first: date
    last: date
    at: datetime
    period: date
    grants: tuple[OracleRight | None, ...] = (None, None, None)
    bought: tuple[OracleRight | None, ...] = (None, None)
    blocked: bool = False
    inactive: bool = False
    money: int = 0
    kind: str = "issue"
    terminal: int = 0
    route: int = 0
    direction: int = 0
    paid_by: str = "nothing"
    journey: OpenJourney | None = None
    inside: int = 0
    held: int = 0
    boarded: OracleSpot = field(default_factory=OracleSpot)
    used: Mapping[str, int] = field(default_factory=dict)
    meals: frozenset[str] = frozenset()
    vague: int = 0
    readable: bool = True
    began: Mapping[str, datetime] = field(default_factory=dict)
    """When the outward ride of each return began."""
    issued: date = date.min

    def count(self, counter: str) -> int:
        return self.used.get(counter, 0)

    def counted(self, more: Mapping[str, int]) -> OracleCard:
        return self.setting({name: self.count(name) + n for name, n in more.items()})

    def setting(self, counters: Mapping[str, int]) -> OracleCard:
        return replace(self, used={**self.used, **counters})


@dataclass(frozen=True)
class OracleMeal:
    """A portion that was given, and who pays how much of it; `entitled`: any budget does."""

    kind: str
    sources: Mapping[str, int]
    entitled: bool


@dataclass(frozen=True)
class OracleTap:
    """A tap and all that is known besides the card; `ride` states when, by the terminal's own clock."""

    terminal: int
    ride: OracleRide
    canteen: bool = False
    companions: int = 0
    suspect: bool = False
    confirmed: bool = False
    authenticated: bool = False
    lists_age_s: tuple[int, int] = (0, 0)
    document_age_s: int = 0
    razzia: bool = False
    shift_open: bool = True
    on_break: bool = False
    reader_ok: bool = True
    inspection: bool = False
    denied: str = ""
    """Whether the deny list has this "card", or its holder, a "person"."""

    @property
    def at(self) -> datetime:
        return self.ride.at

    @property
    def trusted(self) -> bool:
        """Whether its date may be believed."""
        return not self.suspect and FIRST_AT <= self.at <= LAST_AT


@dataclass(frozen=True)
class OracleAnswer:
    """What came of it. `card` is the card afterwards, the same one where nothing was written."""

    admission: str
    message: str
    card: OracleCard
    charge: int = 0
    values: Values = field(default_factory=dict)
    written: bool = False
    flags: frozenset[str] = frozenset()
    says: frozenset[str] = frozenset()
    """Which of the rules between rides it goes by."""
    meal: OracleMeal | None = None


def refused(card: OracleCard, message: str, **values: int | str) -> OracleAnswer:
    return OracleAnswer("refused", message, card, values=values)


def on_day(
    tariff: Tariff, card: OracleCard, tap: OracleTap, lift: bool = True
) -> tuple[OracleCard, frozenset[str]]:
    """The card in the period that the terminal's clock may begin (ADR 26); no `lift`: where no ride begins."""
    today, written_on, before = tariff.day(tap.at), tariff.day(card.at), card.period
    period, flags, vague, used = before, frozenset[str](), card.vague, dict(card.used)
    if tap.trusted:
        if (vague < 0 and today <= before) or (vague > 0 and today >= before):
            period = today
        elif today > before and lift:
            period, used = today, {k: n for k, n in used.items() if _goes_on(tariff, k, before, today)}
        elif before > today + timedelta(days=1):
            flags = frozenset({"period_lowered" if tap.authenticated else "period_ahead"})
            period = today if tap.authenticated else before
        vague = 0
    for slot, bought in zip(tariff.contract_slots, card.bought, strict=True):
        if bought is not None and bought.first > max(written_on, before) and card.vague <= 0:
            used.pop(slot, None)
    served_on = written_on if card.kind == "meal" else None if card.vague else before
    eaten_on = today if tap.canteen else None if vague else period
    meals = card.meals if served_on is not None and served_on == eaten_on else frozenset()
    card = replace(card, period=period, vague=vague, used=used, meals=meals)
    seconds, journey = elapsed_s(tariff, card, tap), card.journey
    riding = may_end(tariff, card, seconds)
    card = without_late_outward(tariff, card, card.at if riding else tap.at)
    rule = journey.rule if journey is not None else None
    if not card.readable and "journey" in tariff.doc["counters"]:
        rule = tariff.doc["fares"].get("transfer")
    if journey is None or seconds is None or rule is None:
        return without_journey(tariff, card), flags
    journey = replace(journey, age_s=journey.age_s + seconds, rule=rule)
    over = journey.age_s > tariff.transfers[journey.rule]["window_s"]
    if over and riding and card.paid_by == "transfer" and "paid" in tariff.transfers[journey.rule]:
        journey, over = replace(journey, age_s=min(journey.age_s, LONGEST_AGE_S)), False
    return without_journey(tariff, card) if over else replace(card, journey=journey), flags


def may_end(tariff: Tariff, card: OracleCard, seconds: int | None) -> bool:
    """Whether those inside may still tap out: what their ride is charged by stays on the card."""
    longest = tariff.checkin["longest_s"] if tariff.checkin is not None else -1
    return bool(card.inside) and seconds is not None and seconds <= longest


def without_late_outward(tariff: Tariff, card: OracleCard, at: datetime) -> OracleCard:
    """The card without outward rides from which there is no way back any more (T-39)."""
    if not card.readable:
        return card
    late = [rule["outward"] for rule in tariff.returns if not is_open(tariff, card, rule, at)]
    return card.setting(dict.fromkeys(late, 0))


def is_open(tariff: Tariff, card: OracleCard, rule: DocumentTable, at: datetime) -> bool:
    """A way back begun `at` is one: in the time from the outward ride, rounded up to a step. None is where the newest
    event lies ahead (O-05)."""
    if not card.count(rule["outward"]) or "window_s" not in rule:
        return bool(card.count(rule["outward"]))
    if (card.at - at).total_seconds() > int(tariff.guards["clock_skew_s"]):
        return False
    step, since = int(rule.get("step_s", 60)), int((card.began[rule["id"]] - FIRST_AT).total_seconds())
    return int((at - FIRST_AT).total_seconds()) - -(-since // step) * step <= int(rule["window_s"])


def _goes_on(tariff: Tariff, name: str, before: date, after: date) -> bool:
    kind = tariff.slots[name]["period"]
    same = tariff.period(kind, before) == tariff.period(kind, after)
    return kind in ("contract", "kept", "journey") or same


def without_journey(tariff: Tariff, card: OracleCard) -> OracleCard:
    used = {name: n for name, n in card.used.items() if tariff.slots[name]["period"] != "journey"}
    return replace(card, used=used, journey=None)


def elapsed_s(tariff: Tariff, card: OracleCard, tap: OracleTap) -> int | None:
    """Seconds since the newest event; None: it lies in the future, by more than clocks may differ (O-05)."""
    seconds = int((tap.at - card.at).total_seconds())
    return None if seconds < -tariff.guards["clock_skew_s"] else max(0, seconds)


def written(tariff: Tariff, card: OracleCard, tap: OracleTap) -> OracleCard:
    """What the card can hold of this state: times, distances to the period day and counters have their limits."""
    at = min(max(tap.at.replace(microsecond=0), FIRST_AT), LAST_AT)
    ahead = min(max((card.period - tariff.day(at)).days, -32), 31)
    if card.vague:
        ahead = -32 if card.vague < 0 and tariff.day(at) >= tariff.day(card.at) else 31
    used = {name: min(n, tariff.most(name)) for name, n in card.used.items() if n}
    period = tariff.day(at) + timedelta(days=ahead)
    return replace(
        card, at=at, period=period, vague=(ahead > 30) - (ahead < -31), used=used, terminal=tap.terminal
    )


def at_service_point(
    tariff: Tariff, card: OracleCard, at: datetime, money: int, rights: OracleCard
) -> OracleCard:
    """The card after a reload or issuing point, with the rights of `rights`; a new contract is counted from 0."""
    tap = OracleTap(SERVICE_POINT, OracleRide(at, "bus", 0, 0))
    now, _ = on_day(tariff, card, tap, lift=False)
    for slot, old, new in zip(tariff.contract_slots, card.bought, rights.bought, strict=True):
        if new is not None and (old is None or (old.code, old.first) != (new.code, new.first)):
            now = now.setting({slot: 0})
    now = replace(now, kind="reload" if money else "rights_change", money=card.money + money)
    now = now if card.inside else replace(now, route=0, direction=0, paid_by="nothing")
    return written(tariff, replace(now, grants=rights.grants, bought=rights.bought), tap)
