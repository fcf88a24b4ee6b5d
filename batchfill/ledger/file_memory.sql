-- What check saw of files, in the user's cache folder. It may be removed at any time.

-- name: create
CREATE TABLE IF NOT EXISTS seen (
    key BLOB PRIMARY KEY,
    value TEXT NOT NULL,
    -- The day on which it was last asked for, counted from 1970.
    day INTEGER NOT NULL
) WITHOUT ROWID;

-- name: recall
SELECT value, day FROM seen WHERE key = :key;

-- name: note
INSERT OR REPLACE INTO seen (key, value, day) VALUES (?, ?, ?);

-- name: count
SELECT count(*) FROM seen;

-- name: forget_oldest
DELETE FROM seen WHERE key IN (SELECT key FROM seen ORDER BY day LIMIT :surplus);
