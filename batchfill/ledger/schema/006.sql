-- One output that cannot be had takes no other along.

ALTER TABLE outputs ADD COLUMN lost TEXT;    -- why it will not come; NULL: it is there, or may still come

-- What earlier versions went on without.
UPDATE outputs SET lost = 'the service has removed it'
WHERE file IS NULL AND raw IS NULL AND prediction_id IN (
    SELECT a.prediction_id FROM rows AS r JOIN attempts AS a ON a.number = r.attempt
    WHERE r.state = 'done' OR (r.state = 'collecting' AND r.kept)
);
