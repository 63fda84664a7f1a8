-- Everybody may make temporary tables, also in a session that only reads, and sort what spills onto
-- the disk: an analyst could fill it. Where the owner may, the first is taken from all but the
-- owner, in this database; where it is a superuser, logins get a limit on the second.
ALTER FUNCTION close_doors_v1() RENAME TO close_functions_v1;

CREATE FUNCTION close_doors_v1() RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM close_functions_v1();
    IF (SELECT pg_has_role(d.datdba, 'USAGE') FROM pg_database d
         WHERE d.datname = current_database()) THEN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
END
$$;

CREATE FUNCTION limit_spilling_v1(login name) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('is_superuser')::boolean THEN
        EXECUTE format('ALTER ROLE %I SET temp_file_limit = ''2GB''', login);
    END IF;
END
$$;

-- For the logins that there are already.
SELECT close_doors_v1() FROM analysts LIMIT 1;
SELECT limit_spilling_v1(a.role_name) FROM analysts a JOIN pg_roles r ON r.rolname = a.role_name;
