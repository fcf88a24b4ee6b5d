"""The values that travel between the parts: frozen, without I/O.

A *row* is one validated line of a manifest; an *attempt* is one intention to pay for it. A *prediction* is
the service's record of an attempt, an *output* one file of a prediction. A *finding* is what a look at a
picture found; a *decision* is what a person thinks of it. A *report* is the answer of a command.
"""
