-- A redo may change any input of the model, not only prompt and seed.

ALTER TABLE attempts ADD COLUMN redo_inputs TEXT;    -- JSON: what the next attempt is to be given instead, as cells
ALTER TABLE attempts ADD COLUMN changed_inputs TEXT; -- JSON: what was sent in place of the row's own, typed; NULL: none
ALTER TABLE rows ADD COLUMN new_inputs TEXT;         -- JSON: what is to be sent in place of them, typed; null: not sent

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
    a.decision, a.chosen,
    (SELECT group_concat(finished_as, ';') FROM (
        SELECT finished_as FROM outputs WHERE prediction_id = a.prediction_id AND file IS NOT NULL ORDER BY n
    )) AS finished_as,
    a.changed_inputs,
    r.extra
FROM rows AS r LEFT JOIN attempts AS a ON a.number = r.attempt
WHERE r.position IS NOT NULL
ORDER BY r.position;
