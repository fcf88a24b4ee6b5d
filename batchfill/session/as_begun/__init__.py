"""What a batch goes on with as it was begun, whatever later versions do by default.

Each module is one such rule: how it is found out of a batch, and the *fact* that its ledger remembers.
"""
