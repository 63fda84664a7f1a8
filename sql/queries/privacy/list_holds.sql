SELECT h.hold_id, h.user_id, u.name AS user_name, h.reason, h.placed_at, h.released_at,
       h.release_reason
  FROM read.legal_holds h
  LEFT JOIN users u ON u.account_id = h.account_id AND u.user_id = h.user_id
 WHERE h.account_id = $1 AND ($2::bigint IS NULL OR h.user_id = $2)
 ORDER BY h.hold_id
