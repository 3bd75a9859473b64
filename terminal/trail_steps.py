"""A step of a trail in words: the rule's name, what its effect did, and what it looked at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from terminal.money import money
from terminal.texts import N_, NP_, translator
from terminal.trail import Reason, TrailEntry
from terminal.trail_words import ENGLISH, effect_words

FUNDED_BY: Final = "M-01"
"""The rule whose steps name each funder with the sum it pays."""

RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "K-01": N_("one medium of the holder is active"),
        "K-02": N_("the first right that holds, in profile order"),
        "K-03": N_("unfinished writes and foreign cards"),
        "T-01": N_("the fare depends on the medium"),
        "T-02": N_("a share of the base tariff"),
        "T-03": N_("a fixed amount off"),
        "T-04": N_("a fixed price"),
        "T-05": N_("free travel"),
        "T-06": N_("fare by distance"),
        "T-07": N_("check-in and check-out"),
        "T-08": N_("rounding to the minor unit"),
        "T-10": N_("a pack of trips"),
        "T-11": N_("a pack whose rest is carried over"),
        "T-12": N_("a limit of trips"),
        "T-13": N_("over the limit the ordinary fare"),
        "T-14": N_("the service day"),
        "T-15": N_("season of a concession"),
        "T-16": N_("days of sale"),
        "T-17": N_("where it holds"),
        "T-18": N_("winter grace for a child without money"),
        "T-19": N_("city and suburban trips counted apart"),
        "T-20": N_("the companion"),
        "T-30": N_("free transfer"),
        "T-31": N_("cheaper following trips"),
        "T-32": N_("mixed window: the metro once"),
        "T-33": N_("the same route is a new trip"),
        "T-34": N_("a purse may pay for several"),
        "T-35": N_("repeated tap"),
        "T-36": N_("a card cannot be passed back"),
        "T-37": N_("daily ceiling"),
        "T-38": N_("a dearer ride pays the difference"),
        "T-39": N_("return discount"),
        "T-40": N_("bank card: charged later"),
        "T-41": N_("debt of a bank card"),
        "T-42": N_("deny list of bank cards"),
        "T-43": N_("a deny list that is too old"),
        "T-55": N_("tickets for children and luggage"),
        "T-60": N_("no sale without a shift"),
        "T-61": N_("place of the vehicle"),
        "T-62": N_("turns of the vehicle"),
        "T-64": N_("out of service"),
        "T-68": N_("a break of the crew"),
        "T-70": N_("inspection"),
        "T-71": N_("a card in the wrong hands"),
        "M-01": N_("whose money pays"),
        "M-02": N_("parents' limits"),
        "M-03": N_("parents' money"),
        "M-10": N_("grades 1-4: a free hot meal"),
        "M-11": N_("special needs: two free meals"),
        "M-12": N_("large and low-income families"),
        "M-13": N_("children of service members"),
        "M-14": N_("categories of the region"),
        "M-15": N_("the meal of the shift"),
        "M-16": N_("several grounds"),
        "M-17": N_("days of attendance"),
        "M-18": N_("home schooled"),
        "M-19": N_("one portion of each kind a day"),
        "M-20": N_("valid from and to, both included"),
        "M-30": N_("way of serving"),
        "M-31": N_("group issue"),
        "M-32": N_("pre-order"),
        "M-33": N_("attendance"),
        "M-34": N_("annulment"),
        "M-35": N_("lent card"),
        "M-36": N_("parents' credit"),
        "M-37": N_("no child is turned away"),
        "M-38": N_("privacy at the counter"),
        "O-01": N_("everything needed is on the terminal"),
        "O-02": N_("card, list and block"),
        "O-03": N_("age of data"),
        "O-04": N_("counters on the card"),
        "O-05": N_("clocks"),
        "O-06": N_("storage"),
        "O-08": N_("served twice"),
        "O-09": N_("without deny lists"),
        "O-14": N_("the age of signed bundles"),
        "CAP": N_("cap of a day, week or month"),
        "G-01": N_("fare of a GTFS leg"),
        "G-02": N_("GTFS transfer"),
        "G-03": N_("legs that count as one"),
        "G-04": N_("the destination is not known"),
        "G-05": N_("correction at the tap-off"),
        "G-06": N_("no tap-off"),
        "G-07": N_("no fare in the feed"),
        "G-08": N_("the fare for unknown rides"),
        "G-09": N_("more is paid than it costs"),
        "CREDENTIAL": N_("the issuer's signature"),
        "PHONE": N_("the phone's own proof"),
    }
)
"""The rules by their ids, each in one short line."""

INPUTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "age_s": NP_("trail input", "age"),
        "answered_ms": NP_("trail input", "answered after, ms"),
        "balance_minor": NP_("trail input", "balance"),
        "base_minor": NP_("trail input", "base"),
        "behind_s": NP_("trail input", "behind"),
        "calendar": NP_("trail input", "calendar"),
        "cap": NP_("trail input", "cap"),
        "charge_minor": NP_("trail input", "charge"),
        "charged_minor": NP_("trail input", "charged"),
        "closes": NP_("trail input", "closes"),
        "code": NP_("trail input", "code"),
        "companions": NP_("trail input", "companions"),
        "counter": NP_("trail input", "counter"),
        "credit_minor": NP_("trail input", "credit"),
        "data_age_s": NP_("trail input", "data age"),
        "document_age_s": NP_("trail input", "age of the document"),
        "day": NP_("trail input", "day"),
        "days": NP_("trail input", "days"),
        "due_minor": NP_("trail input", "due"),
        "event_at": NP_("trail input", "event"),
        "expires_on": NP_("trail input", "expires on"),
        "fare": NP_("trail input", "fare"),
        "fare_minor": NP_("trail input", "fare"),
        "free_minor": NP_("trail input", "free"),
        "from_group": NP_("trail input", "from group"),
        "from_origin": NP_("trail input", "from origin"),
        "grade": NP_("trail input", "grade"),
        "grounds": NP_("trail input", "grounds"),
        "held_minor": NP_("trail input", "held"),
        "journey_age_s": NP_("trail input", "journey age"),
        "jump_s": NP_("trail input", "jump"),
        "kept": NP_("trail input", "kept"),
        "last": NP_("trail input", "last"),
        "leg_rule": NP_("trail input", "leg rule"),
        "length_s": NP_("trail input", "length"),
        "limit_ms": NP_("trail input", "limit, ms"),
        "limit_minor": NP_("trail input", "limit"),
        "meal": NP_("trail input", "meal"),
        "meals": NP_("trail input", "meals"),
        "mode": NP_("trail input", "mode"),
        "month": NP_("trail input", "month"),
        "of": NP_("trail input", "of"),
        "opens": NP_("trail input", "opens"),
        "own_minor": NP_("trail input", "own price"),
        "paid": NP_("trail input", "paid"),
        "paid_minor": NP_("trail input", "paid so far"),
        "persons": NP_("trail input", "persons"),
        "price_minor": NP_("trail input", "price"),
        "product": NP_("trail input", "product"),
        "profile": NP_("trail input", "profile"),
        "region": NP_("trail input", "region"),
        "reserved_minor": NP_("trail input", "reserved"),
        "return": NP_("trail input", "return"),
        "route": NP_("trail input", "route"),
        "sequence": NP_("trail input", "row"),
        "serving": NP_("trail input", "serving"),
        "since": NP_("trail input", "since"),
        "since_at": NP_("trail input", "since"),
        "slot": NP_("trail input", "slot"),
        "spent_minor": NP_("trail input", "spent"),
        "sum_minor": NP_("trail input", "sum"),
        "taps": NP_("trail input", "taps"),
        "terminal": NP_("trail input", "terminal"),
        "time": NP_("trail input", "time"),
        "to_group": NP_("trail input", "to group"),
        "to_mark_m": NP_("trail input", "to metre"),
        "to_stop": NP_("trail input", "to stop"),
        "to_zone": NP_("trail input", "to zone"),
        "transfer_minor": NP_("trail input", "transfer"),
        "transfer_rule": NP_("trail input", "transfer rule"),
        "transfers": NP_("trail input", "transfers"),
        "type": NP_("trail input", "type"),
        "unpaid": NP_("trail input", "unpaid"),
        "until": NP_("trail input", "until"),
        "used": NP_("trail input", "used"),
        "valid_from": NP_("trail input", "valid from"),
        "valid_to": NP_("trail input", "valid to"),
        "window_s": NP_("trail input", "window"),
    }
)
"""What a step looked at; an input without a word keeps its name."""


def rule_title(rule: str, language: str = ENGLISH) -> str:
    """The name of a rule, empty for one of other software."""
    title = RULES.get(rule)
    return "" if title is None else translator(language).gettext(title)


def step_line(
    step: Reason | TrailEntry, currency: str, language: str = ENGLISH, *, titled: bool = True
) -> str:
    """One step of a trail: "T-12 (a limit of trips): one ride of the month's limit [used 3, of 50]".

    Its sums are in `currency`. `titled` adds the rule's name to its id.
    """
    title = rule_title(step.rule, language) if titled else ""
    named = f"{step.rule} ({title})" if title else step.rule
    funded = step.rule == FUNDED_BY
    inputs = ", ".join(_input(name, value, currency, language, funded) for name, value in step.inputs.items())
    return f"{named}: {effect_words(step.code, language)}{f' [{inputs}]' if inputs else ''}"


def _input(name: str, value: int | str, currency: str, language: str, funded: bool) -> str:
    t = translator(language)
    label = t.pgettext("trail input", INPUTS[name]) if name in INPUTS else _bare(name)
    if isinstance(value, str):
        return f"{label} {value}"
    if name.endswith("_minor") or funded:
        return f"{label} {money(value, currency, language)}"
    if name.endswith("_at"):
        return f"{label} {datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%SZ}"
    if name.endswith("_s"):
        return f"{label} {t.gettext('{n} s').format(n=value)}"
    return f"{label} {value}"


def _bare(name: str) -> str:
    return name.removesuffix("_minor").removesuffix("_s").removesuffix("_at")
