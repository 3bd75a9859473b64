"""A terminal becomes known with a one-time code and renews what it is known by; neither side is taken for another."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.clock import from_unix_ms
from terminal.collector.certify import LIFE, Authority, as_der
from terminal.collector.enrolment import CODE_GOOD_MS, Enrolment, EnrolmentState, Granted, short_of
from terminal.collector.identities import RENEWABLE_MS
from terminal.errors import CollectorError, KeyFileError
from terminal.journal.records import Started
from terminal.sealed_box import seal_to
from terminal.sync.credentials import TerminalKeys, make_keys
from terminal.sync.enrolment import (
    ENROLMENTS_PATH,
    RENEWALS_PATH,
    Certified,
    IdentityReply,
    code_proof,
    enrol,
    enrolment_request,
    new_code,
    public_part,
    renew,
    renewal_request,
    reply_digest,
    reply_proof,
)
from terminal.sync.exchange import Answer
from terminal.sync.wire import RefusalCode
from tests.terminal.collector.office import Program, Town
from tests.terminal.journal.samples import INTENT

DAY_MS = 24 * 3600 * 1000
KEYS = make_keys()


@pytest.fixture
def enrolment(tmp_path):
    return Enrolment(tmp_path / "terminals")


class Asking:
    """A link whose other end is the application in this process."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.lost = 0
        self.asked: list[bytes] = []

    def exchange(self, path: str, body: bytes, content_type: str) -> Answer:
        answer = self._program.post(path, content=body)
        self.asked.append(body)
        if self.lost:
            self.lost -= 1
            raise CollectorError("the answer was lost", "Try again.")
        return Answer(answer.status_code, answer.content, None, answer.headers["content-type"])


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path)
    yield made
    made.close()


@pytest.fixture
def asking(town):
    return Asking(town.client())


def ready(enrolment: Enrolment, keys: TerminalKeys = KEYS, at_ms: int = 0) -> Granted:
    """Terminal 7, enrolled with `keys`."""
    granted = enrolment.redeem(enrolment_request(7, keys, enrolment.make_code(7, at_ms)), at_ms)
    assert isinstance(granted, Granted)
    return granted


# The code


def test_a_code_enrols_one_terminal_once(enrolment):
    code = enrolment.make_code(7, 0)
    assert enrolment.redeem(enrolment_request(8, KEYS, code), 1) is RefusalCode.CODE_REFUSED
    assert enrolment.key_of(7) is None
    request = enrolment_request(7, KEYS, code.lower().replace("-", " "))
    granted = enrolment.redeem(request, 1)
    assert (granted.code, granted.replaced, granted.again) == (code, False, False)
    assert enrolment.key_of(7).public_bytes_raw() == KEYS.name
    other = enrolment_request(7, make_keys(), code)
    assert enrolment.redeem(other, 2) is RefusalCode.CODE_SPENT
    assert enrolment.numbers() == [7]


def test_the_same_request_again_has_the_same_answer(enrolment):
    code = enrolment.make_code(7, 0)
    request = enrolment_request(7, KEYS, code)
    first, again = enrolment.redeem(request, 1), enrolment.redeem(request, CODE_GOOD_MS - 1)
    assert again.again
    assert again.keys == first.keys
    assert len(enrolment.record_of(7).ever) == 1
    enrolment.enrol(7, make_keys().signing.public_key())
    assert enrolment.redeem(request, 3) is RefusalCode.CODE_REFUSED


def test_a_code_is_spent_by_time_and_a_newer_one_and_never_by_guesses(enrolment):
    old = enrolment.make_code(7, 0)
    code = enrolment.make_code(7, 0)
    assert enrolment.redeem(enrolment_request(7, KEYS, old), 1) is RefusalCode.CODE_REFUSED
    for _ in range(3):
        guess = enrolment_request(7, KEYS, new_code())
        assert enrolment.redeem(guess, 1) is RefusalCode.CODE_REFUSED
    assert isinstance(enrolment.redeem(enrolment_request(7, KEYS, code), 1), Granted)
    late = enrolment_request(7, KEYS, enrolment.make_code(7, 0))
    assert enrolment.redeem(late, CODE_GOOD_MS + 1) is RefusalCode.CODE_EXPIRED
    guessed = enrolment.make_code(7, 0)
    for _ in range(50):
        enrolment.redeem(enrolment_request(7, KEYS, new_code()), 1)
    assert isinstance(enrolment.redeem(enrolment_request(7, KEYS, guessed), 1), Granted)


