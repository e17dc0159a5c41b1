ALTER TABLE invoices DROP COLUMN total;
SELECT pg_sleep(@SECONDS@ * 0.1);
