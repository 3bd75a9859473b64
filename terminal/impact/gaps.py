"""What a replay cannot know, or knows otherwise than the row: counted by reason with examples, never guessed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

MOST_EXAMPLES: Final = 3


class GapKind(StrEnum):
    """Why something is not, or not exactly, what the day was."""

    # of cards: their state goes on, as said
    CARD_FIRST_SEEN = "card_first_seen"
    """The state of the card is taken from the row."""
    RELOAD = "reload"
    """The purse was filled or emptied at a reload point; the difference goes onto both replays."""
    OTHER_CHANGE = "other_change"
    """Rights, an order or a correction were written elsewhere; both replays go on with it."""
    MEAL_BETWEEN = "meal_between"
    """A meal since the last ride: what it took from the purse is taken in both replays."""
    OTHER_TERMINAL = "other_terminal"
    """The card was last used at a terminal that has no journal here: both replays begin anew from the row."""
    ROWS_MISSING = "rows_missing"
    """The card holds an event of a terminal of this replay that is in no row read here: both replays begin anew."""
    CARD_REISSUED = "card_reissued"
    """The card was issued anew: both replays begin anew."""
    OUT_OF_ORDER = "out_of_order"
    """The card was read as it was before a row already replayed: decided by the row alone, not carried on."""
    PURSE_SHORT = "purse_short"
    """What was taken elsewhere is more than the replayed purse holds: it is empty then."""
    OTHER_LAYOUT = "other_layout"
    """The card's counters follow a layout that this document does not read."""

    # of taps that are decided, under a document that did not decide them
    OTHER_DOCUMENT = "other_document"
    """Another version was in force, and the old document given decides otherwise than was charged."""
    FOLLOWS_EARLIER = "follows_earlier"
    """Decided otherwise than recorded, because an earlier tap of the card was."""
    OLD_DIFFERS = "old_differs"
    """The old document was in force by its name, and decides otherwise: another text, list or software."""

    # of taps that are not decided
    NOT_COMMITTED = "not_committed"
    """The card never took what was decided: nothing was charged."""
    UNRESOLVED = "unresolved"
    """Whether the card took it is not known, and no later row of the card says so."""
    NOTHING_READ = "nothing_read"
    """Ended before a decision, or another medium than the resident card, such as a bank card."""
    CARD_UNREADABLE = "card_unreadable"
    FACTS_UNKNOWN = "facts_unknown"
    TIME_UNKNOWN = "time_unknown"
    OTHER_REGION = "other_region"
    """Decided by the document of another tariff."""
    GRANTS_MISSING = "grants_missing"
    """Decided with a list of grants that is not at hand."""
    MEAL = "meal"
    """A canteen's tap, where a card has another reference than on a bus: meals are not replayed."""
    INSPECTION = "inspection"
    """An inspector's check charges nothing."""

    # of journals
    ROWS_LEFT = "rows_left"
    """The journal's first rows have left it."""
    NUMBERS_MISSING = "numbers_missing"
    ROW_DAMAGED = "row_damaged"
    ROW_NEWER = "row_newer"
    """A row of newer software."""
    JOURNAL_UNREADABLE = "journal_unreadable"


class Example(msgspec.Struct, frozen=True):
    """Where it happened: a row of a terminal; or a file."""

    terminal: int = 0
    sequence: int = 0
    file: str = ""


class Gap(msgspec.Struct, frozen=True):
    """One reason, how often it was met, and the first places."""

    kind: GapKind
    count: int
    examples: tuple[Example, ...]


INCOMPLETE: Final = frozenset(
    {GapKind.ROW_DAMAGED, GapKind.ROW_NEWER, GapKind.JOURNAL_UNREADABLE, GapKind.NUMBERS_MISSING}
)
"""What rows were to be read and could not be."""


class Gaps:
    """Counts reasons; of each the first places are kept."""

    def __init__(self) -> None:
        self._counts: Counter[GapKind] = Counter()
        self._examples: dict[GapKind, list[Example]] = {}

    def note(
        self, kind: GapKind, terminal: int = 0, sequence: int = 0, *, file: str = "", count: int = 1
    ) -> None:
        self._counts[kind] += count
        kept = self._examples.setdefault(kind, [])
        if len(kept) < MOST_EXAMPLES:
            kept.append(Example(terminal, sequence, file))

    def count(self, kind: GapKind) -> int:
        return self._counts[kind]

    def examples(self, kind: GapKind) -> tuple[Example, ...]:
        """The first places where it was met."""
        return tuple(self._examples.get(kind, ()))

    def listed(self) -> Iterator[Gap]:
        """Every reason that was met, in the order of `GapKind`."""
        for kind in GapKind:
            if self._counts[kind]:
                yield Gap(kind, self._counts[kind], tuple(self._examples[kind]))
