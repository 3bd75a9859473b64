"""The statement of a card for people: printed, or on the office's page."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from terminal.collector.card_rides import CardAccount
from terminal.collector.watch import local_time
from terminal.money import money
from terminal.texts import N_, translator


def statement_lines(statement: CardAccount, card: str, language: str, zone: ZoneInfo) -> Iterator[str]:
    """Line by line; a blank one after each ride."""
    _ = translator(language).gettext
    yield _(N_("Statement of card {card}")).format(card=card)
    if not statement.rides:
        yield _(N_("No ride of this card has come to the collector."))
        return
    yield ""
    for ride in statement.rides:
        yield from ride.says(language, zone)
        yield _(N_("Support code {code}")).format(code=ride.code)
        yield ""
    totals: dict[str, int] = {}
    for ride in statement.rides:
        totals[ride.tap.record.currency] = totals.get(ride.tap.record.currency, 0) + ride.tap.charge_minor
    taken = ", ".join(money(sum_minor, currency, language) for currency, sum_minor in sorted(totals.items()))
    yield _(N_("Rides: {count}, taken: {sum}")).format(count=len(statement.rides), sum=taken)
    if statement.balance_minor is not None:
        yield _(N_("Balance after the last one known, {at}: {sum}")).format(
            at=local_time(statement.last_at_ms, language, zone),
            sum=money(statement.balance_minor, statement.currency, language),
        )
