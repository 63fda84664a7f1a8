-- A notification need not be on disk.
SELECT pg_notify($1, 'log ' || account)
  FROM set_config('synchronous_commit', 'off', true), unnest($2::bigint[]) AS account
