CREATE OR REPLACE FUNCTION public.publish_generation_v1(name text, generation integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    fresh projections%ROWTYPE;
BEGIN
    LOCK TABLE projections IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO STRICT fresh FROM projections p
     WHERE p.name = publish_generation_v1.name
       AND p.generation = publish_generation_v1.generation;
    PERFORM drop_views_v1(fresh.name);
    PERFORM guard_generation_v1(fresh.name, fresh.generation);
    PERFORM keep_statistics_v1(fresh.schema_name, true);
    PERFORM show_table_v1(format('%I.%I', fresh.schema_name, v.relation)::regclass,
                          v.stable_schema, v.view_name, fresh.description, fresh.readers)
       FROM stable_views_v1(fresh.name, fresh.generation) v;
    PERFORM drop_generation_v1(p.name, p.generation) FROM projections p
      WHERE p.name = fresh.name AND p.state = 'live';
    UPDATE projections p SET state = 'live', made_at = clock_timestamp()
     WHERE p.name = fresh.name AND p.generation = fresh.generation;
    PERFORM rewrite_inline_dispatch_v1();
END
$function$;
