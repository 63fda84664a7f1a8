-- SHA-256 (salt || text) does not say where the salt ends: a text's beginning could be moved into it.
-- Rows that are there already are looked at apart (validate_constraint_v1), since one that is wrong
-- is a finding of an audit and must not keep the service from starting.
ALTER TABLE event_content
    ADD CONSTRAINT event_content_salt CHECK (octet_length(salt) = 16) NOT VALID;
COMMENT ON COLUMN event_content.salt IS '16 random bytes.';

-- Whether all rows meet the constraint by now.
CREATE FUNCTION validate_constraint_v1(constrained regclass, name name) RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', constrained, name);
    RETURN true;
EXCEPTION WHEN check_violation THEN
    RETURN false;
END
$$;
