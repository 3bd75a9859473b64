"""A terminal becomes known with a one-time code, over real HTTP, and neither side can be taken for another."""

from __future__ import annotations

import stat
import subprocess
import sys

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.collector.enrolment import CODE_GOOD_MS, Enrolment, short_of
from terminal.errors import CollectorError
from terminal.journal.records import Started
from terminal.sync.enrolment import (
    ENROLMENTS_PATH,
    EnrolmentReply,
    EnrolmentRequest,
    enrol,
    new_code,
    reply_proof,
    request_proof,
)
from terminal.sync.identity import read_public_key
from tests.terminal.collector.office import Town
from tests.terminal.collector.test_service import running
from tests.terminal.journal.samples import INTENT

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.fixture
def enrolment(tmp_path):
    return Enrolment(tmp_path)


def request(code: str, terminal: int = 7, key: Ed25519PrivateKey = KEY) -> EnrolmentRequest:
    public = key.public_key().public_bytes_raw()
    return EnrolmentRequest(terminal, public.hex(), request_proof(code, terminal, public))


def test_a_code_enrols_one_terminal_once(enrolment):
    code = enrolment.make_code(7, 0)
    assert enrolment.redeem(request(code, terminal=8), 1) is None
    assert enrolment.key_of(7) is None
    assert enrolment.redeem(request(code.lower().replace("-", " ")), 1) == code
    assert enrolment.key_of(7).public_bytes_raw() == KEY.public_key().public_bytes_raw()
    assert enrolment.redeem(request(code), 2) is None
    assert enrolment.numbers() == [7]


def test_a_code_is_spent_by_time_by_guessing_and_by_a_newer_one(enrolment):
    old = enrolment.make_code(7, 0)
    code = enrolment.make_code(7, 0)
    assert enrolment.redeem(request(old), 1) is None
    for _ in range(3):
        assert enrolment.redeem(request(new_code()), 1) is None
    assert enrolment.redeem(request(code), 1) == code
    late = enrolment.make_code(7, 0)
    assert enrolment.redeem(request(late), CODE_GOOD_MS + 1) is None
    guessed = enrolment.make_code(7, 0)
    for _ in range(50):
        assert enrolment.redeem(request(new_code()), 1) is None
    assert enrolment.redeem(request(guessed), 1) == guessed


def test_somebody_in_between_cannot_put_in_his_own_key(enrolment):
    code, thief = enrolment.make_code(7, 0), Ed25519PrivateKey.generate()
    stolen = msgspec.structs.replace(request(code), public_key=thief.public_key().public_bytes_raw().hex())
    assert enrolment.redeem(stolen, 1) is None
    assert enrolment.key_of(7) is None


def test_no_code_or_a_broken_one(enrolment):
    assert enrolment.redeem(request(new_code()), 0) is None
    enrolment.directory.joinpath("7.code").write_text("{")
    assert enrolment.redeem(request(new_code()), 0) is None


def test_a_replaced_key_keeps_the_history(tmp_path):
    town = Town(tmp_path)
    seven = town.terminal(7)
    seven.write(Started(INTENT.at_ms, "before"))
    assert town.send(seven) == 200
    old, seven.key = seven.key, Ed25519PrivateKey.generate()
    code = town.collector.enrolment.make_code(7, town.clock.now_ms)
    client = town.client()
    answer = client.post(ENROLMENTS_PATH, content=msgspec.json.encode(request(code, key=seven.key)))
    assert answer.status_code == 201
    assert town.collector.store.operations(7)[0].code == "key_replaced_by_code"
    assert town.collector.store.operations(7)[0].key == short_of(seven.key.public_key())
    seven.write(Started(INTENT.at_ms, "after"))
    assert town.send(seven) == 200
    assert [row.sequence for row in town.collector.store.records()] == [1, 2]
    seven.key = old
    seven.write(Started(INTENT.at_ms, "the old hardware"))
    assert town.send(seven) == 403
    town.close()


def test_a_refused_enrolment_is_counted_as_a_strangers(tmp_path):
    town = Town(tmp_path)
    client = town.client()
    answer = client.post(ENROLMENTS_PATH, content=msgspec.json.encode(request(new_code())))
    assert (answer.status_code, answer.json()["error"]) == (403, "unknown_terminal")
    assert town.alarms() == []
    assert town.strangers() == [("enrolment_refused", "10.0.0.1", 7, "code_refused", 1)]
    assert client.post(ENROLMENTS_PATH, content=b"{}").status_code == 400
    assert client.post(ENROLMENTS_PATH, content=bytes(5_000)).status_code == 413
    town.close()


def test_from_the_operators_command_to_the_terminals_own(tmp_path):
    folder, state = tmp_path / "collector", tmp_path / "terminal"

    def command(*arguments: str) -> str:
        argv = [sys.executable, "-m", "terminal.cli.app", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    with running(folder) as (_, url):
        made = command("collector", "enrol", "7", "--folder", str(folder), "--json")
        code = msgspec.json.decode(made)["code"]
        told = command("enrol", "--number", "7", "--code", code, "--state", str(state), "--collector", url)
        assert f"terminal 7 is enrolled at {url}" in told
        collector_key = read_public_key(state / "collector.pub").public_bytes_raw()
        assert collector_key == read_public_key(folder / "collector.pub").public_bytes_raw()
        with pytest.raises(CollectorError, match="refused terminal 7"):
            enrol(url, 7, KEY.public_key(), code)
    own = (state / "terminal.pub").read_bytes()
    assert (folder / "terminals/7.pub").read_bytes() == own
    assert stat.S_IMODE((folder / "operator.token").stat().st_mode) == 0o600


def test_a_collector_that_does_not_know_the_code_is_not_believed(monkeypatch):
    code, key = new_code(), KEY.public_key()
    false = Ed25519PrivateKey.generate().public_key().public_bytes_raw()

    def answer(proof: str) -> None:
        reply = EnrolmentReply(7, false.hex(), proof)
        response = httpx.Response(201, content=msgspec.json.encode(reply))
        monkeypatch.setattr(httpx, "post", lambda *_, **__: response)

    answer(reply_proof(new_code(), 7, key.public_bytes_raw(), false))
    with pytest.raises(CollectorError, match="does not know the code"):
        enrol("http://collector", 7, key, code)
    answer(reply_proof(code, 7, key.public_bytes_raw(), false))
    assert enrol("http://collector", 7, key, code).public_bytes_raw() == false
