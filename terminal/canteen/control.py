"""Requests to the till of a running terminal, so that staff can work at other windows while cards are being served.

A running terminal owns its journal, and no other process may write it. It takes requests (`terminal.canteen.requests`)
on a loopback port, does each between two taps, and sends back a typed answer; the command that asked prints it.

Why a port and not a socket file: a socket file has 108 bytes for its path and needs a file system that can hold one, so
the port would be needed beside it. Instead neither side believes the port. The file that names it, readable by its
owner only, holds a token too; each side proves that it knows the token before anything else is said, and the token
itself is never sent. So what took over the port of a terminal that was killed learns neither request nor token.

Once means once. A request has a random id; the terminal remembers what came of recent ones, and the same request again
gets the same answer. A client whose answer was lost asks that terminal once more, with the same id, and otherwise says
that it is not known whether the request was done.

A message is its length (4 bytes, big-endian) and that much MessagePack. The client sends `Hello`, hears `Welcome`, and
sends its proof and a `SentRequest`; at any point it may hear `Failed`, after which the terminal hangs up.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import socketserver
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from terminal.canteen.answers import Failed, Given
from terminal.canteen.requests import AnyRequest, OpenTill, Request, execute
from terminal.canteen.store import CANTEEN_FOLDER
from terminal.decoding import decode_msgpack, decoded
from terminal.errors import ControlError, TerminalError
from terminal.files import replace_file

PROTOCOL: Final = 1
CONTROL_FILE: Final = "counter.json"
LOOPBACK: Final = "127.0.0.1"
MAX_MESSAGE_BYTES: Final = 16 << 20
"""A roster of some thousand pupils with their orders has about nine megabytes."""
MAX_GREETING_BYTES: Final = 256
"""All that is taken from a client which has proved nothing."""
MAX_CLIENTS: Final = 16
REMEMBERED: Final = 256
GREETING_S: Final = 5.0
ANSWER_S: Final = 20.0
"""For a whole request to arrive, and for its answer: the tap being served and other windows come first."""
LINGER_S: Final = 1.0
NONCE_BYTES: Final = 32
_LENGTH_BYTES: Final = 4
_PART_BYTES: Final = 1 << 16
TERMINAL: Final = b"terminal"
COMMAND: Final = b"command"


class ControlAddress(msgspec.Struct, frozen=True):
    """What the control file says."""

    port: int
    token: str

    def proof(self, side: bytes, client: bytes, terminal: bytes) -> bytes:
        """What only who knows the token can say, of these two random numbers."""
        return hmac.digest(self.token.encode(), side + client + terminal, "sha256")


class Hello(msgspec.Struct, frozen=True, tag=True):
    """First from the client. This shape stays in every version of the protocol."""

    protocol: int
    nonce: bytes


class Welcome(msgspec.Struct, frozen=True, tag=True):
    """The terminal's answer to `Hello`, with its proof."""

    nonce: bytes
    proof: bytes


class SentRequest(msgspec.Struct, frozen=True):
    """A request and its id; the same sent again is done once."""

    id: bytes
    request: AnyRequest


class _RequestRefused(Exception):
    """The client is refused; the answer says why."""

    def __init__(self, what: str, advice: str = "Nothing was done.") -> None:
        super().__init__(what)
        self.error = ControlError(what, advice)


class Cut(Exception):
    """The other side left, or was too slow, in the middle of a message."""


class TooLong(Exception):
    """The other side announced a message longer than it may be."""


