CREATE OR REPLACE FUNCTION public.drop_projection_v1(name text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    LOCK TABLE projections IN SHARE ROW EXCLUSIVE MODE;
    PERFORM drop_views_v1(drop_projection_v1.name);
    PERFORM drop_generation_v1(p.name, p.generation) FROM projections p
      WHERE p.name = drop_projection_v1.name;
    DELETE FROM projection_pauses z WHERE z.name = drop_projection_v1.name;
END
$function$;
