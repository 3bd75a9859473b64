"""What a bus day comes to, counted from its exported rows alone: no fold, no totals and no books of the product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ADMITTED = {"let_in": "accepted", "inside": "inside", "refused": "refused"}
NAMES = (
    *("taps", "accepted", "inside", "refused", "not_committed", "unresolved", "charged_minor"),
    *("cash_sales", "cash_minor", "cancelled_sales", "cancelled_minor"),
    *("cash_handed_minor", "cash_short_minor", "cash_over_minor", "breaks", "due_minor", "open_minor"),
)


def counted_apart(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The lines of a shift's report from rows as `terminal journal show --json` prints them, of one shift."""
    rows = list(rows)
    found = dict.fromkeys(NAMES, 0)
    words: dict[int, str] = {}
    for row in rows:
        if row["kind"] in ("Committed", "NotCommitted"):
            words.setdefault(row["intent"], row["kind"])
    taken_back = {row["sale"] for row in rows if row["kind"] == "SaleCancelled"}
    for row in rows:
        match row["kind"]:
            case "Intent":
                _card(found, row, words.get(row["sequence"], ""))
            case "Unwritten":
                found["taps"] += 1
                found[ADMITTED[row["admission"]]] += 1
            case "CashSale":
                name = "cancelled" if row["sequence"] in taken_back else "cash"
                found[f"{name}_sales"] += 1
                found[f"{name}_minor"] += row["sum_minor"]
            case _:
                pass
    return found | _till(rows)


def _card(found: dict[str, int], row: Mapping[str, Any], word: str) -> None:
    found["taps"] += 1
    name = {"Committed": "accepted", "NotCommitted": "not_committed"}.get(word, "unresolved")
    found[name] += 1
    if name != "not_committed":
        found["charged_minor" if name == "accepted" else "open_minor"] += row["charge_minor"]


def _till(rows: list[Mapping[str, Any]]) -> dict[str, int]:
    """What is in the vehicle's till, row after row."""
    due = handed = short = over = breaks = 0
    for row in rows:
        match row["kind"]:
            case "CashSale":
                due += row["sum_minor"]
            case "SaleCancelled":
                due -= row["sum_minor"]
            case "CashHandedOver":
                due, handed = due - row["sum_minor"], handed + row["sum_minor"]
            case "CrewChanged":
                assert row["due_minor"] == due, "what a driver hands over is what the rows come to"
                difference, due = due - row["sum_minor"], row["sum_minor"]
                short, over = short + max(0, difference), over + max(0, -difference)
            case "BreakDeclared":
                breaks += row["begins"]
            case _:
                pass
    return {
        "due_minor": due,
        "cash_handed_minor": handed,
        "cash_short_minor": short,
        "cash_over_minor": over,
        "breaks": breaks,
    }
