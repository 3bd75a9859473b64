"""The signed grant at the tap: verified never, once or always, for one more exchange; a refusal is an outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cardproto.credential.cose import parse_sign1
from cardproto.credential.grant import build_credential, credential_digest, parse_claims
from cardproto.credential.keys import IssuerKeys
from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode
from cardproto.resident.layout import AID, CREDENTIAL_BYTES, FILE_CREDENTIAL, PASS_TAP, KeyNo
from cardproto.resident.records.rights import Concession, Rights
from sim.card.virtual import VirtualCard
from sim.issuing import ReloadPoint
from sim.lab_issuer import lab_credential, lab_issuer_key, lab_issuers
from sim.lab_keys import load_lab_keys
from terminal.errors import KeyFileError
from terminal.journal.records import Unwritten, parse_record
from terminal.journal.taps import End
from terminal.keys.file import load_issuers
from terminal.lab.town import Town
from terminal.media.resident.credential import CredentialCheck, VerifyCredential
from terminal.tap_report import TapReport
from terminal.trip.build import InspectionRound
from terminal.trip.shifts import close_shift
from tests.flows.conftest import FRONT, OpenTown, resident_of
from tests.sim.bench import SERVICE_DAY

REGION = 34
WHO = "free_pensioner"
ALWAYS, UNSEEN, NEVER = VerifyCredential.ALWAYS, VerifyCredential.WHEN_UNSEEN, VerifyCredential.NEVER


def card_of(town: Town, who: str = WHO) -> VirtualCard:
    card = town.cards[who]
    assert isinstance(card, VirtualCard)
    return card


def tap(town: Town, who: str = WHO) -> TapReport:
    town.clock.advance(3 * 3600)
    return town.tap(FRONT.number, who).report


def trust(town: Town, policy: VerifyCredential, issuers: IssuerKeys | None = None) -> None:
    trusted = lab_issuers(REGION) if issuers is None else issuers
    resident_of(town.terminals[FRONT.number]).credentials = CredentialCheck(policy, trusted)


def change_rights(town: Town, change: Callable[[Rights], Rights], who: str = WHO) -> Rights:
    """With a stolen reload point's key: the card itself allows it."""
    card = card_of(town, who)
    card.power_on()
    point = ReloadPoint(card, load_lab_keys().for_card(card.uid, REGION), bytes, SERVICE_DAY)
    return point.set_rights(change, town.clock.now())


def write_credential(town: Town, content: bytes, who: str = WHO) -> None:
    """With a stolen entitlement issuing point's key."""
    card = card_of(town, who)
    card.power_on()
    conversation = DesfireCard(DesfireChannel(card))
    conversation.select_application(AID)
    key = AesKey(load_lab_keys().for_card(card.uid, REGION).entitle)
    conversation.authenticate_ev2_first(KeyNo.ENTITLE, AesAuthentication(key, bytes(16)))
    padded = content.ljust(CREDENTIAL_BYTES, b"\0")
    conversation.write_data(FILE_CREDENTIAL, 0, padded, CommMode.FULL)
    conversation.commit_transaction(return_mac=True)
    card.power_on()


@pytest.mark.parametrize(("policy", "extra"), [(NEVER, [0, 0, 0]), (UNSEEN, [1, 0, 0]), (ALWAYS, [1, 1, 1])])
def test_each_policy_costs_what_it_says(
    town_of: OpenTown, policy: VerifyCredential, extra: list[int]
) -> None:
    with town_of(WHO, stops=(FRONT,)) as town:
        trust(town, policy)
        taps = [tap(town) for _ in range(3)]
        assert [report.end for report in taps] == [End.COMMITTED] * 3
        assert [report.exchanges - PASS_TAP.exchanges for report in taps] == extra


def test_a_card_without_concessions_needs_no_credential(town_of: OpenTown) -> None:
    with town_of("month_pass", stops=(FRONT,)) as town:
        trust(town, ALWAYS, IssuerKeys())
        report = tap(town, "month_pass")
        assert (report.end, report.exchanges) == (End.COMMITTED, PASS_TAP.exchanges)


def refused_as(town: Town, reason: str, message: str = "credential_not_trusted") -> None:
    before = card_of(town).image()
    report = tap(town)
    assert (report.end, report.outcome.message) == (End.NOTHING_WRITTEN, message)
    assert [step.code for step in report.reasons] == [f"credential:{reason}"]
    assert card_of(town).image() == before
    records = [parse_record(row.body) for row in town.terminals[FRONT.number].journal.rows()]
    assert isinstance(records[-1], Unwritten)
    assert [step.code for step in records[-1].reasons] == [f"credential:{reason}"]


def test_a_credential_forged_with_a_stolen_reload_key_is_refused(town_of: OpenTown) -> None:
    """The thief has K2 and gives another category; the issuer never signed it. Without verification it would ride."""
    with town_of(WHO, stops=(FRONT,)) as town:
        trust(town, UNSEEN)
        assert tap(town).end is End.COMMITTED
        long = Concession(9, 0, date(2026, 1, 1), date(2040, 1, 1))
        change_rights(town, lambda rights: replace(rights, concessions=(*rights.concessions[:2], long)))
        refused_as(town, "not_granted")


