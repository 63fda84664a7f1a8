-- Nobody needs to wait for a notification to be on disk.
SELECT pg_notify($1, 'log ' || account)
  FROM set_config('synchronous_commit', 'off', true), unnest($2::bigint[]) AS account
