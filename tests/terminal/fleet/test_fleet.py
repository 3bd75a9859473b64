"""Batches through gateways and JetStream into PostgreSQL: each row once, in order, acknowledged when it is durable."""

from __future__ import annotations

import asyncio
import random
from datetime import date
from hashlib import sha256

import msgspec
import pytest

from cardproto.emv.authentication import OfflineMethod
from terminal.collector.alarms import MOST_OPEN, Alarm, AlarmKind
from terminal.collector.fleet import database as fleet
from terminal.collector.fleet.database import FleetDatabase
from terminal.collector.fleet.stream import FleetStream
from terminal.collector.limits import TokenBuckets
from terminal.collector.reconcile import reconcile
from terminal.collector.registry import CardRegistry
from terminal.collector.strangers import EXAMPLES
from terminal.decision.bank_row import BankRow
from terminal.journal.chain import Head
from terminal.journal.operation_records import Restored
from terminal.journal.records import build_record
from terminal.sync import wire
from tests.terminal.fleet.town import Chain, embedded, plain, refusal, through
from tests.terminal.journal.samples import day, intent

CHAIN = plain(7, 40)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 90))


def test_batches_arrive_and_each_is_acknowledged_before_any_consumer_runs(town):
    town.enrol(CHAIN)

    async def play():
        async with town.gateways() as (gateway,):
            acks = [through(await gateway.take(batch), town, CHAIN) for batch in CHAIN.batches()]
        await town.consume()
        return acks

    assert run(play()) == [5, 10, 15, 20, 25, 30, 35, 40]
    assert town.stored() == CHAIN.records()
    assert town.alarms() == []
    assert [(t.terminal, t.sequence, t.stated_head) for t in fleet.terminals(town.dsn)] == [(7, 40, 40)]
    receipts = town.ask("SELECT first, last FROM receipt ORDER BY first")
    assert receipts == [(n, n + 4) for n in range(1, 41, 5)]


def test_a_batch_sent_again_is_acknowledged_and_stored_once(town):
    town.enrol(CHAIN)

    async def play():
        async with town.gateways() as (gateway,):
            for batch in CHAIN.batches():
                await gateway.take(batch)
                assert through(await gateway.take(batch), town, CHAIN) >= 5
            assert through(await gateway.take(CHAIN.batch(1, 5)), town, CHAIN) == 40
            assert through(await gateway.take(CHAIN.batch(3, 12)), town, CHAIN) == 40
            assert through(await gateway.take(CHAIN.batch(41, 40)), town, CHAIN) == 40
        assert await town.messages() == [(n, n + 4) for n in range(1, 41, 5)]
        await town.consume()

    run(play())
    assert town.stored() == CHAIN.records()
    assert town.alarms() == []


def test_what_was_taken_out_on_the_way_is_kept_with_a_copy_and_named_by_it_alone(town):
    content = bytes(700)
    parts = BankRow(date(2031, 1, 31), 1, OfflineMethod.CDA, None, 1, sha256(content).digest())
    chain = Chain([build_record(intent(proof=parts.commands)), b"\x01other"])
    town.enrol(chain)
    whole = wire.encode(msgspec.structs.replace(wire.parse_batch(chain.batch(1, 2)), sealed=((1, content),)))

    async def play():
        async with town.gateways() as (gateway,):
            replies = [await gateway.take(data) for data in (chain.batch(1, 2), whole)]
        await town.consume()
        return [wire.parse_ack(reply.body) for reply in replies]

    acks = run(play())
    assert [(ack.through, ack.sealed) for ack in acks] == [(2, ()), (2, (1,))]
    assert all(wire.ack_is_genuine(ack, town.key.public_key()) for ack in acks)
    assert town.ask("SELECT terminal, sequence, body FROM sealed_row") == [(7, 1, content)]


