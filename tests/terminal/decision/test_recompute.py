"""A recorded tap decided again: the same bytes, or what deviates; and what a record cannot tell is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from cardproto.desfire.commands import (
    INS_READ_DATA,
    INS_READ_DATA_NATIVE,
    INS_READ_RECORDS,
    INS_READ_RECORDS_NATIVE,
)
from cardproto.resident.records.event import build_event
from cardproto.resident.records.rights import build_rights
from terminal.clock import unix_ms
from terminal.codes import Admission
from terminal.decision.decide import decide
from terminal.decision.recompute import (
    CannotRecompute,
    Command,
    RecomputeGap,
    RecordedTap,
    read_of,
    recompute,
)
from terminal.journal.records import Intent, build_record, parse_record
from terminal.policy.deny_list import DenyKind, DenyListFile, build_deny_list
from terminal.policy.grants import GrantTable
from terminal.policy.keyed_file import ListIssue
from terminal.policy.policy import Policy
from terminal.trail import TrailEntry
from terminal.trail import recorded as as_recorded
from terminal.trip.facts import Trip
from terminal.trip.pupil import CanteenContext, Pupil
from terminal.trip.stated import ROW_FIELDS, Fact, stated
from tests.terminal.decision.rider import (
    DEMO,
    PENSIONER,
    SOCIAL_PACK,
    STUDENT,
    Rider,
    demo_with,
    local,
    trip_at,
)

NOW = local("08:00")
ISSUE = ListIssue(1, 34, NOW)
RIDERS = {
    "purse": Rider,
    "student": lambda: Rider(concessions=(STUDENT,)),
    "pensioner": lambda: Rider(concessions=(PENSIONER,)),
    "pack": lambda: Rider(contracts=(SOCIAL_PACK,)),
}


def proof_of(rider: Rider) -> tuple[Command, ...]:
    rights, event = build_rights(rider.snapshot.rights), build_event(rider.snapshot.event)
    return (INS_READ_DATA, b"\x01" + bytes(6), rights), (INS_READ_RECORDS, b"\x02" + bytes(6), event)


def test_what_an_ev1_card_was_read_by_is_known_too() -> None:
    native = {INS_READ_DATA: INS_READ_DATA_NATIVE, INS_READ_RECORDS: INS_READ_RECORDS_NATIVE}
    by_ev2 = proof_of(Rider())
    assert read_of(tuple((native[ins], header, data) for ins, header, data in by_ev2)) == read_of(by_ev2)


def in_fields(trip: Trip) -> Trip:
    """What a row has fields of its own for."""
    return Trip(**{name: getattr(trip, name) for name in ROW_FIELDS})


def recorded(rider: Rider, trip: Trip | None = None, policy: Policy = DEMO) -> RecordedTap:
    """The tap as the journal would hold it, through the record's own bytes."""
    trip = trip or trip_at("bus", 7, rider.sequence, turn=1, route=5)
    decision = decide(rider.snapshot, policy, trip, NOW)
    assert decision.write_plan is not None
    intent = Intent(
        at_ms=unix_ms(NOW),
        card_ref=bytes(8),
        profile=trip.profile,
        shift=trip.shift,
        turn=trip.turn,
        route=trip.route,
        direction=trip.direction,
        message=decision.outcome.message,
        charge_minor=decision.outcome.charge_minor,
        balance_before_minor=rider.snapshot.balance_minor,
        balance_after_minor=decision.write_plan.event.balance_after_minor,
        paid_by=decision.write_plan.event.paid_by,
        tariff=DEMO.tariff,
        reasons=as_recorded(decision.facts),
        prev_terminal=0,
        prev_sequence=0,
        event=build_event(decision.write_plan.event),
        proof=proof_of(rider),
        values=dict(decision.outcome.values),
        trip=stated(trip),
        flags=decision.flags,
        lists=dict(decision.lists),
    )
    read = parse_record(build_record(intent))
    assert isinstance(read, Intent)
    return RecordedTap(
        at=NOW,
        trip=in_fields(trip),
        known=read.trip,
        read=read_of(read.proof),
        event=read.event,
        charge_minor=read.charge_minor,
        message=read.message,
        admission=Admission.LET_IN,
        reasons=read.reasons,
        flags=read.flags,
        lists=read.lists,
    )


