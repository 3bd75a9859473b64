"""Where pictures are taken: one Chromium, one folder for what the programs need, one for the pictures."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from playwright.sync_api import Browser, Page, sync_playwright

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURES: Final = ROOT / "docs" / "pictures"
FLAGS: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE_MS: Final = 60_000


class NoChromium(Exception):
    """There is no browser to take pictures with."""


@dataclass(frozen=True, slots=True)
class Studio:
    """`work` is empty at the start and goes away at the end; `out` gets the pictures."""

    browser: Browser
    work: Path
    out: Path

    @contextmanager
    def page(self, width: int, height: int, **options: Any) -> Iterator[Page]:
        """A page in a context of its own."""
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        try:
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            yield page
        finally:
            context.close()

    def keep(self, page: Page, name: str, **options: Any) -> None:
        """The page as it is now becomes the picture `name`."""
        self.out.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(self.out / f"{name}.png"), animations="disabled", caret="hide", **options)

    def side_by_side(self, pictures: list[bytes], name: str, width: int, height: int) -> None:
        """Several pictures of one size become one."""
        images = "".join(
            f'<img alt="" width="{width}" height="{height}" '
            f'src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
            for picture in pictures
        )
        style = "body{margin:0;display:flex;gap:12px;background:#fff}"
        whole = width * len(pictures) + 12 * (len(pictures) - 1)
        with self.page(whole, height) as page:
            page.set_content(f"<!doctype html><style>{style}</style>{images}")
            self.keep(page, name)


Shot: TypeAlias = Callable[[Studio], None]


@contextmanager
def open_studio(work: Path, out: Path = PICTURES) -> Iterator[Studio]:
    """Raises `NoChromium`."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise NoChromium(
            "No Chromium here. Install Debian's package chromium, or name one in the variable CHROMIUM."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield Studio(browser, work, out)
        browser.close()