def test_a_batch_that_overlaps_brings_what_is_new(town):
    town.enrol(CHAIN)

    async def play():
        async with town.gateways() as (gateway,):
            for first, last in ((1, 8), (5, 20), (20, 40)):
                assert through(await gateway.take(CHAIN.batch(first, last)), town, CHAIN) == last
        await town.consume()

    run(play())
    assert town.stored() == CHAIN.records()
    assert town.ask("SELECT first, last FROM receipt ORDER BY first") == [(1, 8), (9, 20), (21, 40)]


def test_a_gap_is_refused_with_what_is_wanted(town):
    town.enrol(CHAIN)

    async def play():
        async with town.gateways() as (gateway,):
            assert refusal(await gateway.take(CHAIN.batch(6, 10))) == (409, "gap", 1)
            await gateway.take(CHAIN.batch(1, 5))
            assert refusal(await gateway.take(CHAIN.batch(11, 15))) == (409, "gap", 6)
        await town.consume()

    run(play())
    assert len(town.stored()) == 5
    assert town.alarms() == [("gap", 7, 1), ("gap", 7, 6)]


def test_another_hash_is_refused_and_never_overwrites(town):
    other = Chain([*CHAIN.bodies[:9], b"\x01forged", *CHAIN.bodies[10:]], key=CHAIN.key)
    town.enrol(CHAIN)

    async def play():
        async with town.gateways() as (gateway,):
            for batch in CHAIN.batches():
                await gateway.take(batch)
            assert refusal(await gateway.take(other.batch(31, 40)))[:2] == (409, "other_hash")
            # What lies before the newest message a gateway cannot judge; the database does.
            assert through(await gateway.take(other.batch(8, 12)), town, CHAIN) == 40
        await town.consume()

    run(play())
    assert town.stored() == CHAIN.records()
    assert sorted(town.alarms()) == [("other_hash", 7, 10), ("other_hash", 7, 40)]
    assert town.ask("SELECT stream LIKE '%NOTES', reason, data FROM refused_message") == [
        (True, "other_hash", other.batch(8, 12))
    ]


def test_a_cut_journal_confesses(town):
    town.enrol(CHAIN)

    async def play():
        async with town.gateways() as (gateway,):
            await gateway.take(CHAIN.batch(1, 40))
            await gateway.take(CHAIN.batch(31, 30))
            await town.consume()
            assert town.alarms() == []
            assert through(await gateway.take(CHAIN.batch(31, 30, confirmed=40, at_ms=2)), town, CHAIN) == 40
        await town.consume()

    run(play())
    assert town.alarms() == [("cut_tail", 7, 30)]


def test_strangers_are_refused_and_counted_apart_from_alarms(town):
    stranger = plain(8, 3)

    async def play():
        town.enrol(CHAIN)
        forged = Chain(CHAIN.bodies, 7, stranger.key)
        async with town.gateways() as (gateway,):
            for _ in range(3):
                assert refusal(await gateway.take(stranger.batch(1, 3)))[:2] == (403, "unknown_terminal")
                assert refusal(await gateway.take(forged.batch(1, 3)))[:2] == (403, "bad_signature")
            assert refusal(await gateway.take(b"rubbish"))[:2] == (400, "malformed")
        await town.consume()

    run(play())
    assert town.stored() == []
    assert town.alarms() == []
    tried = [("bad_signature", "", 7, "batch_refused", 3), ("unknown_terminal", "", 8, "not_enrolled", 3)]
    assert sorted(town.strangers()) == tried


def test_any_number_of_strangers_takes_a_bounded_number_of_lines(town):
    async def play():
        async with town.gateways() as (gateway,):
            for number in range(10, 410):
                await gateway.take(plain(number, 1).batch(1, 1), f"10.0.{number // 10}.1")
        await town.consume()

    run(play())
    found = town.strangers()
    assert sum(times for *_, times in found) == 400
    assert {times for *_, terminal, _, times in found if terminal} == {1}
    assert len(found) == 40 * (EXAMPLES + 1)


