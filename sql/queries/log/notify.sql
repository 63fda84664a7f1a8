SELECT pg_notify($1, $2) FROM set_config('synchronous_commit', 'off', true)
