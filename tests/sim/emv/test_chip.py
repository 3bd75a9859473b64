"""Bank cards as a terminal meets them: what they prove, and how they refuse what comes at the wrong time or length."""

from __future__ import annotations

import random
from datetime import date

import pytest

from sim.card.port import SimCard
from sim.emv.card import ATR_CONTACTLESS, DualCard, VirtualBankCard
from sim.emv.chain import lab_ca_keys, revoked_issuers
from sim.emv.lab_rsa import LAB_KEYS, first_primes, lab_key
from sim.emv.personalise import check_digit, lab_number
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile, profile_names
from tests.sim.emv.judge import RANDOM, VALUES, Judge, Rejected, asked, objects

DAY = date(2026, 9, 15)
BANK = [name for name in profile_names() if load_profile(name).bank is not None]
PPSE = "00A404000E325041592E5359532E444446303100"
PSE = "00A404000E315041592E5359532E444446303100"
RID = "00A4040005A00000065800"
NEXT = "00A4040205A00000065800"
OPTIONS = "80A8000002830000"
CDOL = asked(bytes.fromhex("9F02069F03069F1A0295055F2A029A039C019F37049F3501")).hex()


def issued(name: str, seed: int = 1) -> SimCard:
    card = issue(load_profile(name), load_lab_keys(), 34, DAY, random.Random(seed).randbytes)
    card.power_on()
    return card


def bank(name: str = "bank_cda") -> VirtualBankCard:
    card = issued(name)
    assert isinstance(card, VirtualBankCard)
    return card


def started(name: str, values: dict[int, bytes] | None = None) -> Judge:
    judge = Judge(issued(name))
    judge.select()
    judge.start(values)
    return judge


def sw(card: SimCard, command: str) -> str:
    return card.transmit(bytes.fromhex(command))[-2:].hex().upper()


def test_the_profiles_of_bank_cards() -> None:
    assert BANK == [
        "bank_blocked", "bank_cda", "bank_cda_19", "bank_contacts", "bank_counterfeit", "bank_expired", "bank_fdda",
        "bank_fdda_19", "bank_longest_key", "bank_phone", "bank_revoked_issuer", "bank_static_only", "resident_bank",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["bank_cda", "bank_cda_19", "bank_expired", "bank_phone", "resident_bank"])
@pytest.mark.parametrize("kind", [0x50, 0x90])
def test_cda_cards_sign_the_cryptogram(name: str, kind: int) -> None:
    assert started(name).cda(kind)[0] == kind & 0xC0


def test_the_second_cryptogram_covers_both_lists() -> None:
    judge = started("bank_cda")
    first, second = judge.cda(0x90), judge.cda(0x50, second=True)
    assert (first[0], second[0]) == (0x80, 0x40)
    assert first[1] != second[1]
    assert judge.transmit(f"80AE50001E{CDOL}00")[1] == 0x6985


@pytest.mark.parametrize("name", ["bank_fdda", "bank_fdda_19", "bank_longest_key"])
def test_fdda_cards_sign_in_processing_options(name: str) -> None:
    assert started(name).fdda() == b"\0\x01"


@pytest.mark.parametrize("name", ["bank_contacts", "bank_cda"])
def test_dda_through_internal_authenticate(name: str) -> None:
    judge = started(name)
    assert judge.dda() != judge.dda(), "a new dynamic number every time"


def test_a_card_without_its_own_key_has_a_signed_copy_only() -> None:
    judge = started("bank_static_only")
    judge.sda()
    assert judge.transmit(f"0088000004{RANDOM.hex()}00")[1] == 0x6985
    answer, status = judge.transmit(f"80AE50001E{CDOL}00")
    assert status == 0x9000
    assert 0x9F4B not in dict(objects(dict(objects(answer))[0x77]))


def test_a_copy_has_right_certificates_and_a_wrong_signature() -> None:
    judge = started("bank_counterfeit")
    judge.card_key()
    with pytest.raises(Rejected):
        judge.cda()


def test_the_revoked_issuer_is_named_by_its_serial() -> None:
    judge = started("bank_revoked_issuer")
    assert judge.cda()[0] == 0x40
    ca = next(key for key in lab_ca_keys() if key.index == judge.data[0x8F][0])
    block = pow(int.from_bytes(judge.data[0x90], "big"), 3, int.from_bytes(ca.modulus, "big"))
    serial = block.to_bytes(len(ca.modulus), "big")[8:11]
    assert (ca.rid, ca.index, serial) in revoked_issuers()


def test_expiry_is_the_last_day_of_a_month() -> None:
    assert started("bank_expired").data[0x5F24].hex() == "260831"
    assert started("bank_cda").data[0x5F24].hex() == "300731"