def test_no_code_or_a_broken_one(enrolment):
    request = enrolment_request(7, KEYS, new_code())
    assert enrolment.redeem(request, 0) is RefusalCode.CODE_REFUSED
    enrolment.directory.joinpath("7.code").write_text("{")
    assert enrolment.redeem(request, 0) is RefusalCode.CODE_REFUSED


def test_all_three_keys_must_be_the_senders_own(enrolment):
    """With the right code, but one key after the other not its own."""
    thief = make_keys()
    own, others = public_part(7, KEYS), public_part(7, thief)
    changes = {
        "signing": others.signing,
        "request": "no request",
        "sealing": "00" * 32,
        "tls": others.tls,
    }
    for name, value in changes.items():
        code = enrolment.make_code(7, 0)
        keys = msgspec.structs.replace(own, **{name: value})
        asked = enrolment_request(7, KEYS, code)
        bare = msgspec.structs.replace(asked, keys=keys)
        covered = RefusalCode.KEYS_UNPROVEN if name == "request" else RefusalCode.CODE_REFUSED
        assert enrolment.redeem(bare, 1) is covered, "the proof covers the keys"
        signed = msgspec.structs.replace(bare, signature=KEYS.sign(bare.digest).hex())
        proven = msgspec.structs.replace(signed, proof=_proof(code, signed))
        assert enrolment.redeem(proven, 1) is RefusalCode.KEYS_UNPROVEN, name
    assert enrolment.key_of(7) is None


def _proof(code, request):
    return code_proof(code, request)


# Renewal


def test_old_and_new_keys_work_until_the_new_ones_were_used(enrolment):
    ready(enrolment)
    new = make_keys()
    granted = enrolment.renew(renewal_request(7, new, KEYS), DAY_MS)
    assert (granted.again, granted.keys.signing) == (False, new.name.hex())
    assert [one.signing for one in enrolment.record_of(7).live] == [KEYS.name.hex(), new.name.hex()]
    enrolment.used(7, enrolment.record_of(7).live[0], DAY_MS)
    assert len(enrolment.record_of(7).live) == 2, "the old ones say nothing"
    enrolment.used(7, enrolment.record_of(7).live[1], 2 * DAY_MS)
    record = Enrolment(enrolment.directory).record_of(7)
    assert [one.signing for one in record.live] == [new.name.hex()]
    assert [(one.signing, one.ended_ms) for one in record.former] == [(KEYS.name.hex(), 2 * DAY_MS)]
    assert enrolment.renew(renewal_request(7, make_keys(), KEYS), 3 * DAY_MS) is RefusalCode.KEYS_OUTDATED


def test_a_lost_answer_to_a_renewal_is_given_again(enrolment):
    ready(enrolment)
    request = renewal_request(7, make_keys(), KEYS)
    first, again = enrolment.renew(request, 1), enrolment.renew(request, 2)
    assert (first.again, again.again) == (False, True)
    assert again.keys == first.keys
    newer = make_keys()
    assert enrolment.renew(renewal_request(7, newer, KEYS), 3).keys.signing == newer.name.hex()
    assert len(enrolment.record_of(7).live) == 2, "the newest request counts"


def test_keys_that_wait_may_approve_the_next_ones(enrolment):
    """The terminal has adopted them and sent nothing yet."""
    ready(enrolment)
    new, newer = make_keys(), make_keys()
    enrolment.renew(renewal_request(7, new, KEYS), 1)
    assert isinstance(enrolment.renew(renewal_request(7, newer, new), 2), Granted)
    assert [one.signing for one in enrolment.record_of(7).live] == [new.name.hex(), newer.name.hex()]


