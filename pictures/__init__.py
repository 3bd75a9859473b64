"""`make screenshots`: every picture of README and docs, taken of the running program and never by hand."""
