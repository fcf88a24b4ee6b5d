-- fragment: attempt
-- The fields of an Attempt.
a.number, a.key, r.id, coalesce(r.line, 0) AS line, r.state, a.seed, a.own_seed, a.origin, a.sent,
    a.outputs_asked, a.intended_at, a.service_time, a.anchor, a.prediction_id, a.created_at, a.accepted_at, a.ended_at,
    a.absent_at, a.cancel_asked, a.lost_at, a.acknowledged, r.tries, a.area, a.idempotency_key, a.resent_at

-- fragment: due
-- The fields of a Due.
key, id, line, inputs, files, outputs_asked, price, tries, anew, new_prompt, new_seed, new_inputs

-- fragment: output
-- The fields of an Output.
o.prediction_id, o.n, o.url, o.planned, o.file, o.size, o.sha256, o.raw, o.raw_sha256, o.finished_with, o.flags,
    o.lost, o.finished_as

-- fragment: attempts_made
-- How many attempts of a row counted, where `several` holds the rows that have more than one.
CASE WHEN a.number IS NULL THEN 0 WHEN r.key NOT IN several THEN a.counted
        ELSE (SELECT count(*) FROM attempts WHERE key = r.key AND counted) END

-- fragment: inputs_given
-- The inputs of an attempt: its row's, but for those that a redo changed.
iif(a.changed_inputs IS NULL, r.inputs, json_patch(r.inputs, a.changed_inputs))

-- fragment: row_cost
-- What a row has cost, just so; NULL where no price is known.
CASE WHEN a.number IS NULL THEN 0
        WHEN r.key NOT IN several THEN iif(a.outcome IN ('succeeded', 'canceled'), a.price, 0)
        ELSE (SELECT CASE WHEN count(*) = count(price) THEN coalesce(sum(price), 0) END FROM attempts
            WHERE key = r.key AND outcome IN ('succeeded', 'canceled')) END

-- fragment: review_picture
-- What the review knows of an output, as a JSON list.
json_array(o.n, o.file, o.sha256, o.flags, o.finished_as)

-- name: facts
SELECT name, value FROM facts;

-- name: tally
SELECT state, gone, rows, price, unpriced FROM tally WHERE rows > 0;

-- name: money
SELECT outcome, attempts, price, unpriced FROM money WHERE attempts > 0;

-- name: due
-- Never tried first, then the retry that is due longest; served by rows_due.
SELECT {due} FROM rows
WHERE state = 'pending' AND position IS NOT NULL AND due_at <= :now
ORDER BY due_at, position LIMIT :limit;

-- name: to_make_again
-- The row of a prediction, where each of its pictures is flagged with one of these words and it may be made again.
SELECT r.key, r.price FROM attempts AS a JOIN rows AS r ON r.key = a.key AND r.attempt = a.number
WHERE a.prediction_id = :prediction_id AND r.state = 'done' AND r.since >= :since AND r.position IS NOT NULL
    AND a.decision IS NULL AND (SELECT count(*) FROM attempts AS b WHERE b.key = r.key AND b.outcome = 'succeeded') <= :times
    AND EXISTS (SELECT 1 FROM outputs AS o WHERE o.prediction_id = :prediction_id AND o.file IS NOT NULL)
    AND NOT EXISTS (
        SELECT 1 FROM outputs AS o WHERE o.prediction_id = :prediction_id AND o.file IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM json_each(:flags) AS f WHERE ' ' || o.flags || ' ' LIKE '% ' || f.value || ' %'
        )
    );

-- name: next_due_at
SELECT min(due_at) FROM rows WHERE state = 'pending' AND position IS NOT NULL AND due_at > :after;

-- name: due_among
-- The same where only these rows are to run.
SELECT {due} FROM rows
WHERE key IN (SELECT value FROM json_each(:keys)) AND state = 'pending' AND position IS NOT NULL AND due_at <= :now
ORDER BY due_at, position LIMIT :limit;

-- name: next_due_among
SELECT min(due_at) FROM rows
WHERE key IN (SELECT value FROM json_each(:keys)) AND state = 'pending' AND position IS NOT NULL AND due_at > :after;

