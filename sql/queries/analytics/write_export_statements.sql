-- The statements that read a table by day: $1 the view, $2 the day's column and $3 its type, $4 the
-- columns, $5 those of them that are read as text, $6 the key.
WITH parts AS (
    SELECT CASE $3::text WHEN 'date' THEN format('f.%I', $2::text)
                         WHEN 'timestamp with time zone'
                         THEN format('(f.%I AT TIME ZONE ''UTC'')::date', $2::text)
                         ELSE 'NULL::date' END AS day,
           (SELECT string_agg(format(CASE WHEN c.name = ANY ($5::text[]) THEN 'f.%I::text'
                                          ELSE 'f.%I' END, c.name), ', ' ORDER BY c.place)
              FROM unnest($4::text[]) WITH ORDINALITY AS c (name, place)) AS columns,
           (SELECT string_agg(format(', f.%I', k.name), '' ORDER BY k.place)
              FROM unnest($6::text[]) WITH ORDINALITY AS k (name, place)) AS key
)
SELECT format('SELECT %s, count(*), max(f.position) FROM analytics.%I AS f '
              'WHERE f.account_id = $1 GROUP BY 1 ORDER BY 1', p.day, $1::text) AS survey,
       format('SELECT %s, %s FROM analytics.%I AS f '
              'WHERE f.account_id = $1 AND (%s = ANY ($2::date[]) OR $3 AND %s IS NULL) '
              'ORDER BY 1%s', p.day, p.columns, $1::text, p.day, p.day, p.key) AS rows
  FROM parts p
