SELECT coalesce(sum(position), 0)::bigint FROM log_heads
