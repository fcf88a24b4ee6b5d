-- name: payments
-- Every attempt after a number, with the files of the row that it is the last attempt of.
SELECT a.number, a.key, coalesce(r.id, '') AS row, a.intended_at AS at, a.seed, a.price, a.area, a.prediction_id,
    a.prediction_id IS NOT NULL AND a.accepted_at IS NULL AS unconfirmed,
    a.outcome IN ('failed', 'nothing_made') AS free,
    CASE WHEN r.state = 'done' AND r.attempt = a.number THEN (
        SELECT json_group_array(json_object('n', n, 'file', file, 'size', size, 'sha256', sha256, 'raw', raw,
            'raw_sha256', raw_sha256))
        FROM (SELECT * FROM outputs WHERE prediction_id = a.prediction_id AND file IS NOT NULL ORDER BY n)
    ) ELSE '[]' END AS files
FROM attempts AS a LEFT JOIN rows AS r USING (key) WHERE a.number > :after ORDER BY a.number;

-- name: known
-- Served by attempts_of_row and the primary key.
SELECT a.number, a.key, a.intended_at AS at, a.prediction_id, a.outcome = 'open' AS open,
    coalesce(r.attempt = a.number, 0) AS counts, coalesce(r.state, '') AS state
FROM attempts AS a LEFT JOIN rows AS r USING (key)
WHERE a.key IN (SELECT value FROM json_each(:keys)) OR a.number IN (SELECT value FROM json_each(:numbers));

-- name: kept_files
SELECT n, file, size, sha256, raw, raw_sha256 FROM outputs
WHERE prediction_id = :prediction_id AND file IS NOT NULL ORDER BY n;

-- name: incoming_keys
SELECT key FROM temp.incoming WHERE key IN (SELECT value FROM json_each(:keys));

-- name: pictured_incoming
-- Rows that are about to be submitted, and of which no attempt is known that may have been paid for.
SELECT i.key, i.id, i.price FROM temp.incoming AS i LEFT JOIN main.rows AS r USING (key)
WHERE i.folded_id IN (SELECT value FROM json_each(:folded_ids)) AND coalesce(r.state, 'pending') = 'pending'
    AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.key = i.key AND a.outcome NOT IN ('failed', 'nothing_made'));

-- name: pictured_rows
SELECT key, id, price FROM rows
WHERE folded_id IN (SELECT value FROM json_each(:folded_ids)) AND state = 'pending' AND position IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM attempts AS a WHERE a.key = rows.key AND a.outcome NOT IN ('failed', 'nothing_made')
    );

-- name: pending_incoming
SELECT EXISTS (
    SELECT 1 FROM temp.incoming AS i LEFT JOIN main.rows AS r USING (key) WHERE coalesce(r.state, 'pending') = 'pending'
);

-- name: pending_rows
SELECT EXISTS (SELECT 1 FROM rows WHERE state = 'pending' AND position IS NOT NULL);

-- name: known_files
SELECT file FROM outputs WHERE file IS NOT NULL UNION ALL SELECT planned FROM outputs WHERE planned IS NOT NULL;

-- name: take_incoming
-- In no place of the manifest yet: that the merge gives.
INSERT OR IGNORE INTO rows (key, fingerprint, id, folded_id, image, mask, prompt, inputs, files, extra, outputs_asked,
    price, since)
SELECT key, fingerprint, id, folded_id, image, mask, prompt, inputs, files, extra, outputs_asked, price, :now
FROM temp.incoming WHERE key = :key;

-- name: take_gone
-- A row that is gone from the manifest, and of which the record tells the id alone.
INSERT OR IGNORE INTO rows (key, fingerprint, id, folded_id, image, mask, prompt, inputs, files, extra, outputs_asked,
    since)
VALUES (:key, '', :row, :folded_id, '', '', '', '{}', '{}', '{}', 1, :now);

-- name: take_attempt
INSERT INTO attempts (number, key, seed, own_seed, origin, sent, outputs_asked, price, outcome, counted, intended_at,
    accepted_at, created_at, ended_at, prediction_id, status, area)
VALUES (
    1 + max(:last, (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'attempts')),
    :key, :seed, 0, :origin, '{}', coalesce((SELECT outputs_asked FROM rows WHERE key = :key), 1), :price, :outcome,
    1, :at, iif(:prediction_id IS NULL OR :unconfirmed, NULL, :at), :created_at,
    iif(:outcome = 'open', NULL, :at), :prediction_id, :status, :area
);

-- name: take_row
UPDATE rows SET state = :state, since = :now, attempt = last_insert_rowid(), tries = tries + 1, error = NULL,
    kept = 0, due_at = 0, placed_id = iif(:state = 'done', :row, placed_id)
WHERE key = :key;

-- name: place_known
-- A row that was on its way when the ledger was copied, and of which every file is there.
UPDATE attempts SET outcome = 'succeeded', ended_at = coalesce(ended_at, :now), counted = 1 WHERE number = :number;
UPDATE rows SET state = 'done', since = :now, error = NULL, kept = 0, placed_id = id WHERE key = :key;

-- name: place_output
INSERT INTO outputs (prediction_id, n, url, planned, file, size, sha256, raw, raw_sha256, collected_at)
VALUES (:prediction_id, :n, '', :file, :file, :size, :sha256, :raw, :raw_sha256, :now)
ON CONFLICT DO UPDATE SET planned = excluded.planned, file = excluded.file, size = excluded.size,
    sha256 = excluded.sha256, raw = excluded.raw, raw_sha256 = excluded.raw_sha256, collected_at = excluded.collected_at;
