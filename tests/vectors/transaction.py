"""A whole recorded session with a transaction MAC, read back from its APDUs and proved anew.

What the bytes leave open (was this read enciphered, did it read the transaction MAC file, how many records were
"all"?) has at most a few answers; the card's own TMV says which one is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any

from cardproto.desfire import commands as ins
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import Session
from cardproto.desfire.recording import (
    CHANGES_VALUE,
    READS_DATA,
    READS_RECORDS,
    UPDATES_RECORD,
    WRITES_DATA,
    WRITES_RECORD,
    RecordedCommand,
    SessionReader,
    join_frames,
)
from cardproto.desfire.transaction_mac import (
    CONTENT_BYTES,
    DataCommand,
    TransactionMac,
    decrypt_reader_id,
    encrypt_reader_id,
    session_tm_keys,
    tmi,
    transaction_mac_value,
)
from tests.vectors.fields import Fields, keys_in, named, number, raw, text

MOST_READINGS = 4096
Reading = tuple[DataCommand, ...]


@dataclass
class Committed:
    """The newest transaction that the recording saw committed."""

    session: Session
    commands: list[RecordedCommand]
    answered: TransactionMac | None
    read_before: int | None = None


@dataclass
class Conversation:
    """The commands of the running transaction, and of the one committed last."""

    commands: list[RecordedCommand] = field(default_factory=list)
    committed: Committed | None = None

    def take(self, command: RecordedCommand, session: Session | None) -> None:
        ends_without = command.ins in (ins.INS_SELECT_APPLICATION, ins.INS_ABORT_TRANSACTION)
        if command.ins == ins.INS_COMMIT_TRANSACTION and not command.status:
            assert session is not None, "the commit was made without a session"
            mac = TransactionMac.parse(command.answer) if command.answer else None
            self.committed = Committed(session, self.commands, mac)
            self.commands = []
        elif ends_without or command.status not in (0x00, 0x90, 0xAF):
            self.commands = []
        else:
            self.commands.append(command)


def transaction(inputs: Fields, expected: Fields) -> dict[str, Any]:
    """Everything the entry may expect, recomputed from the recorded APDUs and the two keys."""
    committed = followed(inputs)
    tmk, uid = AesKey(raw(inputs["tmac_key"])), raw(inputs["uid"])
    counter = transaction_counter(committed, expected)
    mac_key, enc_key = session_tm_keys(tmk, counter, uid)
    told = committed.answered.value if committed.answered else raw(expected.get("TMV", ""))
    covered, value = proved(tmk, uid, counter, committed.commands, told)
    session = committed.session
    enc, mac = keys_in(session)
    return {
        "TI": text(session.ti),
        "SesAuthENCKey": named(enc, expected.get("SesAuthENCKey")),
        "SesAuthMACKey": named(mac, expected.get("SesAuthMACKey")),
        "TMC": as_expected(counter, expected.get("TMC")),
        "SesTMMACKey": named(mac_key, expected.get("SesTMMACKey")),
        "SesTMENCKey": named(enc_key, expected.get("SesTMENCKey")),
        "TMI": text(covered),
        "TMV": text(value),
        "record_plain": text(record(committed.commands)),
        **reader_ids(enc_key, committed.commands),
    }


def followed(inputs: Fields) -> Committed:
    """Read the session with the authentication key; every MAC in it must verify."""
    auth_key, key_no = AesKey(raw(inputs["auth_key"])), number(inputs["auth_key_no"])

    def key_of(wanted: int) -> AesKey:
        assert wanted == key_no, f"the session uses key {wanted}, the entry gives key {key_no}"
        return auth_key

    reader, conversation = SessionReader(key_of), Conversation()
    for joined in join_frames((raw(command), raw(answer)) for command, answer in inputs["apdus"]):
        before = reader.session
        conversation.take(reader.take(joined), reader.session or before)
    assert conversation.committed is not None, "no transaction was committed in this session"
    return conversation.committed


def transaction_counter(committed: Committed, expected: Fields) -> int:
    """From the commit's answer, else one more than the file said, else as the entry says."""
    if committed.answered is not None:
        return committed.answered.counter
    for command in committed.commands:
        if command.ins in READS_DATA and len(command.answer) == CONTENT_BYTES:
            return int.from_bytes(command.answer[:4], "little") + 1
    stated = expected["TMC"]
    return stated if isinstance(stated, int) else int.from_bytes(raw(stated), "little")


