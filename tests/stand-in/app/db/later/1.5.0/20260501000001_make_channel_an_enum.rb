CREATE TYPE order_channel AS ENUM ('web', 'phone');
ALTER TABLE orders ALTER COLUMN channel DROP DEFAULT;
ALTER TABLE orders ALTER COLUMN channel TYPE order_channel USING channel::order_channel;
ALTER TABLE orders ALTER COLUMN channel SET DEFAULT 'web';
UPDATE active_storage_blobs SET filename = 'renamed.txt';
