"""The demo region as another country's would be: its prices in another currency, and no receipts of 54-FZ."""

from __future__ import annotations

from terminal.policy.load import DEMO_REGION

WITHOUT_FISCAL = {
    'vat = "none"  # [E]\n': "",
    'ways = ["qr", "control_ticket"]  # T-50 [S46]: on a display where there is one, else found by its ticket\n': "",
}


def demo_in(currency: str, *changes: tuple[str, str]) -> str:
    """The document's text, with further pieces of it replaced."""
    text = DEMO_REGION.read_text("utf-8")
    for old, new in {
        'currency = "RUB"': f'currency = "{currency}"',
        **WITHOUT_FISCAL,
        **dict(changes),
    }.items():
        assert old in text, f"{old!r} is not in the demo region"
        text = text.replace(old, new, 1)
    return text
