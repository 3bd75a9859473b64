"""Bank cards: recovering issuer and card key from their certificates, and whole taps, both ends on one core."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace

from bench.result import Result, at_least, at_most, median_us
from cardproto.channel import CardChannel
from cardproto.emv.certificates import card_key, issuer_key
from cardproto.emv.keys import CaKey, CaKeys, Trust
from cardproto.emv.numbers import Pan
from cardproto.emv.reading import BankReading, read_card
from cardproto.emv.records import CardData
from cardproto.emv.transaction import BankTransaction
from sim.card.port import SimCard
from sim.emv.chain import lab_ca_keys
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from terminal.app.simulated import laboratory_bank_ca, laboratory_bank_office, laboratory_keys
from terminal.collector.bank.journeys import BankRide, Journeys
from terminal.decision.bus.bank import BankSnapshot
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.media.bank.medium import BankMedium, BankTerms, BankTrust
from terminal.media.held import HeldEvents
from terminal.media.port import MediumSetup
from terminal.policy.base import FareMedium
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip

VECTORS: Final = Path(__file__).resolve().parents[1] / "tests" / "vectors" / "emv.json"
DAY: Final = date(2026, 11, 21)
NOW: Final = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
AT: Final = datetime(2026, 11, 21, 8, 0)  # noqa: DTZ001 a card is shown local time
RID: Final = bytes.fromhex("A000000658")
NUMBER: Final = "2200000000000004"


@dataclass(frozen=True, slots=True)
class Chain:
    """What a terminal has of one card: the CA's key and the card's data."""

    ca: CaKey
    data: CardData


def recovery() -> Iterator[Result]:
    """Both certificates, hashes and every check included; the static data of the published chain."""
    for name, chain, limit_ms in (
        ("e = 3, 1408, 1152 and 1024 bit", _published(), 0.1),
        ("e = 65537, 1920, 1408 and 1152 bit", _long(), 0.8),
    ):
        took = median_us(lambda chain=chain: _recover(chain), rounds=30, each=20) / 1000  # type: ignore[misc]
        yield at_most(f"issuer's and card's key from their certificates, {name}", took, "ms of CPU", limit_ms)


def full_taps() -> Iterator[Result]:
    """A software card signs and the terminal verifies, in one process: directory, selection, records, proof."""
    ca_keys = (CaKey(k.rid, k.index, k.modulus, k.exponent, k.checksum) for k in lab_ca_keys())
    trust = Trust(CaKeys(ca_keys))
    for profile, words in (
        ("bank_cda", "CDA, keys of 1408, 1152 and 1024 bit"),
        ("bank_fdda", "fDDA, keys of 1408, 1152 and 1024 bit"),
        ("bank_longest_key", "fDDA, keys of 1984, 1984 and 1408 bit, e = 65537"),
    ):
        card = issue(load_profile(profile), load_lab_keys(), 34, DAY, secrets.token_bytes)
        took = median_us(lambda card=card: _tap(card, trust), rounds=30, each=10) / 1000  # type: ignore[misc]
        yield at_most(f"a bank card's tap, both ends, {words}", took, "ms of CPU", 4)


def journeys() -> Iterator[Result]:
    """What the back office decides of rides that are proven: ten of a card in a day, with transfers and every rule of
    the laboratory's region."""
    policy = Policy.of(load_region("demo"))
    trips = [Trip("bus", 7 + n % 2, n + 1, 2, 1, 7 + 2 * (n % 2)) for n in range(10)]
    at = [datetime(2026, 2, 3, 6, tzinfo=UTC) + timedelta(minutes=40 * n) for n in range(10)]
    document, token = "demo", bytes(16)
    media = (*policy.document.profiles.bus.media, FareMedium.BANK_CARD)
    profiles = replace(policy.document.profiles, bus=replace(policy.document.profiles.bus, media=media))
    policy = Policy.of(replace(policy.document, profiles=profiles))
    rides = [BankRide(7 + n % 2, n + 1, at[n], trips[n], token, document, 3_000) for n in range(10)]
    decided = Journeys(lambda _document: policy)
    decided.knows(document)
    took = median_us(lambda: list(decided.fares(rides)), rounds=30, each=20) / len(rides)
    yield at_least("rides of bank cards decided at the back office", 1e6 / took, "taps/s of CPU", 20_000)


