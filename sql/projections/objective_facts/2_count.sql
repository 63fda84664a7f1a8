INSERT INTO conversation_turns AS t (account_id, conversation_id, turns)
SELECT apply.account, e.conversation_id, count(*)
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'message_posted.v1'
 GROUP BY e.conversation_id
    ON CONFLICT (account_id, conversation_id) DO UPDATE SET turns = t.turns + excluded.turns;
