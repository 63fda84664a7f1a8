SELECT 1 FROM read.pending_turns LIMIT 1
