"""What a terminal loads at its start: nothing that only some terminals need, which costs each of them time."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

NEEDED_BY_SOME = {
    "terminal.app.bundles": "signed bundles",
    "terminal.app.canteen": "canteens",
    "terminal.app.link": "other terminals of the place",
    "terminal.app.periphery": "devices around the reader",
    "terminal.app.setup": "a first run",
    "terminal.canteen.pupils": "lists of pupils",
    "terminal.media.code": "codes",
    "terminal.media.phone.medium": "phones",
    "terminal.recompute.documents": "rows that are decided again, in a process of its own",
}


def test_what_some_terminals_need_is_loaded_by_them_alone() -> None:
    assert all(find_spec(name) for name in NEEDED_BY_SOME)
    script = "import sys, terminal.app.running; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert NEEDED_BY_SOME.keys().isdisjoint(done.stdout.split())
