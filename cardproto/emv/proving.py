"""The second half of a tap of a bank card: what the card has to sign, and the cryptogram for its issuer.

    fDDA   signed with the processing options: nothing more is asked
    CDA    GENERATE AC asks for signature and cryptogram in one
    DDA    INTERNAL AUTHENTICATE; then, for a card that proved itself, GENERATE AC for the cryptogram alone
    SDA    checked and reported; it counts as none, and no cryptogram is asked for

A cryptogram counts only from a card that proved itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from cardproto.apdu import SW, CommandApdu
from cardproto.channel import CardChannel
from cardproto.emv import tags
from cardproto.emv.authentication import (
    Evidence,
    OfflineAuthentication,
    OfflineMethod,
    authenticate,
    choose_method,
)
from cardproto.emv.dol import Wanted, fill_dol, parse_dol
from cardproto.emv.faults import ChainBroken, ChainFault
from cardproto.emv.keys import Trust
from cardproto.emv.opening import OpenedApplication
from cardproto.emv.signatures import CryptogramKind
from cardproto.emv.transaction import BankCryptogram, BankTransaction
from cardproto.errors import FormatError, ProtocolError
from cardproto.tlv import parse_raw_tlv, split_tlv

_CLA: Final = 0x80
_SIGNED_AT_ONCE: Final = (tags.TAG_UNPREDICTABLE, tags.TAG_AMOUNT, tags.TAG_CURRENCY)
_DDOL: Final = (Wanted(tags.TAG_UNPREDICTABLE, 4),)
_COUNTER_BYTES, _CRYPTOGRAM_BYTES = 2, 8


@dataclass(frozen=True, slots=True)
class CardSignature:
    """What the card signed with, in its own bytes: tag 9F4B, and for CDA the answer that its second hash covers. With
    the application and these `verify_again` comes to the same verdict. Empty where nothing was signed.
    """

    value: bytes = field(default=b"", repr=False)
    answer: bytes = field(default=b"", repr=False)


UNSIGNED: Final = CardSignature()
Proven = tuple[OfflineAuthentication, BankCryptogram | None, CardSignature]


@dataclass(frozen=True, slots=True)
class GeneratedAnswer:
    """What GENERATE AC answered. `covered`: its objects as they came, less the signature; `tags`: theirs."""

    kind: int
    counter: bytes
    cryptogram: bytes | None
    issuer_data: bytes
    signature: bytes | None
    covered: bytes
    tags: frozenset[int]


def prove(
    channel: CardChannel, opened: OpenedApplication, transaction: BankTransaction, trust: Trust
) -> Proven:
    """The verdict at the transaction's date, and the cryptogram of a card that proved itself.

    Raises `TransmissionError`; whatever the card answers is a verdict.
    """
    method = choose_method(opened.data, opened.aip)
    try:
        if method is OfflineMethod.CDA:
            return _combined(channel, opened, transaction, trust)
        if method is OfflineMethod.DDA:
            return _dynamic(channel, opened, transaction, trust)
    except ChainBroken as broken:
        return OfflineAuthentication(method, broken.fault), None, UNSIGNED
    except (ProtocolError, FormatError):
        return OfflineAuthentication(method, ChainFault.SIGNATURE_REFUSED), None, UNSIGNED
    return _without_command(opened, method, transaction, trust)


def verify_again(
    opened: OpenedApplication, method: OfflineMethod, signed: CardSignature, trust: Trust, on: date
) -> OfflineAuthentication:
    """The verdict on a tap that was kept, on its day `on`: the same that its terminal came to, if nothing was changed.

    What `opened.values` state of the transaction counts as far as the card signed it. Never raises for what was kept.
    """
    try:
        return authenticate(evidence_of(opened, method, signed), trust, on)
    except ChainBroken as broken:
        return OfflineAuthentication(method, broken.fault)
    except FormatError:
        return OfflineAuthentication(method, ChainFault.SIGNATURE_REFUSED)


def evidence_of(
    opened: OpenedApplication,
    method: OfflineMethod,
    signed: CardSignature,
    answer: GeneratedAnswer | None = None,
) -> Evidence:
    """What a verifier is given; raises `ChainBroken`, `FormatError`. `answer`: what `signed.answer` holds, if that was
    read already.
    """
    signature, behind, transaction = signed.value or None, b"", b""
    kind, answered = None, frozenset[int]()
    if method is OfflineMethod.CDA:
        answer = answer or _format_2(signed.answer)
        behind, kind, answered = opened.unpredictable, answer.kind, answer.tags
        transaction = opened.pdol + _cdol_values(opened, opened.values) + answer.covered
    elif method is OfflineMethod.DDA:
        behind = fill_dol(_ddol(opened), opened.values)
    else:
        behind = b"".join(opened.values[tag] for tag in _SIGNED_AT_ONCE)
    return Evidence(
        *(opened.application.rid, opened.data, opened.pan, method, signature),
        *(behind, transaction, kind, answered),
    )


def _without_command(
    opened: OpenedApplication, method: OfflineMethod, transaction: BankTransaction, trust: Trust
) -> Proven:
    signed = CardSignature(opened.data.get(tags.TAG_DYNAMIC_SIGNATURE) or b"")
    verdict = authenticate(evidence_of(opened, method, signed), trust, transaction.at.date())
    if not verdict.genuine:
        return verdict, None, UNSIGNED
    try:
        cryptogram = _given_cryptogram(opened)
    except ChainBroken as broken:
        return OfflineAuthentication(method, broken.fault), None, UNSIGNED
    return verdict, cryptogram, signed


def _given_cryptogram(opened: OpenedApplication) -> BankCryptogram | None:
    """The cryptogram that came with the options; its kind is optional there. Raises `ChainBroken`."""
    value, kind = opened.data.get(tags.TAG_CRYPTOGRAM), opened.data.get(tags.TAG_CRYPTOGRAM_KIND)
    if value is None:
        return None
    stated = _accepted_kind(kind[0], CryptogramKind.TC) if kind else None
    issuer_data = opened.data.get(tags.TAG_ISSUER_DATA) or b""
    return BankCryptogram(stated, value, opened.data.get(tags.TAG_ATC) or b"", issuer_data)


def _dynamic(
    channel: CardChannel, opened: OpenedApplication, transaction: BankTransaction, trust: Trust
) -> Proven:
    signature = _internal_authenticate(channel, fill_dol(_ddol(opened), opened.values))
    signed = CardSignature(signature or b"")
    verdict = authenticate(evidence_of(opened, OfflineMethod.DDA, signed), trust, transaction.at.date())
    if not verdict.genuine:
        return verdict, None, UNSIGNED
    return (
        verdict,
        _cryptogram_after(channel, opened, transaction, verdict.proof.dynamic_number),
        signed,
    )


def _ddol(opened: OpenedApplication) -> tuple[Wanted, ...]:
    """What the card wants to sign; raises `ChainBroken` when the random number is not among it."""
    listed = opened.data.get(tags.TAG_DDOL)
    wanted = _DDOL if listed is None else parse_dol(listed)
    if tags.TAG_UNPREDICTABLE not in {one.tag for one in wanted if one.length >= 4}:
        raise ChainBroken(ChainFault.NO_UNPREDICTABLE_NUMBER)
    return wanted


def _cryptogram_after(
    channel: CardChannel, opened: OpenedApplication, transaction: BankTransaction, number: bytes
) -> BankCryptogram:
    """The cryptogram of a card that has just proved itself by DDA; raises `ChainBroken`."""
    cdol = _cdol_values(opened, {**opened.values, tags.TAG_CARD_NUMBER_RANDOM: number})
    try:
        answer = _generate(channel, cdol, transaction.asked)
    except (ProtocolError, FormatError):
        raise ChainBroken(ChainFault.CRYPTOGRAM_REFUSED) from None
    kind = _accepted_kind(answer.kind, transaction.asked)
    if answer.cryptogram is None:
        raise ChainBroken(ChainFault.CRYPTOGRAM_REFUSED)
    return BankCryptogram(kind, answer.cryptogram, answer.counter, answer.issuer_data)


def _internal_authenticate(channel: CardChannel, behind: bytes) -> bytes | None:
    answer = channel.send(CommandApdu(0, tags.INS_INTERNAL_AUTHENTICATE, 0, 0, behind, 0))
    if answer.sw != SW.OK:
        raise ChainBroken(ChainFault.SIGNATURE_REFUSED)
    template, rest = split_tlv(answer.data)
    if template.tag == tags.TAG_ANSWER_1 and not rest:
        return template.value
    found = {one.tag: one.value for one in template.children(skip_filler=True)}
    return found.get(tags.TAG_DYNAMIC_SIGNATURE)


def _combined(
    channel: CardChannel, opened: OpenedApplication, transaction: BankTransaction, trust: Trust
) -> Proven:
    answer = _generate(channel, _cdol_values(opened, opened.values), transaction.asked, tags.P1_CDA)
    kind = _accepted_kind(answer.kind, transaction.asked)
    if answer.signature is None:
        raise ChainBroken(ChainFault.SIGNATURE_MISSING)
    signed = CardSignature(answer.signature, answer.covered)
    verdict = authenticate(
        evidence_of(opened, OfflineMethod.CDA, signed, answer), trust, transaction.at.date()
    )
    value = verdict.proof.cryptogram
    if not verdict.genuine or value is None:
        return verdict, None, UNSIGNED
    return verdict, BankCryptogram(kind, value, answer.counter, answer.issuer_data), signed


def _cdol_values(opened: OpenedApplication, values: dict[int, bytes]) -> bytes:
    listed = opened.data.get(tags.TAG_CDOL_1)
    if listed is None:
        raise ChainBroken(ChainFault.NO_CRYPTOGRAM_LIST)
    return fill_dol(parse_dol(listed), values)


def _generate(channel: CardChannel, values: bytes, asked: CryptogramKind, signed: int = 0) -> GeneratedAnswer:
    answer = channel.send(CommandApdu(_CLA, tags.INS_GENERATE_AC, asked | signed, 0, values, 0))
    if answer.sw != SW.OK:
        raise ChainBroken(ChainFault.SIGNATURE_REFUSED)
    return parse_generated(answer.data)


def parse_generated(answer: bytes) -> GeneratedAnswer:
    """What GENERATE AC answers, format 1 (tag 80) or 2 (tag 77). Raises `FormatError`."""
    template, rest = split_tlv(answer)
    if rest:
        raise FormatError("GENERATE AC", "has bytes behind its template")
    if template.tag == tags.TAG_ANSWER_1:
        return _format_1(template.value)
    if template.tag != tags.TAG_ANSWER_2:
        raise FormatError("GENERATE AC", "answers with neither template 80 nor 77")
    return _format_2(template.value)


def _format_1(value: bytes) -> GeneratedAnswer:
    head = 1 + _COUNTER_BYTES
    if len(value) < head + _CRYPTOGRAM_BYTES:
        raise FormatError("GENERATE AC", f"template 80 of {len(value)} bytes")
    cryptogram, issuer_data = value[head : head + _CRYPTOGRAM_BYTES], value[head + _CRYPTOGRAM_BYTES :]
    return GeneratedAnswer(value[0], value[1:head], cryptogram, issuer_data, None, b"", frozenset())


def _format_2(value: bytes) -> GeneratedAnswer:
    """The second hash of CDA covers the objects as they were sent, lengths included, without the signature."""
    pairs = parse_raw_tlv(value, skip_filler=True)
    found = {one.tag: one.value for one, _ in pairs}
    kind, counter = found.get(tags.TAG_CRYPTOGRAM_KIND, b""), found.get(tags.TAG_ATC, b"")
    cryptogram = found.get(tags.TAG_CRYPTOGRAM)
    if len(found) != len(pairs) or len(kind) != 1 or len(counter) != _COUNTER_BYTES:
        raise FormatError("GENERATE AC", "lacks an object or holds one twice")
    if cryptogram is not None and len(cryptogram) != _CRYPTOGRAM_BYTES:
        raise FormatError("GENERATE AC", "holds no cryptogram of 8 bytes")
    covered = b"".join(raw for one, raw in pairs if one.tag != tags.TAG_DYNAMIC_SIGNATURE)
    signature, issuer_data = found.pop(tags.TAG_DYNAMIC_SIGNATURE, None), found.get(tags.TAG_ISSUER_DATA, b"")
    return GeneratedAnswer(kind[0], counter, cryptogram, issuer_data, signature, covered, frozenset(found))


def _accepted_kind(information: int, asked: CryptogramKind) -> CryptogramKind:
    """A card may give what it was asked for or less: TC, then ARQC, then AAC. Raises `ChainBroken`."""
    bits = information & tags.CRYPTOGRAM_MASK
    if bits == CryptogramKind.AAC:
        raise ChainBroken(ChainFault.DECLINED)
    if bits not in (asked, CryptogramKind.ARQC):
        raise ChainBroken(ChainFault.SIGNATURE_KIND)
    return CryptogramKind(bits)
