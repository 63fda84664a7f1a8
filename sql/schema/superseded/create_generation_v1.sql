CREATE OR REPLACE FUNCTION public.create_generation_v1(name text, version integer, digest bytea, mode text, description text, tables text[], consumes text[], readers text[], definition text, statements text[])
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
DECLARE
    next_generation int;
    new_schema      text;
BEGIN
    SELECT coalesce(max(p.generation), 0) + 1 INTO next_generation
      FROM projections p WHERE p.name = create_generation_v1.name;
    new_schema := format('%s_v%s_%s', name, version, next_generation);
    EXECUTE format('CREATE SCHEMA %I', new_schema);
    PERFORM set_config('search_path', quote_ident(new_schema) || ', public', true);
    EXECUTE definition;
    EXECUTE format(
        'CREATE FUNCTION %I.apply(account bigint, after_position bigint, upto_position bigint) '
        'RETURNS void LANGUAGE plpgsql SET search_path = %I, public, pg_temp AS %L',
        new_schema, new_schema, E'BEGIN\n' || array_to_string(statements, E'\n') || E'\nEND');
    INSERT INTO projections (name, generation, version, digest, mode, description, tables,
                             consumes, readers, schema_name, state)
    VALUES (create_generation_v1.name, next_generation, create_generation_v1.version,
            create_generation_v1.digest, create_generation_v1.mode,
            create_generation_v1.description, create_generation_v1.tables,
            create_generation_v1.consumes, create_generation_v1.readers, new_schema, 'building');
    RETURN next_generation;
END
$function$;
