"""The traps that cards in the field set, one after the other; each test is named after its trap."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Final

import pytest

from cardproto.apdu import CommandApdu
from cardproto.channel import CardChannel
from cardproto.emv import tags
from cardproto.emv.certificates import card_key, issuer_key
from cardproto.emv.faults import ChainBroken, ChainFault, NotRead, ReadFault
from cardproto.emv.numbers import Pan, month_end, parse_date, parse_pan
from cardproto.emv.opening import open_application
from cardproto.emv.records import (
    parse_afl,
    parse_options,
)
from cardproto.emv.selection import parse_directory
from cardproto.emv.transaction import BankTransaction
from cardproto.errors import CardGone, FormatError
from cardproto.tlv import parse_tlv
from tests.cardproto.emv.lab import LAB_KEY, SHORT_SPACE, short_chain, tlv
from tests.cardproto.emv.signing import changed, put
from tests.cardproto.emv.vectors import (
    CDA,
    DDA,
    FDDA,
    MIR,
    PPSE_SELECT,
    UNPREDICTABLE,
    TranscriptCard,
    answering_cryptogram,
    ca_key,
    chain_data,
    chain_pan,
    own_card,
    own_chain,
    own_transaction,
    read,
    tap,
)

CHAIN: Final = own_chain()
DAY: Final = date(2026, 11, 21)
TAGS: Final = {int(tag, 16): bytes.fromhex(value) for tag, value in CHAIN["tags"].items()}
STATIC: Final = bytes.fromhex(CHAIN["static_data_to_authenticate"])
AID: Final = "A0000006581010"


def fault_of(reading: object) -> ReadFault:
    assert isinstance(reading, NotRead), reading
    return reading.fault


@pytest.mark.parametrize("remainder", [None, b""], ids=["absent", "empty"])
def test_trap_01_a_remainder_is_absent_or_empty_where_the_key_fits(remainder: bytes | None) -> None:
    assert short_chain(t9F48=remainder).genuine


def test_trap_01_a_remainder_that_is_not_needed_is_refused_and_one_that_is_needed_too() -> None:
    assert short_chain(t9F48=b"\xbb\xbb").fault is ChainFault.CARD_CERTIFICATE_KEY
    with pytest.raises(ChainBroken, match="issuer_certificate_key"):
        issuer_key(chain_data(CHAIN, t92=b""), chain_pan(CHAIN), ca_key(CHAIN["ca"]), DAY, frozenset())


def test_trap_02_an_exponent_has_one_byte_or_three_and_is_covered_as_it_stands() -> None:
    assert LAB_KEY.exponent == b"\x01\x00\x01"
    assert short_chain().genuine, "65537 in three bytes, under certificates whose exponent is 3 in one"
    assert short_chain(t9F47=b"\x03").fault is ChainFault.CARD_CERTIFICATE_KEY
    assert short_chain(t9F47=b"\x00\x00\x03").fault is ChainFault.CARD_CERTIFICATE_HASH


def test_trap_02_an_exponent_that_no_scheme_uses_is_refused_even_when_it_is_signed() -> None:
    behind = TAGS[0x92] + b"\x05"
    certificate = changed("ca", TAGS[0x90], behind, lambda block: None)
    with pytest.raises(ChainBroken, match="issuer_certificate_key"):
        issuer_key(
            chain_data(CHAIN, t90=certificate, t9F32=b"\x05"),
            *(chain_pan(CHAIN), ca_key(CHAIN["ca"]), DAY, frozenset()),
        )


def test_trap_03_a_card_key_is_shorter_than_its_space_or_longer() -> None:
    assert LAB_KEY.size < SHORT_SPACE
    assert short_chain().genuine, "shorter: the padding is no part of the key"
    assert read(own_card(CDA)).authentication.genuine, "longer: the remainder is"


@pytest.mark.parametrize(
    ("digits", "issuer"),
    [
        ("2200000000000000019", "22000000"),
        ("2200000000000000019", "2200000F"),
        ("2200000000000000019", "220FFFFF"),
        ("22000000000004", "220000FF"),
        ("220000000000004", "22000FFF"),
    ],
)
def test_trap_04_numbers_are_compared_digit_for_digit(digits: str, issuer: str) -> None:
    padded = digits.ljust(20, "F")
    pan = parse_pan(bytes.fromhex(digits + "F" * (len(digits) % 2)))
    certificate = _with("ca", 0x90, put_anew(2, issuer), TAGS[0x92] + TAGS[0x9F32])
    own = _with("issuer", 0x9F46, put_anew(2, padded), TAGS[0x9F48] + TAGS[0x9F47] + STATIC)
    data = chain_data(CHAIN, t90=certificate, t9F46=own)
    key = issuer_key(data, pan, ca_key(CHAIN["ca"]), DAY, frozenset())
    assert card_key(data, pan, key, DAY)
    longer, other = Pan(digits + "0") if len(digits) < 19 else Pan(digits[:-1]), Pan(digits[:-1] + "5")
    for wrong in (longer, other):
        with pytest.raises(ChainBroken, match="card_certificate_number"):
            card_key(data, wrong, key, DAY)


def put_anew(at: int, value: str) -> Callable[[bytearray], None]:
    def change(block: bytearray) -> None:
        block[at : at + len(value) // 2] = bytes.fromhex(value)

    return change


def _with(owner: str, tag: int, change: Callable[[bytearray], None], behind: bytes) -> bytes:
    return changed(owner, TAGS[tag], behind, change)


def test_trap_05_a_month_ends_with_its_last_day_and_two_digits_are_a_year_of_this_century_until_49() -> None:
    assert month_end("02", "28") == date(2028, 2, 29)
    assert month_end("02", "27") == date(2027, 2, 28)
    assert (month_end("12", "49").year, month_end("12", "50").year) == (2049, 1950)
    assert (parse_date(bytes.fromhex("490101")).year, parse_date(bytes.fromhex("500101")).year) == (
        2049,
        1950,
    )
    for month in ("00", "13", "1A"):
        with pytest.raises(FormatError):
            month_end(month, "30")
    for day in ("270229", "301301", "300100", "3A0101", "3001"):
        with pytest.raises(FormatError):
            parse_date(bytes.fromhex(day))


def test_trap_06_a_directory_holds_several_entries_filler_and_unknown_objects() -> None:
    one = tlv("61", tlv("4F", AID) + "00FF" + tlv("50", "4D4952") + tlv("DF60", "AA") + tlv("87", "02"))
    two = tlv("61", tlv("4F", AID[:-2] + "11") + tlv("87", "01"))
    inside = "0000" + one + "FF" + two + tlv("9F4D", "0B0A")
    fci = tlv("6F", tlv("84", tags.PPSE.hex()) + "00" + tlv("A5", "FF" + tlv("BF0C", inside)))
    found = parse_directory(bytes.fromhex(fci))
    assert [(each.aid.hex().upper()[-2:], each.priority) for each in found] == [("10", 2), ("11", 1)]


def test_trap_06_data_behind_a_template_are_not_read_and_then_nothing_is_signed() -> None:
    behind = own_card(CDA).change("00B20114", lambda answer: answer[:-4] + "5F24030101019000")
    reading = read(behind)
    assert reading.opened.expires_on == date(2030, 12, 31)
    assert reading.authentication.fault is ChainFault.STATIC_DATA
    unsigned = own_card(CDA).change("00B2010C", lambda answer: answer[:-4] + "00009000")
    assert read(unsigned).authentication.genuine, "where nothing is signed anyway"


@pytest.mark.parametrize(
    "tag", ["5A081111111111111111", "5F2403991231", "8F01E7", "9F4703010001", "82021980"]
)
def test_trap_06_what_counts_and_stands_twice_is_refused(tag: str) -> None:
    card = own_card(CDA).change("00B2010C", lambda answer: tlv("70", answer[4:-4] + tag) + "9000")
    assert fault_of(tap(card)) is ReadFault.REPEATED_OBJECT


def test_trap_06_what_does_not_count_may_stand_twice() -> None:
    card = own_card(CDA).change(
        "00B2010C", lambda answer: tlv("70", answer[4:-4] + tlv("5F20", "41")) + "9000"
    )
    reading = read(card)
    assert reading.authentication.genuine
    assert reading.opened.data.get(tags.TAG_HOLDER) == b"TEST/RESIDENT", "the first"


def test_trap_07_lengths_come_in_longer_forms() -> None:
    assert parse_tlv(bytes.fromhex("5A8108") + bytes(8)) == parse_tlv(b"\x5a\x82\x00\x08" + bytes(8))
    longer = own_card(CDA).change("00B2010C", lambda answer: "708200" + answer[2:])
    assert read(longer).authentication.genuine


def test_trap_07_a_length_past_the_end_is_refused() -> None:
    cut = own_card(CDA).change("00B2011C", lambda answer: "7081F7" + answer[4:])
    assert fault_of(tap(cut)) is ReadFault.MALFORMED


def test_trap_07_the_transaction_is_hashed_as_it_was_sent() -> None:
    """A length written longer than needed says the same and is other bytes: the card hashed what it sent."""
    card = own_card(CDA).change(
        "80AE", lambda answer: f"7781{int(answer[4:6], 16) + 1:02X}9F27810140" + answer[14:]
    )
    assert read(card).authentication.fault is ChainFault.TRANSACTION_HASH


@pytest.mark.parametrize(
    "afl",
    ["", "080101", "0801010008", "00010100", "F8010100", "09010100", "08000100", "08020100", "08010102"],
)
def test_trap_08_an_impossible_locator_is_refused(afl: str) -> None:
    with pytest.raises(FormatError):
        parse_afl(bytes.fromhex(afl))


def test_trap_08_a_locator_names_records_in_order() -> None:
    places = parse_afl(bytes.fromhex("08010100" + "10010301" + "F0020200"))
    assert [(one.sfi, one.record_number, one.signed) for one in places] == [
        *((1, 1, False), (2, 1, True), (2, 2, False), (2, 3, False), (30, 2, False))
    ]
    with pytest.raises(FormatError, match="twice"):
        parse_afl(bytes.fromhex("0801010008010101"))


def test_trap_08_the_first_format_has_no_tags() -> None:
    found = parse_options(bytes.fromhex("800E7C000801030010010501200101009000"[:-4]))
    assert (found.aip, len(found.places), found.objects) == (0x7C00, 9, ())


class ContactCard:
    """What T=0 makes of a card: lengths asked for again, answers fetched apart."""

    def __init__(self, card: TranscriptCard) -> None:
        self.card = card
        self.waiting = b""

    def transmit(self, command: bytes) -> bytes:
        if command[:2] == b"\x00\xc0":
            answer, self.waiting = self.waiting, b""
            return answer
        asked = CommandApdu.parse(command)
        answer = self.card.transmit(command)
        if asked.ins == tags.INS_READ_RECORD and asked.le == 0:
            return bytes((0x6C, len(answer) - 2))
        if asked.ins != tags.INS_READ_RECORD and len(answer) > 2:
            self.waiting = answer
            return bytes((0x61, len(answer) - 2))
        return answer


def test_trap_09_procedure_bytes_are_followed_and_counted() -> None:
    channel = CardChannel(ContactCard(own_card(CDA)))
    found = open_application(channel, (MIR,), own_transaction(), lambda size: UNPREDICTABLE)
    assert not isinstance(found, NotRead)
    assert channel.exchanges == 2 * 9


def test_trap_09_a_card_that_never_ends_meets_the_limit() -> None:
    for endless in ("6101", "6C01"):
        card = TranscriptCard([], otherwise=endless)
        channel = CardChannel(card, max_exchanges=16)
        found = open_application(channel, (MIR,), own_transaction(), lambda size: UNPREDICTABLE)
        assert fault_of(found) is (ReadFault.TOO_MUCH if endless == "6101" else ReadFault.NO_BANK_APPLICATION)


def _mastercard(aip: str) -> TranscriptCard:
    aid = "A0000000041010"
    ppse = tlv("6F", tlv("84", tags.PPSE.hex()) + tlv("A5", tlv("BF0C", tlv("61", tlv("4F", aid)))))
    return TranscriptCard(
        [
            {"c": PPSE_SELECT, "r": ppse + "9000"},
            {"c": "00A4040007" + aid, "r": tlv("6F", tlv("84", aid)) + "9000"},
            {"c": "80A8000002" + "8300", "r": tlv("77", tlv("82", aip) + tlv("94", "08010100")) + "9000"},
            {"c": "00B2010C", "r": tlv("70", tlv("9F6B", "2200000000000004D3012201")) + "9000"},
        ]
    )


@pytest.mark.parametrize(
    ("aip", "fault"), [("0000", ReadFault.MAGNETIC_STRIPE_ONLY), ("0080", ReadFault.NUMBER_MISSING)]
)
def test_trap_10_a_mastercard_that_offers_its_magnetic_stripe_only_is_refused(
    aip: str, fault: ReadFault
) -> None:
    channel = CardChannel(_mastercard(aip))
    found = open_application(
        channel, [bytes.fromhex("A000000004")], own_transaction(), lambda size: UNPREDICTABLE
    )
    assert fault_of(found) is fault


def test_trap_11_an_application_without_records_is_refused() -> None:
    answer = tlv("77", tlv("82", "1980") + tlv("57", "2200000000000004D3012201")) + "9000"
    card = own_card(CDA).change("80A8", lambda _: answer)
    assert fault_of(tap(card)) is ReadFault.NO_RECORDS
    assert len(card.sent) == 3


def test_trap_11_the_first_format_without_records_is_refused() -> None:
    assert fault_of(tap(own_card(CDA).change("80A8", lambda _: "80021980" + "9000"))) is ReadFault.NO_RECORDS


def test_trap_12_a_correctly_signed_malformed_number_is_a_verdict() -> None:
    """An emulator leaves the length byte of its number out: the hash is right, and what it says is not."""
    card = answering_cryptogram(own_card(DDA), "6985")
    before = card.answers["00880000048F21C0DE"].partition("9F4B8180")[2][:256]
    after = changed("icc", bytes.fromhex(before), UNPREDICTABLE, put(4, "826D4677DFA79F18BB"))
    card.change("0088", lambda answer: answer.replace(before, after.hex().upper()))
    reading = read(card)
    assert reading.authentication.fault is ChainFault.SIGNATURE_NUMBER
    assert card.sent[-1].startswith("0088"), "no cryptogram is asked from it"


def test_trap_13_the_sequence_number_belongs_to_a_cards_identity() -> None:
    """A phone's token and its plastic have numbers of their own; 5F34 keeps two cards of one number apart."""
    opened = read(own_card(CDA)).opened
    other = read(
        own_card(CDA).change("00B20114", lambda answer: answer.replace("5F340101", "5F340102"))
    ).opened
    assert opened.pan == other.pan
    assert (opened.sequence, other.sequence) == (1, 2)
    assert tags.TAG_SEQUENCE in read(own_card(CDA)).authentication.signed_tags


