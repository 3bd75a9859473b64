"""Chromium for the pages of a first run."""

from tests.terminal.screen.browser import browser, new_page, page

__all__ = ["browser", "new_page", "page"]
