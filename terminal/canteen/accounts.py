"""The two accounts of a pupil as a terminal knows them: as last stated, moved by its own records since (M-01).

What was stated includes this terminal's rows up to a number the roster names; only later rows move it. Subsidy
moves no account in either direction (M-03): only the parents' part of a meal is charged, and only that comes
back when a meal is annulled.
"""

from __future__ import annotations

from terminal.canteen.ledger import Ledger, RowId
from terminal.decision.canteen.pupil import Account


def hot_minor(stated_minor: int, pupil: bytes, ledger: Ledger, through: RowId) -> int:
    """The hot-meal account: `stated_minor` includes the rows of that terminal up to `through`."""
    meals = ledger.meals_of(pupil)
    twice = ledger.duplicates(meals)
    balance = stated_minor
    for meal in meals:
        if meal.row in twice:
            continue
        if _later(meal.row, through):
            balance -= meal.parents_minor
        balance += _returned(ledger, meal.row, through)
    return balance


def buffet_minor(stated_minor: int, pupil: bytes, ledger: Ledger, through: RowId) -> int:
    """The buffet account, likewise."""
    balance = stated_minor
    for sale in ledger.sales_of(pupil):
        if _later(sale.row, through):
            balance -= sale.sale.sum_minor
        balance += _returned(ledger, sale.row, through)
    return balance


def account(stated_minor: int | None, now_minor: int, *, uncertain: bool) -> Account | None:
    """The account as a decision sees it; none where the roster states none."""
    return None if stated_minor is None else Account(now_minor, uncertain)


def spent_today(pupil: bytes, day: str, ledger: Ledger) -> tuple[int, int]:
    """What the parents paid on `day` for hot meals and in the buffet, without what was annulled."""
    meals = ledger.meals_of(pupil)
    twice = ledger.duplicates(meals)
    hot = sum(
        meal.parents_minor for meal in ledger.standing(meals) if meal.day == day and meal.row not in twice
    )
    sales = (sale for sale in ledger.sales_of(pupil) if sale.row not in ledger.annulments)
    return hot, sum(sale.sale.sum_minor for sale in sales if sale.day == day)


def _returned(ledger: Ledger, row: RowId, through: RowId) -> int:
    annulled = ledger.annulments.get(row)
    return annulled[1].returned_minor if annulled is not None and _later(annulled[0], through) else 0


def _later(row: RowId, through: RowId) -> bool:
    return row[0] == through[0] and row[1] > through[1]
