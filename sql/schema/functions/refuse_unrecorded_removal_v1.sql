CREATE OR REPLACE FUNCTION public.refuse_unrecorded_removal_v1()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    IF NOT EXISTS (SELECT FROM gone) THEN
        RAISE EXCEPTION 'DELETE on % is refused: the log is append-only', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT FROM gone g
                WHERE NOT is_removal_recorded_v1(g.account_id, g.position, g.subject_id)) THEN
        RAISE EXCEPTION 'DELETE on % is refused: the log is append-only, and this transaction has not recorded a removal',
            TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT FROM (SELECT DISTINCT g.account_id, g.subject_id FROM gone g) g,
                    LATERAL open_holds_v1(g.account_id, g.subject_id)) THEN
        RAISE EXCEPTION 'DELETE on % is refused: a legal hold covers the learner', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$function$;
