"""One start of a batch.

A *session* holds the lock, the ledger, the connection and the plan, then runs the engine. To *ingest* is to
hand the manifest's rows to the ledger. The *plan* is what a run is about to do. The *identity* of a batch
is what a start must not change. To *refinish* is to finish pictures again, without cost.
"""
