"""What a client of TUF has to do whatever it is made of: cases of our own for those of the published conformance suite
that a terminal can meet and that test_attacks.py has not.

    the suite's file        here, and there
    basic                   one number twice, hashes and versions that snapshots name, a root that is not what it says,
                            unknown fields; there: a broken root
    rollback                an older snapshot, an older role under newer metadata, numbers after a theft; there: older
                            sticks, honest numbers again, a new timestamp key from a lower number
    keys                    thresholds of the online roles, one key under two names; there: half of the signatures
    expiration              each role by itself, memory that has expired; there: the clock
    file_download           there: altered, missing, endless and dripping files, links, devices
    updater_key_rotations   roots by new or old owners alone, strangers beside; there: every key, three roots
    delegation_graphs       a role that hands on what it may sign: a terminal knows one level
    quoting_issues          there: names that lead elsewhere; names of roles are a fixed list here
    static_repositories     no case for a terminal: it has one publisher
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, TargetFile, Targets

from tests.terminal.updates.bundle.conftest import Taker
from tests.terminal.updates.bundle.repository import Publisher
from tests.terminal.updates.bundle.test_attacks import READY, publish

Attack = Callable[[Publisher], None]


def resigned(publisher: Publisher, role: str, change: Callable[[Any], None]) -> None:
    """The newest metadata of a role, changed and signed again by its own keys under the same number."""
    signed = publisher.meta[role].signed
    change(signed)
    metadata = Metadata(signed)
    for signer in publisher.signers[role]:
        metadata.sign(signer, append=True)
    publisher.meta[role] = metadata
    name = "timestamp.json" if role == "timestamp" else f"{signed.version}.{role}.json"
    metadata.to_file(str(publisher.metadata(name)))


def an_older_snapshot(publisher: Publisher) -> None:
    publisher.sign_snapshot(version=1)
    publisher.sign_timestamp()


def an_older_role_under_a_newer_snapshot(publisher: Publisher) -> None:
    publisher.sign_role("deny", version=1)
    publisher.sign_snapshot()
    publisher.sign_timestamp()


def another_version_than_the_snapshot_names(publisher: Publisher) -> None:
    publisher.publish()

    def name_it(signed: Any) -> None:
        signed.meta["targets.json"].version += 1

    number = publisher.meta["targets"].signed.version
    resigned(publisher, "snapshot", name_it)
    publisher.meta["targets"].to_file(str(publisher.metadata(f"{number + 1}.targets.json")))


def another_snapshot_than_the_timestamp_has_the_hash_of(publisher: Publisher) -> None:
    publisher.publish()
    number = publisher.meta["snapshot"].signed.version
    genuine = publisher.metadata(f"{number}.snapshot.json").read_bytes()

    def hash_it(signed: Any) -> None:
        signed.snapshot_meta = MetaFile.from_data(number, genuine, ["sha256"])

    resigned(publisher, "timestamp", hash_it)
    resigned(publisher, "snapshot", lambda signed: signed.unrecognized_fields.update(other=1))


def unsigned_snapshot(publisher: Publisher) -> None:
    publisher.sign_snapshot(publisher.new_keys())
    publisher.sign_timestamp()


def expired_snapshot(publisher: Publisher) -> None:
    publisher.days["snapshot"] = 0
    publisher.publish()


def expired_targets(publisher: Publisher) -> None:
    publisher.days["targets"] = 0
    publisher.delegate()
    publisher.publish()


def threshold_of_snapshot_not_reached(publisher: Publisher) -> None:
    """Two keys, both needed; one has signed."""
    genuine = publisher.signers["snapshot"]
    publisher.thresholds["snapshot"] = 2
    publisher.rotate_root(snapshot=[*genuine, *publisher.new_keys()])
    publisher.sign_snapshot(genuine)
    publisher.sign_timestamp()


def root_by_its_new_owners_alone(publisher: Publisher) -> None:
    fresh = publisher.new_keys(3)
    publisher.signers["root"] = fresh
    publisher.rotate_root()


def root_by_its_old_owners_alone(publisher: Publisher) -> None:
    before = publisher.signers["root"]
    publisher.rotate_root(root=publisher.new_keys(3))
    metadata = Metadata(publisher.meta["root"].signed)
    for signer in before:
        metadata.sign(signer, append=True)
    metadata.to_file(str(publisher.metadata(f"{publisher.versions['root']}.root.json")))


def targets_of_one_owner_under_two_names(publisher: Publisher) -> None:
    """Two of two keys, which are one key."""
    (owner, twin) = twins()
    publisher.rotate_root(targets=[owner, twin])
    publisher.delegate()
    publisher.publish()


@pytest.mark.parametrize(
    ("attack", "role", "fault"),
    [
        (an_older_snapshot, "timestamp", "bundle:older"),
        (an_older_role_under_a_newer_snapshot, "snapshot", "bundle:older"),
        (another_version_than_the_snapshot_names, "targets", "bundle:older"),
        (another_snapshot_than_the_timestamp_has_the_hash_of, "snapshot", "bundle:mixed"),
        (unsigned_snapshot, "snapshot", "bundle:unsigned"),
        (expired_snapshot, "snapshot", "bundle:expired"),
        (expired_targets, "targets", "bundle:expired"),
        (threshold_of_snapshot_not_reached, "snapshot", "bundle:unsigned"),
        (root_by_its_new_owners_alone, "root", "bundle:unsigned"),
        (root_by_its_old_owners_alone, "root", "bundle:unsigned"),
        (targets_of_one_owner_under_two_names, "targets", "bundle:weak"),
    ],
)
def test_a_set_that_breaks_a_rule_is_refused_whole(
    attack: Attack, role: str, fault: str, publisher: Publisher, taker: Taker
) -> None:
    publish(publisher, 2)
    taker.look(publisher.folder)
    attack(publisher)
    assert taker.faults(taker.look(publisher.folder)) == {role: fault}
    assert [taker.has(kind, file) for kind, file in READY] == [b"tariff 2", b"deny 2"]


def test_of_two_timestamps_with_one_number_the_first_stays(publisher: Publisher, taker: Taker) -> None:
    publish(publisher, 2)
    taker.look(publisher.folder)
    publish(publisher, 3)
    publisher.sign_timestamp(version=2)
    report = taker.look(publisher.folder)
    assert (taker.has("deny", "deny-list"), report.versions["timestamp"]) == (b"deny 2", 2)
    publisher.sign_timestamp()
    assert taker.faults(taker.look(publisher.folder)) == {}
    assert taker.has("deny", "deny-list") == b"deny 3"


def test_a_root_that_is_not_signed_by_itself_is_no_beginning(publisher: Publisher, taker: Taker) -> None:
    path = taker.state / "trust/root.json"
    root = json.loads(path.read_bytes())
    for signature in root["signatures"]:
        signature["sig"] = "00" * 64
    path.write_bytes(json.dumps(root).encode())
    assert taker.faults(taker.look(publisher.folder)) == {"root": "bundle:bad_root"}
    assert taker.has("deny", "deny-list") is None


def test_fields_that_this_software_does_not_know_are_signed_with_the_rest(
    publisher: Publisher, taker: Taker
) -> None:
    """And strangers' signatures beside those that count do no harm."""
    taker.look(publisher.folder)
    publisher.rotate_root()
    strangers = publisher.new_keys(2)

    def more(signed: Any) -> None:
        signed.unrecognized_fields["later"] = {"a": [1]}
        role = signed.roles["snapshot"]
        role.unrecognized_fields["later"] = "x"
        signed.keys[role.keyids[0]].unrecognized_fields["keyid_hash_algorithms"] = ["md5"]

    publisher.signers["root"] += strangers
    resigned(publisher, "root", more)
    publish(publisher, 2)
    report = taker.look(publisher.folder)
    assert (taker.faults(report), report.versions["root"]) == ({}, 2)
    assert taker.has("deny", "deny-list") == b"deny 2"


