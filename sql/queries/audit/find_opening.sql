-- The first event of a conversation of account $1; other streams may name its number earlier.
SELECT e.position, e.data
  FROM events e
 WHERE e.account_id = $1 AND e.conversation_id = $2 AND e.type = 'opening_requested.v1'
 ORDER BY e.position
 LIMIT 1
