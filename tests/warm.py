"""Commands that tests start are forked from a process that has imported them: half a second less for each.

`replace_popen` puts `WarmPopen` in the place of `subprocess.Popen`. A command of `MODULES`, which it starts, differs
from a fresh one in nothing but what it has imported and in the seed of its hashes: it is a child of the process that
started it, has the arguments, environment, folder, streams and mask it was given, and ends as Python ends.
`tests/test_warm.py` compares them.

Every other command is started afresh, and so are these:

- with `-c` or `-X`, the installed scripts, in a shell;
- with limits, a user, a group or a session of its own, and with passed descriptors;
- in an environment that changes how Python or a library starts: `PYTHON*` and `AT_START`;
- in a module or test marked `fresh`: what measures a start, imports or memory has to be;
- all, where TESTS_FRESH is set in the environment of the tests.

Two forks make it: the first child ends at once, and the second, an orphan, falls to the nearest process above it that
takes orphans (prctl, PR_SET_CHILD_SUBREAPER). For that moment it is the one that asked.
"""

from __future__ import annotations

import array
import atexit
import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
MODULES: Final = frozenset({"terminal.cli.app", "sim.cli.app", "tests.terminal.collector.serve"})
"""What is started warm; `tests.warm_process` imports what they load."""
AT_START: Final = (
    "LANG",
    "LC_",
    "LD_",
    "MALLOC_",
    "GLIBC_",
    "OPENSSL",
    "TERMINAL_",
    "TYPER_",
    "FORCE_COLOR",
    "PY_",
    "GITHUB_",
)
"""What is read as Python or a library starts: a command for which one of these differs is started afresh."""
PATH: Final = "PYTHONPATH"
PR_SET_CHILD_SUBREAPER: Final = 36
LIMITS: Final = (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_STACK)
"""Inherited, and lowered by what a test does in this process: those of now hold."""
LONGEST_S: Final = 60.0

_BEGAN: Final = dict(os.environ)
_FRESH_POPEN: Final = subprocess.Popen
_SIGNATURE: Final = signature(_FRESH_POPEN._execute_child)  # type: ignore[attr-defined]
_UNASKED: Final[Mapping[str, object]] = {
    "preexec_fn": None,
    "close_fds": True,
    "pass_fds": (),
    "shell": False,
    "restore_signals": True,
    "gid": None,
    "gids": None,
    "uid": None,
    "start_new_session": False,
    "process_group": -1,
}


class _State:
    """Of this process."""

    fresh = False
    process: WarmProcess | None = None
    lock = threading.Lock()


def replace_popen() -> None:
    """From now on this process starts commands warm, where the system can."""
    if sys.platform == "linux" and not os.environ.get("TESTS_FRESH"):
        subprocess.Popen = WarmPopen  # type: ignore[misc]


def only_fresh(wanted: bool) -> bool:
    """Whether commands are started afresh from now on; returns what held before."""
    before, _State.fresh = _State.fresh, wanted
    return before


class WarmPopen(_FRESH_POPEN):  # type: ignore[type-arg]
    """`subprocess.Popen` to its users; `warm` says which kind of start it was."""

    warm = False

    def _execute_child(self, *arguments: Any) -> None:
        asked = _SIGNATURE.bind(self, *arguments).arguments
        order = _order(asked)
        if order is None:
            super()._execute_child(*arguments)  # type: ignore[misc]
            return
        streams = [
            asked[name] if asked[name] != -1 else number
            for number, name in enumerate(("p2cread", "c2pwrite", "errwrite"))
        ]
        self.pid = _started(order, streams)
        self._child_created = self.warm = True
        names = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[name] for name in names))  # type: ignore[attr-defined]


class WarmProcess:
    """`python -m tests.warm_process`, as this process knows it: orders go in, ids of processes come out."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._child = _FRESH_POPEN(
                [sys.executable, "-m", "tests.warm_process", str(theirs.fileno())],
                cwd=ROOT,
                env=_BEGAN | {PATH: str(ROOT)},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        ours.settimeout(LONGEST_S)
        self._socket = ours
        self.owner = os.getpid()
        self.pid = self._child.pid
        self._heard()

    def start(self, order: Mapping[str, object], streams: Sequence[int]) -> int:
        """The id of the process, which is then a child of this one."""
        body = json.dumps(order).encode(errors="surrogateescape")
        text = os.memfd_create("order")
        try:
            os.pwrite(text, body, 0)
            _take_orphans(True)
            descriptors = array.array("i", [*streams, text])
            self._socket.sendmsg([b"start"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            return int(self._heard())
        finally:
            _take_orphans(False)
            os.close(text)

    def _heard(self) -> bytes:
        answer = self._socket.recv(64)
        if not answer:
            raise RuntimeError(f"the warm process has ended with {self._child.wait(LONGEST_S)}")
        return answer

    def end(self) -> None:
        self._socket.close()
        if os.getpid() == self.owner:
            self._child.wait(LONGEST_S)


def _started(order: Mapping[str, object], streams: Sequence[int]) -> int:
    """Asks the one warm process of this process, a thread at a time; the first order starts it."""
    with _State.lock:
        if _State.process is None or _State.process.owner != os.getpid():
            _State.process = WarmProcess()
            atexit.register(_State.process.end)
        return _State.process.start(order, streams)


def _order(asked: Mapping[str, Any]) -> dict[str, object] | None:
    """What is asked of the warm process; None where it has to be a fresh one."""
    command, environment = asked["args"], asked["env"]
    environment = dict(os.environ if environment is None else environment)
    if _State.fresh or not _is_known(command) or not _is_plain(asked) or not _starts_as_we_did(environment):
        return None
    folder = os.path.abspath(asked["cwd"] or ".")
    if not os.access(folder, os.X_OK) or not os.path.isdir(folder):
        return None  # the real one says why not
    return {
        "module": command[2],
        "arguments": [str(word) for word in command[3:]],
        "command": [str(word) for word in command],
        "environment": environment,
        "folder": folder,
        "mask": _mask() if asked["umask"] == -1 else asked["umask"],
        "limits": {str(kind): resource.getrlimit(kind) for kind in LIMITS},
    }


def _is_known(command: object) -> bool:
    return (
        isinstance(command, list | tuple)
        and len(command) > 2
        and command[:2] == type(command)([sys.executable, "-m"])
        and command[2] in MODULES
        and all(isinstance(word, str | Path) for word in command)
    )


def _is_plain(asked: Mapping[str, Any]) -> bool:
    """Whether nothing is asked of the new process that forking does not give."""
    return asked["executable"] in (None, sys.executable) and all(
        asked[name] == value for name, value in _UNASKED.items() if name in asked
    )


def _starts_as_we_did(environment: Mapping[str, str]) -> bool:
    """Whether a fresh Python with `environment` would have become what the warm process is."""
    if environment.get(PATH, str(ROOT)) != str(ROOT):
        return False
    return _at_start(environment) == _at_start(_BEGAN)


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith((*AT_START, "PYTHON")) and name != PATH
    }


def _mask() -> int:
    """The mask for new files, which the system tells without setting it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Umask":
            return int(value, 8)
    raise RuntimeError("/proc/self/status names no umask")


def _take_orphans(wanted: bool) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl refused PR_SET_CHILD_SUBREAPER")


def warm_processes() -> list[int]:
    """The id of this process's warm one; none before the first command."""
    running = _State.process
    return [] if running is None else [running.pid]
