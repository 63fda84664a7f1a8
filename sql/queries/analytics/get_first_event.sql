-- What tells one log from another: the id of its first event, which every later state of it has.
SELECT event_id::text FROM events WHERE account_id = $1 AND position = 1
