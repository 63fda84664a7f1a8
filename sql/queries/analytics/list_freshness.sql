-- How far the projections for analysts have applied the logs of accounts $1: all events recorded
-- before as_of.
SELECT f.account_id, f.projection, f.version, f.position, f.head, f.lag_events, f.lag_seconds,
       f.last_error IS NOT NULL AS stopped, f.last_error, f.error_position, f.error_at, f.paused,
       statement_timestamp() - make_interval(secs => f.lag_seconds) AS as_of
  FROM analytics.freshness f
 WHERE f.account_id = ANY ($1::bigint[])
 ORDER BY f.account_id, f.projection
