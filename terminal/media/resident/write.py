"""Stage 6 of a tap: put the write plan on the card in one atomic transaction and have it proved.

Nothing the card executes before CommitTransaction has any effect, so a failure up to there is a definite "not
committed". Once the commit has been sent, only a verified answer is success; anything else, an error status
included (it carries no MAC), is *unknown*, never failed.
"""

from __future__ import annotations

from cardproto.desfire.card import DesfireCard
from cardproto.desfire.commands import INS_DEBIT
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.transaction_mac import DataCommand, TransactionMac
from cardproto.errors import CardError
from cardproto.resident.layout import FILE_EVENTS, FILE_PURSE
from cardproto.resident.records.event import build_event
from terminal.decision.outcome import WritePlan
from terminal.journal.journal import Pending
from terminal.media.port import WriteDone, WriteNotDone, WriteResult, WriteUnknown
from terminal.media.resident.machine import Course, WriteStep


def write_plan_to_card(
    card: DesfireCard, plan: WritePlan, intent: Pending, course: Course, *, proving: bool = True
) -> WriteResult:
    """Execute `plan`; the journal's flush of `intent` runs meanwhile and must have ended before the commit.

    `course` is taken along (`terminal.media.resident.machine`). `proving` asks the card for its proof, which an EV1
    card cannot give. Raises `JournalError` when the intent could not be stored: the commit is then not sent.
    """
    try:
        if plan.debit_minor:
            card.debit(FILE_PURSE, plan.debit_minor, CommMode.MAC)
        card.write_record(FILE_EVENTS, 0, build_event(plan.event), CommMode.MAC)
    except CardError as cause:
        intent.wait()
        course.take(WriteStep.INTENT_DURABLE)
        course.take(WriteStep.CARD_LEFT)
        return WriteNotDone(cause)
    intent.wait()
    course.take(WriteStep.INTENT_DURABLE)
    course.take(WriteStep.COMMIT_SENT)
    try:
        proof = card.commit_transaction(return_mac=proving)
    except CardError as cause:
        course.take(WriteStep.NO_PROOF)
        return WriteUnknown(cause)
    course.take(WriteStep.PROVEN)
    return done(proof)


def done(proof: TransactionMac | None) -> WriteDone:
    """A write that the card holds; no proof from a card that cannot give one, or that has replaced it since."""
    return WriteDone() if proof is None else WriteDone(proof.counter, proof.value)


def planned_commands(card: DesfireCard, plan: WritePlan) -> list[DataCommand]:
    """The transaction's data commands, those already done and those `plan` will add, as the transaction MAC sees them.

    Journaled with the intent, so that the collector can recompute the card's proof even when this terminal dies
    before it hears the answer.
    """
    commands = list(card.data_commands)
    if plan.debit_minor:
        commands.append(
            DataCommand(INS_DEBIT, bytes((FILE_PURSE,)) + plan.debit_minor.to_bytes(4, "little"), b"")
        )
    record = build_event(plan.event)
    header = bytes((FILE_EVENTS,)) + bytes(3) + len(record).to_bytes(3, "little")
    commands.append(DataCommand(card.codes.write_record, header, record))
    return commands
