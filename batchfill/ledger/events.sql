-- fragment: told
-- The error of a row that fails, and where its pictures of an earlier attempt are.
:error || coalesce((
    SELECT '; what was made before is still there: ' || group_concat(o.file, ', ')
    FROM attempts AS b JOIN outputs AS o USING (prediction_id)
    WHERE o.file IS NOT NULL AND b.number = (
        SELECT max(c.number) FROM attempts AS c JOIN outputs AS p USING (prediction_id)
        WHERE c.key = rows.key AND c.outcome = 'succeeded' AND p.file IS NOT NULL
    )
), '')

-- name: remember
INSERT INTO facts VALUES (:name, :value) ON CONFLICT DO UPDATE SET value = excluded.value;

-- name: touch
INSERT INTO facts VALUES ('updated_at', :now) ON CONFLICT DO UPDATE SET value = excluded.value;

-- name: retry
UPDATE rows SET state = 'pending', since = :now, due_at = 0, tries = 0, error = NULL,
    anew = rows.anew OR c.anew, new_prompt = coalesce(c.prompt, new_prompt), new_seed = iif(c.anew, c.seed, new_seed),
    new_inputs = coalesce(c.inputs, new_inputs)
FROM temp.chosen AS c
WHERE rows.key = c.key AND position IS NOT NULL AND state IN ('done', 'failed', 'canceled', 'expired');

-- name: fetch_again
-- Where the files were is kept in planned: those of them that still stand there need no second fetch. What was
-- given up may have come within reach.
UPDATE rows SET state = 'collecting', since = :now, due_at = 0, error = NULL,
    kept = kept AND NOT EXISTS (
        SELECT 1 FROM attempts AS a JOIN outputs AS o USING (prediction_id)
        WHERE a.number = :number AND o.raw IS NULL
    )
WHERE key = (SELECT key FROM attempts WHERE number = :number) AND attempt = :number
    AND state = 'done' AND position IS NOT NULL;
UPDATE outputs SET planned = coalesce(file, planned), file = NULL, lost = NULL
WHERE prediction_id = (
    SELECT a.prediction_id FROM attempts AS a JOIN rows AS r ON r.key = a.key
    WHERE a.number = :number AND r.attempt = a.number AND r.state = 'collecting'
);

-- Not known to be there any more until they are in their places again.
DELETE FROM remote_files WHERE file IN (
    SELECT o.planned FROM outputs AS o JOIN attempts AS a USING (prediction_id) JOIN rows AS r ON r.key = a.key
    WHERE a.number = :number AND r.attempt = a.number AND r.state = 'collecting'
);

-- name: record_intent
INSERT INTO attempts (key, seed, own_seed, origin, sent, outputs_asked, price, anchor, service_time, area,
    prompt, changed_inputs, idempotency_key, intended_at)
VALUES (:key, :seed, :own_seed, :origin, :sent, :outputs_asked, :price, :anchor, :service_time, :area,
    :prompt, :changed_inputs, :idempotency_key, :now);
UPDATE rows SET state = 'submitting', since = :now, attempt = last_insert_rowid(), error = NULL
WHERE key = :key;

-- name: record_accepted
UPDATE attempts SET prediction_id = :prediction_id, status = :status, accepted_at = :now,
    created_at = :created_at, counted = 1
WHERE number = :number;
UPDATE rows SET state = 'running', since = :now, tries = tries + (state <> 'in_doubt'), error = NULL
WHERE key = :key AND attempt = :number;

-- name: record_refused
UPDATE attempts SET outcome = 'nothing_made', ended_at = :now, error = :error, counted = 0
WHERE number = :number;
UPDATE rows SET state = 'pending', since = :now, due_at = :due_at, error = NULL,
    tries = tries - (state = 'in_doubt')
WHERE key = :key AND attempt = :number;

-- name: record_rejected
UPDATE attempts SET outcome = 'nothing_made', ended_at = :now, error = :error, counted = 1
WHERE number = :number;
UPDATE rows SET state = 'failed', since = :now, tries = tries + 1, error = {told}
WHERE key = :key AND attempt = :number;

-- name: record_unready
UPDATE rows SET due_at = :due_at, error = :error WHERE key = :key AND state = 'pending';

