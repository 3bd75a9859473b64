"""The acceptance of one card, stage by stage. Read this first.

look      the card is blank, or one that an earlier acceptance left; any other is refused untouched
issue     as the issuing point does; what the chip refuses is left out, and that is a row of the report
probe     proofs of backup files, records and values; records kept; pending credits; an empty commit
taps      the terminal itself, composed as in service, takes fares; the card is torn away at each exchange
roll      to the next key set, and back
restore   to the factory's state, whatever came before
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from msgspec import structs

from cardproto.desfire.application import PICC_AID
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.commands import INS_CHANGE_KEY, command_name
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.messaging import CommMode
from cardproto.errors import (
    CardError,
    ProtocolError,
    ReaderGone,
    ServiceGone,
    StatusError,
    TransmissionError,
)
from cardproto.resident.factory import to_factory_state
from cardproto.resident.features import CardFeature
from cardproto.resident.issuance import CardBefore, FoundCard, empty, look_at
from cardproto.resident.layout import FILE_RIGHTS, KeyNo
from cardproto.resident.records.rights import RIGHTS_BYTES, parse_rights
from terminal.errors import ReaderError
from terminal.lab.acceptance.assumptions import Assumption, CardFallback, CardVerdict
from terminal.lab.acceptance.bench import AcceptanceBench, AcceptanceEnd, came
from terminal.lab.acceptance.issue import PSEUDONYM, issue, look_again, timer_off
from terminal.lab.acceptance.probe import probe_card, probe_proofs
from terminal.lab.acceptance.taps import roll, tap_once, tear_everywhere
from terminal.lab.acceptance.twin import LedTwin
from terminal.lab.world import open_world
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.tap import Terminal
from terminal.trip.shifts import open_shift

TERMINAL_NUMBER: Final = 1
LAST_WAIT_S: Final = 1.0
"""For the card at restoring, where the run ended by an order or because the card did not come back."""
RESTORE_TRIES: Final = 2
GENERATIONS: Final = {0x01: "EV1", 0x12: "EV2", 0x22: "EV2", 0x33: "EV3"}


def accept(bench: AcceptanceBench, region: str, folder: Path, pulls: int) -> None:
    """Run every stage; the rows, how it ended and whether the card was restored are in `bench` afterwards. A card once
    taken is restored, whatever the stages came to.

    Raises `ReaderError` for a card that is not taken.
    """
    try:
        _stages(bench, region, folder, pulls)
    except TransmissionError as error:
        _end(bench, AcceptanceEnd.LEFT, error, bench.wait_s)
    except ReaderError as error:
        if not bench.taken:
            raise
        _end(bench, AcceptanceEnd.LEFT, error, LAST_WAIT_S)
    except KeyboardInterrupt as order:
        _end(bench, AcceptanceEnd.STOPPED, order, LAST_WAIT_S)
    if bench.taken:
        _restore_whatever_came(bench)


def _end(bench: AcceptanceBench, how: AcceptanceEnd, error: BaseException, wait_s: float) -> None:
    bench.ended, bench.cause, bench.wait_s = how, type(error).__name__, min(wait_s, bench.wait_s)


def _stages(bench: AcceptanceBench, region: str, folder: Path, pulls: int) -> None:
    bench.begin("look")
    with bench.noting(Assumption.LOOK):
        look(bench)
    if bench.rows[Assumption.LOOK].verdict is not CardVerdict.HOLDS:
        return
    bench.begin("issue")
    issued = False
    with bench.noting(Assumption.ISSUE):
        issued = issue(bench)
    if issued:
        _try_the_issued(bench, region, folder, pulls)


def _restore_whatever_came(bench: AcceptanceBench) -> None:
    """A second time when the card answered wrongly or left. Nothing of what ended the stages is forgotten."""
    for _ in range(RESTORE_TRIES):
        try:
            restore(bench)
        except (ReaderError, ReaderGone, ServiceGone, KeyboardInterrupt):
            break
        except CardError as error:
            bench.not_restored = came(error)
        else:
            bench.restored = True
            break
    if bench.not_restored and not bench.restored:
        bench.holds(Assumption.WAY_BACK, False, CardFallback.RUN_AGAIN, **bench.not_restored)
    twin = bench.twin
    if twin is not None:
        bench.holds(Assumption.TWIN, not twin.different, **twin.counts)


def _try_the_issued(bench: AcceptanceBench, region: str, folder: Path, pulls: int) -> None:
    bench.begin("probe")
    if bench.proving:
        probe_proofs(bench)
    probe_card(bench)
    document = load_region(region)
    world = open_world(folder, region, Policy.of(document), bench.random)
    station = structs.replace(world.station(TERMINAL_NUMBER, "bus"), proof=not _proof_differs(bench))
    with world.open_terminal(station, bench.clock) as terminal:
        open_shift(terminal.journal, bench.clock.now(), "acceptance", "bus", 0, 0)
        _in_service(bench, terminal, pulls)


def _in_service(bench: AcceptanceBench, terminal: Terminal, pulls: int) -> None:
    bench.begin("tap")
    paid = 0
    with bench.noting(Assumption.TAP):
        paid = tap_once(bench, terminal)
    if not paid:
        return
    bench.begin("tear")
    with bench.noting(Assumption.TEARS):
        tear_everywhere(bench, terminal, pulls)
    if bench.proving and CardFeature.KEY_SETS not in bench.without:
        bench.begin("roll")
        roll(bench, terminal)


def _proof_differs(bench: AcceptanceBench) -> bool:
    """Then the taps that follow are taken as a terminal with `proof = false` takes them."""
    rows = [bench.rows.get(each) for each in (Assumption.PROOF_OF_RECORDS, Assumption.PROOF_OF_VALUES)]
    return any(row is not None and row.verdict is CardVerdict.FAILS for row in rows)


def look(bench: AcceptanceBench) -> None:
    """What card it is; takes off what an earlier acceptance left. Raises `ReaderError` for a card not to be touched."""
    channel = bench.channel()
    uid = channel.read_uid()
    if len(uid) != 7:
        raise ReaderError(
            "this card shows a random UID", "Take one that shows its own: this cannot be undone."
        )
    bench.uid = uid
    card = DesfireCard(channel)
    bench.generation = _generation(card)
    found = look_at(card, bench.keys, bench.random)
    if found.before in (CardBefore.OTHERS, CardBefore.FOREIGN) or found.others:
        raise ReaderError("another system uses this card", "Take an empty one.")
    if found.before is CardBefore.ISSUED and not _left_by_acceptance(bench):
        raise ReaderError(
            "this card is in service and may hold money",
            "Take an empty one. One that is not needed is emptied by `terminal card wipe --issued`.",
        )
    if found.before is CardBefore.INTERRUPTED and not bench.finish:
        raise ReaderError(
            "the issue of this card was interrupted, by an earlier acceptance or at an issuing point",
            "If the card is not needed, add --finish: it is emptied.",
        )
    bench.taken = True
    if found.before is not CardBefore.EMPTY or found.key_type is not KeyType.DES:
        found = _to_the_factory(bench, found)
    if found.key_type is KeyType.DES:
        bench.twin = LedTwin(uid, bench.generation, KeyType.DES)
    bench.holds(Assumption.LOOK, True)


def _generation(card: DesfireCard) -> str:
    try:
        card.select_application(PICC_AID)
        major = card.get_version().hardware.major
    except (StatusError, ProtocolError) as error:
        raise ReaderError(f"this is no DESFire card: {error}", "Take a DESFire EV1, EV2 or EV3.") from error
    if major not in GENERATIONS:
        raise ReaderError(f"hardware {major:02X} is not known", "Take a DESFire EV1, EV2 or EV3.")
    return GENERATIONS[major]


def _left_by_acceptance(bench: AcceptanceBench) -> bool:
    try:
        card = bench.open(KeyNo.VALIDATE)
        raw = card.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, CommMode.MAC)
        return parse_rights(raw).pseudonym == PSEUDONYM
    except TransmissionError:
        raise
    except CardError:  # whatever else it says, it is not known to be ours to empty
        return False


def _to_the_factory(bench: AcceptanceBench, found: FoundCard) -> FoundCard:
    timer_off(bench, found)
    card = DesfireCard(bench.channel())
    if found.before in (CardBefore.ISSUED, CardBefore.INTERRUPTED):
        empty(card, found, bench.random)
    if found.key_type is KeyType.DES:
        return replace(found, before=CardBefore.EMPTY)
    try:
        to_factory_state(card, found.master, bench.random)
    except StatusError as refusal:
        if refusal.command != command_name(INS_CHANGE_KEY):
            raise
        bench.holds(Assumption.WAY_BACK, False, status=f"{refusal.sw:04X}")
        return replace(found, before=CardBefore.EMPTIED)
    return FoundCard(CardBefore.EMPTY, bytes(16), KeyType.DES)


def restore(bench: AcceptanceBench) -> None:
    """As the factory delivers it, or as near to it as the chip allows."""
    bench.say("restore")
    found = look_again(bench)
    if found.before is CardBefore.EMPTY and found.key_type is KeyType.DES:
        return
    if _to_the_factory(bench, found).key_type is KeyType.DES:
        bench.holds(Assumption.WAY_BACK, True)