-- name: pending_among
SELECT count(*) FROM rows
WHERE key IN (SELECT value FROM json_each(:keys)) AND state = 'pending' AND position IS NOT NULL;

-- name: to_resend
-- A row whose create's answer was lost, as it would be submitted; the keys are those that may be, NULL means all.
SELECT {due} FROM rows
WHERE key = :key AND position IS NOT NULL AND state IN ('submitting', 'in_doubt')
    AND (:keys IS NULL OR key IN (SELECT value FROM json_each(:keys)));

-- name: state_of
SELECT state FROM rows WHERE key = :key;

-- name: open_attempts
-- Served by rows_submitting, rows_running, rows_in_doubt.
SELECT {attempt}
FROM rows AS r JOIN attempts AS a ON a.number = r.attempt
WHERE r.state = :state ORDER BY r.since;

-- name: attempt_of
-- The attempt of a row that counts.
SELECT {attempt}
FROM rows AS r JOIN attempts AS a ON a.number = r.attempt WHERE r.key = :key;

-- name: collecting
-- Oldest first; served by rows_collecting.
SELECT {attempt}
FROM rows AS r JOIN attempts AS a ON a.number = r.attempt
WHERE r.state = 'collecting' AND NOT r.kept AND r.due_at <= :now
    AND a.number NOT IN (SELECT value FROM json_each(:without))
ORDER BY r.since LIMIT :limit;

-- name: next_collect_at
SELECT min(due_at) FROM rows WHERE state = 'collecting' AND NOT kept AND due_at > :after;

-- name: oldest_collecting
SELECT min(since) FROM rows
WHERE state = 'collecting' AND NOT kept AND attempt NOT IN (SELECT value FROM json_each(:without));

-- name: to_finish
-- Oldest first; served by rows_kept.
SELECT {attempt}
FROM rows AS r JOIN attempts AS a ON a.number = r.attempt
WHERE r.state = 'collecting' AND r.kept AND a.number NOT IN (SELECT value FROM json_each(:without))
ORDER BY r.since LIMIT :limit;

-- name: kept
SELECT count(*) FROM rows WHERE state = 'collecting' AND kept;

-- name: outputs_of
SELECT {output} FROM outputs AS o WHERE o.prediction_id = :prediction_id ORDER BY o.n;

-- name: asked
-- What an attempt was given: its row's inputs, and what a redo changed of them.
SELECT {inputs_given} AS inputs, r.files FROM attempts AS a JOIN rows AS r USING (key) WHERE a.number = :number;

-- name: unjudged
-- Pictures whose originals are at hand; served by outputs_unjudged.
SELECT DISTINCT {attempt}
FROM outputs AS o INDEXED BY outputs_unjudged JOIN attempts AS a USING (prediction_id) JOIN rows AS r ON r.key = a.key
WHERE o.flags IS NULL AND o.file IS NOT NULL AND r.state = 'done' AND r.attempt = a.number
    AND a.number NOT IN (SELECT value FROM json_each(:without)) LIMIT :limit;

-- name: finished
-- Finished rows with local files, in the order of their attempts.
SELECT {attempt}
FROM attempts AS a JOIN rows AS r ON r.key = a.key
WHERE a.number > :after AND r.attempt = a.number AND r.position IS NOT NULL AND r.state = 'done' AND r.files <> '{}'
ORDER BY a.number LIMIT :limit;

-- name: outputs_in_the_way
-- Files that stand under an id which another attempt's files are about to take.
SELECT {output}
FROM rows AS r JOIN attempts AS a ON a.key = r.key JOIN outputs AS o ON o.prediction_id = a.prediction_id
WHERE r.folded_id = :folded_id AND a.number <> :number AND o.file IS NOT NULL
    AND o.file NOT LIKE 'outputs/earlier/%';

-- name: planned_outputs
-- What has a planned place, and none that is recorded. Served by rows_collecting and rows_kept.
SELECT {output} FROM rows AS r JOIN attempts AS a ON a.number = r.attempt JOIN outputs AS o USING (prediction_id)
WHERE r.state = 'collecting' AND NOT r.kept AND o.file IS NULL
    AND o.planned NOT LIKE 'outputs/raw/%'
