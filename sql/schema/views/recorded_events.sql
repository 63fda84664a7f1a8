CREATE VIEW recorded_events WITH (security_invoker=true) AS
 SELECT account_id,
    "position",
    stream,
    revision,
    event_id,
    type,
    conversation_id,
    data,
    metadata,
    recorded_at,
    content_hash,
    ( SELECT c.content
           FROM event_content c
          WHERE c.account_id = e.account_id AND c."position" = e."position") AS content
   FROM events e;
