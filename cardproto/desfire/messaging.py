"""EV2 secure messaging: how commands and answers are MACed, numbered and enciphered, for either end.

Pure functions over one small mutable `Session`; the terminal side (`protect`, `accept`) and the software card both
use them, which is why independent vectors (tests/vectors) must hold both up. Source: datasheet 9, AN12343.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hmac import compare_digest
from typing import Final, Protocol

from cardproto.desfire.authentication import LABEL_ENC, LABEL_MAC, MAC_BYTES, Ev2Cipher, SessionCipher
from cardproto.desfire.commands import command_name
from cardproto.desfire.crypto import CardKey, crc32, pad, unpad
from cardproto.errors import IntegrityError, ProtocolError

COUNTER_LIMIT: Final = 0xFFFF


class CommMode(IntEnum):
    """How a file's content travels inside a session; the value is the file option's low two bits."""

    PLAIN = 0
    MAC = 1
    FULL = 3


class SecureMessaging(Protocol):
    """The terminal's end of any authenticated conversation: EV2 here, EV1 and D40 in `legacy_messaging`."""

    @property
    def key_no(self) -> int:
        """The number of the key that was proved."""
        ...

    def checksum(self, data: bytes) -> bytes:
        """What ChangeKey adds about a new key other than the session's own."""
        ...

    def protect(
        self, ins: int, header: bytes, data: bytes, mode: CommMode | None, trailer: bytes = b""
    ) -> bytes:
        """What follows the INS on the wire; `mode` None is the rule for management commands.

        `trailer` is enciphered behind `data` and its checksum (ChangeKey has one).
        """
        ...

    def accept(
        self, ins: int, status: int, answer: bytes, mode: CommMode | None, answer_bytes: int | None
    ) -> bytes:
        """The verified plain answer; raises `IntegrityError`. `answer_bytes` is its length when known."""
        ...


@dataclass(slots=True)
class Session:
    """An authenticated session: transaction identifier, command counter, and what its keys do.

    `counter` is the number of commands done so far. A command is protected with `counter`, its response with
    `counter + 1`; the side that executes the command increments in between, plain commands included.
    """

    key_no: int
    ti: bytes
    counter: int
    cipher: SessionCipher

    @classmethod
    def derive(
        cls, key: CardKey, key_no: int, rnd_a: bytes, rnd_b: bytes, ti: bytes, counter: int = 0
    ) -> Session:
        """Session keys in memory from the long-term key and both random numbers; NonFirst keeps `ti`, `counter`."""
        return cls(key_no, ti, counter, Ev2Cipher.derive(key, rnd_a, rnd_b, ti))

    def checksum(self, data: bytes) -> bytes:
        """What ChangeKey adds about a new key other than the session's own."""
        return crc32(data)

    def protect(
        self, ins: int, header: bytes, data: bytes, mode: CommMode | None, trailer: bytes = b""
    ) -> bytes:
        """The terminal's end; management commands are MACed. Raises `ProtocolError` at the counter's end."""
        if self.counter >= COUNTER_LIMIT:
            raise ProtocolError("the session's command counter is used up; authenticate again")
        if mode is CommMode.PLAIN:
            return header + data
        sent = self.encrypt_command(data + trailer) if mode is CommMode.FULL else data
        return header + sent + self.command_mac(ins, header, sent)

    def accept(
        self, ins: int, status: int, answer: bytes, mode: CommMode | None, answer_bytes: int | None
    ) -> bytes:
        """The terminal's end: the counter moves on, whatever the mode; then MAC and padding are verified."""
        del answer_bytes
        self.counter += 1
        if mode is CommMode.PLAIN:
            return answer
        body, mac = answer[:-MAC_BYTES], answer[-MAC_BYTES:]
        if not compare_digest(self.response_mac(body, status), mac):
            raise IntegrityError(f"{command_name(ins)}: the answer's MAC does not verify")
        if mode is not CommMode.FULL:
            return body
        plain = self.decrypt_response(body)
        if plain is None:
            raise IntegrityError(f"{command_name(ins)}: the answer's padding is wrong")
        return plain

    def command_mac(self, ins: int, header: bytes, data: bytes) -> bytes:
        """MACt of a command; `data` as it travels (encrypted in Full mode)."""
        return self._mac(ins, header + data)

    def response_mac(self, data: bytes, status: int = 0) -> bytes:
        """MACt of a successful response, after the counter has been incremented; `data` as it travels."""
        return self._mac(status, data)

    def _mac(self, first: int, rest: bytes) -> bytes:
        return self.cipher.mac(bytes((first,)) + self.counter.to_bytes(2, "little") + self.ti + rest)

    def command_nonce(self) -> bytes:
        """What a command's initialisation vector is enciphered from."""
        return self._nonce(LABEL_ENC)

    def response_nonce(self) -> bytes:
        """The same for its response, after the counter has been incremented."""
        return self._nonce(LABEL_MAC)

    def _nonce(self, label: bytes) -> bytes:
        return label + self.ti + self.counter.to_bytes(2, "little") + bytes(8)

    def encrypt_command(self, plain: bytes) -> bytes:
        """Empty data is not encrypted at all: there is no padding block then."""
        return self.cipher.seal(self.command_nonce(), pad(plain)) if plain else b""

    def decrypt_command(self, data: bytes) -> bytes | None:
        """None when length or padding is wrong."""
        return self._decrypt(self.command_nonce(), data)

    def encrypt_response(self, plain: bytes) -> bytes:
        return self.cipher.seal(self.response_nonce(), pad(plain)) if plain else b""

    def decrypt_response(self, data: bytes) -> bytes | None:
        """None when length or padding is wrong."""
        return self._decrypt(self.response_nonce(), data)

    def _decrypt(self, nonce: bytes, data: bytes) -> bytes | None:
        if not data:
            return b""
        return None if len(data) % 16 else unpad(self.cipher.open(nonce, data))
