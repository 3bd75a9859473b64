"""The page «Payments»: what parents paid in between two lists of pupils, as a file of the bank or
the office (M-01, M-03).

A file is loaded whole or not at all; each payment counts once, whichever file has it, and is a record of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final
from urllib.parse import urlencode

from terminal.canteen.payments import (
    COLUMNS,
    MOST_BYTES,
    MOST_MISTAKES,
    ListedPupils,
    PaymentsRefused,
    parse_payments,
    take_payments,
)
from terminal.journal.canteen_records import AccountCredited
from terminal.mistakes.words import said
from terminal.screen.console.actions import Written
from terminal.screen.console.canteen.actions import counter_of, refusing
from terminal.screen.console.canteen.look import AT, Look, looking
from terminal.screen.console.console import ActionRefused
from terminal.screen.console.roles import Role
from terminal.screen.console.visit import Action, ConsoleArea, FormFields, Page, View, Visit
from terminal.texts import N_

PAYMENTS: Final = frozenset({Role.MEAL_OFFICER})
KEPT: Final = 4
"""Files that were read and not yet entered, of so many members of staff."""
NOT_LOADED: Final = N_("Nothing was loaded. {lines}")
CHOOSE: Final = N_("Choose the file again.")


class PaymentsPages:
    """The page and its action; keeps what was read until it is entered, a moment later."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, bytes] = OrderedDict()

    def area(self) -> ConsoleArea:
        """For `console_app`."""
        return ConsoleArea(
            "canteen",
            pages=(Page(f"{AT}/payments", PAYMENTS, looking(_payments), N_("Payments")),),
            actions=(
                Action(
                    f"{AT}/payments-load",
                    PAYMENTS,
                    self._load,
                    _loaded,
                    resumes=True,
                    reads=self._check,
                    most_bytes=MOST_BYTES,
                    again=lambda visit, _form: looking(_payments)(visit),
                ),
            ),
        )

    def _check(self, visit: Visit, _name: str, content: bytes) -> None:
        """Every mistake with its line, before anything waits for it."""
        counter = counter_of(visit)
        with refusing():
            listed = ListedPupils.of(counter.require_roster())
        try:
            parse_payments(content, counter.policy.currency, listed)
        except PaymentsRefused as refused:
            raise ActionRefused(NOT_LOADED, {"lines": _lines(refused, visit)}) from refused
        self._read[visit.who.ref] = content
        while len(self._read) > KEPT:
            self._read.popitem(last=False)

    def _load(self, visit: Visit, _form: FormFields, _written: Written) -> None:
        """Goes on where it was cut off: a payment that is on record changes nothing."""
        content = self._read.pop(visit.who.ref, None)
        if content is None:
            raise ActionRefused(CHOOSE)
        with refusing():
            take_payments(counter_of(visit), content, visit.who.ref, visit.console.clock.now())


def _lines(refused: PaymentsRefused, visit: Visit) -> str:
    shown = []
    for mistake in refused.mistakes[:MOST_MISTAKES]:
        what, advice = said(mistake, visit.language)
        where = "" if mistake.line is None else f"{visit.text(N_('line {line}'), line=mistake.line)}: "
        shown.append(f"{where}{what}. {advice}")
    return " ".join(shown)


def _payments(look: Look) -> View:
    today = look.counter.day_of(look.now).isoformat()
    entered = [one for _, one in look.counter.ledger.credits.values() if one.day == today]
    query = look.visit.query
    return look.view(
        "payments.html",
        columns=COLUMNS,
        count=len(entered),
        sum_minor=sum(one.amount_minor for one in entered),
        done=query.text("done") == "1",
        new=query.number("new", 0, 1 << 30, 0),
        new_minor=query.number("sum", 0, 1 << 40, 0),
    )


def _loaded(_visit: Visit, _form: FormFields, written: Written) -> str:
    entered = [record for _, record in written if isinstance(record, AccountCredited)]
    said_so = {"done": 1, "new": len(entered), "sum": sum(one.amount_minor for one in entered)}
    return f"{AT}/payments?{urlencode(said_so)}"