class FramedSocket:
    """A connection on which whole messages come and go, each within a time and a size."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, content: bytes) -> None:
        """Raises `OSError`, also when the other side does not take it in time."""
        self._connection.settimeout(ANSWER_S)
        self._connection.sendall(len(content).to_bytes(_LENGTH_BYTES, "big") + content)

    def receive(self, most_bytes: int, within_s: float) -> bytes:
        """Raises `Cut`, `TooLong` or `OSError`."""
        deadline_s = time.monotonic() + within_s
        length = int.from_bytes(self._exactly(_LENGTH_BYTES, deadline_s), "big")
        if length > most_bytes:
            raise TooLong
        return self._exactly(length, deadline_s)

    def see_off(self) -> None:
        """Let the other side read the last message: closing over what it still sends would take that away."""
        self._connection.shutdown(socket.SHUT_WR)
        deadline_s = time.monotonic() + LINGER_S
        while self._part(_PART_BYTES, deadline_s):
            pass

    def _exactly(self, count: int, deadline_s: float) -> bytes:
        content = bytearray()
        while len(content) < count:
            part = self._part(min(count - len(content), _PART_BYTES), deadline_s)
            if not part:
                raise Cut
            content += part
        return bytes(content)

    def _part(self, most_bytes: int, deadline_s: float) -> bytes:
        """What has come; empty at the end of the connection or of the time."""
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            return b""
        self._connection.settimeout(left_s)
        try:
            return self._connection.recv(most_bytes)
        except TimeoutError:
            return b""


@contextmanager
def open_control(
    state: Path, till: OpenTill, lock: AbstractContextManager[object], fault: Callable[[str], None]
) -> Iterator[None]:
    """Take requests for `till` until the end of the block; each is done while `lock` is held, as taps are.

    `fault` hears of a request that failed by a mistake of ours, without anything personal. At the end the request being
    done is finished and answered; later ones are refused. Raises `ControlError`.
    """
    counter, path = _RequestServer(till, lock, fault), state / CANTEEN_FOLDER / CONTROL_FILE
    with ExitStack() as stack:
        try:
            server = stack.enter_context(_Server(counter))
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, msgspec.json.encode(server.address))
        except OSError as error:
            what = f"requests of other windows cannot be taken ({error.strerror})"
            raise ControlError(what, f"Check {path.parent} and the loopback interface.") from error
        stack.enter_context(server.answering())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            counter.close()


class _RequestServer:
    """Does one request at a time, each once."""

    def __init__(
        self, till: OpenTill, lock: AbstractContextManager[object], fault: Callable[[str], None]
    ) -> None:
        self._till = till
        self._lock = lock
        self._fault = fault
        self._done: OrderedDict[bytes, bytes] = OrderedDict()
        self._closed = False

    def answer(self, message: bytes) -> bytes:
        """The answer to the request in `message`. Raises `_RequestRefused`."""
        try:
            sent = decoded(_requests, message, MAX_MESSAGE_BYTES)
        except msgspec.DecodeError as error:
            raise _RequestRefused(f"this is no request that the terminal knows ({error})") from None
        key = sha256(message).digest()
        with self._lock:
            if key in self._done:
                return self._done[key]
            if self._closed:
                raise _RequestRefused(
                    "the terminal is stopping", "Nothing was done; ask again when it has stopped."
                )
            answer = self._attempt(sent.request)
            if sent.request.changes:
                self._remember(key, answer)
        return answer

    def close(self) -> None:
        """Wait for the request being done; no other is begun."""
        with self._lock:
            self._closed = True

    def _attempt(self, request: AnyRequest) -> bytes:
        try:
            return msgspec.msgpack.encode(execute(request, self._till))
        except TerminalError as error:
            return _encoded(error)
        except Exception as error:  # noqa: BLE001 a defect must not end the windows; both sides report it
            self._fault(f"{type(request).__name__} failed: {_place(error)}")
            what = f"the terminal failed at this by a mistake of its own ({type(error).__name__})"
            return _encoded(ControlError(what, f"Its log says where. {where_to_look(request)}"))

    def _remember(self, key: bytes, answer: bytes) -> None:
        self._done[key] = answer
        if len(self._done) > REMEMBERED:
            self._done.popitem(last=False)


class _Server(socketserver.ThreadingTCPServer):
    """The port, with a thread for each client; leaving its context waits for these."""

    request_queue_size = 2 * MAX_CLIENTS
    block_on_close = True

    def __init__(self, counter: _RequestServer) -> None:
        super().__init__((LOOPBACK, 0), _Conversation)
        self.counter = counter
        self.address = ControlAddress(self.server_address[1], secrets.token_hex(32))
        self.places = threading.BoundedSemaphore(MAX_CLIENTS)
        self._open: set[socket.socket] = set()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Answer clients until the end of the block; those that are still asking then are cut off."""
        thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="control", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()
            for connection in tuple(self._open):
                with suppress(OSError):  # it has left by itself
                    connection.shutdown(socket.SHUT_RD)

    @contextmanager
    def serving(self, connection: socket.socket) -> Iterator[None]:
        """One of the places for clients. Raises `_RequestRefused` when all are taken."""
        if not self.places.acquire(blocking=False):
            raise _RequestRefused("too many windows ask the terminal at once", "Nothing was done; ask again.")
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)
            self.places.release()


class _Conversation(socketserver.BaseRequestHandler):
    """One client, from its greeting to the answer."""

    server: _Server

    def handle(self) -> None:
        line = FramedSocket(self.request)
        with suppress(OSError):  # a client that has left hears nothing
            line.send(self._answer(line))
            line.see_off()

    def _answer(self, line: FramedSocket) -> bytes:
        try:
            with self.server.serving(self.request):
                self._meet(line)
                return self.server.counter.answer(line.receive(MAX_MESSAGE_BYTES, ANSWER_S))
        except _RequestRefused as refused:
            return _encoded(refused.error)
        except Cut:
            return _encoded(ControlError("no whole request came in time", "Nothing was done."))
        except TooLong:
            return _encoded(ControlError("this message is too long for a request", "Nothing was done."))

    def _meet(self, line: FramedSocket) -> None:
        """Raise `_RequestRefused` unless the client speaks this protocol and knows the token."""
        try:
            hello = decode_msgpack(line.receive(MAX_GREETING_BYTES, GREETING_S), Hello, MAX_GREETING_BYTES)
        except msgspec.DecodeError:
            raise _RequestRefused("this is no request of `terminal canteen`") from None
        if hello.protocol != PROTOCOL:
            raise _RequestRefused(
                f"the running terminal speaks control protocol {PROTOCOL}, this command {hello.protocol}",
                "Nothing was done; use the command of the terminal's own software.",
            )
        nonce, address = secrets.token_bytes(NONCE_BYTES), self.server.address
        proof = address.proof(TERMINAL, hello.nonce, nonce)
        line.send(msgspec.msgpack.encode(Welcome(nonce, proof)))
        proof = line.receive(MAX_GREETING_BYTES, GREETING_S)
        if not hmac.compare_digest(proof, address.proof(COMMAND, hello.nonce, nonce)):
            raise _RequestRefused("this command does not know the running terminal's token")


def _place(error: Exception) -> str:
    """Where it happened; not its text, which may quote a name."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}"


def where_to_look(request: Request[Given]) -> str:
    """What to do when it is not known whether `request` was done."""
    if not request.changes:
        return "Ask again."
    return f"Whether this was done is not known: look at `terminal {request.seen_in}` before you ask again."


def _encoded(error: TerminalError) -> bytes:
    return msgspec.msgpack.encode(Failed.of(error))


_requests: Final = msgspec.msgpack.Decoder(SentRequest)
