CREATE TYPE shipment_state AS ENUM ('packed', 'sent', 'arrived');
CREATE TABLE shipments (id bigserial PRIMARY KEY, order_id bigint REFERENCES orders (id), state shipment_state NOT NULL DEFAULT 'packed');
INSERT INTO shipments (order_id) SELECT id FROM orders;
ALTER TABLE orders DROP COLUMN channel;
