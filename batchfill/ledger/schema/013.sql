-- What is below --outputs is in no other place.

ALTER TABLE remote_files ADD COLUMN etag TEXT; -- of what is there, as the answer to its put told it; NULL: not known

DROP INDEX remote_files_due;
-- remote_due, remote_moves
CREATE INDEX remote_files_due ON remote_files (wanted) WHERE wanted IS NOT put;
-- remote_moves
CREATE INDEX remote_files_put ON remote_files (put);
