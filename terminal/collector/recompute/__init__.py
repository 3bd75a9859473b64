"""The follower: a process of its own that decides again what terminals say they decided.

ledger    what was found, in a file of its own: marks, verdicts, what waits for a document
follow    from rows to verdicts, some rows a transaction; killing it loses nothing
child     the follower as a child of the collector that serves
"""