UNION ALL
SELECT {output} FROM rows AS r JOIN attempts AS a ON a.number = r.attempt JOIN outputs AS o USING (prediction_id)
WHERE r.state = 'collecting' AND r.kept AND o.file IS NULL AND o.planned NOT LIKE 'outputs/raw/%';

-- name: has_placed
SELECT 1 FROM outputs WHERE file = :file LIMIT 1;

-- name: misnamed
-- Some files of a row that is collecting may be in place already. Served by rows_misnamed.
SELECT {attempt}
FROM rows AS r INDEXED BY rows_misnamed JOIN attempts AS a ON a.number = r.attempt
WHERE r.placed_id <> r.id AND r.position IS NOT NULL AND (r.state = 'done' OR (r.state = 'collecting' AND EXISTS (
    SELECT 1 FROM outputs AS o WHERE o.prediction_id = a.prediction_id AND o.file IS NOT NULL
)));

-- name: named_by_another
SELECT 1 FROM rows AS mine JOIN rows AS other ON other.folded_id = :folded_id
WHERE mine.key = :key AND mine.position IS NULL AND other.position IS NOT NULL AND other.key <> mine.key LIMIT 1;

-- name: claimed
SELECT prediction_id, seed FROM attempts WHERE prediction_id IN (SELECT value FROM json_each(:ids));

-- name: accepted_before
-- The predictions accepted up to an attempt's anchor and within so many seconds before it, newest first.
SELECT b.number, b.prediction_id, b.created_at, b.service_time, b.intended_at
FROM attempts AS a JOIN attempts AS b ON b.number <= a.number
WHERE a.prediction_id = :anchor AND b.prediction_id IS NOT NULL AND b.intended_at >= a.intended_at - :seconds
ORDER BY b.number DESC LIMIT :limit;

-- name: unlisted
-- A prediction of ours that a list should show and does not; from that attempt on, and accepted by then.
SELECT prediction_id FROM attempts
WHERE number >= :first AND prediction_id IS NOT NULL AND accepted_at <= :accepted_by
    AND prediction_id NOT IN (SELECT value FROM json_each(:shown))
LIMIT 1;

-- name: last_intent_of
-- An id that is not confirmed may be that of something older.
SELECT intended_at FROM attempts
WHERE prediction_id IN (SELECT value FROM json_each(:shown)) AND accepted_at IS NOT NULL
ORDER BY number DESC LIMIT 1;

-- name: last_accepted
SELECT prediction_id FROM attempts WHERE accepted_at IS NOT NULL ORDER BY accepted_at DESC, number DESC LIMIT 1;

-- name: last_number
-- Of all attempts there ever were.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'attempts'), 0);

-- name: run_times
SELECT run_time FROM attempts WHERE run_time IS NOT NULL ORDER BY number DESC LIMIT :limit;

-- name: seed_taken
SELECT 1 FROM attempts WHERE seed = :seed LIMIT 1;

-- name: upload_of
SELECT url, expires_at FROM uploads WHERE sha256 = :sha256 AND origin = :origin AND expires_at > :good_until;

-- name: digest_of
SELECT sha256 FROM digests WHERE path = :path AND stamp = :stamp;

-- name: reasons
SELECT coalesce(error, 'no reason given') AS reason, count(*) AS rows
FROM rows INDEXED BY rows_failed WHERE state = 'failed' AND position IS NOT NULL
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50;

-- name: failed_made
SELECT count(*) FROM rows AS r INDEXED BY rows_failed JOIN attempts AS a ON a.number = r.attempt
WHERE r.state = 'failed' AND r.position IS NOT NULL AND a.outcome = 'succeeded';

-- name: doubts
SELECT r.id, r.line, a.intended_at, a.price, coalesce(r.error, '') AS reason, a.seed, a.lost_at, a.answer,
    a.idempotency_key IS NOT NULL AND a.prediction_id IS NULL AND NOT a.acknowledged AND r.position IS NOT NULL AS keyed
