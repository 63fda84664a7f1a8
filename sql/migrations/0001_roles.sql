-- Roles belong to the whole server, so another database of the same server may
-- have made them already, or be making them at this very moment.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['colloquy_service', 'colloquy_auditor', 'colloquy_analyst'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        -- The owner's connections take on a role with SET ROLE. Since PostgreSQL 16 having
        -- made a role does not allow that yet, and asking for membership does not tell.
        BEGIN
            EXECUTE format('SET LOCAL ROLE %I', wanted);
            RESET ROLE;
        EXCEPTION WHEN insufficient_privilege THEN
            EXECUTE format('GRANT %I TO %I', wanted, current_user);
        END;
    END LOOP;
END
$$;

-- Whoever may connect may not therefore call our functions or make tables.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE SCHEMA read;
COMMENT ON SCHEMA read IS 'Stable views over the live generation of each projection.';
GRANT USAGE ON SCHEMA read TO colloquy_service, colloquy_auditor, colloquy_analyst;