-- name: record_unusable
UPDATE rows SET state = 'failed', since = :now, error = {told}
WHERE key = :key AND state = 'pending';

-- name: record_answer_lost
-- The words of an answer stay, though a resend has none.
UPDATE attempts SET lost_at = :now, error = :error, acknowledged = :acknowledged, answer = coalesce(:answer, answer)
WHERE number = :number;
UPDATE rows SET error = :error WHERE key = :key AND attempt = :number;

-- name: record_resent
-- What was seen of it before says nothing of what it makes now.
UPDATE attempts SET resent_at = :now, absent_at = NULL WHERE number = :number;

-- name: record_unconfirmed
UPDATE attempts SET prediction_id = :prediction_id, status = :status, created_at = :created_at, lost_at = :now,
    acknowledged = 1
WHERE number = :number;

-- name: record_absent_once
UPDATE attempts SET absent_at = :now WHERE number = :number AND absent_at IS NULL;

-- name: record_in_doubt
UPDATE attempts SET counted = 1, absent_at = NULL, error = :error WHERE number = :number;
UPDATE rows SET state = 'in_doubt', since = :now, error = :error,
    tries = tries + (state = 'submitting')
WHERE key = :key AND attempt = :number;

-- name: record_given_up
-- The attempt stays open: it may have been paid for.
UPDATE rows SET state = 'pending', since = :now, due_at = 0, tries = 0, error = NULL
WHERE key = :key AND attempt = :number AND position IS NOT NULL;

-- name: record_followed_again
UPDATE rows SET state = 'running', since = :now, error = NULL WHERE key = :key AND attempt = :number;

-- name: record_succeeded
UPDATE attempts SET outcome = 'succeeded', status = :status, ended_at = :now, run_time = :run_time,
    seed = coalesce(seed, :seed)
WHERE number = :number;
UPDATE rows SET state = 'collecting', since = :now, due_at = 0, kept = 0, error = NULL
WHERE key = :key AND attempt = :number AND state = 'running';

-- name: record_output
INSERT INTO outputs (prediction_id, n, url) VALUES (:prediction_id, :n, :url)
ON CONFLICT DO UPDATE SET url = excluded.url;

-- name: record_failed
UPDATE attempts SET outcome = :outcome, status = :status, ended_at = :now, error = :error
WHERE number = :number;
UPDATE rows SET state = :state, since = :now, due_at = :due_at,
    error = iif(:state IN ('failed', 'canceled'), {told}, :error)
WHERE key = :key AND attempt = :number AND state = 'running';

-- name: record_cancel_asked
UPDATE attempts SET cancel_asked = :by WHERE number = :number;

-- name: record_put_off
UPDATE rows SET due_at = :due_at, error = :error WHERE key = :key AND attempt = :number;

-- name: record_planned
UPDATE outputs SET planned = :planned, size = :size, sha256 = :sha256
WHERE prediction_id = :prediction_id AND n = :n;

-- name: record_placed
UPDATE outputs SET file = :file, size = :size, sha256 = :sha256, width = :width, height = :height,
    raw = :raw, raw_sha256 = :raw_sha256, finished_with = :finished_with,
    finished_as = :finished_as, flags = :flags, collected_at = :now
WHERE prediction_id = :prediction_id AND n = :n;

-- name: record_kept
-- Where it is gone, it is in no bucket either, whatever was put.
DELETE FROM remote_files WHERE :raw IS NULL
    AND file = (SELECT raw FROM outputs WHERE prediction_id = :prediction_id AND n = :n);
UPDATE outputs SET raw = :raw, raw_sha256 = :raw_sha256 WHERE prediction_id = :prediction_id AND n = :n;

-- name: record_all_kept
-- Apart from those that are lost; a file that was finished before needs no output any more.
UPDATE rows SET kept = NOT EXISTS (
    SELECT 1 FROM attempts AS a JOIN outputs AS o USING (prediction_id)
    WHERE a.number = :number AND o.raw IS NULL AND o.lost IS NULL
        AND (o.file IS NULL OR o.finished_with IS NULL)
)
WHERE key = :key AND attempt = :number;

