"""What the acquirer is to be asked about a card: an authorisation, a charge for a day or a sum, a declined one again.

A ride is charged once: what of it no demand has asked for is due. Where a ride that came late made others cheaper, too
much was asked, and that is taken off what is due next; where nothing is, two persons give it back. A declined demand is
asked for again as another one, so the acquirer's answer to each number stands for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from terminal.collector.bank.cards import CountedCard
from terminal.collector.bank.demands import Demand, DemandCause, DemandItem, DemandKind, DemandState
from terminal.collector.bank.ledger import BankLedger
from terminal.collector.bank.rides import DueRide

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
AT_ONCE: Final = 100
"""Cards in one transaction."""
AGAIN_DAYS: Final = (1, 2, 2, 3, 3, 3)
"""After which days a declined demand is asked for again by itself: six times within fourteen days, as schemes allow."""


class ChargeRules(Struct, frozen=True):
    """How a region's agreement with its acquirer has it. A day is charged `close_h` hours after its end, so that late
    rows find their place. With `sum_minor`, rides are charged as soon as they come to so much, or are `longest_days`
    old. A card is authorised by `first_minor` (0: its account is verified) unless it was within `authorise_days`. One
    that is presented again is asked for again, no sooner than `pause_h` hours after the last time.
    """

    close_h: int = 6
    sum_minor: int | None = None
    longest_days: int = 7
    first_minor: int = 0
    authorise_days: int = 14
    pause_h: int = 1


USUAL: Final = ChargeRules()


def waits(since_ms: int, for_ms: int, now_ms: int) -> bool:
    """Whether `for_ms` have still to pass since then. From a time that lies ahead nothing is waited for: the clock was
    wrong then, or is now.
    """
    return since_ms <= now_ms < since_ms + for_ms


class Chain(Struct, frozen=True):
    """A demand and every one that asked for it again, in order."""

    demands: tuple[Demand, ...]

    @property
    def first(self) -> Demand:
        return self.demands[0]

    @property
    def last(self) -> Demand:
        return self.demands[-1]

    @property
    def approved(self) -> bool:
        return self.last.state is DemandState.APPROVED

    @property
    def refused(self) -> bool:
        """Whether it was declined, and not approved since."""
        return not self.approved and any(one.state is DemandState.DECLINED for one in self.demands)


def chains(demands: Iterable[Demand]) -> list[Chain]:
    """The authorisations and charges among `demands` of one card, each with what asked for it again."""
    found: dict[int, list[Demand]] = {}
    for one in demands:
        if one.kind is not DemandKind.REFUND:
            found.setdefault(one.of or one.id, []).append(one)
    return [Chain(tuple(group)) for group in found.values()]


def debts(demands: Sequence[Demand]) -> list[Chain]:
    """What `demands` of one card leave unpaid. An authorisation that was declined counts until the card pays again."""
    known = chains(demands)
    paid_ms = max((one.last.answered_ms for one in known if one.approved and one.last.file), default=-1)
    return [
        one
        for one in known
        if one.refused and (one.first.kind is DemandKind.CHARGE or paid_ms < one.last.made_ms)
    ]


def make_demands(ledger: BankLedger, rules: ChargeRules, now_ms: int) -> int:
    """Ask what is to be asked now about every card; return how many demands that are. A card is in one transaction."""
    made, active = 0, ledger.cards.active()
    for first in range(0, len(active), AT_ONCE):
        with ledger.changing():
            made += sum(_asked_about(ledger, card, rules, now_ms) for card in active[first : first + AT_ONCE])
    return made


def _asked_about(ledger: BankLedger, card: CountedCard, rules: ChargeRules, now_ms: int) -> int:
    demands = ledger.demands.of_card(card.id)
    wanted = [
        *_authorisation(ledger, card, demands, rules, now_ms),
        *_again(card, demands, rules, now_ms),
    ]
    for one in wanted:
        ledger.demands.put(one)
    if any(one.cause in (DemandCause.TAP, DemandCause.REQUEST) for one in wanted):
        ledger.cards.note_heard(card.id)
    made = len(wanted)
    for one, items in charges_due(card.id, ledger.rides.due(card.id), rules, now_ms):
        ledger.demands.put(one, items)
        made += one.state is DemandState.ASKED
    ledger.rides.settle(card.id)
    return made


def _authorisation(
    ledger: BankLedger, card: CountedCard, demands: Sequence[Demand], rules: ChargeRules, now_ms: int
) -> Iterator[Demand]:
    """For a card that rode and has shown for long, or never, that its account pays."""
    if debts(demands) or any(one.last.state is DemandState.ASKED for one in chains(demands)):
        return
    since_ms = card.authorised_ms + rules.authorise_days * DAY_MS if card.authorised_ms else 0
    ride = ledger.rides.first_since(card.id, since_ms)
    if ride is None:
        return
    row = ride.terminal, ride.sequence
    yield _demand(
        card.id,
        DemandKind.AUTHORISE,
        rules.first_minor,
        ride.currency,
        ride.day,
        row,
        DemandCause.FIRST_RIDE,
        now_ms,
    )


def _again(card: CountedCard, demands: Sequence[Demand], rules: ChargeRules, now_ms: int) -> Iterator[Demand]:
    """What is unpaid and to be asked for once more."""
    for chain in debts(demands):
        cause = _cause(card, chain, rules, now_ms)
        if cause is not None:
            one = chain.first
            row = one.terminal, one.sequence
            again = _demand(card.id, one.kind, one.amount_minor, one.currency, one.day, row, cause, now_ms)
            yield again._replace(of=one.id)


def _cause(card: CountedCard, chain: Chain, rules: ChargeRules, now_ms: int) -> DemandCause | None:
    last = chain.last
    if last.state is not DemandState.DECLINED:
        return None
    made_ms = last.made_ms if last.made_ms <= now_ms else 0
    if card.asked_ms > made_ms:
        return DemandCause.REQUEST
    if card.tapped_ms > made_ms and not waits(last.answered_ms, rules.pause_h * HOUR_MS, now_ms):
        return DemandCause.TAP
    tries = sum(one.cause is DemandCause.AGAIN for one in chain.demands)
    if tries < len(AGAIN_DAYS) and not waits(last.answered_ms, AGAIN_DAYS[tries] * DAY_MS, now_ms):
        return DemandCause.AGAIN
    return None


def charges_due(
    card: int, due: Sequence[DueRide], rules: ChargeRules, now_ms: int
) -> Iterator[tuple[Demand, list[DemandItem]]]:
    """The charges that `due` leads to now, each with the rides it is for. One that what was asked too much pays for is
    not asked of the acquirer.
    """
    for currency in sorted({one.currency for one in due}):
        rides = [one for one in due if one.currency == currency]
        credits = [[one.terminal, one.sequence, one.due_minor] for one in rides if one.due_minor < 0]
        for cause, group in _groups([one for one in rides if one.due_minor > 0], rules, now_ms):
            items = [DemandItem(one.terminal, one.sequence, one.due_minor) for one in group]
            items += _taken_off(credits, sum(item.amount_minor for item in items))
            amount, first = sum(item.amount_minor for item in items), group[0]
            row = first.terminal, first.sequence
            made = _demand(card, DemandKind.CHARGE, amount, currency, first.day, row, cause, now_ms)
            if not amount:
                made = made._replace(state=DemandState.APPROVED, answered_ms=now_ms)
            yield made, items


def _groups(
    due: Sequence[DueRide], rules: ChargeRules, now_ms: int
) -> Iterator[tuple[DemandCause, list[DueRide]]]:
    if rules.sum_minor is not None:
        oldest = min((one.ends_ms for one in due), default=now_ms)
        enough = sum(one.due_minor for one in due) >= rules.sum_minor
        if due and (enough or now_ms >= oldest + rules.longest_days * DAY_MS):
            yield DemandCause.SUM, list(due)
        return
    for day in sorted({one.day for one in due}):
        group = [one for one in due if one.day == day]
        if now_ms >= max(one.ends_ms for one in group) + rules.close_h * HOUR_MS:
            yield DemandCause.DAY, group


def _taken_off(credits: list[list[int]], most_minor: int) -> list[DemandItem]:
    """Of what was asked too much, as much as `most_minor` holds; it is gone from `credits`."""
    taken: list[DemandItem] = []
    for credit in credits:
        part = min(most_minor, -credit[2])
        if part:
            taken.append(DemandItem(credit[0], credit[1], -part))
            credit[2] += part
            most_minor -= part
    return taken


def _demand(
    card: int,
    kind: DemandKind,
    amount_minor: int,
    currency: str,
    day: str,
    row: tuple[int, int],
    cause: DemandCause,
    now_ms: int,
) -> Demand:
    return Demand(
        *(0, card, kind, amount_minor, currency, day, *row, 0, cause, now_ms),
        *(0, 0, DemandState.ASKED, 0, "", 0),
    )


class RefundFault(StrEnum):
    """Why what two persons decided cannot be given back."""

    NO_CHARGE = "no_charge"
    TOO_MUCH = "too_much"


def refund_subject(charge: int, amount_minor: int) -> str:
    """How a request of the office names a refund."""
    return f"{charge}/{amount_minor}"


def refund_of(subject: str) -> tuple[int, int]:
    """The charge, and the sum to give back of it."""
    charge, _, amount = subject.partition("/")
    return int(charge), int(amount)


def refundable(ledger: BankLedger, charge: int) -> int | None:
    """What of `charge` can still be given back; None where it is no charge that was paid."""
    demand = ledger.demands.get(charge)
    root = demand if demand is None or not demand.of else ledger.demands.get(demand.of)
    if demand is None or root is None or root.kind is not DemandKind.CHARGE:
        return None
    others = ledger.demands.of_card(root.card)
    attempts = [one for one in others if root.id in (one.id, one.of) and one.kind is DemandKind.CHARGE]
    if not any(one.state is DemandState.APPROVED and one.file for one in attempts):
        return None
    given = (one for one in others if one.kind is DemandKind.REFUND and one.of == root.id)
    return root.amount_minor - sum(one.amount_minor for one in given if one.state is not DemandState.DECLINED)


def refund(ledger: BankLedger, request: int, subject: str, now_ms: int) -> RefundFault | None:
    """Ask the acquirer to give back what the office's `request` says, once; why that cannot be. Within a transaction.
    What was charged too much is given back first.
    """
    if ledger.demands.asked_by(request):
        return None
    charge, amount_minor = refund_of(subject)
    left_minor, found = refundable(ledger, charge), ledger.demands.get(charge)
    if left_minor is None or found is None:
        return RefundFault.NO_CHARGE
    if not 0 < amount_minor <= left_minor:
        return RefundFault.TOO_MUCH
    row = found.terminal, found.sequence
    made = _demand(
        *(found.card, DemandKind.REFUND, amount_minor, found.currency, found.day),
        *(row, DemandCause.REQUEST, now_ms),
    )
    due = ledger.rides.due(found.card)
    owed = [one for one in due if one.currency == found.currency and one.due_minor < 0]
    credits = [[one.terminal, one.sequence, one.due_minor] for one in owed]
    ledger.demands.put(
        made._replace(of=found.of or found.id, request=request), _taken_off(credits, amount_minor)
    )
    return None
