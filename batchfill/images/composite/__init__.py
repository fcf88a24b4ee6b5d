"""An output, pasted back into its original.

The *composite* is the original with nothing changed but what was to be filled. Its *metadata* is the
camera's, with what batchfill adds.
"""
