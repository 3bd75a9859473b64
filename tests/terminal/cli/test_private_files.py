"""Who may read what the product writes, and where it lands: through its own commands, whatever umask and links say."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
import typer

from sim.cli.app import app as sim_app
from sim.profile import LAB_KEYS
from terminal.canteen.spare_log import SpareLog
from terminal.cli.app import whole
from terminal.collector.store import connect
from terminal.errors import JournalError, KeyFileError
from terminal.files import make_own, open_own, readable_by_others
from terminal.journal.lock import FileLock
from terminal.journal.room import no_room
from terminal.keys.file import require_private
from terminal.operations.status import STATUS_FILE
from tests.terminal.canteen.test_spare_log import MEAL
from tests.terminal.cli.conftest import ENVIRONMENT, command

MODES = "modes.json"
TAPS = (
    "run",
    "--profile",
    "bus",
    "--reader",
    "sim:adult_purse",
    "--taps",
    "1",
    "--state",
    "bus",
    "--number",
    "7",
)


def done(
    folder: Path, *arguments: object, umask: int = 0o022, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(arguments),
        cwd=folder,
        env=ENVIRONMENT | environment,
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def files_in(folder: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(folder.rglob("*")):
        yield str(path.relative_to(folder)), stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A terminal and a collector that ran under a umask that takes nothing away, and everything they hand out."""
    folder = tmp_path_factory.mktemp("open")
    collector = subprocess.Popen(
        command(("collector", "--folder", "town", "--port", "0", "--json")),
        cwd=folder,
        env=ENVIRONMENT,
        umask=0,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert collector.stdout is not None
        assert collector.stdout.readline()
        for arguments in (
            TAPS,
            ("backup", "bus.backup", "--state", "bus"),
            ("export", "csv", "day", "--state", "bus", "--out", "day.csv"),
            ("export", "tides", "--state", "bus", "--out", "tides.csv"),
            ("collector", "enrol", "7", "--folder", "town"),
            ("collector", "users", "add", "17", "--no-password", "--folder", "town"),
            ("collector", "users", "token", "17", "--to", "17.token", "--folder", "town"),
            ("collector", "backup", "town.backup", "--with-key", "--folder", "town"),
            ("config", "init", "terminal.toml"),
        ):
            ended = done(folder, *arguments, umask=0)
            assert ended.returncode == 0, ended.stderr
        modes = dict(files_in(folder))  # while the collector's log and lock are there
    finally:
        collector.terminate()
        collector.communicate(timeout=20)
    (folder / MODES).write_bytes(msgspec.json.encode(modes))
    return folder


def test_every_file_is_its_owners_whatever_the_umask(day: Path) -> None:
    modes = msgspec.json.decode((day / MODES).read_bytes(), type=dict[str, int])
    files = {Path(name).name: mode for name, mode in modes.items() if not (day / name).is_dir()}
    for name in (
        "collector.db",
        "collector.db-wal",
        "books.db",
        "collector.key",
        "users.json",
        "collector.db.lock",
    ):
        assert name in files
    for name in (
        "journal.db",
        "journal.db.key",
        "terminal.key",
        "journal.db.lock",
        "bus.backup",
        "day.csv",
        "7.code",
    ):
        assert name in files
    for name, mode in files.items():
        public = name.endswith((".pub", ".crt")) or name in {STATUS_FILE, "terminal.toml"}
        assert mode == (0o644 if public else 0o600), name


def test_no_folder_can_be_written_by_others(day: Path) -> None:
    for name, mode in files_in(day):
        assert not mode & 0o022, name


def test_a_terminal_refuses_keys_that_others_may_read(day: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bus"
    shutil.copytree(day / "bus", folder)
    for name in ("terminal.key", "journal.db.key"):
        (folder / name).chmod(0o640)
        refused = done(tmp_path, *TAPS)
        assert refused.returncode == 11
        assert f"chmod 600 {Path('bus') / name}" in refused.stderr
        assert refused.stderr.count("\n") == 1
        health = done(tmp_path, "health", "--state", "bus")
        assert f"other users may read bus/{name}: chmod 600" in health.stdout
        (folder / name).chmod(0o600)
    assert done(tmp_path, *TAPS).returncode == 0


def test_a_key_file_is_refused_but_for_the_public_one_and_what_systemd_hands_over(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_bytes(LAB_KEYS.read_bytes() + b"# ours\n")
    keys.chmod(0o604)
    assert done(tmp_path, *TAPS, "--keys", keys).returncode == 11
    assert done(tmp_path, *TAPS, "--keys", keys, CREDENTIALS_DIRECTORY=str(tmp_path)).returncode == 0
    keys.write_bytes(LAB_KEYS.read_bytes())
    assert done(tmp_path, *TAPS, "--keys", keys, "--state", "other").returncode == 0


def test_a_collector_refuses_keys_that_others_may_read(day: Path, tmp_path: Path) -> None:
    shutil.copytree(day / "town", tmp_path / "town")
    for name in ("collector.key", "office/users.json"):
        (tmp_path / "town" / name).chmod(0o644)
        refused = done(tmp_path, "collector", "--folder", "town", "--port", "0")
        assert refused.returncode == 11
        assert f"chmod 600 town/{name}" in refused.stderr
        (tmp_path / "town" / name).chmod(0o600)


def test_who_may_read_is_asked_as_ssh_asks(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    for mode, others in ((0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o660, True)):
        key.chmod(mode)
        assert readable_by_others(key) is others, oct(mode)
    require_private(tmp_path / "missing")
    with pytest.raises(KeyFileError, match="other users may read"):
        require_private(key)


def test_nothing_that_is_written_follows_a_link(tmp_path: Path) -> None:
    """In a folder that others share, a link laid there leads to no other file."""
    target = tmp_path / "precious"

    def laid(name: str) -> Path:
        target.write_text("precious")
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).symlink_to(target)
        return tmp_path / name

    with pytest.raises(OSError, match="symbolic"):
        FileLock.acquire(laid("journal.db.lock").with_suffix(""))
    with pytest.raises(Exception, match="symbolic"):
        connect(laid("collector.db"))
    with pytest.raises(OSError, match="symbolic"):
        make_own(laid("active.db"))
    laid("journal.db.probe")
    assert no_room(tmp_path / "journal.db") is None
    laid("spare.log")
    with pytest.raises(JournalError):
        SpareLog(tmp_path / "spare.log").append(MEAL)
    assert target.read_text() == "precious"


def test_replaced_files_take_the_place_of_a_link(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    state = tmp_path / "bus"
    state.mkdir()
    (state / STATUS_FILE).symlink_to(target)
    (tmp_path / "day.csv").symlink_to(target)
    assert done(tmp_path, *TAPS).returncode == 0
    assert done(tmp_path, "export", "csv", "day", "--state", "bus", "--out", "day.csv").returncode == 0
    assert target.read_text() == "precious"
    assert (tmp_path / "day.csv").read_text().startswith("service_date")
    assert not (state / STATUS_FILE).is_symlink()


def test_a_file_with_a_second_name_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("precious")
    os.link(tmp_path / "one", tmp_path / "two")
    with pytest.raises(OSError, match="of its own"):
        open_own(tmp_path / "two")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="of its own"):
        open_own(tmp_path / "pipe")


SECRET = ("password", "secret", "token", "pin")


@pytest.mark.parametrize("app", [whole(), sim_app], ids=["terminal", "sim"])
def test_no_option_takes_a_secret_by_its_value(app: typer.Typer) -> None:
    """What stands on a command line is read by every user of the machine."""

    def options(group: click.Command) -> Iterator[tuple[str, click.Parameter]]:
        for parameter in group.params:
            yield group.name or "", parameter
        for below in getattr(group, "commands", {}).values():
            yield from options(below)

    found = list(options(typer.main.get_command(app)))
    assert len(found) > 20
    for name, parameter in found:
        if any(word in (parameter.name or "").split("_") for word in SECRET):
            takes_file = parameter.type.name == "path" or getattr(parameter, "is_flag", False)
            assert takes_file, f"{name} {parameter.name}"