def as_expected(counter: int, expected: Any) -> Any:
    """As a number, or as the four bytes the card sends."""
    return text(counter.to_bytes(4, "little")) if isinstance(expected, str) else counter


def proved(
    tmk: AesKey, uid: bytes, counter: int, commands: Sequence[RecordedCommand], told: bytes
) -> tuple[bytes, bytes]:
    """TMI and TMV; of several possible readings the one the card's own TMV confirms, else the likeliest."""
    first: tuple[bytes, bytes] | None = None
    for reading in islice(product(*(readings(command, counter) for command in commands)), MOST_READINGS):
        covered = tmi(part for parts in reading for part in parts)
        value = transaction_mac_value(tmk, uid, counter, covered)
        if value == told:
            return covered, value
        first = first or (covered, value)
    assert first is not None
    assert not told, "no reading of these commands gives the card's TMV"
    return first


def readings(command: RecordedCommand, counter: int) -> Iterable[Reading]:
    """What the transaction MAC may have seen of one command, the likeliest first; an empty reading is nothing."""
    if command.ins in READS_DATA | READS_RECORDS:
        answers = [command.answer] if command.otherwise is None else [command.answer, command.otherwise]
        return list(
            dict.fromkeys(reading for answer in answers for reading in read(command, answer, counter))
        )
    return [written(command)]


def read(command: RecordedCommand, answer: bytes, counter: int) -> Iterator[Reading]:
    place, asked = command.header[:4], int.from_bytes(command.header[4:7], "little")
    if command.ins in READS_DATA:
        parts = (DataCommand(command.ins, place + len(answer).to_bytes(3, "little"), answer),)
        of_the_mac_file = len(answer) == CONTENT_BYTES and int.from_bytes(answer[:4], "little") + 1 == counter
        yield from ([(), parts] if of_the_mac_file else [parts])
        return
    counts = [asked] if asked else [n for n in range(1, len(answer) + 1) if len(answer) % n == 0]
    likeliest = len(answer) // 16
    for count in sorted(counts, key=lambda n: n != likeliest):
        yield (DataCommand(command.ins, place + count.to_bytes(3, "little"), answer),)


def written(command: RecordedCommand) -> Reading:
    if command.ins == ins.INS_GET_VALUE:
        return (DataCommand(command.ins, command.header, command.answer),)
    if command.ins == ins.INS_COMMIT_READER_ID:
        return (DataCommand(command.ins, command.header + command.data, command.answer),)
    covered = WRITES_DATA | WRITES_RECORD | UPDATES_RECORD | CHANGES_VALUE | {ins.INS_CLEAR_RECORD_FILE}
    return (DataCommand(command.ins, command.header, command.data),) if command.ins in covered else ()


def record(commands: Iterable[RecordedCommand]) -> bytes:
    """The plain data of WriteRecord; of several into one record, the bytes they wrote together."""
    pieces: dict[int, int] = {}
    for command in commands:
        if command.ins in WRITES_RECORD:
            offset = int.from_bytes(command.header[1:4], "little")
            pieces.update({offset + at: byte for at, byte in enumerate(command.data)})
    return bytes(pieces[at] for at in sorted(pieces))


def reader_ids(enc_key: AesKey, commands: Iterable[RecordedCommand]) -> dict[str, str]:
    for command in commands:
        if command.ins == ins.INS_COMMIT_READER_ID:
            found = {"TMRICur": text(command.header + command.data), "EncTMRI": text(command.answer)}
            if command.answer:
                previous = decrypt_reader_id(enc_key, command.answer)
                assert encrypt_reader_id(enc_key, previous) == command.answer
                found["TMRIPrev"] = text(previous)
            return found
    return {}
