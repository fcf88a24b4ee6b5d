-- A create carries a key of its own, by which a provider can know a second one for the first.

ALTER TABLE attempts ADD COLUMN idempotency_key TEXT; -- NULL: sent without one
ALTER TABLE attempts ADD COLUMN resent_at REAL;       -- when its create last went out again
