-- append_events_v1 as before, but that a stream's revision is looked for from the expected one on: an
-- index page of a long stream has hundreds, of which the last is wanted.
CREATE OR REPLACE FUNCTION append_events_v1(
    account     bigint,
    streams     text[],    -- per item
    expected    bigint[],  -- per item: the stream's revision, 0 for a new one, null for any
    items       int[],     -- per event: its item, from 1
    offsets     bigint[],  -- per event: its place among the batch's events of its stream, from 1
    event_ids   uuid[],
    data        jsonb[],
    metadata    jsonb[],
    subjects    bigint[],
    salts       bytea[],
    contents    text[],
    types       text[],    -- the distinct types in the batch
    OUT head        bigint,    -- position of the last event before this batch
    OUT recorded_at timestamptz,
    OUT currents    bigint[],  -- per item: the stream's revision before this batch
    OUT accepted    boolean[]  -- per item
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    stored bigint;
BEGIN
    SELECT h.position, greatest(h.recorded_at, clock_timestamp())
      INTO append_events_v1.head, append_events_v1.recorded_at
      FROM log_heads h
     WHERE h.account_id = append_events_v1.account
       FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'account % has no log', append_events_v1.account
            USING ERRCODE = 'foreign_key_violation';
    END IF;

    -- From the expected revision on there is one row to read; all of a stream only where it has
    -- fewer than were expected, or any number is.
    SELECT array_agg(i.current), array_agg(i.expected IS NULL OR i.expected = i.current)
      INTO append_events_v1.currents, append_events_v1.accepted
      FROM (SELECT u.expected,
                   coalesce((SELECT e.revision FROM events e
                              WHERE e.account_id = append_events_v1.account
                                AND e.stream = u.stream AND e.revision >= u.expected
                              ORDER BY e.revision DESC LIMIT 1),
                            (SELECT e.revision FROM events e
                              WHERE e.account_id = append_events_v1.account
                                AND e.stream = u.stream
                              ORDER BY e.revision DESC LIMIT 1), 0) AS current
              FROM unnest(append_events_v1.streams, append_events_v1.expected)
                   WITH ORDINALITY AS u (stream, expected, item)
             ORDER BY u.item
            OFFSET 0) i;

    WITH fresh AS MATERIALIZED (
        SELECT n.*, append_events_v1.head + row_number() OVER (ORDER BY n.ordinal) AS position
          FROM unnest(append_events_v1.items, append_events_v1.offsets,
                      append_events_v1.event_ids, append_events_v1.data,
                      append_events_v1.metadata, append_events_v1.subjects,
                      append_events_v1.salts, append_events_v1.contents)
               WITH ORDINALITY AS n (item, place, event_id, data, metadata, subject, salt,
                                     content, ordinal)
         WHERE append_events_v1.accepted[n.item]
    ), events_stored AS (
        INSERT INTO events (account_id, position, stream, revision, event_id, type,
                            conversation_id, data, metadata, content_hash, recorded_at)
        SELECT append_events_v1.account, f.position, append_events_v1.streams[f.item],
               append_events_v1.currents[f.item] + f.place, f.event_id,
               f.data->>'type', (f.data->>'conversation_id')::bigint, f.data, f.metadata,
               sha256(f.salt || convert_to(f.content, 'UTF8')), append_events_v1.recorded_at
          FROM fresh f
    ), content_stored AS (
        INSERT INTO event_content (account_id, position, subject_id, salt, content)
        SELECT append_events_v1.account, f.position, f.subject, f.salt, f.content
          FROM fresh f
         WHERE f.content IS NOT NULL
    )
    SELECT count(*) INTO stored FROM fresh;

    IF stored > 0 THEN
        UPDATE log_heads h
           SET position = append_events_v1.head + stored,
               recorded_at = append_events_v1.recorded_at
         WHERE h.account_id = append_events_v1.account;
        PERFORM apply_inline_projections(append_events_v1.account, append_events_v1.head,
                                         append_events_v1.head + stored, append_events_v1.types);
    END IF;
END
$$;
