"""A collector serves what is published, and the code that enrols a terminal carries the root it will trust."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface

from tests.terminal.cli.conftest import command
from tests.terminal.publish.office import DEMO, Office, OutsideClient

STATE = ("--number", 7, "--state", "state")


class HttpFetcher(FetcherInterface):
    def __init__(self) -> None:
        self.client = httpx.Client()

    def _fetch(self, url: str) -> Iterator[bytes]:
        answer = self.client.get(url)
        if answer.status_code != 200:
            raise DownloadHTTPError(url, answer.status_code)
        yield answer.content


@contextmanager
def collecting(folder: Path) -> Iterator[str]:
    """`terminal collector`, as a process; its address."""
    words = ("collector", "--folder", "collector", "--port", 0, "--json", "--no-recompute")
    process = subprocess.Popen(
        command((*words, "--bundles", "bundles")), cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def published(office: Office) -> Office:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.sign("tariff", "tariff-1", "tariff-2")
    office.release()
    return office


def test_terminals_enrol_with_a_code_that_carries_the_root_and_download_from_the_collector(
    published: Office, tmp_path: Path
) -> None:
    with collecting(tmp_path) as url:
        made = published.run(
            "collector", "enrol", 7, "--folder", "collector", "--bundles", "bundles", "--json"
        )
        code = json.loads(made.stdout)["code"]
        (tmp_path / "code").write_text(code.lower().replace("-", " "))
        told = published.run("enrol", *STATE, "--collector", url, "--code-file", "code")
        assert told.returncode == 0, told.stderr
        trusted = (tmp_path / "state/trust/root.json").read_bytes()
        assert trusted == (published.bundles / "metadata/1.root.json").read_bytes()

        fetcher = HttpFetcher()
        with fetcher.client:
            client = OutsideClient(tmp_path / "client", f"{url}/v1/bundles", trusted, fetcher)
            assert client.get("tariff/demo/region.toml") == DEMO.read_bytes()


def test_a_root_with_another_hash_is_never_trusted_and_the_code_stays_good(
    published: Office, tmp_path: Path
) -> None:
    code = json.loads(
        published.run(
            "collector", "enrol", 7, "--folder", "collector", "--bundles", "bundles", "--json"
        ).stdout
    )["code"]
    (tmp_path / "code").write_text(code)
    root = published.bundles / "metadata/1.root.json"
    genuine = root.read_bytes()
    root.write_bytes(genuine.replace(b'"threshold":2', b'"threshold":1'))
    with collecting(tmp_path) as url:
        told = published.run("enrol", *STATE, "--collector", url, "--code-file", "code")
        assert told.returncode == 40
        assert "no root of bundles with the hash" in told.stderr
        assert not (tmp_path / "state/trust").exists()
        root.write_bytes(genuine)
        assert published.run("enrol", *STATE, "--collector", url, "--code-file", "code").returncode == 0


def test_only_what_is_published_is_served(published: Office, tmp_path: Path) -> None:
    (published.bundles / "targets/link").symlink_to(tmp_path / "pass")
    (published.bundles / "targets/out").symlink_to(published.bundles / "office")
    (published.bundles / "targets/.hidden").write_text("hidden")
    with collecting(tmp_path) as url, httpx.Client(base_url=f"{url}/v1/bundles/") as client:
        found = client.get("metadata/timestamp.json")
        assert found.content == (published.bundles / "metadata/timestamp.json").read_bytes()
        assert found.headers["cache-control"] == "no-cache"
        tag = found.headers["etag"]
        again = client.get("metadata/timestamp.json", headers={"if-none-match": f'"other", {tag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert "immutable" in client.get("metadata/1.root.json").headers["cache-control"]

        for name in (
            "office/log.jsonl",
            "metadata",
            "metadata/",
            "metadata/2.root.json",
            "metadata/..%2foffice/log.jsonl",
            "targets/%2e%2e/office/log.jsonl",
            "targets/link",
            "targets/out/log.jsonl",
            "targets/.hidden",
            "targets/" + "a/" * 9 + "b",
            "metadata/" + "a" * 2_000,
            "metadata/timestamp.json%00",
            "//etc/passwd",
        ):
            assert client.get(name).status_code == 404, name
        assert client.post("metadata/timestamp.json").status_code == 405
        published.publish("renew", "tariff")
        published.sign("tariff", "tariff-1", "tariff-2")
        published.release()
        changed = client.get("metadata/timestamp.json", headers={"if-none-match": tag})
        assert changed.status_code == 200


def test_a_root_is_trusted_by_its_hash_where_no_code_brought_it(published: Office, tmp_path: Path) -> None:
    root = published.bundles / "metadata/1.root.json"
    right = sha256(root.read_bytes()).hexdigest()
    told = published.run("trust", root, "--sha256", "0" * 64, *STATE[2:])
    assert told.returncode == 11
    assert "expected is 0000" in told.stderr
    assert not (tmp_path / "state/trust").exists()
    assert published.run("trust", root, "--sha256", right.upper(), *STATE[2:]).returncode == 0
    assert (tmp_path / "state/trust/root.json").read_bytes() == root.read_bytes()
    assert "has 64 digits" in published.run("trust", root, "--sha256", "12", *STATE[2:]).stderr
    other = published.bundles / "metadata/1.targets.json"
    told = published.run("trust", other, "--sha256", sha256(other.read_bytes()).hexdigest(), *STATE[2:])
    assert "no root of signed bundles" in told.stderr


def test_a_fleets_terminal_refuses_the_root_of_a_school_alone(office: Office, tmp_path: Path) -> None:
    office.make_keys("school-1")
    office.publish("init", "--stand-alone", "--key", "keys/school-1.pub")
    office.publish("add", "tariff/demo", DEMO)
    told = office.publish("release", *office.key("school-1"))
    assert told.stdout == "published: root 1, targets 1, tariff 1, snapshot 1, timestamp 1\n"
    root = office.bundles / "metadata/1.root.json"
    digest = sha256(root.read_bytes()).hexdigest()
    assert "is a fleet's" in office.run("trust", root, "--sha256", digest, *STATE[2:]).stderr

    (tmp_path / "terminal.toml").write_text(
        '[terminal]\nnumber = 7\nstate = "state"\n[bundles]\nstand_alone = true\n'
    )
    told = office.run("trust", root, "--sha256", digest, "--config", "terminal.toml")
    assert told.returncode == 0, told.stderr
    client = OutsideClient(tmp_path / "client", office.bundles, root.read_bytes())
    assert client.get("tariff/demo/region.toml") == DEMO.read_bytes()
