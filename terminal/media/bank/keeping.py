"""The writing side of a bank card: what a card would hold is kept here, with the record for the back office."""

from __future__ import annotations

from hashlib import sha256

from msgspec.structs import replace

from cardproto.errors import CardError
from cardproto.resident.records.event import Event, build_event, parse_event
from terminal.decision.bank_row import BankRow
from terminal.decision.outcome import WritePlan
from terminal.errors import JournalError
from terminal.journal.journal import Pending
from terminal.journal.taps import TapId
from terminal.media.held import HeldEvents, KeptState, TakenLater, charged_with
from terminal.media.port import PlannedWrite, WriteDone, WriteNotDone, WriteResult


class BankKeeper:
    """Of one tap. `found` is what was kept before, `row` what the journal states of the card, `sealed` the record."""

    def __init__(
        self, held: HeldEvents, token: bytes, found: Event | None, row: BankRow, sealed: bytes
    ) -> None:
        self._held = held
        self._token = token
        self._found = found
        self._row = replace(row, sealed=sha256(sealed).digest())
        self._sealed = sealed

    def as_second(self) -> BankKeeper:
        """The same after the resident application of its card."""
        return BankKeeper(self._held, self._token, self._found, replace(self._row, second=True), self._sealed)

    def planned(self, plan: WritePlan) -> PlannedWrite:
        self._held.seal(plan.event.sequence, self._sealed)
        return PlannedWrite(build_event(plan.event), self._row.commands, plan.paid_by, 0, 0)

    def commit(self, plan: WritePlan, intent: Pending) -> WriteResult:
        intent.wait()
        later = TakenLater(intent.sequence, charged_with(plan.event))
        try:
            self._held.keep(self._token, KeptState(build_event(plan.event)), plan.event.at, later)
        except JournalError as error:  # a full disk: no one rides on what is not kept
            self._held.unseal(intent.sequence)
            return WriteNotDone(CardError(str(error)))
        return WriteDone()

    def became(self, earlier: TapId, previous: TapId) -> WriteDone | WriteNotDone | None:  # noqa: ARG002 the port's
        own = self._held.kept(self._token)  # another terminal may have said something newer since
        known = (self._found, parse_event(own.event) if own is not None and own.event else None)
        done = any(event is not None and tap_of(event) == earlier for event in known)
        return WriteDone() if done else WriteNotDone()


def tap_of(event: Event) -> TapId:
    """Which tap left it."""
    return (event.terminal, event.sequence)
