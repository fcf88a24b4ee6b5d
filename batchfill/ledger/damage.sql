-- Each question finds what cannot be in a sound ledger, and its name says what that is. Together they read every
-- table once or twice, which a million rows take some seconds for.

-- name: a_row_holds_what_cannot_be
-- Numbers come before '', text is between '' and x'', and what is neither comes behind.
SELECT 1 FROM rows
WHERE key = '' OR id = '' OR key < '' OR key >= x'' OR fingerprint < '' OR fingerprint >= x'' OR id < '' OR id >= x''
    OR folded_id < '' OR folded_id >= x'' OR placed_id < '' OR placed_id >= x'' OR image < '' OR image >= x''
    OR mask < '' OR mask >= x'' OR prompt < '' OR prompt >= x'' OR inputs < '' OR inputs >= x''
    OR files < '' OR files >= x'' OR extra < '' OR extra >= x'' OR error < '' OR error >= x''
    OR new_prompt < '' OR new_prompt >= x'' OR new_inputs < '' OR new_inputs >= x''
    OR position >= '' OR line >= '' OR outputs_asked >= '' OR price >= '' OR since >= '' OR due_at >= ''
    OR tries >= '' OR attempt >= '' OR new_seed >= ''
    OR price < 0 OR anew NOT IN (0, 1) OR kept NOT IN (0, 1) OR (position IS NULL) <> (line IS NULL)
    OR NOT json_valid(inputs) OR NOT json_valid(files) OR NOT json_valid(extra)
    OR new_inputs IS NOT NULL AND NOT json_valid(new_inputs)
    OR substr(inputs, 1, 1) || substr(files, 1, 1) || substr(extra, 1, 1) <> '{{{'
LIMIT 1;

-- name: a_row_and_its_attempt_differ
SELECT 1 FROM rows AS r LEFT JOIN attempts AS a ON a.number = r.attempt
WHERE r.attempt IS NOT NULL AND a.key IS NOT r.key
    OR r.attempt IS NULL AND r.state NOT IN ('pending', 'failed')
    OR r.state IN ('running', 'collecting', 'done', 'canceled') AND a.prediction_id IS NULL
    OR r.state IN ('collecting', 'done') AND a.outcome <> 'succeeded'
    OR r.state IN ('submitting', 'running', 'in_doubt') AND a.outcome <> 'open'
    OR r.state = 'canceled' AND a.outcome NOT IN ('canceled', 'failed')
LIMIT 1;

-- name: an_attempt_holds_what_cannot_be
SELECT 1 FROM attempts
WHERE prediction_id = '' OR key < '' OR key >= x'' OR origin < '' OR origin >= x'' OR sent < '' OR sent >= x''
    OR anchor < '' OR anchor >= x'' OR prediction_id < '' OR prediction_id >= x''
    OR status < '' OR status >= x'' OR error < '' OR error >= x'' OR area < '' OR area >= x''
    OR idempotency_key < '' OR idempotency_key >= x''
    OR prompt < '' OR prompt >= x'' OR redo_prompt < '' OR redo_prompt >= x''
    OR redo_inputs < '' OR redo_inputs >= x'' OR changed_inputs < '' OR changed_inputs >= x''
    OR seed >= '' OR outputs_asked >= '' OR price >= '' OR service_time >= '' OR intended_at >= ''
    OR lost_at >= '' OR resent_at >= '' OR absent_at >= '' OR accepted_at >= '' OR created_at >= '' OR ended_at >= ''
    OR run_time >= ''
    OR price < 0 OR counted NOT IN (0, 1) OR own_seed NOT IN (0, 1) OR own_seed AND seed IS NULL
    OR cancel_asked NOT IN ('time-out', 'user')
    OR NOT json_valid(sent) OR substr(sent, 1, 1) <> '{' OR area IS NOT NULL AND NOT json_valid(area)
    OR redo_inputs IS NOT NULL AND NOT json_valid(redo_inputs)
    OR changed_inputs IS NOT NULL AND NOT json_valid(changed_inputs)
LIMIT 1;

-- name: an_attempt_has_no_row
SELECT 1 FROM attempts AS a WHERE NOT EXISTS (SELECT 1 FROM rows WHERE key = a.key) LIMIT 1;

-- name: an_output_has_no_attempt
SELECT 1 FROM outputs AS o WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE prediction_id = o.prediction_id) LIMIT 1;

-- name: an_output_holds_what_cannot_be
SELECT 1 FROM outputs
WHERE n < 1 OR prediction_id < '' OR prediction_id >= x'' OR url < '' OR url >= x'' OR planned < '' OR planned >= x''
    OR file < '' OR file >= x'' OR sha256 < '' OR sha256 >= x'' OR raw < '' OR raw >= x''
    OR raw_sha256 < '' OR raw_sha256 >= x'' OR finished_with < '' OR finished_with >= x''
    OR finished_as < '' OR finished_as >= x''
    OR flags < '' OR flags >= x''
    OR n >= '' OR size >= '' OR width >= '' OR height >= '' OR collected_at >= '' OR file IS NOT NULL AND (sha256 IS NULL OR size IS NULL)
