CREATE OR REPLACE FUNCTION public.apply_inline_projections(account bigint, after_position bigint, upto_position bigint, types text[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
END
$function$;
