-- Files in place are put below the address of --outputs as well.

CREATE TABLE remote_files (
    file   TEXT PRIMARY KEY, -- relative to the batch folder, and to that address
    wanted TEXT,             -- the SHA-256 of what is to be there; NULL: nothing
    put    TEXT              -- the SHA-256 of what is there; NULL: nothing; empty: not known, a request went out
) WITHOUT ROWID;

CREATE INDEX remote_files_due ON remote_files (file) WHERE wanted IS NOT put;

-- A file that is lost here stays there.
CREATE TRIGGER outputs_placed AFTER UPDATE OF file, raw ON outputs
WHEN EXISTS (SELECT 1 FROM facts WHERE name = 'outputs')
BEGIN
    UPDATE remote_files SET wanted = NULL
    WHERE file = old.file AND wanted = old.sha256 AND new.file IS NOT NULL AND new.file <> old.file;
    UPDATE remote_files SET wanted = NULL
    WHERE file = old.raw AND wanted = old.raw_sha256 AND new.raw IS NOT NULL AND new.raw <> old.raw;
    INSERT INTO remote_files (file, wanted)
    SELECT new.file, new.sha256 WHERE new.file IS NOT NULL AND new.sha256 IS NOT NULL
    UNION ALL SELECT new.raw, new.raw_sha256 WHERE new.raw IS NOT NULL AND new.raw_sha256 IS NOT NULL
    ON CONFLICT DO UPDATE SET wanted = excluded.wanted;
END;
