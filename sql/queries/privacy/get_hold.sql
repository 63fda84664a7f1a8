SELECT h.user_id FROM read.legal_holds h WHERE h.account_id = $1 AND h.hold_id = $2
