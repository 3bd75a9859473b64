"""Bank cards on the deny list: entered by the back office, by token, and taken off by it alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from terminal.policy.deny_list import DenyKind
from terminal.publish.deny.issuing import issue_base, issue_increment, put_for_terminals
from terminal.publish.deny.register import DeniedIdentity, DenyEntry, DenyReason, DenyRegister

BY: Final = "bank-office"
"""Who enters them, as a register says it; `terminal deny` may end an entry before."""


class BankDenials:
    """The register in a folder, as `terminal.collector.bank.settle.DenyPort`. With the list key of `deny` a run makes
    an increment of what changed, and puts it into `out` for terminals. Methods raise `PublishError`.
    """

    def __init__(
        self, folder: Path, region: int, list_key: bytes | None, out: Path | None, now: Callable[[], datetime]
    ) -> None:
        self._register = DenyRegister(folder)
        self._region = region
        self._list_key = list_key
        self._out = out
        self._now = now

    def deny(self, token: bytes) -> None:
        entry = DenyEntry(DeniedIdentity(DenyKind.BANK_CARD, token), DenyReason.DEBT, self._now(), None, BY)
        self._register.add(entry)

    def release(self, token: bytes) -> None:
        identity = DeniedIdentity(DenyKind.BANK_CARD, token)
        held = next((one for one in self._register.of(identity) if one.ended_at is None), None)
        if held is not None and held.by == BY:
            self._register.end(identity, self._now(), BY)

    def issue(self) -> None:
        """An increment of what changed; the first time, a base."""
        if self._list_key is None:
            return
        now = self._now().replace(microsecond=0)
        if self._register.issues():
            issue_increment(self._register, self._list_key, now)
        else:
            issue_base(self._register, self._list_key, self._region, now)
        if self._out is not None:
            put_for_terminals(self._register, self._out)

    def close(self) -> None:
        self._register.close()
