"""Vectors as values, and cards that answer what a transcript of them says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from cardproto.channel import CardChannel
from cardproto.connection import CardConnection
from cardproto.emv.keys import CaKey, CaKeys, Trust
from cardproto.emv.numbers import Pan, parse_pan
from cardproto.emv.opening import Draw
from cardproto.emv.reading import BankReading, read_card
from cardproto.emv.records import CardData
from cardproto.emv.signatures import CryptogramKind
from cardproto.emv.transaction import BankTransaction

Entry = dict[str, Any]
OWN: Final = Path(__file__).parents[2] / "vectors" / "emv.json"
MIR: Final = bytes.fromhex("A000000658")
PPSE_SELECT: Final = "00A404000E325041592E5359532E4444463031"
CDA, FDDA, DDA = "mir-lab-1-contactless-cda", "mir-lab-1-contactless-fdda", "mir-lab-1-dda"


def entries(path: Path, section: str) -> dict[str, Entry]:
    """The entries of a section by name."""
    return {one["name"]: one for one in json.loads(path.read_text(encoding="utf-8"))[section]}


@cache
def own_chain() -> Entry:
    return entries(OWN, "oda")["mir-lab-1"]


@cache
def own_transcripts() -> dict[str, Entry]:
    return entries(OWN, "transcripts")


def ca_key(entry: Mapping[str, Any], **changes: Any) -> CaKey:
    given: dict[str, Any] = {
        "rid": bytes.fromhex(entry["rid"]),
        "index": int(entry["index"], 16),
        "modulus": bytes.fromhex(entry["modulus"]),
        "exponent": bytes.fromhex(entry["exponent"]),
        "checksum": bytes.fromhex(entry["sha1"]),
    }
    return CaKey(**given | changes)


def own_trust(**changes: Any) -> Trust:
    return Trust(CaKeys([ca_key(own_chain()["ca"])]), **changes)


def chain_data(entry: Entry, **changes: bytes | None) -> CardData:
    """What a chain's entry holds as card data; a change to None takes a tag away, `static` replaces the static data."""
    values = {tag: bytes.fromhex(value) for tag, value in entry["tags"].items()}
    static = changes.pop("static", bytes.fromhex(entry["static_data_to_authenticate"] or ""))
    values |= {tag.removeprefix("t"): value for tag, value in changes.items() if value is not None}
    for tag in (tag for tag, value in changes.items() if value is None):
        values.pop(tag.removeprefix("t"), None)
    return CardData({int(tag, 16): value for tag, value in values.items()}, frozenset(), static)


def chain_pan(entry: Entry) -> Pan:
    return parse_pan(bytes.fromhex(entry["tags"]["5A"]))


class TranscriptCard:
    """Answers a command as the transcript does, whatever the order; Le is not looked at. Unknown: `otherwise`."""

    def __init__(self, exchanges: Iterable[Mapping[str, str]], otherwise: str = "6A82") -> None:
        self.answers = {_without_le(one["c"]): one["r"] for one in reversed(list(exchanges))}
        self.by_header = False
        self.otherwise = otherwise
        self.sent: list[str] = []

    def transmit(self, command: bytes) -> bytes:
        asked = _without_le(command.hex().upper())
        self.sent.append(asked)
        answer = self.answers.get(asked, self._by_header(asked))
        return bytes.fromhex(self.otherwise if answer is None else answer)

    def _by_header(self, asked: str) -> str | None:
        """What it answers to a command of the same header with other data, if it does not look at them."""
        of_this = (answer for command, answer in self.answers.items() if command[:8] == asked[:8])
        return next(of_this, None) if self.by_header and asked[:4] != "00A4" else None

    def change(self, beginning: str, change: Callable[[str], str]) -> TranscriptCard:
        """Changes the one answer whose command begins so."""
        (asked,) = (one for one in self.answers if one.startswith(beginning))
        before = self.answers[asked]
        self.answers[asked] = change(before)
        assert self.answers[asked] != before, "nothing was changed"
        return self


def _without_le(command: str) -> str:
    """READ RECORD and commands with data alike: header, and data where there are any."""
    data = int(command[8:10] or "0", 16)
    return command[: 10 + 2 * data] if len(command) > 10 and data else command[:8]


def own_card(name: str) -> TranscriptCard:
    return TranscriptCard(own_transcripts()[name]["apdus"])


def own_transaction(**changes: Any) -> BankTransaction:
    """The transaction that the project's transcripts were made with."""
    given: dict[str, Any] = {
        "at": datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
        "amount_minor": 4300,
        "asked": CryptogramKind.TC,
    }
    return BankTransaction(**given | {"qualifiers": bytes.fromhex("36204000")} | changes)


UNPREDICTABLE: Final = bytes.fromhex("8F21C0DE")


def answering_cryptogram(card: TranscriptCard, answer: str) -> TranscriptCard:
    """The card answers GENERATE AC for an ARQC with this."""
    card.answers["80AE80001E000000004300000000000000064300000000000643261121008F21C0DE25"] = answer
    return card


def tap(card: CardConnection, trust: Trust | None = None, *, draw: Draw | None = None, **changes: Any) -> Any:
    """A tap of a card with the random number of the transcripts; what `read_card` returned."""
    drawn = draw or (lambda size: UNPREDICTABLE)
    return read_card(CardChannel(card), (MIR,), own_transaction(**changes), trust or own_trust(), drawn)


def read(card: CardConnection, trust: Trust | None = None, **changes: Any) -> BankReading:
    found = tap(card, trust, **changes)
    assert isinstance(found, BankReading), found
    return found
