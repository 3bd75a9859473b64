"""A school's list of pupils out of a spreadsheet: read in a process of its own, checked, mended, compared, loaded."""
