"""Attacks with phones and codes at a terminal that takes both, by what it says and the rows it keeps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from msgspec import structs

from bench.cards import SteppedClock, phone, phone_bus
from cardproto.credential.code import PREFIX, code_bytes, code_text
from cardproto.credential.cose import MAX_BYTES, build_sign1, parse_sign1
from cardproto.credential.grant import build_credential, parse_claims
from cardproto.credential.keys import key_id
from cardproto.credential.phone import INS_AUTHENTICATE
from sim.lab_issuer import lab_issuer_key
from sim.phone import VirtualPhone
from terminal.media.held import KeptState
from terminal.media.phone.medium import PhoneMedium
from terminal.policy.policy import Policy
from terminal.tap import Terminal, take_code, take_tap
from tests.flows.live import run as live_run
from tests.terminal.media.test_phone_live import NOW, Scanned, on_paper
from tests.terminal.media.test_phone_live import RIDES as LIVE_RIDES


@dataclass
class Doors:
    """Two vehicles that do not hear each other, their one clock, and a phone."""

    front: Terminal
    other: Terminal
    clock: SteppedClock
    phone: VirtualPhone

    def code(self, text: str, at: Terminal | None = None) -> str:
        """What is said of a code."""
        terminal = at or self.front
        assert terminal.codes is not None
        return str(take_code(text.encode("latin-1"), terminal.codes, terminal).outcome.message)

    def tap(self, shown: object, at: Terminal | None = None) -> str:
        """What is said of a phone that is held to the reader."""
        return str(take_tap(shown, at or self.front).outcome.message)  # type: ignore[arg-type]

    def shows(self) -> str:
        return self.phone.code(self.clock.now())


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    clock = SteppedClock()
    (tmp_path / "other").mkdir()
    front, other = phone_bus(tmp_path, clock), phone_bus(tmp_path / "other", clock)
    own = phone()
    own.power_on()
    with closing(front.journal), closing(other.journal):
        yield Doors(front, other, clock, own)
    for terminal in (front, other):
        assert terminal.held is not None
        terminal.held.close()


RIDES = "ok_benefit_unlimited"
UNTRUSTED = "credential_not_trusted"


def rows(terminal: Terminal) -> int:
    return terminal.journal.head.sequence


def test_a_screenshot_rides_no_second_time_whenever_it_is_shown(doors: Doors) -> None:
    shown = doors.shows()
    assert doors.code(shown) == RIDES
    doors.clock.at += timedelta(seconds=20)
    assert doors.code(shown) == "code_used"
    doors.clock.at += timedelta(seconds=20)
    assert doors.code(shown) == "code_too_old"


def test_a_screenshot_of_what_was_already_paid_lets_no_one_in(doors: Doors) -> None:
    assert doors.code(doors.shows()) == RIDES
    again = doors.shows()
    assert doors.code(again) == "already_paid"
    assert doors.code(again) == "code_used"


def test_what_is_kept_after_a_code_makes_it_count_no_more(doors: Doors) -> None:
    """The phone itself, held to the reader, shows no counter: the code's stays."""
    shown, held, taker = doors.shows(), doors.front.held, doors.front.codes
    assert held is not None
    assert taker is not None
    phone_ref = take_code(shown.encode(), taker, doors.front).card_ref
    assert phone_ref is not None
    kept = held.kept(phone_ref)
    assert kept is not None
    held.keep(phone_ref, KeptState(b"", 0), doors.clock.now())
    assert held.kept(phone_ref) == KeptState(b"", kept.counter)
    assert doors.code(shown) == "code_used"
    held.spend(phone_ref, kept.counter - 1, doors.clock.now())
    assert doors.code(shown) == "code_used"


def test_an_older_code_kept_back_is_worth_nothing_after_a_newer_one(doors: Doors) -> None:
    kept = doors.shows()
    assert doors.code(doors.shows()) == RIDES
    assert doors.code(kept) == "code_used"


def test_a_replay_on_another_vehicle_ends_with_the_window(doors: Doors) -> None:
    """Within it only the collector sees both (`terminal/media/test_phone_link.py`)."""
    shown = doors.shows()
    assert doors.code(shown) == RIDES
    doors.clock.at += timedelta(seconds=31)
    assert doors.code(shown, doors.other) == "code_too_old"


