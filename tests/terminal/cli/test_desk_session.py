"""The desk behind its page: taps, mishaps, the wire, documents, and a session saved and played again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from cardproto.credential.cose import parse_sign1
from cardproto.credential.grant import parse_claims
from sim.desk.content import holding_of
from sim.desk.disturbance import Disturbance, Mishap
from sim.desk.face import CardGroup
from sim.emv.card import DualCard, VirtualBankCard
from sim.phone import VirtualPhone
from sim.recorder import ReplayCard
from sim.transcript import Transcript, lines_of, parse_transcript
from terminal.cli.app import whole
from terminal.errors import RegionDocumentError
from terminal.journal.records import AnyRecord, SettledBy, UnresolvedCause
from terminal.lab.desk.refusals import DeskRefused
from terminal.lab.desk.routes import transcript_of
from terminal.lab.desk.rows import CAUSES, KINDS, SETTLED, journal_as_json
from terminal.lab.desk.scenario import scenario_of
from terminal.lab.desk.session import DeskSession
from terminal.lab.desk.tap import FinishedTap
from terminal.lab.desk.town import region_names
from terminal.lab.desk.view import desk_as_json, tap_as_json, trace_as_json
from terminal.lab.desk.words import STORM_KINDS
from terminal.lab.stress.faults.plan import Kind
from terminal.lab.stress.run import storm as play_storm
from terminal.policy.load import REGIONS
from terminal.policy.policy import Policy
from terminal.scenario.load import load_scenarios
from terminal.scenario.result import run
from tests.flows.leaks import card_number, leaks, leaks_in_files

SETTLE_S = 20.0


@pytest.fixture
def session(tmp_path: Path) -> Iterator[DeskSession]:
    desk = DeskSession(tmp_path, collector=False)
    desk.reset()
    yield desk
    desk.close()


def tap(
    session: DeskSession, card: str, place: str, mishap: Mishap = Mishap.NONE, exchange: int = 1
) -> FinishedTap:
    return session.tap(card, place, Disturbance(mishap, exchange))


def purse(session: DeskSession, card: str) -> int | None:
    return holding_of(session.town.shelf[card].card).purse_minor


def test_rows_are_in_words_of_the_page(session: DeskSession) -> None:
    tap(session, "adult_purse", "front", Mishap.COMMIT_AFTER)
    tap(session, "adult_purse", "front")
    found = journal_as_json(session, "front", "ru")["rows"]
    shown = {row["kind"]: (row["title"], row["gist"]) for row in found}
    assert shown["Unresolved"] == ("исход неизвестен", "карту убрали")
    assert shown["Committed"] == ("записано", "карта вернулась")
    assert shown["Intent"] == ("намерение", "Оплачено. Счастливого пути!")
    assert all("а" <= row["title"][0] <= "я" for row in found)


def test_bank_cards_ride_at_the_desk_and_no_digit_of_them_is_shown(tmp_path: Path) -> None:
    """Where the region takes them: what was decided, which application paid, in both languages."""
    desk = DeskSession(tmp_path, region="volgograd", collector=False)
    desk.reset()
    shown, said = "", []
    try:
        laid = desk.town.shelf
        both = laid["resident_bank"].card
        assert isinstance(both, DualCard)
        numbers = {one.pan for one in both.chip_memory.wallet.applications}
        for card in (name for name, one in laid.items() if one.face.group is CardGroup.BANK):
            chip = laid[card].card
            assert isinstance(chip, DualCard | VirtualBankCard)
            numbers |= {one.pan for wallet in chip.chip_memory.wallets for one in wallet.applications}
            desk.advance(timedelta(minutes=10))
            for place in ("front", "canteen"):
                entry = tap(desk, card, place)
                for language in ("ru", "en"):
                    told = tap_as_json(entry, language, desk.town.policy, acknowledged=0)
                    said.append((card, place, language, told["message"], told["text"], told["charge_minor"]))
                    shown += json.dumps(told, ensure_ascii=False)
        told = {"message": "ok_paid"}
        while told["message"] == "ok_paid":  # until its purse is empty
            desk.advance(timedelta(minutes=10))
            told = tap_as_json(tap(desk, "resident_bank", "front"), "ru", desk.town.policy, acknowledged=0)
        shown += json.dumps(
            [desk_as_json(desk, "ru"), trace_as_json(desk, 0, 10_000, "ru")], ensure_ascii=False
        )
        shown += json.dumps([journal_as_json(desk, place, "ru") for place in ("front", "canteen")])
    finally:
        desk.close()
    assert {
        ("bank_cda", "front", "ru", "ok_paid", "Оплачено. Счастливого пути!", 3000),
        ("bank_fdda", "front", "en", "ok_paid", "Paid. Have a good trip!", 3000),
        ("bank_expired", "front", "ru", "expired", "Срок действия карты истёк", 0),
        ("bank_counterfeit", "front", "en", "not_accepted", "Card not accepted", 0),
        ("resident_bank", "front", "en", "ok_paid", "Paid. Have a good trip!", 2400),
    } <= set(said)
    last = told["message"], told["text"], told["charge_minor"]
    assert last == ("ok_paid_by_bank", "Оплачено банковской картой. Счастливого пути!", 3000)
    assert len(numbers) > 10
    secrets = [form for at, pan in enumerate(sorted(numbers)) for form in card_number(f"number {at}", pan)]
    assert not leaks(secrets, shown.encode(), "what the desk shows")
    kept = [path.name for path in tmp_path.rglob("*.json")]
    assert not leaks_in_files(secrets, tmp_path, kept)


def test_every_kind_of_row_has_words() -> None:
    kinds = {kind.__name__ for kind in get_args(AnyRecord)}
    assert kinds == KINDS.keys()
    assert set(SETTLED) == set(SettledBy)
    assert set(CAUSES) == set(UnresolvedCause)
    assert set(STORM_KINDS) == set(Kind)


def test_a_tap_is_shown_whole(session: DeskSession) -> None:
    entry = tap(session, "student_half_price", "front")
    told = tap_as_json(entry, "en", session.town.policy, acknowledged=0)
    assert (told["message"], told["end"]) == ("ok_benefit", "committed")
    assert (told["before_minor"], told["after_minor"]) == (30000, 28000)
    assert told["on_air"] == 8
    assert [reason["rule"] for reason in told["reasons"]] == ["T-02", "T-12"]
    assert [row["kind"] for row in told["journal"]] == ["Intent", "Committed"]
    changed = {(change["part"], change["name"]) for change in told["changes"] if change["changed"]}
    assert {
        ("purse", "balance"),
        ("counters", "rides of the concession this month"),
        ("newest event", "kind"),
    } <= changed
    assert [row["name"] for row in trace_as_json(session, 0, 100, "en")][-1] == "CommitTransaction"


def test_every_card_on_every_terminal_ends_in_a_message(session: DeskSession) -> None:
    for card in session.town.shelf:
        for place in ("front", "canteen"):
            entry = tap(session, card, place)
            assert tap_as_json(entry, "ru", session.town.policy, 0)["text"]
    shelf = desk_as_json(session, "ru")
    assert shelf["taps_total"] == 2 * len(session.town.shelf)


def test_a_tap_torn_at_the_commit_is_settled_by_the_next_one(session: DeskSession) -> None:
    torn = tap(session, "adult_purse", "front", Mishap.COMMIT_AFTER)
    assert torn.report.end == "unresolved"
    again = tap(session, "adult_purse", "front")
    assert (again.report.end, again.report.outcome.message) == ("recovered", "ok_paid")
    assert purse(session, "adult_purse") == 47600


@pytest.mark.parametrize("mishap", [Mishap.TEAR_BEFORE, Mishap.TEAR_AFTER, Mishap.SILENT, Mishap.CORRUPT])
def test_whatever_happens_at_exchange_n_one_more_tap_puts_it_right(
    session: DeskSession, mishap: Mishap
) -> None:
    for exchange in range(1, 9):
        before = purse(session, "adult_purse") or 0
        session.advance(timedelta(hours=2))
        tap(session, "adult_purse", "front", mishap, exchange)
        assert tap(session, "adult_purse", "front").report.outcome.accepted
        assert purse(session, "adult_purse") == before - 2400
        assert session.town.terminals["front"].journal.open_intents() == []


def test_time_passes_only_when_told(session: DeskSession) -> None:
    began = session.town.clock.now()
    session.advance(timedelta(hours=1))
    assert session.town.clock.now() - began == timedelta(hours=1)
    local = datetime.fromisoformat("2026-09-14T08:30")
    session.set_clock(local)
    assert session.town.clock.now().astimezone(session.town.policy.zone).replace(tzinfo=None) == local
    with pytest.raises(DeskRefused, match="more than a year"):
        session.set_clock(datetime.fromisoformat("2040-01-01"))


def test_a_shift_is_closed_and_opened_on_another_route(session: DeskSession) -> None:
    tap(session, "adult_purse", "front")
    session.advance(timedelta(minutes=10))
    session.open_shift("front", route=2, direction=1)
    assert tap(session, "adult_purse", "front").report.outcome.message == "ok_transfer"
    session.close_shift("front")
    assert tap(session, "adult_purse", "front").report.outcome.message == "shift_closed"


def test_what_is_not_on_the_desk_is_refused_in_a_sentence(session: DeskSession) -> None:
    for act in (
        lambda: tap(session, "nobody", "front"),
        lambda: tap(session, "adult_purse", "roof"),
        lambda: session.reset("atlantis"),
        lambda: session.open_shift("front", 70_000, 0),
        lambda: session.entry(1),
    ):
        with pytest.raises(DeskRefused):
            act()


def test_an_edited_document_decides_from_then_on(session: DeskSession) -> None:
    text = session.town.document_path.read_text("utf-8")
    assert tap(session, "adult_purse", "front").report.outcome.charge_minor == 2400
    session.use_document(text.replace("transport_card = 2400", "transport_card = 3100"))
    session.advance(timedelta(hours=2))
    assert tap(session, "adult_purse", "front").report.outcome.charge_minor == 3100


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text + "\nx = = 1", "`=` does not belong here"),
        (lambda text: text.replace("transport_card", "transport_cart"), "transport_cart"),
        (lambda text: text.replace('id = "demo"', 'id = "other"'), "the cards on the shelf are of demo"),
    ],
)
def test_a_document_that_cannot_be_used_changes_nothing(session: DeskSession, change, said: str) -> None:  # type: ignore[no-untyped-def]
    text = session.town.document_path.read_text("utf-8")
    with pytest.raises(RegionDocumentError, match=said):
        session.use_document(change(text))
    assert session.document_problem is not None
    assert tap(session, "adult_purse", "front").report.outcome.message == "ok_paid"
    assert session.town.document_path.read_text("utf-8") == text


def test_the_file_is_read_again_after_an_editor_wrote_it(session: DeskSession) -> None:
    path = session.town.document_path
    path.write_text(
        path.read_text("utf-8").replace("transport_card = 2400", "transport_card = 2500"), "utf-8"
    )
    session.use_document()
    assert tap(session, "adult_purse", "front").report.outcome.charge_minor == 2500


def play_at_random(session: DeskSession, seed: int, taps: int) -> None:
    """Cards, doors, mishaps, shifts and hours, drawn from a seed."""
    rng = random.Random(seed)
    for _ in range(taps):
        session.advance(timedelta(seconds=rng.choice((1, 5, 40, 600, 4000, 90_000))))
        card, place = rng.choice(list(session.town.shelf)), rng.choice(("front", "rear", "canteen"))
        mishap = rng.choice((Mishap.NONE, Mishap.NONE, *Mishap))
        tap(session, card, place, mishap, rng.randint(1, 9))
        if rng.random() < 0.1:
            session.open_shift("front", rng.choice((2, 15)), rng.randint(0, 1))
        if rng.random() < 0.5:
            tap(session, card, rng.choice(("front", place)))


@pytest.mark.parametrize("region", region_names())
def test_a_saved_session_plays_to_the_same_result(session: DeskSession, region: str, tmp_path: Path) -> None:
    session.reset(region)
    play_at_random(session, seed=3, taps=40)
    saved = scenario_of(session)
    assert saved.differing == ()
    path = tmp_path / "desk.toml"
    path.write_text(saved.text, "utf-8")
    results = run(load_scenarios(path), session.town.policy)
    assert all(result.ok for result in results)
    assert sum(len(result.played) for result in results) == saved.taps
    left = {r.name.partition(",")[0]: r.played[-1].after for r in results}
    for card, after in left.items():
        assert after is not None
        assert after.event.balance_after_minor == purse(session, card)


def test_the_command_line_runner_takes_the_saved_file(session: DeskSession, tmp_path: Path) -> None:
    play_at_random(session, seed=9, taps=15)
    path = tmp_path / "desk.toml"
    path.write_text(scenario_of(session).text, "utf-8")
    done = CliRunner().invoke(whole(), ["policy", "run", "demo", str(path)])
    assert done.exit_code == 0, done.output


def test_what_a_scenario_cannot_say_stands_in_it_as_a_comment(session: DeskSession) -> None:
    tap(session, "adult_purse", "front", Mishap.TEAR_BEFORE, 4)
    tap(session, "adult_purse", "front")
    tap(session, "endless_frames", "front")
    saved = scenario_of(session)
    assert (saved.taps, saved.left_out) == (1, 2)
    assert "the card was pulled before exchange 4; the passenger saw read_again" in saved.text
    assert "# endless_frames: no tap of it came to a decision" in saved.text


def test_taps_under_an_earlier_document_are_left_out_and_counted(session: DeskSession) -> None:
    tap(session, "adult_purse", "front")
    session.use_document(session.town.document_path.read_text("utf-8").replace("= 2400", "= 2600"))
    session.advance(timedelta(hours=3))
    tap(session, "adult_purse", "front")
    saved = scenario_of(session)
    assert saved.taps == 1
    assert "# 1 taps before the document was changed are left out" in saved.text
    assert "charge_minor = 2600" in saved.text


def test_there_is_no_scenario_of_nothing(session: DeskSession) -> None:
    with pytest.raises(DeskRefused, match="nothing to save"):
        scenario_of(session)


def test_a_difference_would_be_told(session: DeskSession) -> None:
    """The runner is asked in earnest: under another document the same file does not come out."""
    tap(session, "adult_purse", "front")
    saved = scenario_of(session)
    text = session.town.document_path.read_text("utf-8").replace("= 2400", "= 2700")
    session.use_document(text)
    path = session.folder / "x.toml"
    path.write_text(saved.text, "utf-8")
    (result,) = run(load_scenarios(path), Policy.of(session.town.policy.document))
    assert not result.ok


def test_a_saved_transcript_answers_again_as_the_card_did(session: DeskSession) -> None:
    entry = tap(session, "month_pass", "front")
    transcript = parse_transcript(transcript_of(session, masked=False).splitlines(), "desk")
    (recorded,) = transcript.taps
    card = ReplayCard(recorded)
    card.power_on()
    for exchange in recorded.exchanges:
        command, answer = exchange.known or (b"", b"")
        assert card.transmit(command) == answer
    assert card.diverged is None
    assert len(recorded.exchanges) == len(entry.rows)


def test_a_masked_transcript_shows_nobody(session: DeskSession) -> None:
    tap(session, "adult_purse", "front")
    text = transcript_of(session, masked=True)
    rights = holding_of(session.town.shelf["adult_purse"].card).rights
    assert rights is not None
    assert session.town.shelf["adult_purse"].card.uid.hex().upper() not in text
    assert rights.pseudonym.hex().upper() not in text
    assert list(lines_of(parse_transcript(text.splitlines(), "desk"))) == text.splitlines()
    assert Transcript(True, ()).masked


def test_rows_wait_for_network_and_collector_and_then_leave(tmp_path: Path) -> None:
    desk = DeskSession(tmp_path)
    desk.reset()
    try:
        assert desk.wire.settle(SETTLE_S)
        desk.switch(network=False)
        tap(desk, "adult_purse", "front")
        front = desk.town.terminals["front"].journal
        assert front.unsent == 2
        desk.switch(collector=False)
        assert desk.wire.settle(SETTLE_S)
        desk.switch(network=True)
        assert front.unsent == 2
        desk.switch(collector=True)
        assert desk.wire.settle(SETTLE_S)
        assert front.unsent == 0
        assert desk.wire.wait_for_report(SETTLE_S)["total"]["proofs"]["proven"]["RUB"]["taps"] == 1
    finally:
        desk.close()


def test_a_reset_begins_anew_and_leaves_no_thread(session: DeskSession) -> None:
    tap(session, "adult_purse", "front")
    first = session.number
    session.reset()
    assert (session.number, session.taps, session.trace) == (first + 1, [], [])
    assert purse(session, "adult_purse") == 50000


def test_another_desk_at_the_same_address_is_told_apart(session: DeskSession, tmp_path: Path) -> None:
    assert DeskSession(tmp_path).name != DeskSession(tmp_path).name
    before = desk_as_json(session, "en")["session"]
    session.reset()
    assert desk_as_json(session, "en")["session"] != before


def test_a_document_of_ones_own_is_a_region_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        load_region_text("demo").replace("transport_card = 2400", "transport_card = 1900"), "utf-8"
    )
    desk = DeskSession(tmp_path / "desk", region=str(path), collector=False)
    desk.reset()
    try:
        assert tap(desk, "adult_purse", "front").report.outcome.charge_minor == 1900
        assert desk_as_json(desk, "en")["region"] == str(path)
    finally:
        desk.close()


def load_region_text(region: str) -> str:
    return (REGIONS / f"{region}.toml").read_text("utf-8")


def test_the_storm_at_the_desk_is_the_storm_of_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "terminal.lab.desk.storm_run", "11", "150"],
        capture_output=True,
        check=True,
        timeout=120,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["ended"] for line in told] == [False] * (len(told) - 1) + [True]
    result = play_storm(150, 11, frozenset(Kind), lambda _taps, _faults: None)
    same = result.as_json()
    for name in ("taps", "granted", "lost", "duplicated", "money_mismatch_minor", "charged_minor", "records"):
        assert told[-1][name] == same[name]
    assert told[-1]["faults"] == same["faults_injected"]


def test_a_phone_rides_at_the_desk(session: DeskSession) -> None:
    first = tap(session, "phone_pensioner", "front")
    assert (str(first.report.outcome.message), first.report.end.value) == (
        "ok_benefit_unlimited",
        "committed",
    )
    again = tap(session, "phone_pensioner", "front")
    assert str(again.report.outcome.message) == "already_paid"
    policy = session.town.policy
    for language in ("ru", "en"):
        assert tap_as_json(again, language, policy, 0)["message"] == "already_paid"
        assert desk_as_json(session, language)["taps_total"] == 2
    assert len(trace_as_json(session, 0, 20, "en")) > 4
    phone = session.town.shelf["phone_pensioner"].card
    assert isinstance(phone, VirtualPhone)
    payload = parse_sign1(phone.memory.credential).payload
    assert payload is not None
    pseudonym = parse_claims(payload).pseudonym.hex().upper()
    assert pseudonym in transcript_of(session, masked=False)
    assert pseudonym not in transcript_of(session, masked=True)
