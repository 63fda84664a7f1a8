CREATE FUNCTION refuse_change_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

-- ALWAYS: also in sessions that switch ordinary triggers off.
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
ALTER TABLE events ENABLE ALWAYS TRIGGER refuse_change;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON event_content
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
ALTER TABLE event_content ENABLE ALWAYS TRIGGER refuse_change;
