"""One tap of a bank card, from its directory to the verdict.

    PPSE → choose → SELECT → GET PROCESSING OPTIONS → records   (`opening`)
         → signature and cryptogram → reading                                (`proving`)

What the card sends ends in a value. Only a lost exchange is an exception: then the tap has to begin again, at the
directory and with another random number, as every call here does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from cardproto.channel import CardChannel
from cardproto.emv.authentication import OfflineAuthentication
from cardproto.emv.faults import NotRead
from cardproto.emv.keys import Trust
from cardproto.emv.opening import Draw, OpenedApplication, open_application, open_listed
from cardproto.emv.proving import UNSIGNED, CardSignature, prove
from cardproto.emv.selection import Candidate
from cardproto.emv.transaction import BankCryptogram, BankTransaction


@dataclass(frozen=True, slots=True)
class BankReading:
    """What a tap of a bank card gave: data, verdict, and the cryptogram for its issuer (None: none was given).

    What the card says of its expiry is proven when `TAG_EXPIRY` is in `authentication.signed_tags`.
    """

    opened: OpenedApplication
    authentication: OfflineAuthentication
    cryptogram: BankCryptogram | None
    signed: CardSignature = UNSIGNED

    def in_force(self, on: date) -> bool:
        """Whether the card says of itself that it is valid on this day; one that states no expiry is not."""
        begins, ends = self.opened.effective_on, self.opened.expires_on
        return ends is not None and on <= ends and (begins is None or begins <= on)


def read_card(
    channel: CardChannel, taken: Iterable[bytes], transaction: BankTransaction, trust: Trust, draw: Draw
) -> BankReading | NotRead:
    """A whole tap with one of the applications whose names begin with one of `taken`, on the transaction's date.

    Raises `TransmissionError` when card or reader are lost, `ValueError` for a name in `taken` that is too short to
    mean one scheme.
    """
    return _proven(channel, open_application(channel, taken, transaction, draw), transaction, trust)


def read_listed(
    channel: CardChannel,
    directory: Iterable[Candidate],
    taken: Iterable[bytes],
    transaction: BankTransaction,
    trust: Trust,
    draw: Draw,
) -> BankReading | NotRead:
    """The rest of a tap whose `directory` was read in this very presentation; raises as `read_card`."""
    return _proven(channel, open_listed(channel, directory, taken, transaction, draw), transaction, trust)


def _proven(
    channel: CardChannel, opened: OpenedApplication | NotRead, transaction: BankTransaction, trust: Trust
) -> BankReading | NotRead:
    if isinstance(opened, NotRead):
        return opened
    return BankReading(opened, *prove(channel, opened, transaction, trust))
