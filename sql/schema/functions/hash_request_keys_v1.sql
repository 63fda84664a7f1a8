CREATE OR REPLACE FUNCTION public.hash_request_keys_v1(account bigint, metadata jsonb[])
 RETURNS jsonb[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
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
$function$;
