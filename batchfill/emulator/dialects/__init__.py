"""Dialects: how the local emulator says what it says, for rehearsing a gateway.

A *dialect* is a set of manners. *Dressing* an answer puts it into a dialect.
"""
