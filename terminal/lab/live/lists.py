"""The lists that terminals of a live run are given: who is denied, who has concessions, who eats at a school."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from cardproto.resident.records.rights import CONCESSION_SLOTS, Concession
from terminal.canteen.asking import ask
from terminal.canteen.documents import ListFile
from terminal.canteen.requests import CloseDay, CorrectAttendance, LoadRoster
from terminal.keys.file import FileKeys
from terminal.keys.provider import person_token
from terminal.lab.live.cards import LiveCard
from terminal.lab.live.crew import STAFF
from terminal.lab.live.plan import LaneKey, LiveTap
from terminal.media.port import PURPOSE
from terminal.policy.deny_list import DenyKind, build_deny_list
from terminal.policy.grants import NO_SLOTS, LocalGrants, build_grants
from terminal.policy.keyed_file import ListIssue
from terminal.policy.policy import Policy
from terminal.scenario.schema import BankCard, Card, Grant, Listed, RosterFacts
from terminal.screen.console.roles import Role
from terminal.trip.facts import FRESH, Freshness, Trip

SAME_AGE: Final = timedelta(hours=1)
"""Lists whose age differs by less are of the same age: no rule counts less than hours."""
ANY_SCHOOL: Final = "school"
ANY_CLASS: Final = "1a"
ROSTER_FILE: Final = "roster.json"


@dataclass(frozen=True, slots=True)
class ListedHolder:
    """One scenario's card: as it lies on the reader, and as its author wrote it."""

    live: LiveCard
    card: Card | None
    bank: BankCard | None
    pupil: RosterFacts | None

    def grants(self) -> Iterator[tuple[bytes, Listed]]:
        """Under what names a list of grants has them."""
        for name, card in ((self.live.pseudonym, self.card), (self.live.token, self.bank)):
            if card is not None and card.listed is not None:
                yield name, card.listed


@dataclass(slots=True)
class IssuedLists:
    """The lists of one lane at one moment: good for as many taps as find the same on them, at the same age."""

    named: tuple[str, ...]
    at: datetime | None = None
    ages: Freshness = FRESH
    denied: dict[int, str] = field(default_factory=dict)

    def hold(self, tap: LiveTap) -> bool:
        """Take in what `tap` needs; False when these lists say otherwise."""
        if not self.named:
            return True
        if self.at is None:
            self.at, self.ages = tap.played.at, tap.trip.freshness
        later, ages = tap.played.at - self.at, tap.trip.freshness
        pairs = {
            "deny": (self.ages.deny_list_age_s, ages.deny_list_age_s),
            "grants": (self.ages.grants_age_s, ages.grants_age_s),
        }
        same_age = all(
            abs(later + timedelta(seconds=issued_s - wanted_s)) < SAME_AGE
            for name, (issued_s, wanted_s) in pairs.items()
            if name in self.named
        )
        return same_age and self.denied.setdefault(tap.scenario, tap.denied) == tap.denied


def lists_needed(taps: Sequence[LiveTap], holders: Mapping[int, ListedHolder]) -> tuple[str, ...]:
    """The keys of [lists] that a lane with these taps needs."""
    known = [holders[tap.scenario] for tap in taps if tap.scenario in holders]
    deny = any(tap.denied != "none" or tap.trip.freshness.deny_list_age_s for tap in taps)
    deny = deny or any(one.bank is not None and one.bank.deny_listed for one in known)
    grants = any(any(one.grants()) for one in known) or any(tap.trip.freshness.grants_age_s for tap in taps)
    return (*(("deny",) if deny else ()), *(("grants",) if grants else ()))