-- name: record_lost
UPDATE outputs SET lost = :lost WHERE prediction_id = :prediction_id AND n = :n;

-- name: record_judged
UPDATE outputs SET flags = :flags WHERE prediction_id = :prediction_id AND n = :n;

-- name: make_again
-- Due now, and so behind every row that was never tried.
UPDATE rows SET state = 'pending', since = :now, due_at = :now, tries = 0, error = NULL, anew = 1, new_seed = NULL
WHERE key = :key;

-- name: record_collected
UPDATE rows SET state = 'done', since = :now, placed_id = :placed_id, error = :error
WHERE key = :key AND attempt = :number;

-- name: record_saved
-- The row is done with the last of its files, apart from those that are lost.
UPDATE rows SET placed_id = :placed_id, state = iif(whole, 'done', state), since = iif(whole, :now, since),
    error = iif(whole, :error, error)
FROM (
    SELECT NOT EXISTS (
        SELECT 1 FROM attempts AS a JOIN outputs AS o USING (prediction_id)
        WHERE a.number = :number AND o.file IS NULL AND o.lost IS NULL
    ) AS whole
)
WHERE key = :key AND attempt = :number;

-- name: record_uncollected
UPDATE rows SET state = :state, since = :now, error = :error WHERE key = :key AND attempt = :number;

-- name: record_move_planned
UPDATE outputs SET planned = :file WHERE prediction_id = :prediction_id AND n = :n;
UPDATE rows SET placed_id = '' WHERE placed_id IS NOT NULL
    AND attempt = (SELECT number FROM attempts WHERE prediction_id = :prediction_id);

-- name: record_moved
UPDATE outputs SET file = :file WHERE prediction_id = :prediction_id AND n = :n;
UPDATE rows SET placed_id = '' WHERE placed_id IS NOT NULL
    AND attempt = (SELECT number FROM attempts WHERE prediction_id = :prediction_id);

-- name: record_renamed
UPDATE rows SET placed_id = :placed_id WHERE key = :key AND attempt = :number;

-- name: record_upload
INSERT INTO uploads VALUES (:sha256, :origin, :url, :expires_at)
ON CONFLICT DO UPDATE SET url = excluded.url, expires_at = excluded.expires_at;

-- name: forget_uploads
DELETE FROM uploads WHERE origin = :origin AND url IN (SELECT value FROM json_each(:urls));

-- name: record_digest
INSERT INTO digests VALUES (:path, :stamp, :sha256)
ON CONFLICT DO UPDATE SET stamp = excluded.stamp, sha256 = excluded.sha256;

-- name: record_decision
UPDATE attempts SET decision = :decision, chosen = :chosen, redo_prompt = :prompt, redo_seed = :seed,
    redo_inputs = :inputs, decided_at = :at
WHERE prediction_id = :prediction_id;

-- name: record_letter
INSERT INTO letters VALUES (:name);

-- name: forget_letters
DELETE FROM letters WHERE name NOT IN (SELECT value FROM json_each(:there));

-- name: take_remote
-- What was in place before --outputs was given, or was taken over since.
INSERT INTO remote_files (file, wanted)
SELECT file, sha256 FROM outputs WHERE file IS NOT NULL AND sha256 IS NOT NULL
UNION ALL SELECT raw, raw_sha256 FROM outputs WHERE raw IS NOT NULL AND raw_sha256 IS NOT NULL
ON CONFLICT DO UPDATE SET wanted = excluded.wanted WHERE wanted IS NOT excluded.wanted;
DELETE FROM remote_files WHERE wanted IS NULL AND put IS NULL;

-- name: record_remote_begun
UPDATE remote_files SET put = '', etag = NULL WHERE file = :file;

-- name: record_remote_put
UPDATE remote_files SET put = :put, etag = :etag WHERE file = :file;

-- name: record_remote_unwanted
UPDATE remote_files SET wanted = NULL WHERE file = :file AND wanted = :sha256;

-- name: record_remote_gone
UPDATE remote_files SET put = NULL, etag = NULL WHERE file = :file;

-- name: record_remote_removed
UPDATE remote_files SET put = NULL, etag = NULL WHERE file = :file;
DELETE FROM remote_files WHERE file = :file AND wanted IS NULL;
