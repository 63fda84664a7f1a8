SELECT head, recorded_at, currents, accepted
  FROM append_events_v1($1, $2, $3, $4, $5, $6, $7, hash_request_keys_v1($1, $8), $9, $10, $11, $12)
