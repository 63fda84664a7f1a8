SELECT pg_notify('colloquy_log', account::text) FROM unnest($1::bigint[]) AS account
