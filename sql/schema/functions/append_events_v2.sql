CREATE OR REPLACE FUNCTION public.append_events_v2(account bigint, streams text[], expected bigint[], guards jsonb[], items integer[], offsets bigint[], event_ids uuid[], data jsonb[], metadata jsonb[], subjects bigint[], salts bytea[], contents text[], types text[], OUT head bigint, OUT recorded_at timestamp with time zone, OUT currents bigint[], OUT refusals text[])
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_variable
DECLARE
    stored bigint;
BEGIN
    SELECT h.position, greatest(h.recorded_at, clock_timestamp())
      INTO append_events_v2.head, append_events_v2.recorded_at
      FROM log_heads h
     WHERE h.account_id = append_events_v2.account
       FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'account % has no log', append_events_v2.account
            USING ERRCODE = 'foreign_key_violation';
    END IF;

    -- From the expected revision on there is one row to read; all of a stream only where it has
    -- fewer than were expected, or any number is.
    SELECT array_agg(i.current),
           array_agg(CASE WHEN i.expected <> i.current THEN 'revision' END)
      INTO append_events_v2.currents, append_events_v2.refusals
      FROM (SELECT u.expected,
                   coalesce((SELECT e.revision FROM events e
                              WHERE e.account_id = append_events_v2.account
                                AND e.stream = u.stream AND e.revision >= u.expected
                              ORDER BY e.revision DESC LIMIT 1),
                            (SELECT e.revision FROM events e
                              WHERE e.account_id = append_events_v2.account
                                AND e.stream = u.stream
                              ORDER BY e.revision DESC LIMIT 1), 0) AS current
              FROM unnest(append_events_v2.streams, append_events_v2.expected)
                   WITH ORDINALITY AS u (stream, expected, item)
             ORDER BY u.item
            OFFSET 0) i;

    IF append_events_v2.guards <> '{}' THEN
        append_events_v2.refusals := check_guards_v1(
            append_events_v2.account, append_events_v2.guards, append_events_v2.refusals,
            (append_events_v2.recorded_at AT TIME ZONE 'UTC')::date);
    END IF;

    WITH fresh AS MATERIALIZED (
        SELECT n.*, append_events_v2.head + row_number() OVER (ORDER BY n.ordinal) AS position
          FROM unnest(append_events_v2.items, append_events_v2.offsets,
                      append_events_v2.event_ids, append_events_v2.data,
                      append_events_v2.metadata, append_events_v2.subjects,
                      append_events_v2.salts, append_events_v2.contents)
               WITH ORDINALITY AS n (item, place, event_id, data, metadata, subject, salt,
                                     content, ordinal)
         WHERE append_events_v2.refusals[n.item] IS NULL
    ), events_stored AS (
        INSERT INTO events (account_id, position, stream, revision, event_id, type,
                            conversation_id, data, metadata, content_hash, recorded_at)
        SELECT append_events_v2.account, f.position, append_events_v2.streams[f.item],
               append_events_v2.currents[f.item] + f.place, f.event_id,
               f.data->>'type', (f.data->>'conversation_id')::bigint, f.data, f.metadata,
               sha256(f.salt || convert_to(f.content, 'UTF8')), append_events_v2.recorded_at
          FROM fresh f
    ), content_stored AS (
        INSERT INTO event_content (account_id, position, subject_id, salt, content)
        SELECT append_events_v2.account, f.position, f.subject, f.salt, f.content
          FROM fresh f
         WHERE f.content IS NOT NULL
    )
    SELECT count(*) INTO stored FROM fresh;

    IF stored > 0 THEN
        UPDATE log_heads h
           SET position = append_events_v2.head + stored,
               recorded_at = append_events_v2.recorded_at
         WHERE h.account_id = append_events_v2.account;
        PERFORM apply_inline_projections(append_events_v2.account, append_events_v2.head,
                                         append_events_v2.head + stored, append_events_v2.types);
    END IF;
END
$function$;