class LeavingCard:
    """A card that leaves before it answers one command, and is another one when it comes back."""

    def __init__(self, first: TranscriptCard, then: TranscriptCard, at: int) -> None:
        self.cards, self.at, self.count = [first, then], at, 0

    def transmit(self, command: bytes) -> bytes:
        self.count += 1
        if self.count == self.at:
            self.cards.pop(0)
            raise CardGone("pulled")
        return self.cards[0].transmit(command)


@pytest.mark.parametrize("at", range(1, 11))
def test_trap_14_after_a_card_has_left_everything_begins_at_the_directory(at: int) -> None:
    first = own_card(CDA).change("00B20114", lambda answer: answer.replace("5F340101", "5F340102"))
    second = own_card(CDA)
    field = LeavingCard(first, second, at)
    with pytest.raises(CardGone):
        tap(field)
    reading = read(field)
    assert reading.authentication.genuine
    assert second.sent[0] == PPSE_SELECT
    assert len(second.sent) == 10, "nothing of the first card was kept"


def test_trap_15_each_attempt_has_a_random_number_of_its_own() -> None:
    drawn = [bytes((at,)) * 4 for at in range(9)]
    numbers = iter(drawn)
    card = own_card(DDA)
    card.by_header = True
    for _ in range(2):
        tap(card, draw=lambda size: next(numbers))
    assert [one[10:] for one in card.sent if one.startswith("0088")] == [one.hex() for one in drawn[:2]]


