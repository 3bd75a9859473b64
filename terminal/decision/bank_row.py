"""What a bank card showed, as the row of its tap keeps it: enough to decide again, and no digit of its number.

    mark     "bank-1"
    facts    last day (4: YYYYMMDD, 0 not stated) · sequence number (1, 255 none) · method (1) · verdict (1) · epoch (1)
             · whether the resident application of the card was asked first (1)
    sealed   SHA-256 of the record that was sealed to the back office (`terminal.bank_record`); empty where none was
    account  reference of the payment account that the card names (PAR, tag 9F24); empty where it names none
    event    what was kept here of this card; empty where nothing was

The row's `card_ref` is the token. An intent lists the parts as its proof (under the code of GENERATE AC), a row that
wrote nothing as what was read.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from msgspec import Struct

from cardproto.emv.authentication import OfflineMethod
from cardproto.emv.faults import ChainFault
from cardproto.emv.tags import INS_GENERATE_AC
from cardproto.errors import FormatError

MARK: Final = b"bank-1"
PARTS: Final = 5
_FACTS_BYTES: Final = 9
_NO_SEQUENCE: Final = 0xFF
_METHODS: Final = tuple(OfflineMethod)
_VERDICTS: Final = (None, *ChainFault)
"""By their place; both lists are only ever appended to."""
_WHERE: Final = "bank card's row"


class BankRow(Struct, frozen=True):
    """See above. `fault` None: the card proved itself by `method`."""

    expires_on: date | None
    sequence: int | None
    method: OfflineMethod
    fault: ChainFault | None
    epoch: int
    sealed: bytes = b""
    account: bytes = b""
    event: bytes = b""
    second: bool = False

    @property
    def genuine(self) -> bool:
        """Whether the card proved itself by a method that counts."""
        return self.fault is None and self.method.counts

    @property
    def parts(self) -> tuple[bytes, ...]:
        """For the row of a tap that writes nothing."""
        day = self.expires_on
        last = 0 if day is None else day.year * 10_000 + day.month * 100 + day.day
        number = _NO_SEQUENCE if self.sequence is None else self.sequence
        method, verdict = _METHODS.index(self.method), _VERDICTS.index(self.fault)
        facts = last.to_bytes(4, "big") + bytes((number, method, verdict, self.epoch, self.second))
        return (MARK, facts, self.sealed, self.account, self.event)

    @property
    def commands(self) -> tuple[tuple[int, bytes, bytes], ...]:
        """For the row of a tap that is counted."""
        return tuple((INS_GENERATE_AC, b"", part) for part in self.parts)


def bank_row_of(parts: tuple[bytes, ...]) -> BankRow | None:
    """What `parts` of a row say of a bank card; None for those of another medium. Raises `FormatError`."""
    if len(parts) != PARTS or parts[0] != MARK:
        return None
    _, facts, sealed, account, event = parts
    if len(facts) != _FACTS_BYTES or facts[5] >= len(_METHODS) or facts[6] >= len(_VERDICTS):
        raise FormatError(_WHERE, "holds unknown facts")
    last = int.from_bytes(facts[:4], "big")
    try:
        expires_on = None if last == 0 else date(last // 10_000, last // 100 % 100, last % 100)
    except ValueError as error:
        raise FormatError(_WHERE, "states no day") from error
    sequence = None if facts[4] == _NO_SEQUENCE else facts[4]
    return BankRow(
        *(expires_on, sequence, _METHODS[facts[5]], _VERDICTS[facts[6]], facts[7]),
        *(sealed, account, event, bool(facts[8])),
    )


def bank_state_after(parts: tuple[bytes, ...], written: bytes) -> bytes | None:
    """The event that the terminal keeps after the row of a bank card with these parts; `written` is that of a tap that
    counted, empty where none did. None for a row of another medium.
    """
    try:
        row = bank_row_of(parts)
    except FormatError:
        return None
    return None if row is None else written or row.event


def bank_row_in(proof: tuple[tuple[int, bytes, bytes], ...]) -> BankRow | None:
    """What an intent says of a bank card; None for one of another medium. Raises `FormatError`."""
    if any(ins != INS_GENERATE_AC for ins, _, _ in proof):
        return None
    return bank_row_of(tuple(data for _, _, data in proof))
