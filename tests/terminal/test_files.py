"""Files that a power cut leaves whole."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from terminal import files


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


class PowerCut(Exception):
    """Nothing runs after it."""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reaches the disk, in order, by the kind of thing it is done to."""
    seen: list[str] = []
    real_fsync, real_replace, real_link = os.fsync, Path.replace, os.link

    def fsync(handle: int) -> None:
        seen.append("sync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        real_fsync(handle)

    def replace(path: Path, target: Path) -> Path:
        seen.append("rename")
        return real_replace(path, target)

    def link(source: Path, target: Path) -> None:
        seen.append("link")
        real_link(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(os, "link", link)
    return seen


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_content_is_on_the_disk_before_the_name(tmp_path: Path, steps: list[str]) -> None:
    files.replace_file(tmp_path / "a", b"1")
    assert steps == ["sync file", "rename", "sync folder"]
    steps.clear()
    assert files.create_file(tmp_path / "b", b"1")
    assert steps == ["sync file", "link", "sync folder"]
    steps.clear()
    files.put_in_place(tmp_path / "b", tmp_path / "a")
    assert steps == ["sync file", "rename", "sync folder"]
    assert names(tmp_path) == ["a"]


def test_what_need_not_last_is_not_flushed(tmp_path: Path, steps: list[str]) -> None:
    files.replace_file(tmp_path / "a", b"1", durable=False)
    assert steps == ["rename"]
    assert (tmp_path / "a").read_bytes() == b"1"


@pytest.mark.parametrize(("given", "found"), [(files.OWNER_ONLY, 0o600), (files.SHARED, 0o644)])
def test_the_mode_is_that_of_the_call_and_the_umask(tmp_path: Path, given: int, found: int) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o640)
    files.replace_file(tmp_path / "a", b"new", given)
    files.create_file(tmp_path / "b", b"new", given)
    assert mode(tmp_path / "a") == mode(tmp_path / "b") == found


def test_a_draft_left_by_a_power_cut_lends_nothing(tmp_path: Path) -> None:
    left = tmp_path / "a.new"
    left.write_bytes(b"a longer draft that nobody finished")
    left.chmod(0o666)
    files.replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert mode(tmp_path / "a") == 0o600
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("at", ["a", "a.new"])
def test_a_link_is_replaced_and_not_followed(tmp_path: Path, at: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    (tmp_path / at).symlink_to(elsewhere)
    files.replace_file(tmp_path / "a", b"new")
    assert elsewhere.read_bytes() == b"mine"
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_link_to_nothing_counts_as_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    assert not files.create_file(tmp_path / "a", b"new")
    assert not (tmp_path / "elsewhere").exists()
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("says", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_second_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: int
) -> None:
    def link(*_: object) -> None:
        raise OSError(says, os.strerror(says))

    monkeypatch.setattr(os, "link", link)
    assert files.create_file(tmp_path / "a", b"old")
    assert not files.create_file(tmp_path / "a", b"new")
    files.link_file(tmp_path / "a", tmp_path / "b")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"old", b"old")
    assert (mode(tmp_path / "b"), names(tmp_path)) == (0o600, ["a", "b"])


def test_a_block_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def half() -> None:
        with files.replacing(tmp_path / "a") as file:
            file.write(b"half of the n")
            raise PowerCut

    with pytest.raises(PowerCut):
        half()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_disk_that_takes_nothing_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        files.replace_file(tmp_path / "a", b"new")
    with pytest.raises(OSError, match="no space"):
        files.create_file(tmp_path / "b", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.new").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 which one is the system's choice
        files.replace_file(tmp_path / "a", b"new")
    assert names(tmp_path) == ["a.new"]


def test_of_many_that_create_a_file_one_wins(tmp_path: Path) -> None:
    path, made, go = tmp_path / "a", {}, threading.Barrier(8)

    def create(number: int) -> None:
        go.wait()
        made[number] = files.create_file(path, bytes([number]) * 4096)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = (number for number, won in made.items() if won)
    assert path.read_bytes() == bytes([winner]) * 4096
    assert names(tmp_path) == ["a"]


def test_a_new_file_takes_the_place_of_none(tmp_path: Path) -> None:
    with files.open_new(tmp_path / "a") as file:
        file.write(b"1")
    assert mode(tmp_path / "a") == 0o600
    with pytest.raises(FileExistsError):
        files.open_new(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    with pytest.raises(FileExistsError):
        files.open_new(tmp_path / "link")
    assert names(tmp_path) == ["a", "link"]


def test_a_file_of_its_own_is_made_read_written_and_never_waited_for(tmp_path: Path) -> None:
    handle = files.open_own(tmp_path / "a")
    os.write(handle, b"1")
    assert os.pread(handle, 9, 0) == b"1"
    assert not os.get_blocking(handle)
    os.close(handle)
    for given, found in ((0o644, 0o600), (0o640, 0o600), (0o604, 0o600), (0o700, 0o700)):
        (tmp_path / "a").chmod(given)
        os.close(files.open_own(tmp_path / "a"))
        assert mode(tmp_path / "a") == found


@pytest.mark.parametrize("make", [files.open_own, files.make_own])
def test_what_another_may_have_chosen_is_no_file_of_its_own(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "folder", "pipe"):
        with pytest.raises(OSError, match=r"."):
            make(tmp_path / name)
    os.link(tmp_path / "a", tmp_path / "b")
    for name in ("a", "b"):
        with pytest.raises(OSError, match="not a file of its own"):
            make(tmp_path / name)


def test_a_file_that_is_as_it_should_be_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To close it again would drop SQLite's locks of this process."""
    opened: list[object] = []
    real = os.open

    def seen(path: object, *more: int) -> int:
        opened.append(path)
        return real(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", seen)
    files.make_own(tmp_path / "a")
    assert (opened, mode(tmp_path / "a")) == ([tmp_path / "a"], 0o600)
    files.make_own(tmp_path / "a")
    assert len(opened) == 1
    (tmp_path / "a").chmod(0o640)
    files.make_own(tmp_path / "a")
    assert (len(opened), mode(tmp_path / "a")) == (2, 0o600)


@pytest.mark.parametrize(
    ("given", "readable"), [(0o600, False), (0o640, True), (0o604, True), (0o400, False)]
)
def test_who_else_may_read_it_is_in_its_rights_but_for_what_systemd_hands_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: int, readable: bool
) -> None:
    (tmp_path / "credentials").mkdir()
    for path in (tmp_path / "a", tmp_path / "credentials" / "a"):
        path.write_bytes(b"1")
        path.chmod(given)
        assert files.readable_by_others(path) is readable
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert files.readable_by_others(tmp_path / "a") is readable
    assert not files.readable_by_others(tmp_path / "credentials" / "a")
