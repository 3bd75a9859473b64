"""A meal by the card alone: no roster, the meal of the hour (M-10 to M-20, M-37)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from tests.oracle.card import Answer, Card, Grant, Tap, refused, written
from tests.oracle.tariff import Table, Tariff


def decide(tariff: Tariff, old: Card, card: Card, tap: Tap) -> Answer:
    """Served where the card's grounds give the kind of the hour and it was not served on this day."""
    meals: Table = tariff.doc.get("meals", {})
    now = tariff.local(tap.at).time()
    kind = next(
        (k["id"] for k in meals.get("kinds", []) if k["served_from"] <= now < k["served_until"]), None
    )
    if kind is None:
        return refused(old, "no_meal_now")
    if kind not in entitled(tariff, card, tariff.day(tap.at)):
        return refused(old, "meal_not_arranged")
    if kind in card.meals:
        return Answer("refused", "meal_already", old, values={"meal": kind})
    after = replace(card, kind="meal", meals=card.meals | {kind})
    if not card.inside:
        after = replace(after, route=0, direction=0, paid_by="budget")
    return Answer("let_in", "meal_ok", written(tariff, after, tap), 0, {"meal": kind}, True)


def entitled(tariff: Tariff, card: Card, day: date) -> set[str]:
    """The kinds the card's grounds give, two grounds by the document's pairs (M-16)."""
    grounds = [(g.code, e) for g in card.grants if g is not None for e in [_entitlement(tariff, g, day)] if e]
    combine: list[Table] = tariff.doc["meals"].get("combine", [])
    lost = {c["loser"] for c in combine if c["kind"] == "replace" and c["winner"] in {g for g, _ in grounds}}
    left = [entitlement for code, entitlement in grounds if code not in lost]
    best = max(left, key=lambda e: (len(e["kinds"]), e["sum"]), default=None)
    return set() if best is None else best["kinds"]


def _entitlement(tariff: Tariff, grant: Grant, day: date) -> Table | None:
    if not grant.first <= day <= grant.last:
        return None
    grade, shift = grant.parameter & 15, grant.parameter >> 4
    year = tariff.doc["meals"].get("school_year", {"month": 9, "day": 1})
    promoted = _school_year(day, year) - _school_year(grant.first, year)
    grade = grade + promoted if grade else 0
    for rule in tariff.doc["meals"].get("entitlements", []):
        grades = rule.get("grades")
        fits = rule["code"] == grant.code and (
            not grade or not grades or grades["first"] <= grade <= grades["last"]
        )
        if fits and rule.get("shift", shift or 1) == (shift or 1):
            return {
                "kinds": {_kind(tariff, p["kind"], shift or 1) for p in rule["portions"]},
                "sum": rule["day_sum_minor"],
            }
    return None


def _kind(tariff: Tariff, kind: str, shift: int) -> str:
    by_shift = {row["shift"]: row["kind"] for row in tariff.doc["meals"].get("by_shift", [])}
    return by_shift[shift] if kind == "by_shift" else kind


def _school_year(day: date, begins: Table) -> int:
    return day.year - ((day.month, day.day) < (begins["month"], begins["day"]))
