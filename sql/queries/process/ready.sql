-- Whether the views exist and the database accepts writes.
SELECT try_writing_v1(), (SELECT count(*) FROM read.pending_turns LIMIT 1)
