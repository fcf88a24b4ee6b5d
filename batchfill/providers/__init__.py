"""Providers: everything that knows HTTP.

A *provider* is one account at one base, as a run asks it; a dialect of it is in a folder of its own.
The *transport* reaches the network. A *download* fetches an output. The *rate limiter* spaces requests.
*Status codes* and *error texts* are what an answer means; *clock skew* is how far the provider's clock is
from ours.
"""
