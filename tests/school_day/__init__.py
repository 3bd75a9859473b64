"""A school's first days as one walk in Chromium, from an empty folder to reports: `python -m tests.school_day`."""
