"""The parts of a tap one by one: lists, numbers, choosing an application, records, keys, kinds of cryptogram."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest

from cardproto.channel import CardChannel
from cardproto.emv import tags
from cardproto.emv.authentication import ChainProof, Evidence, OfflineMethod, authenticate
from cardproto.emv.dol import Wanted, fill_dol, parse_dol
from cardproto.emv.faults import ChainBroken, ChainFault, NotRead, ReadFault, ReadingEnded
from cardproto.emv.keys import CaKey, CaKeys, RevokedCertificate, RsaKey, Trust
from cardproto.emv.numbers import Pan, parse_pan, parse_track_2
from cardproto.emv.opening import open_application, read_directory
from cardproto.emv.proving import parse_generated
from cardproto.emv.records import CardData, parse_afl, parse_record
from cardproto.emv.selection import Candidate, candidates_of, parse_application, parse_directory
from cardproto.emv.signatures import CryptogramKind
from cardproto.emv.transaction import BankTransaction
from cardproto.errors import FormatError
from tests.cardproto.emv.lab import tlv
from tests.cardproto.emv.signing import Change, changed, put
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
    own_trust,
    read,
    tap,
)

AID: Final = "A0000006581010"
CA: Final = own_chain()["ca"]


# lists of data objects


@pytest.mark.parametrize(
    ("entry", "value", "filled"),
    [
        ("9F0206", "000000004300", "000000004300"),
        ("9F0204", "000000004300", "00004300"),
        ("9F0208", "000000004300", "0000000000004300"),
        ("5F2A01", "0643", "43"),
        ("9F6602", "21000000", "2100"),
        ("9F6606", "21000000", "210000000000"),
        ("5A0A", "2200000000000004", "2200000000000004FFFF"),
        ("5A02", "2200000000000004", "2200"),
        ("DF0103", None, "000000"),
        ("DF0100", None, ""),
        ("9F0200", "000000004300", ""),
        ("7004", "11223344", ""),
        ("BF0C04", "11223344", ""),
    ],
)
def test_a_list_is_filled(entry: str, value: str | None, filled: str) -> None:
    wanted = parse_dol(bytes.fromhex(entry))
    values = {} if value is None else {wanted[0].tag: bytes.fromhex(value)}
    assert fill_dol(wanted, values).hex().upper() == filled


def test_a_list_is_filled_in_its_order() -> None:
    wanted = parse_dol(bytes.fromhex("9F3704" + "9A03" + "9C01"))
    assert wanted == (Wanted(0x9F37, 4), Wanted(0x9A, 3), Wanted(0x9C, 1))
    filled = fill_dol(wanted, own_transaction(kind=1).values(UNPREDICTABLE))
    assert filled.hex().upper() == "8F21C0DE" + "261121" + "01"


@pytest.mark.parametrize(
    "dol", ["9F", "9F02", "9A", "9F8181" + "81" + "04", "9AFF", "9A80" * 2, "9A00" * 127]
)
def test_a_list_that_no_card_has_is_refused(dol: str) -> None:
    with pytest.raises(FormatError):
        parse_dol(bytes.fromhex(dol))


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": -1},
        {"amount_minor": 10**12},
        {"currency": 1000},
        {"country": 1000},
        {"kind": 100},
        {"terminal_type": 100},
        {"qualifiers": b"\0"},
        {"asked": CryptogramKind.AAC},
    ],
)
def test_a_transaction_that_no_card_could_be_shown_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"objects|AAC"):
        BankTransaction(datetime(2026, 11, 21, tzinfo=UTC), **changes)


def test_a_transaction_takes_more_objects_and_never_another_random_number() -> None:
    values = own_transaction(more={0x9F4E: b"BUS", 0x9F37: b"\0\0\0\0"}).values(UNPREDICTABLE)
    assert (values[0x9F4E], values[0x9F37], values[0x9F21]) == (b"BUS", UNPREDICTABLE, b"\x08\x00\x00")


# numbers


@pytest.mark.parametrize(
    ("digits", "masked"),
    [
        ("2200000000000004", "220000******0004"),
        ("2200000000000000019", "220000*********0019"),
        ("22000000000000014", "220000*******0014"),
        ("220000000000004", "***********0004"),
        ("2200000000004", "*********0004"),
        ("22000004", "****0004"),
    ],
)
def test_a_number_is_masked_in_every_form_it_comes_in(digits: str, masked: str) -> None:
    odd = "F" * (len(digits) % 2)
    track = digits + "D30122010000000000"
    forms = (
        parse_pan(bytes.fromhex(digits + odd)),
        parse_pan(bytes.fromhex(digits.ljust(20, "F"))),
        parse_track_2(bytes.fromhex(track + "F" * (len(track) % 2)))[0],
        Pan(digits),
    )
    for pan in forms:
        assert pan.in_clear == digits
        shown = (str(pan), f"{pan}", f"{pan:>20}".strip(), f"{pan!s}", "%s" % pan)  # noqa: UP031 each way to print
        assert set(shown) == {masked}
        assert repr(pan) == f"Pan({masked})"
        assert repr([pan]) == f"[Pan({masked})]"
    assert len(set(forms)) == 1
    assert forms[0] != masked


@pytest.mark.parametrize(
    "value", ["", "2200", "22000000000000000000", "22000000000000FA", "220000000000D004", "FFFF"]
)
def test_what_is_no_number_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_pan(bytes.fromhex(value))
    assert not value or value not in str(caught.value)


def test_digits_of_other_scripts_are_no_number() -> None:
    with pytest.raises(FormatError):
        Pan("٢٢٠٠٠٠٠٠٠٠٠٠٠٠٠٤")


@pytest.mark.parametrize(
    "track", ["2200000000000004", "2200000000000004D3", "2200000000000004D3013F", "D3012201"]
)
def test_a_track_2_without_number_or_expiry_is_refused(track: str) -> None:
    with pytest.raises(FormatError):
        parse_track_2(bytes.fromhex(track + "F" * (len(track) % 2)))


def test_a_number_leaves_the_process_in_no_copy() -> None:
    pan = Pan("2200000000000004")
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            way(pan)


# choosing an application


def entry(aid: str, priority: str | None = None) -> str:
    return tlv("61", tlv("4F", aid) + tlv("50", "4D4952") + ("" if priority is None else tlv("87", priority)))


def directory(*entries: str) -> bytes:
    inside = tlv("84", tags.PPSE.hex()) + tlv("A5", tlv("BF0C", "".join(entries)))
    return bytes.fromhex(tlv("6F", inside))


def chosen(*entries: str, taken: tuple[str, ...] = ("A000000658",)) -> list[str]:
    found = candidates_of(parse_directory(directory(*entries)), [bytes.fromhex(one) for one in taken])
    return [one.aid.hex().upper() for one in found]


def test_applications_come_by_the_cards_priority() -> None:
    entries = (entry(AID + "01", "03"), entry(AID + "02", "01"), entry(AID + "03", "02"))
    assert [one[-2:] for one in chosen(*entries)] == ["02", "03", "01"]


def test_equal_priorities_stay_in_the_cards_order_and_none_comes_last() -> None:
    entries = (
        *(entry(AID + "01"), entry(AID + "02", "00"), entry(AID + "03", "82"), entry(AID + "04", "02")),
        entry(AID + "05", "8F"),
    )
    assert [one[-2:] for one in chosen(*entries)] == ["03", "04", "05", "01"]


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        (("A000000658",), ["A0000006581010", "A0000006582010"]),
        (("A00000065820",), ["A0000006582010"]),
        (("A0000006581010",), ["A0000006581010"]),
        (("A000000658101099",), []),
        (("A000000003", "A000000658"), ["A0000006581010", "A0000000031010", "A0000006582010"]),
        ((), []),
    ],
)
def test_a_name_that_begins_as_a_taken_one_is_taken(taken: tuple[str, ...], expected: list[str]) -> None:
    entries = (entry("A0000006582010", "03"), entry("A0000000031010", "02"), entry("A0000006581010", "01"))
    assert chosen(*entries, taken=taken) == expected


@pytest.mark.parametrize("short", ["", "A0", "A0000006", "A0" * 17])
def test_a_taken_name_means_one_scheme_at_least(short: str) -> None:
    with pytest.raises(ValueError, match="5 to 16"):
        chosen(entry(AID), taken=(short,))


def test_an_entry_without_a_usable_name_is_left_out() -> None:
    assert chosen(tlv("61", tlv("50", "41")), tlv("61", tlv("4F", "A0000006")), entry(AID)) == [AID]


def test_a_directory_without_end_is_refused() -> None:
    with pytest.raises(ReadingEnded) as caught:
        parse_directory(directory(*[tlv("61", tlv("4F", AID))] * 17))
    assert caught.value.fault is ReadFault.TOO_MUCH


def test_the_kernel_and_label_are_the_cards() -> None:
    (one,) = parse_directory(directory(tlv("61", tlv("4F", AID) + tlv("50", "4D") + tlv("9F2A", "0D"))))
    assert one == Candidate(bytes.fromhex(AID), 16, b"M", b"\x0d")


@pytest.mark.parametrize("name", ["A0000006581011", "A00000065810", "A000000003101001"])
def test_an_answer_of_another_application_is_refused(name: str) -> None:
    with pytest.raises(FormatError):
        parse_application(bytes.fromhex(tlv("6F", tlv("84", name))), bytes.fromhex(AID))


def test_a_card_may_answer_with_a_longer_name() -> None:
    fci = tlv("6F", tlv("84", AID + "01") + tlv("A5", tlv("50", "4D") + "00" + tlv("9F38", "9F3704")))
    found = parse_application(bytes.fromhex(fci), bytes.fromhex(AID))
    assert (found.aid.hex().upper(), found.label, found.pdol) == (AID + "01", b"M", (Wanted(0x9F37, 4),))
    assert found.rid == MIR


def with_first(answers: dict[str, str]) -> TranscriptCard:
    """The card of the transcript behind another application that the card would rather be asked for."""
    card = own_card(CDA)
    both = directory(entry(AID, "02"), entry(AID[:-2] + "99", "01")).hex().upper()
    card.change("00A404000E", lambda _: both + "9000")
    card.answers |= {"00A4040007" + AID[:-2] + "99": tlv("6F", tlv("84", AID[:-2] + "99")) + "9000"} | answers
    return card


@pytest.mark.parametrize("sw", ["6A82", "6283", "6285", "6999"])
def test_where_the_first_application_is_not_there_the_next_one_is_asked(sw: str) -> None:
    answer = (tlv("6F", tlv("84", AID[:-2] + "99")) if sw.startswith("62") else "") + sw
    card = with_first({"00A4040007" + AID[:-2] + "99": answer})
    assert read(card).authentication.genuine
    assert card.sent[1:3] == ["00A4040007" + AID[:-2] + "99", "00A4040007" + AID]


@pytest.mark.parametrize("sw", ["6984", "6985"])
def test_where_the_first_application_does_not_do_this_the_next_one_is_asked(sw: str) -> None:
    card = with_first({})
    before = card.answers["80A80000028300"]
    answers = iter([sw, before])
    transmit = card.transmit

    def once(command: bytes) -> bytes:
        card.answers["80A80000028300"] = next(answers) if command[1] == 0xA8 else before
        return transmit(command)

    card.transmit = once  # type: ignore[method-assign]
    assert read(card).authentication.genuine


@pytest.mark.parametrize(
    ("command", "answer", "fault", "sw"),
    [
        ("00A404000E", "6A82", ReadFault.NO_BANK_APPLICATION, 0x6A82),
        ("00A404000E", "6283", ReadFault.NO_BANK_APPLICATION, 0x6283),
        ("00A404000E", "911C", ReadFault.NO_BANK_APPLICATION, 0x911C),
        ("00A404000E", "6A81", ReadFault.CARD_BLOCKED, 0x6A81),
        ("00A404000E", "9000", ReadFault.MALFORMED, None),
        ("00A404000E", "6F009000", ReadFault.MALFORMED, None),
        ("00A404000E", "90", ReadFault.MALFORMED, None),
        ("00A404000E", "", ReadFault.MALFORMED, None),
        ("00A4040007", "6A82", ReadFault.SELECTION_REFUSED, 0x6A82),
        ("00A4040007", "6A81", ReadFault.CARD_BLOCKED, 0x6A81),
        ("00A4040007", "6283", ReadFault.APPLICATION_BLOCKED, 0x6283),
        ("00A4040007", "9000", ReadFault.MALFORMED, None),
        ("80A8", "6984", ReadFault.CONDITIONS, 0x6984),
        ("80A8", "6985", ReadFault.CONDITIONS, 0x6985),
        ("80A8", "6986", ReadFault.SEE_PHONE, 0x6986),
        ("80A8", "6F00", ReadFault.OPTIONS_REFUSED, 0x6F00),
        ("80A8", "9000", ReadFault.MALFORMED, None),
        ("80A8", "7708940408010100" + "82009000", ReadFault.MALFORMED, None),
        ("80A8", "6F0082009000", ReadFault.MALFORMED, None),
        ("80A8", "80061980080101009F9000", ReadFault.MALFORMED, None),
        ("80A8", "770A820219808202198094009000", ReadFault.REPEATED_OBJECT, None),
        ("80A8", "8006198008011900" + "9000", ReadFault.TOO_MUCH, None),
        ("00B2010C", "6A83", ReadFault.RECORD_REFUSED, 0x6A83),
        ("00B2010C", "9000", ReadFault.MALFORMED, None),
        ("00B2010C", "61009000", ReadFault.MALFORMED, None),
        ("00B2010C", "7009571122000000000000049000", ReadFault.MALFORMED, None),
    ],
)
def test_every_refusal_is_a_value(command: str, answer: str, fault: ReadFault, sw: int | None) -> None:
    card = own_card(CDA).change(command, lambda _: answer)
    assert tap(card) == NotRead(fault, sw)


def test_a_card_of_another_scheme_is_unsupported() -> None:
    found = open_application(
        *(CardChannel(own_card(CDA)), [bytes.fromhex("A000000003")], own_transaction()),
        draw=lambda size: UNPREDICTABLE,
    )
    assert found == NotRead(ReadFault.UNSUPPORTED)


def test_a_directory_can_be_looked_at_alone() -> None:
    (one,) = read_directory(CardChannel(own_card(CDA)))  # type: ignore[misc]
    assert one.aid.hex().upper() == AID
    assert read_directory(CardChannel(TranscriptCard([]))) == NotRead(ReadFault.NO_BANK_APPLICATION, 0x6A82)
    assert read_directory(CardChannel(TranscriptCard([{"c": PPSE_SELECT, "r": "9000"}]))) == NotRead(
        ReadFault.MALFORMED
    )


# records


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("5F34 0101", "5F34 01A1"), ReadFault.MALFORMED),
        (("5F24 03301231", "5F24 03301331"), ReadFault.MALFORMED),
        (("5A08 2200000000000004", "5A08 2200000000000014"), ReadFault.NUMBER_MISMATCH),
        (("5A08 2200000000000004", "5A08 FFFFFFFFFFFFFFFF"), ReadFault.MALFORMED),
    ],
)
def test_data_that_contradict_themselves_are_refused(change: tuple[str, str], fault: ReadFault) -> None:
    before, after = (one.replace(" ", "") for one in change)
    card = own_card(CDA).change("00B20114", lambda answer: answer.replace(before, after))
    assert tap(card) == NotRead(fault)


def test_track_2_says_what_the_records_do_not() -> None:
    """Tag names are changed to unknown ones, so that nothing else moves; the certificate then no longer fits."""
    card = own_card(CDA).change(
        "00B20114", lambda answer: answer.replace("5A08", "CA08").replace("5F2403", "DF2403")
    )
    reading = read(card)
    assert (reading.opened.pan.in_clear, reading.opened.expires_on) == (
        "2200000000000004",
        date(2030, 12, 31),
    )
    assert reading.authentication.fault is ChainFault.CARD_CERTIFICATE_HASH


def test_without_any_number_there_is_nothing_to_read() -> None:
    card = own_card(CDA).change("00B20114", lambda answer: answer.replace("5A08", "CA08"))
    assert tap(card.change("00B2010C", lambda _: "70009000")) == NotRead(ReadFault.NUMBER_MISSING)


def test_a_card_that_states_no_expiry_is_not_in_force() -> None:
    card = own_card(CDA).change("00B20114", lambda answer: answer.replace("5F2403", "DF2403"))
    reading = read(card.change("00B2010C", lambda _: "70009000"))
    assert not reading.in_force(date(2026, 11, 21))


@pytest.mark.parametrize(("day", "holds"), [("261121", True), ("261122", False)])
def test_a_card_holds_from_its_first_day(day: str, holds: bool) -> None:
    card = own_card(CDA).change(
        "00B2010C", lambda answer: tlv("70", answer[4:-4] + tlv("5F25", day)) + "9000"
    )
    assert read(card).in_force(date(2026, 11, 21)) is holds


def test_files_of_schemes_are_signed_as_they_are() -> None:
    assert parse_record(11, b"\x70\x02\x9a\x00").signable == b"\x70\x02\x9a\x00"
    assert parse_record(11, b"\x01\x02").objects == ()
    assert parse_record(10, b"\x70\x02\x9a\x00").signable == b"\x9a\x00"
    assert parse_record(10, b"\x77\x02\x9a\x00").signable is None, "no proper template"
    with pytest.raises(FormatError):
        parse_record(10, b"\x61\x00")


def test_a_card_with_more_data_than_any_is_refused() -> None:
    many = own_card(CDA).change("80A8", lambda answer: "8012" + "1980" + "08011800" + "10010101" * 3 + "9000")
    assert tap(many) in (NotRead(ReadFault.MALFORMED), NotRead(ReadFault.TOO_MUCH))
    assert len(parse_afl(bytes.fromhex("08011800"))) == 24
    with pytest.raises(ReadingEnded):
        parse_afl(bytes.fromhex("0801180010010100"))


def test_more_objects_than_any_card_has_are_refused() -> None:
    objects = "".join(f"DF{at:02X}00" for at in range(1, 128)) + "".join(
        f"9F{at:02X}00" for at in range(96, 126)
    )
    card = own_card(CDA).change(
        "00B2010C",
        lambda _: tlv("70", objects + "".join(f"C{at:X}00" for at in range(15)) + "9F7000"[:0]) + "9000",
    )
    more = "".join(f"5F{at:02X}00" for at in range(0x40, 0x7F))
    card.change("00B2011C", lambda answer: tlv("70", answer[4:-4] + more) + "9000")
    assert tap(card) == NotRead(ReadFault.TOO_MUCH)


# keys


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 0xE8},
        {"rid": bytes.fromhex("A000000659")},
        {"exponent": b"\x01\x00\x01"},
        {"modulus": bytes.fromhex(CA["modulus"][:-2] + "59")},
        {"checksum": bytes(20)},
        {"rid": MIR[:-1]},
        {"index": 256},
    ],
)
def test_a_ca_key_that_does_not_fit_its_checksum_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        ca_key(CA, **changes)


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (b"\xff" * 63, b"\x03"),
        (b"\xff" * 249, b"\x03"),
        (b"\x7f" * 128, b"\x03"),
        (bytes(128), b"\x03"),
        (b"\xff" * 128, b"\x01"),
        (b"\xff" * 128, b"\x02"),
        (b"\xff" * 128, b""),
        (b"\xff" * 128, b"\x00\x00\x03"),
    ],
)
def test_what_is_no_key_of_emv_is_refused(modulus: bytes, exponent: bytes) -> None:
    with pytest.raises(FormatError):
        RsaKey.from_bytes(modulus, exponent)


def test_keys_are_found_by_scheme_and_index() -> None:
    key = ca_key(CA, source="a laboratory", expires_on=date(2035, 12, 31))
    keys = CaKeys([key])
    assert (keys.find(MIR, 0xE7), keys.find(MIR, 0xE8), keys.find(bytes(5), 0xE7)) == (key, None, None)
    assert (len(keys), list(keys)) == (1, [key])
    with pytest.raises(FormatError):
        CaKeys([key, key])


@pytest.mark.parametrize(("on", "fault"), [(21, None), (22, ChainFault.CA_KEY_EXPIRED)])
def test_a_ca_key_has_a_last_day(on: int, fault: ChainFault | None) -> None:
    card = own_card(FDDA)
    card.by_header = on != 21
    trust = Trust(CaKeys([ca_key(CA, expires_on=date(2026, 11, 21))]))
    reading = read(card, trust, at=datetime(2026, 11, on, tzinfo=UTC))
    assert reading.authentication.fault is fault


def test_a_key_of_another_algorithm_is_a_verdict_until_a_verifier_of_it_is_there() -> None:
    trust = Trust(CaKeys([ca_key(CA, algorithm=0x10)]))
    assert read(own_card(FDDA), trust).authentication.fault is ChainFault.ALGORITHM_UNKNOWN


def test_a_verifier_of_another_algorithm_gets_the_evidence_and_its_verdict_counts() -> None:
    ca, seen = ca_key(CA, algorithm=0x10), []

    def verify(evidence: Evidence, key: CaKey, on: date, trust: Trust) -> ChainProof:
        seen.append((evidence, key, on, trust))
        if evidence.signature != b"good":
            raise ChainBroken(ChainFault.SIGNATURE_HASH)
        return ChainProof(b"\x01\x02", covered=frozenset({tags.TAG_ATC}))

    data = CardData({tags.TAG_CA_INDEX: b"\xe7"}, frozenset({tags.TAG_EXPIRY}), b"")
    trust, day = Trust(CaKeys([ca])), date(2026, 11, 21)
    good = Evidence(MIR, data, Pan("2200000000000004"), OfflineMethod.CDA, b"good")
    found = authenticate(good, trust, day, {0x10: verify})
    assert (found.genuine, found.signed_tags) == (True, {tags.TAG_EXPIRY, tags.TAG_ATC, tags.TAG_PAN})
    assert seen == [(good, ca, day, trust)]
    bad = authenticate(replace(good, signature=b"bad"), trust, day, {0x10: verify})
    assert (bad.genuine, bad.fault) == (False, ChainFault.SIGNATURE_HASH)


@pytest.mark.parametrize("index", [None, b"", b"\xe7\xe7"])
def test_a_card_that_names_no_ca_key_is_a_verdict(index: bytes | None) -> None:
    values = {} if index is None else {tags.TAG_CA_INDEX: index}
    evidence = Evidence(MIR, CardData(values, frozenset(), b""), Pan("2200000000000004"), OfflineMethod.DDA)
    assert authenticate(evidence, own_trust(), date(2026, 11, 21)).fault is ChainFault.CA_INDEX_MISSING


def test_static_data_signed_by_the_issuer_count_as_none_also_when_they_are_right() -> None:
    chain = own_chain()
    evidence = Evidence(MIR, chain_data(chain), chain_pan(chain), OfflineMethod.SDA)
    found = authenticate(evidence, own_trust(), date(2026, 11, 21))
    assert (found.fault, found.genuine, found.signed_tags) == (None, False, frozenset())


def test_revocation_is_by_scheme_index_and_serial() -> None:
    serial = bytes.fromhex(own_chain()["expect"]["issuer"]["serial"])
    right = RevokedCertificate(MIR, 0xE7, serial)
    others = (
        RevokedCertificate(bytes.fromhex("A000000003"), 0xE7, serial),
        RevokedCertificate(MIR, 0xE8, serial),
        RevokedCertificate(MIR, 0xE7, b"\0\0\0"),
    )
    for revoked, fault in ((right, ChainFault.ISSUER_CERTIFICATE_REVOKED), *((one, None) for one in others)):
        trust = own_trust(revoked=frozenset({revoked}))
        assert read(own_card(FDDA), trust).authentication.fault is fault
    for wrong in ((MIR[:4], 1, serial), (MIR, 256, serial), (MIR, 1, serial[:2])):
        with pytest.raises(FormatError):
            RevokedCertificate(*wrong)


# methods and cryptograms


def with_aip(name: str, aip: str) -> TranscriptCard:
    return own_card(name).change("80A8", lambda answer: answer.replace("82021980", "8202" + aip))


def test_sda_is_verified_and_counts_as_none() -> None:
    """The static signature of the vectors covers another profile than this one, and is found to."""
    card = own_card(DDA).change("80A8", lambda answer: answer.replace("82022000", "82024000"))
    card.change(
        "00B2031C", lambda answer: tlv("70", answer[6:-4] + tlv("93", own_chain()["tags"]["93"])) + "9000"
    )
    reading = read(card)
    assert (reading.authentication.method, reading.authentication.fault) == ("sda", "static_signature_hash")
    assert not card.sent[-1].startswith("80AE"), "no cryptogram is asked for"


@pytest.mark.parametrize("aip", ["0080", "1080"])
def test_a_card_that_offers_nothing_is_not_genuine(aip: str) -> None:
    reading = read(with_aip(CDA, aip))
    assert (reading.authentication.method, reading.authentication.fault) == ("none", ChainFault.NOT_OFFERED)


@pytest.mark.parametrize(
    ("asked", "answer", "fault"),
    [
        (CryptogramKind.TC, "9F270100", ChainFault.DECLINED),
        (CryptogramKind.TC, "9F2701C0", ChainFault.SIGNATURE_KIND),
        (CryptogramKind.TC, "9F2601C0", ChainFault.SIGNATURE_REFUSED),
    ],
)
def test_a_kind_of_cryptogram_that_was_not_asked_for(
    asked: CryptogramKind, answer: str, fault: ChainFault
) -> None:
    card = own_card(CDA).change("80AE", lambda before: before.replace("9F270140", answer))
    assert read(card, asked=asked).authentication.fault is fault


def test_a_card_asked_for_an_arqc_may_not_approve() -> None:
    card = own_card(CDA)
    card.by_header = True
    card.answers = {key.replace("80AE50", "80AE90"): value for key, value in card.answers.items()}
    assert read(card, asked=CryptogramKind.ARQC).authentication.fault is ChainFault.SIGNATURE_KIND


@pytest.mark.parametrize("answer", ["6985", "9000", "80049F2701809000", "770080009000", "6F009000", "61"])
def test_what_is_no_answer_to_generate_ac_is_a_verdict(answer: str) -> None:
    assert (
        read(own_card(CDA).change("80AE", lambda _: answer)).authentication.fault
        is ChainFault.SIGNATURE_REFUSED
    )
    after_dda = answering_cryptogram(own_card(DDA), answer)
    after = read(after_dda, asked=CryptogramKind.ARQC).authentication
    assert (after.fault, after.genuine) == (ChainFault.CRYPTOGRAM_REFUSED, False)


@pytest.mark.parametrize("answer", ["6985", "9000", "61", "70009000"])
def test_what_is_no_answer_to_internal_authenticate_is_a_verdict(answer: str) -> None:
    card = own_card(DDA).change("0088", lambda _: answer)
    expected = ChainFault.SIGNATURE_MISSING if answer.startswith("70") else ChainFault.SIGNATURE_REFUSED
    assert read(card).authentication.fault is expected


def test_a_signature_also_comes_without_tags() -> None:
    card = answering_cryptogram(own_card(DDA), "801280002101020304050607080A0B0C0D0E0F109000")
    card.change("0088", lambda answer: tlv("80", answer.partition("9F4B8180")[2][:256]) + "9000")
    assert read(card, asked=CryptogramKind.ARQC).authentication.genuine


def test_a_card_declines_after_dda() -> None:
    card = answering_cryptogram(own_card(DDA), "801200002101020304050607080A0B0C0D0E0F109000")
    reading = read(card, asked=CryptogramKind.ARQC)
    assert (reading.authentication.fault, reading.cryptogram) == (ChainFault.DECLINED, None)


@pytest.mark.parametrize("ddol", ["9F3403", "9F3703", ""])
def test_a_card_that_does_not_sign_the_random_number_proves_nothing(ddol: str) -> None:
    def change(answer: str) -> str:
        return tlv("70", answer[4:-4].replace("9F49039F3704", tlv("9F49", ddol))) + "9000"

    card = own_card(DDA).change("00B2011C", change)
    assert read(card).authentication.fault is ChainFault.NO_UNPREDICTABLE_NUMBER
    assert not [one for one in card.sent if one.startswith("0088")]


def test_without_a_list_of_its_own_a_card_signs_the_random_number() -> None:
    card = answering_cryptogram(own_card(DDA), "801280002101020304050607080A0B0C0D0E0F109000")
    card.change("00B2011C", lambda answer: tlv("70", answer[4:-4].replace("9F49039F3704", "")) + "9000")
    assert read(card, asked=CryptogramKind.ARQC).authentication.genuine


def test_a_card_without_a_list_for_its_cryptogram_is_a_verdict() -> None:
    card = own_card(CDA).change("00B20114", lambda answer: answer.replace("8C189F02", "CC189F02"))
    assert read(card).authentication.fault is ChainFault.NO_CRYPTOGRAM_LIST


@pytest.mark.parametrize(
    ("size", "fault"),
    [(38, None), (37, ChainFault.SIGNATURE_NUMBER), (9, ChainFault.SIGNATURE_NUMBER), (39, None)],
)
def test_what_a_combined_signature_holds_at_least(size: int, fault: ChainFault | None) -> None:
    """Number, kind, cryptogram and hash, 38 bytes with a number of 8; what follows is the issuer's."""
    card = own_card(CDA)
    (command,) = (one for one in card.answers if one.startswith("80AE"))
    before = card.answers[command].partition("9F4B8180")[2][:256]
    after = (
        changed("icc", bytes.fromhex(before), UNPREDICTABLE, put(3, bytes((size,)))) if size != 38 else None
    )
    if after is not None:
        card.change("80AE", lambda answer: answer.replace(before, after.hex().upper()))
    assert read(card).authentication.fault is fault