def test_a_concession_made_longer_is_refused(town_of: OpenTown) -> None:
    with town_of(WHO, stops=(FRONT,)) as town:
        trust(town, ALWAYS)

        def longer(rights: Rights) -> Rights:
            first, *others = rights.concessions
            assert first is not None
            return replace(
                rights,
                concessions=(replace(first, valid_to=first.valid_to + timedelta(days=1)), *others),
            )

        change_rights(town, longer)
        refused_as(town, "not_granted")


def test_a_credential_signed_with_another_key_is_refused(town_of: OpenTown) -> None:
    with town_of(WHO, stops=(FRONT,)) as town:
        trust(town, ALWAYS)
        rights = change_rights(town, lambda rights: rights)
        genuine = parse_sign1(lab_credential(card_of(town).uid, rights, date(2026, 9, 15)))
        assert genuine.payload is not None
        forged = build_credential(parse_claims(genuine.payload), ec.generate_private_key(ec.SECP256R1()))
        write_credential(town, forged)
        refused_as(town, "other_digest")
        change_rights(town, lambda rights: replace(rights, credential_digest=credential_digest(forged)))
        refused_as(town, "unknown_issuer")


def test_another_residents_credential_is_refused(town_of: OpenTown) -> None:
    with town_of(WHO, "social_pack_45", stops=(FRONT,)) as town:
        trust(town, ALWAYS)
        other = card_of(town, "social_pack_45")
        rights = change_rights(town, lambda rights: rights)
        copied = lab_credential(other.uid, rights, date(2026, 9, 15))
        write_credential(town, copied)
        change_rights(town, lambda rights: replace(rights, credential_digest=credential_digest(copied)))
        refused_as(town, "other_card")
        renamed = lab_credential(card_of(town).uid, replace(rights, pseudonym=bytes(8)), date(2026, 9, 15))
        write_credential(town, renamed)
        change_rights(town, lambda rights: replace(rights, credential_digest=credential_digest(renamed)))
        refused_as(town, "other_resident")


def test_no_credential_or_rubbish_is_refused(town_of: OpenTown) -> None:
    with town_of(WHO, stops=(FRONT,)) as town:
        trust(town, ALWAYS)
        write_credential(town, b"")
        refused_as(town, "missing")
        write_credential(town, b"\xff" * 40)
        refused_as(town, "malformed")


def test_an_expired_credential_is_an_expired_benefit(town_of: OpenTown) -> None:
    with town_of(WHO, stops=(FRONT,)) as town:
        trust(town, ALWAYS)
        rights = change_rights(town, lambda rights: rights)
        payload = parse_sign1(lab_credential(card_of(town).uid, rights, date(2026, 9, 15))).payload
        assert payload is not None
        short = replace(parse_claims(payload), expires=town.clock.now().replace(microsecond=0))
        expired = build_credential(short, lab_issuer_key())
        write_credential(town, expired)
        change_rights(town, lambda rights: replace(rights, credential_digest=credential_digest(expired)))
        refused_as(town, "expired", "credential_expired")


def test_a_terminal_out_of_service_and_an_inspection_speak_before_the_credential(town_of: OpenTown) -> None:
    with town_of(WHO, stops=(FRONT,)) as town:
        assert tap(town).end is End.COMMITTED
        trust(town, ALWAYS, IssuerKeys())
        terminal = town.terminals[FRONT.number]
        terminal.inspecting = InspectionRound(15, 0, town.clock.now() + timedelta(minutes=15), misuse=False)
        inspected = town.tap(FRONT.number, WHO).report
        assert (inspected.outcome.message, inspected.outcome.admission) == ("inspection_paid", "inside")
        terminal.inspecting = None
        refused_as(town, "unknown_issuer", "credential_not_trusted")
        close_shift(terminal.journal, town.clock.now())
        assert tap(town).outcome.message == "shift_closed"


def test_issuers_come_from_a_file(tmp_path: Path, town_of: OpenTown) -> None:
    numbers = lab_issuer_key().public_key().public_numbers()
    path = tmp_path / "issuers.toml"
    path.write_text(
        f'[[issuers]]\nissuer = "ru-34"\nx = "{numbers.x:064x}"\ny = "{numbers.y:064x}"\n'
        "not_before = 2026-01-01T00:00:00Z\nnot_after = 2028-01-01T00:00:00Z\n"
    )
    with town_of(WHO, stops=(FRONT,)) as town:
        terminal = town.terminals[FRONT.number]
        resident_of(terminal).credentials = CredentialCheck(ALWAYS, load_issuers(path))
        assert tap(town).end is End.COMMITTED
    path.write_text(path.read_text().replace("1", "2"))
    with pytest.raises(KeyFileError, match="issuers"):
        load_issuers(path)
    with pytest.raises(KeyFileError, match="there is no such file"):
        load_issuers(tmp_path / "nothing")
