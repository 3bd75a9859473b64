"""The active set: which documents and lists decisions are made from, how they are replaced, and what is never taken.

    edition   what a published file says of itself, and what reads a kind of file
    parts     the kinds every terminal may have: region document, routes, deny list
    store     slots and SQLite rows: power cuts leave the old or the new
    floors    the oldest versions that may come into force, once more beside the rows
    active    the set itself: offer, activate, refuse
    watch     files whose change is an offer: a folder, and those that terminal.toml names

A file that was read and checked waits in a slot until its moment. The presence loop puts it in force between two taps.
A version that was in force once is the floor: nothing older comes back. Why: docs/adr/0029-the-active-set.md.
"""
