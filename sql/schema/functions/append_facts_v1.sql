CREATE OR REPLACE FUNCTION public.append_facts_v1(account bigint, streams text[], facts jsonb[], metadata jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    PERFORM append_events_v1(
        append_facts_v1.account,
        (SELECT array_agg(s.stream ORDER BY s.stream)
           FROM (SELECT DISTINCT u.stream FROM unnest(append_facts_v1.streams) u (stream)) s),
        (SELECT array_agg(NULL::bigint)
           FROM (SELECT DISTINCT u.stream FROM unnest(append_facts_v1.streams) u (stream)) s),
        array_agg(n.item ORDER BY n.item, n.place),
        array_agg(n.place ORDER BY n.item, n.place),
        array_agg(gen_random_uuid()),
        array_agg(n.fact ORDER BY n.item, n.place),
        array_agg(append_facts_v1.metadata),
        array_agg(NULL::bigint),
        array_agg(NULL::bytea),
        array_agg(NULL::text),
        array_agg(DISTINCT n.fact->>'type'))
      FROM (SELECT u.fact,
                   (dense_rank() OVER (ORDER BY u.stream))::int AS item,
                   (row_number() OVER (PARTITION BY u.stream ORDER BY u.ordinal))::int AS place
              FROM unnest(append_facts_v1.streams, append_facts_v1.facts)
                   WITH ORDINALITY AS u (stream, fact, ordinal)) n;
END
$function$;
