"""What one row is worth as evidence: what its card's proof says, and whether its decision comes out again.

Both are the collector's own rules (`terminal.collector.proof`, `terminal.recompute`), asked with what a dossier holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from cardproto.credential.keys import IssuerKeys
from terminal.audit.statement import Worth
from terminal.codes import SetKind
from terminal.collector.proof import Checked, Proof, check_proof, not_stated
from terminal.collector.registry import ProvingCard
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import AnyRecord, Committed, Intent
from terminal.journal.taps import TapId
from terminal.policy.policy import Policy
from terminal.recompute.documents import DocumentFolder
from terminal.recompute.rows import Decided, Verdict, VerdictKind, list_named, verdict_of


class AuditFinding(NamedTuple):
    """One finding: a `Worth`, for an unproven one with its reason; `details` are what differs. `counted_minor` is
    what counts of a tap by its card's word, None where the row's word counts."""

    code: str
    details: tuple[Any, ...] = ()
    counted_minor: int | None = None


def unproven(reason: str) -> AuditFinding:
    """The finding on what cannot be shown."""
    return AuditFinding(f"{Worth.UNPROVEN}:{reason}")


NO_CARD: Final = unproven("no_card")
"""Of the proof: no card took part."""
DECIDED_BY_STAFF: Final = unproven("by_staff")
"""Of the decision: people made it."""
_NOT_ENDED: Final = unproven("not_ended")


class CardsOfBatch:
    """The cards behind the commits of one batch, by row: a registry for the one question that is asked of it."""

    def __init__(self, *, known: bool) -> None:
        """`known`: there is a registry behind them."""
        self.row: TapId = (0, 0)
        self._known = known
        self.issuers = IssuerKeys()
        self._cards: Mapping[TapId, ProvingCard] = {}

    def take(self, cards: Mapping[TapId, ProvingCard]) -> None:
        """The cards of the batch in hand, by the row of the commit."""
        self._cards = cards

    def __bool__(self) -> bool:
        return self._known

    def card(self, card_ref: bytes, tmc: int | None = None) -> ProvingCard | None:  # noqa: ARG002 the row says which
        return self._cards.get(self.row)


class Proofs:
    """Asks what cards say. `cards` knows them as far as the dossier or the service does."""

    def __init__(self, cards: CardsOfBatch) -> None:
        self._cards = cards

    def on(self, tap_id: TapId, intent: Intent, row: TapId, committed: Committed) -> AuditFinding:
        """What the card says of a tap that its terminal states as committed in `row`."""
        self._cards.row = row
        return _found(check_proof(tap_id, intent, committed, self._cards))

    def not_stated(self, tap_id: TapId, intent: Intent) -> AuditFinding:
        """What it says of one that only another row shows."""
        return _found(not_stated(tap_id, intent))

    def not_ended(self) -> AuditFinding:
        """Of one that is not known to have come true."""
        return _NOT_ENDED


def _found(checked: Checked) -> AuditFinding:
    match checked.proof:
        case Proof.PROVEN:
            return AuditFinding(Worth.PROVEN.value)
        case Proof.DIFFERING:
            details = tuple((one.cause.value, dict(one.inputs)) for one in checked.differences)
            return AuditFinding(Worth.DIFFERING.value, details, checked.counted_minor)
        case reason:
            return unproven(reason.value)


class Decisions:
    """Decides again, each row with the document its terminal had put in force before it."""

    def __init__(self, documents: DocumentFolder) -> None:
        self._documents = documents
        self._in_force: dict[int, str] = {}
        self.named: dict[str, bool] = {}
        """The documents that rows of the day were decided with, by hash, and whether they are at hand."""

    def heed(self, row: TapId, record: AnyRecord) -> None:
        """A row that may put a document in force."""
        if isinstance(record, SetActivated) and record.kind == SetKind.REGION:
            self._in_force[row[0]] = record.sha256.hex()

    def on(self, row: TapId, record: Decided) -> AuditFinding:
        """Whether the decision comes out again."""
        document = self._in_force.get(row[0], "")
        policy = self._documents.policy(document, list_named(record))
        if document:
            self.named[document] = isinstance(policy, Policy)
        verdict = policy if isinstance(policy, Verdict) else verdict_of(*row, record, policy)
        match verdict.kind:
            case VerdictKind.RECOMPUTED:
                return AuditFinding(Worth.RECOMPUTED.value)
            case VerdictKind.DIFFERING:
                pairs = ((one.what, one.recorded, one.recomputed) for one in verdict.deviations)
                return AuditFinding(Worth.DIFFERING.value, tuple(_plain(pair) for pair in pairs))
            case VerdictKind.UNPROVEN:
                return unproven(str(verdict.reason.value if verdict.reason else "unknown"))


def _plain(value: object) -> Any:
    """A value of a record as JSON holds it, the same for the same value."""
    return msgspec.to_builtins(value, builtin_types=(), enc_hook=str, str_keys=True)
