"""The first run of a terminal as pages: what is asked, the draft that keeps it, the pages, the one-time code.

`questions` is the table of everything that is asked; pages, checks and the answers file of `terminal setup` read it.
What is made of the answers is the composition root's (`terminal.app.setup`).
"""
