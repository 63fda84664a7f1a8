-- Appends a batch of items (each: some events for one stream at an expected
-- revision) in one call. An item whose expectation is wrong is left out and
-- reported; it does not fail the others.
--
-- The head row's lock comes first and is held to the commit. It makes positions
-- dense in commit order, so no reader can ever skip an event that commits late.
--
-- A batch holds one account's items, and a stream more than once only where the
-- later items expect nothing (expected is null).
CREATE FUNCTION append_events_v1(
    account     bigint,
    streams     text[],    -- per item
    expected    bigint[],  -- per item: the stream's revision, 0 for a new one, null for any
    items       int[],     -- per event: its item, from 1
    event_ids   uuid[],
    data        jsonb[],
    metadata    jsonb[],
    subjects    bigint[],
    salts       bytea[],
    contents    text[],
    types       text[]     -- the distinct types in the batch
) RETURNS TABLE (
    item        int,
    accepted    boolean,
    revision    bigint,    -- the stream's revision before this item
    "position"  bigint,    -- of the item's first event
    recorded_at timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    head   bigint;
    upto   bigint;
    moment timestamptz;
BEGIN
    SELECT h.position, greatest(h.recorded_at, clock_timestamp()) INTO head, moment
      FROM log_heads h
     WHERE h.account_id = append_events_v1.account
       FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'account % has no log', append_events_v1.account
            USING ERRCODE = 'foreign_key_violation';
    END IF;

    RETURN QUERY
    WITH item AS MATERIALIZED (
        SELECT i.item::int, i.stream, i.expected, s.revision AS current,
               i.expected IS NULL OR i.expected = s.revision AS accepted
          FROM unnest(append_events_v1.streams, append_events_v1.expected)
               WITH ORDINALITY AS i (stream, expected, item)
         CROSS JOIN LATERAL (
               SELECT coalesce((SELECT e.revision FROM events e
                                 WHERE e.account_id = append_events_v1.account
                                   AND e.stream = i.stream
                                 ORDER BY e.revision DESC LIMIT 1), 0) AS revision) s
    ), fresh AS MATERIALIZED (
        SELECT n.*, i.stream,
               head + row_number() OVER (ORDER BY n.ordinal) AS position,
               i.current + row_number() OVER (PARTITION BY i.stream ORDER BY n.ordinal) AS revision
          FROM unnest(append_events_v1.items, append_events_v1.event_ids,
                      append_events_v1.data, append_events_v1.metadata,
                      append_events_v1.subjects, append_events_v1.salts,
                      append_events_v1.contents)
               WITH ORDINALITY AS n (item, event_id, data, metadata, subject, salt, content, ordinal)
          JOIN item i ON i.item = n.item AND i.accepted
    ), stored AS (
        INSERT INTO events (account_id, position, stream, revision, event_id, type,
                            conversation_id, data, metadata, content_hash, recorded_at)
        SELECT append_events_v1.account, f.position, f.stream, f.revision, f.event_id,
               f.data->>'type', (f.data->>'conversation_id')::bigint, f.data, f.metadata,
               sha256(f.salt || convert_to(f.content, 'UTF8')), moment
          FROM fresh f
    ), content AS (
        INSERT INTO event_content (account_id, position, subject_id, salt, content)
        SELECT append_events_v1.account, f.position, f.subject, f.salt, f.content
          FROM fresh f
         WHERE f.content IS NOT NULL
    ), moved AS (
        UPDATE log_heads h
           SET position = head + (SELECT count(*) FROM fresh), recorded_at = moment
         WHERE h.account_id = append_events_v1.account
    )
    SELECT i.item, i.accepted,
           coalesce(min(f.revision) - 1, i.current), min(f.position), moment
      FROM item i
      LEFT JOIN fresh f ON f.item = i.item
     GROUP BY i.item, i.accepted, i.current;

    SELECT h.position INTO upto FROM log_heads h WHERE h.account_id = append_events_v1.account;
    IF upto > head THEN
        PERFORM apply_inline_projections(append_events_v1.account, head, upto,
                                         append_events_v1.types);
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION append_events_v1 TO colloquy_service;

-- The next id of a kind, for one account. Not flushed on its own: the append
-- that uses the id flushes the write-ahead log up to its own commit, and with
-- it this one. An id given out and not used is lost, which is harmless.
CREATE FUNCTION next_id_v1(account bigint, kind text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    given bigint;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO id_counters AS c (account_id, kind, value)
    VALUES (next_id_v1.account, next_id_v1.kind, 1)
        ON CONFLICT ON CONSTRAINT id_counters_pkey DO UPDATE SET value = c.value + 1
    RETURNING c.value INTO given;
    RETURN given;
END
$$;
GRANT EXECUTE ON FUNCTION next_id_v1 TO colloquy_service;