def test_an_answer_relayed_from_elsewhere_comes_too_late(doors: Doors) -> None:
    (medium,) = doors.front.media
    assert isinstance(medium, PhoneMedium)
    now_s = takes_s = 0.0

    class Relayed:
        """Only the answer to the challenge has to be fetched."""

        def transmit(self, command: bytes) -> bytes:
            nonlocal now_s
            now_s += takes_s if command[1] == INS_AUTHENTICATE else 0.0
            return doors.phone.transmit(command)

    medium._monotonic = lambda: now_s
    takes_s = 0.301
    assert doors.tap(Relayed()) == "read_again"
    takes_s = 0.3
    assert doors.tap(Relayed()) == RIDES, "300 ms are allowed"


def test_an_answer_to_another_terminal_is_none(doors: Doors) -> None:
    """The same challenge, and another terminal's number: what was recorded there is of no use here."""
    recorded: list[bytes] = []

    class Recorder:
        def transmit(self, command: bytes) -> bytes:
            recorded.append(doors.phone.transmit(command))
            return recorded[-1]

    class Player:
        def transmit(self, command: bytes) -> bytes:
            return recorded.pop(0)

    (medium,) = doors.other.media
    assert isinstance(medium, PhoneMedium)
    medium._terminal = (70002).to_bytes(8, "big")
    assert doors.tap(Recorder(), doors.other) == RIDES
    assert doors.tap(Player()) == UNTRUSTED


@pytest.mark.parametrize(
    ("off_s", "says"), [(-31, "code_too_old"), (31, "code_ahead"), (-30, RIDES), (30, RIDES)]
)
def test_a_phone_whose_clock_is_wrong(doors: Doors, off_s: int, says: str) -> None:
    assert doors.code(doors.phone.code(doors.clock.now() + timedelta(seconds=off_s))) == says


def test_a_cloned_phone_and_its_origin_ride_as_one(doors: Doors) -> None:
    """A thief of key and counter has one phone more, and no ride more: the counter sets them apart."""
    clone = copy.deepcopy(doors.phone)
    assert doors.code(doors.shows()) == RIDES
    assert doors.code(clone.code(doors.clock.now())) == "code_used"
    assert doors.tap(clone) == "already_paid", "one reference, one state"


def another_algorithm(protected: bytes) -> Callable[[Doors], str]:
    """A code whose outer part names another algorithm, its signature and all else genuine."""

    def shown(doors: Doors) -> str:
        parts = list(cbor2.loads(code_bytes(doors.shows())).value)
        parts[0] = protected
        return code_text(cbor2.dumps(cbor2.CBORTag(18, parts), canonical=True))

    return shown


def by_a_stranger(doors: Doors) -> str:
    """All that the issuer said, signed by a key of one's own under an id of one's own."""
    key = generate_private_key(SECP256R1())
    return with_credential(doors, build_sign1(payload_of(doors.phone), key_id(key.public_key()), key))


def under_the_issuers_id(doors: Doors) -> str:
    known = key_id(lab_issuer_key().public_key())
    return with_credential(
        doors, build_sign1(payload_of(doors.phone), known, generate_private_key(SECP256R1()))
    )


def payload_of(shown: VirtualPhone) -> bytes:
    payload = parse_sign1(shown.memory.credential).payload
    assert payload is not None
    return payload


def with_credential(doors: Doors, credential: bytes) -> str:
    doors.phone.memory = replace(doors.phone.memory, credential=credential)
    return doors.shows()


def markup(doors: Doors) -> str:
    """An issuer that is believed and names itself so: no name of it is shown or stored anywhere."""
    claims = replace(parse_claims(payload_of(doors.phone)), issuer="<b>\x1b[31m&")
    return with_credential(doors, build_credential(claims, lab_issuer_key()))


def recoded(change: Callable[[bytes], bytes]) -> Callable[[Doors], str]:
    return lambda doors: code_text(change(code_bytes(doors.shows())))


