"""What the card itself says of a committed tap, and whether its row says the same (O-10).

A row carries the commands of the card's transaction in plain (`Intent.proof`) and the card's MAC over them
(`Committed.tmv`), which no terminal can make. So the row's own word on money is never needed: it is compared with the
purse commands, with the event those commands append and with the event they read, each of them inside the proof.

What counts is what the card's commands say of *this* row; what the row states beyond or short of that stands apart, in
no sum. Commands whose event names another row say nothing of this one. A phone's row carries what issuer and phone
signed instead (`terminal.collector.phones`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from cardproto.credential.keys import IssuerKeys
from cardproto.desfire.commands import (
    INS_CREDIT,
    INS_DEBIT,
    INS_GET_VALUE,
    INS_LIMITED_CREDIT,
    INS_READ_DATA,
    INS_READ_DATA_NATIVE,
    INS_READ_RECORDS,
    INS_READ_RECORDS_NATIVE,
    INS_WRITE_RECORD,
    INS_WRITE_RECORD_NATIVE,
)
from cardproto.desfire.transaction_mac import tmi_of
from cardproto.resident.layout import FILE_EVENTS, FILE_PURSE
from cardproto.resident.limits import LARGEST_MINOR, LARGEST_SEQUENCE
from cardproto.resident.records.event import (
    EVENT_BYTES,
    Event,
    EventKind,
    StatedSums,
    build_event,
    packed_sums,
    stated_sums,
)
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.phones import PhoneWord, word_of
from terminal.collector.registry import ProvingCard, ProvingCards
from terminal.decision.phone_record import PhoneRecord, shown_in
from terminal.journal.records import Committed, Intent, SettledBy
from terminal.journal.taps import TapId


class Proof(StrEnum):
    """What the card's transaction MAC says of a committed tap: `PROVEN`, `DIFFERING`, or why it says nothing."""

    PROVEN = "proven"
    """The card's own MAC covers the commands, and the row says what they say."""
    DIFFERING = "differing"
    """The row says otherwise than the card's commands in it, genuine or not to be checked."""
    NO_REGISTRY = "no_registry"
    """The collector was given no card registry."""
    UNKNOWN_CARD = "unknown_card"
    """The registry does not know the card."""
    CANNOT_PROVE = "cannot_prove"
    """The registry knows it as a card without a transaction MAC (EV1)."""
    NOT_STATED = "not_stated"
    """A later tap of the card shows it; its terminal has not said so, or denies it."""
    REPLACED = "replaced"
    """Its terminal learned the end when the card had made another transaction, which replaced the proof."""
    NO_PROOF = "no_proof"
    """The card can prove, its terminal says that it answered, and gives no proof."""
    FAILED = "failed"
    """The MAC is not the card's, or a signature not the phone's or its issuer's."""
    NO_ISSUERS = "no_issuers"
    """A phone's, and the collector was given no issuers' keys."""
    UNKNOWN_ISSUER = "unknown_issuer"
    """A phone's, and none of the issuers' keys is its issuer's."""


UNPROVEN: Final = frozenset(Proof) - {Proof.PROVEN, Proof.DIFFERING}
"""Reason codes: committed as far as anything is known, and the card's word is missing."""
DISBELIEVED: Final = frozenset((Proof.NO_PROOF, Proof.FAILED))
"""Such a row settles no other tap."""


class ProofDifference(NamedTuple):
    """One thing a row says otherwise than the card's commands in it."""

    cause: AlarmCause
    inputs: Mapping[str, int]


class Checked(Struct, frozen=True):
    """A committed tap as its card proves it. Sums in minor units: `counted_minor` is what counts, `stated_minor` what
    the row says; they differ only where `proof` is `DIFFERING`."""

    proof: Proof
    counted_minor: int
    stated_minor: int
    differences: tuple[ProofDifference, ...] = ()
    happened: bool = True
    """Whether it may be taken for a tap of that card that happened, so that others are settled by it."""
    phone: PhoneWord | None = None
    """What a believed phone says; None for a card."""
    why: str = ""
    """What is wrong with a phone's proof that failed."""

    @property
    def overstated_minor(self) -> int:
        """What the row states beyond what counts."""
        return max(0, self.stated_minor - self.counted_minor)

    @property
    def understated_minor(self) -> int:
        """What counts beyond what the row states."""
        return max(0, self.counted_minor - self.stated_minor)


