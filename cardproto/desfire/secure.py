"""The terminal's end of a conversation: select, authenticate by EV2, and one protected command at a time.

Rules held here and nowhere else (datasheet 9):
- whatever kind of session there is protects every command and verifies every answer (`SecureMessaging`);
- any error, from the card or about its answer, ends the session and forgets the pending transaction;
- an answer is used only after its MAC, padding and length have been verified.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Final

from cardproto.desfire.authentication import Authentication, Method, SessionCipher
from cardproto.desfire.channel import DesfireChannel, NativeAnswer
from cardproto.desfire.commands import (
    INS_ADDITIONAL_FRAME,
    INS_SELECT_APPLICATION,
    ISO_CHAINED_CODES,
    ContentCodes,
    command_name,
)
from cardproto.desfire.crypto import BLOCK
from cardproto.desfire.messaging import CommMode, SecureMessaging, Session
from cardproto.desfire.status import raise_status
from cardproto.desfire.transaction_mac import DataCommand
from cardproto.errors import CardError, NotAuthenticated, ProtocolError

AID_BYTES: Final = 3
_OK: Final = 0x00
_MORE: Final = 0xAF
_FIRST_PROOF_BYTES: Final = 32


class SecureConversation:
    """Session and protected exchange over one channel; the commands themselves are in the subclasses.

    `session` is None until authenticated and again after any error. `codes` are the codes content travels by; an
    authentication of the old kinds (`LegacyAuthentication`) changes them for good. `data_commands` are those of
    the running transaction as the transaction MAC counts them; the list is *replaced*, never emptied, when the
    transaction ends, so a caller may keep it.
    """

    def __init__(self, channel: DesfireChannel) -> None:
        self.channel = channel
        self.session: SecureMessaging | None = None
        self.codes: ContentCodes = ISO_CHAINED_CODES
        self.data_commands: list[DataCommand] = []

    def select_application(self, aid: bytes) -> None:
        """Select by AID, most significant byte first (it travels reversed); ends session and transaction.

        Raises `StatusError`: 91A0 when there is no such application, a word outside 91xx when no DESFire.
        """
        if len(aid) != AID_BYTES:
            raise ValueError(f"an AID is {AID_BYTES} bytes, not {len(aid)}")
        self.drop_session()
        status, answer = self.channel.native(INS_SELECT_APPLICATION, aid[::-1])
        if status != _OK:
            raise_status(INS_SELECT_APPLICATION, status)
        if answer:
            raise ProtocolError(f"SelectApplication: {len(answer)} bytes in an answer that has none")

    def authenticate_ev2_first(self, key_no: int, by: Authentication, capabilities: bytes = b"") -> None:
        """Begin a session with AES key `key_no`, which `by` holds.

        `capabilities` (PCDcap2, at most 6 bytes) states this terminal's capabilities; none by default.

        Raises `StatusError` (AE: not this key, 40: no such key), `IntegrityError` when the card does not
        prove that it has the key, `ProtocolError` for LRP, which is refused, and what `by` raises.
        """
        parameters = bytes((key_no, len(capabilities))) + capabilities
        cipher = self._authenticate(Method.EV2_FIRST, parameters, by, _FIRST_PROOF_BYTES)
        self.session = Session(key_no, cipher.ti, 0, cipher)

    def authenticate_ev2_non_first(self, key_no: int, by: Authentication) -> None:
        """Change the key inside a session: new session keys, same transaction, identifier and counter."""
        before = self.session
        if not isinstance(before, Session):
            raise NotAuthenticated("AuthenticateEV2NonFirst needs a session; use AuthenticateEV2First")
        cipher = self._authenticate(Method.EV2_NON_FIRST, bytes((key_no,)), by, BLOCK)
        self.session = Session(key_no, before.ti, before.counter, cipher)

    def drop_session(self) -> None:
        """Forget session and running transaction on this side, as the card has done or will do on its own."""
        self.session = None
        self.data_commands = []

    def execute(
        self,
        ins: int,
        header: bytes = b"",
        data: bytes = b"",
        mode: CommMode | None = None,
        answer_bytes: int | None = 0,
        also_accept: int = _OK,
    ) -> bytes:
        """One command and its verified plain answer of exactly `answer_bytes` (None: any length).

        `also_accept` is a second status that means success (Read_Sig has one).

        `mode` None is the rule for management commands: the session's MAC, plain without one. MAC or Full without
        a session raise `NotAuthenticated` before anything is sent. Every other error ends the session here.
        """
        session = self.session
        if session is None and mode:
            raise NotAuthenticated(f"{command_name(ins)} needs an authenticated session")
        try:
            if session is None:
                plain = self._send(ins, header + data, also_accept).data
            else:
                message = session.protect(ins, header, data, mode)
                status, answer = self._send(ins, message, also_accept)
                plain = session.accept(ins, status, answer, mode, answer_bytes)
            if answer_bytes is not None and len(plain) != answer_bytes:
                raise ProtocolError(
                    f"{command_name(ins)}: {len(plain)} bytes answered, {answer_bytes} expected"
                )
        except CardError:
            self.drop_session()
            raise
        return plain

    def execute_enciphered(self, ins: int, header: bytes, data: bytes, trailer: bytes) -> None:
        """An enciphered command with something behind its data and checksum, and an answer without data."""
        session = self.session
        if session is None:
            raise NotAuthenticated(f"{command_name(ins)} needs an authenticated session")
        try:
            status, answer = self._send(ins, session.protect(ins, header, data, CommMode.FULL, trailer), _OK)
            if session.accept(ins, status, answer, CommMode.FULL, 0):
                raise ProtocolError(f"{command_name(ins)}: data in an answer that has none")
        except CardError:
            self.drop_session()
            raise

    def execute_frames(self, ins: int) -> tuple[bytes, ...]:
        """A command without parameters whose answer means something frame by frame."""
        session = self.session
        try:
            message = b"" if session is None else session.protect(ins, b"", b"", None)
            status, frames = self.channel.frames(ins, message)
            if status != _OK:
                raise_status(ins, status)
            joined = b"".join(frames)
            plain = joined if session is None else session.accept(ins, status, joined, None, None)
        except CardError:
            self.drop_session()
            raise
        ends = list(accumulate(map(len, frames), initial=0))
        return tuple(plain[start:end] for start, end in pairwise(ends) if plain[start:end])

    def execute_last(self, ins: int, header: bytes, data: bytes) -> None:
        """An enciphered command with which the card ends the session: its answer is bare, without a MAC."""
        self.execute_ending(ins, header, data, CommMode.FULL)

    def execute_ending(
        self, ins: int, header: bytes, data: bytes = b"", mode: CommMode | None = None
    ) -> None:
        """Any command with which the card ends the session, answering bare."""
        session = self.session
        if session is None:
            raise NotAuthenticated(f"{command_name(ins)} needs an authenticated session")
        try:
            answer = self._send(ins, session.protect(ins, header, data, mode), _OK).data
        finally:
            self.drop_session()
        if answer:
            raise ProtocolError(f"{command_name(ins)}: {len(answer)} bytes in an answer that has none")

    def _send(self, ins: int, message: bytes, also_accept: int) -> NativeAnswer:
        answer = self.channel.native(ins, message)
        if answer.status not in (_OK, also_accept):
            raise_status(ins, answer.status)
        return answer

    def _authenticate(
        self, method: Method, parameters: bytes, by: Authentication, proof_bytes: int
    ) -> SessionCipher:
        """The two messages of any authentication with an AES key; without success there is no session."""
        self.session = None
        try:
            challenge = self._auth_frame(method, method, parameters, _MORE)
            wanted = f", {BLOCK} expected" if method is Method.AES else "; LRP is not accepted"
            _require_length(method, challenge, BLOCK, wanted)
            proof = self._auth_frame(method, INS_ADDITIONAL_FRAME, by.auth1(method, challenge), _OK)
            _require_length(method, proof, proof_bytes, f", {proof_bytes} expected")
            return by.auth2(proof)
        except BaseException:  # what the holder of the key raises ends the conversation, too
            self.drop_session()
            raise

    def _auth_frame(self, named: int, ins: int, data: bytes, expected: int) -> bytes:
        try:
            status, answer = self.channel.frame(ins, data)
            if status not in (_OK, _MORE):
                raise_status(named, status)
            if status != expected:
                raise ProtocolError(
                    f"{command_name(named)}: status {status:02X} where {expected:02X} belongs"
                )
        except CardError:
            self.drop_session()
            raise
        return answer


def _require_length(ins: int, answer: bytes, expected: int, wanted: str) -> None:
    if len(answer) != expected:
        raise ProtocolError(f"{command_name(ins)}: {len(answer)} bytes answered{wanted}")
