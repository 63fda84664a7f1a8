SELECT head, recorded_at, currents, refusals
  FROM append_events_v2($1, $2, $3, $4, $5, $6, $7, $8,
                        hash_request_keys_v1($1, $9), $10, $11, $12, $13)