# fDDA


def fast(change: Change) -> TranscriptCard:
    """The fast card with its signature's block changed, hash made anew."""
    card = own_card(FDDA)
    (command,) = (one for one in card.answers if one.startswith("80A8"))
    before = card.answers[command].partition("9F4B8180")[2][:256]
    behind = UNPREDICTABLE + bytes.fromhex("000000004300" + "0643" + "013E22466F0000")
    after = changed("icc", bytes.fromhex(before), behind, change)
    return card.change("80A8", lambda answer: answer.replace(before, after.hex().upper()))


def test_a_fast_signature_may_call_itself_95() -> None:
    assert read(fast(put(1, "95"))).authentication.genuine


@pytest.mark.parametrize("number", ["0020", "0121"])
def test_a_fast_signatures_number_is_the_counter(number: str) -> None:
    assert read(fast(put(5, number))).authentication.fault is ChainFault.SIGNATURE_NUMBER


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("9F6907013E", "9F6907003E", ChainFault.SIGNATURE_VERSION),
        ("9F6907013E", "DF6907013E", ChainFault.SIGNATURE_VERSION),
        ("9F6907013E", "9F6907013F", ChainFault.SIGNATURE_HASH),
        ("9F36020021", "9F36020022", ChainFault.SIGNATURE_NUMBER),
        ("9F36020021", "DF36020021", ChainFault.SIGNATURE_NUMBER),
        ("9F270140", "9F270100", ChainFault.DECLINED),
        ("82021980", "82021981", ChainFault.CARD_CERTIFICATE_HASH),
    ],
)
def test_what_comes_with_a_fast_signature_is_checked(before: str, after: str, fault: ChainFault) -> None:
    card = own_card(FDDA).change("80A8", lambda answer: answer.replace(before, after))
    assert read(card).authentication.fault is fault


def test_a_fast_card_need_not_say_the_kind_of_its_cryptogram() -> None:
    reading = read(own_card(FDDA).change("80A8", lambda answer: answer.replace("9F270140", "DF270140")))
    assert reading.authentication.genuine
    assert reading.cryptogram is not None
    assert reading.cryptogram.kind is None


def test_a_fast_card_without_a_cryptogram_has_none_for_its_issuer() -> None:
    reading = read(own_card(FDDA).change("80A8", lambda answer: answer.replace("9F2608", "DF2608")))
    assert reading.cryptogram is None


@pytest.mark.parametrize("answer", ["", "77", "7700", "80", "8003800021", "77099F2701809F36020021" + "00"])
def test_generated_answers_are_exact(answer: str) -> None:
    with pytest.raises(FormatError):
        parse_generated(bytes.fromhex(answer))
