-- Sealing: a Merkle tree over each account's log, and the signed checkpoints of it.

-- The leaf of an event: one line of JSON, without its line feed. Leaves are hashed, so these very
-- bytes are for ever: whoever reads an export hashes its lines and makes none of his own.
CREATE FUNCTION event_line_v1(e events) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN '{"account_id":' || (e).account_id
    || ',"position":' || (e).position
    || ',"stream":' || to_json((e).stream)
    || ',"revision":' || (e).revision
    || ',"event_id":"' || (e).event_id
    || '","type":' || to_json((e).type)
    || ',"conversation_id":' || coalesce((e).conversation_id::text, 'null')
    || ',"recorded_at":"'
    || to_char((e).recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || '","content_hash":' || coalesce('"' || encode((e).content_hash, 'hex') || '"', 'null')
    || ',"data":' || (e).data
    || ',"metadata":' || (e).metadata
    || '}';
COMMENT ON FUNCTION event_line_v1 IS
    'The leaf of an event in its account''s Merkle tree, as one line of JSON.';

CREATE TABLE tree_tiles (
    account_id bigint NOT NULL,
    level      int NOT NULL CHECK (level >= 0),
    index      bigint NOT NULL CHECK (index >= 0),
    hashes     bytea NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192
                                     AND octet_length(hashes) % 32 = 0),
    PRIMARY KEY (account_id, level, index)
);
ALTER TABLE tree_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL; -- hashes cannot be compressed
COMMENT ON TABLE tree_tiles IS
    'Merkle trees over the logs (RFC 9162), 256 hashes a tile: of leaves at level 0, of full tiles of the level below at the others.';

CREATE TABLE tree_heads (
    account_id bigint NOT NULL,
    size       bigint NOT NULL CHECK (size > 0),
    root       bytea NOT NULL CHECK (octet_length(root) = 32),
    note       text NOT NULL,
    sealed_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id, size)
);
COMMENT ON TABLE tree_heads IS 'Signed checkpoints: what each tree was at a size.';

CREATE FUNCTION refuse_shrinking_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.account_id, NEW.level, NEW.index) IS DISTINCT FROM
       (OLD.account_id, OLD.level, OLD.index)
       OR octet_length(NEW.hashes) <= octet_length(OLD.hashes)
       OR substr(NEW.hashes, 1, octet_length(OLD.hashes)) <> OLD.hashes THEN
        RAISE EXCEPTION 'UPDATE on % is refused: a tile is append-only', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;

-- ALWAYS: also in sessions that switch ordinary triggers off.
CREATE TRIGGER refuse_shrinking BEFORE UPDATE ON tree_tiles
    FOR EACH ROW EXECUTE FUNCTION refuse_shrinking_v1();
ALTER TABLE tree_tiles ENABLE ALWAYS TRIGGER refuse_shrinking;

CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON tree_tiles
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
ALTER TABLE tree_tiles ENABLE ALWAYS TRIGGER refuse_change;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON tree_heads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
ALTER TABLE tree_heads ENABLE ALWAYS TRIGGER refuse_change;

-- Leaf hashes of positions (after, upto], joined in their order. The lines stay here.
CREATE FUNCTION leaf_hashes_v1(account bigint, after_position bigint, upto_position bigint)
RETURNS bytea
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(
        string_agg(sha256('\x00'::bytea || convert_to(event_line_v1(e), 'UTF8')), ''::bytea
                   ORDER BY e.position), '')
      FROM events e
     WHERE e.account_id = leaf_hashes_v1.account
       AND e.position > leaf_hashes_v1.after_position
       AND e.position <= leaf_hashes_v1.upto_position
$$;

CREATE FUNCTION store_tiles_v1(account bigint, levels int[], indexes bigint[], hashes bytea[])
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO tree_tiles AS t (account_id, level, index, hashes)
    SELECT store_tiles_v1.account, n.level, n.index, n.hashes
      FROM unnest(store_tiles_v1.levels, store_tiles_v1.indexes, store_tiles_v1.hashes)
           AS n (level, index, hashes)
        ON CONFLICT (account_id, level, index) DO UPDATE SET hashes = excluded.hashes
$$;

-- A checkpoint is of committed events only, and each is of more of them than the one before.
CREATE FUNCTION record_tree_head_v1(
    account bigint, size bigint, root bytea, note text, sealed_at timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF record_tree_head_v1.size > coalesce(
           (SELECT h.position FROM log_heads h
             WHERE h.account_id = record_tree_head_v1.account), 0)
       OR EXISTS (SELECT FROM tree_heads t
                   WHERE t.account_id = record_tree_head_v1.account
                     AND t.size >= record_tree_head_v1.size) THEN
        RAISE EXCEPTION 'a checkpoint of size % does not fit the log of account %',
            record_tree_head_v1.size, record_tree_head_v1.account
            USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO tree_heads (account_id, size, root, note, sealed_at)
    VALUES (record_tree_head_v1.account, record_tree_head_v1.size, record_tree_head_v1.root,
            record_tree_head_v1.note, record_tree_head_v1.sealed_at);
END
$$;

SELECT guard_table_v1('tree_tiles');
SELECT guard_table_v1('tree_heads');

GRANT SELECT ON tree_tiles, tree_heads TO colloquy_service, colloquy_worker, colloquy_auditor;
GRANT EXECUTE ON FUNCTION event_line_v1 TO colloquy_service, colloquy_auditor;
GRANT EXECUTE ON FUNCTION leaf_hashes_v1, store_tiles_v1, record_tree_head_v1 TO colloquy_worker;
