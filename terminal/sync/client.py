"""Uploading: the oldest rows first, in signed batches, until the collector has confirmed everything.

Only an acknowledgement that passes every check of `_trusted` moves the mark up to which rows may leave the
terminal: it is signed by the collector this terminal knows, it is about this terminal, and it names a row
this journal has, with the very hash it has there. Anything else changes nothing and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from terminal.clock import Clock, unix_ms
from terminal.codes import SyncFault
from terminal.errors import CollectorContradicts, CollectorError
from terminal.journal.chain import Head
from terminal.journal.checkpoint import Signer, signed_digest
from terminal.journal.database import row_changed
from terminal.journal.journal import Journal
from terminal.journal.reader import Row
from terminal.sync.address import TlsFiles
from terminal.sync.exchange import WAIT, Answer, CollectorLink, LinkCut, LinkTooSlow
from terminal.sync.failures import (
    NOT_A_COLLECTOR,
    is_web_page,
    may_be_size,
    not_the_collectors,
    printable,
    refusal_in,
)
from terminal.sync.pace import BatchSize
from terminal.sync.wire import (
    MAX_BATCH_BYTES,
    MAX_BATCH_RECORDS,
    Ack,
    Batch,
    Malformed,
    Refusal,
    RefusalCode,
    ack_is_genuine,
    build_batch,
    encode,
    greeting_of,
    parse_ack,
)

_HEAD_BYTES: Final = 4_096
_PART_BYTES: Final = 16
"""What a batch has around its rows, and around each of them."""
MOST_HINTS: Final = 8
"""How often one run goes where the collector points. A collector put back from a backup points once; one that points
here and there without end is left."""
WAITING: Final = frozenset({RefusalCode.BUSY, RefusalCode.UNAVAILABLE})
SIZES: Final = frozenset({RefusalCode.TOO_LARGE, RefusalCode.MALFORMED})
"""Refusals that a smaller batch may not meet: of half a request that came too slowly the collector says malformed."""
TAKEN_OUT: Final = (
    "Something on the way takes sealed records out of what is sent: use an https address, or have that mended. "
    "They stay here and are sent again."
)
TIME_WITHIN_S: Final = 60.0
"""An acknowledgement states the time if it came so soon after its batch was sent. Clocks agree within five minutes, so
a minute on the way leaves room; a held-back one is worth nothing."""


class SealedParts(Protocol):
    """What rows have sealed to the back office, until the collector holds it."""

    def sealed_between(self, first: int, last: int) -> tuple[tuple[int, bytes], ...]:
        """Of these rows, the oldest first."""
        ...

    def drop_sealed(self, through: int) -> None:
        """What rows up to this one sealed is held elsewhere: the collector signed for each."""
        ...


class SyncReport(Struct, frozen=True):
    """What one run did. `problem` is None when the collector holds every row the journal held at the end."""

    uploaded: int
    batches: int
    acknowledged_through: int
    unsent: int
    problem: CollectorError | None
    retry_after_s: float | None = None
    """How long the collector asked to be left alone, with the last answer."""


class SyncClient:
    """Uploads one journal to one collector. Used by one thread at a time; taps go on meanwhile."""

    def __init__(
        self,
        journal: Journal,
        link: CollectorLink,
        signer: Signer,
        collector_key: Ed25519PublicKey,
        clock: Clock,
        *,
        batch_records: int = MAX_BATCH_RECORDS,
        begin_with: int | None = None,
        on_time: Callable[[int], None] = lambda _signed_ms: None,
        on_withdrawn: Callable[[tuple[str, ...]], None] = lambda _editions: None,
        sealed: SealedParts | None = None,
    ) -> None:
        """`batch_records` is the most that one batch carries, `begin_with` what passed the line last. `on_time` hears
        of each time the collector signed that cannot be an old one (`_signed_now`), `on_withdrawn` which region
        documents it takes back; `sealed` is what goes along with rows."""
        self._sealed = sealed
        self._journal = journal
        self._link = link
        self._signer = signer
        self._collector_key = collector_key
        self._clock = clock
        self._size = BatchSize(batch_records, begin_with)
        self._resend_after: int | None = None
        self._hints: set[int] = set()
        self._goes_on = False
        """The exchange failed in a way that the next one of this run may not."""
        self._through = journal.acknowledged_through
        """The newest row of this journal that the collector confirmed."""
        self._greeted = False
        self._said_last_words = False
        self._retry_after_s: float | None = None
        self._confirmed_through = 0
        self._on_time = on_time
        self._on_withdrawn = on_withdrawn
        self._sent_through = journal.opened_after
        """The newest row that may have been sent before; an acknowledgement of it may be an old one."""

    @property
    def journal(self) -> Journal:
        return self._journal

    @property
    def batch_rows(self) -> int:
        """How many rows of a batch pass the line, as far as is known."""
        return self._size.passing

    def sync_once(
        self, *, progress: Callable[[int, int], None] | None = None, stop: Callable[[], bool] = lambda: False
    ) -> SyncReport:
        """Upload until nothing is left, something goes wrong, or `stop()`. The first run greets an idle
        collector too.

        `progress(acknowledged_through, head)` is called after each batch. Raises `JournalError` only.
        """
        uploaded = batches = 0
        problem: CollectorError | None = None
        self._through = self._journal.acknowledged_through
        self._retry_after_s = None
        self._hints.clear()
        while not problem and not stop() and (self._unsent() or not self._greeted):
            self._goes_on = False
            try:
                uploaded += self._exchange()
            except CollectorError as error:
                problem = None if self._goes_on else error
            batches += 1
            if progress:
                progress(self._through, self._journal.head.sequence)
        self._journal.settle()
        return SyncReport(
            uploaded,
            batches,
            self._journal.acknowledged_through,
            self._journal.unsent,
            problem,
            self._retry_after_s,
        )

    def use_identity(self, signer: Signer, tls: TlsFiles | None) -> None:
        """Sign batches and checkpoints with `signer` from here on, and show the certificate of `tls` where there is
        one. In the thread that uploads, between two runs."""
        self._signer = signer
        if self._journal.notary is not None:
            self._journal.notary = msgspec.structs.replace(self._journal.notary, signer=signer)
        if tls is not None:
            self._link.use(tls)

    def abort(self) -> None:
        """From any thread: the exchange in progress fails at once, and every later one."""
        self._link.abort()

    def _unsent(self) -> bool:
        return self._journal.head.sequence > self._through or self._resend_after is not None

    def _exchange(self) -> int:
        """Upload one batch and take in its acknowledgement; return how many rows it carried."""
        batch, last_hash = self._next_batch()
        sent_before, self._sent_through = self._sent_through, max(self._sent_through, batch.last)
        sent_s = self._clock.monotonic()
        answer = self._upload(batch)
        took_s = self._clock.monotonic() - sent_s
        self._retry_after_s = answer.retry_after_s
        if answer.status != 200:
            raise self._refused(answer, batch)
        try:
            ack = parse_ack(answer.body)
        except Malformed as error:
            raise _no_acknowledgement(answer, batch, error) from error
        trusted = self._trusted(ack)
        if _signed_now(trusted, batch, sent_before, took_s):
            self._on_time(trusted.at_ms)
        if trusted.withdrawn:
            self._on_withdrawn(trusted.withdrawn)
        self._take(trusted, batch, last_hash)
        self._greeted = True
        self._size.passed(len(batch.bodies))
        return len(batch.bodies)

    def _upload(self, batch: Batch) -> Answer:
        """A batch that took too long is made smaller for the next run, one that was cut off for this run, too."""
        try:
            return self._link.upload(encode(batch))
        except LinkTooSlow:
            self._size.failed(len(batch.bodies))
            raise
        except LinkCut:
            self._goes_on = self._size.failed(len(batch.bodies))
            raise

    def _next_batch(self) -> tuple[Batch, bytes]:
        """The batch and the hash of its last row."""
        journal = self._journal
        after = self._through
        greeting = self._last_words(after)
        if greeting is not None:
            return greeting, greeting.previous_hash
        if self._resend_after is not None:
            after = max(self._resend_after, journal.base.sequence)
        previous_hash = journal.hash_at(after)
        if previous_hash is None:
            raise row_changed(journal.path, after)
        head = journal.head  # taken first: a row may be readable a moment before it is known as the head
        rows = journal.rows(after, min(self._size.rows, head.sequence - after))
        rows = [row for row in rows[: _consecutive(rows)] if row.sequence <= head.sequence]
        rows, parts = self._fitting(rows)
        bodies = tuple(row.body for row in rows)
        # Behind numbers that were passed over a batch begins with the row that says so (T-63).
        previous = Head(rows[0].sequence - 1 if rows else after, previous_hash)
        at_ms = unix_ms(self._clock.now())
        return self._build(previous, bodies, head, at_ms, parts), rows[-1].hash if rows else previous_hash

    def _fitting(self, rows: list[Row]) -> tuple[list[Row], tuple[tuple[int, bytes], ...]]:
        """As many of `rows` as fit into one batch together with what they sealed: of what lies there under their
        numbers, what they state the hash of.
        """
        if self._sealed is None or not rows:
            return rows, ()
        bodies = {row.sequence: row.body for row in rows}
        parts = tuple(
            (row, one)
            for row, one in self._sealed.sealed_between(rows[0].sequence, rows[-1].sequence)
            if sha256(one).digest() in bodies[row]
        )
        size = sum(len(row.body) + _PART_BYTES for row in rows) + sum(
            len(one) + _PART_BYTES for _, one in parts
        )
        if len(rows) > 1 and size > MAX_BATCH_BYTES - _HEAD_BYTES:
            return self._fitting(rows[: len(rows) // 2])
        return rows, parts

    def _last_words(self, after: int) -> Batch | None:
        """The checkpoint of the last clean shutdown, if nothing was sent since and this identity signed it."""
        if self._said_last_words:
            return None
        self._said_last_words = True  # once, whatever comes of it: the next batch covers the same rows
        signed = self._journal.last_signed
        if signed is None or signed.last >= signed.first or signed.first - 1 != after:
            return None
        genuine = self._signer.sign(signed_digest(signed)) == signed.signature
        return greeting_of(signed) if genuine else None

    def _build(
        self,
        previous: Head,
        bodies: tuple[bytes, ...],
        head: Head,
        at_ms: int,
        parts: tuple[tuple[int, bytes], ...] = (),
    ) -> Batch:
        notary = self._journal.notary
        return build_batch(
            self._journal.terminal,
            previous,
            bodies,
            head,
            at_ms,
            self._signer,
            confirmed_through=self._confirmed_through,
            tariff="" if notary is None else notary.tariff,
            deny_list="" if notary is None else notary.deny_list,
            sealed=parts,
        )

    def _confess(self, row: Head, head: Head) -> None:
        """Show the collector that this journal ends before what it confirmed, or has another `row` than it holds.

        It cannot know by itself: a late copy of an old batch looks the same, clocks go wrong, and what was sent so far
        may have been the same.
        """
        at_ms = unix_ms(self._clock.now())
        with suppress(CollectorError):  # the caller reports the worse problem; the next batch confesses again
            self._link.upload(encode(self._build(row, (), head, at_ms)))

    def _take(self, ack: Ack, batch: Batch, last_hash: bytes) -> None:
        journal = self._journal
        through = self._whole_through(journal.standing_for(ack.through), ack, batch)
        if through > self._through:
            at_ms = unix_ms(self._clock.now())
            signed = batch.checkpoint(last_hash) if batch.bodies else None
            own = ack.head_hash if through == ack.through else journal.hash_at(through) or b""
            journal.take_acknowledgement(through, own, at_ms, signed)
            self._through = through
        if self._sealed is not None:
            self._sealed.drop_sealed(through)
        if ack.through < batch.last:
            what = f"the collector confirmed row {ack.through} of {batch.last} sent"
            raise CollectorError(what, WAIT, SyncFault.INCOMPLETE)
        if through < min(batch.last, ack.through):
            what = f"the collector has row {through + 1}, but not what that row sealed to the back office"
            raise CollectorError(what, TAKEN_OUT, SyncFault.INCOMPLETE)
        caught_up = through >= self._through
        self._resend_after = None if caught_up else ack.through

    def _whole_through(self, through: int, ack: Ack, batch: Batch) -> int:
        """The row up to which the collector holds everything: what this batch carried sealed, it names; what rows
        behind the batch sealed, it gets with theirs.
        """
        if self._sealed is None or through <= self._through:
            return through
        carried, named = {row for row, _ in batch.sealed}, set(ack.sealed)
        for row, _ in self._sealed.sealed_between(self._through + 1, through):
            if row not in named and (row in carried or row > batch.last):
                return row - 1
        return through

    def _trusted(self, ack: Ack) -> Ack:
        """Return `ack` when it may be believed; raises `CollectorError` saying why not."""
        journal = self._journal
        if not ack_is_genuine(ack, self._collector_key):
            raise CollectorError(
                "an acknowledgement is not signed by the collector this terminal knows",
                "Check the address and the key.",
                SyncFault.NOT_TRUSTED,
            )
        if ack.terminal != journal.terminal:
            raise CollectorError(
                f"an acknowledgement is for terminal {ack.terminal}",
                "Messages are being replayed: check the network.",
                SyncFault.NOT_TRUSTED,
            )
        head, through = journal.head, journal.standing_for(ack.through)
        self._confirmed_through = max(self._confirmed_through, through)
        if through != ack.through:  # a row that is known to be lost here, and the collector has it
            return ack
        if ack.through > head.sequence:
            self._confess(head, head)
            raise CollectorContradicts(
                f"the collector holds row {ack.through}, this journal ends at row {head.sequence}",
                "This journal is an old or cut copy, or two machines share the number: stop taking taps.",
            )
        own = journal.hash_at(ack.through) if ack.through >= journal.base.sequence else ack.head_hash
        if own != ack.head_hash:
            if own is not None:
                self._confess(Head(ack.through, own), head)
            raise CollectorContradicts(
                f"the collector holds another row {ack.through} than this journal",
                "Two journals were written under one terminal number: keep both and call the operator.",
            )
        return ack

    def _refused(self, answer: Answer, batch: Batch) -> CollectorError:
        """The error for a refusal, after taking its hint: where to go on, or how much to send."""
        refusal, sent = refusal_in(answer), _named(batch)
        if refusal is None:
            smaller = answer.status >= 400 and self._size.failed(len(batch.bodies))
            self._goes_on = smaller and may_be_size(answer)
            return not_the_collectors(answer, sent)
        code = RefusalCode(refusal.error)
        if code in SIZES:
            self._goes_on = self._size.failed(len(batch.bodies))
        return self._hinted(refusal) or _refusal_error(code, printable(refusal.advice), sent)

    def _hinted(self, refusal: Refusal) -> CollectorError | None:
        """Go on where the collector points, once for each such place in a run; the error when that is impossible."""
        wants, base = refusal.wants, self._journal.base.sequence
        if wants is None or wants > self._journal.head.sequence:
            return None
        if wants <= base:
            return CollectorError(
                f"the collector lacks rows {wants} to {base}, which have left this terminal",
                "They can only come from a backup of the collector: call its operator. Later rows wait in the journal.",
                SyncFault.REFUSED,
            )
        self._goes_on = wants not in self._hints and len(self._hints) < MOST_HINTS
        self._hints.add(wants)
        self._resend_after = wants - 1
        return None


def _named(batch: Batch) -> str:
    return f"rows {batch.first} to {batch.last}" if batch.bodies else "this terminal's greeting"


def _refusal_error(code: RefusalCode, advice: str, sent: str) -> CollectorError:
    what = f"the collector refused {sent}: {code}"
    if code is RefusalCode.OTHER_HASH:
        return CollectorContradicts(what, advice, SyncFault.CONTRADICTED)
    return CollectorError(what, advice, SyncFault.BUSY if code in WAITING else SyncFault.REFUSED)


def _no_acknowledgement(answer: Answer, batch: Batch, error: Malformed) -> CollectorError:
    if is_web_page(answer):
        return not_the_collectors(answer, _named(batch))
    return CollectorError(
        f"the collector's answer is no acknowledgement: {printable(str(error))}",
        NOT_A_COLLECTOR,
        SyncFault.NOT_UNDERSTOOD,
    )


def _consecutive(rows: Sequence[Row]) -> int:
    """How many of `rows`, from the first, have consecutive numbers."""
    return next((n for n, row in enumerate(rows) if row.sequence != rows[0].sequence + n), len(rows))


def _signed_now(ack: Ack, batch: Batch, sent_before: int, took_s: float) -> bool:
    """Whether a trusted `ack` was signed just now: it names the batch's last row, which no earlier batch had carried,
    so no earlier acknowledgement can name it; and it did not take long."""
    return ack.through == batch.last > sent_before and took_s <= TIME_WITHIN_S
