CREATE OR REPLACE FUNCTION public.create_generation_v3(name text, version integer, digest bytea, mode text, description text, tables text[], consumes text[], readers text[], definition text, statements text[], stable_schema text, interface integer, confined boolean)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    next_generation int;
    new_schema      text;
BEGIN
    SELECT coalesce(max(p.generation), 0) + 1 INTO next_generation
      FROM projections p WHERE p.name = create_generation_v3.name;
    new_schema := format('%s_v%s_%s', name, version, next_generation);
    EXECUTE format('CREATE SCHEMA %I', new_schema);
    IF confined THEN
        PERFORM define_confined_v1(new_schema, definition, statements);
    ELSE
        PERFORM set_config('search_path', quote_ident(new_schema) || ', public', true);
        EXECUTE definition;
        EXECUTE format(
            'CREATE FUNCTION %I.apply(account bigint, after_position bigint, '
            'upto_position bigint, types text[]) '
            'RETURNS void LANGUAGE plpgsql SET search_path = %I, public, pg_temp AS %L',
            new_schema, new_schema,
            E'BEGIN\n' || (SELECT string_agg(public.guard_statement_v1(s.text), E'\n' ORDER BY s.place)
                             FROM unnest(statements) WITH ORDINALITY AS s (text, place))
            || E'\nEND');
    END IF;
    PERFORM public.keep_statistics_v1(new_schema, false);
    INSERT INTO public.projections (name, generation, version, digest, mode, description, tables,
                                    consumes, readers, schema_name, state, stable_schema,
                                    interface, confined, typed)
    VALUES (create_generation_v3.name, next_generation, create_generation_v3.version,
            create_generation_v3.digest, create_generation_v3.mode,
            create_generation_v3.description, create_generation_v3.tables,
            create_generation_v3.consumes, create_generation_v3.readers, new_schema, 'building',
            create_generation_v3.stable_schema, create_generation_v3.interface,
            create_generation_v3.confined, NOT create_generation_v3.confined);
    RETURN next_generation;
END
$function$;
