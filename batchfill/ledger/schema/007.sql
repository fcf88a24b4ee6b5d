-- Gateways answer in forms of their own.

ALTER TABLE attempts ADD COLUMN answer TEXT; -- the beginning of an answer to its create call that was not understood
