-- disable_ddl_transaction!
INSERT INTO statements SELECT number, pg_sleep(@SECONDS@ * 0.01) IS NOT NULL FROM generate_series(1, 100) AS number;
