CREATE TABLE active_storage_blobs (
    id bigserial PRIMARY KEY,
    key text NOT NULL UNIQUE,
    filename text NOT NULL,
    byte_size bigint NOT NULL,
    checksum text NOT NULL,
    service_name text NOT NULL DEFAULT 'local',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE credentials (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, ciphertext text NOT NULL);
