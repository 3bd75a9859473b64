"""What strangers try is counted in bounded room, and pushes nothing else out."""

from __future__ import annotations

import random

import msgspec

from terminal.collector.alarms import AlarmCause, AlarmKind
from terminal.collector.strangers import (
    ADDRESSES,
    ELSEWHERE,
    EXAMPLES,
    HELD,
    STRANGE_KINDS,
    StrangerCount,
    Strangers,
    reduced,
)
from terminal.collector.users import OfficeRole
from terminal.journal.records import Started
from terminal.sync.credentials import make_keys
from terminal.sync.enrolment import ENROLMENTS_PATH, enrolment_request, new_code
from terminal.sync.wire import BATCHES_PATH
from tests.terminal.collector.office import Terminal, Town
from tests.terminal.journal.samples import INTENT


def test_a_flood_leaves_the_newest_examples_and_no_attempt_uncounted():
    rng, strangers, found = random.Random(3), Strangers(), []
    for n in range(30_000):
        strangers.note(AlarmKind.UNKNOWN_TERMINAL, f"10.{rng.randrange(3)}.{n % 250}.1", n, "not_enrolled", n)
        if n % 9_000 == 0:
            found = reduced([*found, *strangers.take()])
    found = reduced([*found, *strangers.take()])
    assert sum(count.times for count in found) == 30_000
    assert len(found) <= ADDRESSES * (EXAMPLES + 1) + 1
    assert len({count.address for count in found}) == ADDRESSES + 1
    assert found[0].terminal == 29_999
    assert found == reduced(found)
    (elsewhere,) = [count for count in found if count.address == ELSEWHERE]
    assert (elsewhere.terminal, elsewhere.detail) == (0, AlarmCause.MANY_MORE)


def test_kinds_do_not_push_each_other_out():
    counts = [
        StrangerCount(kind, f"10.0.{n}.1", 7, "x", 1, n, n) for kind in STRANGE_KINDS for n in range(300)
    ]
    found = reduced(counts)
    assert {sum(c.times for c in found if c.kind == kind) for kind in STRANGE_KINDS} == {300}
    assert {sum(c.kind == kind for c in found) for kind in STRANGE_KINDS} == {ADDRESSES + 1}


def test_memory_is_bounded_between_two_writings():
    strangers = Strangers()
    for n in range(HELD + 5):
        strangers.note(AlarmKind.BAD_SIGNATURE, f"10.0.0.{n % 3}", n, "batch_refused", n)
    assert len(strangers._counts) < 100
    assert sum(count.times for count in strangers.take()) == HELD + 5
    assert strangers.take() == []


def test_what_cannot_be_written_is_counted_again(tmp_path):
    town = Town(tmp_path)
    town.collector.strangers.note(AlarmKind.BAD_SIGNATURE, "10.0.0.1", 7, "batch_refused", 1)
    taken = town.collector.strangers.take()
    town.collector.strangers.put_back(taken)
    town.collector.strangers.put_back(taken)
    assert [times for *_, times in town.strangers()] == [2]
    assert [times for *_, times in town.strangers()] == [2]
    town.close()


def test_strangers_are_shown_apart_on_page_in_the_api_and_in_metrics_and_push_no_alarm_out(tmp_path):
    town = Town(tmp_path)
    seven = town.terminal(7)
    seven.write(*[Started(INTENT.at_ms, f"{n}") for n in range(3)])
    client = town.client("10.0.0.9")
    assert client.post(BATCHES_PATH, content=seven.batch(3, 3)).status_code == 409
    guess = enrolment_request(7, make_keys(), new_code())
    for number in range(20):
        stranger = Terminal(100 + number, town.clock)
        stranger.write(Started(INTENT.at_ms, "x"))
        near = town.client(f"198.51.100.{number}")
        assert near.post(BATCHES_PATH, content=stranger.batch(1, 1)).status_code == 403
        assert near.post(ENROLMENTS_PATH, content=msgspec.json.encode(guess)).status_code == 403
    operator = {"authorization": f"Bearer {town.user('17', OfficeRole.OPERATE)}"}
    local = town.client("127.0.0.1")
    assert [alarm["kind"] for alarm in local.get("/operator/v1/alarms", headers=operator).json()] == ["gap"]
    strangers = local.get("/operator/v1/strangers", headers=operator).json()
    assert {(c["kind"], c["address"]) for c in strangers} >= {
        ("unknown_terminal", "198.51.100.3"),
        ("enrolment_refused", "198.51.100.3"),
    }
    assert local.get("/operator/v1/status", headers=operator).json()["strange_attempts"] == 40
    page = local.get("/operator/", headers=operator).text
    assert "Attempts without a good signature: 40, from 20 addresses or more." in page
    assert 'resident_collector_strange_attempts{kind="enrolment_refused"} 20' in local.get("/metrics").text
    town.close()
