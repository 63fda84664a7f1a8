-- What an erasure would remove.
SELECT u.name,
       (SELECT count(*) FROM event_content c
         WHERE c.account_id = $1 AND c.subject_id = $2) AS texts,
       (SELECT count(*) FROM read.conversations v
         WHERE v.account_id = $1 AND v.user_id = $2) AS conversations,
       (SELECT count(*) FROM identities i
         WHERE i.account_id = $1 AND i.user_id = $2) AS identities,
       (SELECT count(*) FROM tokens t
         WHERE t.account_id = $1 AND t.user_id = $2 AND t.revoked_at IS NULL) AS tokens
  FROM users u
 WHERE u.account_id = $1 AND u.user_id = $2