class ListOffice:
    """Writes lists about the holders of one file's cards."""

    def __init__(self, policy: Policy, keys: FileKeys, holders: Mapping[int, ListedHolder]) -> None:
        self.holders = holders
        self._policy = policy
        self._keys = keys
        self._region = policy.document.header.region
        self._issues = 0

    def write(self, folder: Path, lists: IssuedLists) -> None:
        """The files that `lists` name, into `folder`."""
        self._issues += 1
        for name in lists.named:
            assert lists.at is not None, "lists that are named hold at least one tap"
            age_s = lists.ages.deny_list_age_s if name == "deny" else lists.ages.grants_age_s
            issue = ListIssue(self._issues, self._region, lists.at - timedelta(seconds=age_s))
            key = self._keys.list_key(name)
            if name == "deny":
                build_deny_list(folder / name, key, issue, list(self._denied(lists.denied)))
            else:
                build_grants(folder / name, key, issue, list(self._listed()))

    def _denied(self, words: Mapping[int, str]) -> Iterator[tuple[DenyKind, bytes]]:
        for number, word in words.items():
            if word == "card":
                yield DenyKind.CARD, self.holders[number].live.uid
            if word == "person":
                yield DenyKind.PERSON, self.holders[number].live.pseudonym
        for holder in self.holders.values():
            if holder.bank is not None and holder.bank.deny_listed:
                yield DenyKind.BANK_CARD, holder.live.token

    def _listed(self) -> Iterator[tuple[bytes, LocalGrants]]:
        for holder in self.holders.values():
            for name, listed in holder.grants():
                slots = (*map(_concession, listed.concessions), *NO_SLOTS)[:CONCESSION_SLOTS]
                yield name, LocalGrants(listed.issued_on, slots)

    # the canteen's

    def pupil_ref(self, number: int) -> bytes:
        """How a school's roster knows the holder of scenario `number`'s card."""
        return person_token(self._keys, PURPOSE["canteen"], self.holders[number].live.pseudonym)

    def load_roster(
        self, state: Path, key: LaneKey, numbers: Sequence[int], trip: Trip, at: datetime
    ) -> None:
        """Load the roster of the school of `key` with the pupils of these scenarios, of the age it says, at `at`."""
        self._issues += 1
        pupils = [self._pupil(number, at) for number in numbers if self.holders[number].pupil is not None]
        roster = {"header": self._header(key, trip, at), "pupils": pupils}
        ask(state, LoadRoster(ListFile(ROSTER_FILE, msgspec.json.encode(roster))))

    def _header(self, key: LaneKey, trip: Trip, at: datetime) -> dict[str, Any]:
        ages = self._policy.document.ages
        hours = {"fresh": 0, "stale": ages.fresh_h + 1, "expired": ages.stale_h + 1}[key.roster]
        return {
            "kind": "roster",
            "schema": 1,
            "school": key.school or trip.canteen.school or ANY_SCHOOL,
            "region": self._region,
            "sequence": self._issues,
            "issued_at": at - timedelta(hours=hours),
            "valid_from": at - timedelta(days=400),
            "valid_to": at + timedelta(days=400),
            "grades_on": self.day_of(at),
        }

    def _pupil(self, number: int, at: datetime) -> dict[str, Any]:
        pupil = self.holders[number].pupil
        assert pupil is not None, "only pupils stand in a roster"
        placed_at = (at - timedelta(days=7)).astimezone(self._policy.zone).replace(tzinfo=None)
        stated = {
            "hot_minor": pupil.hot_minor,
            "buffet_minor": pupil.buffet_minor,
            "day_limit_minor": pupil.day_limit_minor,
            "buffet_limit_minor": pupil.buffet_limit_minor,
        }
        return {
            "ref": self.pupil_ref(number).hex(),
            "class_id": pupil.class_id or ANY_CLASS,
            "grade": pupil.grade,
            "shift": pupil.shift,
            "home_schooled": pupil.home_schooled,
            "grants": [_roster_grant(grant) for grant in pupil.grants],
            "forbidden": list(pupil.forbidden),
            "orders": [
                {"day": self.day_of(at), "kind": kind, "placed_at": placed_at} for kind in pupil.orders
            ],
            **{name: minor for name, minor in stated.items() if minor is not None},
        }

    def day_of(self, at: datetime) -> date:
        """The service day of `at`."""
        return self._policy.service_date(at.astimezone(self._policy.zone))


def report_absent(state: Path, ref: bytes) -> None:
    """The school says that this pupil is not there today."""
    ask(state, CorrectAttendance(STAFF[Role.DRIVER], absent=(ref,)))


def close_canteen(state: Path) -> None:
    """The canteen closes its day."""
    ask(state, CloseDay(STAFF[Role.DRIVER]))


def _roster_grant(grant: Grant) -> dict[str, Any]:
    days = {"valid_from": grant.valid_from, "valid_to": grant.valid_to, "issued_on": grant.valid_from}
    return {"code": grant.code, **days}


def _concession(grant: Grant) -> Concession:
    parameter = grant.parameter or grant.shift << 4 | grant.grade
    return Concession(grant.code, parameter, grant.valid_from, grant.valid_to)
