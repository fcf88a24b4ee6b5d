"""A batch as its review reads it and decides about it.

A *decision* is about the pictures of one prediction. What the batch cannot take is refused when it is made.
"""