def test_trap_15_so_has_each_application_that_is_tried() -> None:
    drawn = iter([b"\x01" * 4, UNPREDICTABLE])
    two = "61" + "09" + "4F07" + AID
    entry = tlv("61", tlv("4F", AID[:-2] + "11") + tlv("87", "01"))
    card = own_card(FDDA).change(
        "00A404000E",
        lambda _: tlv("6F", tlv("84", tags.PPSE.hex()) + tlv("A5", tlv("BF0C", entry + two))) + "9000",
    )
    asking = tlv("84", AID[:-2] + "11") + tlv("A5", tlv("9F38", "9F3704"))
    card.answers |= {
        "00A4040007" + AID[:-2] + "11": tlv("6F", asking) + "9000",
        "80A80000068304" + "01010101": "6985",
    }
    assert read(card, draw=lambda size: next(drawn)).authentication.genuine


def test_trap_16_what_a_contact_terminal_would_ask_of_the_holder_is_not_asked() -> None:
    card = own_card(CDA)
    reading = read(card)
    assert reading.opened.aip & 0x1000, "the card supports verifying its holder"
    assert reading.opened.data.get(tags.TAG_CVM_LIST)
    assert not [one for one in card.sent if one[2:4] == "20"], "no VERIFY"
    shown = BankTransaction(datetime(2026, 11, 21, tzinfo=UTC)).values(UNPREDICTABLE)
    assert shown[tags.TAG_AMOUNT] == bytes(6)


