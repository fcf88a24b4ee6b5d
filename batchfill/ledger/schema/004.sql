-- An answer that says accepted is never proof of absence, even where its id could not be read.
ALTER TABLE attempts ADD COLUMN acknowledged INTEGER NOT NULL DEFAULT 0;
