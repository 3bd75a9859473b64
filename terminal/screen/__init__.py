"""What people see in a browser: the passenger display, the operator's console, and what both are served with.

    feed.py      events on their way to pages: publishing never waits
    stream.py    a feed as server-sent events, with heartbeats
    server.py    a web server on loopback, in a thread of its own
    headers.py   the security policy every answer carries
    page.py      HTML pages from templates, in the reader's language, and their files
    display.py   the passenger display
    touch.py     what passengers may press on it

A screen knows the tap's events; the tap knows no screen. Nothing here is imported unless a screen was asked for.
"""
