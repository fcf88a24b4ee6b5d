-- What buckets were listed to hold: a private database on disk, which goes when it is closed.

-- name: create
CREATE TABLE objects (
    address TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL
) WITHOUT ROWID;

-- name: add
INSERT OR IGNORE INTO objects (address, size, etag) VALUES (?, ?, ?);

-- name: find
SELECT address, size, etag FROM objects WHERE address >= ? ORDER BY address;

-- name: neighbours
SELECT address FROM objects WHERE address > :folder AND address < :folder || char(1114111) LIMIT :most;
