"""A collector with terminals that take simulated bank cards: real exchanges, real signatures, real sealed records."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardproto.channel import CardChannel
from cardproto.emv import tags
from cardproto.emv.reading import BankReading, read_card
from cardproto.emv.transaction import BankTransaction
from sim.card.port import SimCard
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from terminal.app.simulated import laboratory_bank_ca, laboratory_keys
from terminal.bank_record import BankRecord, bank_record, card_identity, sealed_record
from terminal.clock import unix_ms
from terminal.codes import Admission, SetKind
from terminal.collector.bank.proofs import OfficeKeys
from terminal.collector.store import CollectorStore
from terminal.decision.bank_row import BankRow
from terminal.journal.chain import Head, genesis, link
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import AnyRecord, Committed, SettledBy, Unwritten, build_record
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.policy.load import load_region
from terminal.recompute.documents import DocumentFolder
from terminal.sealed_box import SealedSeries
from terminal.sync import wire
from tests.terminal.journal.samples import INTENT

LAB: Final = load_file_keys(laboratory_keys(), UNLIMITED)
TRUST: Final = laboratory_bank_ca().trust
PUBLIC: Final = LAB.record_key().public_key().public_bytes_raw()
SERIES: Final = SealedSeries(PUBLIC)
KEYS: Final = OfficeKeys((LAB.record_key(),), LAB.bank_card_key(), LAB.bank_tokens, TRUST)
DEMO: Final = Path("terminal/policy/regions/demo.toml")
ZONE: Final = "Europe/Volgograd"
FARE_MINOR: Final = 3_000
CAP_MINOR: Final = 7_500
MASTERS: Final = load_lab_keys()


def bank_document(folder: Path, zone: str = ZONE) -> Path:
    """The laboratory's region, where bank cards are taken, change free once within an hour, and pay 75.00 a day at
    most.
    """
    text = DEMO.read_text("utf-8")
    for before, after in (
        (f'time_zone = "{ZONE}"', f'time_zone = "{zone}"'),
        (
            '[profiles.bus]\nmedia = ["transport_card"]',
            '[profiles.bus]\nmedia = ["transport_card", "bank_card"]',
        ),
        (
            'transfers = 1\nmedia = ["transport_card"]',
            'transfers = 1\nmedia = ["transport_card", "bank_card"]',
        ),
        (
            '  { name = "concession_month"',
            '  { name = "spent_day", bits = 14, period = "service_day" },\n  { name = "concession_month"',
        ),
        (
            "# ---------------------------------------------------------------- concessions by",
            '[[caps]]\nkind = "amount_cap"\nid = "day"\nspent = "spent_day"\n'
            f"tiers = [{{ amount_minor = {CAP_MINOR} }}]\n\n# ---- concessions by",
        ),
    ):
        assert before in text, before
        text = text.replace(before, after, 1)
    path = folder / "bank-region.toml"
    path.write_text(text, "utf-8")
    load_region(str(path))
    return path


def card_of(account: int, profile: str = "bank_cda") -> SimCard:
    """A bank card of the laboratory with this account."""
    found = load_profile(profile)
    assert found.bank is not None
    changed = msgspec.structs.replace(found, bank=msgspec.structs.replace(found.bank, account=account))
    return issue(changed, MASTERS, 34, date(2026, 2, 1), random.Random(account).randbytes)


def token_of(card: BankReading) -> bytes:
    """What rows call the card."""
    return LAB.bank_tokens(card_identity(card.opened.pan.in_clear, card.opened.sequence))[0].token


def read(card: SimCard, at: datetime, amount_minor: int = 0, seed: int = 1) -> BankReading:
    """One tap of `card`, whose chip is asked everything."""
    card.power_on()
    transaction = BankTransaction(at, amount_minor=amount_minor)
    draw = random.Random(f"{at}/{seed}").randbytes
    found = read_card(CardChannel(card), (tags.RID_MIR,), transaction, TRUST, draw)
    assert isinstance(found, BankReading)
    return found


class BankTerminal:
    """A validator reduced to its rows: what it taps, it seals."""

    def __init__(self, number: int, document: bytes, route: int = 7) -> None:
        self.number = number
        self.route = route
        self.bodies: list[bytes] = []
        self.sealed: list[tuple[int, bytes]] = []
        self.sent = 0
        self.write(SetActivated(INTENT.at_ms, SetKind.REGION, "demo", 1, document, INTENT.at_ms))

    def write(self, record: AnyRecord) -> int:
        self.bodies.append(build_record(record))
        return len(self.bodies)

    def tap(
        self,
        reading: BankReading,
        at: datetime,
        *,
        token: bytes | None = None,
        record: BankRecord | None = None,
        shown_minor: int = FARE_MINOR,
        sealed: bytes | None = None,
        route: int | None = None,
        direction: int = INTENT.direction,
        **trip: Any,
    ) -> int:
        """The rows of a tap, ended in good order; return the intent's. `record` and `sealed` are those of a forger."""
        at_ms, called = unix_ms(at), token_of(reading) if token is None else token
        if sealed is None:
            made = bank_record(self.number, at_ms, called, reading) if record is None else record
            sealed = sealed_record(made, SERIES)
        signed = reading.authentication
        parts = BankRow(date(2031, 1, 31), 1, signed.method, signed.fault, 1, sha256(sealed).digest())
        intent = msgspec.structs.replace(
            INTENT,
            at_ms=at_ms,
            card_ref=called,
            route=self.route if route is None else route,
            direction=direction,
            charge_minor=shown_minor,
            proof=parts.commands,
            trip=trip,
        )
        row = self.write(intent)
        self.sealed.append((row, sealed))
        self.write(Committed(at_ms + 300, row, None, b"", SettledBy.ANSWERED))
        return row

    def refuse(self, reading: BankReading, at: datetime) -> int:
        """The row of a card that is denied."""
        parts = BankRow(date(2031, 1, 31), 1, reading.authentication.method, None, 1)
        return self.write(
            Unwritten(
                unix_ms(at),
                token_of(reading),
                "bus",
                2,
                "deny_list",
                Admission.REFUSED,
                "demo:1",
                (),
                0,
                0,
                read=parts.parts,
            )
        )

    def batch(self, key: Any, at_ms: int) -> bytes:
        """What was not sent yet, with what its rows sealed."""
        heads = [genesis(self.number)]
        for body in self.bodies:
            heads.append(Head(heads[-1].sequence + 1, link(heads[-1].hash, body)))
        sealed = tuple(one for one in self.sealed if one[0] > self.sent)
        part = tuple(self.bodies[self.sent :])
        return wire.encode(
            wire.build_batch(self.number, heads[self.sent], part, heads[-1], at_ms, key, sealed=sealed)
        )


def keep(store: CollectorStore, terminal: BankTerminal) -> None:
    """Let the collector have what the terminal has not sent, as its intake would."""
    at_ms = INTENT.at_ms
    batch = wire.parse_batch(terminal.batch(Ed25519PrivateKey.generate(), at_ms))
    store.receive(batch, wire.row_hashes(batch), at_ms)
    terminal.sent = len(terminal.bodies)


def kept_document(folder: Path, source: Path) -> bytes:
    """The hash of the region document, kept in the collector's folder."""
    kept = DocumentFolder(folder / "documents").add(source)
    return bytes.fromhex(kept[0].sha256)


def day(number: int, hour: int = 8, minute: int = 0) -> datetime:
    """A moment of February 2026, local time of the region's vehicles being three hours ahead."""
    return datetime(2026, 2, number, hour, minute, tzinfo=UTC)