@pytest.mark.parametrize("name", BANK)
def test_numbers_are_the_laboratory_s_and_as_long_as_the_profile_says(name: str) -> None:
    card = issued(name)
    assert isinstance(card, VirtualBankCard | DualCard)
    for wallet in card.chip_memory.wallets:
        for application in wallet.applications:
            assert application.pan.startswith("220000")
            assert check_digit(application.pan[:-1]) == application.pan[-1]
            assert len(application.pan) == (19 if name.endswith("_19") else 16)


def test_check_digits_of_published_examples() -> None:
    assert check_digit("7992739871") == "3"
    assert check_digit("220000000000000") == "4"
    assert lab_number(16, 0) == "2200000000000004"


def test_a_phone_changes_its_token_after_each_payment_and_keeps_its_account() -> None:
    card, seen, accounts = bank("bank_phone"), [], set()
    for _ in range(3):
        judge = Judge(card)
        judge.select()
        judge.start()
        seen.append(judge.data[0x5A])
        accounts.add(judge.data[0x9F24])
        card.power_off()
        card.power_on()
    assert seen[0] == seen[2] != seen[1]
    assert len(accounts) == 1


def test_a_phone_that_was_only_looked_at_keeps_its_token() -> None:
    card = bank("bank_phone")
    uid = card.transmit(bytes.fromhex("FFCA000000"))
    assert sw(card, PPSE) == "9000"
    card.power_on()
    assert card.chip_memory.turn == 0
    assert card.transmit(bytes.fromhex("FFCA000000")) != uid
    assert len(uid) == 6


def test_the_directory_lists_every_application_with_its_priority() -> None:
    fci = bank().transmit(bytes.fromhex(PPSE))[:-2]
    entries = objects(dict(objects(dict(objects(dict(objects(fci))[0x6F]))[0xA5]))[0xBF0C])
    found = [(tag, dict(objects(entry))) for tag, entry in entries]
    assert [(tag, entry[0x4F].hex()[-4:], entry[0x87]) for tag, entry in found] == [
        (0x61, "2010", b"\x02"), (0x61, "1010", b"\x01"),
    ]  # fmt: skip


def test_partial_selection_goes_through_the_applications_in_order() -> None:
    card = bank()
    assert card.transmit(bytes.fromhex(RID))[4:11].hex() == "a0000006582010"
    assert card.transmit(bytes.fromhex(NEXT))[4:11].hex() == "a0000006581010"
    assert sw(card, NEXT) == "6A82"
    assert sw(card, OPTIONS) == "9000", "the one selected last stays selected"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (NEXT, "6A82"),
        ("00A4040004A000000600", "6A82"),
        ("00A4040007A000000003101000", "6A82"),
        ("00A4050007A000000658101000", "6A86"),
        ("00A40000023F0000", "6A82"),
        (PSE, "6A82"),
        (OPTIONS, "6985"),
        (f"80AE50001E{CDOL}00", "6985"),
        ("008800000411223344", "6985"),
        ("00B2010C00", "6985"),
        ("80CA9F3600", "6985"),
        ("00C0000010", "6985"),
        ("0084000000", "9000"),
        ("0084010000", "6A86"),
        ("00B0000000", "6D00"),
        ("80B2010C00", "6E00"),
        ("905A00000300000000", "6E00"),
        ("90", "6E00"),
        ("60", "6700"),
        ("00A4", "6700"),
        ("00A4040009A00000", "6700"),
        ("FFCA010000", "6A81"),
    ],
)
def test_status_words_before_a_selection(command: str, status: str) -> None:
    assert sw(bank(), command) == status


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("80A8000000", "6A80"),
        ("80A8000002820000", "6A80"),
        ("80A800000383010000", "6700"),
        ("80A8000002830100", "6A80"),
        ("80A8010002830000", "6A86"),
        (f"80AE50001E{CDOL}00", "6985"),
        ("008800000411223344", "6985"),
        ("00B2011500", "6A86"),
        ("00B2001400", "6A86"),
        ("00B2010400", "6A86"),
        ("00B2012400", "6A82"),
        ("00B2021400", "6A83"),
        ("00B2011400", "9000"),
        ("00B2011402", "6CAA"),
        ("80CA9F3600", "9000"),
        ("80CA9F1700", "6A88"),
    ],
)
def test_status_words_after_a_selection(command: str, status: str) -> None:
    card = bank()
    assert sw(card, RID) == "9000"
    assert sw(card, command) == status


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (OPTIONS, "6985"),
        (f"80AE50001D{CDOL[:-2]}00", "6700"),
        (f"80AEC0001E{CDOL}00", "6A86"),
        (f"80AE51001E{CDOL}00", "6A86"),
        (f"80AE50011E{CDOL}00", "6A86"),
        ("0088000003112233", "6700"),
        ("008800000511223344550", "6700"),
        ("008801000411223344", "6A86"),
        (f"80AE00001E{CDOL}00", "9000"),
    ],
)
def test_status_words_after_processing_options(command: str, status: str) -> None:
    card = bank()
    assert [sw(card, one) for one in (RID, OPTIONS)] == ["9000", "9000"]
    raw = command if len(command) % 2 == 0 else command[:-1]
    assert sw(card, raw) == status


