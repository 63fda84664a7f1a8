-- For tables that were empty when they were analyzed, the planner takes all indexes for equally
-- good whose first column a statement names, and every statement names the account. A condition on
-- the next column, which only a statement that compares that column meets, leaves it the right one.
--
-- The lock first: an append that has begun to read would else wait for the index, and the migration
-- then for the append. Appends wait until both indexes are built.
LOCK TABLE events IN ACCESS EXCLUSIVE MODE;
CREATE UNIQUE INDEX events_stream ON events (account_id, stream, revision)
 WHERE stream IS NOT NULL;
ALTER TABLE events DROP CONSTRAINT events_account_id_stream_revision_key;
CREATE UNIQUE INDEX events_event_id ON events (account_id, event_id)
 WHERE event_id IS NOT NULL;
ALTER TABLE events DROP CONSTRAINT events_account_id_event_id_key;

DROP INDEX tokens_user;
CREATE INDEX tokens_user ON tokens (account_id, user_id) WHERE user_id IS NOT NULL;
DROP INDEX identities_user;
CREATE INDEX identities_user ON identities (account_id, user_id) WHERE user_id IS NOT NULL;
