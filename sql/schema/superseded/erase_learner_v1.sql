CREATE OR REPLACE FUNCTION public.erase_learner_v1(account bigint, learner bigint, reason text, metadata jsonb, OUT outcome text, OUT holds bigint[], OUT texts bigint, OUT conversations bigint, OUT names bigint, OUT identities bigint, OUT tokens bigint)
 RETURNS record
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT e.* FROM erase_learner_v2(erase_learner_v1.account, erase_learner_v1.learner,
                                     erase_learner_v1.reason, erase_learner_v1.metadata, NULL) e
$function$;
