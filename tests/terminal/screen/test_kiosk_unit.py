"""The kiosk's unit: the very line that it starts opens the display of a running terminal, and a tap appears on it.

Under the compositor, drawn into memory, where cage and Xwayland are installed; else its browser alone.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.by_hand import BY_HAND, ENVIRONMENT, PATIENCE_S, started
from tests.config_file import config_file
from tests.terminal.operations.test_units import UNITS, settings
from tests.terminal.screen.browser import CHROMIUM

UNIT = UNITS / "terminal-kiosk.service"
UNDER = "--"
"""Behind it stands what the compositor shows."""
IN_MEMORY = {"WLR_BACKENDS": "headless", "WLR_RENDERER": "pixman", "WLR_LIBINPUT_NO_DEVICES": "1"}
ADDED = ("--no-sandbox", "--remote-debugging-port=0")
"""Tests may run as root, and have to look inside."""
ADDRESS = "DevToolsActivePort"
"""Where Chromium writes, when it is up, the port at which it is looked into."""


def command_of(profile: Path, page: str) -> list[str]:
    """The unit's command line for this machine."""
    line = settings(UNIT)["ExecStart"]
    words = [
        word.replace("${STATE_DIRECTORY}", str(profile)).replace("${DISPLAY_PAGE}", page)
        for word in shlex.split(line)
    ]
    compositor, shown = words[: words.index(UNDER) + 1], words[words.index(UNDER) + 1 :]
    browser = [str(CHROMIUM), *shown[1:-1], *ADDED]
    if all(map(shutil.which, ("cage", "Xwayland"))):
        return [*compositor, *browser, shown[-1]]
    return [*(word for word in browser if "--ozone-platform" not in word), "--headless=new", shown[-1]]


@contextmanager
def kiosk(folder: Path, page: str) -> Iterator[str]:
    """The browser, up; where it is looked into."""
    profile, runtime = folder / "profile", folder / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {**os.environ, **IN_MEMORY, "XDG_RUNTIME_DIR": str(runtime), "HOME": str(folder)}
    with (folder / "kiosk.log").open("wb") as log:
        process = subprocess.Popen(
            command_of(profile, page), env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until, written = time.monotonic() + PATIENCE_S, profile / ADDRESS
        while not written.exists() or not written.read_text():
            assert process.poll() is None, (folder / "kiosk.log").read_text()
            assert time.monotonic() < until, "it did not come up"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{written.read_text().splitlines()[0]}"
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGTERM)  # with the browser: its starter may be a script
        process.wait(PATIENCE_S)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian: chromium)")
def test_the_units_own_line_opens_the_display_and_a_tap_appears(tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    command = [sys.executable, "-m", "sim.cli.app", "card", "new", str(card), "--profile", "adult_purse"]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=PATIENCE_S)
    config = config_file(
        tmp_path,
        terminal={"number": 1, "profile": "bus", "region": "demo", "state": "state"},
        reader={"name": "sim:"},
        shift={"operator": "17", "route": 15},
        screen={"enabled": True, "port": 0},
        laboratory=BY_HAND,
    )
    with started(tmp_path, config) as terminal:
        (said,) = (line for line in terminal.stderr.splitlines() if "passenger display: " in line)
        page = said.partition("passenger display: ")[2]
        with kiosk(tmp_path, page) as address, sync_playwright() as playwright:
            browser = playwright.chromium.connect_over_cdp(address)
            ((shown,),) = (context.pages for context in browser.contexts)
            assert shown.url == page
            expect(shown.locator("body")).to_contain_text("Приложите карту")
            assert terminal.tap(card)["end"] == "committed"
            expect(shown.locator("body")).to_contain_text("Оплачено")
            browser.close()


def test_the_compositor_may_make_its_sockets() -> None:
    """All else is for reading: in a unit without these lines it cannot start."""
    unit = settings(UNIT)
    assert unit["ProtectSystem"] == "strict"
    assert (unit["PrivateTmp"], unit["ReadWritePaths"]) == ("yes", "-/run/user")
