"""Issue, as the issuing point does: what the chip refuses is left out, and that is a row of the report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from cardproto.desfire.administration import CONFIGURE_CAPABILITIES, capabilities
from cardproto.desfire.application import PICC_AID
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.commands import (
    INS_CHANGE_FILE_SETTINGS,
    INS_CHANGE_KEY_EV2,
    INS_COMMIT_TRANSACTION,
    INS_CREATE_APPLICATION,
    INS_FINALIZE_KEY_SET,
    INS_INITIALIZE_KEY_SET,
    command_name,
)
from cardproto.desfire.key_types import KeyType
from cardproto.errors import IntegrityError, StatusError
from cardproto.resident.features import CardFeature
from cardproto.resident.issuance import CardBefore, FoundCard, begin_as_master, empty, look_at
from cardproto.resident.personalise import CardContent, TimerState, personalise
from sim.issuing import content_of
from sim.profile import load_profile
from terminal.lab.acceptance.assumptions import Assumption
from terminal.lab.acceptance.bench import AcceptanceBench, ListedCard

PSEUDONYM: Final = b"\xacCEPTED\0"
"""Of the cards that acceptance issues: by it an earlier run's card is known, and no resident's is ever taken."""
RESIDENT: Final = "adult_purse"
PURSE_MINOR: Final = 1_000_000
"""Enough for a ride at every tear."""
LEFT_OUT: Final = {
    command_name(INS_CREATE_APPLICATION): (Assumption.KEY_SETS, CardFeature.KEY_SETS),
    command_name(INS_INITIALIZE_KEY_SET): (Assumption.KEYS_IN_SETS, CardFeature.KEY_SETS),
    command_name(INS_CHANGE_KEY_EV2): (Assumption.KEYS_IN_SETS, CardFeature.KEY_SETS),
    command_name(INS_FINALIZE_KEY_SET): (Assumption.KEYS_IN_SETS, CardFeature.KEY_SETS),
    command_name(INS_CHANGE_FILE_SETTINGS): (Assumption.ADDITIONAL_RIGHTS, CardFeature.ADDITIONAL_RIGHTS),
    command_name(INS_COMMIT_TRANSACTION): (Assumption.TIMER_LENGTH, CardFeature.TIMER),
}
"""What a refusal of a command says, and what such a card is then issued without."""


def issue(bench: AcceptanceBench) -> bool:
    """Issue the card with all that its chip does; whether that came to an end.

    A refusal counts when it comes twice, and is the fault of what is left out only if leaving it out helps.
    """
    without: frozenset[CardFeature] = frozenset()
    suspects: dict[str, tuple[Assumption, int]] = {}
    before: StatusError | None = None
    while (refused := _issue_once(bench, without)) is not None:
        again = before is not None and before.command == refused.status.command
        before = None if again else refused.status
        if not again:
            continue
        command, sw = refused.status.command, refused.status.sw
        assumption, feature = _left_out(bench, refused)
        if feature is None or feature in without:
            suspects.pop(command, None)
            _blame(bench, suspects)
            bench.holds(Assumption.ISSUE, False, command=command, status=f"{sw:04X}")
            return False
        suspects[command] = assumption, sw
        without |= {feature}
    _blame(bench, suspects)
    _note_what_held(bench, without)
    return True


def _left_out(bench: AcceptanceBench, refused: RefusedIssue) -> tuple[Assumption, CardFeature | None]:
    """What to try without. A commit is refused for a timer only where one was set."""
    found = LEFT_OUT.get(refused.status.command)
    if found is None or not bench.proving or (found[1] is CardFeature.TIMER and not refused.timer_set):
        return Assumption.ISSUE, None
    return found


def _blame(bench: AcceptanceBench, suspects: dict[str, tuple[Assumption, int]]) -> None:
    for assumption, sw in suspects.values():
        bench.holds(assumption, False, status=f"{sw:04X}")


@dataclass(frozen=True, slots=True)
class RefusedIssue:
    """What ended an issue. `timer_set`: the card had taken a transaction timer by then."""

    status: StatusError
    timer_set: bool


class TimedCard(ListedCard):
    """Knows whether a transaction timer was set in this conversation."""

    timer_set = False

    def set_configuration(self, option: int, data: bytes) -> None:
        super().set_configuration(option, data)
        self.timer_set |= option == CONFIGURE_CAPABILITIES


def look_again(bench: AcceptanceBench) -> FoundCard:
    """What is on the card that was taken. Raises `CardError`, also when none of its keys opens it any more."""
    found = look_at(DesfireCard(bench.channel()), bench.keys, bench.random)
    if found.before is CardBefore.FOREIGN:
        raise IntegrityError("none of the card's keys opens it")
    return found


def _issue_once(bench: AcceptanceBench, without: frozenset[CardFeature]) -> RefusedIssue | None:
    """None when the card is issued, else what it refused."""
    found = look_again(bench)
    if found.before is not CardBefore.EMPTY:
        if CardFeature.TIMER in without:
            timer_off(bench, found)
        found = empty(DesfireCard(bench.channel()), found, bench.random)
    card = TimedCard(bench.channel())
    try:
        issued = personalise(
            card, bench.keys, content(bench), bench.random, master=found.master, without=without
        )
    except StatusError as refusal:
        return RefusedIssue(refusal, card.timer_set)
    if issued.timer is not TimerState.ABSENT:
        bench.holds(Assumption.TIMER_FORM, issued.timer is TimerState.SET)
    return None


def timer_off(bench: AcceptanceBench, found: FoundCard) -> None:
    """As the factory delivers it; a chip that takes no timer in our form has none to take back."""
    if bench.generation != "EV3" or found.key_type is not KeyType.AES:
        return
    card = DesfireCard(bench.channel())
    card.select_application(PICC_AID)
    begin_as_master(card, found.master, found.key_type, bench.random)
    try:
        card.set_configuration(CONFIGURE_CAPABILITIES, capabilities(0))
    except StatusError as refusal:
        bench.holds(Assumption.TIMER_FORM, False, status=f"{refusal.sw:04X}")


def _note_what_held(bench: AcceptanceBench, without: frozenset[CardFeature]) -> None:
    bench.holds(Assumption.ISSUE, True)
    if not bench.proving:
        bench.holds(Assumption.EV1_TWO_KEYS, True)
        return
    if CardFeature.KEY_SETS not in without:
        bench.holds(Assumption.KEY_SETS, True)
        bench.holds(Assumption.KEYS_IN_SETS, True)
    if CardFeature.ADDITIONAL_RIGHTS not in without:
        bench.holds(Assumption.ADDITIONAL_RIGHTS, True)
    bench.without = without


def content(bench: AcceptanceBench) -> CardContent:
    """A resident's, under the pseudonym that marks the card as expendable."""
    profile = load_profile(RESIDENT)
    rich = structs.replace(profile, card=structs.replace(profile.card, purse_minor=PURSE_MINOR))
    made = content_of(rich, bench.uid, bench.region, bench.clock.now().date())
    return replace(made, rights=replace(made.rights, pseudonym=PSEUDONYM))
