"""Predictions that run are asked for until they end.

The *poller* asks; the *schedule* decides which and when, by run times learned. The *outcome* of a
prediction becomes its row's state; the *retry policy* says whether another attempt is worth it.
"""
