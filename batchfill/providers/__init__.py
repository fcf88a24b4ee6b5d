"""Providers: everything that knows HTTP.

A *provider* is an address that speaks the Replicate API; the *client* makes its calls. The *transport*
reaches the network. A *download* fetches an output. The *rate limiter* spaces requests. *Status codes* and
*error texts* are what an answer means; *clock skew* is how far the provider's clock is from ours.
"""
