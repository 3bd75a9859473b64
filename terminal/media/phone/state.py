"""What both ways of showing a phone share: who it is, what was kept of it, and how its new state is kept."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from cardproto.credential.code import ShownCode
from cardproto.credential.grant import Credential, CredentialDefect, HolderKey, RejectedCredential
from cardproto.errors import CardError, FormatError
from cardproto.resident.records.event import Event, build_event, parse_event
from terminal.decision.outcome import Message, WritePlan
from terminal.decision.phone import Answered, CodeShown, OnPaper, PhoneWay, phone_snapshot
from terminal.decision.phone_record import PhoneRecord, code_record, code_shown, paper_record
from terminal.errors import JournalError
from terminal.journal.journal import Pending
from terminal.journal.taps import TapId
from terminal.media.held import HeldEvents, KeptState
from terminal.media.port import (
    LastTap,
    MediumSetup,
    PlannedWrite,
    Presented,
    UnsupportedCard,
    WriteDone,
    WriteNotDone,
    WriteResult,
)

_OUT_OF_DATE: Final = MappingProxyType(
    {
        CredentialDefect.EXPIRED: Message.CREDENTIAL_EXPIRED,
        CredentialDefect.NOT_YET_VALID: Message.NOT_YET_VALID,
    }
)


def not_believed(rejected: RejectedCredential) -> UnsupportedCard:
    """What staff and holder read of a credential that does not count."""
    message = _OUT_OF_DATE.get(rejected.reason, Message.CREDENTIAL_NOT_TRUSTED)
    return UnsupportedCard(f"the phone's credential: {rejected.reason}", message)


class PhoneStates:
    """Phones by the reference of their key: a renewed credential is the same phone."""

    def __init__(self, setup: MediumSetup, held: HeldEvents) -> None:
        self._setup = setup
        self._held = held

    def reference(self, credential: Credential) -> bytes:
        """Of a phone whose proof was verified."""
        assert isinstance(credential.holder, HolderKey), "its proof was verified with it"
        return self._setup.reference(b"phone" + credential.holder.x)

    def presented(
        self, credential: Credential, answered_ms: int, record: PhoneRecord, now: datetime
    ) -> Presented:
        """A phone that has answered a challenge; `record` is what its row keeps of that."""
        reference = self.reference(credential)
        held = self._held.newest(reference, now)
        return self._presented(credential, reference, held, Answered(answered_ms), record)

    def shown(self, shown: ShownCode, data: bytes, now: datetime) -> Presented:
        """A phone whose code, `data`, was read."""
        reference = self.reference(shown.credential)
        held = self._held.newest(reference, now)
        last = 0 if held is None else held.counter
        assert shown.at is not None, "printed codes are refused before"
        assert shown.counter is not None
        way = code_shown(shown.counter, shown.at, last, now)
        return self._presented(shown.credential, reference, held, way, code_record(data, last))

    def on_paper(self, credential: Credential, data: bytes, now: datetime, *, checked: bool) -> Presented:
        """A printed code, `data`. Another print of the same resident is the same paper: limits go on."""
        reference = self._setup.reference(b"paper" + credential.pseudonym)
        held = self._held.newest(reference, now)
        record = paper_record(data, checked=checked)
        return self._presented(credential, reference, held, OnPaper(checked), record)

    def _presented(
        self,
        credential: Credential,
        reference: bytes,
        held: KeptState | None,
        way: PhoneWay,
        record: PhoneRecord,
    ) -> Presented:
        event = None if held is None else held.event
        record = replace(record, event=event or b"")
        snapshot = phone_snapshot(credential, event, self._setup.region, reference, way)
        counter = way.counter if isinstance(way, CodeShown) else 0
        return Presented(
            reference=reference,
            snapshot=snapshot,
            person=self._setup.person(credential.pseudonym),
            last=LastTap(_tap_of(snapshot.event), snapshot.event.at),
            read=record.parts,
            writer=_Keeper(self._held, reference, counter, record),
        )


def _tap_of(event: Event) -> TapId:
    return (event.terminal, event.sequence)


class _Keeper:
    """The writing side: what a card would hold is kept here. `counter` is the code's."""

    def __init__(self, held: HeldEvents, reference: bytes, counter: int, record: PhoneRecord) -> None:
        self._held = held
        self._reference = reference
        self._counter = counter
        self._record = record

    def planned(self, plan: WritePlan) -> PlannedWrite:
        return PlannedWrite(build_event(plan.event), self._record.commands, plan.paid_by, 0, 0)

    def commit(self, plan: WritePlan, intent: Pending) -> WriteResult:
        intent.wait()
        try:
            self._held.keep(self._reference, KeptState(build_event(plan.event), self._counter), plan.event.at)
        except (
            JournalError
        ) as error:  # a full disk: what was kept before stays, and no one rides on what is not kept
            return WriteNotDone(CardError(str(error)))
        return WriteDone()

    def became(self, earlier: TapId, previous: TapId) -> WriteDone | WriteNotDone | None:  # noqa: ARG002 the port's
        kept = self._held.kept(self._reference)
        done = kept is not None and _written_by(kept.event) == earlier
        return WriteDone() if done else WriteNotDone()


def _written_by(event: bytes) -> TapId | None:
    try:
        return _tap_of(parse_event(event))
    except FormatError:
        return None
