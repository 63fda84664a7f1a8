CREATE OR REPLACE FUNCTION public.guard_statement_v1(statement text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT CASE WHEN count(*) = 0 THEN guard_statement_v1.statement
                ELSE format(E'IF types && %L::text[] THEN\n%s\nEND IF;',
                            array_agg(DISTINCT named.type[1]), guard_statement_v1.statement) END
      FROM regexp_matches(guard_statement_v1.statement, '''([a-z_]+\.v[0-9]+)''', 'g') named (type)
$function$;
