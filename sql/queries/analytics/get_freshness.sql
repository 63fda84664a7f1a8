-- How far an account's views for analysts stand for its log: those in $2, all of them if it is
-- null. Everything recorded before as_of is in.
SELECT coalesce(min(f.position), 0) AS position, coalesce(max(f.head), 0) AS head,
       coalesce(max(f.lag_events), 0) AS lag_events,
       coalesce(max(f.lag_seconds), 0) AS lag_seconds,
       coalesce(array_agg(f.projection ORDER BY f.projection)
                FILTER (WHERE f.last_error IS NOT NULL), '{}') AS stopped,
       coalesce(array_agg(f.projection ORDER BY f.projection) FILTER (WHERE f.paused), '{}')
       AS paused,
       clock_timestamp() - make_interval(secs => coalesce(max(f.lag_seconds), 0)) AS as_of
  FROM analytics.freshness f
 WHERE f.account_id = $1 AND ($2::text[] IS NULL OR f.projection = ANY ($2))
