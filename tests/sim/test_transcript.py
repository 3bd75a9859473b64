"""The file and its masks: exact both ways, damage named by line, secrets never written."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.errors import CardGone
from sim.air import VirtualClock
from sim.card.port import SimCard
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from sim.recorder import ReplayCard, TranscriptWriter
from sim.transcript import TranscriptFault, lines_of, load_transcript, parse_transcript
from sim.transcript_mask import Masker
from sim.transcript_view import read_tap

HEADER = '{"format":"resident-card-transcript","version":1,"masked":true}'
CLEAR = '{"format":"resident-card-transcript","version":1,"masked":false,"environment":"laboratory"}'
TAP = '{"tap":1,"at":"2026-09-15T06:40:00+00:00"}'
SENT = '{"ms":1.0,"to":"card","bytes":"9060000000"}'
GOT = '{"ms":2.5,"to":"terminal","bytes":"9100"}'
LOST = '{"ms":2.5,"to":"terminal","lost":"CardGone"}'
START = datetime(2026, 9, 15, 6, 40, tzinfo=UTC)


def test_a_file_is_read_and_written_exactly() -> None:
    lines = [CLEAR, TAP, SENT, GOT, SENT, LOST, TAP.replace("1,", "2,"), SENT]
    transcript = parse_transcript(lines, "test")
    assert [line.replace(".000000Z", "Z") for line in lines_of(transcript)] == [
        line.replace("+00:00", "Z") for line in lines
    ]
    first = transcript.taps[0].exchanges
    assert [(e.answered_ms - e.sent_ms, e.lost) for e in first] == [(1.5, None), (1.5, "CardGone")]


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([], "no transcript"),
        (["\ud800"], "no transcript"),
        (["{}"], "no transcript"),
        ([HEADER.replace("1,", "2,")], "version 2"),
        ([CLEAR.replace("laboratory", "town")], "not marked"),
        ([HEADER, SENT], "line 2"),
        ([HEADER, TAP, GOT], "line 3"),
        ([HEADER, TAP, SENT, SENT], "line 4"),
        ([HEADER, TAP, SENT, GOT.replace("9100", "910")], "line 4"),
        ([HEADER, TAP, SENT, LOST.replace("CardGone", "CardError")], "line 4"),
        ([HEADER, TAP, SENT, LOST.replace("CardGone", "__doc__")], "line 4"),
        ([HEADER, TAP, SENT[:-3]], "line 3"),
        ([CLEAR, TAP, SENT.replace("90", "XX")], "line 3"),
    ],
)
def test_damage_is_refused_and_named(lines: list[str], named: str) -> None:
    with pytest.raises(TranscriptFault, match=named):
        parse_transcript(lines, "test")


def masked(exchanges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    masker = Masker()
    return [(masker.command(bytes.fromhex(c)), masker.answer(bytes.fromhex(a))) for c, a in exchanges]


def test_emv_answers_show_no_card_number_and_no_name() -> None:
    record = "70125A0841111111111111115F200443415244" + "9000"
    ((_, shown),) = masked([("00B2010C00", record)])
    assert shown == "70125A08" + "XX" * 8 + "5F2004" + "XX" * 4 + "9000"
    ((_, shown),) = masked([("80A8000002830000", "77125710" + "4111111111111111D30122010000" + "FF0F9000")])
    assert "4111" not in shown


def test_a_card_number_cut_by_get_response_stays_hidden() -> None:
    shown = masked([("00B2010C00", "700A5A0841116107"), ("00C0000007", "1111111111115F9000")])
    assert shown[0][1] == "700A5A08XXXX6107"
    assert shown[1][1] == "XX" * 6 + "5F9000"


PAN_16, PAN_19 = "2200000000000178", "2200000000000000137"


@pytest.mark.parametrize(
    "answer",
    [
        "5A08" + PAN_16,
        "5A8108" + PAN_16,
        "5A820008" + PAN_16,
        "5A0A" + PAN_19 + "F",
        "5A81" + "0A" + PAN_19 + "F",
        "570F" + PAN_16 + "D30052010000FF",
        "57820010" + PAN_19 + "D30052010000F",
        "DF0108" + PAN_16,
        "DF8101" + "82000A" + PAN_19 + "F",
        "C10A01" + PAN_16 + "99",
        "C10A" + "F" + PAN_16 + "FFF",
        "7014" + "E112" + "C310" + PAN_16.encode().hex(),
        "561A42" + PAN_16.encode().hex() + "5E4C41425E303030",
    ],
)
@pytest.mark.parametrize("ins", ["00B2010C00", "80A8000002", "80CA9F3600"])
def test_a_card_number_is_hidden_in_every_form_and_under_every_tag(answer: str, ins: str) -> None:
    ((_, shown),) = masked([(ins, answer + "9000")])
    for number in (PAN_16, PAN_19):
        for part in (number[6:-4], number[6:-4].encode().hex().upper()):
            assert part not in shown
    assert shown.endswith("9000")
    assert len(shown) == len(answer) + 4


def test_a_number_without_a_check_digit_is_hidden_once_a_field_of_its_own_named_it() -> None:
    wrong = PAN_16[:-1] + "0"
    shown = masked(
        [
            ("00B2010C00", "DF0108" + wrong + "9000"),
            ("00B2020C00", "7011DF02" + "0E" + "AABBCC" + wrong + "DDEEFF" + "9000"),
            ("80AE500008" + wrong + "00", "9000"),
        ]
    )
    assert all(wrong not in text for pair in shown for text in pair)
    assert shown[1][1] == "7011DF020EAABBCC" + "XX" * 8 + "DDEEFF9000"


@pytest.mark.parametrize("at", range(1, 8))
def test_a_number_under_an_unknown_tag_stays_hidden_when_a_piece_of_it_comes_first(at: int) -> None:
    cut = 2 * at
    shown = masked(
        [("00B2010C00", "DF0108" + PAN_16[:cut] + "6108"), ("00C0000008", PAN_16[cut:] + "AB9000")]
    )
    assert PAN_16[:cut] not in shown[0][1]
    assert shown[1][1] == "XX" * (8 - at) + "AB9000"


def test_what_is_no_number_stays_readable() -> None:
    options = (
        "80A80000" + "23" + "8321" + "21000000" + "000000004300" + "000000000000" + "0643" + "0000000000"
    )
    options += "0643" + "261130" + "00" + "8F21C0DE" + "00"
    ((command, answer),) = masked([(options, "771282021980940C080101001001010118010300" + "9000")])
    assert command == options
    assert answer == "771282021980940C0801010010010101180103009000"


def test_a_long_answer_of_digits_is_masked_at_once() -> None:
    ((_, shown),) = masked([("00B2010C00", "11" * 60_000 + "9000")])
    assert shown == "XX" * 60_000 + "9000"


def test_keys_and_pins_are_hidden() -> None:
    key = "00112233445566778899AABBCCDDEEFF"
    shown = masked(
        [
            ("FF82000010" + key, "9000"),
            ("0020008008" + "241234FFFFFFFFFF", "9000"),
            ("90C4000011" + "02" + key + "00", "91AF"),
            ("90AF000004" + "A1A2A3A4" + "00", "9100"),
            ("90AF000004" + "B1B2B3B4" + "00", "911C"),
            ("C402" + key, "00"),
        ]
    )
    assert shown[0][0] == "FF82000010" + "XX" * 16
    assert shown[1][0] == "0020008008" + "XX" * 8
    assert shown[2][0] == "90C400001102" + "XX" * 16 + "00"
    assert shown[3][0] == "90AF000004" + "XX" * 4 + "00"
    assert shown[5][0] == "C402" + "XX" * 16
    fresh = masked([("906A000000", "91AF"), ("90AF000004B1B2B3B400", "9100")])
    assert fresh[1][0] == "90AF000004B1B2B3B400", "frames of other commands stay readable"


def test_the_uid_is_hidden_wherever_it_turns_up() -> None:
    shown = masked(
        [
            ("9060000000", "04010112001A0591AF"),
            ("90AF000000", "04010102011A0591AF"),
            ("90AF000000", "04A1B2C3D4E5F6BA5514001234" + "9100"),
            ("FFCA000000", "04A1B2C3D4E5F69000"),
            ("FF000000080104A1B2C3D4E5F6", "9000"),
        ]
    )
    assert shown[2][1].startswith("XX" * 7 + "BA55")
    assert shown[3][1] == "XX" * 7 + "9000"
    assert shown[4][0] == "FF0000000801" + "XX" * 7


def recorded_issue(path: Path, *, hidden: bool) -> SimCard:
    """A card read after issue: every answer that names it."""
    card = issue(load_profile("adult_purse"), load_lab_keys(), 34, START.date(), random.Random(3).randbytes)
    card.power_on()
    with TranscriptWriter(path, VirtualClock(START), masked=hidden) as writer:
        channel = DesfireChannel(writer.record(card))
        channel.read_uid()
        DesfireCard(channel).get_version()
    return card


def test_version_and_uid_of_a_real_conversation(tmp_path: Path) -> None:
    card = recorded_issue(tmp_path / "hidden", hidden=True)
    assert card.uid.hex().upper() not in (tmp_path / "hidden").read_text()
    recorded_issue(tmp_path / "clear", hidden=False)
    assert card.uid.hex().upper() in (tmp_path / "clear").read_text()
    steps = read_tap(load_transcript(tmp_path / "clear").tap(1))
    assert [(step.name, step.frames) for step in steps] == [("reader: UID", 1), ("GetVersion", 3)]


def test_a_replayed_card_answers_only_what_was_recorded(tmp_path: Path) -> None:
    recorded_issue(tmp_path / "clear", hidden=False)
    card = ReplayCard(load_transcript(tmp_path / "clear").tap(1))
    card.power_on()
    version = DesfireCard(DesfireChannel(card)).get_version()
    card.power_on()
    assert DesfireCard(DesfireChannel(card)).get_version() == version
    with pytest.raises(CardGone):
        card.transmit(bytes.fromhex("9060000000"))
    card.power_on()
    assert card.transmit(bytes.fromhex("906A000000")) == b"\x69\x85"
    assert card.diverged == "exchange 1: 9060000000 was recorded, not 906A000000"
    assert card.transmit(bytes.fromhex("9060000000")) == b"\x69\x85", "nothing after a divergence is answered"
    card.power_on()
    assert card.diverged is None


def test_a_full_disk_ends_the_recording_and_not_the_tap(tmp_path: Path) -> None:
    class FullDisk(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    card = recorded_issue(tmp_path / "first", hidden=True)
    with TranscriptWriter(tmp_path / "second", VirtualClock(START)) as writer:
        writer._file.close()
        writer._file = FullDisk()  # type: ignore[assignment]
        connection = writer.record(card)
        assert connection.transmit(bytes.fromhex("FFCA000000"))[-2:] == b"\x90\x00"
        assert writer.failure is not None