class EvidenceLimits(Struct, frozen=True):
    """What a terminal may bring on one service day before people look: committed taps of cards that the registry does
    not know, and the shares of taps of cards without a proof and of taps whose proof was replaced. A share is judged
    from `least_taps` on.
    """

    unknown_cards: int = 0
    ev1_share: float = 0.5
    replaced_share: float = 0.1
    least_taps: int = 50


class CardStatement(Struct, frozen=True):
    """What the commands of one transaction say. Money in minor units; events as bytes, empty where there is none."""

    debit_minor: int
    credit_minor: int
    written: bytes
    found: bytes
    foreign: int | None
    """The code of a command that no tap sends."""


_EVENTS: Final = bytes((FILE_EVENTS,))
_PURSE: Final = bytes((FILE_PURSE,))
_WHOLE_EVENT: Final = _EVENTS + bytes(3) + EVENT_BYTES.to_bytes(3, "little")
_VALUE_HEADER_BYTES: Final = 5
_READ, _FIND, _WRITE, _DEBIT, _CREDIT = range(5)
_ROLES: Final = {
    INS_READ_DATA: _READ,
    INS_READ_DATA_NATIVE: _READ,
    INS_GET_VALUE: _READ,
    INS_READ_RECORDS: _FIND,
    INS_READ_RECORDS_NATIVE: _FIND,
    INS_WRITE_RECORD: _WRITE,
    INS_WRITE_RECORD_NATIVE: _WRITE,
    INS_DEBIT: _DEBIT,
    INS_CREDIT: _CREDIT,
    INS_LIMITED_CREDIT: _CREDIT,
}
"""What a command does in a tap; all others belong to none."""


def statement_of(proof: tuple[tuple[int, bytes, bytes], ...]) -> CardStatement:
    """What the commands in a row say, genuine or not."""
    debit_minor, credit_minor, written, found = 0, 0, b"", b""
    foreign: int | None = None
    for ins, header, data in proof:
        role = _ROLES.get(ins)
        if role == _READ:
            continue
        if role == _FIND:
            if not found and header[:1] == _EVENTS:
                found = data[-EVENT_BYTES:]  # of several the newest comes last
        elif role == _WRITE and header == _WHOLE_EVENT and not written:
            written = data
        elif (
            role is not None
            and role >= _DEBIT
            and header[:1] == _PURSE
            and len(header) == _VALUE_HEADER_BYTES
        ):
            amount_minor = int.from_bytes(header[1:], "little", signed=True)
            if role == _DEBIT:
                debit_minor += amount_minor
            else:
                credit_minor += amount_minor
        elif foreign is None:
            foreign = ins
    return CardStatement(debit_minor, credit_minor, written, found, foreign)


def check_proof(row: TapId, intent: Intent, committed: Committed, registry: ProvingCards) -> Checked:
    """What the card says of a tap that its terminal states as committed."""
    phone = shown_in(intent.proof)
    if phone is not None:
        return _of_phone(row, intent, phone, registry.issuers)
    proof = _proof_of(intent, committed, registry)
    if proof in DISBELIEVED:
        return Checked(proof, intent.charge_minor, intent.charge_minor, happened=False)
    return _compared(row, intent, proof)


def _of_phone(row: TapId, intent: Intent, phone: PhoneRecord, issuers: IssuerKeys) -> Checked:
    if not issuers:
        return _compared(row, intent, Proof.NO_ISSUERS)
    word = word_of(row, intent.at_ms, phone, issuers)
    if word.why:
        stated_minor = intent.charge_minor
        return Checked(Proof.FAILED, stated_minor, stated_minor, happened=False, why=word.why)
    checked = _compared(row, intent, Proof.UNKNOWN_ISSUER if word.unknown else Proof.PROVEN)
    return replace(checked, phone=word)


