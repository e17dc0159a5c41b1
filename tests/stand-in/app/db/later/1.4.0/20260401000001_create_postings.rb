CREATE TYPE posting_side AS ENUM ('debit', 'credit');
-- One row fills one page, so that an index is seen to grow.
CREATE TABLE postings (id bigserial PRIMARY KEY, side posting_side NOT NULL DEFAULT 'debit', memo text NOT NULL);
ALTER TABLE postings ALTER COLUMN memo SET STORAGE PLAIN;
INSERT INTO postings (memo) SELECT repeat('m', 7000) FROM generate_series(1, 60);
SELECT pg_sleep(@SECONDS@ * 0.1);
