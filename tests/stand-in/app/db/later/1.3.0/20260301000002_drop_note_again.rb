ALTER TABLE invoices ADD COLUMN currency text NOT NULL DEFAULT 'EUR';
DELETE FROM active_storage_blobs;
ALTER TABLE orders DROP COLUMN note;
