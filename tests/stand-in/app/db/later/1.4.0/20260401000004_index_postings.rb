SET LOCAL max_parallel_maintenance_workers = 0;
SELECT set_config('stand_in.pause', (@SECONDS@ * 0.01)::text, true);
CREATE INDEX index_postings_on_digest ON postings (posting_digest(id));
