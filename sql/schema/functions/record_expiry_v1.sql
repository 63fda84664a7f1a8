CREATE OR REPLACE FUNCTION public.record_expiry_v1(account bigint, doomed bigint[], rules jsonb, metadata jsonb)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    found_streams text[];
    found_facts   jsonb[];
BEGIN
    SELECT array_agg(d.stream ORDER BY d.conversation_id),
           array_agg(jsonb_build_object(
                         'type', 'text_expired.v1', 'conversation_id', d.conversation_id,
                         'user_id', d.subject_id, 'texts', d.texts)
                     || coalesce(record_expiry_v1.rules->(d.conversation_id::text),
                                 '{"rule": "erasure", "days": null}')
                     ORDER BY d.conversation_id)
      INTO found_streams, found_facts
      FROM (SELECT g.conversation_id, g.subject_id, g.texts,
                   (SELECT s.stream FROM events s
                     WHERE s.account_id = record_expiry_v1.account
                       AND s.conversation_id = g.conversation_id
                       AND s.stream LIKE 'dialogue-%'
                     ORDER BY s.position LIMIT 1) AS stream
              FROM (SELECT e.conversation_id, c.subject_id, count(*) AS texts
                      FROM unnest(record_expiry_v1.doomed) AS u (position)
                      JOIN events e ON e.account_id = record_expiry_v1.account
                       AND e.position = u.position
                      JOIN event_content c ON c.account_id = record_expiry_v1.account
                       AND c.position = u.position
                     WHERE e.conversation_id IS NOT NULL
                     GROUP BY e.conversation_id, c.subject_id) g) d
     WHERE d.stream IS NOT NULL;
    IF found_streams IS NOT NULL THEN
        PERFORM append_facts_v1(record_expiry_v1.account, found_streams, found_facts,
                                record_expiry_v1.metadata);
    END IF;
    RETURN coalesce(cardinality(found_streams), 0);
END
$function$;
