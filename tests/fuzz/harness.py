"""All harnesses by name, their corpus, and the engine for where atheris is not: random mutations of the corpus."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz import bank, conversations, parsers

Harness = Callable[[bytes], None]

HARNESSES: dict[str, Harness] = {
    "card": conversations.card,
    "terminal_answers": conversations.terminal_answers,
    "terminal_content": conversations.terminal_content,
    "bank_parsers": bank.bank_parsers,
    "bank_answers": bank.bank_answers,
    "bank_medium": bank.bank_medium,
    "apdu": parsers.apdu,
    "tlv": parsers.tlv,
    "atr": parsers.atr,
    "rights": parsers.rights,
    "event": parsers.event,
    "credential": parsers.credential,
    "journal_record": parsers.journal_record,
    "wire": parsers.wire,
    "region_document": parsers.region_document,
    "keyed_list": parsers.keyed_list,
    "file_settings": parsers.file_settings,
    "transcript": parsers.transcript,
    "json_request": parsers.json_request,
    "message_pack": parsers.message_pack,
    "form": parsers.form,
    "stored_file": parsers.stored_file,
    "feed_archive": parsers.feed_archive,
    "vehicle_message": parsers.vehicle_message,
    "gpsd_line": parsers.gpsd_line,
    "bundle_file": parsers.bundle_file,
    "ceremony_file": parsers.ceremony_file,
}
CORPUS = Path(__file__).parent / "corpus"
MAX_BYTES = 2048
INTERESTING = (0x00, 0x01, 0x7F, 0x80, 0xAF, 0xFE, 0xFF)


def corpus(name: str) -> list[bytes]:
    """The seeds and findings kept for a harness."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def longest(name: str) -> int:
    """How long inputs may become: every seed must fit whole, or nothing behind its cut is ever reached."""
    return max(MAX_BYTES, *(2 * len(data) for data in corpus(name)))


def mutations(seeds: list[bytes], seed: int) -> Iterator[bytes]:
    """Endless: a seed, or two crossed, with a few bytes changed, cut or repeated."""
    rng, limit = random.Random(seed), max([MAX_BYTES, *(2 * len(data) for data in seeds)])
    while True:
        data = bytearray(rng.choice(seeds) if seeds else b"")
        if rng.random() < 0.2 and seeds:
            other = rng.choice(seeds)
            data = data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]
        for _ in range(rng.randint(0, 6)):
            at = rng.randint(0, len(data))
            match rng.randrange(5):
                case 0:
                    data[at:at] = rng.randbytes(rng.randint(1, 8))
                case 1:
                    del data[at : at + rng.randint(1, 16)]
                case 2 if at < len(data):
                    data[at] ^= 1 << rng.randrange(8)
                case 3 if at < len(data):
                    data[at] = rng.choice(INTERESTING)
                case _:
                    part = data[at : at + rng.randint(1, 32)]
                    data[at:at] = part
        yield bytes(data[:limit])


def run_mutations(name: str, *, runs: int | None = None, seconds: float | None = None, seed: int = 0) -> int:
    """Feed mutations to a harness; returns how many. What the harness raises comes through, input in its notes."""
    harness, done, began = HARNESSES[name], 0, time.monotonic()
    for data in mutations(corpus(name), seed):
        if (runs is not None and done >= runs) or (
            seconds is not None and time.monotonic() - began >= seconds
        ):
            break
        try:
            harness(data)
        except BaseException as error:
            error.add_note(f"{name}: {data.hex()}")
            raise
        done += 1
    return done