def test_memory_that_has_expired_is_enough_to_go_on_from(publisher: Publisher, taker: Taker) -> None:
    taker.look(publisher.folder)
    publisher.issued += timedelta(days=58)
    publish(publisher, 2)
    assert taker.faults(taker.look(publisher.folder, later=timedelta(days=58))) == {}
    assert taker.has("deny", "deny-list") == b"deny 2"


def test_after_a_theft_snapshot_numbers_begin_anew_under_new_keys(publisher: Publisher, taker: Taker) -> None:
    publisher.sign_snapshot(version=900_000)
    publisher.sign_timestamp()
    assert taker.faults(taker.look(publisher.folder)) == {}
    publisher.rotate_root(snapshot=publisher.new_keys(), timestamp=publisher.new_keys())
    publisher.versions["snapshot"] = publisher.versions["timestamp"] = 1
    publish(publisher, 2)
    assert taker.faults(taker.look(publisher.folder)) == {}
    assert taker.has("deny", "deny-list") == b"deny 2"


def twins() -> tuple[CryptoSigner, CryptoSigner]:
    """One key that is called by two ids."""
    owner = CryptoSigner.generate_ed25519()
    public = owner.public_key
    twin = SSlibKey("77" * 32, public.keytype, public.scheme, dict(public.keyval))
    return owner, CryptoSigner(owner._private_key, twin)


def test_two_signatures_of_one_key_are_one(publisher: Publisher, taker: Taker) -> None:
    """Two of three keys of the tariff are one key under two ids: who holds it would sign for two."""
    taker.look(publisher.folder)
    publisher.delegate(tariff=[*twins(), *publisher.new_keys()])
    publish(publisher, 2)
    assert taker.faults(taker.look(publisher.folder)) == {"tariff": "bundle:weak"}
    assert taker.has("tariff", "region.toml") == b"tariff 1"
    assert taker.has("deny", "deny-list") == b"deny 2"


def test_a_role_hands_nothing_on(publisher: Publisher, taker: Taker) -> None:
    """The tariff's keys name a stranger for some of their files: a terminal knows one level of delegations."""
    taker.look(publisher.folder)
    publish(publisher, 2)
    (stranger,) = publisher.new_keys()
    path, content = "tariff/city/prices.toml", b"free rides"
    role = DelegatedRole("stranger", [stranger.public_key.keyid], 1, False, ["tariff/city/*"])

    def hand_on(signed: Any) -> None:
        signed.delegations = Delegations({stranger.public_key.keyid: stranger.public_key}, {"stranger": role})

    resigned(publisher, "tariff", hand_on)
    handed = Metadata(Targets(1, None, publisher._expires("tariff")))
    handed.signed.targets[path] = TargetFile.from_data(path, content, ["sha256"])
    handed.sign(stranger)
    handed.to_file(str(publisher.metadata("1.stranger.json")))
    digest = handed.signed.targets[path].hashes["sha256"]
    (publisher.folder / f"targets/tariff/city/{digest}.prices.toml").write_bytes(content)
    assert taker.faults(taker.look(publisher.folder)) == {}
    assert taker.has("tariff", "region.toml") == b"tariff 2"
    assert taker.has("tariff", "prices.toml") is None
