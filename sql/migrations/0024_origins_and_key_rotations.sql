-- What checkpoints call a log is the log's own, whichever machine and key sign them: stored at the
-- first seal, the same ever after. A log that was sealed under several names keeps them all; the
-- last one goes on.
CREATE TABLE log_origins (
    account_id bigint NOT NULL,
    origin     text NOT NULL CHECK (origin ~ '^[^[:space:]]+$'),
    since_size bigint NOT NULL CHECK (since_size > 0),
    PRIMARY KEY (account_id, origin)
);
COMMENT ON TABLE log_origins IS
    'What signed checkpoints call each log, from the checkpoint of which size on.';

INSERT INTO log_origins (account_id, origin, since_size)
SELECT t.account_id, split_part(t.note, E'\n', 1), min(t.size)
  FROM tree_heads t
 GROUP BY 1, 2;

-- What a log was when its key was replaced: signed by the old key and by the new one. What the old
-- key signs counts up to here and no further.
CREATE TABLE key_rotations (
    account_id  bigint NOT NULL,
    size        bigint NOT NULL CHECK (size > 0),
    root        bytea NOT NULL CHECK (octet_length(root) = 32),
    note        text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, recorded_at)
);
COMMENT ON TABLE key_rotations IS
    'Checkpoints signed by a sealing key and by the one that replaced it.';

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON log_origins
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
ALTER TABLE log_origins ENABLE ALWAYS TRIGGER refuse_change;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON key_rotations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
ALTER TABLE key_rotations ENABLE ALWAYS TRIGGER refuse_change;

CREATE FUNCTION log_origin_v1(account bigint) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.origin
      FROM log_origins o
     WHERE o.account_id = log_origin_v1.account
     ORDER BY o.since_size DESC
     LIMIT 1
$$;

-- As before, but that the first checkpoint gives the log its name, and others must have it.
CREATE FUNCTION record_tree_head_v2(
    account bigint, size bigint, root bytea, note text, sealed_at timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    said  text := split_part(record_tree_head_v2.note, E'\n', 1);
    known text := log_origin_v1(record_tree_head_v2.account);
BEGIN
    IF known <> said THEN
        RAISE EXCEPTION 'a checkpoint of % does not fit the log %', said, known
            USING ERRCODE = 'check_violation';
    END IF;
    PERFORM record_tree_head_v1(
        record_tree_head_v2.account, record_tree_head_v2.size, record_tree_head_v2.root,
        record_tree_head_v2.note, record_tree_head_v2.sealed_at);
    IF known IS NULL THEN
        INSERT INTO log_origins (account_id, origin, since_size)
        VALUES (record_tree_head_v2.account, said, record_tree_head_v2.size);
    END IF;
END
$$;

CREATE FUNCTION record_key_rotation_v1(account bigint, size bigint, root bytea, note text)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO key_rotations (account_id, size, root, note)
    VALUES (record_key_rotation_v1.account, record_key_rotation_v1.size,
            record_key_rotation_v1.root, record_key_rotation_v1.note)
$$;

SELECT guard_table_v1('log_origins');
SELECT guard_table_v1('key_rotations');

GRANT SELECT ON log_origins, key_rotations
    TO colloquy_service, colloquy_worker, colloquy_auditor;
GRANT EXECUTE ON FUNCTION log_origin_v1, record_tree_head_v2, record_key_rotation_v1
    TO colloquy_worker;
