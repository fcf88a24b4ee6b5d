-- A person judges pictures, and what is rejected is made anew.

-- A decision belongs to the attempt whose pictures it is about; once its row is run again it is history.
ALTER TABLE attempts ADD COLUMN decision TEXT CHECK (decision IN ('approved', 'rejected', 'redo'));
ALTER TABLE attempts ADD COLUMN chosen INTEGER;      -- the output that was chosen among several, from 1
ALTER TABLE attempts ADD COLUMN redo_prompt TEXT;    -- what the next attempt is to be given instead
ALTER TABLE attempts ADD COLUMN redo_seed INTEGER;
ALTER TABLE attempts ADD COLUMN decided_at REAL;
-- choose_decided
CREATE INDEX attempts_decided ON attempts (decision) WHERE decision IS NOT NULL;

-- What was sent in place of the row's own prompt; NULL: the row's own.
ALTER TABLE attempts ADD COLUMN prompt TEXT;

-- How a row that was done is made anew; the manifest is not changed.
ALTER TABLE rows ADD COLUMN anew INTEGER NOT NULL DEFAULT 0; -- with another seed than the row's own
ALTER TABLE rows ADD COLUMN new_prompt TEXT;         -- NULL: the row's own
ALTER TABLE rows ADD COLUMN new_seed INTEGER;        -- NULL: one of our own choosing

-- Letters of the inbox whose decisions are taken and that may be there still: each is taken once.
CREATE TABLE letters (
    name TEXT PRIMARY KEY
) WITHOUT ROWID;

DROP VIEW results;
CREATE VIEW results AS
SELECT r.id, r.line, r.state, r.image, r.mask, coalesce(a.prompt, r.prompt) AS prompt,
    (SELECT group_concat(file, ';') FROM (
        SELECT file FROM outputs WHERE prediction_id = a.prediction_id AND file IS NOT NULL ORDER BY n
    )) AS outputs,
    a.seed, a.prediction_id,
    (SELECT count(*) FROM attempts WHERE key = r.key AND counted) AS attempts,
    (SELECT CASE WHEN count(*) = count(price) THEN coalesce(sum(price), 0) / 1000000.0 END FROM attempts
        WHERE key = r.key AND outcome IN ('succeeded', 'canceled')) AS cost,
    r.error,
    (SELECT group_concat(flags, ' ') FROM outputs WHERE prediction_id = a.prediction_id AND flags <> '') AS flags,
    a.decision, a.chosen, r.extra
FROM rows AS r LEFT JOIN attempts AS a ON a.number = r.attempt
WHERE r.position IS NOT NULL
ORDER BY r.position;
