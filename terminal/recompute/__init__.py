"""What is on record decided again, by whichever party: the terminal of its own rows, the collector, an auditor.

rows        one row and one document -> a verdict: the one function for all of them
documents   region documents, feeds and grants lists in a folder, each by its hash
own         the terminal of its own journal: the statement it signs about itself

A terminal at work and backups know no more of it than where documents lie.
"""

from __future__ import annotations

from typing import Final

DOCUMENTS_FOLDER: Final = "documents"
