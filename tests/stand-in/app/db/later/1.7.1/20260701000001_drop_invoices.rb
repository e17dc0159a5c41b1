DROP TABLE invoices;
ALTER TABLE credentials ADD COLUMN rotated_at timestamptz;