@pytest.mark.parametrize("name", RIDERS)
def test_a_tap_follows_from_what_is_recorded_with_it(name: str) -> None:
    assert recompute(recorded(RIDERS[name]()), DEMO) == []


@pytest.mark.parametrize(
    ("clock", "flag"),
    [
        ({"clock_suspect": True, "clock_confirmed": True}, "clock_suspect"),
        ({"clock_authenticated": True}, "period_lowered"),
    ],
)
@pytest.mark.parametrize("ahead", [2, 31])
def test_o_05_what_the_clock_was_is_in_the_row(clock: dict[str, bool], flag: str, ahead: int) -> None:
    rider = RIDERS["student"]()
    rider.event = rider.newest._replace(
        at=NOW - timedelta(days=1), period_ahead=ahead + 1 if ahead < 31 else 31
    )
    tap = recorded(rider, trip_at("bus", 7, rider.sequence, turn=1, route=5, **clock))
    assert (tap.flags, recompute(tap, DEMO)) == ((flag,), [])
    assert tap.known == {name.replace("_", "."): True for name in clock}
    without = {deviation.what for deviation in recompute(structs.replace(tap, known={}), DEMO)}
    assert without >= {"flags", "reasons"}


@pytest.mark.parametrize("at", range(32))
def test_every_byte_of_the_event_is_compared(at: int) -> None:
    tap = recorded(Rider())
    changed = bytearray(tap.event)
    changed[at] ^= 1
    (deviation,) = recompute(structs.replace(tap, event=bytes(changed)), DEMO)
    assert (deviation.what, deviation.recomputed) == ("event", tap.event.hex())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("charge_minor", 2300),
        ("message", "ok_transfer"),
        ("admission", Admission.INSIDE),
        ("lists", {"grants": ""}),
        ("reasons", (TrailEntry("t-01:guessed"),)),
        ("flags", ("capped",)),
    ],
)
def test_charge_message_trail_and_flags_are_compared(field: str, value: object) -> None:
    (deviation,) = recompute(structs.replace(recorded(Rider()), **{field: value}), DEMO)
    assert (deviation.what, deviation.recorded) == (field, value)


def test_another_document_shows_in_event_charge_and_trail() -> None:
    dearer = demo_with(("transport_card = 2400", "transport_card = 2500"))
    found = {deviation.what: deviation.recomputed for deviation in recompute(recorded(Rider()), dearer)}
    assert found.keys() == {"event", "charge_minor", "reasons"}
    assert found["charge_minor"] == 2500


@pytest.mark.parametrize("missing", [0, 1])
def test_a_record_without_the_card_cannot_be_decided_again(missing: int) -> None:
    tap = recorded(Rider())
    with pytest.raises(CannotRecompute, match="is not in the record"):
        recompute(structs.replace(tap, read=tap.read[:missing] + tap.read[missing + 1 :]), DEMO)


def test_a_card_that_is_not_understood_cannot_be_decided_again() -> None:
    tap = recorded(Rider())
    with pytest.raises(CannotRecompute, match="not understood"):
        recompute(structs.replace(tap, read=(b"short", tap.read[1])), DEMO)


def test_a_tap_decided_by_a_roster_needs_the_roster() -> None:
    known = stated(trip_at("canteen", canteen=CanteenContext(pupil=Pupil(b"who"))))
    with pytest.raises(CannotRecompute, match="roster"):
        recompute(structs.replace(recorded(Rider()), known=known), DEMO)


