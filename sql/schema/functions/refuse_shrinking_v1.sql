CREATE OR REPLACE FUNCTION public.refuse_shrinking_v1()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF (NEW.account_id, NEW.level, NEW.index) IS DISTINCT FROM
       (OLD.account_id, OLD.level, OLD.index)
       OR octet_length(NEW.hashes) <= octet_length(OLD.hashes)
       OR substr(NEW.hashes, 1, octet_length(OLD.hashes)) <> OLD.hashes THEN
        RAISE EXCEPTION 'UPDATE on % is refused: a tile is append-only', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$function$;
