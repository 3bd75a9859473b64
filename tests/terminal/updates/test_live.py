"""What is published while a terminal runs: `terminal run --config` started, a file replaced, the row read back."""

from __future__ import annotations

import os
from pathlib import Path

from terminal.app.simulated import laboratory_keys
from terminal.codes import SetKind
from terminal.journal.operation_records import SetActivated
from terminal.keys.file import load_file_keys
from terminal.lab.world import DENIED_PROFILE, laboratory_deny_list
from terminal.policy.deny_list import build_deny_list
from tests.terminal.updates.served import Served, serving


def publish(path: Path, content: bytes) -> None:
    """As an operator should: whole, by one rename."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(content)
    os.replace(draft, path)


def activated(served: Served, kind: SetKind) -> list[SetActivated]:
    return [row for row in served.rows() if isinstance(row, SetActivated) and row.kind == kind]


def test_a_replaced_deny_list_refuses_the_next_card_and_stands_in_the_journal(tmp_path: Path) -> None:
    keys = load_file_keys(laboratory_keys())
    listed = tmp_path / "deny-list"
    build_deny_list(listed, keys.list_key("deny"), [])
    later = laboratory_deny_list(tmp_path / "later", keys).read_bytes()
    with serving(tmp_path, DENIED_PROFILE, lists={"deny": listed}) as served:
        assert served.tap()["admission"] == "let_in"
        publish(listed, later)
        served.said("in_force", kind="deny")
        assert served.tap(lambda tap: tap["admission"] == "refused")["message"] == "deny_list"
        assert len(activated(served, SetKind.DENY)) == 2
