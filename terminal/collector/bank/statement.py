"""What was charged to a card, and why: each charge by its rides, each ride by the rules that decided it. A card is
named by a token, as rows have it; its number is nowhere here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from terminal.collector.bank.charging import debts
from terminal.collector.bank.demands import Demand, DemandCause, DemandItem, DemandKind, DemandState
from terminal.collector.bank.ledger import BankLedger
from terminal.collector.bank.rides import LedgerRide, RideState
from terminal.collector.watch import as_time
from terminal.errors import CollectorError
from terminal.money import money
from terminal.support_code import support_code
from terminal.texts import N_, translator
from terminal.trail_steps import step_line

KINDS: Final = {
    DemandKind.AUTHORISE: N_("Account check {number}"),
    DemandKind.CHARGE: N_("Charge {number} for {day}: {sum}"),
    DemandKind.REFUND: N_("Refund {number} of charge {of}: {sum}"),
}
STATES: Final = {
    DemandState.ASKED: N_("asked of the bank, no answer yet"),
    DemandState.APPROVED: N_("approved"),
    DemandState.DECLINED: N_("declined by the bank"),
}
CAUSES: Final = {
    DemandCause.FIRST_RIDE: N_("first ride, or none for long"),
    DemandCause.DAY: N_("rides of one day"),
    DemandCause.SUM: N_("rides up to a sum"),
    DemandCause.AGAIN: N_("a declined one, once more"),
    DemandCause.TAP: N_("a declined one: the card was presented again"),
    DemandCause.REQUEST: N_("on request"),
}
"""For people; translated where they are shown."""


class BankStatement(Struct, frozen=True):
    """Everything about one card. `open_minor` is decided and asked of no bank yet, by currency; below 0 it is owed to
    the rider.
    """

    rides: tuple[LedgerRide, ...]
    demands: tuple[Demand, ...]
    items: dict[int, list[DemandItem]]
    denied: bool
    owed: tuple[tuple[str, int], ...]
    open_minor: dict[str, int]

    def says(self, language: str) -> Iterator[str]:
        """For people, line by line."""
        _ = translator(language).gettext
        by_row = {(ride.terminal, ride.sequence): ride for ride in self.rides}
        asked: set[tuple[int, int]] = set()
        for one in self.demands:
            yield self._demand_line(one, language)
            for terminal, sequence, amount_minor in self.items[one.id]:
                asked.add((terminal, sequence))
                yield from _ride_lines(by_row[terminal, sequence], amount_minor, language)
        rest = [ride for row, ride in by_row.items() if row not in asked]
        if rest:
            yield _("In no charge")
            for ride in rest:
                yield from _ride_lines(ride, ride.charge_minor, language)
        for currency, minor in self.open_minor.items():
            words = _("Not asked of the bank yet: {sum}") if minor > 0 else _("Charged too much: {sum}")
            yield words.format(sum=money(abs(minor), currency, language))
        for currency, minor in self.owed:
            yield _("Owed: {sum}").format(sum=money(minor, currency, language))
        if self.denied:
            yield _("The card is on the deny list until this is paid.")

    def _demand_line(self, one: Demand, language: str) -> str:
        _ = translator(language).gettext
        what = _(KINDS[one.kind]).format(
            number=one.id, of=one.of, day=one.day, sum=money(one.amount_minor, one.currency, language)
        )
        repeats = one.of and one.kind is not DemandKind.REFUND
        again = _(", as {number}").format(number=one.of) if repeats else ""
        code = f" ({one.code})" if one.code else ""
        return (
            f"{as_time(one.made_ms)}  {what}{again} · {_(CAUSES[one.cause])} · {_(STATES[one.state])}{code}"
        )

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "rides": [
                ride._asdict() | {"token": ride.token.hex(), "support_code": support_code(*_row(ride))}
                for ride in self.rides
            ],
            "demands": [
                one._asdict() | {"rides": [item._asdict() for item in self.items[one.id]]}
                for one in self.demands
            ],
            "denied": self.denied,
            "owed": [{"currency": currency, "sum_minor": minor} for currency, minor in self.owed],
            "open_minor": self.open_minor,
        }


def statement_of(ledger: BankLedger, token: bytes) -> BankStatement:
    """Everything about the card that `token` stands for. Raises `CollectorError` for one that is not known."""
    card = ledger.cards.by_token(token)
    if not card:
        raise CollectorError(
            "no ride with this token is proven", "Take the token (card_ref) from a row of the card's tap."
        )
    demands = ledger.demands.of_card(card)
    open_minor: dict[str, int] = {}
    for due in ledger.rides.due(card):
        open_minor[due.currency] = open_minor.get(due.currency, 0) + due.due_minor
    owed = tuple(
        (one.first.currency, one.first.amount_minor) for one in debts(demands) if one.first.amount_minor
    )
    return BankStatement(
        tuple(ledger.rides.of_card(card)),
        tuple(demands),
        {one.id: ledger.demands.items(one.id) for one in demands},
        ledger.cards.is_denied(card),
        owed,
        {currency: minor for currency, minor in open_minor.items() if minor},
    )


def _ride_lines(ride: LedgerRide, amount_minor: int, language: str) -> Iterator[str]:
    _ = translator(language).gettext
    where = _("terminal {terminal}, row {row}, code {code}").format(
        terminal=ride.terminal, row=ride.sequence, code=support_code(*_row(ride))
    )
    decided = ride.state is RideState.DECIDED
    comes = ""
    if decided and amount_minor != ride.charge_minor:  # it was decided again after it was charged
        words = _(", of a ride that comes to {sum}")
        comes = words.format(sum=money(ride.charge_minor, ride.currency, language))
    yield f"    {as_time(ride.at_ms)}  {money(amount_minor, ride.currency, language)}{comes}  {where}"
    if not decided:
        waits = _(
            "Not decided: the region document of this ride, or of another one of the card, is not here."
        )
        yield f"        {waits}"
    for step in ride.reasons:
        yield f"        {step_line(step, ride.currency, language)}"


def _row(ride: LedgerRide) -> tuple[int, int]:
    return ride.terminal, ride.sequence
