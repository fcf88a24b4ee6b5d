-- name: begin
DROP TABLE IF EXISTS temp.chosen;
CREATE TEMP TABLE chosen (
    key    TEXT PRIMARY KEY,
    prompt TEXT,                             -- what a redo asks for instead
    seed   INTEGER,
    inputs TEXT,                             -- JSON: cells; once they are typed, values
    anew   INTEGER,                          -- with another seed than the row's own
    done   INTEGER
) WITHOUT ROWID;

-- name: of_incoming
CREATE TEMP VIEW present AS SELECT key, folded_id, outputs_asked, price FROM temp.incoming;

-- name: of_rows
CREATE TEMP VIEW present AS SELECT key, folded_id, outputs_asked, price FROM main.rows WHERE position IS NOT NULL;

-- name: end
DROP VIEW IF EXISTS temp.present;

-- name: named
SELECT key, folded_id FROM temp.present WHERE folded_id IN (SELECT value FROM json_each(:ids));

-- name: choose
-- A picture that a person has approved is not made again for its flags.
INSERT INTO temp.chosen
SELECT p.key, a.redo_prompt, a.redo_seed, a.redo_inputs, coalesce(r.state = 'done' OR a.decision = 'redo', 0),
    coalesce(r.state = 'done', 0)
FROM temp.present AS p LEFT JOIN main.rows AS r USING (key) LEFT JOIN main.attempts AS a ON a.number = r.attempt
WHERE (:ids = '[]' OR p.folded_id IN (SELECT value FROM json_each(:ids))) AND (
    coalesce(r.state, 'pending') IN (SELECT value FROM json_each(:states))
    OR r.state IN ('done', 'failed', 'canceled', 'expired') AND a.decision IN (SELECT value FROM json_each(:decisions))
    OR r.state = 'done' AND a.decision IS NOT 'approved' AND EXISTS (
        SELECT 1 FROM main.outputs AS o JOIN json_each(:flags) AS f
            ON ' ' || o.flags || ' ' LIKE '% ' || f.value || ' %'
        WHERE o.prediction_id = a.prediction_id
    )
);

-- name: count
SELECT count(*) AS rows, coalesce(sum(p.outputs_asked), 0) AS outputs, coalesce(sum(p.price), 0) AS price,
    count(*) - count(p.price) AS unpriced, coalesce(sum(c.done), 0) AS done, count(c.prompt) AS edited, count(nullif(c.inputs, '{}')) AS changed
FROM temp.chosen AS c JOIN temp.present AS p USING (key);

-- name: inputs
SELECT r.id, c.inputs FROM temp.chosen AS c JOIN main.rows AS r USING (key) WHERE c.inputs IS NOT NULL ORDER BY r.position;

-- name: type_inputs
UPDATE temp.chosen SET inputs = :typed WHERE inputs = :cells;