@pytest.mark.parametrize("name", [CDA, FDDA, DDA])
def test_trap_17_nothing_that_is_printed_holds_card_data(name: str) -> None:
    card = own_card(name)
    reading = read(card)
    opened = reading.opened
    printed = "".join(
        f"{one!r} {one!s}" for one in (reading, opened, opened.data, opened.pan, reading.cryptogram)
    )
    secret = ("2200000000000004", "0000000000", "TEST", "RESIDENT", "D301220")
    assert not [one for one in secret if one in printed]
    values = [
        value
        for tag, value in opened.data.values.items()
        if tag in (0x57, 0x5A, 0x5F20, 0x90, 0x9F46, 0x9F4B)
    ]
    assert values
    assert not [one for one in values if repr(one)[2:-1] in printed or one.hex() in printed.lower()]


def test_trap_18_the_clock_is_the_transactions() -> None:
    """The vectors expire; this test does not."""
    for year, fault in ((2027, "signature_hash"), (2031, "card_certificate_expired")):
        card = own_card(FDDA)
        card.by_header = True
        late = read(card, at=datetime(year, 1, 1, tzinfo=UTC), draw=bytes)
        assert late.authentication.fault == fault
    fresh = read(own_card(FDDA), at=datetime(2026, 11, 21, 23, 59, tzinfo=UTC))
    assert fresh.authentication.genuine
