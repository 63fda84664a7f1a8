SELECT EXISTS (SELECT FROM events e
                WHERE e.account_id = $1 AND e.position > $2
                  AND e.type IN ('learner_erased.v1', 'text_expired.v1'))
