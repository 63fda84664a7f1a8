CREATE OR REPLACE FUNCTION public.guard_table_v1(guarded regclass)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', guarded);
    EXECUTE format(
        'CREATE POLICY account_entered ON %s FOR SELECT TO colloquy_service '
        'USING (account_id = current_account_v1())', guarded);
    EXECUTE format(
        'CREATE POLICY account_granted ON %s FOR SELECT TO colloquy_analyst '
        'USING (account_id = ANY ((SELECT granted_accounts_v1())::bigint[]))', guarded);
    EXECUTE format(
        'CREATE POLICY every_account ON %s FOR SELECT TO colloquy_worker, colloquy_auditor '
        'USING (true)', guarded);
END
$function$;
