"""Commits that are put elsewhere before their callers go on, and a ledger that comes back from there.

*Frames* are the pages that commits wrote to SQLite's log. A *mirror* keeps them.
"""