def not_stated(row: TapId, intent: Intent) -> Checked:
    """A tap that only later taps of its card show: `NOT_STATED` as far as its row says what the commands in it say."""
    return _compared(row, intent, Proof.NOT_STATED)


def _compared(row: TapId, intent: Intent, proof: Proof) -> Checked:
    """`proof` where the row says what the commands in it say."""
    stated_minor = intent.charge_minor
    if not intent.proof:
        return Checked(proof, stated_minor, stated_minor)
    phone = shown_in(intent.proof)
    said = statement_of(intent.proof) if phone is None else _said_by(phone, intent)
    if _agrees(row, intent, said):
        return Checked(proof, stated_minor, stated_minor)
    written = stated_sums(said.written)
    own = written is not None and written[:2] == row
    counted_minor = said.debit_minor - said.credit_minor if own else 0
    differences = _differences(row, intent, said, written)
    happened = own and not any(each.cause in _NOT_FOUND for each in differences)
    return Checked(Proof.DIFFERING, counted_minor, stated_minor, differences, happened)


def _said_by(phone: PhoneRecord, intent: Intent) -> CardStatement:
    """A phone holds no money, and its terminal keeps what a card would: that is held against the row's own fields."""
    return CardStatement(0, 0, intent.event, phone.event or _NEVER_USED, None)


_NEVER_USED: Final = build_event(
    Event(
        EventKind.ISSUE,
        datetime(2024, 1, 1, tzinfo=UTC),
        terminal=0,
        sequence=0,
        balance_after_minor=0,
        amount_minor=0,
    )
)
_NOT_FOUND: Final = frozenset((AlarmCause.NOTHING_FOUND, AlarmCause.FOUND_DIFFERS))


def _proof_of(intent: Intent, committed: Committed, registry: ProvingCards) -> Proof:
    if not registry:
        return Proof.NO_REGISTRY
    card = registry.card(intent.card_ref, committed.tmc)
    if card is None:
        return Proof.UNKNOWN_CARD
    if not intent.proof:
        return Proof.NO_PROOF
    if committed.tmc is not None:
        return Proof.PROVEN if _is_genuine(intent, committed.tmc, committed.tmv, card) else Proof.FAILED
    if not card.proves:
        return Proof.CANNOT_PROVE
    return Proof.REPLACED if committed.how is SettledBy.RECOVERED else Proof.NO_PROOF


def _is_genuine(intent: Intent, tmc: int, tmv: bytes, card: ProvingCard) -> bool:
    try:
        covered = tmi_of(intent.proof)
    except ValueError:  # no command has such a code
        return False
    return card.gave(tmc, covered, tmv)


def _agrees(row: TapId, intent: Intent, said: CardStatement) -> bool:
    """Whether all is as a tap leaves it. What differs is found out afterwards: that is rare."""
    charge_minor, after_minor = intent.charge_minor, intent.balance_after_minor
    before_minor = intent.balance_before_minor
    return (
        said.debit_minor == charge_minor
        and said.credit_minor == 0
        and said.foreign is None
        and said.written == intent.event
        and before_minor - charge_minor == after_minor
        and 0 <= after_minor <= before_minor <= LARGEST_MINOR
        and intent.prev_sequence <= LARGEST_SEQUENCE
        and packed_sums(said.written) == row[0] << 70 | row[1] << 42 | after_minor << 21 | charge_minor
        and packed_sums(said.found) >> 21
        == intent.prev_terminal << 49 | intent.prev_sequence << 21 | before_minor
    )


