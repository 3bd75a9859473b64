"""The verify-only service answers one question, to one who may ask, so often a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import transaction_mac_value
from terminal.audit.asking import Asking, ServiceAddress
from terminal.audit.proofs import CardQuestion, CardWord
from terminal.audit.service import MOST_AT_ONCE, QUESTIONS_PATH, AnswerSide, DayLimits
from terminal.collector.registry import CardRegistry, CardSecret
from terminal.errors import AuditError
from tests.terminal.collector.office import Program

UID, KEY = bytes.fromhex("04112233445566"), AesKey(bytes(range(16)))
REGISTRY = CardRegistry(
    {b"card": CardSecret(UID, KEY), b"ev1": CardSecret(bytes(7), AesKey(bytes(16)), proves=False)}
)
COMMANDS = bytes(32)
GENUINE = CardQuestion(b"card", 7, transaction_mac_value(KEY, UID, 7, COMMANDS), COMMANDS)
TOKEN = "token-of-an-auditor"


class Noon:
    def __init__(self) -> None:
        self.time = datetime(2026, 9, 15, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


class Service:
    """The application over ASGI, with its counts in a folder."""

    def __init__(self, folder: Path, per_day: int = 1_000, denials_per_day: int = 3) -> None:
        self.clock = Noon()
        self.limits = DayLimits(folder / "questions.db", per_day, denials_per_day)
        app = AnswerSide(REGISTRY, self.limits, TOKEN, self.clock).app(lambda: None)
        self.client = Program(app, "10.0.0.1")

    def post(self, content: bytes, token: str = TOKEN) -> httpx.Response:
        return self.client.post(QUESTIONS_PATH, content=content, headers={"authorization": f"Bearer {token}"})

    def ask(self, *questions: CardQuestion) -> list[str] | int:
        answer = self.post(msgspec.msgpack.encode(questions))
        return msgspec.msgpack.decode(answer.content) if answer.status_code == 200 else answer.status_code


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def changed(**fields: object) -> CardQuestion:
    return msgspec.structs.replace(GENUINE, **fields)


def test_it_says_of_each_question_what_the_registry_knows(service: Service) -> None:
    asked = (
        GENUINE,
        changed(card_ref=b"another"),
        changed(tmv=b""),
        changed(card_ref=b"ev1", tmv=b""),
        changed(tmc=8),
    )
    assert service.ask(*asked) == ["genuine", "unknown_card", "known", "cannot_prove", "not_genuine"]


@pytest.mark.parametrize("place", range(8))
def test_one_bit_of_a_proof_makes_it_another(tmp_path: Path, place: int) -> None:
    service = Service(tmp_path, denials_per_day=100)
    other = bytearray(GENUINE.tmv)
    other[place] ^= 1
    assert service.ask(changed(tmv=bytes(other))) == ["not_genuine"]
    assert service.ask(changed(commands=bytes(31) + b"\x01")) == ["not_genuine"]


def test_only_the_auditor_may_ask(service: Service) -> None:
    body = msgspec.msgpack.encode([GENUINE])
    assert [service.post(body, token).status_code for token in ("", "other", TOKEN)] == [401, 401, 200]


def test_guesses_end_with_the_days_limit_also_after_a_restart(tmp_path: Path) -> None:
    service = Service(tmp_path)
    wrong = changed(tmv=bytes(8))
    assert [service.ask(wrong) for _ in range(3)] == [["not_genuine"]] * 3
    assert service.ask(GENUINE) == 429
    service.limits.close()
    again = Service(tmp_path)
    assert again.ask(GENUINE) == 429
    again.clock.time += timedelta(days=1)
    assert again.ask(GENUINE) == ["genuine"]


def test_questions_end_with_the_days_limit(tmp_path: Path) -> None:
    service = Service(tmp_path, per_day=3)
    assert service.ask(GENUINE, GENUINE) == ["genuine", "genuine"]
    assert service.ask(GENUINE, GENUINE) == 429
    assert service.ask(GENUINE) == ["genuine"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        b"\x91" * 10_000,
        msgspec.msgpack.encode([]),
        msgspec.msgpack.encode([GENUINE] * (MOST_AT_ONCE + 1)),
        msgspec.msgpack.encode([[b"card", -1, bytes(8), b""]]),
        msgspec.msgpack.encode([[b"card", 1 << 32, bytes(8), b""]]),
        msgspec.msgpack.encode([[b"card", 1, bytes(9), b""]]),
        msgspec.msgpack.encode([[b"card", 1, bytes(8), bytes(8_193)]]),
        msgspec.msgpack.encode({"card": 1}),
    ],
)
def test_what_is_no_question_is_refused(service: Service, content: bytes) -> None:
    assert service.post(content).status_code == 400
    assert service.ask(GENUINE) == ["genuine"]


def test_a_request_without_an_end_is_cut_off(service: Service) -> None:
    assert service.post(bytes(6 << 20)).status_code == 413


def test_an_answer_that_is_none_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with (
        Asking(ServiceAddress("http://127.0.0.1:9", tmp_path / "token")) as asking,
        pytest.raises(AuditError, match="does not answer"),
    ):
        asking.ask({(1, 1): GENUINE})
    with pytest.raises(AuditError, match="cannot be read"):
        Asking(ServiceAddress("http://127.0.0.1:9", tmp_path / "nothing"))


def test_every_word_is_one_an_auditor_understands() -> None:
    assert {word.value for word in CardWord} == {
        "genuine",
        "not_genuine",
        "known",
        "cannot_prove",
        "unknown_card",
    }
