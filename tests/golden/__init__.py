"""What a released version wrote, kept, and what it said of it: `python -m tests.golden`, docs/compatibility.md."""
