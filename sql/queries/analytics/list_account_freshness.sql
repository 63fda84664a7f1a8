-- How far each of an account's views for analysts stands for its log. Why one is stopped is not
-- told: the database's words may quote a row.
SELECT f.projection, f.version, f.position, f.head, f.lag_events, f.lag_seconds,
       f.last_error IS NOT NULL AS stopped, f.error_position, f.error_at, f.paused
  FROM analytics.freshness f
 WHERE f.account_id = $1
 ORDER BY f.projection
