"""The local emulator: the same HTTP API with a classical fill behind it, and a bill.

The *server* starts and stops it; *handlers* answer its calls. A *record* is what it knows of a prediction,
and *billing* what was paid. The *runner* makes outputs with the *model*. *Quirks* are how it differs from
Replicate.
"""
