"""Signed bundles at the office: keys of people, ceremonies of signing, and the repository that terminals fetch from.

A repository is a folder: `metadata/` and `targets/` are what is published (The Update Framework, consistent snapshots),
`office/` is the office's own: drafts, requests, the name key, and the log of every signature. It is never served.
"""
