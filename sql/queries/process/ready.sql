-- Whether the views are there and the database takes writes.
SELECT try_writing_v1(), (SELECT count(*) FROM read.pending_turns LIMIT 1)
