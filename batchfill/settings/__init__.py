"""Settings: read from text, decided once, frozen.

A *definition* says how a setting is read and where it may stand. *Settings* are the decided values of one
command. A *base* is the address of a provider; *credentials* are the account's token. *Timings* are the waits
of a run, which no user sets.
"""
