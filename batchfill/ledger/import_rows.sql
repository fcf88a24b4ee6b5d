-- name: begin
DROP TABLE IF EXISTS temp.incoming;
CREATE TEMP TABLE incoming (
    position      INTEGER PRIMARY KEY,
    line          INTEGER,
    id            TEXT,
    folded_id     TEXT,
    stem          TEXT,                      -- what the id was made with; NULL: it was given
    key           TEXT,
    fingerprint   TEXT,
    image         TEXT,
    mask          TEXT,
    outputs_asked INTEGER,
    price         INTEGER,
    prompt        TEXT,                      -- from here on NULL where nothing is to be merged
    inputs        TEXT,
    files         TEXT,
    extra         TEXT
);

-- name: add
-- Every row as if no other were equal to it.
INSERT INTO incoming VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: index_keys
-- Fails where rows are equal.
CREATE UNIQUE INDEX temp.incoming_keys ON incoming (key);

-- name: number_equal
UPDATE incoming SET key = equal.key,
    id = iif(stem IS NULL, id, made_id(stem, equal.key)),
    folded_id = iif(stem IS NULL, folded_id, fold(made_id(stem, equal.key)))
FROM (
    SELECT position, key_of(fingerprint, row_number() OVER (PARTITION BY key ORDER BY position)) AS key
    FROM incoming WHERE key IN (SELECT key FROM incoming GROUP BY key HAVING count(*) > 1)
) AS equal
WHERE equal.position = incoming.position;

-- name: index_ids
CREATE INDEX temp.incoming_ids ON incoming (folded_id);
-- Eight digits of two keys may be the same by chance: the later row's id takes sixteen.
UPDATE incoming SET id = stem || '-' || substr(key, 1, 16), folded_id = fold(stem || '-' || substr(key, 1, 16))
WHERE stem IS NOT NULL
    AND folded_id IN (SELECT folded_id FROM incoming GROUP BY folded_id HAVING count(*) > 1) AND EXISTS (
        SELECT 1 FROM incoming AS f WHERE f.folded_id = incoming.folded_id AND f.position < incoming.position
    );

-- name: duplicates
SELECT i.line, i.id, f.line AS first_line, f.id AS first_id
FROM incoming AS i JOIN (
    SELECT folded_id, min(position) AS position, line, id FROM incoming GROUP BY folded_id HAVING count(*) > 1
) AS f USING (folded_id)
WHERE i.position > f.position ORDER BY i.position LIMIT :limit;

-- name: drop_duplicates
DELETE FROM incoming
WHERE folded_id IN (SELECT folded_id FROM incoming GROUP BY folded_id HAVING count(*) > 1) AND EXISTS (
    SELECT 1 FROM incoming AS f WHERE f.folded_id = incoming.folded_id AND f.position < incoming.position
);

-- name: find_leaving
DROP TABLE IF EXISTS temp.leaving;
CREATE TEMP TABLE leaving AS
-- In the order of the keys, which both tables are indexed by: in any other, each look is at another page.
SELECT key, folded_id, image, mask FROM rows INDEXED BY sqlite_autoindex_rows_1
WHERE key NOT IN (SELECT key FROM incoming)
    AND position IS NOT NULL AND state IN ('done', 'collecting', 'running', 'submitting', 'in_doubt');
CREATE INDEX temp.leaving_ids ON leaving (folded_id);
CREATE INDEX temp.leaving_pictures ON leaving (image, mask);

-- name: changed
-- A given id says which row was changed; a made one changes with it, so there the pictures say it.
SELECT count(*) AS rows, sum(price) AS price FROM incoming AS i
WHERE EXISTS (SELECT 1 FROM leaving) AND NOT EXISTS (SELECT 1 FROM rows WHERE rows.key = i.key) AND (
    EXISTS (SELECT 1 FROM leaving AS l WHERE l.folded_id = i.folded_id)
    OR i.stem IS NOT NULL
    AND EXISTS (SELECT 1 FROM leaving AS l WHERE l.image = i.image AND l.mask = i.mask)
);

-- name: compare
-- What the incoming rows ask for and cost, by the state in which the ledger knows them.
SELECT coalesce(rows.state, 'pending') AS state, count(*) AS rows, sum(i.price) AS price,
    sum(i.outputs_asked) AS outputs, count(*) - count(i.price) AS unpriced
FROM incoming AS i LEFT JOIN rows USING (key) GROUP BY 1;

-- name: merge
UPDATE rows INDEXED BY sqlite_autoindex_rows_1 SET position = NULL, line = NULL
WHERE key NOT IN (SELECT key FROM incoming) AND position IS NOT NULL;
INSERT INTO rows (key, fingerprint, id, folded_id, position, line, image, mask, prompt, inputs, files, extra,
    outputs_asked, price, since)
SELECT key, fingerprint, id, folded_id, position, line, image, mask, prompt, inputs, files, extra,
    outputs_asked, price, :now
FROM incoming WHERE true
ON CONFLICT (key) DO UPDATE SET id = excluded.id, folded_id = excluded.folded_id,
    position = excluded.position, line = excluded.line, image = excluded.image, mask = excluded.mask,
    inputs = excluded.inputs, files = excluded.files, extra = excluded.extra, price = excluded.price,
    outputs_asked = excluded.outputs_asked
WHERE rows.position IS NOT excluded.position OR rows.line IS NOT excluded.line OR rows.id <> excluded.id
    OR rows.inputs <> excluded.inputs OR rows.files <> excluded.files OR rows.extra <> excluded.extra
    OR rows.price IS NOT excluded.price OR rows.image <> excluded.image OR rows.mask <> excluded.mask
    OR rows.outputs_asked <> excluded.outputs_asked;
INSERT INTO facts VALUES ('basis', :basis) ON CONFLICT DO UPDATE SET value = excluded.value;

-- name: end
DROP TABLE IF EXISTS temp.incoming;
DROP TABLE IF EXISTS temp.leaving;
