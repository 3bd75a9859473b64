"""From keys to a download: published by the command, fetched by python-tuf's own client as a witness."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError

from terminal.errors import PublishError
from terminal.publish.ceremony import read_request
from tests.terminal.publish.office import DEMO, Office, OutsideClient, edited


def test_what_is_published_is_downloaded_by_an_outside_client(office: Office, tmp_path: Path) -> None:
    office.begin()
    assert _next(office) == [{"task": "release", "roles": ["root", "targets"]}]
    office.publish(
        "add", "tariff/demo", edited(DEMO, tmp_path / "draft.toml", ("version = 1", "version = 2"))
    )
    office.publish("add", "tariff/demo", DEMO)
    (kept,) = (path for path in (office.bundles / "office/files").rglob("*") if path.is_file())
    assert kept.read_bytes() == DEMO.read_bytes(), "what the draft before named is gone"
    assert _next(office)[0] == {"task": "sign", "roles": ["tariff"]}
    shown = office.sign("tariff", "tariff-1", "tariff-3")
    assert _next(office) == [{"task": "release", "roles": ["root", "targets", "tariff"]}]
    assert "NEW tariff/demo/region.toml: id demo" in shown

    released = office.release().stdout
    assert released == "published: root 1, targets 1, tariff 1, snapshot 1, timestamp 1\n"
    assert _next(office) == []
    root = (office.bundles / "metadata/1.root.json").read_bytes()
    client = OutsideClient(tmp_path / "client", office.bundles, root)
    assert client.get("tariff/demo/region.toml") == DEMO.read_bytes()
    assert client.get("tariff/other/region.toml") is None


def test_a_later_issue_replaces_an_earlier_one(office: Office, tmp_path: Path) -> None:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.sign("tariff", "tariff-1", "tariff-2")
    office.release()
    client = OutsideClient(tmp_path / "client", office.bundles, _root(office))
    assert client.get("tariff/demo/region.toml") == DEMO.read_bytes()

    assert "is not later than version 1" in office.refused("add", "tariff/demo", DEMO)
    later = edited(DEMO, tmp_path / "later.toml", ("version = 1", "version = 2"))
    office.publish("add", "tariff/demo", later)
    assert "CHANGED tariff/demo/region.toml" in office.sign("tariff", "tariff-2", "tariff-3")
    assert client.get("tariff/demo/region.toml") == DEMO.read_bytes(), "nothing is visible before the release"
    office.release()
    assert client.get("tariff/demo/region.toml") == later.read_bytes()


def test_one_signature_of_two_publishes_nothing_and_hinders_no_other_role(
    office: Office, tmp_path: Path
) -> None:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.sign("tariff", "tariff-1")
    assert "tariff" not in office.release().stdout
    assert _state(office, "tariff")["missing"] == 1
    assert _state(office, "tariff")["unsigned"] == ["tariff-2", "tariff-3"]
    assert "next: have tariff signed: `terminal publish request`" in office.publish("status").stdout
    client = OutsideClient(tmp_path / "client", office.bundles, _root(office))
    with pytest.raises(RepositoryError):
        client.get("tariff/demo/region.toml")  # the role has never been published


def test_a_release_signs_nothing_by_itself_that_takes_two(office: Office) -> None:
    """Their keys lie beside those of the daily lists: still their holders read the words before."""
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    assert "tariff" not in office.release("tariff-1", "tariff-2").stdout
    assert _state(office, "tariff")["missing"] == 2


def test_a_tariff_that_terminals_refuse_is_never_drafted(office: Office, tmp_path: Path) -> None:
    office.begin()
    wrong = edited(DEMO, tmp_path / "wrong.toml", ("version = 1", 'version = "one"'))
    told = office.run("publish", "add", "tariff/demo", wrong)
    assert told.returncode == 10
    assert "wrong.toml" in told.stderr
    assert "version" in told.stderr
    assert _state(office, "tariff")["draft"] == 0


def test_a_draft_that_is_changed_has_to_be_signed_again(office: Office, tmp_path: Path) -> None:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.sign("tariff", "tariff-1", "tariff-2")
    carried = sorted(office.folder.glob("requests-*/tariff-*.signature"))
    office.publish(
        "add", "tariff/demo", edited(DEMO, tmp_path / "other.toml", ("version = 1", "version = 3"))
    )
    assert _state(office, "tariff")["missing"] == 2
    assert "signs another tariff than the draft" in office.refused("take", carried[0])


def test_signatures_that_do_not_count(office: Office) -> None:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.publish("request")
    (request,) = (office.folder / "requests").glob("tariff-*")
    assert "ca-1 does not sign tariff" in office.refused("sign", request, *office.key("ca-1"), "--yes")
    assert "was not signed" in office.refused("sign", request, *office.key("tariff-1"))

    office.publish("sign", request, *office.key("tariff-1"), "--yes")
    (signature,) = (office.folder / "requests").glob("tariff-*.signature")
    forged = json.loads(signature.read_text())
    forged["signature"] = "00" * 64
    signature.write_text(json.dumps(forged))
    assert "does not count for tariff" in office.refused("take", signature)
    signature.write_text(json.dumps(forged | {"key": "stranger", "keyid": "00" * 32}))
    assert "does not count for tariff" in office.refused("take", signature)
    signature.write_text("{")
    assert "is no signature file" in office.refused("take", signature)


def test_a_request_that_was_changed_on_its_way_gives_no_signature_for_the_draft(office: Office) -> None:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.publish("request")
    (request,) = (office.folder / "requests").glob("tariff-*")
    changed = json.loads(request.read_text())
    changed["metadata"]["signed"]["version"] = 7
    request.write_text(json.dumps(changed))
    assert "tariff, version 7" in office.publish("sign", request, *office.key("tariff-1"), "--yes").stdout
    (signature,) = (office.folder / "requests").glob("tariff-*.signature")
    assert "signs another tariff" in office.refused("take", signature)


def test_a_request_holds_what_it_asks_for_with_every_key_and_hash(office: Office, tmp_path: Path) -> None:
    """Else one who signs tariffs would sign a root that reads as a tariff."""
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.publish("request")
    (request,) = (office.folder / "requests").glob("tariff-*")
    asked = json.loads(request.read_text())
    root = json.loads((office.bundles / "office/drafts/root.json").read_text())
    keyless = root | {"signed": root["signed"] | {"keys": {}}}
    unhashed = json.loads(request.read_text())
    (target,) = unhashed["metadata"]["signed"]["targets"].values()
    target["hashes"] = {"sha512": "00" * 64}
    for wrong, said in (
        (asked | {"metadata": root}, "asks for tariff and holds root"),
        (asked | {"role": "root"}, "asks for root and holds targets"),
        (asked | {"role": "root", "metadata": keyless}, "a key that it does not hold"),
        (unhashed, "without its SHA-256"),
    ):
        path = tmp_path / "wrong.request"
        path.write_text(json.dumps(wrong))
        with pytest.raises(PublishError, match=said):
            read_request(path)


def test_a_request_of_newer_software_asks_for_newer_software(office: Office) -> None:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.publish("request")
    (request,) = (office.folder / "requests").glob("tariff-*")
    request.write_text(json.dumps(json.loads(request.read_text()) | {"format": 2, "more": 1}))
    said = office.refused("sign", request, *office.key("tariff-1"), "--yes")
    assert "version 2, this software reads 1" in said
    assert "Update this machine's software" in said


def test_what_is_signed_cannot_begin_a_line_of_its_own(office: Office) -> None:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.publish("request")
    (request,) = (office.folder / "requests").glob("tariff-*")
    changed = json.loads(request.read_text())
    (target,) = changed["metadata"]["signed"]["targets"].values()
    target["custom"] = {"id": "demo\n  as before tariff/other: harmless"}
    request.write_text(json.dumps(changed))
    shown = office.publish("sign", request, *office.key("tariff-1"), "--yes").stdout
    assert not any(line.startswith("  as before") for line in shown.splitlines())


def test_every_signature_and_release_is_on_record(office: Office) -> None:
    office.begin()
    office.release()
    log = office.bundles / "office/log.jsonl"
    entries = [json.loads(line) for line in office.publish("log", "--json").stdout.splitlines()]
    signed = [(one["role"], one["key"]) for one in entries if one["did"] == "signed"]
    assert signed == [
        ("root", "root-1"),
        ("root", "root-3"),
        ("targets", "targets-1"),
        ("targets", "targets-2"),
    ]
    assert [one["role"] for one in entries if one["did"] == "published"] == [
        "targets",
        "snapshot",
        "root",
        "timestamp",
    ]

    kept = log.read_bytes()
    log.write_bytes(kept.replace(b"root-3", b"root-2"))
    assert "was changed before line" in office.refused("log")
    log.write_bytes(kept.split(b"\n", 1)[1])
    assert "was changed before line 1" in office.refused("status")


def test_keys_are_never_printed_and_open_by_their_passphrase_alone(office: Office) -> None:
    office.make_keys("deny-1")
    office.publish("init", "--stand-alone", "--key", "keys/deny-1.pub")
    path = office.folder / "keys/deny-1.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "is there already" in office.refused(
        "key", "deny-1", "--folder", "keys", "--passphrase-file", "pass"
    )
    (office.folder / "short").write_text("too short\n")
    (office.folder / "short").chmod(0o600)
    assert "too short" in office.refused("key", "deny-2", "--folder", "keys", "--passphrase-file", "short")
    office.publish("request")
    (request,) = (office.folder / "requests").glob("root-*.request")
    path.chmod(0o644)
    assert "can be read by other users" in office.refused("sign", request, *office.key("deny-1"))
    path.chmod(0o600)
    office.passphrase.write_text("another passphrase\n")
    assert "does not open" in office.refused("sign", request, *office.key("deny-1"))
    assert office.passphrase.read_text().strip() not in path.read_text()


def _root(office: Office) -> bytes:
    return (office.bundles / "metadata/1.root.json").read_bytes()


def _next(office: Office) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(office.publish("status", "--json").stdout)["next"]
    return found


def _state(office: Office, role: str) -> dict[str, object]:
    found = json.loads(office.publish("status", "--json").stdout)["roles"]
    return next(one for one in found if one["role"] == role)
