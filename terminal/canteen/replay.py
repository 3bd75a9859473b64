"""The facts on a pupil as they stood at an earlier tap: the roster's entry, and the records up to that tap."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from terminal.canteen.facts import Known
from terminal.canteen.ledger import Ledger
from terminal.canteen.roster import Roster
from terminal.decision.pupil import Pupil
from terminal.journal.records import AnyRecord, Intent
from terminal.policy.policy import Policy


@dataclass(slots=True)
class Replay:
    """Goes through one terminal's rows in order; only from a journal that still holds its first row."""

    terminal: int
    policy: Policy
    roster: Roster
    ledger: Ledger = field(default_factory=Ledger)

    def pupil_at(self, tap: Intent, at: datetime) -> Pupil | None:
        """The pupil as the tap in the next row found him; None when another roster was in force."""
        if tap.meal is None or tap.meal.roster != self.roster.header.sequence:
            return None
        day = self.policy.service_date(at.astimezone(self.policy.zone))
        holder = self.ledger.holder_of(tap.card_ref, day.isoformat())
        pupil = Known(self.terminal, self.policy, self.roster, self.ledger).pupil(holder, day, at)
        if pupil is not None and holder != tap.card_ref:
            return replace(pupil, cards_since=None)
        return pupil

    def follow(self, sequence: int, record: AnyRecord) -> None:
        """Take in one row."""
        self.ledger.apply((self.terminal, sequence), record)
