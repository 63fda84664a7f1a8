SELECT h.hold_id FROM read.legal_holds h
 WHERE h.account_id = $1 AND h.user_id = $2 AND h.released_at IS NULL
 ORDER BY h.hold_id
