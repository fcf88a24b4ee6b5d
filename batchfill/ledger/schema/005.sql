-- A file is the one that was read while its size, both its times and its number stay the same.
-- What was known by less is learned once more.
DROP TABLE digests;
CREATE TABLE digests (
    path   TEXT PRIMARY KEY,
    stamp  TEXT NOT NULL, -- size, mtime_ns, ctime_ns, inode; as text, since a number of 64 bits is no INTEGER
    sha256 TEXT NOT NULL
) WITHOUT ROWID;