def test_who_may_not_renew(enrolment):
    thief, new = make_keys(), make_keys()
    request = renewal_request(7, new, KEYS)
    assert enrolment.renew(request, 1) is RefusalCode.UNKNOWN_TERMINAL
    granted = ready(enrolment)
    assert enrolment.renew(renewal_request(7, new, thief), 1) is RefusalCode.KEYS_OUTDATED
    for forged in ({"approval": thief.sign(request.digest).hex()}, {"signature": thief.sign(b"x").hex()}):
        asked = msgspec.structs.replace(request, **forged)
        assert enrolment.renew(asked, 1) is RefusalCode.KEYS_UNPROVEN
    late_ms = granted.keys.until_ms + RENEWABLE_MS
    assert enrolment.renew(request, late_ms + 1) is RefusalCode.RENEWAL_TOO_LATE
    assert isinstance(enrolment.renew(request, late_ms), Granted)
    assert enrolment.revoke(7, late_ms)
    assert enrolment.renew(request, late_ms) is RefusalCode.UNKNOWN_TERMINAL
    assert enrolment.state_of(7) is EnrolmentState.REVOKED
    assert len(enrolment.record_of(7).ever) == 2, "what they signed can be verified"


def test_a_certificate_counts_while_its_keys_do(enrolment):
    first = as_der(ready(enrolment).keys.certificate)
    assert enrolment.holds_certificate(7, first)
    assert not enrolment.holds_certificate(8, first)
    again = ready(enrolment, at_ms=1)
    assert not enrolment.holds_certificate(7, first)
    assert enrolment.holds_certificate(7, as_der(again.keys.certificate))
    enrolment.revoke(7, 1)
    assert not enrolment.holds_certificate(7, as_der(again.keys.certificate))


def test_a_certificate_names_its_terminal_and_ends(tmp_path):
    at_ms = INTENT.at_ms
    authority, request = Authority(tmp_path, at_ms), public_part(7, KEYS).request
    asked = x509.load_pem_x509_csr(request.encode())
    made = authority.certify(7, asked.public_key(), at_ms)
    found = x509.load_pem_x509_certificate(made.certificate.encode())
    assert found.subject.rfc4514_string() == "CN=terminal-7"
    own = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    right = from_unix_ms(at_ms) - timedelta(weeks=4)
    assert max(own.not_valid_before_utc, found.not_valid_before_utc) < right, "made by a clock that was ahead"
    assert made.until_ms // 1000 == (at_ms + LIFE.total_seconds() * 1000) // 1000
    found.verify_directly_issued_by(own)
    assert Authority(tmp_path, at_ms).path.read_bytes() == (tmp_path / "ca.crt").read_bytes()
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["ca.key", "ca.crt"])
def test_an_authority_that_is_damaged_is_refused(tmp_path, damage):
    Authority(tmp_path, 0)
    (tmp_path / damage).write_text("nothing")
    with pytest.raises(KeyFileError, match="no authority"):
        Authority(tmp_path, 0)


def test_an_authority_of_which_a_power_cut_left_the_key(tmp_path):
    Authority(tmp_path, 0)
    key = (tmp_path / "ca.key").read_bytes()
    (tmp_path / "ca.crt").unlink()
    Authority(tmp_path, 0)
    assert (tmp_path / "ca.key").read_bytes() == key


# Over the collector's application


def test_from_the_code_to_renewed_keys(town, asking):
    code = town.collector.enrolment.make_code(7, town.clock.now_ms)
    keys, collector = enrol(asking, 7, make_keys(), code)
    assert keys.certificate.startswith("-----BEGIN CERTIFICATE")
    seven = town.terminal(8)
    seven.number, seven.key = 7, keys
    seven.write(Started(INTENT.at_ms, "before"))
    assert town.send(seven) == 200
    asking.lost, new = 1, make_keys()
    with pytest.raises(CollectorError, match="lost"):
        renew(asking, 7, new, keys, collector)
    seven.write(Started(INTENT.at_ms, "with the old ones"))
    assert town.send(seven) == 200
    renewed = renew(asking, 7, new, keys, collector)
    assert renewed.certificate != keys.certificate
    seven.key = renewed
    seven.write(Started(INTENT.at_ms, "with the new ones"))
    assert town.send(seven) == 200
    seven.key = keys
    seven.write(Started(INTENT.at_ms, "old hardware"))
    assert town.send(seven) == 403
    done = [(one.code, one.about) for one in town.collector.store.operations(7)]
    assert done == [
        ("enrolled_by_code", short_of(keys.signing.public_key())),
        ("renewed", short_of(new.signing.public_key())),
    ]


