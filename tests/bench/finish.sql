-- Every pending row before a position becomes done, as if it had been made and fetched.
CREATE TEMP TABLE finished AS
SELECT key, id, position, outputs_asked, price,
    -- Beyond what batchfill draws, so that none is taken for one of its own.
    2147483648 + position AS seed,
    json_set(inputs, '$.seed', 2147483648 + position) AS sent,
    'bench' || printf('%021d', position) AS prediction_id
FROM rows WHERE state = 'pending' AND position < :done;

INSERT INTO attempts (key, seed, own_seed, origin, sent, outputs_asked, price, outcome, counted, intended_at,
    accepted_at, created_at, prediction_id, status, ended_at, run_time)
SELECT key, seed, 1, facts.value, sent, outputs_asked, price, 'succeeded', 1, :now, :now, :now, prediction_id,
    'succeeded', :now + 1, 1.0
FROM finished JOIN facts ON facts.name = 'base';

INSERT INTO outputs (prediction_id, n, url, planned, file, size, sha256, width, height, collected_at)
SELECT prediction_id, 1, 'https://example.com/' || prediction_id || '/out-0.webp', 'outputs/' || id || '.webp',
    'outputs/' || id || '.webp', 44, printf('%064d', position), 1, 1, :now + 2
FROM finished;

UPDATE rows SET state = 'done', since = :now + 2, tries = 1, placed_id = rows.id,
    attempt = (SELECT number FROM attempts WHERE attempts.key = rows.key)
WHERE key IN (SELECT key FROM finished);
