CREATE OR REPLACE FUNCTION public.append_events_v1(account bigint, streams text[], expected bigint[], items integer[], offsets bigint[], event_ids uuid[], data jsonb[], metadata jsonb[], subjects bigint[], salts bytea[], contents text[], types text[], OUT head bigint, OUT recorded_at timestamp with time zone, OUT currents bigint[], OUT accepted boolean[])
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_variable
BEGIN
    SELECT a.head, a.recorded_at, a.currents,
           ARRAY(SELECT u.refusal IS NULL
                   FROM unnest(a.refusals) WITH ORDINALITY AS u (refusal, item) ORDER BY u.item)
      INTO append_events_v1.head, append_events_v1.recorded_at, append_events_v1.currents,
           append_events_v1.accepted
      FROM append_events_v2(
               append_events_v1.account, append_events_v1.streams, append_events_v1.expected, '{}',
               append_events_v1.items, append_events_v1.offsets, append_events_v1.event_ids,
               append_events_v1.data,
               hash_request_keys_v1(append_events_v1.account, append_events_v1.metadata),
               append_events_v1.subjects,
               append_events_v1.salts, append_events_v1.contents, append_events_v1.types) a;
END
$function$;
