SELECT f.account_id, f.projection, f.version, f.position, f.head, f.lag_events, f.lag_seconds,
       f.last_error, f.error_position, f.paused
  FROM analytics.freshness f
 WHERE f.account_id = ANY ($1::bigint[])