def test_a_replaced_key_keeps_the_history(town, asking):
    seven = town.terminal(7)
    seven.write(Started(INTENT.at_ms, "before"))
    assert town.send(seven) == 200
    old = seven.key
    code = town.collector.enrolment.make_code(7, town.clock.now_ms)
    seven.key, _ = enrol(asking, 7, make_keys(), code)
    assert town.collector.store.operations(7)[0].code == "key_replaced_by_code"
    seven.write(Started(INTENT.at_ms, "after"))
    assert town.send(seven) == 200
    assert [row.sequence for row in town.collector.store.records()] == [1, 2]
    seven.key = old
    seven.write(Started(INTENT.at_ms, "the old hardware"))
    assert town.send(seven) == 403


def test_a_refused_enrolment_says_why_and_a_guess_is_a_strangers(town, asking):
    with pytest.raises(CollectorError, match="code_refused"):
        enrol(asking, 7, KEYS, new_code())
    assert town.alarms() == []
    counted = [("enrolment_refused", "10.0.0.1", 7, "code_refused", 1)]
    assert town.strangers() == counted
    code = town.collector.enrolment.make_code(7, town.clock.now_ms - CODE_GOOD_MS - 1)
    with pytest.raises(CollectorError, match=r"code_expired.*good for a day"):
        enrol(asking, 7, KEYS, code)
    assert town.strangers() == counted, "who has the code is no stranger"


@pytest.mark.parametrize("path", [ENROLMENTS_PATH, RENEWALS_PATH])
def test_what_is_no_request(town, path):
    client = town.client()
    for content, status in ((b"{}", 400), (b"[" * 4_000, 400), (b"\xff", 400), (bytes(5_000), 413)):
        assert client.post(path, content=content).status_code == status


class Answering:
    """A collector that says what a test makes it say."""

    def __init__(self, answer: IdentityReply) -> None:
        self._answer = answer

    def exchange(self, *_: object) -> Answer:
        return Answer(201, msgspec.json.encode(self._answer))


def test_a_collector_that_does_not_know_the_code_is_not_believed():
    code, collector = new_code(), Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    digest = enrolment_request(7, KEYS, code).digest
    sealed = seal_to(KEYS.sealing.public_key().public_bytes_raw(), b"{}", digest)
    for known in (new_code(), code.replace(code[0], "0" if code[0] != "0" else "1")):
        reply = IdentityReply(7, collector.hex(), sealed.hex(), reply_proof(known, digest, collector, sealed))
        with pytest.raises(CollectorError, match="does not know the code"):
            enrol(Answering(reply), 7, KEYS, code)


def test_a_certificate_for_another_is_not_taken(tmp_path):
    """The collector knows the code, and answers with what is sealed to another, or is another's."""
    code, collector, other = new_code(), bytes(32), make_keys()
    digest = enrolment_request(7, KEYS, code).digest
    asked = x509.load_pem_x509_csr(public_part(7, other).request.encode())
    made = msgspec.json.encode(Authority(tmp_path, 0).certify(7, asked.public_key(), 0))
    for sealed_to, content in ((other, made), (KEYS, made), (KEYS, b"{}")):
        sealed = seal_to(sealed_to.sealing.public_key().public_bytes_raw(), content, digest)
        reply = IdentityReply(7, collector.hex(), sealed.hex(), reply_proof(code, digest, collector, sealed))
        with pytest.raises(CollectorError, match="not for this terminal"):
            enrol(Answering(reply), 7, KEYS, code)


def test_an_answer_to_a_renewal_that_the_collector_did_not_sign(tmp_path):
    own, thief, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate(), make_keys()
    digest = renewal_request(7, new, KEYS).digest
    content = msgspec.json.encode(Certified("", 0))
    sealed = seal_to(new.sealing.public_key().public_bytes_raw(), content, digest)
    collector = own.public_key()
    signature = thief.sign(reply_digest(digest, collector.public_bytes_raw(), sealed)).hex()
    for proof in (signature, "", "zz"):
        reply = IdentityReply(7, collector.public_bytes_raw().hex(), sealed.hex(), proof)
        with pytest.raises(CollectorError, match="not signed by the collector"):
            renew(Answering(reply), 7, new, KEYS, collector)


def test_a_record_that_is_damaged_trusts_no_terminal(enrolment, tmp_path: Path):
    ready(enrolment)
    for content in (b"", b"{", b"[" * 100_000):
        (enrolment.directory / "7.json").write_bytes(content)
        with pytest.raises(KeyFileError, match="holds no keys"):
            enrolment.key_of(7)
        assert enrolment.numbers() == []
    ready(enrolment)
    assert enrolment.numbers() == [7]
