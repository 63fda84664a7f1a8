-- Merkle trees over the logs (RFC 9162), 256 hashes a tile: of leaves at level 0, of full tiles of the level below at the others.
CREATE TABLE tree_tiles (
    account_id bigint NOT NULL,
    level integer NOT NULL,
    index bigint NOT NULL,
    hashes bytea NOT NULL,
    CONSTRAINT tree_tiles_pkey PRIMARY KEY (account_id, level, index),
    CONSTRAINT tree_tiles_hashes_check CHECK ((((octet_length(hashes) >= 32) AND (octet_length(hashes) <= 8192)) AND ((octet_length(hashes) % 32) = 0))),
    CONSTRAINT tree_tiles_index_check CHECK ((index >= 0)),
    CONSTRAINT tree_tiles_level_check CHECK ((level >= 0))
);
ALTER TABLE tree_tiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON tree_tiles AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON tree_tiles AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON tree_tiles AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON public.tree_tiles FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
CREATE TRIGGER refuse_shrinking BEFORE UPDATE ON public.tree_tiles FOR EACH ROW EXECUTE FUNCTION refuse_shrinking_v1();