def _differences(
    row: TapId, intent: Intent, said: CardStatement, written: StatedSums | None
) -> tuple[ProofDifference, ...]:
    """Everything that differs, the most telling first."""
    found = stated_sums(said.found)
    pairs: list[tuple[AlarmCause, object, object, Mapping[str, int]]] = [
        (AlarmCause.CREDITED, said.credit_minor, 0, {"card": said.credit_minor}),
        _sums(AlarmCause.DEBIT_DIFFERS, said.debit_minor, intent.charge_minor),
        (AlarmCause.EVENT_DIFFERS, said.written, intent.event, {}),
        (AlarmCause.FOREIGN_COMMAND, said.foreign, None, {"code": said.foreign or 0}),
    ]
    if written is None:
        pairs.insert(0, (AlarmCause.NO_EVENT, None, row, {}))
    else:
        pairs.insert(
            0, (AlarmCause.ROW_DIFFERS, written[:2], row, {"terminal": written[0], "row": written[1]})
        )
        pairs.append(_sums(AlarmCause.AMOUNT_DIFFERS, written.amount_minor, intent.charge_minor))
        pairs.append(
            _sums(AlarmCause.BALANCE_DIFFERS, written.balance_after_minor, intent.balance_after_minor)
        )
    if found is None:
        pairs.append((AlarmCause.NOTHING_FOUND, None, row, {}))
    else:
        previous = intent.prev_terminal, intent.prev_sequence
        inputs = {"terminal": found.terminal, "row": found.sequence}
        pairs.append((AlarmCause.FOUND_DIFFERS, found[:2], previous, inputs))
        pairs.append(_sums(AlarmCause.BEFORE_DIFFERS, found.balance_after_minor, intent.balance_before_minor))
    after_minor = intent.balance_before_minor - intent.charge_minor
    pairs.append(_sums(AlarmCause.BALANCE_DIFFERS, after_minor, intent.balance_after_minor))
    return tuple(ProofDifference(cause, inputs) for cause, card, stated, inputs in pairs if card != stated)


def _sums(cause: AlarmCause, card: int, stated: int) -> tuple[AlarmCause, int, int, dict[str, int]]:
    return cause, card, stated, {"card": card, "stated": stated}


# Findings


def finding_of(row: TapId, committed: Committed, checked: Checked) -> Alarm | None:
    """What people must look at, if anything: one alarm a row, about the most telling of several differences."""
    match checked.proof:
        case Proof.FAILED if checked.why:
            return Alarm(AlarmKind.TMV_MISMATCH, *row, detail_of(AlarmCause.PHONE_PROOF, why=checked.why))
        case Proof.FAILED:
            detail = detail_of(AlarmCause.PROOF_FAILED, counter=committed.tmc or 0)
            return Alarm(AlarmKind.TMV_MISMATCH, *row, detail)
        case Proof.NO_PROOF:
            return Alarm(AlarmKind.NO_PROOF, *row, AlarmCause.PROOF_MISSING)
        case _:
            return differing(row, checked)


def differing(row: TapId, checked: Checked) -> Alarm | None:
    """The finding where a row says otherwise than the commands in it, whatever its terminal states of the end."""
    if not checked.differences:
        return None
    first, *others = checked.differences
    detail = detail_of(first.cause, **first.inputs, more=len(others))
    return Alarm(AlarmKind.PROOF_DIFFERS, *row, detail)


def day_findings(terminal: int, day: str, taps: Mapping[Proof, int], limits: EvidenceLimits) -> list[Alarm]:
    """What people must look at in one terminal's committed taps of one service day, counted by what proves them."""
    found, total = [], sum(taps.values())
    strangers = (
        (Proof.UNKNOWN_CARD, AlarmCause.CARDS_NOT_REGISTERED),
        (Proof.UNKNOWN_ISSUER, AlarmCause.ISSUERS_NOT_KNOWN),
    )
    for proof, cause in strangers:
        if taps.get(proof, 0) > limits.unknown_cards:
            found.append(Alarm(AlarmKind.UNKNOWN_CARD, terminal, 0, detail_of(cause, day=day)))
    shares = (
        (Proof.CANNOT_PROVE, limits.ev1_share, AlarmCause.EV1_SHARE),
        (Proof.REPLACED, limits.replaced_share, AlarmCause.REPLACED_SHARE),
    )
    for proof, share, cause in shares:
        if total >= limits.least_taps and taps.get(proof, 0) > share * total:
            found.append(Alarm(AlarmKind.UNPROVEN_SHARE, terminal, 0, detail_of(cause, day=day)))
    return found