@pytest.mark.parametrize("known", [{"place.moon": 1}, {"place.zone": "north"}, {"zone": 1}])
def test_facts_that_are_not_understood_are_not_passed_over(known: dict[str, Fact]) -> None:
    with pytest.raises(CannotRecompute, match="not understood"):
        recompute(structs.replace(recorded(Rider()), known=known), DEMO)


def test_d_03_the_category_is_not_told_in_the_trail() -> None:
    decision = Rider(concessions=(STUDENT,)).tap(NOW)
    assert any("code" in reason.inputs for reason in decision.facts)
    assert as_recorded(decision.facts) == (
        TrailEntry("t-02:concession", {"price_minor": 2000}),
        TrailEntry("t-12:month_trip", {"used": 0, "of": 50, "counter": 48, "since": "2026-09-01"}),
    )


def test_no_rule_looks_at_the_uid() -> None:
    rider = Rider(concessions=(STUDENT,))
    other = replace(rider.snapshot, uid=b"\x04another")
    trip = trip_at("bus", 7, 1)
    assert decide(other, DEMO, trip, NOW) == decide(rider.snapshot, DEMO, trip, NOW)


def test_grants_of_the_terminals_own_list_are_asked_for() -> None:
    newer = GrantTable([(b"resident", date(2026, 9, 10), (PENSIONER,))])
    policy = structs.replace(DEMO, grants=newer)
    tap = recorded(Rider(), policy=policy)
    assert recompute(tap, policy) == []
    with pytest.raises(CannotRecompute, match="own list of grants"):
        recompute(tap, DEMO)


REFUSED = {
    "no money": (Rider(balance_minor=100), DEMO, "no_funds"),
    "expired": (Rider(valid_to=date(2026, 1, 1)), DEMO, "expired"),
    "blocked": (Rider(blocked=True), DEMO, "blocked"),
    "tapped twice": (Rider().rode(NOW), DEMO, "already_paid"),
}


