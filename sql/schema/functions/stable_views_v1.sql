CREATE OR REPLACE FUNCTION public.stable_views_v1(name text, generation integer)
 RETURNS TABLE(stable_schema text, view_name text, relation text)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT p.stable_schema, t.relation || v.suffix, t.relation
      FROM projections p
     CROSS JOIN unnest(p.tables) AS t (relation)
     CROSS JOIN LATERAL (SELECT '' UNION ALL
                         SELECT '_v' || p.interface WHERE p.interface > 0) AS v (suffix)
     WHERE p.name = stable_views_v1.name AND p.generation = stable_views_v1.generation
$function$;