def test_a_blocked_application_shows_itself_and_does_nothing() -> None:
    card = bank("bank_blocked")
    answer = card.transmit(bytes.fromhex(RID))
    assert answer[:1] == b"\x6f"
    assert answer[-2:].hex() == "6283"
    assert sw(card, OPTIONS) == "6985"
    assert card.chip_memory.wallet.applications[0].atc == 0


def test_fdda_signs_only_where_the_terminal_asks_for_it() -> None:
    quiet = started("bank_fdda", {0x9F66: bytes.fromhex("20000000")})
    assert not {0x9F4B, 0x9F69} & quiet.data.keys()
    judge = Judge(issued("bank_fdda"))
    judge.select()
    with pytest.raises(Rejected, match="6985"):
        judge.start({0x9F66: bytes.fromhex("01000000")})


def test_the_counter_goes_on_with_each_transaction_and_ends_at_its_limit() -> None:
    card = bank()
    for count in (1, 2):
        assert [sw(card, one) for one in (RID, OPTIONS)] == ["9000", "9000"]
        assert card.transmit(bytes.fromhex("80CA9F3600")).hex() == f"9f3602{count:04x}9000"
        card.power_on()
    assert card.chip_memory.wallet.applications[0].atc == 2


def test_through_contacts_lengths_come_first() -> None:
    """T=0: an answer to data is fetched, a wrong Le is corrected; PSE instead of PPSE."""
    card = bank("bank_contacts")
    assert sw(card, PPSE) == "6A82"
    waiting = card.transmit(bytes.fromhex(PSE[:-2]))
    assert waiting[0] == 0x61
    assert len(waiting) == 2
    assert sw(card, "00C0000001")[:2] == "6C"
    answer = card.transmit(b"\x00\xc0\x00\x00" + waiting[1:])
    assert (answer[0], answer[-2:].hex()) == (0x6F, "9000")
    assert sw(card, "00C0000001") == "6985", "it is fetched once"
    right = card.transmit(bytes.fromhex("00B2010C00"))
    assert right[0] == 0x6C
    record = card.transmit(b"\x00\xb2\x01\x0c" + right[1:])
    assert record[-2:].hex() == "9000"
    assert dict(objects(dict(objects(record[:-2]))[0x70]))[0x61]
    assert sw(card, "00B2030C00") == "6A83"


def test_every_answer_fits_into_a_short_one() -> None:
    for name in BANK:
        if name == "bank_blocked":
            continue
        judge = started(name)
        for command in (f"0088000004{RANDOM.hex()}00", f"80AE50001E{CDOL}00"):
            assert len(judge.transmit(command)[0]) <= 256


@pytest.mark.parametrize("name", [name for name in BANK if name != "resident_bank"])
def test_the_same_seed_is_the_same_card_and_a_clone_is_another(name: str) -> None:
    one, same = bank(name), bank(name)
    assert (one.uid, one.chip_memory, one.image()) == (same.uid, same.chip_memory, same.image())
    other = one.clone()
    assert sw(other, RID) == ("6283" if name == "bank_blocked" else "9000")
    assert sw(other, OPTIONS)[:2] in ("90", "69", "67")
    assert one.chip_memory == same.chip_memory
    assert name == "bank_contacts" or one.atr == ATR_CONTACTLESS


def test_no_image_for_people_shows_a_number() -> None:
    for name in BANK:
        card = issued(name)
        assert isinstance(card, VirtualBankCard | DualCard)
        for wallet in card.chip_memory.wallets:
            for application in wallet.applications:
                assert application.pan not in str(card.image())
                assert application.pan not in repr(application)


@pytest.mark.parametrize("name", ["card-768", "issuer-E3"])
def test_keys_follow_from_the_published_seed(name: str) -> None:
    plan = LAB_KEYS[name]
    assert tuple(first_primes(name, plan.bits, plan.exponent)) == plan.distances


@pytest.mark.parametrize("name", LAB_KEYS)
def test_the_public_key_undoes_what_the_private_one_does(name: str) -> None:
    key, plan = lab_key(name), LAB_KEYS[name]
    assert (key.modulus.bit_length(), key.exponent) == (plan.bits, plan.exponent)
    block = b"\x6a" + bytes(range(key.length - 1))
    signed = int.from_bytes(key.sign(block), "big")
    assert pow(signed, key.exponent, key.modulus).to_bytes(key.length, "big") == block
    with pytest.raises(ValueError, match="block"):
        key.sign(block[1:])
    with pytest.raises(ValueError, match="block"):
        key.sign(b"\xff" * key.length)


def test_values_that_a_terminal_gives_are_those_of_the_lists() -> None:
    """The judge itself: nothing is asked for that it has not."""
    assert len(asked(bytes.fromhex("9F66049F3704"))) == 8
    assert set(VALUES) >= {0x9F66, 0x9F37}
