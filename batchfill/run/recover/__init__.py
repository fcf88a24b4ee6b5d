"""Submissions whose answers were lost.

The *reconciler* looks them up in the provider's list. *Matching* decides what that list proves: found,
absent, or in doubt.
"""
