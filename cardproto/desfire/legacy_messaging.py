"""Secure messaging of the cards before EV2, for either end: D40 (after 0A) and EV1 (after 1A or AA).

Both protect less than EV2. D40 has a 4-byte MAC over data only and no chain from one command to the next. EV1 has
one initialisation vector that runs through the whole conversation: every command moves it, sent or not, so a
changed command shows in the card's next answer. Sources: as in `legacy_crypto`.

The terminal's end of their authentications stands here, too: for cards that know nothing newer, and for factory
cards, whose master key is a DES key. In ISO (1A) one initialisation vector runs through all three messages; D40
begins each with zeros. AES (AA) goes through `cardproto.desfire.authentication`; DES keys are the factory's and
stay in memory."""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import Final, NoReturn

from cardproto.desfire.authentication import (
    MAC_BYTES,
    Authentication,
    Ev1Cipher,
    Method,
    SessionCipher,
)
from cardproto.desfire.commands import (
    INS_ADDITIONAL_FRAME,
    INS_AUTHENTICATE_D40,
    INS_AUTHENTICATE_ISO,
    NATIVE_CHAINED_CODES,
    command_name,
)
from cardproto.desfire.crypto import BLOCK, crc32, rotate_left
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.legacy_crypto import (
    DES_BLOCK,
    CipherKey,
    DesKey,
    crc16,
    d40_receive,
    d40_send,
    des_session_key,
    pad_zero,
)
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.secure import SecureConversation
from cardproto.errors import CardError, IntegrityError, ProtocolError

EV1_MAC_BYTES: Final = MAC_BYTES
EV1_CRC_BYTES: Final = 4
D40_MAC_BYTES: Final = 4
D40_CRC_BYTES: Final = 2


class Ev1Session:
    """A conversation after AuthenticateISO or AuthenticateAES: one key, one running initialisation vector."""

    mac_bytes: Final = EV1_MAC_BYTES
    crc_bytes: Final = EV1_CRC_BYTES

    def __init__(self, key_no: int, cipher: SessionCipher, block_bytes: int = BLOCK) -> None:
        self.key_no = key_no
        self.block_bytes = block_bytes
        self._cipher = cipher

    def checksum(self, data: bytes) -> bytes:
        """What ChangeKey adds about a new key other than the session's own."""
        return crc32(data)

    def mac(self, message: bytes) -> bytes:
        """The first eight bytes of the CMAC over a command (INS and all) or an answer (data, then status)."""
        return self._cipher.mac(message)

    def encipher(self, plain: bytes) -> bytes:
        """Whole blocks; the vector becomes the last one sent."""
        return self._cipher.seal(b"", plain)

    def decipher(self, sent: bytes) -> bytes | None:
        """None for anything but whole blocks, at least one."""
        if not sent or len(sent) % self.block_bytes:
            return None
        return self._cipher.open(b"", sent)

    def protect(
        self, ins: int, header: bytes, data: bytes, mode: CommMode | None, trailer: bytes = b""
    ) -> bytes:
        """What follows the INS. Only file content in MAC mode carries the MAC it is computed for."""
        head = bytes((ins,)) + header
        if mode is CommMode.FULL and data:
            plain = data + crc32(head + data) + trailer
            return header + self.encipher(pad_zero(plain, self.block_bytes))
        mac = self.mac(head + data)
        return header + data + (mac if mode is CommMode.MAC and data else b"")

    def accept(
        self, ins: int, status: int, answer: bytes, mode: CommMode | None, answer_bytes: int | None
    ) -> bytes:
        """The verified plain answer; raises `IntegrityError`. An answer without data is never enciphered."""
        if mode is CommMode.FULL and answer_bytes != 0:
            plain = self.decipher(answer)
            data = None if plain is None else self.opened(plain, b"", bytes((status,)), answer_bytes)
            if data is None:
                raise IntegrityError(f"{command_name(ins)}: the answer's checksum does not verify")
            return data
        body, mac = answer[:-EV1_MAC_BYTES], answer[-EV1_MAC_BYTES:]
        if not compare_digest(self.mac(body + bytes((status,))), mac):
            raise IntegrityError(f"{command_name(ins)}: the answer's MAC does not verify")
        return body

    def opened(
        self, plain: bytes, before: bytes, after: bytes, length: int | None, trailer_bytes: int = 0
    ) -> bytes | None:
        """Deciphered blocks without checksum and padding; None when they do not verify.

        The checksum covers `before`, the data, and `after`. `length` None searches for the data's end.
        A trailer of `trailer_bytes` behind the checksum (ChangeKey) stays at the end of the result.
        """
        return _without_checksum(
            plain,
            lambda data: crc32(before + data + after),
            EV1_CRC_BYTES,
            self.block_bytes,
            length,
            trailer_bytes,
        )


