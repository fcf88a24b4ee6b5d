-- Rows that finish.sql called done become those of a night, whose pictures share the files of fifty.
UPDATE outputs SET
    file = (SELECT file FROM kinds WHERE kind = (CAST(substr(prediction_id, 6) AS INTEGER) % 50)),
    sha256 = (SELECT sha256 FROM kinds WHERE kind = (CAST(substr(prediction_id, 6) AS INTEGER) % 50)),
    flags = CASE (CAST(substr(prediction_id, 6) AS INTEGER) % 40) WHEN 7 THEN 'blank' WHEN 9 THEN 'drift blank' ELSE '' END
WHERE prediction_id LIKE 'bench%';

UPDATE attempts SET
    intended_at = intended_at - 40000 + seed % 100000 * 0.3,
    ended_at = ended_at - 40000 + seed % 100000 * 0.3,
    run_time = 4 + seed % 97 * 0.02,
    decision = CASE seed % 10 WHEN 3 THEN 'approved' WHEN 5 THEN 'rejected' END
WHERE prediction_id LIKE 'bench%';

UPDATE attempts SET outcome = 'failed' WHERE prediction_id LIKE 'bench%' AND seed % 50 = 11;

DELETE FROM outputs WHERE prediction_id IN (SELECT prediction_id FROM attempts WHERE outcome = 'failed');

UPDATE rows SET state = 'failed', error = 'NSFW content detected'
WHERE attempt IN (SELECT number FROM attempts WHERE outcome = 'failed')
