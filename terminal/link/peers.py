"""The link itself: one thread, one UDP socket, the configured peers. Nothing here waits for a tap, or makes one wait.

Each terminal says its marks to each peer, at once and every two seconds what the peer does not have yet, and how far
it has the peer's: what was lost, or said while the other was away, is said again. A peer that is dead or unreachable
costs a small datagram every two seconds.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from terminal.clock import Clock, unix_ms
from terminal.decoding import decode_msgpack, read_within
from terminal.files import replace_file
from terminal.link.frames import (
    MOST_BYTES,
    MOST_IN_ONE,
    KeysRenewed,
    LinkFrame,
    LinkRefusal,
    MarksSent,
    follows,
    parse_frame,
    parse_message,
    seal,
    signed_by,
)
from terminal.link.marks import AHEAD_S, KEPT_S, MOST_MARKS, LinkMark, MarkBook
from terminal.sync.enrolment import RenewalRequest

EVERY_S: Final = 2.0
LOOK_S: Final = 0.1
"""How soon a row becomes a mark."""
KEPT_FILE: Final = "marks.bin"
KEEP_EVERY_S: Final = 30.0
KEPT_BYTES: Final = 16 << 20
AHEAD_MS: Final = 60_000
"""After a restart numbers begin so far beyond what was kept, which may be half a minute old."""
RENEWALS_EVERY_S: Final = 60.0
MOST_A_SECOND: Final = 60
"""Datagrams of one peer that are verified in a second; one of ours sends a few."""
AT_ONCE: Final = 8
"""Datagrams to one peer in one round, for one that comes back with a whole day missing."""


class LinkPeer(Struct):
    """Another terminal: where it listens, and the raw public keys that may sign for it."""

    terminal: int
    address: tuple[str, int]
    keys: tuple[bytes, ...]
    has: int = 0
    """How far it said to have our marks."""
    through: int = 0
    """How far we have its marks."""
    number: int = 0
    """Of its newest datagram."""
    heard_at_ms: int | None = None
    second: int = 0
    in_second: int = 0


class _KeptPeer(msgspec.Struct, frozen=True, array_like=True):
    through: int
    number: int
    keys: tuple[bytes, ...]
    marks: tuple[LinkMark, ...]


class _KeptMarks(msgspec.Struct, frozen=True, array_like=True):
    """What outlasts a restart: our own number, and what each peer said."""

    number: int
    peers: dict[int, _KeptPeer]


class OwnMarks(Struct):
    """This terminal's marks, oldest first. `follow` gives what is new since it was asked last, `head` the journal row
    that this reached to.
    """

    follow: Callable[[], Iterable[LinkMark]]
    head: Callable[[], int]
    marks: deque[LinkMark] = field(default_factory=lambda: deque(maxlen=MOST_MARKS))


class PeerLinks:
    """Says this terminal's marks to its peers and keeps theirs in `book`, in a thread of its own."""

    def __init__(
        self,
        terminal: int,
        listener: socket.socket,
        peers: Iterable[LinkPeer],
        own: OwnMarks,
        folder: Path,
        clock: Clock,
        sign: Callable[[bytes], bytes],
        renewals: Callable[[], tuple[RenewalRequest, ...]] = tuple,
    ) -> None:
        """`listener` is a bound UDP socket, which the link closes."""
        self.terminal = terminal
        self.peers = {peer.terminal: peer for peer in peers}
        self.book = MarkBook()
        self.refused: Counter[LinkRefusal] = Counter()
        self._own, self._clock, self._sign, self._renewals = own, clock, sign, renewals
        self._path = folder / KEPT_FILE
        self._socket = listener
        self._number = 0
        self._changed = False
        self._due = False
        """Something was heard that a peer waits for an answer to."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._restore()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, with what was heard on disk."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)
        self._socket.close()
        self._keep()

    def waiting(self, peer: LinkPeer) -> int:
        """How many of our marks the peer does not have. Any thread."""
        return sum(mark.number > peer.has for mark in tuple(self._own.marks))

    # the thread

    def _run(self) -> None:
        self._socket.settimeout(LOOK_S)
        said = kept = renewed = -1e9
        while not self._stop.is_set():
            self._hear()
            news = self._look() or self._due
            self._due = False
            now = time.monotonic()
            if news or now - said >= EVERY_S:
                said = now
                for peer in self.peers.values():
                    self._say(peer)
            if now - renewed >= RENEWALS_EVERY_S:
                renewed = now
                self._say_renewals()
            if now - kept >= KEEP_EVERY_S:
                kept = now
                self.book.drop_before(self._now_s() - KEPT_S)
                self._keep()

    def _look(self) -> bool:
        """Whether there are new marks of our own. A journal that cannot be read makes none; taps say so."""
        new = tuple(self._own.follow())
        self._own.marks.extend(new)
        oldest = self._now_s() - KEPT_S
        while self._own.marks and self._own.marks[0].at_s < oldest:
            self._own.marks.popleft()
        return bool(new)

    def _hear(self) -> None:
        """Every datagram that waits, the first with patience; verified within limits."""
        for _ in range(MOST_A_SECOND):
            try:
                datagram, source = self._socket.recvfrom(MOST_BYTES + 1)
            except OSError:  # none came in time; or a peer's machine says that nothing listens there
                return
            refusal = self._take(datagram, source[0])
            if refusal is not None:
                self.refused[refusal] += 1

    def _take(self, datagram: bytes, source: str) -> LinkRefusal | None:
        """Why a datagram is not taken, or None."""
        found = self._sender_of(datagram, source)
        if isinstance(found, LinkRefusal):
            return found
        peer, frame = found
        message = parse_message(frame.content)
        if isinstance(message, LinkRefusal):
            return message
        if isinstance(message, KeysRenewed):
            return self._renew(peer, message.renewal)
        if not signed_by(frame, peer.keys):
            return LinkRefusal.FORGED
        if frame.number <= peer.number:
            return LinkRefusal.REPLAYED
        had, peer.has = peer.has, message.through
        peer.number, peer.heard_at_ms = frame.number, unix_ms(self._clock.now())
        self._take_marks(peer, message, had)
        return None

    def _sender_of(self, datagram: bytes, source: str) -> tuple[LinkPeer, LinkFrame] | LinkRefusal:
        """What costs next to nothing to find out comes first."""
        source = _plain(source)
        if source not in {_plain(peer.address[0]) for peer in self.peers.values()}:
            return LinkRefusal.FOREIGN
        frame = parse_frame(datagram)
        if isinstance(frame, LinkRefusal):
            return frame
        peer = self.peers.get(frame.sender)
        if peer is None or _plain(peer.address[0]) != source or frame.receiver != self.terminal:
            return LinkRefusal.FOREIGN
        return (peer, frame) if self._within_limits(peer) else LinkRefusal.FLOOD

    def _within_limits(self, peer: LinkPeer) -> bool:
        second = int(time.monotonic())
        if second != peer.second:
            peer.second, peer.in_second = second, 0
        peer.in_second += 1
        return peer.in_second <= MOST_A_SECOND

    def _renew(self, peer: LinkPeer, renewal: RenewalRequest) -> LinkRefusal | None:
        new = bytes.fromhex(renewal.keys.signing)
        if new in peer.keys:
            return None
        if not follows(renewal, peer.terminal, peer.keys):
            return LinkRefusal.FORGED
        peer.keys = (new, bytes.fromhex(renewal.known))
        self._changed = True
        return None

    def _take_marks(self, peer: LinkPeer, said: MarksSent, had: int) -> None:
        now_s = self._now_s()
        for mark in said.marks:
            refusal = None
            if mark.at_s < now_s - KEPT_S:
                refusal = LinkRefusal.OLD
            elif mark.at_s > now_s + AHEAD_S:
                refusal = LinkRefusal.AHEAD
            elif not self.book.take(peer.terminal, mark):
                refusal = LinkRefusal.FULL
            if refusal is not None:
                self.refused[refusal] += 1
            self._changed = True
        self._due |= bool(said.marks) or (peer.has > had and self.waiting(peer) > 0)
        if said.after <= peer.through:
            peer.through = max(peer.through, said.until)

    # saying

    def _say(self, peer: LinkPeer) -> None:
        for message in self._missing(peer):
            self._send(peer, message)

    def _missing(self, peer: LinkPeer) -> Iterator[MarksSent]:
        """What the peer does not have, in pieces; an empty one says that we live, and how far we have its marks."""
        after, head = peer.has, self._own.head()
        waiting = [mark for mark in self._own.marks if mark.number > after]
        begin = 0
        for _ in range(AT_ONCE):
            ends = _piece_ends(waiting, begin)
            piece = tuple(waiting[begin:ends])
            until = max(head if ends == len(waiting) else piece[-1].number, after)
            yield MarksSent(after, until, peer.through, piece)
            after, begin = until, ends
            if ends == len(waiting):
                return

    def _say_renewals(self) -> None:
        for renewal in self._renewals()[-4:]:
            for peer in self.peers.values():
                self._send(peer, KeysRenewed(renewal))

    def _send(self, peer: LinkPeer, message: MarksSent | KeysRenewed) -> None:
        self._number = max(self._number + 1, unix_ms(self._clock.now()))
        with suppress(OSError):  # no network, no such host: it is said again
            self._socket.sendto(
                seal(self.terminal, peer.terminal, self._number, message, self._sign), peer.address
            )

    # what outlasts a restart

    def _keep(self) -> None:
        if not self._changed:
            return
        self._changed = False
        peers = {
            number: _KeptPeer(peer.through, peer.number, peer.keys, self.book.marks_of(number))
            for number, peer in self.peers.items()
        }
        with suppress(OSError):  # a full disk: the peers say it again
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, msgspec.msgpack.encode(_KeptMarks(self._number, peers)))

    def _restore(self) -> None:
        """What is damaged or not there is asked for again."""
        self._number = unix_ms(self._clock.now())
        try:
            kept = decode_msgpack(read_within(self._path, KEPT_BYTES), _KeptMarks, KEPT_BYTES)
        except (OSError, msgspec.DecodeError):
            return
        self._number = max(self._number, kept.number + AHEAD_MS)
        for number, known in kept.peers.items():
            peer = self.peers.get(number)
            if peer is None:
                continue
            peer.through, peer.number = known.through, known.number
            if set(peer.keys) & set(known.keys):  # else its key was set anew by hand
                peer.keys = tuple(dict.fromkeys((*known.keys, *peer.keys)))
            for mark in known.marks:
                self.book.take(number, mark)

    def _now_s(self) -> int:
        return unix_ms(self._clock.now()) // 1000


def _piece_ends(waiting: list[LinkMark], begin: int) -> int:
    """Where the piece from `begin` ends: the marks of one row stay together, so that its number says what arrived."""
    ends = min(begin + MOST_IN_ONE, len(waiting))
    while begin + 1 < ends < len(waiting) and waiting[ends - 1].number == waiting[ends].number:
        ends -= 1
    return ends


def _plain(host: str) -> str:
    """An address without the interface it was heard on."""
    return host.partition("%")[0]
