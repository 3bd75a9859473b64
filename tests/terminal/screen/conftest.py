"""Fixtures of all screen tests."""

from tests.terminal.screen.browser import browser, new_page, page

__all__ = ["browser", "new_page", "page"]