def terminals_part() -> Iterator[Result]:
    """What a terminal computes for one tap when the card answers at once: proof, tokens, sealing, decision."""
    trust = BankTrust(laboratory_bank_ca().trust, laboratory_bank_office())
    terms, keys = BankTerms((RID,), 643, 643, 0), load_file_keys(laboratory_keys(), UNLIMITED)
    policy = Policy.of(load_region("volgograd"))
    trip = Trip("bus", 70001, 1, shift=1, turn=1, route=15)
    with TemporaryDirectory() as folder, closing(HeldEvents(Path(folder))) as held:
        for profile, words, limit_ms in (
            ("bank_cda", "CDA, e = 3", 0.6),
            ("bank_fdda", "fDDA, e = 3", 0.6),
            ("bank_longest_key", "fDDA, e = 65537, keys of 1984, 1984 and 1408 bit", 2.0),
        ):
            setup = MediumSetup("bus", 34, keys, bytes, policy.zone)
            medium = BankMedium(setup, 70001, terms, trust, held)
            heard = Heard(issue(load_profile(profile), load_lab_keys(), 34, DAY, secrets.token_bytes))

            def tap(medium: BankMedium = medium, heard: Heard = heard) -> None:
                heard.begin()
                channel = CardChannel(heard)
                assert medium.select(channel)
                card = medium.open(channel, NOW)
                assert isinstance(card.snapshot, BankSnapshot)
                decision = medium.decide(card.snapshot, policy, trip, NOW)
                assert decision.outcome.charge_minor == 3000, decision

            took = median_us(tap, rounds=30, each=10) / 1000
            yield at_most(f"a bank card's tap, the terminal's part, {words}", took, "ms of CPU", limit_ms)


class Heard:
    """A card that is asked once and then answers the same: with the same random number the same is right."""

    def __init__(self, card: SimCard) -> None:
        self._card, self._answers = card, dict[bytes, bytes]()
        card.power_on()

    def begin(self) -> None:
        if not self._answers:
            self._card.power_on()

    def transmit(self, command: bytes) -> bytes:
        answer = self._answers.get(command)
        if answer is None:
            answer = self._answers[command] = self._card.transmit(command)
        return answer


def _tap(card: SimCard, trust: Trust) -> None:
    card.power_on()
    transaction = BankTransaction(AT, amount_minor=4300)
    read = read_card(CardChannel(card), (RID,), transaction, trust, secrets.token_bytes)
    assert isinstance(read, BankReading), read
    assert read.authentication.fault is None, read


def _recover(chain: Chain) -> None:
    pan = Pan(NUMBER)
    card_key(chain.data, pan, issuer_key(chain.data, pan, chain.ca, DAY, frozenset()), DAY)


def _published() -> Chain:
    entry = json.loads(VECTORS.read_text(encoding="utf-8"))["oda"][0]
    ca = {name: bytes.fromhex(entry["ca"][name]) for name in ("rid", "modulus", "exponent", "sha1")}
    values = {int(tag, 16): bytes.fromhex(value) for tag, value in entry["tags"].items()}
    key = CaKey(ca["rid"], int(entry["ca"]["index"], 16), ca["modulus"], ca["exponent"], ca["sha1"])
    return Chain(key, CardData(values, frozenset(), bytes.fromhex(entry["static_data_to_authenticate"])))


def _long() -> Chain:
    """The longest keys a Mir card was seen with, made for this run."""
    ca, issuer, card = (rsa.generate_private_key(65537, bits) for bits in (1920, 1408, 1152))
    exponent, static = b"\x01\x00\x01", bytes(130)
    head = bytes.fromhex("6A02220000FF1235000101")
    issuer_certificate, issuer_rest = _certificate(head, issuer, ca, exponent)
    head = b"\x6a\x04" + bytes.fromhex(NUMBER + "FFFF" + "1230000202")
    certificate, rest = _certificate(head, card, issuer, exponent + static)
    values = {0x90: issuer_certificate, 0x92: issuer_rest, 0x9F32: exponent}
    values |= {0x9F46: certificate, 0x9F48: rest, 0x9F47: exponent}
    modulus = _modulus(ca)
    checksum = sha1(RID + b"\xd1" + modulus + exponent).digest()
    return Chain(CaKey(RID, 0xD1, modulus, exponent, checksum), CardData(values, frozenset(), static))


def _modulus(key: rsa.RSAPrivateKey) -> bytes:
    number = key.public_key().public_numbers().n
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _certificate(
    head: bytes, key: rsa.RSAPrivateKey, signer: rsa.RSAPrivateKey, behind: bytes
) -> tuple[bytes, bytes]:
    """A certificate over `key` and the remainder that does not fit."""
    modulus, size = _modulus(key), len(_modulus(signer))
    start = head + b"\x01\x01" + bytes((len(modulus), 3))
    room = size - len(start) - 21
    inside, rest = modulus[:room].ljust(room, b"\xbb"), modulus[room:]
    block = start + inside
    block += sha1(block[1:] + rest + behind).digest() + b"\xbc"
    numbers = signer.private_numbers()
    signed = pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n)
    return signed.to_bytes(size, "big"), rest
