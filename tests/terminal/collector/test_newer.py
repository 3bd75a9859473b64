"""What is newer in one answer, held back until there is something, by a running collector."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
import pytest

from terminal.app.collector import collector_process
from terminal.updates.bundle.newer import MOST_BYTES, packed, unpacked
from tests.terminal.updates.bundle.repository import Publisher

STRANGERS = 80
"""More than the connections that one strange address may have."""


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    made = Publisher(tmp_path_factory.mktemp("published") / "repository")
    made.put("tariff", "city", {"region.toml": b"tariff"})
    made.put("deny", "all", {"deny-list": b"list", "deny-changes": b"all", "deny-increment": b"one"})
    made.publish()
    return made


@pytest.fixture(scope="module")
def newer(publisher: Publisher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that says what is newer."""
    options = ("--bundles", str(publisher.folder))
    with collector_process(tmp_path_factory.mktemp("collector"), options=options) as url:
        yield f"{url}/v1/bundles/newer"


def versions(publisher: Publisher) -> dict[str, int]:
    return {role: version for role, version in publisher.versions.items() if version}


def test_one_answer_has_what_is_newer_and_no_more(publisher: Publisher, newer: str) -> None:
    have = versions(publisher)
    publisher.put("deny", "all", {"deny-list": b"list", "deny-changes": b"both", "deny-increment": b"two"})
    publisher.publish()
    found = unpacked(httpx.get(newer, params=have).content)
    now = publisher.versions
    (increment,) = (name for name in found if name.endswith(".deny-increment"))
    assert found.keys() == {
        "metadata/2.root.json",
        "metadata/timestamp.json",
        f"metadata/{now['snapshot']}.snapshot.json",
        f"metadata/{now['deny']}.deny.json",
        increment,
    }
    assert found["metadata/2.root.json"] == b"", "that there is none"
    for name, content in found.items():
        assert not content or (publisher.folder / name).read_bytes() == content


def test_nothing_newer_is_said_after_the_time_that_was_asked_for(publisher: Publisher, newer: str) -> None:
    answer = httpx.get(newer, params=versions(publisher) | {"wait": 1})
    assert (answer.status_code, answer.content) == (HTTPStatus.NO_CONTENT, b"")


@pytest.mark.parametrize(
    "query",
    [
        "deny=-1",
        "deny=" + "9" * 30,
        "../x=1",
        "deny=%D9%A1",
        "wait=x",
        "&".join(f"a{'b' * n}=1" for n in range(60)),
    ],
)
def test_what_is_no_question_has_no_answer(newer: str, query: str) -> None:
    assert httpx.get(f"{newer}?{query}").status_code == HTTPStatus.BAD_REQUEST


def test_strangers_that_wait_cost_no_terminal_its_place(publisher: Publisher, newer: str) -> None:
    """Their address has its share; who waits from another hears at once what is published."""
    place = urlsplit(newer)
    asked = "&".join(f"{role}={version}" for role, version in versions(publisher).items())
    head = f"GET {place.path}?{asked}&wait=50 HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    heard: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: heard.append(httpx.get(f"{newer}?{asked}&wait=50", timeout=60)))
    waiting.start()
    with ExitStack() as stack:
        at = (place.hostname or "", place.port or 0)
        for _ in range(STRANGERS):
            one = socket.create_connection(at, source_address=("127.0.0.9", 0))
            stack.enter_context(closing(one)).sendall(head)
        assert httpx.get(f"{newer}?{asked}").status_code == HTTPStatus.OK
        publisher.put("tariff", "city", {"region.toml": b"the next"})
        publisher.publish()
        waiting.join(30)
    (answer,) = heard
    assert f"metadata/{publisher.versions['tariff']}.tariff.json" in unpacked(answer.content)


def test_an_answer_is_bounded() -> None:
    assert unpacked(packed({"a": b"b"})) == {"a": b"b"}
    for body in (packed({"a": bytes(MOST_BYTES)}), packed({"a": b"b"})[:-1], packed({"a": b"b"}) + b"x", b""):
        with pytest.raises(ValueError, match=r".+"):
            unpacked(body)
