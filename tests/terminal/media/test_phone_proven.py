"""What a collector that has no secret believes of phones: what issuer and phone signed, once, at this terminal."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from msgspec.structs import replace

from cardproto.credential.cose import build_sign1, parse_sign1
from cardproto.resident.records.event import build_event, parse_event
from sim.image_file import load_image
from sim.lab_issuer import lab_issuer_key
from sim.phone import VirtualPhone
from terminal.app.collector import collector_process, enrol, report, trust
from terminal.app.station import open_journal
from terminal.journal.journal import Journal
from terminal.journal.records import Committed, Intent, SettledBy
from tests.by_hand import ENVIRONMENT
from tests.terminal.cli.conftest import command
from tests.terminal.media.test_phone_live import NOW, RIDES, Scanned, phone_in, said

HONEST, ROBBED = 70001, 70002
ISSUERS = """
[[issuers]]
issuer = "ru-34"
x = "{numbers.x:064x}"
y = "{numbers.y:064x}"
not_before = 2026-01-01T00:00:00Z
not_after = 2028-01-01T00:00:00Z
"""
Change = Callable[[Intent], Intent]


@dataclass
class Believed:
    """What the collector says before and after false rows have come, and which row tells which story."""

    clean: dict[str, Any]
    again: dict[str, Any]
    stories: dict[str, tuple[int, int]]
    decided: dict[str, Any]

    def of(self, story: str) -> list[tuple[str, str]]:
        """The alarms about a story's row."""
        return [
            (alarm["kind"], alarm["detail"])
            for alarm in self.again["alarms"]
            if (alarm["terminal"], alarm["sequence"]) == self.stories[story]
        ]


def commanded(*arguments: object) -> str:
    done = subprocess.run(
        command(arguments), env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def parts(intent: Intent, **changed: bytes) -> Intent:
    """A row of a phone with other parts."""
    names = ("credential", "answer", "way", "event")
    data = [changed.get(name, one[2]) for name, one in zip(names, intent.proof, strict=True)]
    return replace(
        intent, proof=tuple((ins, b"", one) for (ins, _, _), one in zip(intent.proof, data, strict=True))
    )


def another_issuer(intent: Intent) -> Intent:
    """The credential signed with a key of the thief's own, and everything else as it was."""
    payload = parse_sign1(intent.proof[0][2]).payload
    assert payload is not None
    return parts(intent, credential=build_sign1(payload, b"stranger", generate_private_key(SECP256R1())))


NEAR: dict[str, tuple[int, Change]] = {
    "shown again": (HONEST, lambda one: one),
    "never shown": (HONEST, lambda one: parts(one, answer=bytes(16) + one.proof[1][2][16:])),
    "no answer": (HONEST, lambda one: parts(one, answer=b"")),
    "charged": (HONEST, lambda one: replace(one, charge_minor=3_400)),
    "another's": (ROBBED, lambda one: one),
    "a stranger's": (ROBBED, another_issuer),
}
CODES: dict[str, tuple[int, Change]] = {
    "copied code": (ROBBED, lambda one: one),
    "kept code": (ROBBED, lambda one: replace(one, at_ms=one.at_ms + 121_000)),
}


def forge(journal: Journal, number: int, intent: Intent) -> int:
    """A row that its thief makes fit in all that he can: the event is of his row."""
    sequence = journal.next_sequence
    event = parse_event(intent.event)._replace(
        terminal=number, sequence=sequence, amount_minor=intent.charge_minor
    )
    journal.append(replace(intent, event=build_event(event)))
    journal.append(Committed(intent.at_ms, sequence, None, b"", SettledBy.ANSWERED))
    return sequence


@pytest.fixture(scope="module")
def believed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Believed]:
    folder = tmp_path_factory.mktemp("phones")
    near = phone_in(folder, "near")
    shown = load_image(phone_in(folder, "shown"), os.urandom)
    assert isinstance(shown, VirtualPhone)
    with closing(Scanned(folder)) as bus:
        tap = bus.hand.tap(near)
        assert said(tap) == RIDES
        bus.heard()
        assert bus.scan(shown.code(NOW)) == RIDES
        assert bus.scan(shown.code(NOW)) == ("already_paid", "let_in", "nothing_written")
    states = {HONEST: folder / "state", ROBBED: folder / "robbed"}
    decided = json.loads(commanded("journal", "recompute", "--config", folder / "terminal.toml", "--json"))
    collector, issuers = folder / "collector", folder / "issuers.toml"
    issuers.write_text(ISSUERS.format(numbers=lab_issuer_key().public_key().public_numbers()), "utf-8")
    for number, state in states.items():
        enrol(state, number, collector)
    with collector_process(collector, options=("--issuers", str(issuers))) as url:

        def sync() -> dict[str, Any]:
            for number, state in states.items():
                trust(state, collector)
                commanded("sync", "--state", state, "--number", number, "--collector", url)
            return report(url)

        stories: dict[str, tuple[int, int]] = {}
        with open_journal(states[HONEST], HONEST) as journal:
            rows = [one for row in journal.rows() if isinstance(one := row.record, Intent)]
        clean = sync()
        for number, state in states.items():
            with open_journal(state, number) as journal:
                for row, made in zip(rows, (NEAR, CODES), strict=True):
                    for story, (of, change) in made.items():
                        if of == number:
                            stories[story] = (number, forge(journal, number, change(row)))
        yield Believed(clean, sync(), stories, decided)


def test_phones_are_proven_and_decided_again(believed: Believed) -> None:
    proofs = believed.clean["total"]["proofs"]
    assert {proof: sums["RUB"]["taps"] for proof, sums in proofs.items()} == {"proven": 2}
    assert believed.clean["alarms"] == []
    assert (believed.decided["differ"], believed.decided["not_possible"]) == (0, 0)


@pytest.mark.parametrize(
    ("story", "kind", "detail"),
    [
        ("shown again", "shown_twice", "shown_before"),
        ("never shown", "tmv_mismatch", "phone_proof why=not_the_holder"),
        ("no answer", "tmv_mismatch", "phone_proof why=malformed"),
        ("charged", "proof_differs", "debit_differs card=0 stated=3400"),
        ("another's", "tmv_mismatch", "phone_proof why=not_the_holder"),
        ("copied code", "shown_twice", "shown_before"),
        ("kept code", "tmv_mismatch", "phone_proof why=too_old"),
    ],
)
def test_a_terminal_can_invent_none(believed: Believed, story: str, kind: str, detail: str) -> None:
    first, *others = sorted((alarm, text[: len(detail)]) for alarm, text in believed.of(story))
    assert first == (kind, detail)
    assert [alarm for alarm, _ in others] == (["shown_twice"] if story == "charged" else [])


def test_strangers_issuers_are_counted_and_seen(believed: Believed) -> None:
    proofs = believed.again["terminals"][str(ROBBED)]["proofs"]
    assert proofs["unknown_issuer"]["RUB"]["taps"] == 1
    assert Counter(alarm["kind"] for alarm in believed.again["alarms"])["unknown_card"] == 1