FROM rows AS r JOIN attempts AS a ON a.number = r.attempt
WHERE r.state = 'in_doubt' ORDER BY r.since LIMIT 100;

-- name: results
-- As the view of that name. Nearly every row has one attempt, which is at hand: to look up all attempts of each
-- row, by a key that stands anywhere in the index, takes as long as all the rest.
WITH several AS MATERIALIZED (SELECT key FROM attempts GROUP BY key HAVING count(*) > 1)
SELECT r.id, r.line, r.state, r.image, r.mask, coalesce(a.prompt, r.prompt),
    (SELECT group_concat(file, ';') FROM (
        SELECT file FROM outputs WHERE prediction_id = a.prediction_id AND file IS NOT NULL ORDER BY n
    )),
    a.seed, a.prediction_id,
    {attempts_made},
    {row_cost},
    r.error,
    (SELECT group_concat(flags, ' ') FROM outputs WHERE prediction_id = a.prediction_id AND flags <> ''),
    a.decision, a.chosen,
    (SELECT group_concat(finished_as, ';') FROM (
        SELECT finished_as FROM outputs WHERE prediction_id = a.prediction_id AND file IS NOT NULL ORDER BY n
    )),
    a.changed_inputs,
    r.extra
FROM rows AS r LEFT JOIN attempts AS a ON a.number = r.attempt
WHERE r.position IS NOT NULL
ORDER BY r.position;

-- name: review_rows
-- Rows as the review shows them, asked for by their numbers, which are rowids.
WITH several AS MATERIALIZED (
    SELECT key FROM attempts
    WHERE key IN (SELECT key FROM rows WHERE rowid IN (SELECT value FROM json_each(:numbers)))
    GROUP BY key HAVING count(*) > 1
)
SELECT r.id, r.line, r.state, r.image, r.mask, coalesce(a.prompt, r.prompt) AS prompt, a.seed, a.prediction_id,
    {attempts_made} AS attempts,
    {row_cost} AS cost,
    r.error, a.decision, a.chosen, a.changed_inputs, r.extra,
    r.files, a.ended_at, a.run_time, a.redo_prompt, a.redo_seed, a.redo_inputs,
    {inputs_given},
    (SELECT json_group_array({review_picture}) FROM (
        SELECT * FROM outputs WHERE prediction_id = a.prediction_id AND file IS NOT NULL ORDER BY n
    ) AS o) AS outputs,
    CASE WHEN r.key IN several THEN (SELECT json_group_array({review_picture}) FROM (
        SELECT outputs.* FROM attempts AS b JOIN outputs USING (prediction_id)
        WHERE b.key = r.key AND b.number <> a.number AND outputs.file IS NOT NULL ORDER BY b.number DESC, outputs.n
    ) AS o) ELSE '[]' END AS earlier
FROM rows AS r LEFT JOIN attempts AS a ON a.number = r.attempt
WHERE r.rowid IN (SELECT value FROM json_each(:numbers)) AND r.position IS NOT NULL
ORDER BY r.position;

-- name: places
SELECT coalesce(max(position) + 1, 0) FROM rows WHERE position IS NOT NULL;

-- name: numbers_at
SELECT rowid FROM rows WHERE position >= :first AND position < :end;

-- name: numbers_named
SELECT rowid FROM rows WHERE folded_id IN (SELECT value FROM json_each(:ids)) AND position IS NOT NULL;

-- name: words_at
SELECT r.id, coalesce(a.prompt, r.prompt), a.seed, {inputs_given}, r.extra
FROM rows AS r LEFT JOIN attempts AS a ON a.number = r.attempt
WHERE r.position >= :first AND r.position < :end;

-- name: numbers_of
-- Of rows whose attempt that counts is one of these predictions.
SELECT r.rowid FROM attempts AS a JOIN rows AS r ON r.key = a.key AND r.attempt = a.number
WHERE a.prediction_id IN (SELECT value FROM json_each(:predictions));

