"""Another author's reader: whatever it raises, the presence loop gets an error it knows."""

from __future__ import annotations

import pytest

from cardproto.errors import CardGone, ReaderGone
from terminal.errors import ReaderError
from terminal.reader.port import GuardedReader, lay_there


class Broken:
    """Every method raises `error`; an answer is no bytes."""

    name = "a reader"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def wait_for_card(self, timeout_s: float) -> None:
        raise self.error

    def wait_for_removal(self, timeout_s: float) -> bool:
        raise self.error

    def release(self) -> None:
        raise self.error

    def close(self) -> None:
        raise self.error


class Works:
    """A card is always there; its answer is `answer`, or raised."""

    name = "a reader"

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def wait_for_card(self, timeout_s: float) -> Works:
        return self

    def transmit(self, command: bytes) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def wait_for_removal(self, timeout_s: float) -> bool:
        return True

    def release(self) -> None:
        return None

    def close(self) -> None:
        return None


@pytest.mark.parametrize("call", ["wait_for_card", "wait_for_removal"])
def test_what_no_reader_may_raise_is_a_reader_that_is_gone(call: str) -> None:
    reader = GuardedReader(Broken(ValueError("no such port")))
    with pytest.raises(ReaderGone, match="ValueError: no such port"):
        getattr(reader, call)(0)


def test_what_a_reader_may_raise_stays_as_it_is() -> None:
    error = CardGone("left")
    with pytest.raises(CardGone) as caught:
        GuardedReader(Broken(error)).wait_for_card(0)
    assert caught.value is error


def test_a_release_that_fails_is_said_at_the_next_wait() -> None:
    broken = Broken(OSError("cable"))
    reader = GuardedReader(broken)
    reader.release()
    with pytest.raises(ReaderGone, match="OSError: cable"):
        reader.wait_for_removal(0)
    broken.error = CardGone("later")
    with pytest.raises(CardGone):
        reader.wait_for_card(0)


def test_a_reader_that_cannot_be_closed_is_one_line() -> None:
    with pytest.raises(ReaderError, match="was not closed"):
        GuardedReader(Broken(OSError("cable"))).close()


@pytest.mark.parametrize("answer", [b"\x90\x00", bytearray(b"\x90\x00"), memoryview(b"\x90\x00")])
def test_an_answer_is_bytes(answer: object) -> None:
    connection = GuardedReader(Works(answer)).wait_for_card(0)
    assert connection is not None
    assert connection.transmit(b"\x00") == b"\x90\x00"


@pytest.mark.parametrize(
    ("answer", "error"), [(None, ReaderGone), ("90 00", ReaderGone), (OSError(), ReaderGone)]
)
def test_an_exchange_that_fails_is_unknown_never_a_trace_back(answer: object, error: type[Exception]) -> None:
    connection = GuardedReader(Works(answer)).wait_for_card(0)
    assert connection is not None
    with pytest.raises(error):
        connection.transmit(b"\x00")


def test_a_reader_that_works_passes_through() -> None:
    reader = GuardedReader(Works(b"\x90\x00"))
    reader.release()
    assert reader.wait_for_removal(0)
    reader.close()


class SaysSo(Works):
    """As a reader that tells whether its card lay there; `lay_there` is its answer, or raised."""

    def __init__(self, answer: object) -> None:
        super().__init__(b"")
        self.said = answer

    @property
    def lay_there(self) -> object:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def test_a_reader_that_cannot_say_whether_its_card_lay_there_brings_a_new_tap() -> None:
    assert not lay_there(GuardedReader(Works(b"")))  # type: ignore[arg-type]  # as another author's may be
    for said, lies in ((True, True), (False, False), ("yes", False), (None, False)):
        assert lay_there(GuardedReader(SaysSo(said))) is lies  # type: ignore[arg-type]


def test_a_reader_that_fails_when_asked_whether_its_card_lay_there_is_gone() -> None:
    with pytest.raises(ReaderGone):
        lay_there(GuardedReader(SaysSo(OSError("broken"))))  # type: ignore[arg-type]
