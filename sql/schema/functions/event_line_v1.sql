CREATE OR REPLACE FUNCTION public.event_line_v1(e events)
 RETURNS text
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN concat('{"account_id":', (e).account_id, ',"position":', (e)."position", ',"stream":', to_json((e).stream), ',"revision":', (e).revision, ',"event_id":"', (e).event_id, '","type":', to_json((e).type), ',"conversation_id":', COALESCE(((e).conversation_id)::text, 'null'::text), ',"recorded_at":"', to_char(((e).recorded_at AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'::text), '","content_hash":', COALESCE((('"'::text || encode((e).content_hash, 'hex'::text)) || '"'::text), 'null'::text), ',"data":', (e).data, ',"metadata":', (e).metadata, '}');