def unwritten(rider: Rider, trip: Trip | None = None, policy: Policy = DEMO) -> RecordedTap:
    """A tap that wrote nothing as its row holds it."""
    trip = trip or trip_at("bus", 7, rider.sequence, turn=1, route=5)
    decision = decide(rider.snapshot, policy, trip, NOW)
    assert decision.write_plan is None
    return RecordedTap(
        at=NOW,
        trip=in_fields(trip),
        known=stated(trip),
        read=read_of(proof_of(rider)),
        event=b"",
        charge_minor=0,
        message=decision.outcome.message,
        admission=decision.outcome.admission,
        reasons=as_recorded(decision.facts),
        flags=decision.flags,
        lists=decision.lists,
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_wrote_nothing_follows_from_what_is_recorded_with_it(name: str) -> None:
    rider, policy, message = REFUSED[name]
    tap = unwritten(rider, policy=policy)
    assert (tap.message, recompute(tap, policy)) == (message, [])


@pytest.mark.parametrize(
    ("field", "value"),
    [("message", "ok_pass"), ("admission", Admission.LET_IN), ("reasons", ("T-34:guessed",))],
)
def test_a_refusal_that_was_changed_is_noticed(field: str, value: object) -> None:
    (deviation,) = recompute(structs.replace(unwritten(Rider(balance_minor=100)), **{field: value}), DEMO)
    assert (deviation.what, deviation.recorded) == (field, value)


def test_a_ride_recorded_as_a_refusal_is_noticed() -> None:
    tap = structs.replace(unwritten(Rider(balance_minor=100)), read=read_of(proof_of(Rider())))
    assert {"event", "charge_minor", "message"} <= {deviation.what for deviation in recompute(tap, DEMO)}


def test_t_70_an_inspection_is_decided_again() -> None:
    asked = structs.replace(trip_at("bus", 7, 1, inspection=True, misuse=True), route=5, shift=0)
    tap = unwritten(Rider(concessions=(PENSIONER,)).rode(NOW), asked)
    assert ("inspection.misuse" in tap.known, tap.flags) == (True, ("misuse",))
    assert recompute(tap, DEMO) == []


def test_a_refusal_by_the_deny_list_needs_that_list(tmp_path: Path) -> None:
    rider = Rider()
    build_deny_list(tmp_path / "deny", b"key", ISSUE, [(DenyKind.PERSON, b"resident")])
    build_deny_list(tmp_path / "other", b"key", ISSUE, [(DenyKind.PERSON, b"stranger")])
    listed = structs.replace(DEMO, deny_list=DenyListFile(tmp_path / "deny", b"key"))
    tap = unwritten(rider, policy=listed)
    assert recompute(tap, listed) == []
    with pytest.raises(CannotRecompute, match=f"deny list {listed.deny_list.name}, which is not at hand"):
        recompute(tap, DEMO)
    (changed,) = recompute(structs.replace(tap, message="expired"), DEMO)
    assert changed.what == "message"
    other = structs.replace(DEMO, deny_list=DenyListFile(tmp_path / "other", b"key"))
    said = structs.replace(tap, lists={"deny.person": other.deny_list.name})
    assert [deviation.what for deviation in recompute(said, other)] == ["deny.person"]


@pytest.mark.parametrize(
    ("kind", "message"), [(DenyKind.REFERENCE, "blocked"), (DenyKind.MEDIUM, "medium_inactive")]
)
def test_whether_a_row_s_card_is_denied_its_reference_says(
    tmp_path: Path, kind: DenyKind, message: str
) -> None:
    rider, named = replace(Rider(), reference=b"its card"), f"deny.{kind}"
    build_deny_list(tmp_path / "deny", b"key", ISSUE, [(kind, b"its card")])
    listed = structs.replace(DEMO, deny_list=DenyListFile(tmp_path / "deny", b"key"))
    tap = structs.replace(unwritten(rider, policy=listed), reference=b"its card")
    assert (tap.message, set(tap.lists)) == (message, {named})
    assert recompute(tap, listed) == []
    with pytest.raises(CannotRecompute, match="not at hand"):
        recompute(tap, DEMO)
    (changed,) = recompute(structs.replace(tap, message="expired"), listed)
    assert changed.what == "message"
    build_deny_list(tmp_path / "other", b"key", ISSUE, [(kind, b"a card's")])
    other = structs.replace(DEMO, deny_list=DenyListFile(tmp_path / "other", b"key"))
    said = structs.replace(tap, lists={named: other.deny_list.name})
    assert [deviation.what for deviation in recompute(said, other)] == [named]


def test_whether_a_card_is_denied_no_record_can_say_and_all_else_follows(tmp_path: Path) -> None:
    rider = Rider()
    build_deny_list(tmp_path / "deny", b"key", ISSUE, [(DenyKind.CARD, rider.snapshot.uid)])
    listed = structs.replace(DEMO, deny_list=DenyListFile(tmp_path / "deny", b"key"))
    tap = unwritten(rider, policy=listed)
    assert (tap.message, set(tap.lists)) == ("blocked", {"deny.card"})
    for policy in (listed, DEMO):
        with pytest.raises(CannotRecompute, match="for this card, and no record says which") as caught:
            recompute(tap, policy)
        assert caught.value.gap is RecomputeGap.UID
    changed = {deviation.what for deviation in recompute(structs.replace(tap, message="expired"), listed)}
    assert changed == {"message"}
    of_person = structs.replace(tap, lists={"deny.person": listed.deny_list.name})
    assert {deviation.what for deviation in recompute(of_person, listed)} == {"message", "reasons"}
    both = structs.replace(tap, lists={**tap.lists, "deny.person": listed.deny_list.name})
    assert {deviation.what for deviation in recompute(both, listed)} == {"message", "reasons", "lists"}
