-- What the batch remembers of itself: manifest, model, base, account, max_cost, started_at …
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT
) WITHOUT ROWID;

CREATE TABLE rows (
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
        'pending', 'submitting', 'running', 'collecting', 'done', 'failed', 'expired', 'in_doubt')),
    since         REAL NOT NULL DEFAULT 0,   -- when it came into this state
    due_at        REAL NOT NULL DEFAULT 0,   -- not before this time: submit (pending), fetch (collecting)
    tries         INTEGER NOT NULL DEFAULT 0, -- attempts that counted since the last consent
    attempt       INTEGER REFERENCES attempts (number), -- the attempt that counts
    error         TEXT
);

CREATE TABLE attempts (
    number        INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the intents
    key           TEXT NOT NULL REFERENCES rows (key),
    seed          INTEGER,
    own_seed      INTEGER NOT NULL,          -- chosen by batchfill, not fixed by the row
    origin        TEXT NOT NULL,             -- the base it was sent to
    sent          TEXT NOT NULL,             -- JSON: the input, data URLs replaced by their SHA-256
    outputs_asked INTEGER NOT NULL,
    price         INTEGER,
    outcome       TEXT NOT NULL DEFAULT 'open' CHECK (outcome IN (
        'open', 'succeeded', 'canceled', 'failed', 'nothing_made')),
    counted       INTEGER NOT NULL DEFAULT 0, -- whether it counts as one of the row's attempts
    anchor        TEXT,                      -- the prediction accepted last before the intent
    service_time  REAL,                      -- the service's clock at the intent
    intended_at   REAL NOT NULL,
    lost_at       REAL,                      -- when its answer was given up
    absent_at     REAL,                      -- when a look first found it surely absent
    accepted_at   REAL,
    created_at    REAL,                      -- by the service's clock
    prediction_id TEXT UNIQUE,
    status        TEXT,                      -- the service's own word
    cancel_asked  TEXT,                      -- 'time-out' or 'user'
    ended_at      REAL,
    run_time      REAL,                      -- seconds from created to completed, by the service's clock
    error         TEXT
);

CREATE TABLE outputs (
    prediction_id TEXT NOT NULL,
    n             INTEGER NOT NULL,
    url           TEXT NOT NULL,
    planned       TEXT,                      -- where it is about to be put, once it was fetched whole
    file          TEXT,                      -- relative to the batch folder; NULL until it is in place
    size          INTEGER,
    sha256        TEXT,
    width         INTEGER,
    height        INTEGER,
    collected_at  REAL,
    PRIMARY KEY (prediction_id, n)
) WITHOUT ROWID;

-- Files given to the provider, so that rows that share a picture share its upload.
CREATE TABLE uploads (
    sha256     TEXT NOT NULL,
    origin     TEXT NOT NULL,
    url        TEXT NOT NULL,
    expires_at REAL NOT NULL,
    PRIMARY KEY (sha256, origin)
) WITHOUT ROWID;

-- Digests of local files, good while size and time of change stay the same.
CREATE TABLE digests (
    path     TEXT PRIMARY KEY,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256   TEXT NOT NULL
) WITHOUT ROWID;

-- due, next_due_at
CREATE INDEX rows_due ON rows (due_at, position) WHERE state = 'pending' AND position IS NOT NULL;
-- open_attempts, doubts
CREATE INDEX rows_submitting ON rows (since) WHERE state = 'submitting';
CREATE INDEX rows_running ON rows (since) WHERE state = 'running';
CREATE INDEX rows_in_doubt ON rows (since) WHERE state = 'in_doubt';
CREATE INDEX rows_collecting ON rows (since) WHERE state = 'collecting';
-- reasons
CREATE INDEX rows_failed ON rows (error) WHERE state = 'failed' AND position IS NOT NULL;
-- results
CREATE INDEX rows_in_order ON rows (position) WHERE position IS NOT NULL;
-- outputs_in_the_way
CREATE INDEX rows_by_id ON rows (folded_id);
-- misnamed
CREATE INDEX rows_misnamed ON rows (key) WHERE placed_id <> id;
CREATE INDEX attempts_of_row ON attempts (key);
-- seed_taken
CREATE INDEX attempts_by_seed ON attempts (seed) WHERE seed IS NOT NULL;
CREATE UNIQUE INDEX attempts_own_seed ON attempts (seed) WHERE own_seed;
-- last_accepted
CREATE INDEX attempts_accepted ON attempts (accepted_at) WHERE accepted_at IS NOT NULL;

-- Counted by triggers, in the same transaction as what they count, so that they cannot drift.
CREATE TABLE tally (
    state    TEXT NOT NULL,
    gone     INTEGER NOT NULL,
    rows     INTEGER NOT NULL,
    price    INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    PRIMARY KEY (state, gone)
) WITHOUT ROWID;

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

CREATE TABLE money (
    outcome  TEXT PRIMARY KEY,
    attempts INTEGER NOT NULL,
    price    INTEGER NOT NULL,
    unpriced INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER attempts_added AFTER INSERT ON attempts BEGIN
    INSERT INTO money VALUES (new.outcome, 1, coalesce(new.price, 0), new.price IS NULL)
    ON CONFLICT DO UPDATE SET attempts = attempts + 1, price = price + excluded.price,
        unpriced = unpriced + excluded.unpriced;
END;

CREATE TRIGGER attempts_ended AFTER UPDATE OF outcome ON attempts WHEN old.outcome <> new.outcome BEGIN
    UPDATE money SET attempts = attempts - 1, price = price - coalesce(old.price, 0),
        unpriced = unpriced - (old.price IS NULL)
    WHERE outcome = old.outcome;
    INSERT INTO money VALUES (new.outcome, 1, coalesce(new.price, 0), new.price IS NULL)
    ON CONFLICT DO UPDATE SET attempts = attempts + 1, price = price + excluded.price,
        unpriced = unpriced + excluded.unpriced;
END;

-- What `batchfill results` gives, for people who prefer SQL. Cost is in units of the currency.
CREATE VIEW results AS
SELECT r.id, r.line, r.state, r.image, r.mask, r.prompt,
    (SELECT group_concat(file, ';') FROM (
        SELECT file FROM outputs WHERE prediction_id = a.prediction_id AND file IS NOT NULL ORDER BY n
    )) AS outputs,
    a.seed, a.prediction_id,
    (SELECT count(*) FROM attempts WHERE key = r.key AND counted) AS attempts,
    (SELECT CASE WHEN count(*) = count(price) THEN coalesce(sum(price), 0) / 1000000.0 END FROM attempts
        WHERE key = r.key AND outcome IN ('succeeded', 'canceled')) AS cost,
    r.error, r.extra
FROM rows AS r LEFT JOIN attempts AS a ON a.number = r.attempt
WHERE r.position IS NOT NULL
ORDER BY r.position;

-- Money and rows at a glance.
CREATE VIEW counts AS
SELECT state, CASE gone WHEN 1 THEN 'gone from the manifest' ELSE 'in the manifest' END AS place, rows
FROM tally WHERE rows > 0;
