-- A client may put anything into its Idempotency-Key, and the log is for ever. So the log has an
-- HMAC of it (RFC 2104, with SHA-256) under a secret of the user whose request it is. Erasing the
-- user deletes the secret: then what stands in the log tells nothing of the key, and no key leads
-- to it any more. Keys that were recorded before this stay as they are, and are still found.

CREATE TABLE request_secrets (
    account_id bigint NOT NULL,
    user_id    bigint NOT NULL,
    inner_key  bytea NOT NULL CHECK (length(inner_key) = 64),
    outer_key  bytea NOT NULL CHECK (length(outer_key) = 64),
    PRIMARY KEY (account_id, user_id)
);
COMMENT ON TABLE request_secrets IS
    'What the idempotency keys of a user are hashed with; erasing the user deletes it. No role reads it.';
COMMENT ON COLUMN request_secrets.inner_key IS 'The secret, XOR ipad of RFC 2104.';
COMMENT ON COLUMN request_secrets.outer_key IS 'The secret, XOR opad of RFC 2104.';
-- ANALYZE would keep values in the catalog, where no DELETE reaches them.
ALTER TABLE request_secrets
    ALTER COLUMN inner_key SET STATISTICS 0, ALTER COLUMN outer_key SET STATISTICS 0;
ALTER TABLE request_secrets ENABLE ROW LEVEL SECURITY;

-- A secret of 32 bytes, filled up with zeros to SHA-256's block of 64, XOR one byte throughout.
CREATE FUNCTION pad_secret_v1(secret bytea, pad int) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT SET search_path = public, pg_temp AS $$
    SELECT string_agg(
               set_byte('\x00', 0, pad_secret_v1.pad
                   # CASE WHEN n < 32 THEN get_byte(pad_secret_v1.secret, n) ELSE 0 END),
               '' ORDER BY n)
      FROM generate_series(0, 63) n
$$;

-- What the log has in place of a key. No client can send this as a key, which has no space in it.
CREATE FUNCTION hash_request_key_v1(inner_key bytea, outer_key bytea, key text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET search_path = public, pg_temp AS $$
    SELECT 'hmac-sha256 ' || encode(
               sha256(hash_request_key_v1.outer_key || sha256(
                   hash_request_key_v1.inner_key
                       || convert_to(hash_request_key_v1.key, 'UTF8'))), 'hex')
$$;

-- Metadata of events to append, with hashes in place of keys. One without an actor loses its key:
-- nobody could find it.
--
-- Secrets are looked for and made under the lock of the log's head, which the append that follows
-- needs anyway: so a user has one secret however many processes there are, and none is used that
-- an erasure has just deleted. Without a key in it, a batch is handed back as it is.
--
-- The table may have been empty when a plan was made that is kept: only its key is looked into.
CREATE FUNCTION hash_request_keys_v1(account bigint, metadata jsonb[]) RETURNS jsonb[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM unnest(hash_request_keys_v1.metadata) m
                    WHERE m ? 'idempotency_key') THEN
        RETURN hash_request_keys_v1.metadata;
    END IF;
    PERFORM FROM log_heads h WHERE h.account_id = hash_request_keys_v1.account FOR UPDATE;
    INSERT INTO request_secrets (account_id, user_id, inner_key, outer_key)
    SELECT hash_request_keys_v1.account, made.user_id,
           pad_secret_v1(made.secret, 54), pad_secret_v1(made.secret, 92)
      FROM (SELECT asked.user_id,
                   sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
                          || uuid_send(gen_random_uuid())) AS secret
              FROM (SELECT DISTINCT (m->'actor'->>'id')::bigint AS user_id
                      FROM unnest(hash_request_keys_v1.metadata) m
                     WHERE m ? 'idempotency_key') asked
             WHERE asked.user_id IS NOT NULL
               AND (SELECT s.user_id FROM request_secrets s
                     WHERE s.account_id = hash_request_keys_v1.account
                       AND s.user_id = asked.user_id) IS NULL
            OFFSET 0) made;
    RETURN (
        SELECT array_agg(
                   CASE WHEN n.m ? 'idempotency_key'
                        THEN n.m - 'idempotency_key' || coalesce((
                            SELECT jsonb_build_object('idempotency_key', hash_request_key_v1(
                                       s.inner_key, s.outer_key, n.m->>'idempotency_key'))
                              FROM request_secrets s
                             WHERE s.account_id = hash_request_keys_v1.account
                               AND s.user_id = (n.m->'actor'->>'id')::bigint), '{}')
                        ELSE n.m END
                   ORDER BY n.place)
          FROM unnest(hash_request_keys_v1.metadata) WITH ORDINALITY AS n (m, place));
END
$$;

-- As find_request_v1, but that a key is found by its hash, or as it stands where it was recorded
-- before keys were hashed.
CREATE FUNCTION find_request_v2(account bigint, user_id bigint, idempotency_key text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    SELECT coalesce(
        (SELECT e.position FROM events e
          WHERE e.account_id = find_request_v2.account AND e.account_id = current_account_v1()
            AND (e.metadata->'actor'->>'id')::bigint = find_request_v2.user_id
            AND e.metadata->>'idempotency_key' = (
                SELECT hash_request_key_v1(
                           s.inner_key, s.outer_key, find_request_v2.idempotency_key)
                  FROM request_secrets s
                 WHERE s.account_id = find_request_v2.account
                   AND s.user_id = find_request_v2.user_id)
            AND e.metadata ? 'idempotency_key'),
        (SELECT e.position FROM events e
          WHERE e.account_id = find_request_v2.account AND e.account_id = current_account_v1()
            AND (e.metadata->'actor'->>'id')::bigint = find_request_v2.user_id
            AND e.metadata->>'idempotency_key' = find_request_v2.idempotency_key
            AND e.metadata ? 'idempotency_key'))
$$;

-- For processes of the release before, which so find what others have recorded.
CREATE OR REPLACE FUNCTION find_request_v1(account bigint, user_id bigint, idempotency_key text)
RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT find_request_v2(find_request_v1.account, find_request_v1.user_id,
                           find_request_v1.idempotency_key)
$$;

GRANT EXECUTE ON FUNCTION hash_request_keys_v1, find_request_v2 TO colloquy_service;
