"""`sim phone`: the key stays in the browser, the laboratory's issuer signs for it, and a running bus takes its code."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.by_hand import ENVIRONMENT
from tests.terminal.cli.conftest import command
from tests.terminal.media.test_phone_live import NOW, REFUSED, RIDES, Scanned
from tests.terminal.screen.browser import (
    NewPage,
    assert_accessible,
    browser,  # noqa: F401 a fixture
    new_page,  # noqa: F401 a fixture
    wait_until,
)


@pytest.fixture
def address() -> Iterator[str]:
    process = subprocess.Popen(
        command(("phone", "--port", "0", "--today", "2026-09-15"), "sim.cli.app"),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield process.stdout.readline().split()[-1]
    process.terminate()
    process.communicate(timeout=20)


def shown(page: Page, counter: int) -> str:
    """The code with this counter, once it is there."""
    wait_until(page, f"document.getElementById('code').dataset.counter === '{counter}'")
    return page.locator("#code").input_value()


def test_its_code_rides_and_outlives_the_page(
    address: str,
    new_page: NewPage,  # noqa: F811
    tmp_path: Path,
) -> None:
    page = new_page(locale="ru-RU")
    page.clock.set_fixed_time(NOW)
    page.goto(address)
    first = shown(page, 1)
    wait_until(page, "document.getElementById('picture').naturalWidth > 200")
    assert page.get_by_text("Действует. Обновится сам с 24.09.2026.").is_visible()
    assert_accessible(page)
    with closing(Scanned(tmp_path)) as bus:
        assert bus.scan(first) == RIDES
        page.reload()
        assert bus.scan(shown(page, 2)) == ("already_paid", "let_in", "nothing_written")
        assert bus.scan(first) == ("code_used", *REFUSED)
        page.get_by_role("button", name="Обновить").click()
        assert bus.scan(shown(page, 3))[0] == "already_paid", "a renewed credential is the same phone"
        page.get_by_role("button", name="Новый телефон").click()
        assert bus.scan(shown(page, 1)) == RIDES
