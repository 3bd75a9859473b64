"""The transaction MAC: the card's own proof of what one committed transaction did. Datasheet 10.3.

The terminal logs the data commands, the collector rebuilds the input (TMI) and checks the card's value (TMV)
with a key no terminal has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cardproto.desfire.commands import (
    INS_COMMIT_READER_ID,
    INS_CREDIT,
    INS_DEBIT,
    INS_GET_VALUE,
    INS_LIMITED_CREDIT,
)
from cardproto.desfire.crypto import BLOCK, ZERO_IV, AesKey, CardKey, cmac_once, truncate_mac

READER_ID_BYTES: Final = 16
TMV_BYTES: Final = 8
CONTENT_BYTES: Final = 12
"""What the transaction MAC file holds: counter (4) and value (8)."""

_ZEROS: Final = tuple(bytes(-filled % BLOCK) for filled in range(BLOCK))
"""What fills a block, by how much of it is filled. Every part begins a block, so it pads each by itself."""
_LABEL_MAC: Final = b"\x5a\x00\x01\x00\x80"
_LABEL_ENC: Final = b"\xa5\x00\x01\x00\x80"
_UNSPLIT: Final = frozenset((INS_GET_VALUE, INS_CREDIT, INS_DEBIT, INS_LIMITED_CREDIT, INS_COMMIT_READER_ID))


@dataclass(frozen=True, slots=True)
class DataCommand:
    """One command as the transaction MAC sees it: INS used, header, and the *plain* data of either way.

    Lengths and counts of 0 ("all") are already replaced by what the card gave. CommitReaderID has the
    reader id as header and the card's answer as data.
    """

    ins: int
    header: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class TransactionMac:
    """The card's answer to a commit: how many it has made, and its MAC over the newest."""

    counter: int
    value: bytes

    @classmethod
    def parse(cls, content: bytes) -> TransactionMac:
        """From exactly 12 bytes (commit answer or file content); raises `ValueError` otherwise."""
        if len(content) != CONTENT_BYTES:
            raise ValueError(f"transaction MAC of {len(content)} bytes, expected {CONTENT_BYTES}")
        return cls(int.from_bytes(content[:4], "little"), content[4:])


def tmi(commands: Iterable[DataCommand]) -> bytes:
    """The transaction MAC input of these commands, in the order they were executed."""
    return tmi_of((command.ins, command.header, command.data) for command in commands)


def tmi_of(commands: Iterable[tuple[int, bytes, bytes]]) -> bytes:
    """The same of (ins, header, data), as journal rows hold commands; raises `ValueError` for an `ins` that is no
    byte.
    """
    covered = bytearray()
    for ins, header, data in commands:
        covered.append(ins)
        covered += header
        if ins not in _UNSPLIT:
            covered += _ZEROS[len(covered) % BLOCK]
        covered += data
        covered += _ZEROS[len(covered) % BLOCK]
    return bytes(covered)


def session_tm_keys(tmk: CardKey, tmc_after: int, uid: bytes) -> tuple[AesKey, AesKey]:
    """(SesTMMACKey, SesTMENCKey) for the transaction that sets the counter to `tmc_after`; `uid` is real."""
    rest = tmc_after.to_bytes(4, "little") + uid
    return AesKey(tmk.cmac(_LABEL_MAC + rest)), AesKey(tmk.cmac(_LABEL_ENC + rest))


def transaction_mac_value(tmk: CardKey, uid: bytes, tmc_after: int, tmi: bytes) -> bytes:
    """The 8-byte TMV a genuine card gives for `tmi`."""
    return session_transaction_mac_value(session_mac_key(tmk, tmc_after, uid), tmi)


def session_mac_key(tmk: CardKey, tmc_after: int, uid: bytes) -> bytes:
    """The bytes of SesTMMACKey: it proves the transaction that sets the counter to `tmc_after`, and no other. An
    auditor is given these of a day's transactions, never `tmk`.
    """
    return tmk.cmac(_LABEL_MAC + tmc_after.to_bytes(4, "little") + uid)


def session_transaction_mac_value(key: bytes, tmi: bytes) -> bytes:
    """The 8-byte TMV under the bytes of SesTMMACKey."""
    return truncate_mac(cmac_once(key, tmi))


def encrypt_reader_id(session_enc_key: CardKey, previous: bytes) -> bytes:
    """EncTMRI, CommitReaderID's answer: the *previous* reader's id under SesTMENCKey, zero IV, unpadded.

    Not the secure messaging's SesAuthENCKey, as a published example has it.
    """
    return session_enc_key.encrypt(ZERO_IV, previous)


def decrypt_reader_id(session_enc_key: CardKey, answer: bytes) -> bytes:
    """The reader id that the last transaction with one committed, from this transaction's EncTMRI."""
    return session_enc_key.decrypt(ZERO_IV, answer)
