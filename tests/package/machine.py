"""A Debian of its own, booted by systemd-nspawn with a network of its own; nothing of this machine is changed.

The tree is made by mmdebstrap once for each list of packages and kept in `CACHE`; a half-made one is never seen,
because it gets its name when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from tests.terminal.operations.service import Manager, manager

CACHE = Path("/var/cache/resident-card-terminal")
PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev")
FETCHED = ("python3", "libpcsclite1", "pcscd", "polkitd", "libccid", "vsmartcard-vpcd")
"""What apt finds in its cache when it needs it: the machine has no network."""
FETCH = ("install", "--yes", "--download-only", "--option", "APT::Install-Recommends=true")
"""With what Debian recommends, as apt does where it is not asked otherwise."""
KEPT = "cleanup/apt"
"""Of what mmdebstrap takes away at its end."""
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nsenter": "util-linux",
    "dpkg-deb": "dpkg",
}
NAMESPACES = ("-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w")
ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8")
DEADLINE_S = 240.0
POWER_OFF_S = 60.0
TRIES = 2


def missing() -> str | None:
    """Why no machine can be booted here; None when one can."""
    if os.geteuid() != 0:
        return "only root boots a machine"
    lacking = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def suite() -> str:
    """The Debian this one is, which the packages are for."""
    lines = Path("/etc/os-release").read_text().splitlines()
    (name,) = (line.partition("=")[2] for line in lines if line.startswith("VERSION_CODENAME="))
    return name.strip('"')


def base_tree() -> Path:
    """A Debian with `PACKAGES`, as it is after its installation, and `FETCHED` at hand."""
    key = hashlib.sha256(" ".join((suite(), *PACKAGES, *FETCH, *FETCHED)).encode()).hexdigest()[:16]
    tree = CACHE / f"debian-{key}"
    if not tree.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="making-", dir=CACHE)) / "tree"
        try:
            bootstrap(made)
            made.rename(tree)
        finally:
            shutil.rmtree(made.parent)
    return tree


def bootstrap(tree: Path) -> None:
    """A mirror may fail once."""
    fetch = f'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get {" ".join((*FETCH, *FETCHED))}'
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        f"--skip={KEPT}",
        f"--customize-hook={fetch}",
        suite(),
        str(tree),
    ]
    for _ in range(TRIES):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode == 0:
            return
        shutil.rmtree(tree, ignore_errors=True)
    raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")


@dataclass(frozen=True)
class Machine:
    """A booted one: `tree` is its disk, `leader` its first process."""

    tree: Path
    leader: int

    def ask(self, *words: object, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root."""
        command = ["nsenter", "-t", str(self.leader), *NAMESPACES, *ENVIRONMENT, *map(str, words)]
        return subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )

    def run(self, *words: object, given: str = "") -> str:
        """The same, of a command that must succeed; its standard output."""
        done = self.ask(*words, given=given)
        assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def log(self, unit: str) -> str:
        """What the unit has said, its messages alone."""
        return self.run("journalctl", "--sync") + self.run(
            "journalctl", "-o", "cat", "--no-pager", "-u", unit
        )

    def line_of(self, unit: str, part: str, since: int = 0) -> str:
        """The first line of the unit's log with `part`, behind `since` such lines; waits for it."""
        follow = ["journalctl", "-f", "-n", "all", "-o", "cat", "-u", unit]
        command = ["nsenter", "-t", str(self.leader), *NAMESPACES, *ENVIRONMENT, "timeout", "60", *follow]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if part in line:
                        since -= 1
                    if part in line and since < 0:
                        return line
            finally:
                process.terminate()
        raise AssertionError(f"{unit} did not say {part!r}:\n{self.log(unit)}")

    def user_of(self, path: str) -> str:
        return self.run("stat", "-c", "%U:%a", path).strip()


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """A machine in `folder`, up until the end of the block."""
    tree = folder / "machine"
    subprocess.run(
        ["cp", "-a", "--reflink=auto", str(base_tree()), str(tree)], check=True, timeout=DEADLINE_S
    )
    command = ["systemd-nspawn", "--boot", "-D", str(tree), "--register=no", "--keep-unit"]
    command += ["--private-network", "--console=pipe", "--notify-ready=yes", "--machine=validator"]
    with manager() as systemd, (folder / "boot.log").open("wb") as log:
        environment = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": systemd.address}
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            leader = int(systemd.hear_until("X_NSPAWN_LEADER_PID")["X_NSPAWN_LEADER_PID"])
            systemd.hear_until("READY")
            Thread(target=listen, args=(systemd,), daemon=True).start()
            yield Machine(tree, leader)
        finally:
            stop(process)


def listen(systemd: Manager) -> None:
    """Hear what the machine goes on to say: unread messages would hold up its first process, and with it all units."""
    with suppress(OSError):
        while True:
            systemd.hear(1.0)


def stop(process: subprocess.Popen[bytes]) -> None:
    """As a power button would; and the plug, when it does not answer."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(POWER_OFF_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def seconds(began: float) -> float:
    return time.monotonic() - began
