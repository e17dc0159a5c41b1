CREATE FUNCTION posting_digest(id bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    -- Slow only where the migration says so: whoever restores a dump builds the index again.
    PERFORM pg_sleep(coalesce(nullif(current_setting('stand_in.pause', true), ''), '0')::float8);
    RETURN id % 7;
END $$;
SELECT pg_sleep(@SECONDS@ * 0.1);
