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

DROP VIEW results;
CREATE VIEW results AS
SELECT r.id, r.line, r.state, r.image, r.mask, r.prompt,
    (SELECT group_concat(file, ';') FROM (
        SELECT file FROM outputs WHERE prediction_id = a.prediction_id AND file IS NOT NULL ORDER BY n
    )) AS outputs,
    a.seed, a.prediction_id,
    (SELECT count(*) FROM attempts WHERE key = r.key AND counted) AS attempts,
    (SELECT CASE WHEN count(*) = count(price) THEN coalesce(sum(price), 0) / 1000000.0 END FROM attempts
        WHERE key = r.key AND outcome IN ('succeeded', 'canceled')) AS cost,
    r.error,
    (SELECT group_concat(flags, ' ') FROM outputs WHERE prediction_id = a.prediction_id AND flags <> '') AS flags,
    r.extra
FROM rows AS r LEFT JOIN attempts AS a ON a.number = r.attempt
WHERE r.position IS NOT NULL
ORDER BY r.position;
