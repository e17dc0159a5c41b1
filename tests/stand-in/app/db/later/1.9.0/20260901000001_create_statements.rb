CREATE TABLE statements (id bigint PRIMARY KEY, settled boolean NOT NULL);