LIMIT 1;

-- name: the_index_of_keys_is_wrong
SELECT 1 FROM rows AS r WHERE NOT EXISTS (
    SELECT 1 FROM rows AS i INDEXED BY sqlite_autoindex_rows_1 WHERE i.key = r.key AND i.rowid = r.rowid
) LIMIT 1;

-- name: the_index_of_predictions_is_wrong
SELECT 1 FROM attempts AS a WHERE prediction_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM attempts AS i INDEXED BY sqlite_autoindex_attempts_1
    WHERE i.prediction_id = a.prediction_id AND i.number = a.number
) LIMIT 1;

-- name: the_index_of_what_is_due_is_wrong
SELECT 1 FROM rows AS r WHERE state = 'pending' AND position IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM rows AS i INDEXED BY rows_due
    WHERE i.state = 'pending' AND i.position IS NOT NULL AND i.due_at = r.due_at AND i.position = r.position
        AND i.rowid = r.rowid
) LIMIT 1;

-- name: an_index_of_what_is_open_is_wrong
-- An index that is partial is believed as to the state; its text is taken from the row itself.
SELECT 1 FROM (
    SELECT 'submitting' AS state, count(*) AS rows FROM rows INDEXED BY rows_submitting
        WHERE state = 'submitting' AND state || '' = 'submitting'
    UNION ALL SELECT 'running', count(*) FROM rows INDEXED BY rows_running
        WHERE state = 'running' AND state || '' = 'running'
    UNION ALL SELECT 'in_doubt', count(*) FROM rows INDEXED BY rows_in_doubt
        WHERE state = 'in_doubt' AND state || '' = 'in_doubt'
    UNION ALL SELECT 'collecting', (SELECT count(*) FROM rows INDEXED BY rows_collecting
            WHERE state = 'collecting' AND NOT kept AND state || '' = 'collecting' AND kept + 0 = 0)
        + (SELECT count(*) FROM rows INDEXED BY rows_kept
            WHERE state = 'collecting' AND kept AND state || '' = 'collecting' AND kept + 0 = 1)
) AS open
WHERE rows <> coalesce((SELECT sum(rows) FROM tally WHERE tally.state = open.state), 0);

-- name: the_count_of_rows_is_wrong
WITH counted AS MATERIALIZED (
    SELECT state, position IS NULL AS gone, count(*) AS rows, coalesce(sum(price), 0) AS price,
        count(*) - count(price) AS unpriced
    FROM rows GROUP BY 1, 2
)
SELECT * FROM (SELECT * FROM counted EXCEPT SELECT state, gone, rows, price, unpriced FROM tally)
UNION ALL
SELECT * FROM (SELECT state, gone, rows, price, unpriced FROM tally WHERE rows <> 0 EXCEPT SELECT * FROM counted);

-- name: the_money_is_wrong
WITH counted AS MATERIALIZED (
    SELECT outcome, count(*) AS attempts, coalesce(sum(price), 0) AS price, count(*) - count(price) AS unpriced
    FROM attempts GROUP BY 1
)
SELECT * FROM (SELECT * FROM counted EXCEPT SELECT outcome, attempts, price, unpriced FROM money)
UNION ALL
SELECT * FROM (SELECT outcome, attempts, price, unpriced FROM money WHERE attempts <> 0 EXCEPT SELECT * FROM counted);

-- name: text_of_rows
-- All text behind the record *last*, many records joined, and the last of them.
SELECT max(at), group_concat(text) FROM (
    SELECT rowid AS at, id || folded_id || coalesce(placed_id, '') || image || mask || prompt || inputs || files
        || extra || coalesce(error, '') || coalesce(new_prompt, '') || coalesce(new_inputs, '')
        || key || fingerprint AS text
    FROM rows WHERE rowid > coalesce(:last, 0) ORDER BY rowid LIMIT :limit
);

-- name: text_of_attempts
SELECT max(at), group_concat(text) FROM (
    SELECT number AS at, key || origin || sent || coalesce(anchor, '') || coalesce(prediction_id, '')
        || coalesce(status, '') || coalesce(error, '') || coalesce(area, '') || coalesce(redo_prompt, '')
        || coalesce(prompt, '') || coalesce(redo_inputs, '') || coalesce(changed_inputs, '') AS text
    FROM attempts WHERE number > coalesce(:last, 0) ORDER BY number LIMIT :limit
);

-- name: text_of_outputs
SELECT max(at), group_concat(text) FROM (
    SELECT prediction_id AS at, prediction_id || url || coalesce(planned, '') || coalesce(file, '')
        || coalesce(sha256, '') || coalesce(raw, '') || coalesce(raw_sha256, '') || coalesce(finished_with, '')
        || coalesce(finished_as, '') || coalesce(flags, '') AS text
    FROM outputs WHERE prediction_id > coalesce(:last, '') ORDER BY prediction_id, n LIMIT :limit
);
