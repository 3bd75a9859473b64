"""A list of pupils at the till: compared with the list in force, and put in its place between two taps.

The new list is one sealed edition of the active set: until it is whole on disk and its row is in the journal, the old
one serves, whatever ends the process.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from terminal.canteen.cards import tie_listed_cards
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.documents import ListFile
from terminal.canteen.pupils.draft import PupilDraft
from terminal.canteen.pupils.loading import Comparison, SchoolNow, compare
from terminal.canteen.roster import Roster
from terminal.codes import CanteenFault
from terminal.errors import CanteenRefused

FILE_NAME: Final = "pupils.json"


class RosterLoader(Protocol):
    """A till that takes rosters."""

    @property
    def counter(self) -> CanteenCounter: ...

    def load_roster(self, file: ListFile, now: datetime) -> Roster | None: ...


def school_now(counter: CanteenCounter, now: datetime) -> SchoolNow:
    """What a list is compared with. Raises `CanteenRefused` where this terminal keeps no lists."""
    counter.follow()
    if counter.files is None or counter.journal is None:
        raise CanteenRefused(
            "this terminal keeps no list now", "Mend its journal first.", CanteenFault.NO_ROSTER
        )
    return SchoolNow(
        terminal=counter.terminal,
        policy=counter.policy,
        roster=counter.roster,
        ledger=counter.ledger,
        head=counter.journal.head.sequence,
        left=counter.journal.base.sequence,
        now=now,
        refs=counter.files.refs,
    )


def compared(counter: CanteenCounter, draft: PupilDraft, now: datetime) -> Comparison:
    """What loading `draft` now would do."""
    return compare(draft, school_now(counter, now))


def load_pupils(till: RosterLoader, draft: PupilDraft, operator: str, now: datetime) -> Comparison:
    """Put `draft` in force. Raises `CanteenRefused` while something in it has to be decided; then nothing was done."""
    found = compared(till.counter, draft, now)
    if found.document is None:
        raise CanteenRefused(
            f"{found.blocking} doubts have to be settled first",
            "See them with `terminal canteen pupils check FILE`; mend the file, or load it on the console.",
            CanteenFault.LIST_DOUBTFUL,
        )
    till.load_roster(ListFile(FILE_NAME, msgspec.json.encode(found.document)), now)
    tie_listed_cards(till.counter, found.cards, operator, now)
    return replace(found, loaded=found.document.header.sequence)