class D40Session:
    """A conversation after the first cards' authentication: nothing runs from one command to the next."""

    mac_bytes: Final = D40_MAC_BYTES
    crc_bytes: Final = D40_CRC_BYTES
    block_bytes: Final = DES_BLOCK

    def __init__(self, key_no: int, key: CipherKey) -> None:
        self.key_no = key_no
        self._key = key

    def checksum(self, data: bytes) -> bytes:
        """What ChangeKey adds about a new key other than the session's own."""
        return crc16(data)

    def mac(self, data: bytes) -> bytes:
        """Four bytes of the last block of the enciphered, zero-padded data; the same in both directions."""
        return self._key.encrypt(bytes(DES_BLOCK), pad_zero(data, DES_BLOCK))[-DES_BLOCK:][:D40_MAC_BYTES]

    def protect(
        self, ins: int, header: bytes, data: bytes, mode: CommMode | None, trailer: bytes = b""
    ) -> bytes:
        """What follows the INS; management commands travel as they are."""
        del ins  # neither MAC nor checksum covers it: that is the weakness of these cards
        if mode is CommMode.FULL and data:
            return header + d40_send(self._key, pad_zero(data + crc16(data) + trailer, DES_BLOCK))
        return header + data + (self.mac(data) if mode is CommMode.MAC and data else b"")

    def accept(
        self, ins: int, status: int, answer: bytes, mode: CommMode | None, answer_bytes: int | None
    ) -> bytes:
        """The verified plain answer; raises `IntegrityError`. Answers without data carry no proof at all."""
        del status
        if not mode or answer_bytes == 0:
            return answer
        if mode is CommMode.MAC:
            data, mac = answer[:-D40_MAC_BYTES], answer[-D40_MAC_BYTES:]
            if not data or not compare_digest(self.mac(data), mac):
                raise IntegrityError(f"{command_name(ins)}: the answer's MAC does not verify")
            return data
        opened = None
        if answer and len(answer) % DES_BLOCK == 0:
            opened = self.opened(self._key.decrypt(bytes(DES_BLOCK), answer), answer_bytes)
        if opened is None:
            raise IntegrityError(f"{command_name(ins)}: the answer's checksum does not verify")
        return opened

    def receive(self, sent: bytes) -> bytes | None:
        """The card's end: blocks as the terminal had them before `d40_send`; None when they are not whole."""
        return d40_receive(self._key, sent) if sent and len(sent) % DES_BLOCK == 0 else None

    def encipher(self, plain: bytes) -> bytes:
        """The card's end: zeros fill the last block up, and everything is enciphered."""
        return self._key.encrypt(bytes(DES_BLOCK), pad_zero(plain, DES_BLOCK))

    def opened(self, plain: bytes, length: int | None, trailer_bytes: int = 0) -> bytes | None:
        """As `Ev1Session.opened`, with a checksum over the data only."""
        return _without_checksum(plain, crc16, D40_CRC_BYTES, DES_BLOCK, length, trailer_bytes)


LegacySession = Ev1Session | D40Session


def _without_checksum(
    plain: bytes,
    checksum: Callable[[bytes], bytes],
    crc_bytes: int,
    block_bytes: int,
    length: int | None,
    trailer_bytes: int,
) -> bytes | None:
    """`plain` cut where the checksum fits and only padding (zeros, or 80 and zeros) follows the trailer.

    The first such place is the right one: padding zeros make the next few places fit as well.
    """
    longest = len(plain) - crc_bytes - trailer_bytes
    shortest = max(0, longest - block_bytes)
    places = range(shortest, longest + 1) if length is None else (length,)
    for at in places:
        end = at + crc_bytes
        data, found, rest = plain[:at], plain[at:end], plain[end:]
        trailer, padding = rest[:trailer_bytes], rest[trailer_bytes:]
        fits = len(trailer) == trailer_bytes and len(padding) <= block_bytes
        if fits and found == checksum(data) and not padding.removeprefix(b"\x80").strip(b"\0"):
            return data + trailer
    return None


