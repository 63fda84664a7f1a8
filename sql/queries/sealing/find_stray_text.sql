-- The first position with a text but without an event.
SELECT min(c.position)
  FROM event_content c
 WHERE c.account_id = $1
   AND NOT EXISTS (SELECT FROM events e
                    WHERE e.account_id = c.account_id AND e.position = c.position)
