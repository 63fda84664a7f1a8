CREATE OR REPLACE FUNCTION public.guard_generation_v1(name text, generation integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    guarded  projections%ROWTYPE;
    relation text;
    reader   text;
BEGIN
    SELECT * INTO STRICT guarded FROM projections p
     WHERE p.name = guard_generation_v1.name
       AND p.generation = guard_generation_v1.generation;
    PERFORM guard_table_v1(c.oid::regclass)
       FROM pg_class c
      WHERE c.relnamespace = to_regnamespace(quote_ident(guarded.schema_name))
        AND c.relkind IN ('r', 'p');
    FOREACH reader IN ARRAY guarded.readers LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', guarded.schema_name, reader);
        FOREACH relation IN ARRAY guarded.tables LOOP
            EXECUTE format('GRANT SELECT ON %I.%I TO %I', guarded.schema_name, relation, reader);
        END LOOP;
    END LOOP;
END
$function$;
