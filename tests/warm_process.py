"""The process that commands of tests are forked from: `python -m tests.warm_process SOCKET`, started by `tests.warm`.

It imports what the commands load, and then waits. It has no thread, no open file and no handler of its own: what is
forked from it goes on as Python does after its own start, and leaves as Python leaves.
"""

from __future__ import annotations

import array
import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import resource
import runpy
import socket
import sys
import threading
import time
from types import ModuleType
from typing import Any, Final

WHOLE: Final = (
    "cardcli",
    "cardproto",
    "sim",
    "terminal.app",
    "terminal.canteen",
    "terminal.cli",
    "terminal.journal",
)
"""Packages all of whose modules are imported."""
BESIDES: Final = (
    "asyncio.base_subprocess",
    "httpx",
    "jinja2",
    "rich.table",
    "typer.rich_utils",
    "uvicorn.lifespan.on",
)
EXTRAS: Final = ("terminal.collector.fleet", "sim.vehicle.announcement", "sim.pytest_plugin")
"""They need what is not always installed."""
DESCRIPTORS: Final = 4


def import_all() -> None:
    """Whatever a command may load; twice is once."""
    for name in WHOLE:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.startswith(EXTRAS) and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in BESIDES:
        importlib.import_module(name)


def serve(asked: socket.socket) -> dict[str, Any] | None:
    """Forks for each order. Returns the order in the process that carries it out, and None at the end."""
    while True:
        message, ancillary, _, _ = asked.recvmsg(16, socket.CMSG_SPACE(DESCRIPTORS * 4))
        if not message:
            return None
        received = array.array("i", ancillary[0][2])
        order = _forked(asked, *received)
        if order is not None:
            return order


def _forked(asked: socket.socket, stdin: int, stdout: int, stderr: int, text: int) -> dict[str, Any] | None:
    """The order in the new process, when its parent has let go of it; None in this one."""
    named, go = os.pipe(), os.pipe()
    first = os.fork()
    if first == 0:
        second = os.fork()
        if second != 0:
            os.write(named[1], str(second).encode())
            os._exit(0)
        os.close(go[1])
        os.read(go[0], 1)
        order: dict[str, Any] = json.loads(
            os.pread(text, os.fstat(text).st_size, 0).decode(errors="surrogateescape")
        )
        asked.close()
        for descriptor in (*named, go[0], text):
            os.close(descriptor)
        _take_streams(stdin, stdout, stderr)
        return order
    os.waitpid(first, 0)
    asked.send(os.read(named[0], 16))
    for descriptor in (*named, *go, stdin, stdout, stderr, text):
        os.close(descriptor)
    return None


def _take_streams(*streams: int) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    sys.stdin = sys.__stdin__ = _opened(0, "<stdin>", sys.stdin)
    sys.stdout = sys.__stdout__ = _opened(1, "<stdout>", sys.stdout)
    sys.stderr = sys.__stderr__ = _opened(2, "<stderr>", sys.stderr)


def _opened(number: int, name: str, like: Any) -> Any:
    """A standard stream as Python opens it at its start (`create_stdio` of its pylifecycle.c)."""
    mode, at_once = "r" if number == 0 else "w", isinstance(like.buffer, io.FileIO)  # with PYTHONUNBUFFERED
    opened: Any = open(number, mode + "b", buffering=0 if at_once else -1, closefd=False)  # noqa: SIM115 it stays open
    raw = opened if at_once else opened.raw
    raw.name = name
    by_line = not at_once and (number == 2 or raw.isatty())
    stream = io.TextIOWrapper(
        opened, like.encoding, like.errors, "\n", by_line, write_through=like.write_through
    )
    stream.mode = mode  # type: ignore[misc]
    return stream


def become(order: dict[str, Any]) -> None:
    """`python -m module`, from where its arguments have been read."""
    os.chdir(order["folder"])
    os.umask(order["mask"])
    for kind, limit in order["limits"].items():
        resource.setrlimit(int(kind), tuple(limit))
    _take_environment(order["environment"])
    sys.path[0] = order["folder"]
    if "PYTHONPATH" not in order["environment"]:
        del sys.path[1]
    sys.argv = ["-m", *order["arguments"]]
    sys.orig_argv = order["command"]
    sys.modules["__main__"] = ModuleType("__main__")
    sys.modules.pop(order["module"], None)
    try:
        runpy._run_module_as_main(order["module"])  # type: ignore[attr-defined]
    except SystemExit as end:
        code = end.code
        if not isinstance(code, int | None):
            raise
    else:
        code = 0
    _leave(code or 0)


def _leave(code: int) -> None:
    """As Python leaves (`Py_FinalizeEx`), but for taking a thousand modules apart, which takes as long as a command."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except (OSError, ValueError):
        sys.exit(code)  # Python finds the same and says so
    os._exit(code & 0xFF)


def _take_environment(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def main() -> None:
    asked = socket.socket(fileno=int(sys.argv[1]))
    import_all()
    gc.collect()
    gc.freeze()
    asked.send(b"ready")
    order = serve(asked)
    if order is not None:
        become(order)


if __name__ == "__main__":
    main()
