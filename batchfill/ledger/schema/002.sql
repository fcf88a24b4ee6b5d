-- Pictures are cut, finished and judged.
ALTER TABLE attempts ADD COLUMN area TEXT;   -- JSON [left, top, right, bottom]: what was sent of the picture; NULL: all

-- The output as the service sent it, kept where another file was made of it.
ALTER TABLE outputs ADD COLUMN raw TEXT;
ALTER TABLE outputs ADD COLUMN raw_sha256 TEXT;
ALTER TABLE outputs ADD COLUMN finished_with TEXT; -- JSON: the settings that the file was finished with
ALTER TABLE outputs ADD COLUMN flags TEXT;   -- words, separated by spaces; NULL: not judged

-- Whether all of its outputs are kept raw, so that a row that is collecting waits to be finished only.
ALTER TABLE rows ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
DROP INDEX rows_collecting;
-- collecting, next_collect_at, oldest_collecting
CREATE INDEX rows_collecting ON rows (since) WHERE state = 'collecting' AND NOT kept;
-- to_finish, kept
CREATE INDEX rows_kept ON rows (since) WHERE state = 'collecting' AND kept;

-- What was collected before anybody judged it is left as it is.
UPDATE outputs SET flags = '' WHERE file IS NOT NULL;
-- unjudged
CREATE INDEX outputs_unjudged ON outputs (prediction_id) WHERE flags IS NULL AND file IS NOT NULL;
