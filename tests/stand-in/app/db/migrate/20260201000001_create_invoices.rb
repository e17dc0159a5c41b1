CREATE TABLE invoices (id bigserial PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders (id), total bigint NOT NULL DEFAULT 0);
ALTER TABLE orders ADD COLUMN channel text NOT NULL DEFAULT 'web';
