"""Asking a running terminal's till from another process; `terminal.canteen.control` says how the two speak."""

from __future__ import annotations

import hmac
import secrets
import socket
from pathlib import Path
from typing import Final, cast

import msgspec

from terminal.canteen.answers import Failed, Given, TillAnswer, parse_answer
from terminal.canteen.control import (
    ANSWER_S,
    COMMAND,
    CONTROL_FILE,
    GREETING_S,
    LOOPBACK,
    MAX_MESSAGE_BYTES,
    NONCE_BYTES,
    PROTOCOL,
    TERMINAL,
    ControlAddress,
    Cut,
    FramedSocket,
    Hello,
    SentRequest,
    TooLong,
    Welcome,
    where_to_look,
)
from terminal.canteen.requests import AnyRequest, Request
from terminal.canteen.store import CANTEEN_FOLDER
from terminal.decoding import SMALL_BYTES, decode_json, decoded, read_within
from terminal.errors import ControlError

MAX_REFUSAL_BYTES: Final = 4096
_STALE: Final = "Start the terminal again; its file of the control port is wrong or left over."


def ask(state: Path, request: Request[Given]) -> Given | None:
    """Have the running terminal in `state` do `request`; None when none takes requests there.

    Raises the `TerminalError` that stands against it, and `ControlError` when the terminal cannot be asked, nothing
    having been done, or when its answer was lost and it is not known whether it was done.
    """
    address = _address(state / CANTEEN_FOLDER / CONTROL_FILE)
    if address is None:
        return None
    message, connection = _message(request), _connected(address)
    if connection is None:
        return None
    with connection:
        try:
            answer = _exchange(connection, address, message)
        except Cut:
            answer = _asked_again(address, message, request)
    if isinstance(answer, Failed):
        raise answer.as_error()
    if not isinstance(answer, request.gives):
        raise _unknown(request)
    return cast(Given, answer)


def _asked_again(address: ControlAddress, message: bytes, request: Request[Given]) -> TillAnswer:
    """The answer to the same message once more: done or not done, by now that terminal knows."""
    connection = _connected(address)
    if connection is None:
        raise _unknown(request)
    with connection:
        try:
            answer = _exchange(connection, address, message)
        except (Cut, ControlError) as error:
            raise _unknown(request) from error
    if isinstance(answer, Failed) and answer.error == ControlError.__name__:
        raise _unknown(request)  # what it says of the second time need not be true of the first
    return answer


def _exchange(connection: socket.socket, address: ControlAddress, message: bytes) -> TillAnswer:
    """Raises `ControlError` while nothing was asked yet, `Cut` when an answer is lacking."""
    line = FramedSocket(connection)
    _introduce(line, address)
    try:
        line.send(message)
        return parse_answer(line.receive(MAX_MESSAGE_BYTES, ANSWER_S))
    except (OSError, TooLong, msgspec.DecodeError) as error:
        raise Cut from error


def _introduce(line: FramedSocket, address: ControlAddress) -> None:
    hello = Hello(PROTOCOL, secrets.token_bytes(NONCE_BYTES))
    try:
        line.send(msgspec.msgpack.encode(hello))
        heard = decoded(_greetings, line.receive(MAX_REFUSAL_BYTES, GREETING_S), MAX_REFUSAL_BYTES)
        if isinstance(heard, Failed):
            raise heard.as_error()
        if not hmac.compare_digest(heard.proof, address.proof(TERMINAL, hello.nonce, heard.nonce)):
            raise ControlError(f"on port {address.port} is not the terminal of this folder", _STALE)
        line.send(address.proof(COMMAND, hello.nonce, heard.nonce))
    except (OSError, Cut, TooLong, msgspec.DecodeError) as error:
        raise ControlError(
            f"what listens on port {address.port} does not answer as a terminal", _STALE
        ) from error


def _connected(address: ControlAddress) -> socket.socket | None:
    """None when nothing listens: the file was left behind by a terminal that was killed."""
    try:
        return socket.create_connection((LOOPBACK, address.port), GREETING_S)
    except OSError:
        return None


def _address(path: Path) -> ControlAddress | None:
    try:
        return decode_json(read_within(path, SMALL_BYTES), ControlAddress)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ControlError(f"{path} does not say where the running terminal listens", _STALE) from error


def _message(request: Request[Given]) -> bytes:
    try:
        message = msgspec.msgpack.encode(SentRequest(secrets.token_bytes(16), cast(AnyRequest, request)))
    except (UnicodeEncodeError, OverflowError) as error:
        raise ControlError(
            "this cannot be sent: a text is no text or a number is too large", "Type it again."
        ) from error
    if len(message) > MAX_MESSAGE_BYTES:
        limit = f"{MAX_MESSAGE_BYTES >> 20} MiB"
        raise ControlError(
            f"this is more than a running terminal takes ({limit})",
            "Nothing was done; stop the terminal for it, or have the list made smaller.",
        )
    return message


def _unknown(request: Request[Given]) -> ControlError:
    return ControlError("the running terminal's answer was lost", where_to_look(request))


_greetings: Final = msgspec.msgpack.Decoder(Welcome | Failed)
