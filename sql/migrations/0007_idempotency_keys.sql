-- A client's Idempotency-Key stands in the metadata of the event that its request led to.
-- Unique: of two requests with the same key only one can ever be recorded, whichever processes
-- they reach. Found by it: what a repeated request is answered with.
CREATE UNIQUE INDEX events_idempotency_key
    ON events (account_id, ((metadata->'actor'->>'id')::bigint), (metadata->>'idempotency_key'))
 WHERE metadata ? 'idempotency_key';
