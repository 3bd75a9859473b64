"""Every key can be exchanged, and a thief's versions are survived: what a client that was there before still takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Timestamp

from terminal.errors import PublishError
from terminal.publish.drafting import set_keys
from terminal.publish.key_files import named_key, open_key
from terminal.publish.repository import TOP, Repository
from terminal.updates.bundle.roles import MOST_ROLES
from tests.terminal.publish.office import DEMO, PASSPHRASE, Office, OutsideClient, edited

HIGH = 2**31
NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def published(office: Office) -> Office:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.sign("tariff", "tariff-1", "tariff-2")
    office.release()
    return office


@pytest.fixture
def client(published: Office, tmp_path: Path) -> OutsideClient:
    """A client that has been there from the first root on."""
    root = (published.bundles / "metadata/1.root.json").read_bytes()
    made = OutsideClient(tmp_path / "client", published.bundles, root)
    assert made.get("tariff/demo/region.toml") == DEMO.read_bytes()
    return made


def public(*names: str) -> list[object]:
    return [item for name in names for item in ("--key", f"keys/{name}.pub")]


def test_tariff_keys_are_exchanged_with_what_they_sign(published: Office, client: OutsideClient) -> None:
    published.make_keys("tariff-4")
    told = published.publish("role", "tariff", *public("tariff-4", "tariff-2", "tariff-3"))
    assert told.stdout == "to sign for the change: targets, tariff\n"
    shown = published.sign("targets", "targets-1", "targets-2")
    assert "tariff: 2 of 3 sign tariff/*/*: tariff-4, tariff-2, tariff-3" in shown
    assert "targets" not in published.release().stdout, "no terminal sees a role whose signatures do not fit"
    assert client.get("tariff/demo/region.toml") == DEMO.read_bytes()

    published.publish("request", "--out", "last")
    assert "tariff-1 does not sign tariff" in published.refused(
        "sign", "last/tariff-2.request", *published.key("tariff-1"), "--yes"
    )
    published.sign("tariff", "tariff-4", "tariff-2")
    assert "targets 2, tariff 2" in published.release().stdout
    assert client.get("tariff/demo/region.toml") == DEMO.read_bytes()


def test_root_and_targets_keys_are_exchanged(published: Office, client: OutsideClient) -> None:
    published.make_keys("root-4", "targets-3")
    published.publish("role", "root", *public("root-2", "root-3", "root-4"))
    assert published.publish("role", "targets", *public("targets-1", "targets-3")).stdout.endswith(
        "root, targets\n"
    )
    published.sign("root", "root-3", "root-4")
    assert _state(published, "root")["missing"] == 1, "two of those before have to agree as well"
    published.sign("root", "root-1")
    assert "root" not in published.release().stdout, "targets is not signed by its new keys yet"
    published.sign("targets", "targets-1", "targets-3")
    assert "root 2, targets 2" in published.release().stdout
    assert client.get("tariff/demo/region.toml") == DEMO.read_bytes()


def test_online_keys_are_exchanged(published: Office, client: OutsideClient) -> None:
    published.make_keys("snapshot-2", "timestamp-2")
    published.publish("role", "snapshot", *public("snapshot-2"))
    published.publish("role", "timestamp", *public("timestamp-2"))
    published.sign("root", "root-1", "root-2")
    assert "key of snapshot is missing: snapshot-2" in published.refused(
        "release", *published.key("snapshot-1"), "--key", "keys/timestamp-1.key"
    )
    assert client.get("tariff/demo/region.toml") == DEMO.read_bytes()
    published.publish("release", *published.key("snapshot-2"), "--key", "keys/timestamp-2.key")
    assert client.get("tariff/demo/region.toml") == DEMO.read_bytes()


def test_one_key_never_serves_two_roles_nor_stands_for_two_holders(published: Office) -> None:
    assert "one key in common" in published.refused("role", "assign", *public("deny-1"))
    assert "given twice" in published.refused("role", "tariff", *public("tariff-1", "tariff-1", "tariff-2"))
    assert "tariff takes 3 keys, 1 are given" in published.refused("role", "tariff", *public("tariff-1"))
    assert "no role 'roster'" in published.refused("role", "roster", *public("roster.17-1"))
    assert "no role 'tarif'" in published.refused("role", "tarif", *public("tariff-1"))


def test_operators_are_added_up_to_the_limit(published: Office) -> None:
    repository = Repository(published.bundles)
    listed = [name for name in repository.roles() if name not in TOP]
    keys = {f"roster.{n}": named_key(f"roster.{n}-1", n.to_bytes(32, "big")) for n in range(100, 121)}
    for name, key in list(keys.items())[: MOST_ROLES - len(listed)]:
        assert set_keys(repository, name, [key], NOW) == ["targets"]
    assert len(repository.roles()) == MOST_ROLES + len(TOP)
    with pytest.raises(PublishError, match="at most 20 roles"):
        set_keys(repository, "roster.120", [keys["roster.120"]], NOW)
    shown = published.sign("targets", "targets-1", "targets-2")
    assert "roster.100: 1 of 1 sign roster/100/*/*: roster.100-1" in shown


def stolen(office: Office, *, version: int) -> None:
    """A thief has two tariff keys and both online keys, and lets the tariff go up to `version`."""
    metadata = office.bundles / "metadata"
    signers = {
        name: open_key(office.folder / f"keys/{name}.key", PASSPHRASE).signer
        for name in ("tariff-1", "tariff-2", "snapshot-1", "timestamp-1")
    }
    tariff = Metadata.from_file(str(metadata / "1.tariff.json"))
    tariff.signed.version = version
    tariff.sign(signers["tariff-1"])
    tariff.sign(signers["tariff-2"], append=True)
    tariff.to_file(str(metadata / f"{version}.tariff.json"))
    snapshot = Metadata.from_file(str(metadata / "1.snapshot.json"))
    snapshot.signed.version = 2
    snapshot.signed.meta["tariff.json"] = MetaFile(version)
    snapshot.sign(signers["snapshot-1"])
    snapshot.to_file(str(metadata / "2.snapshot.json"))
    timestamp: Metadata[Timestamp] = Metadata.from_file(str(metadata / "timestamp.json"))
    timestamp.signed.version = 2
    timestamp.signed.snapshot_meta = MetaFile(2)
    timestamp.sign(signers["timestamp-1"])
    timestamp.to_file(str(metadata / "timestamp.json"))


@pytest.fixture
def robbed(published: Office, client: OutsideClient, tmp_path: Path) -> Office:
    """The office's folder as it was; the client has been to the thief's copy of it."""
    copytree(published.bundles, tmp_path / "office")
    stolen(published, version=HIGH)
    client.get("tariff/demo/region.toml")
    published.bundles.rename(tmp_path / "stolen")
    (tmp_path / "office").rename(published.bundles)
    return published


def later(office: Office, tmp_path: Path) -> bytes:
    path = edited(DEMO, tmp_path / "later.toml", ("version = 1", "version = 2"))
    office.publish("add", "tariff/demo", path)
    return path.read_bytes()


def new_tariff_keys(office: Office) -> None:
    office.make_keys("tariff-4", "tariff-5")
    office.publish("role", "tariff", *public("tariff-3", "tariff-4", "tariff-5"))
    office.sign("targets", "targets-1", "targets-2")


def test_an_honest_number_is_not_taken_after_a_thiefs(
    robbed: Office, client: OutsideClient, tmp_path: Path
) -> None:
    later(robbed, tmp_path)
    new_tariff_keys(robbed)
    robbed.sign("tariff", "tariff-4", "tariff-5")
    keys = ("--key", "keys/timestamp-1.key", "--above", "snapshot=2", "--above", "timestamp=2")
    robbed.publish("release", *robbed.key("snapshot-1"), *keys)
    with pytest.raises(RepositoryError):
        client.get("tariff/demo/region.toml")


def test_first_cure_goes_on_above_the_thiefs_version(
    robbed: Office, client: OutsideClient, tmp_path: Path
) -> None:
    content = later(robbed, tmp_path)
    new_tariff_keys(robbed)
    robbed.publish("renew", "tariff", "--above", HIGH)
    assert f"tariff, version {HIGH + 1}" in robbed.sign("tariff", "tariff-4", "tariff-5")
    keys = ("--key", "keys/timestamp-1.key", "--above", "snapshot=2", "--above", "timestamp=2")
    robbed.publish("release", *robbed.key("snapshot-1"), *keys)
    assert client.get("tariff/demo/region.toml") == content


def test_second_cure_is_a_new_snapshot_key(robbed: Office, client: OutsideClient, tmp_path: Path) -> None:
    content = later(robbed, tmp_path)
    new_tariff_keys(robbed)
    robbed.sign("tariff", "tariff-4", "tariff-5")
    robbed.make_keys("snapshot-2", "timestamp-2")
    robbed.publish("role", "snapshot", *public("snapshot-2"))
    robbed.publish("role", "timestamp", *public("timestamp-2"))
    robbed.sign("root", "root-1", "root-2")
    robbed.publish("release", *robbed.key("snapshot-2"), "--key", "keys/timestamp-2.key")
    assert client.get("tariff/demo/region.toml") == content


def _state(office: Office, role: str) -> dict[str, object]:
    found = json.loads(office.publish("status", "--json").stdout)["roles"]
    return next(one for one in found if one["role"] == role)