-- name: moved
-- Rows that came into their state, or were decided, from a moment on. Nothing serves it: rows say so in passing only,
-- and to go through a hundred thousand takes a twentieth of a second.
SELECT at, number FROM (
    SELECT since AS at, rowid AS number FROM rows WHERE since >= :after
    UNION ALL
    SELECT a.decided_at, r.rowid FROM attempts AS a JOIN rows AS r ON r.key = a.key WHERE a.decided_at >= :after
)
ORDER BY at > :now, at DESC LIMIT :most;

-- name: ids
SELECT id FROM rows WHERE position IS NOT NULL;

-- name: history
SELECT intended_at, ended_at, outcome, price, run_time FROM attempts WHERE ended_at IS NOT NULL ORDER BY ended_at;

-- name: version
-- Another number after another connection has changed the ledger.
PRAGMA data_version;

-- name: collected
-- A file that was finished bears its mark already, if it is to bear one.
SELECT r.id, r.line, a.number, r.price, o.file, o.size, o.sha256, o.n,
    CASE WHEN o.finished_as IS NOT NULL OR json_extract(r.inputs, '$.mark') = 'none' THEN NULL
        WHEN r.mask <> '' OR coalesce(json_extract(r.inputs, '$.expand'), json_extract(r.inputs, '$.aspect')) <> ''
        THEN 'edited' ELSE 'made' END,
    coalesce(json_extract(r.inputs, '$.metadata'), 1)
FROM rows AS r JOIN attempts AS a ON a.number = r.attempt JOIN outputs AS o USING (prediction_id)
WHERE r.position IS NOT NULL AND (r.state = 'done' OR (:arriving AND r.state = 'collecting')) AND o.file IS NOT NULL
ORDER BY r.position, o.n;

-- name: named_files
SELECT inputs, files FROM rows WHERE position IS NOT NULL AND files <> '{}';

-- name: asked_for
-- How many pictures rows in a state ask for; served by the state's own index, where it has one.
SELECT coalesce(sum(outputs_asked), 0) FROM rows WHERE state = :state AND position IS NOT NULL;

-- name: extra_columns
SELECT DISTINCT json_each.key FROM rows, json_each(rows.extra) WHERE rows.position IS NOT NULL ORDER BY 1;

-- name: prompt_asked
-- Whether any row asks for just this prompt. Asked once a start, and only where it may name columns.
SELECT EXISTS (SELECT 1 FROM rows WHERE prompt = :prompt);

-- name: outputs_made
-- How many pictures each of these predictions has; those that are not ours are left out.
SELECT a.prediction_id, (SELECT count(*) FROM outputs AS o WHERE o.prediction_id = a.prediction_id) AS outputs
FROM attempts AS a WHERE a.prediction_id IN (SELECT value FROM json_each(:ids));

-- name: letter_taken
SELECT 1 FROM letters WHERE name = :name;

-- name: letters_taken
SELECT name FROM letters;

-- name: remote_due
-- Served by remote_files_due.
SELECT file, wanted FROM remote_files
WHERE wanted IS NOT put LIMIT :limit;

-- name: remote_due_among
SELECT file, wanted FROM remote_files
WHERE wanted IS NOT put AND file IN (SELECT value FROM json_each(:files));

-- name: remote_wanted_among
SELECT DISTINCT wanted FROM remote_files
WHERE wanted IS NOT put AND wanted IN (SELECT value FROM json_each(:contents));

-- name: remote_left
SELECT count(*) FROM remote_files WHERE wanted IS NOT put;

-- name: remote_moves
-- What is at a file's address and is wanted at another one; where there is what is wanted at its own.
SELECT f.file AS source, w.file AS target, f.put AS sha256 FROM remote_files AS f JOIN remote_files AS w ON w.wanted = f.put
WHERE f.file = :file AND f.put <> '' AND w.wanted IS NOT w.put AND w.file <> f.file
UNION SELECT h.file, f.file, f.wanted FROM remote_files AS f JOIN remote_files AS h ON h.put = f.wanted
WHERE f.file = :file AND f.wanted IS NOT f.put;

-- name: remote_put_among
SELECT file, put, etag FROM remote_files
WHERE wanted = put AND file IN (SELECT value FROM json_each(:files));

-- name: remote_copy
SELECT put AS sha256, etag FROM remote_files WHERE file = :file AND put <> '';
