SELECT coalesce(sum(q.requests), 0)::bigint FROM read.request_counts q
 WHERE q.account_id = $1 AND q.user_id = $2 AND q.kind = $3
   AND q.day = (now() AT TIME ZONE 'UTC')::date
