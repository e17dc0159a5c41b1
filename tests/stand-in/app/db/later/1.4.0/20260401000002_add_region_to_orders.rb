ALTER TABLE orders ADD COLUMN region text NOT NULL DEFAULT 'north';
SELECT pg_sleep(@SECONDS@ * 0.1);
