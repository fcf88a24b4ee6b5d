-- What the user stopped at the service is canceled, no longer failed. Rows that were stopped before stay failed.
-- SQLite changes no CHECK of a table that is there, so the table is made again. Its numbers (rowid) stay the same.

CREATE TABLE rows_made_again (
    key           TEXT PRIMARY KEY,          -- fingerprint and n-th equal row: the row's identity
    fingerprint   TEXT NOT NULL,
    id            TEXT NOT NULL,
    folded_id     TEXT NOT NULL,             -- what a case-insensitive file system sees
    placed_id     TEXT,                      -- the id its files are named by
    position      INTEGER,                   -- place in the manifest; NULL: gone from it
    line          INTEGER,
    image         TEXT NOT NULL,
    mask          TEXT NOT NULL,
    prompt        TEXT NOT NULL,
    inputs        TEXT NOT NULL,             -- JSON: typed values as given
    files         TEXT NOT NULL,             -- JSON: local files among them, with their SHA-256
    extra         TEXT NOT NULL,             -- JSON: columns that are only carried
    outputs_asked INTEGER NOT NULL,
    price         INTEGER,                   -- of one attempt, in millionths; NULL: unknown
    state         TEXT NOT NULL DEFAULT 'pending' CHECK (state IN (
        'pending', 'submitting', 'running', 'collecting', 'done', 'failed', 'canceled', 'expired', 'in_doubt')),
    since         REAL NOT NULL DEFAULT 0,   -- when it came into this state
    due_at        REAL NOT NULL DEFAULT 0,   -- not before this time: submit (pending), fetch (collecting)
    tries         INTEGER NOT NULL DEFAULT 0, -- attempts that counted since the last consent
    attempt       INTEGER REFERENCES attempts (number), -- the attempt that counts
    error         TEXT,
    kept          INTEGER NOT NULL DEFAULT 0, -- whether all of its outputs are kept raw
    anew          INTEGER NOT NULL DEFAULT 0, -- made again with another seed than the row's own
    new_prompt    TEXT,                      -- NULL: the row's own
    new_seed      INTEGER                    -- NULL: one of our own choosing
);

INSERT INTO rows_made_again (rowid, key, fingerprint, id, folded_id, placed_id, position, line, image, mask, prompt,
    inputs, files, extra, outputs_asked, price, state, since, due_at, tries, attempt, error, kept, anew, new_prompt,
    new_seed)
SELECT rowid, key, fingerprint, id, folded_id, placed_id, position, line, image, mask, prompt,
    inputs, files, extra, outputs_asked, price, state, since, due_at, tries, attempt, error, kept, anew, new_prompt,
    new_seed
FROM rows ORDER BY rowid;

-- Its indexes and triggers go with it. The views that name it would be refused without it: as they are, they fit again.
PRAGMA legacy_alter_table = ON;
DROP TABLE rows;
ALTER TABLE rows_made_again RENAME TO rows;
PRAGMA legacy_alter_table = OFF;

-- due, next_due_at
CREATE INDEX rows_due ON rows (due_at, position) WHERE state = 'pending' AND position IS NOT NULL;
-- open_attempts, doubts
CREATE INDEX rows_submitting ON rows (since) WHERE state = 'submitting';
CREATE INDEX rows_running ON rows (since) WHERE state = 'running';
CREATE INDEX rows_in_doubt ON rows (since) WHERE state = 'in_doubt';
-- collecting, next_collect_at, oldest_collecting
CREATE INDEX rows_collecting ON rows (since) WHERE state = 'collecting' AND NOT kept;
-- to_finish, kept
CREATE INDEX rows_kept ON rows (since) WHERE state = 'collecting' AND kept;
-- reasons
CREATE INDEX rows_failed ON rows (error) WHERE state = 'failed' AND position IS NOT NULL;
-- results
CREATE INDEX rows_in_order ON rows (position) WHERE position IS NOT NULL;
-- outputs_in_the_way
CREATE INDEX rows_by_id ON rows (folded_id);
-- misnamed
CREATE INDEX rows_misnamed ON rows (key) WHERE placed_id <> id;

CREATE TRIGGER rows_added AFTER INSERT ON rows BEGIN
    INSERT INTO tally VALUES (new.state, new.position IS NULL, 1, coalesce(new.price, 0), new.price IS NULL)
    ON CONFLICT DO UPDATE SET rows = rows + 1, price = price + excluded.price,
        unpriced = unpriced + excluded.unpriced;
END;

CREATE TRIGGER rows_moved AFTER UPDATE OF state, position, price ON rows
WHEN old.state <> new.state OR (old.position IS NULL) <> (new.position IS NULL) OR old.price IS NOT new.price
BEGIN
    UPDATE tally SET rows = rows - 1, price = price - coalesce(old.price, 0),
        unpriced = unpriced - (old.price IS NULL)
    WHERE state = old.state AND gone = (old.position IS NULL);
    INSERT INTO tally VALUES (new.state, new.position IS NULL, 1, coalesce(new.price, 0), new.price IS NULL)
    ON CONFLICT DO UPDATE SET rows = rows + 1, price = price + excluded.price,
        unpriced = unpriced + excluded.unpriced;
END;
