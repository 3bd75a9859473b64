"""A DESFire card as the terminal sees it: all it can be asked, and the end of a transaction."""

from __future__ import annotations

from typing import Final

from cardproto.desfire.administration import Administration
from cardproto.desfire.commands import (
    INS_ABORT_TRANSACTION,
    INS_COMMIT_READER_ID,
    INS_COMMIT_TRANSACTION,
)
from cardproto.desfire.data import FileContent, IsoCommands
from cardproto.desfire.key_sets import KeySetCommands
from cardproto.desfire.legacy_messaging import LegacyAuthentication
from cardproto.desfire.proximity import ProximityCheck
from cardproto.desfire.transaction_mac import (
    CONTENT_BYTES,
    READER_ID_BYTES,
    DataCommand,
    TransactionMac,
)

_RETURN_MAC: Final = b"\x01"


class DesfireCard(
    FileContent, Administration, LegacyAuthentication, KeySetCommands, IsoCommands, ProximityCheck
):
    """Selection and EV2 sessions: `SecureConversation`; older ones: `LegacyAuthentication`; content: `FileContent`;
    building: `Administration` and `KeySetCommands`; the rest: `IsoCommands`, `ProximityCheck`.
    """

    def commit_transaction(self, *, return_mac: bool) -> TransactionMac | None:
        """Make everything pending true, all or nothing; with `return_mac` the card proves it.

        Success is only a returned value. Every exception means *unknown*, never *failed*: a lost or
        unverifiable answer comes after the card may have committed, and an error status carries no MAC, so
        it may have been forged. `data_commands` starts anew either way; keep the list before calling.
        """
        option = _RETURN_MAC if return_mac else b""
        content = self.execute(
            INS_COMMIT_TRANSACTION, option, answer_bytes=CONTENT_BYTES if return_mac else 0
        )
        self.data_commands = []
        return TransactionMac.parse(content) if return_mac else None

    def abort_transaction(self) -> None:
        """Forget everything pending; the session goes on. `StatusError` 0C when nothing was pending."""
        self.execute(INS_ABORT_TRANSACTION)
        self.data_commands = []

    def commit_reader_id(self, reader_id: bytes) -> bytes:
        """Put this reader's 16-byte id into the transaction; returns the previous reader's, enciphered.

        Only the collector has the key to it. Empty outside a session.
        """
        if len(reader_id) != READER_ID_BYTES:
            raise ValueError(f"a reader id is {READER_ID_BYTES} bytes, not {len(reader_id)}")
        expected = 0 if self.session is None else READER_ID_BYTES
        previous = self.execute(INS_COMMIT_READER_ID, reader_id, answer_bytes=expected)
        self.data_commands.append(DataCommand(INS_COMMIT_READER_ID, reader_id, previous))
        return previous
