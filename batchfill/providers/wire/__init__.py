"""The wire: what happens to bytes between the network and an answer.

A *head* is an answer's status and header fields. A *coding* is a way in which a body is packed. A *resolver*
looks up names; an *address policy* says which addresses are public. A *certificate* is one of an authority
that is trusted. A *signed address* lets its reader see what a run handed over.
"""
