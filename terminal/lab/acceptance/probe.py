"""What the application's files do: proofs, records, pending credits, an empty commit."""

from __future__ import annotations

from collections.abc import Callable

from cardproto.desfire.messaging import CommMode, Session
from cardproto.errors import CardError, StatusError, TransmissionError
from cardproto.resident.layout import EVENTS_KEPT, FILE_EVENTS, FILE_PURSE, FILE_RIGHTS, KeyNo
from cardproto.resident.records.event import EVENT_BYTES, build_event
from cardproto.resident.records.rights import build_rights
from terminal.lab.acceptance.assumptions import Assumption
from terminal.lab.acceptance.bench import AcceptanceBench, ListedCard
from terminal.lab.acceptance.issue import content


def probe_proofs(bench: AcceptanceBench) -> None:
    """One kind of file in each transaction, so that a proof that differs says which it is."""
    made = content(bench)
    rights, event = build_rights(made.rights), build_event(made.first_event)

    def money(card: ListedCard) -> None:
        card.debit(FILE_PURSE, 1, CommMode.MAC)
        card.credit(FILE_PURSE, 1, CommMode.MAC)

    _proof(
        bench,
        Assumption.PROOF_OF_BACKUP,
        KeyNo.RELOAD,
        lambda card: card.write_data(FILE_RIGHTS, 0, rights, CommMode.MAC),
    )
    _proof(
        bench,
        Assumption.PROOF_OF_RECORDS,
        KeyNo.VALIDATE,
        lambda card: card.write_record(FILE_EVENTS, 0, event, CommMode.MAC),
    )
    _proof(bench, Assumption.PROOF_OF_VALUES, KeyNo.RELOAD, money)


def _proof(
    bench: AcceptanceBench, assumption: Assumption, key: KeyNo, work: Callable[[ListedCard], None]
) -> None:
    with bench.noting(assumption):
        card = bench.open(key)
        work(card)
        proof = card.commit_transaction(return_mac=True)
        bench.holds(assumption, bench.proven(card, proof))


def probe_card(bench: AcceptanceBench) -> None:
    """What the terminal relies on little or not at all."""
    with bench.noting(Assumption.RECORDS_KEPT):
        _records_kept(bench)
    with bench.noting(Assumption.CREDIT_AHEAD):
        _credit_ahead(bench)
    with bench.noting(Assumption.NO_CHANGES):
        _no_changes(bench)


def _records_kept(bench: AcceptanceBench) -> None:
    event = build_event(content(bench).first_event)
    for _ in range(EVENTS_KEPT + 1):
        card = bench.open(KeyNo.VALIDATE)
        card.write_record(FILE_EVENTS, 0, event, CommMode.MAC)
        card.commit_transaction(return_mac=False)
    records = bench.open(KeyNo.VALIDATE).read_records(FILE_EVENTS, 0, 0, CommMode.MAC, EVENT_BYTES)
    kept = len(records) // EVENT_BYTES
    bench.holds(Assumption.RECORDS_KEPT, kept == EVENTS_KEPT, kept=kept)


def _credit_ahead(bench: AcceptanceBench) -> None:
    purse = bench.purse_minor()
    card = bench.open(KeyNo.RELOAD)
    card.credit(FILE_PURSE, 2, CommMode.MAC)
    card.debit(FILE_PURSE, purse + 1, CommMode.MAC)
    card.abort_transaction()
    bench.holds(Assumption.CREDIT_AHEAD, True)


def _no_changes(bench: AcceptanceBench) -> None:
    """The command counter may have moved with the refused command or not: both are tried."""
    alive, status = 0, ""
    for moved in (0, 1):
        lives, status = _lives_after_empty_commit(bench, moved)
        alive += lives
    bench.holds(Assumption.NO_CHANGES, not alive and status == "910C", status=status)


def _lives_after_empty_commit(bench: AcceptanceBench, moved: int) -> tuple[bool, str]:
    card = bench.open(KeyNo.VALIDATE)
    session = card.session
    try:
        card.commit_transaction(return_mac=False)
    except StatusError as refusal:
        status = f"{refusal.sw:04X}"
        card.session = session  # to see whether the card still has it
        if isinstance(session, Session):
            session.counter += moved
        try:
            card.get_value(FILE_PURSE, CommMode.MAC)
        except TransmissionError:
            raise
        except CardError:
            return False, status
        return True, status
    return False, "9100"