def test_a_stolen_key_pushes_no_alarm_of_another_terminal_out(town):
    other = Alarm(AlarmKind.GAP, 8, 4, "rows_missing first=4 last=5")
    many = [(Alarm(AlarmKind.OTHER_HASH, 7, n, "hash_differs"), n) for n in range(1, MOST_OPEN + 51)]

    async def play():
        database = await FleetDatabase.open(town.dsn)
        await database.keep_alarms([(other, 1), *many, many[2]])
        await database.close()

    run(play())
    fleet.keep_findings(town.dsn, [Alarm(AlarmKind.OTHER_HASH, 7, 9_000, "given_up")], 9_000)
    alarms = town.alarms()
    assert len(alarms) == MOST_OPEN + 2
    assert ("gap", 8, 4) in alarms
    assert town.ask("SELECT times FROM alarm WHERE detail = 'many_more'") == [(50,)]
    assert town.ask("SELECT times FROM alarm WHERE terminal = 7 AND sequence = 3") == [(2,)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_several_gateways_at_once_make_one_line(town, seed):
    """Twice, in any order, in stretches of any length, through three gateways that know nothing of each other."""
    rng = random.Random(seed)
    chains = [plain(number, 60) for number in (7, 8, 9)]
    town.enrol(*chains)

    async def upload(gateways, chain: Chain) -> None:
        """What terminals gone wild would do: nobody waits for an answer."""
        first = 1
        while first <= 60:
            last = min(60, first + rng.randrange(1, 9))
            batch = chain.batch(rng.randrange(max(1, first - 4), first + 1), last)
            copies = rng.sample(gateways, 2)
            replies = await asyncio.gather(*(gateway.take(batch) for gateway in copies))
            acks = [through(reply, town, chain) for reply in replies if reply.status == 200]
            assert all(ack >= last for ack in acks)
            if acks:
                first = last + 1
            if rng.random() < 0.3:
                some = rng.randrange(1, 60)
                late = await rng.choice(gateways).take(chain.batch(some, min(60, some + 9)))
                if late.status == 200:
                    first = max(first, through(late, town, chain) + 1)

    async def play():
        async with town.gateways(3) as gateways, town.consumer(), town.consumer():
            await asyncio.gather(*(upload(gateways, chain) for chain in chains for _ in range(2)))
            await town.until_consumed()

    run(play())
    assert town.stored() == [record for chain in chains for record in chain.records()]
    assert {kind for kind, *_ in town.alarms()} <= {"gap"}


def test_two_versions_of_a_row_through_two_gateways_end_in_one(town):
    """Only one can enter; the other is refused, and what was acknowledged is what is stored."""
    forks = [Chain([b"\x01fork %d" % side] + [b"\x01later"] * 9, key=CHAIN.key) for side in range(6)]
    town.enrol(CHAIN)

    async def play():
        async with town.gateways(6) as gateways:
            replies = await asyncio.gather(
                *(gateway.take(fork.batch(1, 10)) for gateway, fork in zip(gateways, forks, strict=True))
            )
        taken = [fork for fork, reply in zip(forks, replies, strict=True) if reply.status == 200]
        assert len(taken) == 1
        assert all(refusal(reply)[:2] == (409, "other_hash") for reply in replies if reply.status != 200)
        await town.consume()
        return taken[0]

    taken = run(play())
    assert town.stored() == taken.records()
    assert ("other_hash", 7, 10) in town.alarms() or ("other_hash", 7, 1) in town.alarms()


def test_a_gateway_started_anew_goes_on(town):
    town.enrol(CHAIN)

    async def play():
        for number, batch in enumerate(CHAIN.batches()):
            async with town.gateways() as (gateway,):
                assert through(await gateway.take(batch), town, CHAIN) == number * 5 + 5
        await town.consume()

    run(play())
    assert town.stored() == CHAIN.records()


def test_what_is_stored_leaves_the_stream_and_the_newest_stays(town):
    town.enrol(CHAIN)

    async def play():
        async with town.gateways(2) as (first, second):
            for batch in CHAIN.batches()[:4]:
                await first.take(batch)
            async with town.consumer() as consumer:
                await town.until_consumed()
                await consumer.trim()
                await first.take(CHAIN.batch(21, 25))
            assert await town.messages() == [(16, 20), (21, 25)]
            assert through(await second.take(CHAIN.batch(26, 40)), town, CHAIN) == 40
        await town.consume()

    run(play())
    assert town.stored() == CHAIN.records()


def test_a_stream_that_was_lost_goes_on_from_the_database(town):
    town.enrol(CHAIN)

    async def play():
        async with town.gateways(2) as (first, second):
            await first.take(CHAIN.batch(1, 20))
            await town.consume()
            stream = await FleetStream.open(town.stream)
            await stream._jetstream.delete_stream(town.stream.name)
            await town.prepare()
            await stream.close()
            assert refusal(await second.take(CHAIN.batch(26, 30))) == (409, "gap", 21)
            assert through(await first.take(CHAIN.batch(21, 30)), town, CHAIN) == 30
            assert through(await second.take(CHAIN.batch(31, 40)), town, CHAIN) == 40
        await town.consume()

    run(play())
    assert town.stored() == CHAIN.records()


@pytest.mark.parametrize("tampered", [False, True], ids=["equal", "tampered"])
def test_the_key_guards_when_the_head_of_a_terminal_is_wrong(town, tampered):
    """As after a table put back by hand: rows lie beyond the head, and COPY meets their key."""
    town.enrol(CHAIN)

    async def play():
        async with town.gateways() as (gateway,):
            await gateway.take(CHAIN.batch(1, 20))
            await town.consume()
            town.tell(f"UPDATE terminal SET sequence = 10, hash = '\\x{CHAIN.heads[10].hash.hex()}'")
            if tampered:
                town.tell("UPDATE record SET body = 'other', hash = sha256('other') WHERE sequence = 15")
            await gateway.take(CHAIN.batch(11, 25))
        await town.consume()

    run(play())
    rows = town.ask("SELECT sequence, body FROM record ORDER BY sequence")
    if tampered:
        assert rows == [(r.sequence, b"other" if r.sequence == 15 else r.body) for r in CHAIN.records()[:20]]
        assert town.alarms() == [("other_hash", 7, 15)]
        assert town.ask("SELECT reason, data FROM refused_message") == [("other_hash", CHAIN.batch(11, 25))]
    else:
        assert rows == [(r.sequence, r.body) for r in CHAIN.records()[:25]]
        assert town.alarms() == []


def test_what_is_no_batch_is_put_aside(town):
    async def play():
        stream = await FleetStream.open(town.stream)
        await stream._jetstream.publish(f"{town.stream.name}.batch.7", b"rubbish")
        await stream._jetstream.publish(f"{town.stream.name}.copy.7", b"more rubbish")
        await stream.close()
        town.enrol(CHAIN)
        async with town.gateways() as (gateway,):
            assert refusal(await gateway.take(CHAIN.batch(1, 5)))[:2] == (503, "unavailable")
        await town.consume()

    run(play())
    assert {data for (data,) in town.ask("SELECT data FROM refused_message")} == {b"rubbish", b"more rubbish"}


def test_a_full_stream_takes_nothing_and_loses_nothing(town, monkeypatch):
    monkeypatch.setattr("terminal.collector.fleet.stream.MAX_WAITING_BATCHES", 3)
    town.enrol(CHAIN)

    async def play():
        await town.prepare()
        async with town.gateways() as (gateway,):
            replies = [await gateway.take(batch) for batch in CHAIN.batches()[:4]]
            assert [reply.status for reply in replies] == [200, 200, 200, 503]
            async with town.consumer() as consumer:
                await town.until_consumed()
                await consumer.trim()
                assert through(await gateway.take(CHAIN.batches()[3]), town, CHAIN) == 20
                await town.until_consumed()

    run(play())
    assert town.stored() == CHAIN.records()[:20]


def test_a_terminal_restored_on_new_hardware_goes_on_behind_its_gap(town):
    """As docs/adr/0012 has it: the row that declares the gap is chained to the newest row held."""
    declares = build_record(Restored(at_ms=9, after=20, backup=15, backup_at_ms=5))
    behind = Chain([*CHAIN.bodies[:20], declares, b"\x01later", b"\x01later still"], key=CHAIN.key)
    undeclared = Chain([*CHAIN.bodies[:20], b"\x01nothing said", b"\x01later"], key=CHAIN.key)
    jump = 1_000_000

    def moved(chain: Chain, first: int, last: int) -> bytes:
        previous, head = chain.heads[first - 1], chain.heads[last]
        bodies = tuple(chain.bodies[first - 1 : last])
        at = Head(previous.sequence + jump, previous.hash), Head(head.sequence + jump, head.hash)
        return wire.encode(wire.build_batch(7, at[0], bodies, at[1], 9, chain.key))

    async def play():
        town.enrol(CHAIN)
        async with town.gateways(2) as (first, second):
            await first.take(CHAIN.batch(1, 20))
            assert refusal(await second.take(moved(undeclared, 21, 22))) == (409, "gap", 21)
            for gateway, batch in ((second, moved(behind, 21, 22)), (first, moved(behind, 21, 22))):
                reply = await gateway.take(batch)
                assert wire.parse_ack(reply.body).through == jump + 22
            assert wire.parse_ack((await first.take(moved(behind, 23, 23))).body).through == jump + 23
            await first.take(CHAIN.batch(21, 25))  # the old machine, with a copied identity
        await town.consume()

    run(play())
    assert [row.sequence for row in town.stored()] == [*range(1, 21), jump + 21, jump + 22, jump + 23]
    assert sorted(town.alarms()) == [("gap", 7, 21), ("gap", 7, 21), ("other_hash", 7, 21)]


def test_who_uploads_too_often_is_asked_to_wait(town):
    town.enrol(CHAIN)

    async def play():
        buckets = TokenBuckets(0.01, 2, town.clock.monotonic)
        async with town.gateways(buckets=buckets) as (gateway,):
            replies = [await gateway.take(batch) for batch in CHAIN.batches()[:3]]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].retry_after_s > 10

    run(play())


