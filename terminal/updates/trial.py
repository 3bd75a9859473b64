"""Taps by each region document, and whether one on trial refuses so many more than the one before that it is taken back
(O-12). Counted from the journal's own rows, so a restart forgets nothing. Pure but for what it is given.

A card that is refused counts once a day, and against a document on trial at most three times in all: neither a stranger
with an empty card nor a rider who tries again and again takes a tariff back, and neither makes the one before look so
bad that nothing would. What does not count as a refusal is no tap either: it keeps no bad tariff in force.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

from terminal.codes import Admission
from terminal.decision.bus.effects import BankEffect
from terminal.decision.effects import TerminalEffect
from terminal.decision.refusals import CAUSED, UNDECIDED
from terminal.journal.records import AnyRecord, Intent, Unwritten
from terminal.updates.store import KeptCounts, RefusedCard

DAY_MS: Final = 24 * 3_600_000
DAYS_KEPT: Final = 14
"""Of each document, the newest days on which it decided: two of every weekday."""
LEAST_TAPS: Final = 200
LEAST_PERCENT: Final = 5
TIMES: Final = 3
MOST_OF_A_CARD: Final = 3
"""Refusals of one card that count against a document on trial; ten are the least that take one back."""
MOST_CARDS: Final = 2_048
"""Refused cards that are remembered; beyond, those that were refused longest ago count again."""
MARK_BYTES: Final = 8

NOT_ITS_WORD: Final = frozenset(
    {TerminalEffect.OUT_OF_SERVICE, TerminalEffect.BUNDLES_STOP, BankEffect.NOT_LATER}
)
"""Refusals of a terminal that staff took out of service, or that has had no news for too long."""


class TapCount(NamedTuple):
    """Taps of riders, and how many of them were refused for what a document can cause."""

    taps: int = 0
    refused: int = 0

    def __add__(self, other: tuple[int, ...]) -> TapCount:  # type: ignore[override]
        return TapCount(self.taps + other[0], self.refused + other[1])


def refuses_too_many(new: TapCount, before: TapCount) -> bool:
    """At least 5 % of at least 200 taps, and three times the share of the one before. By fewer than 200 taps that is
    not known, and counts as 5 % at least: a terminal without a past goes back at 15 %.
    """
    return new.taps >= LEAST_TAPS and exceeds(new, before)


def exceeds(new: TapCount, before: TapCount) -> bool:
    """Whether the shares do, of however few taps."""
    known = before.taps >= LEAST_TAPS
    least_percent = LEAST_PERCENT if known else TIMES * LEAST_PERCENT
    return (
        100 * new.refused >= least_percent * new.taps
        and new.refused * before.taps >= TIMES * before.refused * new.taps
    )


def tap_of(record: Intent | Unwritten) -> TapCount | None:
    """One tap, refused or not for what a document can cause; None where no document had a say."""
    if not _decided(record):
        return None
    refused = isinstance(record, Unwritten) and record.admission is Admission.REFUSED
    return TapCount(1, int(refused and record.message in CAUSED))


def mark_of_card(edition: str, reference: bytes | None) -> bytes:
    """By what a card is known among those that `edition` refused, and nowhere else: a hash of its reference, 8 bytes.
    Media without a reference count as one card.
    """
    return blake2b(reference or b"", key=edition.encode()[-64:], digest_size=MARK_BYTES).digest()


class TapCounts:
    """By document and day of UTC."""

    def __init__(self, kept: KeptCounts, to: int = 0) -> None:
        """`to`: rows up to it are counted, or will never be."""
        self._days = {key: TapCount(*count) for key, count in kept.days.items()}
        self._cards = dict(kept.cards)
        self.to = max(kept.to, to)

    def take(self, sequence: int, record: AnyRecord) -> bool:
        """Count a row; whether it was a tap that a document decided and counts."""
        self.to = max(self.to, sequence)
        if not isinstance(record, Intent | Unwritten) or (count := tap_of(record)) is None:
            return False
        key = record.tariff, record.at_ms // DAY_MS
        if count.refused and not self._is_new(*key, record.card_ref):
            return False
        self._days[key] = self._days.get(key, TapCount()) + count
        return True

    def _is_new(self, edition: str, day: int, reference: bytes | None) -> bool:
        """Whether a card was not refused on that day yet; from here on it was."""
        key = edition, mark_of_card(edition, reference)
        card = self._cards.pop(key, RefusedCard(-1, 0))
        is_new = card.day != day
        self._cards[key] = RefusedCard(day, card.days + is_new)  # the newest stands last
        if len(self._cards) > MOST_CARDS:
            del self._cards[next(iter(self._cards))]
        return is_new

    def of(self, edition: str) -> TapCount:
        """All that is kept of one document."""
        return sum((count for (one, _), count in self._days.items() if one == edition), TapCount())

    def on_trial(self, edition: str) -> TapCount:
        """As `of`, without what cards were refused more often than counts against a document on trial."""
        cards = (card for (one, _), card in self._cards.items() if one == edition)
        beyond = sum(max(0, min(card.days, DAYS_KEPT) - MOST_OF_A_CARD) for card in cards)
        return self.of(edition) + TapCount(-beyond, -beyond)

    def keep(self, editions: Iterable[str], on_trial: str = "") -> None:
        """Forget other documents, all but the newest days of these, and the cards of all but the newest; those that
        were refused by what is `on_trial` are remembered.
        """
        kept: dict[tuple[str, int], TapCount] = {}
        newest: dict[str, int] = {}
        for edition in set(editions):
            days = sorted((day for one, day in self._days if one == edition), reverse=True)[:DAYS_KEPT]
            kept |= {(edition, day): self._days[edition, day] for day in days}
            newest |= {edition: days[0]} if days else {}
        self._days = kept
        self._cards = {
            key: card
            for key, card in self._cards.items()
            if key[0] in newest and (key[0] == on_trial or card.day >= newest[key[0]])
        }

    @property
    def kept(self) -> KeptCounts:
        return KeptCounts(self._days, self._cards, self.to)


def _decided(record: Intent | Unwritten) -> bool:
    """Whether the document had a say. A tap without a trail ended before that."""
    not_its_word = any(entry.code in NOT_ITS_WORD for entry in record.reasons)
    return record.message not in UNDECIDED and bool(record.reasons) and not not_its_word
