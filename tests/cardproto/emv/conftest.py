"""Vectors of other projects are not copied: `EMV_VECTORS` names a file with them, without it they are not collected."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("EMV_VECTORS") else ["test_outside.py"]
