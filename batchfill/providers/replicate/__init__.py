"""Replicate's prediction API, which its gateways relay: the first dialect of a `Provider`.

The *service* is one account at one base, and each of its methods one call. The *create call* pays, in the
form that the base takes it.
"""
