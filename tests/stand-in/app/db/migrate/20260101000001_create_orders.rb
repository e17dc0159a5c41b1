CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    key text NOT NULL UNIQUE,
    note text NOT NULL DEFAULT '',
    processed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
