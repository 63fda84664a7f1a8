-- This session's settings that would write learners' texts to the server's log.
SELECT s.name, s.setting
  FROM pg_settings s
 WHERE (s.name = 'auto_explain.log_min_duration' AND s.setting <> '-1')
    OR (((s.name = 'log_statement' AND s.setting <> 'none')
         OR (s.name IN ('log_min_duration_statement', 'log_min_duration_sample')
             AND s.setting <> '-1')
         OR (s.name = 'log_transaction_sample_rate' AND s.setting <> '0'))
        AND EXISTS (SELECT FROM pg_settings l
                     WHERE l.name = 'log_parameter_max_length' AND l.setting <> '0'))
 ORDER BY s.name