_OK: Final = 0x00
_MORE: Final = 0xAF


class LegacyAuthentication(SecureConversation):
    """Each method raises as `authenticate_ev2_first` does, and leaves no session then.

    From here on content travels by the native-chained codes, the only ones these cards know.
    """

    def authenticate_aes(self, key_no: int, by: Authentication) -> None:
        """AES key `key_no`, which `by` holds; EV1 messaging from then on."""
        self.codes = NATIVE_CHAINED_CODES
        cipher = self._authenticate(Method.AES, bytes((key_no,)), by, BLOCK)
        self.session = Ev1Session(key_no, cipher)

    def authenticate_iso(self, key_no: int, key: DesKey, rnd_a: bytes) -> None:
        """DES key `key_no`, EV1 messaging from then on; `rnd_a` as long as `key.random_bytes` says."""
        _check_random(rnd_a, key.random_bytes)
        challenge = self._begin(INS_AUTHENTICATE_ISO, key_no, len(rnd_a))
        rnd_b = key.decrypt(bytes(DES_BLOCK), challenge)
        token = key.encrypt(challenge[-DES_BLOCK:], rnd_a + rotate_left(rnd_b))
        answer = self._finish(INS_AUTHENTICATE_ISO, token, len(rnd_a))
        self._compare(INS_AUTHENTICATE_ISO, key.decrypt(token[-DES_BLOCK:], answer), rnd_a)
        session_key = des_session_key(key, rnd_a, rnd_b)
        self.session = Ev1Session(key_no, Ev1Cipher(session_key, DES_BLOCK), DES_BLOCK)

    def authenticate_d40(self, key_no: int, key: DesKey, rnd_a: bytes) -> None:
        """Single DES or 2K3DES key `key_no`, the first cards' messaging from then on; 8 random bytes."""
        if key.type is not KeyType.DES:
            raise ValueError("the D40 authentication knows DES and 2K3DES keys only")
        _check_random(rnd_a, DES_BLOCK)
        zeros = bytes(DES_BLOCK)
        challenge = self._begin(INS_AUTHENTICATE_D40, key_no, DES_BLOCK)
        rnd_b = key.decrypt(zeros, challenge)
        answer = self._finish(INS_AUTHENTICATE_D40, d40_send(key, rnd_a + rotate_left(rnd_b)), DES_BLOCK)
        self._compare(INS_AUTHENTICATE_D40, key.decrypt(zeros, answer), rnd_a)
        self.session = D40Session(key_no, des_session_key(key, rnd_a, rnd_b))

    def _begin(self, ins: int, key_no: int, expected: int) -> bytes:
        self.session = None
        self.codes = NATIVE_CHAINED_CODES
        return self._sized(ins, self._auth_frame(ins, ins, bytes((key_no,)), _MORE), expected)

    def _finish(self, ins: int, token: bytes, expected: int) -> bytes:
        return self._sized(ins, self._auth_frame(ins, INS_ADDITIONAL_FRAME, token, _OK), expected)

    def _sized(self, ins: int, answer: bytes, expected: int) -> bytes:
        if len(answer) != expected:
            self._fail(
                ProtocolError(f"{command_name(ins)}: {len(answer)} bytes answered, {expected} expected")
            )
        return answer

    def _compare(self, ins: int, returned: bytes, rnd_a: bytes) -> None:
        if not compare_digest(returned, rotate_left(rnd_a)):
            self._fail(IntegrityError(f"{command_name(ins)}: the card does not prove that it has the key"))

    def _fail(self, error: CardError) -> NoReturn:
        self.drop_session()
        raise error


def _check_random(rnd_a: bytes, expected: int) -> None:
    if len(rnd_a) != expected:
        raise ValueError(f"RndA is {expected} random bytes, not {len(rnd_a)}")