FORGED: dict[str, Callable[[Doors], str]] = {
    "no algorithm": another_algorithm(b""),
    "none": another_algorithm(cbor2.dumps({1: 0})),
    "eddsa": another_algorithm(cbor2.dumps({1: -8})),
    "hmac": another_algorithm(cbor2.dumps({1: 5})),
    "es384": another_algorithm(cbor2.dumps({1: -35})),
    "text keys": another_algorithm(cbor2.dumps({"alg": -7})),
    "unknown issuer": by_a_stranger,
    "issuer's id, another key": under_the_issuers_id,
    "markup": markup,
    "cut": recoded(lambda data: data[:-1]),
    "longer": recoded(lambda data: data + b"\x00"),
    "indefinite length": recoded(lambda data: b"\xd2\x9f" + data[2:] + b"\xff"),
    "deep": lambda _doors: code_text(b"\x81" * 400 + b"\x00"),
    "large": lambda _doors: code_text(b"\x59\x03\xfd" + bytes(MAX_BYTES - 3)),
    "huge length": lambda _doors: code_text(b"\x5b" + b"\xff" * 8),
    "no base45": lambda _doors: PREFIX + "abc",
    "a group too large": lambda _doors: PREFIX + ":::",
    "a third of a group": lambda _doors: PREFIX + "A",
    "empty": lambda _doors: PREFIX,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_code_is_refused_and_leaves_no_row(doors: Doors, forged: Callable[[Doors], str]) -> None:
    before, text = rows(doors.front), forged(doors)
    assert doors.code(text) == UNTRUSTED
    assert rows(doors.front) == before


AT_THE_DOOR = ("none", "eddsa", "unknown issuer", "markup", "cut", "deep", "large", "no base45")
"""One of each kind: a scanner's pace is that of people."""


def test_forged_codes_are_refused_by_a_running_terminal_which_goes_on(tmp_path: Path) -> None:
    """The same at `terminal run`, through its scanner; markup and length reach neither its journal nor its log."""
    clock, own = SteppedClock(), phone()
    clock.at = NOW
    with closing(Scanned(tmp_path)) as bus:
        for name in AT_THE_DOOR:
            held = Doors(None, None, clock, copy.deepcopy(own))  # type: ignore[arg-type]
            assert bus.scan(FORGED[name](held)) == (UNTRUSTED, "refused", "nothing_written"), name
        assert bus.scan(own.code(NOW)) == LIVE_RIDES
    rows = live_run(tmp_path, "journal", "show")
    assert "31m" not in rows
    assert rows.count("Unwritten") == 0


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "\x1b]0;owned\x07",
        "RC2:ABC",
        "rc1:ABC",
        PREFIX + "A" * 4_000,
        "\xff" * 80,
    ],
)
def test_a_text_that_is_no_code_of_ours_is_of_others_and_is_quoted_nowhere(doors: Doors, text: str) -> None:
    before, taker = rows(doors.front), doors.front.codes
    assert taker is not None
    report = take_code(text.encode("latin-1"), taker, doors.front)
    assert report.outcome.message == "code_of_others"
    assert text not in report.operator
    assert rows(doors.front) == before


@pytest.mark.parametrize(
    ("text", "whose", "says"),
    [
        ("https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M", "payment", "code_of_bank"),
        ("ST00012|Name=x|PersonalAcc=1", "payment", "code_of_bank"),
        ("#UT011080", "rail", "code_of_rail"),
        ("U1200", "rail", "code_of_rail"),
        ("HC1:6BF", "health", "code_of_health"),
        ("http://example.org", "link", "code_is_link"),
        ("4600000000017", "unknown", "code_of_others"),
    ],
)
def test_codes_of_others_are_named(doors: Doors, text: str, whose: str, says: str) -> None:
    taker = doors.front.codes
    assert taker is not None
    report = take_code(text.encode(), taker, doors.front)
    assert (report.outcome.message, report.operator) == (says, f"a code of others: {whose}")


def test_paper_rides_for_what_the_document_allows_and_once_for_each_word(doors: Doors) -> None:
    terminal, taker = doors.front, doors.front.codes
    assert taker is not None
    document = terminal.policy.document
    allowed = tuple(structs.replace(one, printed=one.code == 1) for one in document.concessions)
    terminal.policy = Policy.of(structs.replace(document, concessions=allowed))
    before, paper, copied = rows(terminal), on_paper(1), on_paper(1)
    assert doors.code(on_paper(2)) == "code_printed"
    assert taker.waiting(doors.clock.now()) is None
    assert [doors.code(paper), doors.code(copied)] == ["code_check", "code_check"]
    assert rows(terminal) == before
    waiting = taker.waiting(doors.clock.now())
    assert waiting is not None
    assert not taker.check("another", doors.clock.now())
    assert taker.check(waiting.key, doors.clock.now())
    assert not taker.check(waiting.key, doors.clock.now()), "a word counts once"
    assert doors.code(paper) == "code_check", "the word was for the other print"
    assert doors.code(copied) == "code_check", "and counts for what is read next, or not at all"
    served: list[str] = []
    taker.serve = lambda content: served.append(doors.code(content.decode("latin-1")))
    waiting = taker.waiting(doors.clock.now())
    assert waiting is not None
    assert taker.check(waiting.key, doors.clock.now())
    assert served == [RIDES]
    assert doors.code(copied) == "code_check", "once"
    doors.clock.at += timedelta(seconds=61)
    assert taker.waiting(doors.clock.now()) is None, "a minute"
