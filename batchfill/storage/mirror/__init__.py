"""The mirror of a ledger in a bucket.

An *entry* is one object: a few commits. A *generation* holds the entries of one run.
A *copy* is the whole ledger.
"""
