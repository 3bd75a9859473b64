"""A stick is a plain copy that an outside client reads; a copy or release that broke off is seen as none."""

from __future__ import annotations

from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadError

from terminal.errors import PublishError
from terminal.publish import stick as copying
from terminal.publish.repository import Repository
from tests.terminal.publish.office import DEMO, Office, OutsideClient, edited


@pytest.fixture
def published(office: Office) -> Office:
    office.begin()
    office.publish("add", "tariff/demo", DEMO)
    office.sign("tariff", "tariff-1", "tariff-2")
    office.release()
    return office


def test_a_stick_holds_what_is_published_now_and_nothing_of_the_office(
    published: Office, tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    assert "is no folder" in published.refused("stick", stick)
    stick.mkdir()
    (stick / "holiday.jpg").write_bytes(b"not ours")
    published.publish("stick", stick)
    client = OutsideClient(tmp_path / "client", stick, (stick / "metadata/1.root.json").read_bytes())
    assert client.get("tariff/demo/region.toml") == DEMO.read_bytes()

    later = edited(DEMO, tmp_path / "later.toml", ("version = 1", "version = 2"))
    published.publish("add", "tariff/demo", later)
    published.sign("tariff", "tariff-1", "tariff-2")
    published.release()
    assert "files" in published.publish("stick", stick).stdout
    assert client.get("tariff/demo/region.toml") == later.read_bytes()
    files = sorted(str(path.relative_to(stick)) for path in stick.rglob("*") if path.is_file())
    assert [name.split(".", 1)[1] if name.startswith("targets") else name for name in files] == [
        "holiday.jpg",
        "metadata/1.root.json",
        "metadata/1.targets.json",
        "metadata/2.snapshot.json",
        "metadata/2.tariff.json",
        "metadata/timestamp.json",
        "region.toml",
    ]


def test_a_copy_that_breaks_off_anywhere_is_no_repository(
    published: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick, repository = tmp_path / "stick", Repository(published.bundles)
    stick.mkdir()
    copying.copy_to(repository, stick)
    root = (stick / "metadata/1.root.json").read_bytes()
    whole, copy = 6, copying._copy
    for files in range(whole):
        left = [files]

        def broken(source: Path, place: Path, left: list[int] = left) -> int:
            if not left[0]:
                raise OSError(28, "No space left on device", str(place))
            left[0] -= 1
            return copy(source, place)

        monkeypatch.setattr(copying, "_copy", broken)
        with pytest.raises(PublishError, match="No space left on device"):
            copying.copy_to(repository, stick)
        with pytest.raises(DownloadError):
            OutsideClient(tmp_path / f"client-{files}", stick, root).get("tariff/demo/region.toml")
    monkeypatch.setattr(copying, "_copy", copy)
    assert copying.copy_to(repository, stick).files == whole
    assert OutsideClient(tmp_path / "client", stick, root).get("tariff/demo/region.toml") == DEMO.read_bytes()


def test_a_release_that_breaks_off_anywhere_shows_the_old_or_the_new_and_is_made_again(
    published: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = (published.bundles / "metadata/1.root.json").read_bytes()
    contents, publish = [DEMO.read_bytes()], Repository.publish
    for broken_after in range(4):
        path = edited(DEMO, tmp_path / "later.toml", ("version = 1", f"version = {broken_after + 2}"))
        published.publish("add", "tariff/demo", path)
        published.sign("tariff", "tariff-1", "tariff-2")
        contents.append(path.read_bytes())
        left = [broken_after]

        def broken(self: Repository, role: str, signed: object, left: list[int] = left) -> None:
            if not left[0]:
                raise OSError(5, "Input/output error", role)
            left[0] -= 1
            publish(self, role, signed)  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(Repository, "publish", broken)
            done = published.run(
                "publish", "release", *published.key("snapshot-1"), "--key", "keys/timestamp-1.key"
            )
        client = OutsideClient(tmp_path / f"client-{broken_after}", published.bundles, root)
        if broken_after < 3:  # tariff, snapshot, timestamp
            assert done.returncode == 48
            assert "Input/output error" in done.stderr
            assert client.get("tariff/demo/region.toml") == contents[-2]
            published.release()
        assert client.get("tariff/demo/region.toml") == contents[-1]