def test_no_database_no_new_terminals_but_known_ones_go_on(town):
    new = plain(8, 3)
    town.enrol(CHAIN, new)

    async def play():
        async with town.gateways() as (gateway,):
            await gateway.take(CHAIN.batch(1, 5))
            dsn, town.dsn = town.dsn, "host=/nonexistent"
            assert through(await gateway.take(CHAIN.batch(6, 10)), town, CHAIN) == 10
            assert refusal(await gateway.take(new.batch(1, 3)))[:2] == (503, "unavailable")
            town.dsn = dsn
            assert through(await gateway.take(new.batch(1, 3)), town, new) == 3

    run(play())


def test_totals_are_the_embedded_collector_s_to_the_kopeck(town, tmp_path):
    chains = [Chain([build_record(record) for record in day(40)], number) for number in (7, 8)]
    town.enrol(*chains)
    batches = [batch for chain in chains for batch in chain.batches(7)]
    random.Random(5).shuffle(batches)

    async def play():
        async with town.gateways(2) as gateways, town.consumer():
            waiting = list(batches)
            while waiting:  # as terminals do: what was refused is sent again later
                batch = waiting.pop(0)
                replies = [await gateway.take(batch) for gateway in gateways]
                if {reply.status for reply in replies} != {200}:
                    waiting.append(batch)
            await town.until_consumed()

    run(play())
    plain_books = embedded(tmp_path, chains, [batch for chain in chains for batch in chain.batches(7)])
    theirs = reconcile(plain_books.store.records(), CardRegistry()).total
    assert town.totals() == theirs
    assert theirs.charged_in("RUB") > 0
    assert theirs.taps == 80
    plain_books.store.close()
