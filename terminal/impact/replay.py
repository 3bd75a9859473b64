"""The replay: every tap decided under the old and the new document, each with the card it would have met.

Rows come in the order of time (`terminal.impact.source`). A tap is decided from what its row holds: the rights and the
newest event of the card, and what the terminal knew. The first tap of a card begins both replays; after it each carries
on the card that its own decisions have left.

Only what the rows hold is replayed: that a rider who is refused pays in another way, or who pays less rides more often,
is not.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeAlias

from cardproto.errors import FormatError
from cardproto.resident.records.event import Event, build_event, parse_event
from cardproto.resident.records.rights import Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.clock import from_unix_ms
from terminal.decision.bus.cash import decide_cash
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.decision.recompute import NO_UID, CannotRecompute, as_recorded, read_of
from terminal.decision.tap import CANTEEN
from terminal.impact.cards import CardInReplay, carry, meet, rights_of
from terminal.impact.facts import TripFacts
from terminal.impact.gaps import GapKind, Gaps
from terminal.impact.source import Passed
from terminal.impact.tally import ImpactTally, ReplayedTap
from terminal.journal.records import CashSale, Committed, Intent, NotCommitted, Unwritten
from terminal.journal.taps import End
from terminal.policy.grants import NO_GRANTS
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip
from terminal.trip.stated import UnknownFact

INSPECTION: Final = ("inspection", "inspection.misuse")
BothPolicies: TypeAlias = tuple[Policy, Policy]
MOST_LISTS: Final = 256
MOST_HELD: Final = 20_000
"""Taps held back at once, because the row before them is still to come."""
_LEFT_OUT: Final = {End.NOT_COMMITTED: GapKind.NOT_COMMITTED}


class _NotDecided(Exception):
    """The tap cannot be decided; what the card took of it is carried on."""

    def __init__(self, kind: GapKind) -> None:
        super().__init__(kind)
        self.kind = kind


class ImpactReplay:
    """Takes rows in order and fills `tally` and `gaps`. Memory grows with the cards, not with the rows."""

    def __init__(
        self, old: Policy, new: Policy, terminals: frozenset[int], tally: ImpactTally, gaps: Gaps
    ) -> None:
        """`old` and `new` have the list of grants of then, where there is one; `terminals` are those of the rows."""
        self._old, self._new = old, new
        self._terminals, self._tally, self._gaps = terminals, tally, gaps
        self._with_holder = old.grants is not NO_GRANTS
        self._facts = TripFacts()
        self._cards: dict[bytes, CardInReplay] = {}
        self._waiting: dict[tuple[int, int], CardInReplay] = {}
        self._passed: dict[int, int] = {}
        self._held: dict[int, list[tuple[int, Passed]]] = {}
        self._held_count = 0
        self._by_lists: dict[tuple[tuple[str, str], ...], BothPolicies] = {}
        self._plain = self._policies_for({})
        self._tariff_id = old.document.header.id + ":"

    @property
    def cards(self) -> int:
        """How many cards have been met."""
        return len(self._cards)

    def take(self, passed: Passed) -> None:
        """Replay one row, and those that were held back for it."""
        match passed.record:
            case Intent() | Unwritten():
                self._take_tap(passed, passed.record, may_hold=True)
            case CashSale():
                self._take_cash(passed, passed.record)
            case Committed() | NotCommitted():
                self._take_word(passed, passed.record)
        self._passed[passed.terminal] = passed.sequence
        if self._held:
            self._release(passed.terminal, passed.sequence)

    def conclude(self) -> None:
        """After the last row: taps whose end is still not known are named, and the last month is closed."""
        while self._held:
            self._release_oldest()
        for terminal, sequence in self._waiting:
            self._gaps.note(GapKind.UNRESOLVED, terminal, sequence)
        self._waiting.clear()
        for card in self._cards.values():
            self._tally.close_month(card.month_minor, card.month)

    # ---- taps

    def _take_tap(self, passed: Passed, record: Intent | Unwritten, *, may_hold: bool) -> None:
        left_out = GapKind.MEAL if record.profile == CANTEEN else _LEFT_OUT.get(passed.end)
        if left_out is not None:
            self._note(left_out, passed)
            return
        read = read_of(record.proof) if isinstance(record, Intent) else record.read
        if len(read) != 2 or record.card_ref is None:
            self._note(GapKind.NOTHING_READ, passed)
            return
        try:
            if may_hold and self._hold(passed, record.card_ref, read[1], record):
                return
            rights = rights_of(read[0], with_holder=self._with_holder)
            card = self._card(record.card_ref, read[1], rights, passed)
            if passed.end is End.UNRESOLVED:
                self._wait(card, passed)
            else:
                self._replay(card, rights, read[1], passed, record)
        except FormatError:
            self._note(GapKind.CARD_UNREADABLE, passed)

    def _card(self, ref: bytes, read: bytes, rights: Rights, passed: Passed) -> CardInReplay:
        """The card, as it is when it has been read."""
        card = self._cards.get(ref)
        if card is None:
            card = CardInReplay(len(self._cards) + 1, read, parse_event(read))
            self._cards[ref] = card
            self._note(GapKind.CARD_FIRST_SEEN, passed)
            return card
        if card.waiting is not None:
            self._settle(card, read)
        if read != card.read:
            for kind in meet(card, read, rights, self._old, self._new, self._terminals):
                self._note(kind, passed)
        return card

    def _replay(
        self, card: CardInReplay, rights: Rights, read: bytes, passed: Passed, record: Intent | Unwritten
    ) -> None:
        alone = read != card.read  # out of order: decided from the row and not carried on
        found = CardInReplay(card.number, read, parse_event(read)) if alone else card
        try:
            before, after, trip, at = self._decide(found, rights, passed, record)
        except _NotDecided as reason:
            self._note(reason.kind, passed)
            if isinstance(record, Intent):
                self._carry_undecided(found, rights, read, passed, record)
            return
        self._tally.take(ReplayedTap(card, passed, rights, trip, at, before, after))

    def _carry_undecided(
        self, card: CardInReplay, rights: Rights, read: bytes, passed: Passed, record: Intent
    ) -> None:
        event, before = parse_event(record.event), parse_event(read)
        for kind in carry(card, record.event, event, before, rights, self._old, self._new):
            self._note(kind, passed)

    def _decide(
        self, card: CardInReplay, rights: Rights, passed: Passed, record: Intent | Unwritten
    ) -> tuple[Decision, Decision, Trip, datetime]:
        old, new = self._policies(record)
        trip, at = self._trip(passed, record), _moment(record.at_ms)
        for policy, state in ((old, card.old), (new, card.new)):
            if state.counter_layout not in (0, policy.card.layout):
                self._note(GapKind.OTHER_LAYOUT, passed)
        found = CardSnapshot(NO_UID, rights, card.old)
        before = decide(found, old, trip, at)
        after = decide(
            found if card.new is card.old else CardSnapshot(NO_UID, rights, card.new), new, trip, at
        )
        followed = card.follows
        self._carry_on(card, before, after, record)
        if not _as_charged(before, record, exactly=followed, follows=card.follows):
            self._note(self._why(record, followed=followed), passed)
        return before, after, trip, at

    def _carry_on(
        self, card: CardInReplay, before: Decision, after: Decision, record: Intent | Unwritten
    ) -> None:
        """What the card really holds now, and in either replay."""
        old, new = _after(card.old, before), _after(card.new, after)
        if isinstance(record, Intent):
            card.read = record.event
            card.follows = before.write_plan is not None and build_event(old) == record.event
        elif before.write_plan is not None:
            card.follows = False
        card.old = old
        card.new = old if new == old else new

    def _why(self, record: Intent | Unwritten, *, followed: bool) -> GapKind:
        if not followed:
            return GapKind.FOLLOWS_EARLIER
        return GapKind.OLD_DIFFERS if record.tariff == self._old.tariff else GapKind.OTHER_DOCUMENT

    def _policies(self, record: Intent | Unwritten) -> BothPolicies:
        if not record.tariff.startswith(self._tariff_id):
            raise _NotDecided(GapKind.OTHER_REGION)
        if record.trip and any(name in record.trip for name in INSPECTION):
            raise _NotDecided(GapKind.INSPECTION)
        if not record.lists:
            return self._plain
        try:
            return self._policies_for(record.lists)
        except CannotRecompute as error:
            raise _NotDecided(GapKind.GRANTS_MISSING) from error

    def _policies_for(self, lists: Mapping[str, str]) -> BothPolicies:
        """Both documents with the lists saying what the row says they said. Raises `CannotRecompute`."""
        key = tuple(lists.items())
        found = self._by_lists.get(key)
        if found is None:
            if len(self._by_lists) >= MOST_LISTS:
                self._by_lists.clear()
            found = as_recorded(self._old, lists), as_recorded(self._new, lists)
            self._by_lists[key] = found
        return found

    def _trip(self, passed: Passed, record: Intent | Unwritten | CashSale) -> Trip:
        try:
            return self._facts.trip(passed.terminal, passed.sequence, record)
        except UnknownFact as error:
            raise _NotDecided(GapKind.FACTS_UNKNOWN) from error

    # ---- taps whose card was last at a terminal whose clock is ahead of this one's

    def _hold(self, passed: Passed, ref: bytes, read: bytes, record: Intent | Unwritten) -> bool:
        """Whether the row that left the card as it was read is still to come; then the tap is held back for it, and
        with it the card's later ones.
        """
        card = self._cards.get(ref)
        if card is None or read == card.read:
            return False
        if card.held_for is None:
            row = record.prev_terminal, record.prev_sequence
            if row[0] not in self._terminals or row[0] == passed.terminal or self._is_past(row):
                return False
            card.held_for = row
        terminal, sequence = card.held_for
        heapq.heappush(self._held.setdefault(terminal, []), (sequence, passed))
        self._held_count += 1
        if self._held_count > MOST_HELD:
            self._release_oldest()
        return True

    def _is_past(self, row: tuple[int, int]) -> bool:
        return row[1] <= self._passed.get(row[0], 0)

    def _release(self, terminal: int, sequence: int) -> None:
        while terminal in self._held and self._held[terminal][0][0] <= sequence:
            self._go_on(terminal)

    def _release_oldest(self) -> None:
        """The tap that waits longest is taken as it is."""
        self._go_on(min(self._held, key=lambda terminal: self._held[terminal][0][1].order_ms))

    def _go_on(self, terminal: int) -> None:
        _, passed = heapq.heappop(self._held[terminal])
        self._held_count -= 1
        if not self._held[terminal]:
            del self._held[terminal]
        record = passed.record
        assert isinstance(record, Intent | Unwritten), "only taps are held back"
        if record.card_ref is not None:
            self._cards[record.card_ref].held_for = None
        self._take_tap(passed, record, may_hold=False)

    # ---- taps of unknown end

    def _wait(self, card: CardInReplay, passed: Passed) -> None:
        card.waiting = passed
        self._waiting[passed.terminal, passed.sequence] = card

    def _settle(self, card: CardInReplay, read: bytes) -> None:
        """The card says itself whether it took the tap that is waiting; where something came between, it does not."""
        waiting, card.waiting = card.waiting, None
        assert waiting is not None, "asked only where one waits"
        del self._waiting[waiting.terminal, waiting.sequence]
        assert isinstance(waiting.record, Intent), "only a write can be of unknown end"
        if read == waiting.record.event:
            self._replay_again(card, waiting, waiting.record)
        elif read == card.read:
            self._note(GapKind.NOT_COMMITTED, waiting)
        else:
            self._note(GapKind.UNRESOLVED, waiting)

    def _take_word(self, passed: Passed, word: Committed | NotCommitted) -> None:
        card = self._waiting.pop((passed.terminal, word.intent), None)
        if card is None or card.waiting is None:
            return
        waiting, card.waiting = card.waiting, None
        if isinstance(word, NotCommitted):
            self._note(GapKind.NOT_COMMITTED, waiting)
        elif isinstance(waiting.record, Intent):
            self._replay_again(card, waiting, waiting.record)

    def _replay_again(self, card: CardInReplay, waiting: Passed, record: Intent) -> None:
        read = read_of(record.proof)
        rights = rights_of(read[0], with_holder=self._with_holder)
        self._replay(card, rights, read[1], waiting, record)

    # ---- cash

    def _take_cash(self, passed: Passed, sale: CashSale) -> None:
        if not sale.tariff.startswith(self._tariff_id):
            self._note(GapKind.OTHER_REGION, passed)
            return
        try:
            trip, at = self._trip(passed, sale), _moment(sale.at_ms)
        except _NotDecided as reason:
            self._note(reason.kind, passed)
            return
        before, after = (
            decide_cash(policy, trip, sale.persons, at, sale.ticket) for policy in (self._old, self._new)
        )
        if before.sum_minor != sale.sum_minor:
            self._note(
                GapKind.OLD_DIFFERS if sale.tariff == self._old.tariff else GapKind.OTHER_DOCUMENT, passed
            )
        self._tally.take_cash(passed, trip, at, before, after)

    def _note(self, kind: GapKind, passed: Passed) -> None:
        self._gaps.note(kind, passed.terminal, passed.sequence)


def _after(state: Event, decision: Decision) -> Event:
    return state if decision.write_plan is None else decision.write_plan.event


def _as_charged(decision: Decision, record: Intent | Unwritten, *, exactly: bool, follows: bool) -> bool:
    """Whether the decision is the one on record; `exactly`: also what the card holds then (`follows`)."""
    outcome, plan = decision.outcome, decision.write_plan
    if outcome.message != record.message or (plan is None) is isinstance(record, Intent):
        return False
    if isinstance(record, Unwritten):
        return outcome.admission is record.admission
    return follows if exactly else outcome.charge_minor == record.charge_minor


def _moment(at_ms: int) -> datetime:
    try:
        return from_unix_ms(at_ms)
    except OverflowError as error:
        raise _NotDecided(GapKind.TIME_UNKNOWN) from error
